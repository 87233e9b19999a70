//! Made-up identifiers in the form Azure writes them.

/// A random version 4 GUID in lower case.
pub fn guid(random: &mut fastrand::Rng) -> String {
    let bits = random.u128(..) & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// Whether a text is a GUID as [`guid`] makes them.
pub(crate) fn is_guid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(place, byte)| match place {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}

#[cfg(test)]
mod tests {
    use super::{guid, is_guid};

    #[test]
    fn a_guid_says_that_it_is_random() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..100 {
            let guid = guid(&mut random);
            assert_eq!(guid.len(), 36, "{guid}");
            assert!(is_guid(&guid) && !is_guid(&guid.to_uppercase()) && !is_guid(&guid[1..]), "{guid}");
            assert_eq!(guid.as_bytes()[14], b'4', "{guid}");
            assert!(b"89ab".contains(&guid.as_bytes()[19]), "{guid}");
        }
    }
}
