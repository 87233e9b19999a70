//! A function app: what a packaged one holds, or the one built into this program.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::document::{AppError, Document};
use super::function::Function;
use super::host_file::HostFile;
use super::program::Program;

/// A function app that can be started.
#[derive(Clone, Debug)]
pub struct App {
    pub(super) root: PathBuf,
    pub(super) program: Program,
    pub(super) functions: Vec<Function>,
    /// `None` for no limit.
    pub(super) function_timeout: Option<Duration>,
    pub(super) initialization_timeout: Duration,
    /// The port its handler has to listen on; any free one if it is not said.
    pub(super) port: Option<u16>,
    pub(super) asks_for_keys: bool,
}

impl App {
    /// The app in a folder, as it would be zipped: `host.json` and a folder for each function.
    pub fn from_dir(root: impl AsRef<Path>) -> Result<App, AppError> {
        let root = root.as_ref();
        // The handler's working directory may not be ours, so a relative path would not do.
        let root = std::path::absolute(root).map_err(|source| unreadable(root, source))?;
        let host = Document::read(&root.join("host.json"))?;
        let functions = functions_in(&root)?;
        App::new(root, &host, functions, None)
    }

    /// The app of this repository, with a command in place of its handler's path.
    pub fn built_in(command: Vec<OsString>) -> Result<App, AppError> {
        let host = Document::parse("host.json", keyholder_functions::HOST_JSON)?;
        let functions = keyholder_functions::FUNCTIONS
            .iter()
            .map(|(name, text)| Function::of(name, &Document::parse(&format!("{name}/function.json"), text)?))
            .collect::<Result<_, AppError>>()?;
        let here = Path::new(".");
        let root = std::path::absolute(here).map_err(|source| unreadable(here, source))?;
        App::new(root, &host, functions, Some(command))
    }

    /// The same, with a host that asks its callers for keys, as it does in Azure.
    pub fn asking_for_keys(self) -> App {
        App { asks_for_keys: true, ..self }
    }

    /// Its functions, by name.
    pub fn functions(&self) -> &[Function] {
        &self.functions
    }

    fn new(
        root: PathBuf,
        document: &Document,
        functions: Vec<Function>,
        command: Option<Vec<OsString>>,
    ) -> Result<App, AppError> {
        let host = HostFile::of(document)?;
        if functions.is_empty() {
            return Err(AppError::NoFunctions { root: root.display().to_string() });
        }
        if !host.has_extension_bundle && !functions.iter().all(Function::is_built_in) {
            return Err(document.wrong(
                "extensionBundle.id",
                "Microsoft.Azure.Functions.ExtensionBundle: only http and timer triggers need none",
            ));
        }
        Ok(App {
            root,
            program: match command {
                Some(command) => Program::Given(command),
                None => Program::Described(host.description),
            },
            functions,
            function_timeout: host.function_timeout,
            initialization_timeout: host.initialization_timeout,
            port: host.port,
            asks_for_keys: false,
        })
    }
}

fn functions_in(root: &Path) -> Result<Vec<Function>, AppError> {
    let mut functions = Vec::new();
    for entry in std::fs::read_dir(root).map_err(|source| unreadable(root, source))? {
        let folder = entry.map_err(|source| unreadable(root, source))?;
        let file = folder.path().join("function.json");
        if file.is_file() {
            functions.push(Function::of(&folder.file_name().to_string_lossy(), &Document::read(&file)?)?);
        }
    }
    functions.sort_by(|left, right| left.name().cmp(right.name()));
    Ok(functions)
}

fn unreadable(path: &Path, source: std::io::Error) -> AppError {
    AppError::Unreadable { file: path.display().to_string(), source }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const HOST: &str = include_str!("../../../../../tests/fixtures/functions/host.json");
    const EVENT_GRID: &str = include_str!("../../../../../tests/fixtures/functions/function.eventgrid.json");
    const TIMER: &str = include_str!("../../../../../tests/fixtures/functions/function.timer.json");

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let file = root.path().join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        root
    }

    fn names(app: &App) -> Vec<&str> {
        app.functions().iter().map(Function::name).collect()
    }

    #[test]
    fn a_folder_s_functions_are_the_folders_with_a_function_json() {
        let root = folder(&[
            ("host.json", HOST),
            ("Sweep/function.json", TIMER),
            ("OnEvent/function.json", EVENT_GRID),
            ("notes/readme.txt", ""),
            ("handler", ""),
        ]);
        assert_eq!(names(&App::from_dir(root.path()).unwrap()), ["OnEvent", "Sweep"]);
    }

    #[test]
    fn the_built_in_app_is_well_formed() {
        let app = App::built_in(vec!["emulator".into()]).unwrap();
        assert!(names(&app).contains(&"VerifyOnUpload"));
    }

    #[test]
    fn what_is_missing_is_named() {
        let without_bundle =
            r#"{"version":"2.0","customHandler":{"description":{"defaultExecutablePath":"h"}}}"#;
        for (files, expected) in [
            (vec![("OnEvent/function.json", EVENT_GRID)], "host.json"),
            (vec![("host.json", HOST)], "has no functions"),
            (vec![("host.json", HOST), ("OnEvent/function.json", "[]")], "function.json: bindings"),
            (
                vec![("host.json", without_bundle), ("OnEvent/function.json", EVENT_GRID)],
                "host.json: extensionBundle.id has to be",
            ),
        ] {
            let message = App::from_dir(folder(&files).path()).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
        let timer_only = folder(&[("host.json", without_bundle), ("Sweep/function.json", TIMER)]);
        assert!(App::from_dir(timer_only.path()).is_ok());
    }
}
