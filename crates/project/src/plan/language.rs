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
}
