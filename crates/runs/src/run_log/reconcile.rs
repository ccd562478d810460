//! Results that a killed process had recorded in part: its run's results have them, the histories do not.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use super::record::AT_ONCE;
use super::{LOCK, RESULTS, SUMMARY, run_ids};
use crate::DataDir;
use crate::error::Result;
use crate::file::{self, Durability};
use crate::history;
use crate::lock;
use crate::name::PackageName;
use crate::result::Entry;

/// Says that a run that died has nothing more to give.
const RECONCILED: &str = "reconciled";

/// The results that belong at the end of histories, as lines with their line feed.
pub type Pending = HashMap<PackageName, Vec<u8>>;

/// The results that runs which died had recorded, but not yet in the histories: of each run at most the
/// last ones, because a run records only so many at once.
///
/// # Errors
/// [`crate::Error::Io`] when runs or histories cannot be read.
pub fn pending(data: &DataDir) -> Result<Pending> {
    let mut pending = Pending::new();
    for run_dir in unreconciled(data)? {
        for (package, line) in missing(data, &run_dir)? {
            pending.entry(package).or_default().extend(line);
        }
    }
    Ok(pending)
}

/// Puts what is [`pending`] where it belongs.
///
/// # Errors
/// As [`pending`], and when a history cannot be written.
pub fn reconcile(data: &DataDir) -> Result<()> {
    for run_dir in unreconciled(data)? {
        // Two processes must not both find it missing.
        let Some(_lock) = lock::LockFile::try_acquire(&run_dir.join(".reconcile.lock"))? else {
            continue;
        };
        for (package, line) in missing(data, &run_dir)? {
            history::append(&data.packages(), &package, &line)?;
        }
        file::write_atomic(&run_dir.join(RECONCILED), b"", Durability::Process)?;
    }
    Ok(())
}

/// The directories of the runs that died and have not been looked at since.
fn unreconciled(data: &DataDir) -> Result<Vec<std::path::PathBuf>> {
    let mut found = Vec::new();
    for id in run_ids(&data.runs())? {
        let dir = data.runs().join(id.as_str());
        if !dir.join(SUMMARY).exists()
            && !dir.join(RECONCILED).exists()
            && dir.join(RESULTS).exists()
            && !lock::is_held(&dir.join(LOCK))?
        {
            found.push(dir);
        }
    }
    Ok(found)
}

/// The results of a run that the histories of their packages lack, in the order in which it recorded them.
fn missing(data: &DataDir, run_dir: &Path) -> Result<Vec<(PackageName, Vec<u8>)>> {
    let content = fs::read(run_dir.join(RESULTS)).unwrap_or_default();
    // What was cut short was never acknowledged: it is as if it had not been recorded.
    let whole = content.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let content = content.get(..whole).unwrap_or_default();
    let mut missing = Vec::new();
    for line in history::lines_from_end(content).take(AT_ONCE) {
        let Some(entry) = Entry::parse(line, None) else {
            continue;
        };
        let package = entry.result.package;
        let past = history::content(&data.packages(), &package)?;
        if !history::lines_from_end(&past).any(|other| other == line) {
            missing.push((package, [line, b"\n"].concat()));
        }
    }
    missing.reverse();
    Ok(missing)
}
