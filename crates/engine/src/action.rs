//! Actions: one command as plain data.
//!
//! An action can be printed, compared, hashed and sent to another machine. It holds no path of this
//! machine: files have portable names (`src/a.c` in the action's package, `@zlib/zlib.h` in another,
//! `<build>/gen.h` in a build directory), programs have a name and an identity. Where files lie, and
//! with it how arguments read, is the business of the [`executor`](crate::executor).

use std::{collections::BTreeMap, fmt};

pub use larder_project::manifest::Output;
use larder_project::path::PortablePath;
use larder_trace::ContentHash;
use serde::Serialize;

use crate::process::Limits;

/// One command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Action {
    /// The package to which its names of files belong.
    pub package: String,
    /// The directory that it runs in.
    #[serde(skip_serializing_if = "RunsIn::is_usual")]
    pub runs_in: RunsIn,
    /// The program.
    pub program: Program,
    /// Further programs that it may run.
    pub tools: Vec<Program>,
    /// Its arguments.
    pub arguments: Vec<Argument>,
    /// Its environment besides the minimal one that every action has.
    pub environment: BTreeMap<String, Variable>,
    /// The files and directories that it may read, with their hashes.
    pub inputs: BTreeMap<PortablePath, ContentHash>,
    /// Directories in which it looks for further inputs.
    pub searched: Vec<PortablePath>,
    /// The further files that it may read. Nobody looks before an action is for another machine.
    #[serde(skip_serializing_if = "MayRead::is_usual")]
    pub may_read: MayRead,
    /// The files and directories that it writes.
    pub outputs: Vec<Output>,
    /// How it tells of further inputs.
    pub discovery: Discovery,
    /// Where arguments that are too long for a command line may come from a response file, as compilers,
    /// linkers and archivers read them (`@FILE`): how many of them stay before it.
    pub response_file: Option<usize>,
    /// How much it may take.
    pub limits: Limits,
    /// What there is to do around a command that writes its outputs where they belong, by names in its own
    /// text. All others write where they are told to, and their outputs are moved into place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_place: Option<InPlace>,
}

/// What there is to do around a command that writes its outputs where they belong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InPlace {
    /// A file to write before it runs, and what that holds.
    pub response_file: Option<(PortablePath, Argument)>,
    /// Whether that file stays after a success.
    pub keep_response_file: bool,
    /// How it tells of further inputs.
    pub telling: Telling,
    /// Whether it has the terminal.
    pub terminal: bool,
    /// The files that it may reach in a sandbox besides its inputs and tools. None where it is not to be confined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reach: Option<Reach>,
}

/// The files that a confined command which writes its outputs where they belong may reach besides its inputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reach {
    /// Where its build statement stands, for people.
    pub statement: String,
    /// Files and directories that have to be there before it runs.
    pub beside: Vec<PortablePath>,
    /// The directories that it may write in: those of its outputs.
    pub directories: Vec<PortablePath>,
    /// What else it may read.
    pub reading: Reading,
}

/// The files that a confined command may read though nothing declares them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Reading {
    /// None.
    Nothing,
    /// Those in the directories that it writes in: it is a tool that reads what it has written.
    Written,
    /// All in the trees of the build: it tells of what it reads.
    Trees,
}

/// How a command that writes its outputs where they belong tells of further inputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Telling {
    /// It does not.
    Nothing,
    /// It writes a file in Make's syntax.
    Depfile {
        /// That file.
        path: PortablePath,
        /// Whether it stays.
        keep: bool,
    },
    /// A linker writes a list of what it reads, beside its temporary files.
    Linker,
    /// It prints lines with this beginning, each with a file that it reads. They are no part of what it says.
    Printed(String),
}

/// The files that an action may read besides its inputs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum MayRead {
    /// It tells when it has run, or reads none.
    #[default]
    Told,
    /// No others than these.
    These(Vec<PortablePath>),
    /// Others that nothing finds out but running it here, for this reason.
    Unknown(String),
}

impl MayRead {
    /// Whether nobody has looked, as is usual.
    fn is_usual(&self) -> bool {
        *self == Self::Told
    }
}

