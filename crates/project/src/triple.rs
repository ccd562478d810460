//! Triples: the machines that something can be built for, as compilers and people call them.

use std::{fmt, str::FromStr};

use crate::{name::is_name, setting::Platform};

/// A machine that something is built for: `aarch64-linux-gnu`, `x86_64-unknown-linux-gnu`,
/// `x86_64-w64-mingw32`. Two spellings of one machine are equal.
#[derive(Debug, Clone)]
pub struct Triple {
    /// As it was written.
    text: String,
    /// The processor, by one name for all spellings: `i686`, `powerpc64le`.
    machine: String,
    /// The operating system, as conditions call it.
    system: String,
    /// What tells programs of one system apart: `gnu`, `musl`, `gnueabihf`.
    abi: String,
}

/// Names of processors, with the name of each for conditions; one that ends in `*` stands for all that begin so.
const PROCESSORS: &[(&str, &str)] = &[
    ("x86_64", "x86_64"),
    ("i686", "x86"),
    ("aarch64*", "aarch64"),
    ("arm*", "arm"),
    ("thumb*", "arm"),
    ("riscv64*", "riscv64"),
    ("riscv32*", "riscv32"),
    ("powerpc64*", "powerpc64"),
    ("powerpc*", "powerpc"),
    ("mips64*", "mips64"),
    ("mips*", "mips"),
    ("s390x", "s390x"),
    ("sparc64", "sparc64"),
    ("loongarch64", "loongarch64"),
    ("m68k", "m68k"),
    ("wasm32", "wasm32"),
];

/// Other names of processors.
const OTHER_NAMES: &[(&str, &str)] = &[
    ("amd64", "x86_64"),
    ("arm64", "aarch64"),
    ("i386", "i686"),
    ("i486", "i686"),
    ("i586", "i686"),
    ("ppc64le", "powerpc64le"),
    ("ppc64", "powerpc64"),
    ("ppc", "powerpc"),
    ("riscv64gc", "riscv64"),
    ("riscv32gc", "riscv32"),
    ("s390", "s390x"),
    ("sparcv9", "sparc64"),
];

/// Beginnings of the names of systems, and how conditions call these; `none` is a machine without one.
const SYSTEMS: &[(&str, &str)] = &[
    ("linux", "linux"),
    ("mingw", "windows"),
    ("windows", "windows"),
    ("darwin", "macos"),
    ("macos", "macos"),
    ("ios", "ios"),
    ("freebsd", "freebsd"),
    ("netbsd", "netbsd"),
    ("openbsd", "openbsd"),
    ("dragonfly", "dragonfly"),
    ("solaris", "solaris"),
    ("illumos", "illumos"),
    ("haiku", "haiku"),
    ("aix", "aix"),
    ("wasi", "wasi"),
    ("emscripten", "emscripten"),
    ("none", "none"),
    ("elf", "none"),
    ("eabi", "none"),
];

impl Triple {
    /// Returns the platform, as conditions know it.
    pub fn platform(&self) -> Platform {
        let arch = processor(&self.machine).unwrap_or(&self.machine);
        Platform { os: self.system.clone(), arch: arch.to_owned() }
    }

    /// Returns the beginnings of the names of tools for it, in the order in which they are looked for:
    /// `aarch64-linux-gnu` in `aarch64-linux-gnu-gcc`. The last is how the tools' makers spell it.
    pub fn prefixes(&self) -> Vec<String> {
        let machine = if self.machine.starts_with("arm") { "arm" } else { &self.machine };
        let usual = match self.system.as_str() {
            "linux" => Some(format!("{machine}-linux-{}", self.abi)),
            "windows" if self.abi == "gnu" => Some(format!("{machine}-w64-mingw32")),
            _ => None,
        };
        let mut all = vec![self.text.clone()];
        all.extend(usual.filter(|usual| *usual != self.text));
        all
    }

