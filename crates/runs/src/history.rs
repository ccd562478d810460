//! What became of each build of a package: `packages/<pkg>/history.jsonl`, one JSON object a line,
//! append-only, oldest first.
//!
//! Appenders and [`compact`] exclude each other with `flock` on `history.lock` beside it; readers take
//! no lock. An append is one `write`. One that was cut short (a killed process, a full disk) leaves at
//! most one broken line: the next append starts a line of its own, and readers skip and count it.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::classify::SUCCESS;
use crate::error::{Context, Result};
use crate::file::{self, Durability};
use crate::lock::FileLock;
use crate::name::PackageName;
use crate::time;

/// One line: what became of one build in one run.
///
/// Written in camelCase; day11's spelling of the same keys (`build_hash`, `failed_dep`,
/// `failed_dep_hash`) is read as well, and unknown keys are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// When it ended: RFC 3339, UTC, such as `2026-03-01T12:00:00Z`.
    pub ts: String,
    /// The run's id.
    pub run: String,
    /// Which build: a package version in one universe with one compiler.
    #[serde(alias = "build_hash")]
    pub build_hash: String,
    /// `success`, or anything else for a failure; usually `failure`.
    pub status: String,
    /// The kind of result: see [`crate::classify`]. An open set.
    pub category: String,
    /// The compiler's package, such as `ocaml-base-compiler.5.2.0`; empty when unknown.
    #[serde(default)]
    pub compiler: String,
    /// Whether this is the build of its package version that counts first.
    #[serde(default)]
    pub blessed: bool,
    /// The line of the log that says what went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The dependency whose failure caused this one.
    #[serde(default, alias = "failed_dep", skip_serializing_if = "Option::is_none")]
    pub failed_dep: Option<String>,
    /// That dependency's build.
    #[serde(default, alias = "failed_dep_hash", skip_serializing_if = "Option::is_none")]
    pub failed_dep_hash: Option<String>,
}

impl Entry {
    /// Whether the build worked.
    pub fn is_success(&self) -> bool {
        self.status == SUCCESS
    }
}

/// What a history file holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct History {
    /// Its entries, in the order in which they were appended.
    pub entries: Vec<Entry>,
    /// How many lines could not be read and were skipped.
    pub broken: usize,
}

/// What [`compact`] did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Compacted {
    /// Entries kept.
    pub kept: usize,
    /// Entries removed.
    pub removed: usize,
    /// Broken lines removed.
    pub broken: usize,
}

/// The name of the history file in a package's directory.
pub(crate) const FILE: &str = "history.jsonl";

/// Where a package's history is.
pub fn path(packages_dir: &Path, package: &PackageName) -> PathBuf {
    packages_dir.join(package.as_str()).join(FILE)
}

/// Appends one entry; creates the file and its directories. Threads and processes may append to one
/// history at once; every entry ends up on a line of its own.
///
/// # Errors
/// [`crate::Error::Io`] when the file cannot be written, such as on a full disk: the part of the line
/// that did fit is taken back.
pub fn append(packages_dir: &Path, package: &PackageName, entry: &Entry) -> Result<()> {
    let path = path(packages_dir, package);
    let mut line = serde_json::to_vec(entry).map_err(io::Error::from).context("write", &path)?;
    line.push(b'\n');
    let _lock = lock_creating_dirs(&path)?;
    append_line(&path, line).context("append to", &path)
}

fn append_line(path: &Path, mut line: Vec<u8>) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
    let end = file.metadata()?.len();
    if ends_torn(&file, end)? {
        line.insert(0, b'\n');
    }
    let result = file.write(&line).and_then(|written| match written == line.len() {
        true => Ok(()),
        // A short write to a file means that it could not grow; writing the rest says why.
        false => file.write_all(line.get(written..).unwrap_or_default()),
    });
    result.inspect_err(|_| {
        let _ = file.set_len(end);
    })
}

