//! The token of the control API, and how a shell of the same user finds it.
//!
//! The loopback address is open to every user of a machine, and a snapshot holds private keys. So the API wants a
//! token, new at each start, that stands in a file which only its owner can read. The file's name has the port, so
//! that a shell that knows where an emulator is knows where its token is.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::{fs, io};

use url::Url;

/// The shell variable that has the token where there is no such file, as at the other end of a tunnel.
pub const VARIABLE: &str = "EMULATOR_TOKEN";

/// In hexadecimal digits.
const LENGTH: usize = 32;

/// What nobody guesses.
pub(crate) fn random_token() -> Arc<str> {
    let mut bytes = [0; LENGTH / 2];
    openssl::rand::rand_bytes(&mut bytes).expect("the system has randomness");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
}

/// The file of a running emulator; it goes with it.
#[derive(Debug)]
pub(crate) struct TokenFile {
    path: PathBuf,
    token: Arc<str>,
}

impl TokenFile {
    /// Writes the token of the emulator at this port, in place of that of an earlier one.
    pub(crate) fn write(port: u16, token: Arc<str>) -> io::Result<TokenFile> {
        let path = place(&folder(), port);
        // Nobody but its owner can read it from the start; and what stood there is replaced, never written to.
        let mut file = tempfile::Builder::new().prefix(".keyholder-emulator-").tempfile_in(folder())?;
        file.write_all(token.as_bytes())?;
        file.persist(&path)?;
        Ok(TokenFile { path, token })
    }
}

impl Drop for TokenFile {
    fn drop(&mut self) {
        // Unless a later emulator has put its own there.
        if read(&self.path).is_some_and(|token| *token == *self.token) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The token of the emulator there, as far as this user knows it.
pub(crate) fn find(emulator: &Url) -> Option<String> {
    let port = emulator.port_or_known_default()?;
    read(&place(&folder(), port)).or_else(|| std::env::var(VARIABLE).ok())
}

/// Where the token of an emulator at this port is kept.
fn place(folder: &std::path::Path, port: u16) -> PathBuf {
    folder.join(format!("keyholder-emulator-{port}.token"))
}

fn folder() -> PathBuf {
    let own = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    own.filter(|folder| folder.is_dir()).unwrap_or_else(std::env::temp_dir)
}

/// What is no token, whoever put it there, is not taken for one and sent away.
fn read(path: &std::path::Path) -> Option<String> {
    let token = fs::read_to_string(path).ok()?;
    let is_one = token.len() == LENGTH && token.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_one.then_some(token)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A port that nothing listens on: these are files only.
    const PORT: u16 = 1;

    #[cfg(unix)]
    #[test]
    fn the_file_is_its_owners_alone_and_goes_with_the_emulator() {
        use std::os::unix::fs::PermissionsExt;
        let token = random_token();
        let file = TokenFile::write(PORT, Arc::clone(&token)).unwrap();
        assert_eq!(fs::metadata(&file.path).unwrap().permissions().mode() & 0o777, 0o600);
        let emulator = format!("http://127.0.0.1:{PORT}").parse().unwrap();
        assert_eq!(find(&emulator).as_deref(), Some(&*token));

        let later = TokenFile::write(PORT, random_token()).unwrap();
        drop(file);
        assert_eq!(find(&emulator).as_deref(), Some(&*later.token), "of the later emulator");
        let path = later.path.clone();
        drop(later);
        assert!(!path.exists());
    }

    #[test]
    fn what_is_no_token_is_not_read_as_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = place(folder.path(), PORT);
        for content in
            ["", "-----BEGIN OPENSSH PRIVATE KEY-----", &"g".repeat(LENGTH), &"a".repeat(LENGTH + 1)]
        {
            fs::write(&path, content).unwrap();
            assert_eq!(read(&path), None, "{content}");
        }
    }
}
