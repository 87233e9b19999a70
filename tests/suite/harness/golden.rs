//! Texts that others read, kept in `tests/golden`: a change to one shows in review.
//!
//! `UPDATE_EXPECT=1 cargo test -p keyholder-tests --test suite` writes them anew.

use std::path::Path;

use expect_test::expect_file;

/// Holds a text to the file of this name.
pub(crate) fn assert_golden(name: &str, text: &str) {
    expect_file![Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name)].assert_eq(text);
}

/// A text without what differs from run to run: ports, thumbprints, versions of vault objects, and moments, which are
/// all the same one, because they make columns.
pub(crate) fn steady(text: &str) -> String {
    let text = at_one_moment(text);
    let mut steady = String::new();
    for word in text.split_inclusive(|letter: char| !letter.is_ascii_alphanumeric()) {
        let (word, end) = match word.char_indices().next_back() {
            Some((at, last)) if !last.is_ascii_alphanumeric() => word.split_at(at),
            _ => (word, ""),
        };
        let hex = |length: usize| word.len() == length && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_port = steady.ends_with("localhost:") && word.parse::<u16>().is_ok();
        steady += match () {
            () if is_port => "<port>",
            () if hex(40) => "<thumbprint>",
            () if hex(32) => "<version>",
            () => word,
        };
        steady += end;
    }
    steady
}

fn at_one_moment(text: &str) -> String {
    const MOMENT: &str = "2036-01-01T00:00:00Z";
    let same_form = |part: &str, like: &str| {
        let digit = |byte: u8| if byte.is_ascii_digit() { b'0' } else { byte };
        part.bytes().map(digit).eq(like.bytes().map(digit))
    };
    let (mut steady, mut rest) = (String::new(), text);
    while let Some(next) = rest.chars().next() {
        let forms = [MOMENT, &MOMENT[..10]];
        let form =
            forms.into_iter().find(|form| rest.get(..form.len()).is_some_and(|part| same_form(part, form)));
        let (taken, put) =
            form.map_or((next.len_utf8(), &rest[..next.len_utf8()]), |form| (form.len(), form));
        steady += put;
        rest = &rest[taken..];
    }
    steady
}
