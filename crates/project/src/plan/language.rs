//! Languages of sources, by their extensions.

use crate::manifest::Toolchain;

/// How a source file is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Language {
    /// C.
    C,
    /// C++.
    Cxx,
    /// Assembly that is preprocessed.
    Assembly,
    /// Assembly as it is.
    Plain,
    /// Assembly for the assembler that `[toolchain]` names.
    Asm,
}

impl Language {
    /// All languages, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::C, Self::Cxx, Self::Assembly, Self::Plain, Self::Asm];

    /// The extensions, for people.
    pub const EXTENSIONS: &str = "sources end in .c, .cc, .cpp, .cxx, .c++, .C, .S, .sx or .s";

    /// What those are told whose assembly needs an assembler that they have not named.
    const ASSEMBLER: &str = "name what assembles it: [toolchain] asm = \"nasm\"";

    /// Returns the language of the file `path` in a package with `toolchain`, if its extension is that of a
    /// source there.
    pub fn with(toolchain: &Toolchain, path: &str) -> Option<Self> {
        let asm = || toolchain.asm.is_some() && Self::is_asm(path);
        Self::of(path).or_else(|| asm().then_some(Self::Asm))
    }

    /// Returns what makes a source of the file or pattern `path`, for people.
    pub fn help(path: &str) -> &'static str {
        if Self::is_asm(path) { Self::ASSEMBLER } else { Self::EXTENSIONS }
    }

    /// Whether the file `path` is assembly that no compiler takes, by its extension.
    pub fn is_asm(path: &str) -> bool {
        matches!(path.rsplit_once('.'), Some((_, "asm" | "nasm")))
    }

    /// Returns the language of the file `path`, if its extension is that of a source for a compiler.
    pub fn of(path: &str) -> Option<Self> {
        Some(match path.rsplit_once('.')?.1 {
            "c" => Self::C,
            "cc" | "cpp" | "cxx" | "c++" | "C" => Self::Cxx,
            "S" | "sx" => Self::Assembly,
            "s" => Self::Plain,
            _ => return None,
        })
    }

    /// Whether the preprocessor sees a source first, with the macros that are defined for it.
    pub fn is_preprocessed(self) -> bool {
        self != Self::Plain
    }
}
