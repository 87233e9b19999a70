//! How filters compare text.

/// Text in which case makes no difference.
pub(super) fn fold(text: &str) -> String {
    text.to_lowercase()
}
