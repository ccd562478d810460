//! Is it up to date, and if not, build it, for programs of one's own: Lake's `checkHashUpToDate`,
//! `buildUnlessUpToDate` and `buildFileUnlessUpToDate`.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rustix::fs::CWD;

use crate::{
    BuildMetadata, BuildTrace, Content, ContentHash, DiscoveredInput, FileStat, Hashed, Level,
    LogEntry, MTime, OutputFile, Outputs, Searched, begin_trace_file,
    check::{Expected, Files, OutOfDate, Times, UpToDate, Wanted, check},
    clear_file_hash, clear_trace_file, describe_io, fetch_file_trace,
    look::look,
    read_trace_file, write_trace_file,
};

/// Settings: which records to trust, and whether to build.
#[derive(Debug, Clone, Copy, Default)]
pub struct Policy {
    /// Trust no saved hash (`--rehash`).
    pub rehash: bool,
    /// An output newer than its inputs counts as up to date though its trace differs (`--old`).
    pub old: bool,
    /// Build nothing: what is out of date is an error (`--no-build`).
    pub no_build: bool,
}

/// Whether a build ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing to do; the log of the build that made it was replayed.
    UpToDate,
    /// It was out of date and was built.
    Built,
}

/// Why a build did not give an up-to-date output.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// `no_build` is set and this trace file's outputs are out of date.
    #[error("{} is out of date, and building is turned off", .0.display())]
    OutOfDate(PathBuf),
    /// The build said that it failed; what it has to say besides is in the log.
    #[error("{0}")]
    Failed(String),
    /// A file could not be read, written or removed.
    #[error("{}: {}", path.display(), describe_io(source))]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

/// The messages of a build, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuildLog(pub Vec<LogEntry>);

impl BuildLog {
    /// Adds a message; an empty one says nothing and is left out.
    pub fn push(&mut self, level: Level, message: impl Into<String>) {
        let message = message.into();
        if !message.is_empty() {
            self.0.push(LogEntry::text(level, message));
        }
    }
}

/// Whether every one of `outputs` is up to date (Lake's `checkHashUpToDate`): `dep_hash`, the hash
/// they were built from, is that of `dep_trace` and they exist; else, in `old` mode, the oldest of
/// them is newer than `old_trace` (by default the modification time of `dep_trace`).
pub fn check_hash_up_to_date(
    outputs: &[impl AsRef<Path>],
    dep_trace: &BuildTrace,
    dep_hash: Option<ContentHash>,
    old_trace: Option<MTime>,
    policy: Policy,
) -> bool {
    let Some(oldest) = oldest_mtime(outputs) else { return false };
    dep_hash == Some(dep_trace.hash())
        || policy.old && oldest > old_trace.unwrap_or(dep_trace.mtime())
}

/// The modification time of the oldest output; `None` when one of them is not there.
fn oldest_mtime(outputs: &[impl AsRef<Path>]) -> Option<MTime> {
    let mut oldest = MTime(i64::MAX);
    for output in outputs {
        oldest = oldest.min(MTime::from(&fs::metadata(output).ok()?));
    }
    Some(oldest)
}

/// Builds `outputs` with `build` unless they are up to date with `dep_trace`.
///
/// - The trace file's hash is that of `dep_trace` and the outputs are what it says: its log is
///   replayed into `log`, nothing is built. Otherwise, in `old` mode, outputs newer than the inputs
///   are taken.
/// - There is no trace file: outputs newer than every input are taken as they are, though not
///   directories. No log is replayed.
/// - The trace file says that a build was begun and did not finish: built, whatever the times say.
/// - The trace file is damaged: built, but in `old` mode, where it counts as none.
/// - Otherwise built. On success the trace file records `dep_trace`, the outputs, the discovered
///   inputs that `build` returns, and what it logged. On failure outputs and trace file are removed.
///
/// The directory of the trace file is made where it is missing. Before that file says that a build
/// was begun, nothing is removed.
///
/// Discovered inputs are checked against their recorded hashes, relative paths from the current
/// directory; one that changed or is gone makes the outputs out of date. Every file is read: of a
/// directory only its being there is checked.
pub fn build_unless_up_to_date(
    outputs: &[impl AsRef<Path>],
    dep_trace: &BuildTrace,
    trace_file: &Path,
    policy: Policy,
    log: &mut BuildLog,
    build: impl FnOnce(&mut BuildLog) -> Result<Vec<DiscoveredInput>, BuildError>,
) -> Result<Outcome, BuildError> {
    let directory = trace_file.parent().unwrap_or(Path::new(""));
    if let Ok(fresh) = look_up(outputs, dep_trace, trace_file, policy) {
        log.0.extend(fresh.record.log);
        return Ok(Outcome::UpToDate);
    }
    if policy.no_build {
        return Err(BuildError::OutOfDate(trace_file.to_owned()));
    }
    at(directory, fs::create_dir_all(directory))?;
    at(trace_file, begin_trace_file(trace_file))?;
    let mut own = BuildLog::default();
    let result = build(&mut own).and_then(|discovered| {
        let record = describe(outputs, directory, discovered, own.0.clone())?;
        at(trace_file, write_trace_file(trace_file, &BuildMetadata::new(dep_trace, record, false)))
    });
    log.0.extend(own.0);
    if let Err(error) = result {
        for output in outputs {
            remove_output(output.as_ref());
        }
        let _ = clear_trace_file(trace_file);
        return Err(error);
    }
    Ok(Outcome::Built)
}

