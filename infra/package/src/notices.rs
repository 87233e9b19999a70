//! The notices of everything that is linked into the handler: who wrote it, under which licence, and the licence's text
//! as its package has it. Packages with the same text share it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::linked::{Linked, Origin, Part};

/// Where they are in the zip and in the folder.
pub const NOTICES: &str = "THIRD-PARTY-NOTICES.txt";

const APACHE: &str = include_str!("../licences/Apache-2.0.txt");
const MIT: &str = include_str!("../licences/MIT.txt");
/// How the names of files begin that have to go along, in lower case.
const FILES: &[&str] = &["licen", "copying", "copyright", "notice", "unlicense"];

/// Why they cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum NoticesError {
    /// A package's files cannot be read.
    #[error("{} cannot be read", .0.display())]
    Unreadable(PathBuf, #[source] io::Error),
    /// A package has a licence and not its text, and it is none of those kept here.
    #[error("{0} {1} is under {2} and comes without its text; add that to infra/package/licences")]
    NoText(String, String, String),
}

/// Writes them, for all parts but our own.
pub fn document(linked: &Linked) -> Result<Vec<u8>, NoticesError> {
    let mut parts = Vec::new();
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for part in linked.parts.iter().filter(|part| part.origin != Origin::Own) {
        let name = format!("{} {}", part.name, part.version);
        for text in texts_of(part)? {
            texts.entry(text).or_default().push(name.clone());
        }
        parts.push((name, part));
    }
    let mut document = "Keyholder's handler contains the following software.\n\n".to_owned();
    for (name, Part { license, .. }) in &parts {
        let _ = writeln!(document, "{name}: {license}");
    }
    let mut texts: Vec<_> = texts.into_iter().collect();
    texts.sort_by(|(_, left), (_, right)| left.cmp(right));
    for (text, names) in texts {
        let _ = write!(document, "\n{}\n{}\n\n{text}\n", "=".repeat(80), names.join("\n"));
    }
    Ok(document.into_bytes())
}

fn texts_of(part: &Part) -> Result<Vec<String>, NoticesError> {
    let mut texts = part.folder.as_deref().map_or(Ok(Vec::new()), read)?;
    if texts.is_empty() {
        let whose = match part.authors.as_slice() {
            [] => format!("the authors of {}", part.name),
            authors => authors.join(", "),
        };
        let license = &part.license;
        let text = match () {
            () if license.split(' ').any(|word| word == "MIT") => MIT,
            () if license.split(' ').any(|word| word == "Apache-2.0") => APACHE,
            () => return Err(NoticesError::NoText(part.name.clone(), part.version.clone(), license.clone())),
        };
        texts.push(format!("Copyright (c) {whose}\n\n{}", text.trim_end()));
    }
    Ok(texts)
}

/// The texts in the root of a package, by the names of their files.
fn read(folder: &Path) -> Result<Vec<String>, NoticesError> {
    let unreadable = |error| NoticesError::Unreadable(folder.to_owned(), error);
    let entries = fs::read_dir(folder).map_err(unreadable)?;
    let mut files =
        entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>().map_err(unreadable)?;
    files.retain(|file| {
        let name = file.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        file.is_file() && FILES.iter().any(|start| name.starts_with(start))
    });
    files.sort();
    let mut texts = Vec::new();
    for file in files {
        let bytes = fs::read(&file).map_err(|error| NoticesError::Unreadable(file, error))?;
        let text = String::from_utf8_lossy(&bytes).replace("\r\n", "\n");
        texts.push(text.trim().to_owned());
    }
    Ok(texts)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn part(name: &str, license: &str, folder: Option<&Path>) -> Part {
        Part {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            origin: Origin::Registry,
            license: license.to_owned(),
            authors: vec!["Ada".to_owned()],
            repository: None,
            folder: folder.map(Path::to_owned),
            needs: Vec::new(),
        }
    }

    #[test]
    fn a_text_of_several_packages_is_there_once_and_names_them() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("LICENSE-MIT"), "Some text\r\nof a licence\n").unwrap();
        fs::write(folder.path().join("lib.rs"), "no licence").unwrap();
        let parts = vec![part("one", "MIT", Some(folder.path())), part("two", "MIT", Some(folder.path()))];
        let document = String::from_utf8(document(&Linked { parts }).unwrap()).unwrap();
        assert_eq!(document.matches("Some text\nof a licence").count(), 1, "{document}");
        assert!(document.contains("one 1.0.0\ntwo 1.0.0\n\nSome text"), "{document}");
        assert!(!document.contains("no licence"), "{document}");
    }

    #[test]
    fn a_package_without_a_text_gets_that_of_its_licence_or_is_refused() {
        for (license, expected) in
            [("Apache-2.0 OR MIT", "Permission is hereby"), ("Apache-2.0", "Apache License")]
        {
            let document = document(&Linked { parts: vec![part("bare", license, None)] }).unwrap();
            let document = String::from_utf8(document).unwrap();
            assert!(document.contains("Copyright (c) Ada") && document.contains(expected), "{document}");
        }
        let refused =
            document(&Linked { parts: vec![part("bare", "MPL-2.0", None)] }).unwrap_err().to_string();
        assert!(refused.contains("bare 1.0.0 is under MPL-2.0"), "{refused}");
    }
}
