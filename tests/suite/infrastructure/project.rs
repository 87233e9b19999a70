//! The files a deployment consists of, as texts, so that a test can also have one that is not on the disk.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::bicep::Template;

pub(super) struct Project {
    /// By path from the root of the repository.
    texts: BTreeMap<String, String>,
}

pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

impl Project {
    pub(super) fn read() -> Project {
        let mut texts = BTreeMap::new();
        for folder in ["infra", "infra/modules"] {
            for entry in fs::read_dir(root().join(folder)).unwrap() {
                let path = format!("{folder}/{}", entry.unwrap().file_name().into_string().unwrap());
                if path.ends_with(".bicep") || path.ends_with(".bicepparam") {
                    texts.insert(path.clone(), fs::read_to_string(root().join(&path)).unwrap());
                }
            }
        }
        texts.insert("azure.yaml".to_owned(), fs::read_to_string(root().join("azure.yaml")).unwrap());
        Project { texts }
    }

    /// The same with another text in one place.
    pub(super) fn with(mut self, path: &str, from: &str, to: &str) -> Project {
        let text = self.texts.get_mut(path).unwrap_or_else(|| panic!("there is no {path}"));
        assert!(text.contains(from), "{path} has no {from:?} to break");
        *text = text.replacen(from, to, 1);
        self
    }

    pub(super) fn text(&self, path: &str) -> &str {
        &self.texts[path]
    }

    pub(super) fn templates(&self) -> Vec<Template<'_>> {
        self.with_extension(".bicep").map(|(path, text)| Template::parse(path, text)).collect()
    }

    /// Path and text; the grammar knows no `.bicepparam`, whose parameters have no type.
    pub(super) fn parameter_files(&self) -> Vec<(&str, &str)> {
        self.with_extension(".bicepparam").collect()
    }

    fn with_extension(&self, extension: &'static str) -> impl Iterator<Item = (&str, &str)> {
        let all = self.texts.iter().map(|(path, text)| (path.as_str(), text.as_str()));
        all.filter(move |(path, _)| path.ends_with(extension))
    }
}
