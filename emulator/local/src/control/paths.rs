//! The paths of the control API that are not in the table of calls, and where an emulator is.

/// The journal as it is written. Not in the table of calls, for its answer has no end.
pub(super) const STREAM: &str = "/_emulator/journal/stream";
/// The CA that clients of the TLS port have to trust, for those who fetch it rather than read the file.
pub(super) const CA: &str = "/_emulator/ca.pem";
/// What describes all of it.
pub(super) const DESCRIPTION: &str = "/_emulator/openapi.json";
/// Where an emulator is unless it was told otherwise.
pub(super) const STANDARD: &str = "http://127.0.0.1:8081";
