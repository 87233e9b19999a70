//! Parameters of calls, in the path and in the query.

use axum::extract::RawPathParams;
use serde::de::DeserializeOwned;

use super::error::ControlError;

/// Reads the parameters of a call out of path and query.
pub(super) fn parameters<T: DeserializeOwned>(
    path: &RawPathParams,
    query: Option<&str>,
) -> Result<T, ControlError> {
    let mut pairs = url::form_urlencoded::Serializer::new(String::new());
    pairs.extend_pairs(path);
    pairs.extend_pairs(url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()));
    serde_urlencoded::from_str(&pairs.finish())
        .map_err(|error| ControlError::invalid(format!("the parameters are not understood: {error}")))
}
