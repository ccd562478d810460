//! The results of each build of a package: `packages/<pkg>/history.jsonl`, one JSON object a line,
//! append-only, oldest first.
//!
//! [`crate::run_log::Run::record`] is the one way in. Appenders and [`compact`] exclude each other with `flock` on `history.lock` beside it; readers take
//! no lock. An append is one `write`. One that was cut short (a killed process, a full disk) leaves at
//! most one broken line: the next append starts a line of its own, and readers skip and count it.

mod compact;

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{Context, Result};
use crate::file;
use crate::lock::FileLock;
use crate::name::PackageName;
use crate::parallel::in_shares;

pub use crate::result::Entry;
pub use compact::{Checkpoint, Compacted, Streak, compact, compact_all};

/// The content of a history file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct History {
    /// Its entries, in the order in which they were appended.
    pub entries: Vec<Entry>,
    /// The checkpoint that compactions left of the entries that they removed.
    pub checkpoint: Option<Checkpoint>,
    /// How many lines could not be read and were skipped.
    pub broken: usize,
}

/// The name of the history file in a package's directory.
pub(crate) const FILE: &str = "history.jsonl";

/// Where a package's history is.
pub fn path(packages_dir: &Path, package: &PackageName) -> PathBuf {
    packages_dir.join(package.as_str()).join(FILE)
}

/// An entry as a line with its line feed.
pub(crate) fn line_of(entry: &Entry) -> Vec<u8> {
    // Nothing in an entry has a form that JSON does not.
    let mut line = serde_json::to_vec(entry).unwrap_or_default();
    line.push(b'\n');
    line
}

/// Appends lines, given with their line feeds; creates the file and its directories. Threads and
/// processes may append to one history at once; every entry ends up on a line of its own.
///
/// # Errors
/// [`crate::Error::Io`] when the file cannot be written, such as on a full disk: what did fit is taken
/// back.
pub(crate) fn append(packages_dir: &Path, package: &PackageName, lines: &[u8]) -> Result<()> {
    let path = path(packages_dir, package);
    let _lock = lock_creating_dirs(&path)?;
    LineFile::open(&path).and_then(|mut file| file.append(lines)).context("append to", &path)
}

/// Appends lines to the histories of their packages, several at once, and returns what came of each, as [`append`] does. Those of
/// one package are in its history in the order in which they stand here.
pub(crate) fn append_all(packages_dir: &Path, lines: &[(&PackageName, &[u8])]) -> Vec<Result<()>> {
    let append = |&number: &usize| {
        let (package, line) = lines[number];
        (number, append(packages_dir, package, line))
    };
    let mut order: Vec<usize> = (0..lines.len()).collect();
    order.sort_by_key(|&number| lines[number].0);
    let by_package: Vec<&[usize]> = order.chunk_by(|&a, &b| lines[a].0 == lines[b].0).collect();
    let mut came =
        in_shares(&by_package, |share| share.iter().copied().flatten().map(append).collect());
    came.sort_by_key(|(number, _)| *number);
    came.into_iter().map(|(_, came)| came).collect()
}

/// A file of lines, to which nobody else appends while it is open.
#[derive(Debug)]
pub(crate) struct LineFile {
    file: File,
    /// Where the next line begins.
    pub end: u64,
    /// Whether the last line is broken off there.
    torn: bool,
}

impl LineFile {
    /// Opens a file to append to it; creates it where it is not there.
    pub fn open(path: &Path) -> io::Result<LineFile> {
        let file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        let end = file.metadata()?.len();
        let mut last = [b'\n'];
        if end > 0 {
            file.read_exact_at(&mut last, end - 1)?;
        }
        Ok(LineFile { file, end, torn: last != [b'\n'] })
    }

    /// Appends lines, given with their line feeds, in one write; takes back what was written of them when they do not fit.
    pub fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let own: Vec<u8>;
        let lines = match self.torn {
            true => {
                own = [b"\n", lines].concat();
                &own
            }
            false => lines,
        };
        let result = self.file.write(lines).and_then(|written| match written == lines.len() {
            true => Ok(()),
            // A short write to a file means that it could not grow; writing the rest says why.
            false => self.file.write_all(lines.get(written..).unwrap_or_default()),
        });
        result.inspect_err(|_| self.cut(self.end))?;
        (self.end, self.torn) = (self.end + lines.len() as u64, false);
        Ok(())
    }

    /// Takes back what comes after `end`, if that can be done, and closes the file.
    pub fn take_back(self, end: u64) {
        self.cut(end);
    }

    fn cut(&self, end: u64) {
        _ = self.file.set_len(end);
    }
}

