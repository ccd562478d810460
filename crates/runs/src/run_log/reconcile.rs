//! Results that a killed process had recorded in part: its run's results have it, the history does not.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

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

/// The results that runs which died had recorded, but not yet in the histories: of each run at most its
/// last, because a run records one at a time.
///
/// # Errors
/// [`crate::Error::Io`] when runs or histories cannot be read.
pub fn pending(data: &DataDir) -> Result<Pending> {
    let mut pending = Pending::new();
    for run_dir in unreconciled(data)? {
        if let Some((package, line)) = missing(data, &run_dir)? {
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
        if let Some((package, line)) = missing(data, &run_dir)? {
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

/// The last result of a run, where its package's history lacks it.
fn missing(data: &DataDir, run_dir: &Path) -> Result<Option<(PackageName, Vec<u8>)>> {
    let content = fs::read(run_dir.join(RESULTS)).unwrap_or_default();
    // What was cut short was never acknowledged: it is as if it had not been recorded.
    let whole = content.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let content = content.get(..whole).unwrap_or_default();
    let Some(line) = history::lines_from_end(content).next() else {
        return Ok(None);
    };
    let Some(entry) = Entry::parse(line, None) else {
        return Ok(None);
    };
    let package = entry.result.package;
    let past = history::content(&data.packages(), &package)?;
    if history::lines_from_end(&past).any(|other| other == line) {
        return Ok(None);
    }
    Ok(Some((package, [line, b"\n"].concat())))
}
