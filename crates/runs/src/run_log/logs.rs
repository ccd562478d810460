//! The logs of a run: one for each attempt at a stage of a build.

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use super::{RESULTS, Run, RunState, read_run};
use crate::classify::log_limit_line;
use crate::error::{Context, Result};
use crate::file;
use crate::history;
use crate::name::{HashName, PackageName, RunId};
use crate::result::{Entry, LogFile, Stage, StageResult};

/// The subject of a log. Two compilers, and two attempts, have each their own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogName {
    /// The package.
    pub package: PackageName,
    /// The stage.
    pub stage: Stage,
    /// The build; none of a solve.
    pub build_hash: Option<HashName>,
    /// The compiler, which tells solves apart; where there is a build hash, that does.
    pub compiler: Option<PackageName>,
    /// The how manieth attempt, from 1.
    pub attempt: u32,
}

/// The word for the build in the name of a log where neither that nor the compiler is known.
const UNKNOWN: &str = "-";

impl LogName {
    /// The name of the log of an attempt at a stage of a build.
    pub fn new(package: PackageName, stage: Stage, build_hash: HashName, attempt: u32) -> LogName {
        LogName { package, stage, build_hash: Some(build_hash), compiler: None, attempt }
    }

    /// The name of the log that belongs to a result.
    pub fn of(result: &StageResult) -> LogName {
        LogName {
            package: result.package.clone(),
            stage: result.stage,
            build_hash: result.build_hash.clone(),
            compiler: result.compiler.clone().filter(|_| result.build_hash.is_none()),
            attempt: result.attempt,
        }
    }

    /// The name of the log of the first attempt at the same.
    pub(super) fn first(&self) -> LogName {
        LogName { attempt: 1, ..self.clone() }
    }

    /// Where the log is, relative to the run's directory.
    pub fn path(&self) -> String {
        let hash = self.build_hash.as_ref().map(HashName::as_str);
        let compiler = || self.compiler.as_ref().map(PackageName::as_str);
        let build = hash.or_else(compiler).unwrap_or(UNKNOWN);
        format!("logs/{}/{build}.{}.{}.log", self.package, self.stage, self.attempt)
    }

    /// Reads the name of a log in a package's directory.
    fn parse(package: &PackageName, file: &str) -> Option<LogName> {
        let mut parts = file.strip_suffix(".log")?.rsplitn(3, '.');
        let attempt = parts.next()?.parse().ok().filter(|attempt| *attempt > 0)?;
        let stage = parts.next()?.parse().ok()?;
        let build = parts.next()?;
        let name =
            LogName { package: package.clone(), stage, build_hash: None, compiler: None, attempt };
        match (build.parse(), build.parse()) {
            (Ok(hash), _) => Some(LogName { build_hash: Some(hash), ..name }),
            (_, Ok(compiler)) => Some(LogName { compiler: Some(compiler), ..name }),
            _ => (build == UNKNOWN).then_some(name),
        }
    }
}

impl fmt::Display for LogName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.stage, self.package)?;
        match self.attempt {
            1 => Ok(()),
            attempt => write!(f, ", attempt {attempt}"),
        }
    }
}

/// A log that is being written, under its own name, so that others can follow it. Whoever holds it has
/// it locked: a log without a lock grows no more.
#[derive(Debug)]
pub struct LogWriter {
    file: File,
    path: String,
    bytes: u64,
    lines: u64,
    /// Whether the next byte begins a line.
    line_starts: bool,
    limit: u64,
    cut: bool,
    /// The logs of the run.
    logs: Arc<Mutex<Logs>>,
}

/// The logs that a run has begun, by path. Of one that reached its limit: the number of the line that says so, and
/// where it begins.
pub(super) type Logs = HashMap<String, Option<(u64, u64)>>;

impl Run {
    /// Begins a log.
    ///
    /// # Errors
    /// [`Error::Io`] when it is there already, or cannot be made.
    pub fn log_writer(&self, name: &LogName) -> Result<LogWriter> {
        let relative = name.path();
        let path = self.dir.join(&relative);
        file::create_dirs(path.parent().unwrap_or(&self.dir))?;
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .open(&path)
            .context("create the log", &path)?;
        file.lock().context("lock", &path)?;
        self.logs().insert(relative.clone(), None);
        Ok(LogWriter {
            file,
            path: relative,
            bytes: 0,
            lines: 0,
            line_starts: true,
            limit: u64::MAX,
            cut: false,
            logs: self.logs.clone(),
        })
    }

