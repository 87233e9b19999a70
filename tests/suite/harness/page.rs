//! Pages of the docs that tests write: what they say is what happened, or a test fails.

use std::path::Path;

/// Set to anything, it has the tests write their pages instead of comparing them.
pub(crate) const REWRITE: &str = "KEYHOLDER_REWRITE";

/// Whether pages are being rewritten.
pub(crate) fn is_rewriting() -> bool {
    std::env::var_os(REWRITE).is_some()
}

/// Holds a page, named from the root of the repository, to what it has to say.
pub(crate) fn hold(name: &str, text: &str) {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(name);
    if is_rewriting() {
        std::fs::write(&path, text).expect("the page is written");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        written, text,
        "{name} does not say what happened; {REWRITE}=1 in the environment rewrites it"
    );
}
