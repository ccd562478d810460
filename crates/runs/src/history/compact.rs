//! Shorter histories that still know what they have forgotten.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::DataDir;
use crate::error::Result;
use crate::file::{self, Durability};
use crate::name::{PackageName, run_order};
use crate::parallel::work_shares;
use crate::result::{SCHEMA_VERSION, Stage};
use crate::run_log;
use crate::standing::{Past, View};
use crate::time;

/// The report of [`compact`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Compacted {
    /// Entries kept.
    pub kept: usize,
    /// Entries removed.
    pub removed: usize,
    /// Broken lines removed.
    pub broken: usize,
}

/// The rest of the entries that compactions removed: a line of a history. Entries that stand before
/// it are in its numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Checkpoint {
    /// The first run that the history ever had.
    pub first_run: String,
    /// How many entries have been removed in all.
    pub removed_entries: u64,
    /// The builds that were failing, since when and how often.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub streaks: Vec<Streak>,
}

/// A row of failures that had not ended when a history was compacted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Streak {
    /// Of which stage.
    pub stage: Stage,
    /// Of which build; `None` for the package's blessed builds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_hash: Option<String>,
    /// When the first one was: RFC 3339, UTC.
    pub since: String,
    /// In which run that was.
    pub since_run: String,
    /// In how many runs in a row it failed.
    pub times: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    schema_version: u32,
    checkpoint: Checkpoint,
}

impl Checkpoint {
    /// Reads a line; `None` when it is no checkpoint.
    pub(crate) fn parse(line: &[u8]) -> Option<Checkpoint> {
        super::parse::<Line>(line).map(|line| line.checkpoint)
    }

    fn line(self) -> Vec<u8> {
        let line = Line { schema_version: SCHEMA_VERSION, checkpoint: self };
        // Nothing in a checkpoint has a form that JSON does not.
        serde_json::to_vec(&line).unwrap_or_default()
    }
}

/// Removes the entries that are older than `max_age_days` days at `now`, and broken lines, and leaves
/// a [`Checkpoint`] of what they said.
///
/// The last entry of each build stays however old it is, and so do those of the last full run, of the one before that
/// came to its end, which the status compares, and of those between; unless `max_age_days` is 0: then everything up to
/// now goes. Runs are those of the directory that `packages_dir` is in. Entries from
/// the future (a clock was set back) and entries without a readable time stay.
///
/// # Errors
/// [`crate::Error::Io`]; the history is then as it was.
pub fn compact(
    packages_dir: &Path,
    package: &PackageName,
    max_age_days: u32,
    now: Timestamp,
) -> Result<Compacted> {
    compact_one(packages_dir, &unfinished_beside(packages_dir)?, package, max_age_days, now)
}

/// The full runs that did not come to their end, of those in the same data as these histories.
fn unfinished_beside(packages_dir: &Path) -> Result<BTreeSet<String>> {
    let data = DataDir::new(packages_dir.parent().unwrap_or(packages_dir));
    Ok(run_log::unfinished(&run_log::list_heads(&data.runs())?))
}

fn compact_one(
    packages_dir: &Path,
    unfinished: &BTreeSet<String>,
    package: &PackageName,
    max_age_days: u32,
    now: Timestamp,
) -> Result<Compacted> {
    let path = super::path(packages_dir, package);
    let mut report = Compacted::default();
    if !path.exists() {
        return Ok(report);
    }
    let _lock = super::lock_creating_dirs(&path)?;
    let content = super::content(packages_dir, package)?;
    let age = Age::new(max_age_days, now);
    if let Some(kept) = age.keeps_all(&content) {
        return Ok(Compacted { kept, ..report });
    }
    let compared = compared_runs(&content, unfinished);
    let mut seen = HashSet::new();
    // From the end: what is kept of the old entries, and the young ones; each last to first.
    let (mut old, mut young): (Vec<&[u8]>, Vec<&[u8]>) = (Vec::new(), Vec::new());
    for line in super::lines_from_end(&content) {
        let Some(view) = View::parse(line) else {
            report.broken += usize::from(Checkpoint::parse(line).is_none());
            continue;
        };
        let last = seen.insert((view.stage(), view.build_hash.to_string()));
        if !age.is_old(&view) {
            young.push(line);
        } else if max_age_days > 0 && (last || compared.contains(&*view.run)) {
            old.push(line);
        } else {
            report.removed += 1;
        }
    }
    report.kept = old.len() + young.len();
    if report.removed + report.broken > 0 {
        let checkpoint = checkpoint(&content, &age, report.removed as u64);
        let checkpoint = checkpoint.map(Checkpoint::line);
        let mut rewritten = Vec::with_capacity(content.len());
        let old = old.into_iter().rev();
        for line in old.chain(checkpoint.as_deref()).chain(young.into_iter().rev()) {
            rewritten.extend_from_slice(line);
            rewritten.push(b'\n');
        }
        file::write_atomic(&path, &rewritten, Durability::Power)?;
    }
    Ok(report)
}