    /// Returns how Clang is told of it: as the linker for it is called, since Clang looks for that by this name. Which ARM
    /// it is, only the name as it is written says.
    pub fn for_clang(&self) -> String {
        let usual = self.prefixes().pop().filter(|_| !self.machine.starts_with("arm"));
        usual.unwrap_or_else(|| self.text.clone())
    }

    /// Whether a compiler that says that it compiles for `other` compiles for this. Which ARM it is, arguments
    /// say.
    pub fn is_made_by(&self, other: &Self) -> bool {
        self.platform() == other.platform()
            && self.abi == other.abi
            && (self.platform().arch == "arm" || self.machine == other.machine)
    }
}

/// The name of a processor for conditions.
fn processor(machine: &str) -> Option<&'static str> {
    let is = |known: &str| match known.strip_suffix('*') {
        Some(start) => machine.starts_with(start),
        None => machine == known,
    };
    PROCESSORS.iter().find(|(known, _)| is(known)).map(|(_, name)| *name)
}

/// The name of a system for conditions.
fn system(part: &str) -> Option<&'static str> {
    SYSTEMS.iter().find(|(start, _)| part.starts_with(start)).map(|(_, name)| *name)
}

impl FromStr for Triple {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: String| {
            format!(
                "{why}; a target is written PROCESSOR-SYSTEM-ABI, such as aarch64-linux-gnu, \
                 x86_64-w64-mingw32 or riscv64-unknown-linux-gnu"
            )
        };
        // It names directories and programs.
        if !is_name(text) {
            return Err(wrong(format!("`{text}` is no target")));
        }
        let parts: Vec<&str> = text.split('-').collect();
        let [machine, rest @ ..] = &parts[..] else { return Err(wrong(String::new())) };
        let lower = machine.to_ascii_lowercase();
        let other = OTHER_NAMES.iter().find(|(other, _)| *other == lower);
        let machine = other.map_or(lower.as_str(), |(_, name)| name).to_owned();
        if processor(&machine).is_none() {
            return Err(wrong(format!("`{text}` begins with no processor that larder knows")));
        }
        // What comes before the system is the vendor. A machine without a system may be `unknown`.
        let found = rest.iter().enumerate().find_map(|(at, part)| Some((at, system(part)?)));
        let (at, mut system) = match (found, rest.last()) {
            (Some(found), _) => found,
            (None, Some(&"unknown")) => (rest.len() - 1, "none"),
            _ => return Err(wrong(format!("`{text}` names no system that larder knows"))),
        };
        let mut abi = match rest.get(at + 1..).unwrap_or_default() {
            [] => String::new(),
            parts => parts.join("-"),
        };
        if abi.starts_with("android") {
            system = "android";
            "android".clone_into(&mut abi);
        }
        if abi.is_empty() {
            abi = match system {
                "linux" | "windows" => "gnu".to_owned(),
                "none" => rest[at].replace("unknown", "").replace("none", ""),
                _ => String::new(),
            };
        }
        Ok(Self { text: text.to_owned(), machine, system: system.to_owned(), abi })
    }
}

impl PartialEq for Triple {
    fn eq(&self, other: &Self) -> bool {
        let parts =
            |triple: &Self| [&triple.machine, &triple.system, &triple.abi].map(Clone::clone);
        parts(self) == parts(other)
    }
}

impl Eq for Triple {}

