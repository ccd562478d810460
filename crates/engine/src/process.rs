//! Running commands: captured output, a minimal environment, and an end to all of them on demand.

use std::{
    borrow::Cow,
    collections::HashSet,
    ffi::OsString,
    fmt, fs,
    io::{self, Read, Write},
    os::unix::process::{CommandExt, ExitStatusExt},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use larder_trace::describe_io;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

use crate::sandbox::{Sandbox, SandboxError, View};

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
    pub response_file: Option<PathBuf>,
}

/// How a command ended, and what it printed on both of its outputs, in order.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status.
    pub exit: Exit,
    /// cost
    pub cost: Cost,
    /// What it printed.
    pub output: String,
}

/// Why a command did not run to its end.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The build was interrupted.
    #[error("interrupted")]
    Interrupted,
    /// It could not be started.
    #[error("cannot run `{}`: {reason}", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// Why.
        reason: String,
    },
    /// It could not be confined.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// Talking to it failed.
    #[error("lost `{}` while it ran: {}", program.display(), describe_io(source))]
    Lost {
        /// The program.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Longer command lines go through a response file. Systems allow at least 128 KiB for arguments and
/// environment together.
const COMMAND_LINE_LIMIT: usize = 96 * 1024;

/// The commands that are running.
#[derive(Debug, Default)]
pub struct Processes {
    running: Mutex<HashSet<Pid>>,
    interrupted: AtomicBool,
}

impl Processes {
    fn running(&self) -> MutexGuard<'_, HashSet<Pid>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether [`Self::interrupt`] was called.
    pub fn interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Acquire)
    }

    /// Sends `signal` to every running command and its descendants, and lets no other start.
    pub fn interrupt(&self, signal: Signal) {
        self.interrupted.store(true, Ordering::Release);
        for &process in &*self.running() {
            // It may have ended since; that is what was wanted.
            let _ = rustix::process::kill_process_group(process, signal);
        }
    }

    /// Runs a command to its end, with nothing but a view of the sandbox to see where there is one.
    pub fn run(
        &self,
        spec: &Spec,
        _limits: &crate::action::Limits,
        confined: Option<(&Sandbox, &View)>,
    ) -> Result<Ended, ProcessError> {
        let lost = |source| ProcessError::Lost { program: spec.program.clone(), source };
        let (mut reader, writer) = io::pipe().map_err(lost)?;
        let mut command = spec.command()?;
        command.stdin(Stdio::null()).stdout(writer.try_clone().map_err(lost)?).stderr(writer);
        // A process group of its own: Ctrl-C on the terminal reaches larder, which ends the group.
        command.process_group(0);
        if self.interrupted() {
            return Err(ProcessError::Interrupted);
        }
        let spawned = match confined {
            None => command.spawn(),
            Some((sandbox, view)) => sandbox.confined(view, || command.spawn())?,
        };
        let mut child = spawned.map_err(|error| spec.start_error(&error))?;
        // The command holds the writing ends; the pipe ends when the child and its children do.
        drop(command);
        let process = Pid::from_child(&child);
        self.running().insert(process);
        if self.interrupted() {
            // The interruption came before it was listed, so nobody has told it.
            let _ = rustix::process::kill_process_group(process, Signal::TERM);
        }

        let mut output = Vec::new();
        let read = reader.read_to_end(&mut output);
        // Wait without reaping, so that no other process can have this id while it is listed.
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while matches!(
            rustix::process::waitid(WaitId::Pid(process), options),
            Err(rustix::io::Errno::INTR)
        ) {}
        if confined.is_some() {
            // What a command leaves running ends with it.
            let _ = rustix::process::kill_process_group(process, Signal::KILL);
        }
        self.running().remove(&process);
        let status = child.wait().map_err(lost)?;
        read.map_err(lost)?;
        if self.interrupted() && !status.success() {
            return Err(ProcessError::Interrupted);
        }
        let output = String::from_utf8(output)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        Ok(Ended { exit: Exit(status), output, cost: Cost })
    }
}

impl Spec {
    fn command(&self) -> Result<Command, ProcessError> {
        let mut command = Command::new(&self.program);
        command.current_dir(&self.directory).env_clear();
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let length: usize = self.arguments.iter().map(|argument| argument.len() + 1).sum();
        match &self.response_file {
            Some(file) if length > COMMAND_LINE_LIMIT => {
                write_response_file(file, &self.arguments).map_err(|error| {
                    let reason =
                        format!("cannot write {}: {}", file.display(), describe_io(&error));
                    ProcessError::Start { program: self.program.clone(), reason }
                })?;
                command.arg(format!("@{}", file.display()));
            }
            _ => {
                command.args(&self.arguments);
            }
        }
        Ok(command)
    }

    fn start_error(&self, error: &io::Error) -> ProcessError {
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
            _ => describe_io(error),
        };
        ProcessError::Start { program: self.program.clone(), reason }
    }
}

/// The command line as a shell would take it, without the environment.
impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shell_word(&self.program.to_string_lossy()))?;
        self.arguments.iter().try_for_each(|argument| write!(f, " {}", shell_word(argument)))
    }
}

fn shell_word(word: &str) -> Cow<'_, str> {
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

/// Arguments as GNU and LLVM tools read them from a response file.
fn response_text(arguments: &[String]) -> String {
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

/// What every command has in its environment: where programs and the user's files are, a locale that
/// is the same everywhere, and a directory for temporary files that goes away with the command.
pub fn minimal_environment(temporary: &Path) -> Vec<(String, OsString)> {
    let inherited = ["PATH", "HOME"].into_iter();
    let mut all: Vec<(String, OsString)> =
        inherited.filter_map(|name| Some((name.to_owned(), std::env::var_os(name)?))).collect();
    all.push(("LC_ALL".into(), "C.UTF-8".into()));
    all.push(("TMPDIR".into(), temporary.into()));
    all
}

/// How a command that did not succeed ended, for people.
pub fn describe_failure(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("failed with exit code {code}"),
        (None, Some(signal)) => {
            let name = match signal {
                4 => " (SIGILL)",
                6 => " (SIGABRT)",
                8 => " (SIGFPE)",
                9 => " (SIGKILL: killed, perhaps for want of memory)",
                11 => " (SIGSEGV)",
                13 => " (SIGPIPE)",
                15 => " (SIGTERM)",
                31 => {
                    " (SIGSYS: a system call that is not allowed; in a sandbox, any of a 32-bit program)"
                }
                _ => "",
            };
            format!("was ended by signal {signal}{name}")
        }
        _ => "ended in an unknown way".to_owned(),
    }
}

/// A path as an argument: relative where it is inside the directory the command runs in.
pub fn argument_path(path: &Path, directory: &Path) -> String {
    path.strip_prefix(directory).unwrap_or(path).to_string_lossy().into_owned()
}

/// Placeholder until the runner lands.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cost;
/// How it ended.
#[derive(Debug, Clone, Copy)]
pub struct Exit(ExitStatus);
impl Exit {
    /// Whether it succeeded.
    pub fn success(&self) -> bool {
        self.0.success()
    }
}
impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&describe_failure(self.0))
    }
}
/// A sandbox and what is seen.
pub type Confined<'a> = (&'a Sandbox, &'a View);
