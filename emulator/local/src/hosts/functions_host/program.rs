//! Which program the handler is, and with which arguments it starts.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Where the command line comes from.
#[derive(Clone, Debug)]
pub(super) enum Program {
    /// The caller: program and arguments, taken as they are.
    Given(Vec<OsString>),
    /// `host.json`.
    Described(Description),
}

/// `customHandler.description` of `host.json`; what is missing there is empty.
#[derive(Clone, Debug, Default)]
pub(super) struct Description {
    pub(super) executable: String,
    pub(super) working_directory: String,
    pub(super) worker_directory: String,
    pub(super) arguments: Vec<String>,
    pub(super) worker_path: String,
    pub(super) worker_arguments: Vec<String>,
}

/// What the operating system is asked to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CommandLine {
    pub(super) program: OsString,
    pub(super) arguments: Vec<OsString>,
    pub(super) directory: PathBuf,
}

impl Program {
    /// The command line in an app's folder, with variables filled in.
    pub(super) fn command_line(&self, root: &Path, variable: impl Fn(&str) -> Option<String>) -> CommandLine {
        match self {
            Program::Given(command) => CommandLine {
                program: command.first().cloned().unwrap_or_default(),
                arguments: command.iter().skip(1).cloned().collect(),
                directory: root.to_owned(),
            },
            Program::Described(description) => description.command_line(root, variable),
        }
    }
}

impl Description {
    fn command_line(&self, root: &Path, variable: impl Fn(&str) -> Option<String>) -> CommandLine {
        let executable = expand(&self.executable, &variable);
        let beside = root.join(&self.worker_directory).join(&executable);
        let program = if beside.is_file() { beside.into_os_string() } else { executable.into() };

        let mut line = self.arguments.join(" ");
        if !self.worker_path.is_empty() {
            line += &format!(" \"{}\"", self.worker_path);
        }
        line.push(' ');
        line += &self.worker_arguments.join(" ");
        CommandLine {
            program,
            arguments: split(&expand(&line, &variable)),
            directory: root.join(&self.working_directory),
        }
    }
}

/// Puts the values of variables for `%NAME%`; an unset one is empty.
fn expand(text: &str, variable: impl Fn(&str) -> Option<String>) -> String {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        let Some((name, after_name)) = after.split_once('%').filter(|(name, _)| !name.is_empty()) else {
            break;
        };
        expanded += before;
        expanded += &variable(name).unwrap_or_default();
        rest = after_name;
    }
    expanded + rest
}

/// The host joins all arguments with blanks and lets .NET take them apart again, so an argument with a blank
/// is two unless it is quoted.
fn split(line: &str) -> Vec<OsString> {
    let mut arguments = Vec::new();
    let mut argument: Option<String> = None;
    let mut quoted = false;
    for character in line.chars() {
        match character {
            '"' => {
                quoted = !quoted;
                argument.get_or_insert_default();
            }
            ' ' | '\t' if !quoted => arguments.extend(argument.take()),
            _ => argument.get_or_insert_default().push(character),
        }
    }
    arguments.extend(argument);
    arguments.into_iter().map(OsString::from).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn variable(name: &str) -> Option<String> {
        (name == "PORT").then(|| "8080".to_owned())
    }

    #[test]
    fn the_program_is_the_app_s_own_or_one_on_the_path() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("handler"), "").unwrap();
        for (executable, program) in
            [("handler", root.path().join("handler").into_os_string()), ("node", "node".into())]
        {
            let description = Description { executable: executable.to_owned(), ..Description::default() };
            let line = description.command_line(root.path(), variable);
            assert_eq!(line.program, program);
            assert_eq!(line.directory, root.path());
        }
    }

    #[test]
    fn arguments_are_joined_expanded_and_split_at_blanks() {
        let description = Description {
            executable: "handler".to_owned(),
            arguments: vec!["--port %PORT%".to_owned(), "--unset=%NO%".to_owned()],
            worker_path: "my worker.js".to_owned(),
            worker_arguments: vec!["--name \"two words\"".to_owned(), "\"\"".to_owned()],
            ..Description::default()
        };
        let line = description.command_line(Path::new("/app"), variable);
        assert_eq!(line.arguments, ["--port", "8080", "--unset=", "my worker.js", "--name", "two words", ""]);
    }

    #[test]
    fn lone_percent_signs_stay() {
        for (text, expanded) in
            [("%PORT%", "8080"), ("a%PORT%b%PORT%", "a8080b8080"), ("100%", "100%"), ("%%", "%%"), ("", "")]
        {
            assert_eq!(expand(text, variable), expanded, "{text}");
        }
    }

    #[test]
    fn a_given_command_is_taken_as_it_is() {
        let program = Program::Given(vec!["emulator".into(), "a b %PORT%".into()]);
        let line = program.command_line(Path::new("/app"), variable);
        assert_eq!(line.program, "emulator");
        assert_eq!(line.arguments, ["a b %PORT%"]);
    }
}
