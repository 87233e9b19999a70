//! The function app: Keyholder as an Azure Functions custom handler.

/// The function app's `host.json`.
pub const HOST_JSON: &str = include_str!("../../host.json");

/// Each function's folder name and its `function.json`.
pub const FUNCTIONS: &[(&str, &str)] = &[("VerifyOnUpload", include_str!("../VerifyOnUpload/function.json"))];