    pub(super) fn logs(&self) -> MutexGuard<'_, Logs> {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LogWriter {
    /// The same log, in which at most `limit` bytes fit. Where more come, a line says that, the rest is
    /// taken and thrown away, and the result becomes a `log_limit` when it is recorded, unless a line before
    /// that has decided. To stop the process is the caller's: see [`LogWriter::is_cut`].
    #[must_use]
    pub fn limited(self, limit: u64) -> LogWriter {
        LogWriter { limit, ..self }
    }

    /// Whether the limit has been reached: the process is to be stopped.
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// Ends the log. A process that is just being started on another thread has the file open for a moment longer; it
    /// does not keep the log from being complete.
    pub fn finish(self) -> LogFile {
        // One that cannot be unlocked is when it is closed.
        _ = self.file.unlock();
        LogFile { path: self.path, bytes: self.bytes, line: None, offset: None, cut: self.cut }
    }

    /// Appends what fits, and notes how far it came.
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        let part = bytes.get(..written).unwrap_or_default();
        self.bytes += written as u64;
        self.lines += memchr::memchr_iter(b'\n', part).count() as u64;
        self.line_starts = part.last().map_or(self.line_starts, |last| *last == b'\n');
        Ok(written)
    }

    /// Ends the log with a line that says why.
    fn cut(&mut self) -> io::Result<()> {
        self.cut = true;
        let line_feed = if self.line_starts { "" } else { "\n" };
        let (line, offset) =
            (self.lines + line_feed.len() as u64 + 1, self.bytes + line_feed.len() as u64);
        let mut logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        logs.insert(self.path.clone(), Some((line, offset)));
        drop(logs);
        let marker = format!("{line_feed}{}", log_limit_line(self.limit));
        let mut rest = marker.as_bytes();
        while !rest.is_empty() {
            let written = self.append(rest)?;
            rest = rest.get(written..).unwrap_or_default();
        }
        Ok(())
    }
}

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.cut {
            return Ok(bytes.len());
        }
        let room = usize::try_from(self.limit.saturating_sub(self.bytes)).unwrap_or(usize::MAX);
        if bytes.len() <= room {
            return self.append(bytes);
        }
        match room {
            0 => self.cut().map(|()| bytes.len()),
            // What does not fit comes again, and then there is no room.
            _ => self.append(bytes.get(..room).unwrap_or_default()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A log that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// The run that wrote it.
    pub run: RunId,
    /// Its subject.
    pub name: LogName,
    /// Where it is, relative to the run's directory.
    pub path: String,
}

/// The logs of a package in a run, oldest first. Those of the first version, one for the build and one
/// for the documentation of a package, are among them.
///
/// # Errors
/// [`Error::Io`] when the directory cannot be listed; a missing one has no logs.
pub fn find_logs(runs_dir: &Path, run: &RunId, package: &PackageName) -> Result<Vec<Log>> {
    let dir = runs_dir.join(run.as_str());
    let mut logs = Vec::new();
    let mut add = |name: LogName, path: String| {
        if let Ok(meta) = fs::symlink_metadata(dir.join(&path)) {
            let modified = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            logs.push((modified, Log { run: run.clone(), name, path }));
        }
    };
    for (directory, stage) in [("build", Stage::Build), ("docs", Stage::Doc)] {
        let name = LogName {
            package: package.clone(),
            stage,
            build_hash: None,
            compiler: None,
            attempt: 1,
        };
        add(name, format!("{directory}/{package}.log"));
    }
    let directory = format!("logs/{package}");
    for file in file::names(&dir.join(&directory))? {
        if let Some(name) = LogName::parse(package, &file) {
            add(name, format!("{directory}/{file}"));
        }
    }
    logs.sort_by(|(a_time, a), (b_time, b)| a_time.cmp(b_time).then_with(|| a.name.cmp(&b.name)));
    Ok(logs.into_iter().map(|(_, log)| log).collect())
}

/// All logs of a run, by package.
///
/// # Errors
/// As [`find_logs`].
pub fn all_logs(runs_dir: &Path, run: &RunId) -> Result<Vec<Log>> {
    logs_of(runs_dir, run, |_| true)
}

/// The logs of a run, by package, of all versions of the packages of this name.
///
/// # Errors
/// As [`find_logs`].
pub fn logs_of_name(runs_dir: &Path, run: &RunId, name: &str) -> Result<Vec<Log>> {
    logs_of(runs_dir, run, |package| package.name() == name)
}

fn logs_of(
    runs_dir: &Path,
    run: &RunId,
    wanted: impl Fn(&PackageName) -> bool,
) -> Result<Vec<Log>> {
    let dir = runs_dir.join(run.as_str());
    let mut packages: Vec<PackageName> =
        file::names(&dir.join("logs"))?.iter().filter_map(|name| name.parse().ok()).collect();
    for directory in ["build", "docs"] {
        let names = file::names(&dir.join(directory))?;
        packages.extend(names.iter().filter_map(|name| name.strip_suffix(".log")?.parse().ok()));
    }
    packages.retain(wanted);
    packages.sort_unstable();
    packages.dedup();
    let mut logs = Vec::new();
    for package in packages {
        logs.extend(find_logs(runs_dir, run, &package)?);
    }
    Ok(logs)
}

/// Opens a log for reading. Nothing on the way from the run's directory may be a link: a build must not
/// show another file of the machine under its log's name.
///
/// # Errors
/// [`Error::NotAFile`] when something on the way is a link, or the log is no regular file;
/// [`Error::Io`] when it cannot be read.
pub fn open_log(runs_dir: &Path, log: &Log) -> Result<File> {
    open_path(runs_dir, &log.run, &log.path)
}

/// Opens the log of a run at `path`, relative to the run's directory.
///
/// # Errors
/// As [`open_log`].
pub fn open_path(runs_dir: &Path, run: &RunId, path: &str) -> Result<File> {
    file::open_below(runs_dir, &format!("{run}/{path}"))
}

/// Whether a log is still being written.
pub fn is_growing(log: &File) -> bool {
    match log.try_lock_shared() {
        Ok(()) => {
            let _ = log.unlock();
            false
        }
        Err(TryLockError::WouldBlock) => true,
        Err(TryLockError::Error(_)) => false,
    }
}

/// The result that a log belongs to; `None` where its run ended, or goes on, without having recorded one.
///
/// # Errors
/// [`Error::Io`] when the run's results cannot be read.
pub fn recorded_result(runs_dir: &Path, log: &Log) -> Result<Option<Entry>> {
    let results = runs_dir.join(log.run.as_str()).join(RESULTS);
    let content = file::read_optional(&results)?.unwrap_or_default();
    let of_log = |entry: &Entry| entry.result.log.as_ref().is_some_and(|of| of.path == log.path);
    let finder = memchr::memmem::Finder::new(&log.path);
    let mut lines = history::lines(&content).filter(|line| finder.find(line).is_some());
    Ok(lines.find_map(|line| Entry::parse(line, None).filter(of_log)))
}

/// Hands a log to `output` as it grows, from the byte `from` until it is complete or its run has ended.
/// Looks five times a second.
///
/// # Errors
/// As [`open_log`]; [`Error::Io`] also when `output` fails.
pub fn follow_log(runs_dir: &Path, log: &Log, from: u64, output: &mut impl Write) -> Result<()> {
    let mut file = open_log(runs_dir, log)?;
    let path = runs_dir.join(log.run.as_str()).join(&log.path);
    file.seek(SeekFrom::Start(from)).context("read", &path)?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        // Asked before the log is read: what it says then is all.
        let growing = is_growing(&file)
            && read_run(runs_dir, &log.run)?.is_some_and(|run| run.state == RunState::Running);
        loop {
            let read = file.read(&mut buffer).context("read", &path)?;
            if read == 0 {
                break;
            }
            output.write_all(buffer.get(..read).unwrap_or_default()).context("show", &path)?;
        }
        output.flush().context("show", &path)?;
        if !growing {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(200));
    }
}
