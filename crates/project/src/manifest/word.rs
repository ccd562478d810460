//! Meanings of the placeholders of a command.

/// A part of a command's argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// Stands for itself.
    Literal(String),
    /// The first output: `{out}`.
    Out,
    /// All outputs: `{outs}`.
    Outs,
    /// The directory that the outputs are written below: `{outdir}`.
    OutDir,
    /// All declared inputs: `{in}`.
    In,
    /// A file that lists the declared inputs, one a line: `{inlist}`.
    InList,
    /// The package's build directory: `{build}`.
    Build,
    /// The package's directory: `{package}`.
    Package,
    /// A directory for whatever is needed for a while: `{tmp}`.
    Tmp,
    /// Some of the inputs, by position: the outputs of another target.
    Inputs(std::ops::Range<usize>),
}

impl Word {
    /// Returns the meaning of a placeholder that names no target.
    pub fn built_in(name: &str) -> Option<Self> {
        Some(match name {
            "out" => Self::Out,
            "outs" => Self::Outs,
            "outdir" => Self::OutDir,
            "in" => Self::In,
            "inlist" => Self::InList,
            "build" => Self::Build,
            "package" => Self::Package,
            "tmp" => Self::Tmp,
            _ => return None,
        })
    }
}