/// Checks the outputs beside their trace file.
fn look_up(
    outputs: &[impl AsRef<Path>],
    dep_trace: &BuildTrace,
    trace_file: &Path,
    policy: Policy,
) -> Result<UpToDate, OutOfDate> {
    let directory = trace_file.parent().unwrap_or(Path::new(""));
    let names: Vec<String> =
        outputs.iter().map(|output| recorded_path(output.as_ref(), directory)).collect();
    let expected = names.iter().zip(outputs).map(|(name, output)| match output.as_ref().is_dir() {
        true => Expected::Directory(name),
        false => Expected::File(name),
    });
    let wanted = Wanted {
        dep_hash: dep_trace.hash(),
        newest: dep_trace.mtime(),
        unrecorded: MTime::NONE,
        outputs: &expected.collect::<Vec<_>>(),
        times: if policy.old { Times::Old } else { Times::Untraced },
    };
    check(read_trace_file(trace_file), &wanted, &PlainFiles { directory })
}

/// Files as they are on disk, each read when it is asked for. Outputs are relative to `directory`,
/// discovered inputs to the current one.
struct PlainFiles<'a> {
    directory: &'a Path,
}

impl Files for PlainFiles<'_> {
    fn output(&self, path: &str) -> io::Result<Hashed> {
        look(CWD, self.directory.join(path), Content::Binary)
    }

    fn is_directory(&self, path: &str) -> bool {
        self.directory.join(path).is_dir()
    }

    fn discovered(&self, path: &str) -> Option<Hashed> {
        look(CWD, path, Content::of_source(path)).ok()
    }

    fn finds_the_same(&self, _: &Searched, _: &Outputs) -> bool {
        // Nothing that is built here says where it searched.
        false
    }
}

/// [`build_unless_up_to_date`] for one file, whose trace file is `FILE.trace`: clears the file's
/// saved hash before building, returns its trace after.
pub fn build_file_unless_up_to_date(
    file: &Path,
    content: Content,
    dep_trace: &BuildTrace,
    policy: Policy,
    log: &mut BuildLog,
    build: impl FnOnce(&mut BuildLog) -> Result<Vec<DiscoveredInput>, BuildError>,
) -> Result<BuildTrace, BuildError> {
    let mut trace_file = file.as_os_str().to_owned();
    trace_file.push(".trace");
    let trace_file = PathBuf::from(trace_file);
    build_unless_up_to_date(&[file], dep_trace, &trace_file, policy, log, |log| {
        at(file, clear_file_hash(file))?;
        build(log)
    })?;
    at(file, fetch_file_trace(file, content, policy.rehash))
}

/// The path by which a trace file in `directory` knows an output.
fn recorded_path(output: &Path, directory: &Path) -> String {
    output.strip_prefix(directory).unwrap_or(output).to_string_lossy().into_owned()
}

/// The record of `outputs` as they stand; a missing one is the build's failure.
fn describe(
    outputs: &[impl AsRef<Path>],
    directory: &Path,
    discovered: Vec<DiscoveredInput>,
    log: Vec<LogEntry>,
) -> Result<Outputs, BuildError> {
    let mut record = Outputs { discovered, log, ..Outputs::default() };
    for output in outputs {
        let output = output.as_ref();
        let path = recorded_path(output, directory);
        match look(CWD, output, Content::Binary) {
            Ok(Hashed { hash, stat: FileStat { size, executable, .. } }) => {
                record.outputs.push(OutputFile { path, hash, size, executable });
            }
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
                record.directories.push(path);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let message = format!("the build did not write {}", output.display());
                return Err(BuildError::Failed(message));
            }
            Err(source) => return Err(BuildError::Io { path: output.to_owned(), source }),
        }
    }
    Ok(record)
}

fn remove_output(path: &Path) {
    if fs::remove_file(path).is_err() {
        let _ = fs::remove_dir_all(path);
    }
}

fn at<T>(path: &Path, result: io::Result<T>) -> Result<T, BuildError> {
    result.map_err(|source| BuildError::Io { path: path.to_owned(), source })
}
