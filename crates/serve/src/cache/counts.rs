//! What a server counts.

use std::sync::atomic::{AtomicU64, Ordering};

use schemars::JsonSchema;
use serde::Serialize;

/// What a server did since it began, and what it has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// The bytes that are used.
    pub used_bytes: u64,
    /// How many may be used.
    pub quota_bytes: Option<u64>,
    /// Objects that were read.
    pub hits: u64,
    /// Objects that were asked for and are not there.
    pub misses: u64,
    /// The bytes that were read, as far as they were asked for.
    pub read_bytes: u64,
    /// Objects that were written.
    pub writes: u64,
    /// The bytes that were written.
    pub written_bytes: u64,
    /// Requests that were refused.
    pub refusals: u64,
    /// Objects that were removed to make room.
    pub removed: u64,
    /// The bytes that they took.
    pub removed_bytes: u64,
}

/// What a server counts while it runs.
#[derive(Default)]
pub struct Counts {
    pub hits: AtomicU64,
    pub misses: AtomicU64,
    pub read_bytes: AtomicU64,
    pub writes: AtomicU64,
    pub written_bytes: AtomicU64,
    pub refusals: AtomicU64,
    pub removed: AtomicU64,
    pub removed_bytes: AtomicU64,
}

impl Counts {
    /// What was counted, with how many bytes are used and may be.
    pub fn stats(&self, used_bytes: u64, quota_bytes: Option<u64>) -> Stats {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Stats {
            used_bytes,
            quota_bytes,
            hits: get(&self.hits),
            misses: get(&self.misses),
            read_bytes: get(&self.read_bytes),
            writes: get(&self.writes),
            written_bytes: get(&self.written_bytes),
            refusals: get(&self.refusals),
            removed: get(&self.removed),
            removed_bytes: get(&self.removed_bytes),
        }
    }
}
