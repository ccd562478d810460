//! Is it up to date, and if not, build it: Lake's `checkHashUpToDate`, `buildUnlessUpToDate` and
//! `buildFileUnlessUpToDate`.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    BuildMetadata, BuildTrace, Content, ContentHash, DiscoveredInput, Level, LogEntry, MTime,
    OutputFile, Outputs, TraceFile, begin_trace_file, clear_file_hash, clear_trace_file,
    compute_file_hash, describe_io, fetch_file_trace, read_trace_file, write_trace_file,
};

/// What may be trusted and what may be done.
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
        /// What the system said.
        source: io::Error,
    },
}

/// What a build prints, message by message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuildLog(pub Vec<LogEntry>);

impl BuildLog {
    /// Adds a message; an empty one says nothing and is left out.
    pub fn push(&mut self, level: Level, message: impl Into<String>) {
        let message = message.into();
        if !message.is_empty() {
            self.0.push(LogEntry { level, message });
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
/// - The trace file's hash is that of `dep_trace` and the outputs are there: its log is replayed into
///   `log`, nothing is built. Otherwise, in `old` mode, outputs newer than the inputs are taken.
/// - There is no trace file, or none that can be read: outputs newer than every input are taken as
///   they are. No log is replayed.
/// - The trace file says that a build was begun and did not finish: built, whatever the times say.
/// - Otherwise built. On success the trace file records `dep_trace`, the outputs, the discovered
///   inputs that `build` returns, and what it logged. On failure outputs and trace file are removed.
///
/// Discovered inputs are checked against their recorded hashes, relative paths from the current
/// directory; one that changed or is gone makes the outputs out of date.
pub fn build_unless_up_to_date(
    outputs: &[impl AsRef<Path>],
    dep_trace: &BuildTrace,
    trace_file: &Path,
    policy: Policy,
    log: &mut BuildLog,
    build: impl FnOnce(&mut BuildLog) -> Result<Vec<DiscoveredInput>, BuildError>,
) -> Result<Outcome, BuildError> {
    match read_trace_file(trace_file) {
        TraceFile::Finished(old) => {
            let unchanged = discovered_unchanged(&old.outputs.discovered);
            let dep_hash = unchanged.then_some(old.dep_hash);
            if check_hash_up_to_date(outputs, dep_trace, dep_hash, None, policy) {
                log.0.extend(old.outputs.log);
                return Ok(Outcome::UpToDate);
            }
        }
        TraceFile::Absent if oldest_mtime(outputs).is_some_and(|m| m > dep_trace.mtime()) => {
            return Ok(Outcome::UpToDate);
        }
        TraceFile::Absent | TraceFile::Damaged | TraceFile::Unfinished => {}
    }
    if policy.no_build {
        return Err(BuildError::OutOfDate(trace_file.to_owned()));
    }
    let mut own = BuildLog::default();
    let result = at(trace_file, begin_trace_file(trace_file)).and_then(|()| {
        let discovered = build(&mut own)?;
        let record = describe(outputs, trace_file, discovered, own.0.clone())?;
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

fn discovered_unchanged(discovered: &[DiscoveredInput]) -> bool {
    discovered.iter().all(|input| {
        compute_file_hash(Path::new(&input.path), Content::of_source(&input.path))
            .is_ok_and(|hash| hash == input.hash)
    })
}

/// The record of `outputs` as they stand; a missing one is the build's failure.
fn describe(
    outputs: &[impl AsRef<Path>],
    trace_file: &Path,
    discovered: Vec<DiscoveredInput>,
    log: Vec<LogEntry>,
) -> Result<Outputs, BuildError> {
    let mut record = Outputs { discovered, log, ..Outputs::default() };
    let base = trace_file.parent().unwrap_or(Path::new(""));
    for output in outputs {
        let output = output.as_ref();
        let path = output.strip_prefix(base).unwrap_or(output).to_string_lossy().into_owned();
        let metadata = fs::metadata(output).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                BuildError::Failed(format!("the build did not write {}", output.display()))
            }
            _ => BuildError::Io { path: output.to_owned(), source: error },
        })?;
        if metadata.is_dir() {
            record.directories.push(path);
            continue;
        }
        let hash = at(output, compute_file_hash(output, Content::Binary))?;
        let executable = {
            use std::os::unix::fs::PermissionsExt;
            metadata.permissions().mode() & 0o111 != 0
        };
        record.outputs.push(OutputFile { path, hash, size: metadata.len(), executable });
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
