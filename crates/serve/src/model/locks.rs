//! Who works on what.

use larder_runs::build_lock::{self, LockInfo};
use schemars::JsonSchema;
use serde::Serialize;

use super::Result;
use crate::site::View;

/// The locks of the data directory.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Locks {
    /// All of them, those that are held first.
    pub locks: Vec<LockInfo>,
}

impl Locks {
    /// The locks as they are now.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub fn of(view: &View<'_>) -> Result<Self> {
        let mut locks = build_lock::list(&view.ecosystem.data.locks())?;
        locks.sort_by_key(|lock| lock.stale);
        Ok(Self { locks })
    }
}
