//! Pages of the docs that tests write: what they say is what happened, or a test fails.

use std::path::Path;

use expect_test::expect_file;

/// Whether pages are written anew instead of being compared: what `expect-test` goes by.
pub(crate) fn is_rewriting() -> bool {
    std::env::var("UPDATE_EXPECT").is_ok()
}

/// Holds a page, named from the root of the repository, to what it has to say.
pub(crate) fn hold(name: &str, text: &str) {
    expect_file![Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(name)].assert_eq(text);
}
