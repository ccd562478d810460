//! The description of one build of a target: its outputs, the inputs it discovered, and its log.
//!
//! The same description stands in `OUTPUT.trace` files, in the store's mapping entries and in
//! mappings files, so that a restored target and a built one cannot be told apart by content.

use serde::{Deserialize, Serialize};

use crate::ContentHash;

/// A file that a build produced.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OutputFile {
    /// Path in the package's build directory: relative, `/`-separated, without `.` or `..` parts.
    pub path: String,
    /// The hash of the content, byte for byte.
    pub hash: ContentHash,
    /// Length in bytes.
    pub size: u64,
    /// Whether any execute permission bit is set.
    #[serde(default, skip_serializing_if = "is_false")]
    pub executable: bool,
}

/// An input that only the build could name, such as a header read by a compiler.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DiscoveredInput {
    /// A portable path, the same on every machine: `src/a.h` in the package itself, `@zlib/zlib.h`
    /// in a dependency, `<build>/gen.h` in the build directory, `/usr/include/stdio.h` elsewhere.
    /// To the store it is an opaque string.
    pub path: String,
    /// The hash of the content when the build read it.
    pub hash: ContentHash,
}

/// Where a build looked for inputs by name, in directories one after the other, as a compiler looks for
/// headers. A file that appears there later, and would have been found instead of or besides what was
/// found, makes the outputs out of date as much as one that changes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Searched {
    /// Directories, portable as in [`DiscoveredInput`], in the order in which they are searched.
    pub directories: Vec<String>,
    /// Names that were asked for besides those of the discovered inputs, such as by `__has_include`;
    /// sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// The hash of which candidates, of all directories with all names, were there.
    pub found: ContentHash,
}

/// How much a log line matters. Ordered: `Trace < Info < Warning < Error`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Only of interest when larder itself is being looked at, such as the command that was run.
    Trace,
    /// Something the build printed.
    Info,
    /// A compiler's warning.
    Warning,
    /// A compiler's error.
    Error,
}

/// One message of a target's build log, replayed whenever the target is up to date.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogEntry {
    /// How much it matters.
    pub level: Level,
    /// The text as it was printed, possibly of several lines, without a final newline. It may hold colours,
    /// as SGR sequences, which whoever shows it takes out where none are wanted.
    pub message: String,
    /// The same as data, where a tool found something to say about a file or a link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diagnostic: Option<Box<Diagnostic>>,
}

impl LogEntry {
    /// A text that is no diagnostic.
    pub fn text(level: Level, message: impl Into<String>) -> Self {
        Self { level, message: message.into(), diagnostic: None }
    }
}

/// One error or warning of a compiler, an assembler, a linker or any command that speaks like them.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Diagnostic {
    /// The file that it is about: portable as in [`DiscoveredInput`] where that is known, in a record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line in it, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The column in that, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// The message in one line, without colours, place and option.
    pub message: String,
    /// The option that decides whether it is said, such as `-Wunused-variable`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub option: Option<String>,
    /// The object file in which a linker found it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// The function in which a linker found it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
}

/// The outputs of a target, with what else is needed to stand in for building it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outputs {
    /// Every file produced, those inside output directories included, in declaration order and
    /// sorted by path within a directory.
    pub outputs: Vec<OutputFile>,
    /// Output directories and the empty directories inside them, relative as in [`OutputFile`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub directories: Vec<String>,
    /// Inputs found by the build, sorted by path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub discovered: Vec<DiscoveredInput>,
    /// Where the build looked for inputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub searched: Option<Box<Searched>>,
    /// The messages that the build printed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<LogEntry>,
    /// How long the work took that made them, in milliseconds. Not in mappings files, and not in records of
    /// earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub milliseconds: Option<u64>,
}

impl Outputs {
    /// Whether both are the same files and directories, whatever was read and printed.
    pub fn made_the_same(&self, other: &Self) -> bool {
        self.outputs == other.outputs && self.directories == other.directories
    }
}

fn is_false(value: &bool) -> bool {
    !value
}
