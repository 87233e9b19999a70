//! Reading members of a JSON file so that a mistake is reported by file and member.
//!
//! serde names neither the file nor the path, and a path is what somebody with a broken `host.json` needs.

use std::path::Path;

use serde_json::Value;

/// Why an app cannot be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppError {
    /// A file or folder is missing or unreadable.
    #[error("cannot read {file}: {source}")]
    Unreadable {
        /// Which one.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not JSON.
    #[error("{file} is not JSON: {source}")]
    NotJson {
        /// Which one.
        file: String,
        /// Where it goes wrong.
        source: serde_json::Error,
    },
    /// A member is missing or wrong.
    #[error("{file}: {member} has to be {expected}")]
    Member {
        /// In which file.
        file: String,
        /// Its path, separated by dots.
        member: String,
        /// What would have been right.
        expected: &'static str,
    },
    /// A folder's name cannot be a function's name.
    #[error(
        "{name:?} cannot name a function: a letter, then up to 127 letters, digits, hyphens or underscores can"
    )]
    FunctionName {
        /// The folder.
        name: String,
    },
    /// There is nothing to run.
    #[error("{root} has no functions: each needs a folder with a function.json")]
    NoFunctions {
        /// The app's folder.
        root: String,
    },
}

/// A JSON file and its name.
#[derive(Debug)]
pub(super) struct Document {
    file: String,
    value: Value,
}

impl Document {
    pub(super) fn read(path: &Path) -> Result<Document, AppError> {
        let file = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Document::parse(&file, &text),
            Err(source) => Err(AppError::Unreadable { file, source }),
        }
    }

    pub(super) fn parse(file: &str, text: &str) -> Result<Document, AppError> {
        // Editors on Windows like to begin with a byte order mark; the host does not mind.
        let text = text.trim_start_matches('\u{feff}');
        match serde_json::from_str(text) {
            Ok(value) => Ok(Document { file: file.to_owned(), value }),
            Err(source) => Err(AppError::NotJson { file: file.to_owned(), source }),
        }
    }

    /// The member at a path separated by dots; `null` counts as missing.
    pub(super) fn member(&self, path: &str) -> Option<&Value> {
        path.split('.').try_fold(&self.value, |value, name| value.get(name)).filter(|value| !value.is_null())
    }

    pub(super) fn text(&self, path: &str) -> Result<Option<&str>, AppError> {
        self.typed(path, "a string", Value::as_str)
    }

    pub(super) fn texts(&self, path: &str) -> Result<Vec<String>, AppError> {
        let strings = self.typed(path, "an array of strings", |value| {
            value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
        })?;
        Ok(strings.unwrap_or_default())
    }

    pub(super) fn objects(&self, path: &str) -> Result<&[Value], AppError> {
        let objects = self.typed(path, "an array of objects", |value| {
            value.as_array().filter(|items| items.iter().all(Value::is_object))
        })?;
        Ok(objects.map_or(&[], Vec::as_slice))
    }

    pub(super) fn wrong(&self, member: &str, expected: &'static str) -> AppError {
        AppError::Member { file: self.file.clone(), member: member.to_owned(), expected }
    }

    fn typed<'d, T>(
        &'d self,
        path: &str,
        expected: &'static str,
        read: impl FnOnce(&'d Value) -> Option<T>,
    ) -> Result<Option<T>, AppError> {
        match self.member(path) {
            None => Ok(None),
            Some(value) => read(value).map(Some).ok_or_else(|| self.wrong(path, expected)),
        }
    }
}
