//! How the handler is built so that it starts on every Functions image.
//!
//! A program runs with the C library it was linked against or a newer one, and the oldest image is older than most
//! people's machines. So it is linked against that image's, or brings its own.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::requirements::OLDEST_GLIBC;

/// Who builds the handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compiler {
    /// `cargo zigbuild`, whose linker knows every version of the GNU C library.
    Zig,
    /// Rust's musl target, which makes a static program.
    Musl,
    /// Plain Cargo, against this machine's C library.
    Host,
}

/// What can be had on a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// `cargo zigbuild` is there.
    pub zigbuild: bool,
    /// Rust's musl target is there, and a C compiler for it, which OpenSSL needs.
    pub musl: bool,
    /// The target triple of the machine itself.
    pub host: String,
}

/// Nobody here can build it.
#[derive(Debug, thiserror::Error)]
#[error(
    "the Functions images are x86-64 Linux and this machine is {host}; install cargo-zigbuild, which builds for them \
     from anywhere (python3 -m pip install cargo-zigbuild; rustup target add x86_64-unknown-linux-gnu), or build the \
     handler elsewhere and pack it with --handler FILE"
)]
pub struct NoCompiler {
    host: String,
}

/// As Cargo.toml has it: small rather than fast to build.
const PROFILE: &str = "deployed";
/// What OpenSSL takes for its folder: its own default, wherever it is built.
const OPENSSL_DIR: &str = "/usr/local/ssl";
/// The package of the handler, and the program.
pub(crate) const PACKAGE: &str = "keyholder-functions";
pub(crate) const BINARY: &str = "handler";
pub(crate) const GNU: &str = "x86_64-unknown-linux-gnu";
const MUSL: &str = "x86_64-unknown-linux-musl";

impl Machine {
    /// Looks around.
    pub fn look() -> Machine {
        let answers = |command: &mut Command| {
            let quiet = command.stdin(Stdio::null()).stderr(Stdio::null()).output();
            quiet.ok().filter(|output| output.status.success())
        };
        let printed = |command: &mut Command| {
            answers(command).map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        };
        let libraries = printed(Command::new(rustc()).args(["--print", "target-libdir", "--target", MUSL]));
        let version = printed(Command::new(rustc()).arg("-vV")).unwrap_or_default();
        let host = version.lines().find_map(|line| line.strip_prefix("host: "));
        Machine {
            zigbuild: answers(Command::new(cargo()).args(["zigbuild", "--help"])).is_some(),
            musl: libraries.is_some_and(|folder| Path::new(&folder).is_dir())
                && answers(Command::new("musl-gcc").arg("--version")).is_some(),
            host: host.unwrap_or("unknown").to_owned(),
        }
    }
}

impl Compiler {
    /// The best there is. The GNU C library comes before musl, whose allocator is slow with threads.
    pub fn choose(machine: &Machine) -> Result<Compiler, NoCompiler> {
        match machine {
            Machine { zigbuild: true, .. } => Ok(Compiler::Zig),
            Machine { musl: true, .. } => Ok(Compiler::Musl),
            Machine { host, .. } if host == GNU => Ok(Compiler::Host),
            Machine { host, .. } => Err(NoCompiler { host: host.clone() }),
        }
    }

