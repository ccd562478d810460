//! Languages of sources, by their extensions.

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
}

impl Language {
    /// All languages, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::C, Self::Cxx, Self::Assembly, Self::Plain];

    /// The extensions, for people.
    pub const EXTENSIONS: &str = "sources end in .c, .cc, .cpp, .cxx, .c++, .C, .S, .sx or .s";

    /// Returns the language of the file `path`, if its extension is that of a source.
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
