//! One setting: looked up by name, parsed, and, where that fails, explained.

use std::fmt;

/// A setting: its name, the form of its value, and an example.
pub(super) struct Setting {
    pub(super) name: &'static str,
    pub(super) form: &'static str,
    pub(super) example: &'static str,
}

/// The settings that are missing or wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InvalidSettings(Vec<InvalidSetting>);

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct InvalidSetting {
    name: &'static str,
    problem: String,
    form: &'static str,
    example: &'static str,
}

impl Setting {
    pub(super) fn required<T>(
        &self,
        look_up: impl Fn(&str) -> Option<String>,
        problems: &mut InvalidSettings,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        match look_up(self.name) {
            Some(text) => self.parsed(&text, problems, parse),
            None => {
                problems.0.push(self.invalid("it is missing".to_owned()));
                None
            }
        }
    }

    pub(super) fn optional<T>(
        &self,
        look_up: impl Fn(&str) -> Option<String>,
        problems: &mut InvalidSettings,
        default: T,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        match look_up(self.name) {
            Some(text) => self.parsed(&text, problems, parse),
            None => Some(default),
        }
    }

    fn parsed<T>(
        &self,
        text: &str,
        problems: &mut InvalidSettings,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        parse(text.trim()).map_err(|problem| problems.0.push(self.invalid(problem))).ok()
    }

    fn invalid(&self, problem: String) -> InvalidSetting {
        InvalidSetting { name: self.name, problem, form: self.form, example: self.example }
    }
}

impl InvalidSettings {
    /// These and more.
    pub(super) fn and(mut self, more: InvalidSettings) -> InvalidSettings {
        self.0.extend(more.0);
        self
    }
}

impl fmt::Display for InvalidSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, setting) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            let InvalidSetting { name, problem, form, example } = setting;
            write!(
                f,
                "{separator}The app setting {name} cannot be used: {problem}. It is {form}; for example {name}={example}"
            )?;
        }
        Ok(())
    }
}

impl std::error::Error for InvalidSettings {}
