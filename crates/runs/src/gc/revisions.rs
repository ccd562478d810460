//! Checkouts of revisions of the set.

use std::time::Duration;

use super::{Collected, is_older, sweep};
use crate::DataDir;
use crate::error::Result;
use crate::file;
use crate::lock::FileLock;

/// How long nobody may have used a checkout of a revision before it goes.
const REVISION_AGE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The lock beside checkouts of revisions: whoever checks one out holds it.
const REVISIONS_LOCK: &str = "lock";

/// Removes the checkouts of revisions of the set that nobody has used for a week: their time is that of their
/// last use. None goes while somebody checks one out.
///
/// # Errors
/// [`crate::Error::Io`] when they cannot be listed.
pub fn gc_revisions(data: &DataDir, dry_run: bool) -> Result<Collected> {
    let directory = data.revisions();
    let lock = directory.join(REVISIONS_LOCK);
    if !file::names(&directory)?.iter().any(|name| name == REVISIONS_LOCK) {
        return Ok(Collected::default());
    }
    let held = FileLock::exclusive(&lock)?;
    let is_kept =
        |name: &str| name == REVISIONS_LOCK || !is_older(&directory.join(name), REVISION_AGE);
    let mut doomed = sweep(&directory, is_kept, dry_run)?;
    drop(held);
    // The lock is none of them.
    doomed.collected.kept = doomed.collected.kept.saturating_sub(1);
    Ok(doomed.finish(dry_run))
}
