//! The files of a function app, as a zip and as a folder.
//!
//! A zip made by another program has the time of day in it, the order of a directory, and the permissions of whoever
//! made it. Here all of that is fixed.

use std::fs;
use std::io::{self, Cursor, Write};
use std::path::{Path, PathBuf};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// What `defaultExecutablePath` in `host.json` says.
pub const HANDLER: &str = "handler";
/// Settings for a host on one's own machine. It is put into the folder and never into the zip.
pub const LOCAL_SETTINGS: &str = "local.settings.json";

/// A function app, ready to be deployed.
#[derive(Debug)]
pub struct App {
    /// In the order of their paths.
    files: Vec<File>,
    local_settings: Vec<u8>,
}

#[derive(Debug)]
struct File {
    /// From the root of the app, with slashes.
    path: String,
    bytes: Vec<u8>,
    mode: u32,
}

/// Why an app could not be put together or written.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// A file of the repository cannot be read.
    #[error("{} cannot be read", .0.display())]
    Unreadable(PathBuf, #[source] io::Error),
    /// Nothing can be written there.
    #[error("{} cannot be written", .0.display())]
    Unwritable(PathBuf, #[source] io::Error),
    /// The archive is not one.
    #[error("the zip could not be made")]
    Zip(#[from] zip::result::ZipError),
}

impl App {
    /// Takes `host.json` and each `function.json` from the repository, and the program from the caller.
    pub fn assemble(repository: &Path, handler: Vec<u8>) -> Result<App, AppError> {
        let mut files = vec![File { path: HANDLER.to_owned(), bytes: handler, mode: 0o777 }];
        let plain = |path: &str, at: &Path| {
            let bytes = read(at)?;
            Ok::<_, AppError>(File { path: path.to_owned(), bytes, mode: 0o666 })
        };
        files.push(plain("host.json", &repository.join("host.json"))?);
        let functions = repository.join("functions");
        let folders =
            fs::read_dir(&functions).map_err(|error| AppError::Unreadable(functions.clone(), error))?;
        for folder in folders {
            let folder = folder.map_err(|error| AppError::Unreadable(functions.clone(), error))?;
            let document = folder.path().join("function.json");
            if document.is_file() {
                let path = format!("{}/function.json", folder.file_name().to_string_lossy());
                files.push(plain(&path, &document)?);
            }
        }
        files.sort_by(|left, right| left.path.cmp(&right.path));
        Ok(App { files, local_settings: read(&functions.join(LOCAL_SETTINGS))? })
    }

    /// The same app with one more file beside `host.json`.
    pub fn with(mut self, path: &str, bytes: Vec<u8>) -> App {
        self.files.push(File { path: path.to_owned(), bytes, mode: 0o666 });
        self.files.sort_by(|left, right| left.path.cmp(&right.path));
        self
    }

    /// The zip: the same files give the same bytes.
    ///
    /// The modes are those that Core Tools writes: 0100777 on the program, 0100666 on the rest, "made by Unix".
    pub fn zip(&self) -> Result<Vec<u8>, AppError> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for file in &self.files {
            let options = SimpleFileOptions::default()
                .compression_method(CompressionMethod::Deflated)
                .compression_level(Some(9))
                .last_modified_time(DateTime::DEFAULT)
                .unix_permissions(file.mode);
            zip.start_file(&file.path, options)?;
            zip.write_all(&file.bytes).map_err(zip::result::ZipError::from)?;
        }
        Ok(zip.finish()?.into_inner())
    }

    /// Makes a folder this very app, whatever was in it before. Only local settings that are there stay, because
    /// somebody may have changed them.
    pub fn write(&self, folder: &Path) -> Result<(), AppError> {
        let local_settings =
            fs::read(folder.join(LOCAL_SETTINGS)).unwrap_or_else(|_| self.local_settings.clone());
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(AppError::Unwritable(folder.to_owned(), error));
            }
            _ => {}
        }
        for file in &self.files {
            write(&folder.join(&file.path), &file.bytes, file.mode & 0o755)?;
        }
        write(&folder.join(LOCAL_SETTINGS), &local_settings, 0o644)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, AppError> {
    fs::read(path).map_err(|error| AppError::Unreadable(path.to_owned(), error))
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), AppError> {
    let written = || {
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::write(path, bytes)?;
        set_mode(path, mode)
    };
    written().map_err(|error| AppError::Unwritable(path.to_owned(), error))
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

/// There are none elsewhere; the zip has them all the same.
#[cfg(not(unix))]
fn set_mode(_: &Path, _: u32) -> io::Result<()> {
    Ok(())
}