/// Compacts every history, several at once; gives what became of each. One that cannot be compacted stops no
/// other.
///
/// # Errors
/// [`crate::Error::Io`] when the packages or the runs cannot be listed.
pub fn compact_all(
    packages_dir: &Path,
    max_age_days: u32,
    now: Timestamp,
) -> Result<Vec<Result<Compacted>>> {
    let unfinished = &unfinished_beside(packages_dir)?;
    let packages = super::packages(packages_dir)?;
    let share = packages.len().div_ceil(WRITERS).max(1);
    let work = |share: &[PackageName]| -> Vec<Result<Compacted>> {
        let one = |package| compact_one(packages_dir, unfinished, package, max_age_days, now);
        share.iter().map(one).collect()
    };
    Ok(work_shares(packages.chunks(share), WRITERS, work))
}

/// How many histories are rewritten at once. Each is synced to the disk, which takes many at a time.
const WRITERS: usize = 8;

/// The age from which entries are old.
struct Age {
    seconds: u64,
    now: Timestamp,
    /// The day on which an entry can be the youngest old one, as text.
    day: String,
}

impl Age {
    fn new(days: u32, now: Timestamp) -> Age {
        let seconds = u64::from(days) * 24 * 60 * 60;
        let youngest = now.checked_sub(Duration::from_secs(seconds)).unwrap_or(Timestamp::MIN);
        Age { seconds, now, day: time::format_time(youngest).chars().take(10).collect() }
    }

    fn is_old(&self, view: &View<'_>) -> bool {
        // Most entries are of a later day, or without a readable time, and not old either way.
        let bytes = view.ts.as_bytes();
        let utc = bytes.last() == Some(&b'Z') && bytes.get(10) == Some(&b'T');
        if utc && self.day.len() == 10 && view.ts.get(..10).is_some_and(|day| day > &*self.day) {
            return false;
        }
        time::parse_time(&view.ts)
            .is_some_and(|ts| ts <= self.now && time::seconds_between(ts, self.now) >= self.seconds)
    }

    /// How many entries a history has, where none is old and no line broken.
    fn keeps_all(&self, content: &[u8]) -> Option<usize> {
        let mut entries = 0;
        for line in super::lines(content) {
            match View::parse(line) {
                Some(view) if self.is_old(&view) => return None,
                Some(_) => entries += 1,
                None => _ = Checkpoint::parse(line)?,
            }
        }
        Some(entries)
    }
}

/// The full runs that decide what changed: the newest, its baseline, and those between.
fn compared_runs(content: &[u8], unfinished: &BTreeSet<String>) -> BTreeSet<String> {
    let past = Past::parse(content);
    let baseline = past.baseline(|run| !unfinished.contains(run)).or_else(|| past.full_run());
    let since = |run: &str| baseline.is_some_and(|baseline| run_order(run, baseline).is_ge());
    past.full_runs().take_while(|run| since(run)).map(str::to_owned).collect()
}

/// The sum of what the old entries of a history say; `None` when it has none and no checkpoint.
fn checkpoint(content: &[u8], age: &Age, removed: u64) -> Option<Checkpoint> {
    let mut past = Past::parse(content);
    past.retain(|view| view.folded || age.is_old(view));
    let first_run = past.first_run()?.to_owned();
    let before = past.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.removed_entries);
    Some(Checkpoint { first_run, removed_entries: before + removed, streaks: past.streaks() })
}
