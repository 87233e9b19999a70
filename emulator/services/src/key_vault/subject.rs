//! The name of a certificate's subject, as people read and write it: most specific part first.
//!
//! A certificate has its parts the other way round. Values with special characters stand in double quotes,
//! in which a quote is written twice.

use openssl::error::ErrorStack;
use openssl::x509::{X509Name, X509NameBuilder, X509NameRef};

use super::refusal::Refusal;

/// Characters that mean something outside quotes.
const SPECIAL: [char; 8] = [',', '+', '"', '=', ';', '<', '>', '\n'];

/// The text of a name.
pub(super) fn to_text(name: &X509NameRef) -> String {
    let mut parts: Vec<String> = name
        .entries()
        .map(|entry| {
            let object = entry.object();
            let key = object.nid().short_name().map_or_else(|_| object.to_string(), str::to_owned);
            let value = entry.data().to_string().unwrap_or_default();
            if value.contains(SPECIAL) {
                format!("{key}=\"{}\"", value.replace('"', "\"\""))
            } else {
                format!("{key}={value}")
            }
        })
        .collect();
    parts.reverse();
    parts.join(", ")
}

/// The name of a text.
pub(super) fn parse(text: &str) -> Result<X509Name, Refusal> {
    let malformed = || {
        Refusal::bad_parameter(format!(
            "x509_props.subject is not a name like CN=Factory CA, O=\"Contoso, Ltd\": {text}"
        ))
    };
    let parts: Option<Vec<_>> = split(text).and_then(|parts| parts.into_iter().rev().map(part).collect());
    let parts = parts.ok_or_else(malformed)?;
    build(&parts).map_err(|_| malformed())
}

fn build(parts: &[(String, String)]) -> Result<X509Name, ErrorStack> {
    let mut name = X509NameBuilder::new()?;
    for (key, value) in parts {
        name.append_entry_by_text(key, value)?;
    }
    Ok(name.build())
}

/// The parts between commas that are not quoted; `None` if a quote stays open.
fn split(text: &str) -> Option<Vec<&str>> {
    let mut parts = Vec::new();
    let (mut start, mut quoted) = (0, false);
    for (index, character) in text.char_indices() {
        match character {
            '"' => quoted = !quoted,
            ',' if !quoted => {
                parts.push(&text[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    (!quoted).then_some(parts)
}

/// Key and value of one part. OpenSSL knows keys in upper case.
fn part(text: &str) -> Option<(String, String)> {
    let (key, value) = text.split_once('=')?;
    let value = value.trim();
    let value = match value.strip_prefix('"') {
        Some(quoted) => {
            let inner = quoted.strip_suffix('"')?;
            if inner.replace("\"\"", "").contains('"') {
                return None;
            }
            inner.replace("\"\"", "\"")
        }
        None if value.contains(SPECIAL) => return None,
        None => value.to_owned(),
    };
    let key = key.trim();
    (!key.is_empty() && !value.is_empty()).then(|| (canonical(key), value))
}

/// Keys are compared without case; OpenSSL's short names are upper case but for a few.
fn canonical(key: &str) -> String {
    match key.to_ascii_uppercase().as_str() {
        "E" | "EMAIL" | "EMAILADDRESS" => "emailAddress".to_owned(),
        "S" => "ST".to_owned(),
        "SERIALNUMBER" => "serialNumber".to_owned(),
        "STREET" => "street".to_owned(),
        upper => upper.to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_written_as_it_was_read() {
        for text in [
            "CN=Factory CA",
            "CN=Factory CA, O=\"Contoso, Ltd\"",
            "CN=\"say \"\"hi\"\"\", OU=Line 1, OU=Line 2, C=DE",
            "emailAddress=ca@contoso.com, CN=ü",
        ] {
            assert_eq!(to_text(&parse(text).unwrap()), text);
        }
    }

    #[test]
    fn spaces_and_case_of_keys_do_not_matter() {
        assert_eq!(to_text(&parse(" cn = MyCert ,o=Contoso").unwrap()), "CN=MyCert, O=Contoso");
    }

    #[test]
    fn the_certificate_has_the_most_specific_part_last() {
        let name = parse("CN=leaf, O=root").unwrap();
        let order: Vec<_> = name.entries().map(|entry| entry.data().to_string().unwrap()).collect();
        assert_eq!(order, ["root", "leaf"]);
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in
            ["", "Factory CA", "CN=", "CN=\"open", "CN=a+OU=b", "CN=a,,O=b", "NOSUCHKEY=a", "CN=\"a\"b\""]
        {
            assert_eq!(parse(text).err().unwrap().code(), "BadParameter", "{text}");
        }
    }
}
