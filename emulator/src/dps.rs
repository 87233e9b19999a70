//! dps
