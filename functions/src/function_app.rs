//! The function app as the Functions host reads it, compiled in.

/// The function app's `host.json`.
pub const HOST_JSON: &str = include_str!("../../host.json");

/// Each function's folder name and its `function.json`.
pub const FUNCTIONS: &[(&str, &str)] = &[
    ("SweepUnverified", include_str!("../SweepUnverified/function.json")),
    ("VerifyOnUpload", include_str!("../VerifyOnUpload/function.json")),
];