fn ends_torn(file: &File, end: u64) -> io::Result<bool> {
    let mut last = [b'\n'];
    if end > 0 {
        file.read_exact_at(&mut last, end - 1)?;
    }
    Ok(last != [b'\n'])
}

fn lock_creating_dirs(path: &Path) -> Result<FileLock> {
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
        match parse(line) {
            Some(entry) => history.entries.push(entry),
            None => history.broken += 1,
        }
    }
    Ok(history)
}

/// The last entry of each build hash, in the order in which those were appended. Reads the file once,
/// from its end, and parses in full only what it returns.
///
/// # Errors
/// As [`read`].
pub fn read_latest(packages_dir: &Path, package: &PackageName) -> Result<Vec<Entry>> {
    #[derive(Deserialize)]
    struct Key<'a> {
        #[serde(borrow, alias = "buildHash")]
        build_hash: std::borrow::Cow<'a, str>,
    }
    let content = content(packages_dir, package)?;
    let mut seen = HashSet::new();
    let mut latest: Vec<Entry> = Vec::new();
    for line in lines_from_end(&content) {
        let Some(key) = parse::<Key<'_>>(line) else {
            continue;
        };
        if seen.contains(&key.build_hash) {
            continue;
        }
        if let Some(entry) = parse(line) {
            latest.push(entry);
            seen.insert(key.build_hash);
        }
    }
    latest.reverse();
    Ok(latest)
}

/// The last blessed entry.
///
/// # Errors
/// As [`read`].
pub fn read_blessed(packages_dir: &Path, package: &PackageName) -> Result<Option<Entry>> {
    let content = content(packages_dir, package)?;
    Ok(lines_from_end(&content).filter_map(parse::<Entry>).find(|entry| entry.blessed))
}

/// Removes the entries that are older than `max_age_days` days at `now`, and broken lines. The last
/// entry of each build stays however old it is, unless `max_age_days` is 0: then everything up to now
/// goes. Entries from the future (a clock was set back) and entries without a readable time stay.
///
/// # Errors
/// [`crate::Error::Io`]; the history is then as it was.
pub fn compact(
    packages_dir: &Path,
    package: &PackageName,
    max_age_days: u32,
    now: Timestamp,
) -> Result<Compacted> {
    let path = path(packages_dir, package);
    let mut report = Compacted::default();
    if !path.exists() {
        return Ok(report);
    }
    let _lock = lock_creating_dirs(&path)?;
    let content = content(packages_dir, package)?;
    let max_age = u64::from(max_age_days) * 24 * 60 * 60;
    let mut last_of_build = HashSet::new();
    let mut kept: Vec<&[u8]> = Vec::new();
    for line in lines_from_end(&content) {
        let Some(entry) = parse::<Entry>(line) else {
            report.broken += 1;
            continue;
        };
        let old = time::parse_time(&entry.ts)
            .is_some_and(|ts| ts <= now && time::seconds_between(ts, now) >= max_age);
        let last = last_of_build.insert(entry.build_hash);
        if old && (max_age_days == 0 || !last) {
            report.removed += 1;
        } else {
            kept.push(line);
        }
    }
    report.kept = kept.len();
    if report.removed + report.broken > 0 {
        kept.reverse();
        let mut rewritten = kept.join(&b'\n');
        if !rewritten.is_empty() {
            rewritten.push(b'\n');
        }
        file::write_atomic(&path, &rewritten, Durability::Power)?;
    }
    Ok(report)
}

/// The packages that have a directory, sorted; none when `packages_dir` does not exist. Directories
/// whose names are no package names are left out.
///
/// # Errors
/// [`crate::Error::Io`] when the directory cannot be listed.
pub fn packages(packages_dir: &Path) -> Result<Vec<PackageName>> {
    Ok(file::names(packages_dir)?.iter().filter_map(|name| name.parse().ok()).collect())
}

fn content(packages_dir: &Path, package: &PackageName) -> Result<Vec<u8>> {
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
fn lines_from_end(content: &[u8]) -> impl Iterator<Item = &[u8]> {
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