/// A directory that an action runs in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum RunsIn {
    /// Its package's.
    #[default]
    Package,
    /// That which its outputs, and whatever is temporary, are written below.
    Scratch,
}

impl RunsIn {
    /// Whether it is the package's, where actions run as a rule.
    fn is_usual(&self) -> bool {
        *self == Self::Package
    }
}

/// A program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Program {
    /// A tool of the machine: its name, and the hash of its trace.
    Tool {
        /// The file name, such as `cc`.
        name: String,
        /// The hash of all that makes it what it is.
        identity: ContentHash,
    },
    /// A file of a package or of a build directory.
    File(PortablePath),
    /// A path put together from pieces; a relative one starts where the action runs.
    Path(Argument),
}

/// One argument: its pieces, one after the other.
pub type Argument = Vec<Piece>;

/// A piece of an argument.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Piece {
    /// Stands for itself.
    Text(String),
    /// The path of a file or directory: relative to the package's directory if it is the package's own,
    /// else absolute. For actions that run there.
    Path(PortablePath),
    /// The absolute path of a file or directory.
    Absolute(PortablePath),
    /// The path to write an output to, by its position among the outputs.
    Output(usize),
    /// The path of the directory that outputs are written below: absolute.
    OutputDirectory,
    /// The path of the depfile that the command is to write.
    Depfile,
    /// The path of the depfile that the linker is to write which the command calls.
    LinkerDepfile,
    /// The path of a file that lists these files, one a line: absolute.
    List(Vec<PortablePath>),
    /// The path of a file with this name and this text.
    File {
        /// Its name.
        name: String,
        /// All that is in it.
        text: String,
    },
}

/// The value of an environment variable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Variable {
    /// This text.
    Text(String),
    /// A text with paths in it.
    Pieces(Argument),
    /// The value that larder's own environment has, known by its hash: it may be a secret.
    Passed(ContentHash),
}

/// How an action tells of inputs that nobody declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Discovery {
    /// It reads nothing but its inputs.
    None,
    /// A compiler writes a depfile in Make's syntax. One that is missing is an error.
    Compiler,
    /// A linker does, in which rules follow that name each file again.
    Linker,
    /// A compiler and the linker that it calls write one each.
    CompilerAndLinker,
    /// A compiler does that only lists headers, however that ends. Names in it of what is not there are
    /// those of headers that it looked for.
    Headers,
}

impl Action {
    /// Returns the hash of all of it: equal actions, wherever they were made, have one digest.
    pub fn digest(&self) -> ContentHash {
        // Plain data with string keys always serialises.
        ContentHash::of_bytes(&serde_json::to_vec(self).unwrap_or_default())
    }
}

/// An argument that stands for itself.
pub fn text(text: impl Into<String>) -> Argument {
    vec![Piece::Text(text.into())]
}

/// The command line with portable names: for people and tests, not for a shell.
impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.program {
            Program::Tool { name, .. } => f.write_str(name)?,
            Program::File(path) => write!(f, "{path}")?,
            Program::Path(pieces) => self.show(pieces, f)?,
        }
        self.arguments.iter().try_for_each(|argument| {
            f.write_str(" ")?;
            self.show(argument, f)
        })
    }
}

impl Action {
    fn show(&self, argument: &Argument, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        argument.iter().try_for_each(|piece| match piece {
            Piece::Text(text) => f.write_str(text),
            Piece::Path(path) => write!(f, "{path}"),
            Piece::Absolute(path) => write!(f, "{{{path}}}"),
            Piece::Output(position) => match self.outputs.get(*position) {
                Some(output) => write!(f, "<build>/{}", output.path),
                None => write!(f, "<output {position}>"),
            },
            Piece::OutputDirectory => f.write_str("<build>"),
            Piece::Depfile => f.write_str("<depfile>"),
            Piece::LinkerDepfile => f.write_str("<linker's depfile>"),
            Piece::List(paths) => write!(f, "<list of {}>", paths.len()),
            Piece::File { name, .. } => write!(f, "<{name}>"),
        })
    }
}