    /// The command that builds the handler, and where it puts it.
    pub fn command(self, repository: &Path) -> (Command, PathBuf) {
        let (build, target) = match self {
            Compiler::Zig => ("zigbuild", format!("{GNU}.{}.{}", OLDEST_GLIBC.major, OLDEST_GLIBC.minor)),
            Compiler::Musl => ("build", MUSL.to_owned()),
            Compiler::Host => ("build", GNU.to_owned()),
        };
        let target_dir = repository.join("target");
        let mut command = Command::new(cargo());
        command
            .current_dir(repository)
            .args([build, "--profile", PROFILE, "--locked", "--package", PACKAGE, "--bin", BINARY])
            .args(["--target", &target, "--target-dir"])
            .arg(&target_dir)
            .env("CARGO_ENCODED_RUSTFLAGS", flags(repository))
            // Ours is inside, whatever this machine's is.
            .env_remove("OPENSSL_NO_VENDOR")
            // OpenSSL is half of the program, and its speed is in assembly.
            .env("CFLAGS", "-Os -fno-asynchronous-unwind-tables")
            // OpenSSL writes into itself when it was built, by which compiler, and where it would be installed: below the
            // build folder. Its makefile is told otherwise; the compiler has another name where the note of it is made.
            // None of these folders is used; it looks for its configuration in the first.
            .env("SOURCE_DATE_EPOCH", "0")
            .env("OPENSSL_CONFIG_DIR", OPENSSL_DIR)
            .env(
                "GNUMAKEFLAGS",
                format!(
                    "ENGINESDIR={OPENSSL_DIR}/engines MODULESDIR={OPENSSL_DIR}/modules \
                     --eval=crypto/buildinf.h:CC=cc"
                ),
            );
        let folder = if self == Compiler::Musl { MUSL } else { GNU };
        (command, target_dir.join(folder).join(PROFILE).join(BINARY))
    }
}

impl fmt::Display for Compiler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Compiler::Zig => write!(f, "cargo zigbuild, for {OLDEST_GLIBC}"),
            Compiler::Musl => write!(f, "Rust's musl target, as a static program"),
            Compiler::Host => write!(f, "Cargo, for this machine's C library"),
        }
    }
}

/// The folders that a build could leave in a program, each with what stands there instead.
pub fn folders(repository: &Path) -> Vec<(PathBuf, &'static str)> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    [(Some(repository.to_owned()), "/keyholder"), (home, "/cargo")]
        .into_iter()
        .filter_map(|(path, name)| Some((path?, name)))
        .collect()
}

/// Where things lie on this machine stays out of the program.
fn flags(repository: &Path) -> OsString {
    let mut flags = OsString::new();
    for (path, name) in folders(repository) {
        if !flags.is_empty() {
            flags.push("\x1f");
        }
        flags.push("--remap-path-prefix=");
        flags.push(path);
        flags.push("=");
        flags.push(name);
    }
    flags
}

/// The one that runs this program, or the one on the path.
pub(crate) fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

pub(crate) fn rustc() -> OsString {
    std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_c_library_is_linked_against_where_that_can_be_done() {
        let machine = |zigbuild, musl, host: &str| Machine { zigbuild, musl, host: host.to_owned() };
        for (machine, expected) in [
            (machine(true, true, GNU), Some(Compiler::Zig)),
            (machine(true, false, "aarch64-apple-darwin"), Some(Compiler::Zig)),
            (machine(false, true, GNU), Some(Compiler::Musl)),
            (machine(false, false, GNU), Some(Compiler::Host)),
            (machine(false, false, "aarch64-unknown-linux-gnu"), None),
        ] {
            let chosen = Compiler::choose(&machine);
            assert_eq!(chosen.as_ref().ok(), expected.as_ref(), "{machine:?}");
            if let Err(nobody) = chosen {
                assert!(nobody.to_string().contains(&machine.host), "{nobody}");
            }
        }
    }

    #[test]
    fn the_command_says_for_which_c_library_and_where_the_program_will_be() {
        for (compiler, build, target, at) in [
            (Compiler::Zig, "zigbuild", "x86_64-unknown-linux-gnu.2.31", GNU),
            (Compiler::Musl, "build", MUSL, MUSL),
            (Compiler::Host, "build", GNU, GNU),
        ] {
            let (command, program) = compiler.command(Path::new("/repository"));
            let arguments: Vec<_> = command.get_args().map(|argument| argument.to_str().unwrap()).collect();
            assert_eq!(arguments[0], build);
            assert!(arguments.windows(2).any(|pair| pair == ["--target", target]), "{arguments:?}");
            assert_eq!(program, Path::new("/repository/target").join(at).join("deployed/handler"));
        }
    }
}
