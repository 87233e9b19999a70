//! Finds a piece of a secret in a text, in whatever form programs print bytes.

use std::collections::{HashMap, HashSet};

use base64::Engine as _;
use base64::alphabet::{Alphabet, STANDARD, URL_SAFE};
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
use bytes::Bytes;

use crate::refusals::Sensitive;

/// A piece so long is no coincidence, and less of a key is no use.
const PIECE: usize = 12;
/// How much of a form is looked up; none is shorter.
const STEM: usize = 12;

/// All pieces of all secrets, in all forms.
pub(super) struct Search {
    secrets: Vec<Sensitive>,
    by_stem: HashMap<[u8; STEM], Vec<Needle>>,
}

struct Needle {
    text: Vec<u8>,
    secret: usize,
    form: &'static str,
}

impl Search {
    /// All secrets, without the pieces that are public.
    pub(super) fn new(secrets: &[Sensitive], public: &[Vec<u8>]) -> Search {
        // Base64 can leave out bits of a piece's first and last byte, so these two do not count.
        let core = 1..PIECE - 1;
        let public: HashSet<&[u8]> = public.iter().flat_map(|text| text.windows(core.len())).collect();
        let mut search = Search { secrets: secrets.to_vec(), by_stem: HashMap::new() };
        for (index, secret) in secrets.iter().enumerate() {
            assert!(secret.bytes.len() >= PIECE, "{} is too short to be recognized", secret.what);
            let pieces = secret.bytes.windows(PIECE).filter(|piece| !public.contains(&piece[core.clone()]));
            for (form, text) in pieces.flat_map(forms) {
                let stem = *text.first_chunk().expect("every form is long enough");
                let needles = search.by_stem.entry(stem).or_default();
                if needles.iter().all(|needle| needle.text != text) {
                    needles.push(Needle { text, secret: index, form });
                }
            }
        }
        search
    }

    /// What is found first: the secret, its form, and what stands before it.
    pub(super) fn first_in(&self, text: &[u8]) -> Option<String> {
        let found = |at: usize| {
            let rest = &text[at..];
            let needles = self.by_stem.get(rest.first_chunk()?)?;
            needles.iter().find(|needle| rest.starts_with(&needle.text)).map(|needle| (at, needle))
        };
        let (at, needle) = (0..text.len()).find_map(found)?;
        let before = String::from_utf8_lossy(&text[at.saturating_sub(300)..at]).into_owned();
        Some(format!("{}, {}, after: {before}", self.secrets[needle.secret].what, needle.form))
    }
}

/// A piece in every form. Of base64 only the letters that the piece alone decides: what stands before it moves
/// it by a third or two thirds of a group.
fn forms(piece: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let each = |write: fn(u8) -> String, between: &str| {
        piece.iter().map(|byte| write(*byte)).collect::<Vec<_>>().join(between).into_bytes()
    };
    let mut forms = vec![
        ("as it is", piece.to_vec()),
        ("in hex", each(|byte| format!("{byte:02x}"), "")),
        ("in upper-case hex", each(|byte| format!("{byte:02X}"), "")),
        ("in hex with colons", each(|byte| format!("{byte:02x}"), ":")),
        ("as a list of numbers", each(|byte| byte.to_string(), ", ")),
        ("in escapes", escaped(piece)),
    ];
    for (form, alphabet) in [("in base64", &STANDARD), ("in base64url", &URL_SAFE)] {
        forms.extend((0..3).map(|shift| (form, base64(piece, alphabet, shift))));
    }
    forms
}

/// As `Bytes` is debugged, without the `b"` before and the `"` after it.
fn escaped(piece: &[u8]) -> Vec<u8> {
    let printed = format!("{:?}", Bytes::copy_from_slice(piece));
    printed.as_bytes()[2..printed.len() - 1].to_vec()
}

fn base64(piece: &[u8], alphabet: &Alphabet, shift: usize) -> Vec<u8> {
    let shifted = [&[0; 2][..shift], piece].concat();
    let text = GeneralPurpose::new(alphabet, NO_PAD).encode(&shifted).into_bytes();
    text[(8 * shift).div_ceil(6)..8 * shifted.len() / 6].to_vec()
}

/// No source of randomness: any bytes that do not repeat will do.
#[test]
fn a_piece_is_found_in_every_form_wherever_it_stands() {
    let bytes: Vec<u8> = (0..64_u8).map(|index| index.wrapping_mul(37).wrapping_add(200)).collect();
    let search = Search::new(&[Sensitive { what: "the key".to_owned(), bytes: bytes.clone() }], &[]);
    let engines = [GeneralPurpose::new(&STANDARD, NO_PAD), GeneralPurpose::new(&URL_SAFE, NO_PAD)];
    for from in 0..bytes.len() - PIECE {
        for before in 0..4 {
            let piece = &bytes[from..from + PIECE];
            let among = [&vec![b'x'; before][..], piece, &[7; 5]].concat();
            let mut texts: Vec<Vec<u8>> = engines.iter().map(|engine| engine.encode(&among).into()).collect();
            texts.push(format!("{among:?}").into());
            texts.push(format!("{:?}", Bytes::from(among.clone())).into());
            texts.extend([("", true), ("", false), (":", true)].map(|(between, lower)| {
                let digits = |byte: &u8| if lower { format!("{byte:02x}") } else { format!("{byte:02X}") };
                among.iter().map(digits).collect::<Vec<_>>().join(between).into_bytes()
            }));
            texts.push(among);
            for text in texts {
                let shown = String::from_utf8_lossy(&text).into_owned();
                assert!(search.first_in(&text).is_some(), "from {from}, after {before}: {shown}");
            }
        }
    }
    assert_eq!(search.first_in(&bytes[..PIECE - 1]), None, "less of it could be a coincidence");
}