/// Ends the last line of lines where it was cut short, so that the next one does not continue it.
pub(crate) fn end_line(content: &mut Vec<u8>) {
    if content.last().is_some_and(|last| *last != b'\n') {
        content.push(b'\n');
    }
}

pub(crate) fn lock_creating_dirs(path: &Path) -> Result<FileLock> {
    let lock = path.with_file_name("history.lock");
    match FileLock::exclusive(&lock) {
        Err(error) if error.is_missing() => {
            file::create_dirs(path.parent().unwrap_or(path))?;
            FileLock::exclusive(&lock)
        }
        other => other,
    }
}

/// Every entry, oldest first. A missing or empty file is an empty history.
///
/// # Errors
/// [`crate::Error::Io`] when the file is there but cannot be read.
pub fn read(packages_dir: &Path, package: &PackageName) -> Result<History> {
    let content = content(packages_dir, package)?;
    let mut history = History::default();
    for line in lines(&content) {
        match Entry::parse(line, Some(package)) {
            Some(entry) => history.entries.push(entry),
            None => match Checkpoint::parse(line) {
                Some(checkpoint) => history.checkpoint = Some(checkpoint),
                None => history.broken += 1,
            },
        }
    }
    Ok(history)
}

/// The last entry of each stage of each build, in the order in which those were appended. Reads the file once,
/// from its end, and parses in full only what it returns.
///
/// # Errors
/// As [`read`].
pub fn read_latest(packages_dir: &Path, package: &PackageName) -> Result<Vec<Entry>> {
    read_latest_that(packages_dir, package, |_| true)
}

/// The same of the entries that count.
///
/// # Errors
/// As [`read`].
pub fn read_latest_that(
    packages_dir: &Path,
    package: &PackageName,
    counts: impl Fn(&Entry) -> bool,
) -> Result<Vec<Entry>> {
    #[derive(Deserialize)]
    struct Key<'a> {
        #[serde(borrow, alias = "buildHash", default)]
        build_hash: std::borrow::Cow<'a, str>,
        #[serde(borrow, default)]
        stage: std::borrow::Cow<'a, str>,
    }
    let content = content(packages_dir, package)?;
    let mut seen = HashSet::new();
    let mut latest: Vec<Entry> = Vec::new();
    for line in lines_from_end(&content) {
        let Some(key) = parse::<Key<'_>>(line) else {
            continue;
        };
        let key = (key.build_hash, key.stage);
        if seen.contains(&key) {
            continue;
        }
        if let Some(entry) = Entry::parse(line, Some(package)).filter(&counts) {
            latest.push(entry);
            seen.insert(key);
        }
    }
    latest.reverse();
    Ok(latest)
}

/// The packages that have a directory, sorted; none when `packages_dir` does not exist. Directories
/// whose names are no package names are left out.
///
/// # Errors
/// [`crate::Error::Io`] when the directory cannot be listed.
pub fn packages(packages_dir: &Path) -> Result<Vec<PackageName>> {
    Ok(file::names(packages_dir)?.iter().filter_map(|name| name.parse().ok()).collect())
}

pub(crate) fn content(packages_dir: &Path, package: &PackageName) -> Result<Vec<u8>> {
    Ok(file::read_optional(&path(packages_dir, package))?.unwrap_or_default())
}

/// The lines of a history that are not blank, first to last.
pub(crate) fn lines(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut start = 0;
    let ends = memchr::memchr_iter(b'\n', content).chain([content.len()]);
    let lines = ends.map(move |end| {
        content.get(std::mem::replace(&mut start, end + 1)..end).unwrap_or_default()
    });
    lines.filter(|line| !line.trim_ascii().is_empty())
}

/// The lines of a history that are not blank, last to first.
pub(crate) fn lines_from_end(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut end = content.len();
    let starts = memchr::memrchr_iter(b'\n', content).map(|newline| newline + 1).chain([0]);
    let lines = starts.map(move |start| {
        content.get(start..std::mem::replace(&mut end, start.saturating_sub(1))).unwrap_or_default()
    });
    lines.filter(|line| !line.trim_ascii().is_empty())
}

/// Parses a line. As text, once it is known to be that: serde_json then need not look at each string.
pub(crate) fn parse<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Option<T> {
    serde_json::from_str(std::str::from_utf8(line).ok()?).ok()
}

/// Whether a package has a history file.
///
/// # Errors
/// [`crate::Error::Io`] when that cannot be found out.
pub fn exists(packages_dir: &Path, package: &PackageName) -> Result<bool> {
    let path = path(packages_dir, package);
    fs::exists(&path).context("read", &path)
}
