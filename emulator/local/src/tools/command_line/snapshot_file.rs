//! A snapshot in a file that nobody else may read.

use std::error::Error;
use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;

use tempfile::NamedTempFile;

use super::output;
use crate::control::Snapshot;

/// Stands for standard input and output.
const STANDARD: &str = "-";

/// Writes it whole or not at all. A temporary file is its owner's alone, and so is what it is renamed to.
pub(super) fn write(file: &Path, snapshot: &Snapshot) -> Result<(), Box<dyn Error>> {
    let mut text = serde_json::to_vec_pretty(snapshot)?;
    text.push(b'\n');
    if file == Path::new(STANDARD) {
        io::stdout().lock().write_all(&text)?;
        return Ok(());
    }
    let failed = |error: io::Error| format!("{} cannot be written: {error}", file.display());
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut temporary = NamedTempFile::new_in(folder).map_err(failed)?;
    temporary.write_all(&text).map_err(failed)?;
    temporary.persist(file).map_err(|error| failed(error.error))?;
    output::hint(&format!("{} holds private keys and secrets", file.display()));
    Ok(())
}

/// Reads what [`write`] wrote.
pub(super) fn read(file: &Path) -> Result<Snapshot, Box<dyn Error>> {
    let text = if file == Path::new(STANDARD) {
        let mut text = String::new();
        io::stdin().lock().read_to_string(&mut text)?;
        text
    } else {
        fs::read_to_string(file).map_err(|error| format!("{} cannot be read: {error}", file.display()))?
    };
    // What serde says of it may repeat a secret.
    let not_one = |_| format!("{} is no snapshot; emulator snapshot {0} makes one", file.display());
    Ok(serde_json::from_str(&text).map_err(not_one)?)
}
