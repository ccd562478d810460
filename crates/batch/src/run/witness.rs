//! Remembering what a run records, build by build.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use larder_runs::{
    name::HashName,
    result::{Entry, Stage},
};

use crate::event::{Event, Reporter};

/// Remembers each result, and passes all events on.
pub struct Witness {
    reporter: Arc<dyn Reporter>,
    seen: Mutex<HashMap<HashName, Vec<Entry>>>,
}

impl Witness {
    /// A witness that has seen nothing yet.
    pub fn new(reporter: Arc<dyn Reporter>) -> Self {
        Self { reporter, seen: Mutex::default() }
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<HashName, Vec<Entry>>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what was recorded of a build, oldest first.
    pub fn of(&self, build: &HashName) -> Vec<Entry> {
        self.seen().get(build).cloned().unwrap_or_default()
    }

    /// Returns what was recorded last of a stage of a build.
    pub fn last(&self, build: &HashName, stage: Stage) -> Option<Entry> {
        let seen = self.seen();
        let entries = seen.get(build)?;
        entries.iter().rev().find(|entry| entry.result.stage == stage).cloned()
    }

    /// The number of the next attempt at a stage of a build.
    pub fn next_attempt(&self, build: &HashName, stage: Stage) -> u32 {
        self.last(build, stage).map_or(0, |last| last.result.attempt) + 1
    }
}

impl Reporter for Witness {
    fn event(&self, event: &Event<'_>) {
        if let Event::Ended { entry } = event
            && let Some(hash) = &entry.result.build_hash
        {
            self.seen().entry(hash.clone()).or_default().push((*entry).clone());
        }
        self.reporter.event(event);
    }
}
