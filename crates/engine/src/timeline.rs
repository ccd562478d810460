//! Where the time of a build went: spans of work, the longest chain of steps, and what was saved.
//!
//! Only a build that is asked about it keeps a timeline. Each slot that work is done in has a track, and so has the
//! build as a whole; the spans of a track nest. The build's spans follow each other without a gap: it is always at
//! something. A slot between its spans is free.

mod critical;
mod events;

use std::{
    borrow::Cow,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use larder_project::path::RootPath;
use serde::Serialize;

use crate::{
    artifact::Artifact,
    event::Status,
    pool::{self, Slot},
    process::Cost,
};

pub use self::{critical::Critical, events::trace_events};

/// What a span of time was spent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Reading manifests, looking for tools and sources, making jobs.
    Plan,
    /// Having the slots do what is to be done.
    Build,
    /// Looking at what is there: hashing, reading records.
    Examine,
    /// Waiting for another larder, or for a token of a jobserver.
    Wait,
    /// Running a command.
    Execute,
    /// Taking over what a command made, into the build directory and the store, and writing down what it was made from.
    Record,
    /// Bringing outputs back from the store here.
    Restore,
    /// The same, from wherever a service has them.
    Fetch,
    /// Writing down what the next build may believe.
    Store,
}

/// A piece of work.
#[derive(Debug, Clone)]
pub struct Span {
    /// The slot that it was done in; none for the build as a whole.
    pub slot: Option<Slot>,
    /// What it was.
    pub kind: Kind,
    /// What it was for.
    pub name: Cow<'static, str>,
    /// When it began, from the beginning of the timeline.
    pub start: Duration,
    /// How long it took.
    pub took: Duration,
}

/// A step that was made or restored.
#[derive(Debug, Clone)]
pub(crate) struct StepRun {
    pub name: String,
    pub status: Status,
    pub took: Duration,
    pub outputs: Vec<RootPath>,
    pub needs: Vec<RootPath>,
}

/// What a build saved, as far as it is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Saved {
    /// Steps that were replayed or restored.
    pub steps: usize,
    /// Those among them whose records say how long their commands took.
    pub known_steps: usize,
    /// How long those took, in milliseconds.
    pub milliseconds: u64,
}

/// The time of one build, as it goes.
#[derive(Debug)]
pub struct Timeline {
    began: Instant,
    spans: Mutex<Vec<Span>>,
    steps: Mutex<Vec<StepRun>>,
    saved: Mutex<Saved>,
    /// Time that commands had on processors, in microseconds.
    cpu: AtomicU64,
}

/// A span that ends when it is dropped.
#[derive(Debug)]
#[must_use]
pub struct Running<'t> {
    timeline: &'t Timeline,
    kind: Kind,
    name: Cow<'static, str>,
    start: Instant,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let took = self.start.elapsed();
        let span = Span {
            slot: pool::slot(),
            kind: self.kind,
            name: std::mem::take(&mut self.name),
            start: self.start.saturating_duration_since(self.timeline.began),
            took,
        };
        lock(&self.timeline.spans).push(span);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Default for Timeline {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            spans: Mutex::default(),
            steps: Mutex::default(),
            saved: Mutex::default(),
            cpu: AtomicU64::new(0),
        }
    }
}

impl Timeline {
    /// Begins a span of the slot that the calling thread works in, else of the build as a whole.
    pub fn span(&self, kind: Kind, name: impl Into<Cow<'static, str>>) -> Running<'_> {
        Running { timeline: self, kind, name: name.into(), start: Instant::now() }
    }

    /// Takes note of what a command cost.
    pub(crate) fn cost(&self, cost: &Cost) {
        let cpu = (cost.user + cost.system).as_micros();
        self.cpu.fetch_add(u64::try_from(cpu).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Takes note of a step that was not up to date.
    pub(crate) fn step(&self, step: StepRun) {
        lock(&self.steps).push(step);
    }

    /// Takes note of a step whose command was not run, and how long it took when it was.
    pub(crate) fn saved(&self, milliseconds: Option<u64>) {
        let mut saved = lock(&self.saved);
        saved.steps += 1;
        saved.known_steps += usize::from(milliseconds.is_some());
        saved.milliseconds += milliseconds.unwrap_or(0);
    }

    /// Returns all spans so far.
    pub fn spans(&self) -> Vec<Span> {
        lock(&self.spans).clone()
    }

    /// Returns what was saved.
    pub fn what_was_saved(&self) -> Saved {
        *lock(&self.saved)
    }

    /// Returns the time that commands had on processors.
    pub fn commands_cpu(&self) -> Duration {
        Duration::from_micros(self.cpu.load(Ordering::Relaxed))
    }

    /// Returns the chain of steps, each of which needed the one before, that took longest.
    pub fn critical_path(&self) -> Vec<Critical> {
        critical::path(&lock(&self.steps))
    }
}

/// Returns the paths of artifacts.
pub(crate) fn paths<'a>(artifacts: impl IntoIterator<Item = &'a Artifact>) -> Vec<RootPath> {
    artifacts.into_iter().map(|artifact| artifact.path.clone()).collect()
}
