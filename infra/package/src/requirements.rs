//! What a program asks of the machine it is to run on, read off its bytes.

use std::fmt;

use object::elf::{DT_NEEDED, EM_X86_64, FileHeader64, SHT_SYMTAB};
use object::read::elf::FileHeader;
use object::{Endianness, StringTable};

/// The oldest C library of the Functions images, Debian 11's.
pub const OLDEST_GLIBC: Glibc = Glibc { major: 2, minor: 31 };

/// What every image has. OpenSSL is not among it; that has to be inside.
const LIBRARIES: &[&str] = &[
    "ld-linux-x86-64.so.2",
    "libc.so.6",
    "libdl.so.2",
    "libgcc_s.so.1",
    "libm.so.6",
    "libpthread.so.0",
    "librt.so.1",
];

/// What an x86-64 program for Linux asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirements {
    /// The newest version of the GNU C library that it names; none where it is static.
    pub glibc: Option<Glibc>,
    /// The shared libraries it names.
    pub libraries: Vec<String>,
    /// Whether its symbol table is gone.
    pub is_stripped: bool,
}

/// A version of the GNU C library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Glibc {
    /// 2, for decades.
    pub major: u16,
    /// What changes.
    pub minor: u16,
}

/// Why the bytes are not such a program.
#[derive(Debug, thiserror::Error)]
pub enum NotAProgram {
    /// They are something else.
    #[error("it is not a 64-bit ELF program")]
    NotElf(#[from] object::read::Error),
    /// The program is for another processor.
    #[error("it is for another processor than the Functions images, which are x86-64")]
    OtherProcessor,
}

impl Requirements {
    /// Reads them off a program.
    pub fn read(program: &[u8]) -> Result<Requirements, NotAProgram> {
        let header = FileHeader64::<Endianness>::parse(program)?;
        let endian = header.endian()?;
        if header.e_machine(endian) != EM_X86_64 {
            return Err(NotAProgram::OtherProcessor);
        }
        let sections = header.sections(endian, program)?;

        let dynamic = sections.dynamic_table(endian, program)?;
        let needed = dynamic.iter().filter(|entry| entry.tag == DT_NEEDED);
        let libraries = needed.map(|entry| dynamic.string(entry).map(text)).collect::<Result<_, _>>()?;

        let mut glibc = None;
        if let Some((mut files, link)) = sections.gnu_verneed(endian, program)? {
            let strings: StringTable<'_> = sections.strings(endian, program, link)?;
            while let Some((_, mut versions)) = files.next()? {
                while let Some(version) = versions.next()? {
                    glibc = glibc.max(Glibc::named(&text(version.name(endian, strings)?)));
                }
            }
        }
        let is_stripped = sections.symbols(endian, program, SHT_SYMTAB)?.is_empty();
        Ok(Requirements { glibc, libraries, is_stripped })
    }

    /// The shared libraries that a Functions image may not have.
    pub fn missing_libraries(&self) -> Vec<&str> {
        let names = self.libraries.iter().map(String::as_str);
        names.filter(|name| !LIBRARIES.contains(name)).collect()
    }

    /// Whether the C library of every Functions image is new enough.
    pub fn suits_every_image(&self) -> bool {
        self.glibc.is_none_or(|glibc| glibc <= OLDEST_GLIBC)
    }
}

impl Glibc {
    /// The version in the name of a symbol version: `GLIBC_2.2.5` is of 2.2.
    fn named(name: &str) -> Option<Glibc> {
        // A marker rather than a version: the program counts on relocations that 2.36 was the first to apply.
        if name == "GLIBC_ABI_DT_RELR" {
            return Some(Glibc { major: 2, minor: 36 });
        }
        let mut numbers = name.strip_prefix("GLIBC_")?.split('.').map(str::parse);
        Some(Glibc { major: numbers.next()?.ok()?, minor: numbers.next()?.ok()? })
    }
}

impl fmt::Display for Glibc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "glibc {}.{}", self.major, self.minor)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;

    #[test]
    fn versions_are_found_in_names_of_symbol_versions() {
        let glibc = |major, minor| Some(Glibc { major, minor });
        for (name, expected) in [
            ("GLIBC_2.31", glibc(2, 31)),
            ("GLIBC_2.2.5", glibc(2, 2)),
            ("GLIBC_ABI_DT_RELR", glibc(2, 36)),
            ("GLIBC_PRIVATE", None),
            ("GCC_3.0", None),
        ] {
            assert_eq!(Glibc::named(name), expected, "{name}");
        }
        assert!(glibc(2, 4) < glibc(2, 31), "they are numbers, not text");
    }

    /// binutils, which share no code with us, find the same in this very program.
    #[test]
    #[cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64"))]
    fn readelf_agrees() {
        let program = std::env::current_exe().unwrap();
        let found = Requirements::read(&fs::read(&program).unwrap()).unwrap();
        let mut readelf = Command::new("readelf");
        readelf.args(["--dynamic", "--version-info", "--wide"]).arg(&program);
        let printed = readelf.output().expect("binutils, which the C compiler comes with");
        let printed = String::from_utf8(printed.stdout).unwrap();

        let libraries = printed.lines().filter(|line| line.contains("(NEEDED)"));
        let libraries = libraries.map(|line| line.split(['[', ']']).nth(1).unwrap());
        assert_eq!(found.libraries, libraries.collect::<Vec<_>>());
        let names = printed.lines().filter_map(|line| line.split("Name: ").nth(1)?.split_whitespace().next());
        assert_eq!(found.glibc, names.filter_map(Glibc::named).max());
        assert!(
            found.glibc.is_some() && !found.is_stripped && found.missing_libraries().is_empty(),
            "{found:?}"
        );
    }

    #[test]
    fn what_an_image_may_not_have_is_named() {
        let with = |library: &str, minor| Requirements {
            glibc: Some(Glibc { major: 2, minor }),
            libraries: vec!["libc.so.6".to_owned(), library.to_owned()],
            is_stripped: true,
        };
        assert_eq!(with("libssl.so.3", 30).missing_libraries(), ["libssl.so.3"]);
        assert!(with("libm.so.6", 31).missing_libraries().is_empty());
        assert!(with("libm.so.6", 31).suits_every_image());
        assert!(!with("libm.so.6", 32).suits_every_image());
    }

    #[test]
    fn anything_else_is_refused() {
        for bytes in [&b""[..], b"#!/bin/sh\n", &[0x7f, b'E', b'L', b'F', 2, 1, 1]] {
            assert!(matches!(Requirements::read(bytes), Err(NotAProgram::NotElf(_))), "{bytes:?}");
        }
    }
}