/// As it was written.
impl fmt::Display for Triple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn triple(text: &str) -> Triple {
        text.parse().unwrap()
    }

    #[test]
    fn platforms_of_triples() {
        for (text, os, arch) in [
            ("aarch64-linux-gnu", "linux", "aarch64"),
            ("aarch64-unknown-linux-musl", "linux", "aarch64"),
            ("arm64-apple-darwin23.1.0", "macos", "aarch64"),
            ("x86_64-w64-mingw32", "windows", "x86_64"),
            ("x86_64-pc-windows-gnu", "windows", "x86_64"),
            ("i686-w64-mingw32", "windows", "x86"),
            ("i386-linux-gnu", "linux", "x86"),
            ("riscv64gc-unknown-linux-gnu", "linux", "riscv64"),
            ("arm-linux-gnueabihf", "linux", "arm"),
            ("thumbv7em-none-eabihf", "none", "arm"),
            ("arm-none-eabi", "none", "arm"),
            ("riscv32-unknown-elf", "none", "riscv32"),
            ("wasm32-unknown-unknown", "none", "wasm32"),
            ("wasm32-wasi", "wasi", "wasm32"),
            ("wasm32-unknown-emscripten", "emscripten", "wasm32"),
            ("powerpc64le-linux-gnu", "linux", "powerpc64"),
            ("aarch64-linux-android21", "android", "aarch64"),
            ("x86_64-unknown-freebsd13", "freebsd", "x86_64"),
        ] {
            let platform = triple(text).platform();
            assert_eq!((platform.os.as_str(), platform.arch.as_str()), (os, arch), "{text}");
        }
    }

    #[test]
    fn what_is_no_triple() {
        for (text, why) in [
            ("", "is no target"),
            ("aarch64", "names no system"),
            ("foo-linux-gnu", "begins with no processor"),
            ("aarch64-foo-bar", "names no system"),
            ("../x86_64-linux-gnu", "is no target"),
            ("x86_64-linux-gnu/..", "is no target"),
            ("linux-x86_64", "begins with no processor"),
        ] {
            let said = text.parse::<Triple>().unwrap_err();
            assert!(said.contains(why) && said.contains("aarch64-linux-gnu"), "{text}: {said}");
        }
    }

    #[test]
    fn one_machine_has_several_spellings() {
        for (one, other) in [
            ("aarch64-linux-gnu", "aarch64-unknown-linux-gnu"),
            ("x86_64-w64-mingw32", "x86_64-pc-windows-gnu"),
            ("i386-linux-gnu", "i686-pc-linux-gnu"),
            ("amd64-linux-gnu", "x86_64-linux"),
        ] {
            assert_eq!(triple(one), triple(other));
            assert!(triple(one).is_made_by(&triple(other)));
        }
        for (one, other) in [
            ("aarch64-linux-gnu", "aarch64-linux-musl"),
            ("x86_64-w64-mingw32", "x86_64-pc-windows-msvc"),
            ("powerpc64-linux-gnu", "powerpc64le-linux-gnu"),
            ("x86_64-linux-gnu", "i686-linux-gnu"),
        ] {
            assert_ne!(triple(one), triple(other));
            assert!(!triple(one).is_made_by(&triple(other)));
        }
        // What the processor of a family is, arguments say.
        assert!(triple("armv7-unknown-linux-gnueabihf").is_made_by(&triple("arm-linux-gnueabihf")));
    }

    #[test]
    fn names_of_tools() {
        let prefixes = |text: &str| triple(text).prefixes().join(" ");
        assert_eq!(prefixes("aarch64-linux-gnu"), "aarch64-linux-gnu");
        assert_eq!(
            prefixes("riscv64gc-unknown-linux-gnu"),
            "riscv64gc-unknown-linux-gnu riscv64-linux-gnu"
        );
        assert_eq!(prefixes("x86_64-pc-windows-gnu"), "x86_64-pc-windows-gnu x86_64-w64-mingw32");
        assert_eq!(
            prefixes("armv7-unknown-linux-gnueabihf"),
            "armv7-unknown-linux-gnueabihf arm-linux-gnueabihf"
        );
        assert_eq!(prefixes("wasm32-unknown-unknown"), "wasm32-unknown-unknown");
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "[a-z0-9_./-]{0,30}|(x86_64|arm|wasm32)(-[a-z]{0,8}){0,4}") {
            if let Ok(triple) = text.parse::<Triple>() {
                prop_assert_eq!(triple.to_string(), text);
                prop_assert!(!triple.prefixes().is_empty());
            }
        }
    }
}
