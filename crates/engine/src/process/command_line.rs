//! A command as the system takes it: its command line, its environment, and a file of arguments where
//! they are too many.

use std::{
    borrow::Cow,
    ffi::OsString,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use larder_trace::describe_io;

use super::{Budget, Limits, ProcessError};

/// A command to run.
#[derive(Debug, Clone)]
pub struct Spec {
    /// The program, absolute.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// The directory it runs in, absolute.
    pub directory: PathBuf,
    /// The whole of its environment.
    pub environment: Vec<(String, OsString)>,
    /// Where to put arguments that are too many for a command line; the program is then called with
    /// `@FILE`, as compilers, linkers and archivers understand it.
    pub response_file: Option<ResponseFile>,
    /// How much it may take.
    pub limits: Limits,
    /// What it shares an allowance with.
    pub budget: Option<Arc<Budget>>,
    /// Whether it has the terminal: it reads and prints there itself, and belongs to those that Ctrl-C reaches.
    pub terminal: bool,
}

/// A file for arguments that are too many for a command line.
#[derive(Debug, Clone)]
pub struct ResponseFile {
    /// The file.
    pub path: PathBuf,
    /// How many arguments stay before it.
    pub first: usize,
}

/// Longer command lines go through a response file. Systems allow at least 128 KiB for arguments and
/// environment together.
const COMMAND_LINE_LIMIT: usize = 96 * 1024;

impl Spec {
    /// The command, with no input and both outputs as this process has them.
    ///
    /// # Errors
    /// When its response file cannot be written.
    pub(super) fn command(&self) -> Result<Command, ProcessError> {
        let mut command = Command::new(&self.program);
        command.current_dir(&self.directory).env_clear().stdin(Stdio::null());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let length: usize = self.arguments.iter().map(|argument| argument.len() + 1).sum();
        match &self.response_file {
            Some(file) if length > COMMAND_LINE_LIMIT => {
                let (first, rest) = self.arguments.split_at(file.first.min(self.arguments.len()));
                let file = &file.path;
                write_response_file(file, rest).map_err(|error| {
                    let reason =
                        format!("cannot write {}: {}", file.display(), describe_io(&error));
                    ProcessError::Start { program: self.program.clone(), reason }
                })?;
                command.args(first).arg(format!("@{}", file.display()));
            }
            _ => {
                command.args(&self.arguments);
            }
        }
        Ok(command)
    }

    /// A variable that only this command and what it starts begin with, as `NAME=VALUE`: each has a directory for
    /// temporary files of its own.
    pub(super) fn mark(&self) -> Option<String> {
        let (name, value) = self.environment.iter().rfind(|(name, _)| name == "TMPDIR")?;
        Some(format!("{name}={}", value.to_str()?))
    }

    /// Says why it could not be started.
    pub(super) fn start_error(&self, error: &io::Error) -> ProcessError {
        let reason = match error.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
            Some(rustix::io::Errno::TOOBIG) => {
                "its command line is too long; have it read the file list that {inlist} names"
                    .to_owned()
            }
            Some(rustix::io::Errno::NOENT) if !self.directory.is_dir() => {
                format!("the directory {} is not there", self.directory.display())
            }
            Some(rustix::io::Errno::NOENT) => {
                "no such program (or its interpreter is missing)".to_owned()
            }
            Some(rustix::io::Errno::ACCESS) => "it is not an executable file".to_owned(),
            Some(rustix::io::Errno::AGAIN) => "the system allows no more processes".to_owned(),
            _ => describe_io(error),
        };
        ProcessError::Start { program: self.program.clone(), reason }
    }
}

/// A word as a shell takes it.
pub fn shell_word(word: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-+=./,:@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.into();
    }
    format!("'{}'", word.replace('\'', r"'\''")).into()
}

/// Writes a new file: an earlier command of the same step may have left a link in its place.
fn write_response_file(file: &Path, arguments: &[String]) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::File::create_new(file)?.write_all(response_text(arguments).as_bytes())
}

/// Returns arguments as GNU and LLVM tools read them from a response file.
pub fn response_text(arguments: &[String]) -> String {
    let mut text = String::new();
    for argument in arguments {
        text.push('"');
        for c in argument.chars() {
            if matches!(c, '"' | '\\') {
                text.push('\\');
            }
            text.push(c);
        }
        text.push_str("\"\n");
    }
    text
}

/// A path as an argument: relative where it is inside the directory the command runs in.
pub fn argument_path(path: &Path, directory: &Path) -> String {
    path.strip_prefix(directory).unwrap_or(path).to_string_lossy().into_owned()
}
