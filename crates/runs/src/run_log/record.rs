//! The one way in for results.

use std::collections::{HashMap, HashSet};
use std::fs::{self, OpenOptions};
use std::io;
use std::sync::{MutexGuard, PoisonError};

use super::logs::{LogName, open_in};
use super::{RESULTS, Run, host};
use crate::Category;
use crate::classify::LOG_LIMIT;
use crate::error::{Context, Error, Result};
use crate::history;
use crate::progress::{self, Progress};
use crate::result::{BuildRef, Entry, LogFile, Outcome, StageResult};

/// The results that a run has recorded so far.
#[derive(Debug)]
pub(super) struct Recorded {
    progress: Progress,
    names: HashSet<LogName>,
    /// Failing builds, each with the failures behind it: itself, where it is not blocked.
    failing: HashMap<BuildRef, Vec<BuildRef>>,
}

impl Recorded {
    pub fn new(progress: Progress) -> Recorded {
        Recorded { progress, names: HashSet::new(), failing: HashMap::new() }
    }

    /// The failures behind these, which no other failure of this run explains.
    fn roots(&self, failed: &[BuildRef]) -> Vec<BuildRef> {
        let roots = failed.iter().flat_map(|build| match self.failing.get(build) {
            Some(roots) => roots.clone(),
            None => vec![build.clone()],
        });
        let mut roots: Vec<BuildRef> = roots.collect();
        roots.sort_unstable();
        roots.dedup();
        roots
    }

    fn note(&mut self, result: &StageResult, name: LogName) {
        self.names.insert(name);
        let roots = match result.outcome() {
            Outcome::Worked => None,
            Outcome::Blocked => Some(result.root_failures.clone()),
            Outcome::Failed | Outcome::Unsolved => Some(vec![result.build()]),
        };
        match roots {
            Some(roots) => self.failing.insert(result.build(), roots),
            None => self.failing.remove(&result.build()),
        };
        self.progress.ended(result);
    }
}

impl Run {
    /// Records a result: checks it, keeps its log, appends it to the run's results and to the package's
    /// history, and updates the progress. A process killed meanwhile leaves it recorded wholly or not
    /// at all: the run's results come first, and readers complete from them what the history lacks
    /// (see [`super::reconcile`]).
    ///
    /// The log is the one that [`Run::log_writer`] made under the result's own name; where the result does
    /// not say so, that is filled in. So are the root failures of a dependency failure, from what this run
    /// has recorded of the dependencies, and the host. A failure whose log reached its limit is a `log_limit`
    /// unless a line before that decided, whatever its caller made of it.
    ///
    /// # Errors
    /// [`Error::Result`] when it says what cannot be, was recorded before or its log is not there;
    /// [`Error::Io`] when it cannot be written, and nothing of it is then.
    pub fn record(&self, mut result: StageResult) -> Result<Entry> {
        let refuse = |result: &StageResult, reason: String| Error::Result {
            package: result.package.clone(),
            stage: result.stage,
            reason,
        };
        result.check(self.clock.now()).map_err(|reason| refuse(&result, reason))?;
        let name = LogName::of(&result);
        result.log =
            self.check_log(&name, result.log.take()).map_err(|reason| refuse(&result, reason))?;
        self.note_cut(&mut result);
        result.host.get_or_insert_with(host);

        let mut recorded = self.recorded();
        if recorded.names.contains(&name) {
            let reason = format!("attempt {} was recorded before", result.attempt);
            return Err(refuse(&result, reason));
        }
        if result.root_failures.is_empty() {
            result.root_failures = recorded.roots(&result.failed_dependencies);
        }
        let entry = Entry::new(self.id.clone(), self.plan.kind, result);
        self.append(&entry)?;
        recorded.note(&entry.result, name);
        if let Err(error) = progress::write(&self.dir, &recorded.progress) {
            // The result is there; only whoever watches sees it later.
            tracing::info!("{error}");
        }
        Ok(entry)
    }

    /// Changes the progress of the run and writes it.
    ///
    /// # Errors
    /// What `change` says; [`Error::Io`] when it cannot be written.
    pub fn update_progress(&self, change: impl FnOnce(&mut Progress) -> Result<()>) -> Result<()> {
        let mut recorded = self.recorded();
        change(&mut recorded.progress)?;
        progress::write(&self.dir, &recorded.progress)
    }

    fn recorded(&self) -> MutexGuard<'_, Recorded> {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The log of a result, which is complete.
    fn check_log(
        &self,
        name: &LogName,
        given: Option<LogFile>,
    ) -> std::result::Result<Option<LogFile>, String> {
        let path = name.path();
        if let Some(given) = given.as_ref().filter(|given| given.path != path) {
            return Err(format!("its log is {path}, and not {}", given.path));
        }
        let file = match open_in(&self.dir, &path) {
            Err(error) if error.is_missing() && given.is_none() => return Ok(None),
            other => other.map_err(|error| error.to_string())?,
        };
        if super::is_growing(&file) {
            return Err("its log is still being written".to_owned());
        }
        let bytes = file.metadata().map_err(|error| crate::error::reason(&error))?.len();
        let log = given.unwrap_or(LogFile { path, bytes, line: None, offset: None, cut: false });
        if log.bytes != bytes || log.offset.is_some_and(|offset| offset > bytes) {
            return Err(format!("its log has {bytes} bytes, and not {}", log.bytes));
        }
        Ok(Some(log))
    }

    /// Makes a failure whose log reached its limit a `log_limit`. A line before the end of the log that the
    /// result gives has decided, and so has what else stopped the process.
    fn note_cut(&self, result: &mut StageResult) {
        let Some(log) = &mut result.log else { return };
        let cuts = self.cuts.lock().unwrap_or_else(PoisonError::into_inner);
        let marker = cuts.get(&log.path).copied();
        log.cut |= marker.is_some();
        let stopped = result.exit.is_some_and(|exit| exit.timed_out || exit.out_of_memory);
        let decided = log.offset.is_some_and(|offset| marker.is_none_or(|(_, end)| offset < end));
        let failed_itself =
            !matches!(result.category, Category::Success | Category::DependencyFailure);
        if !log.cut || !failed_itself || stopped || decided {
            return;
        }
        if result.category != Category::LogLimit {
            (result.category, result.rule) = (Category::LogLimit, Some("log-limit".to_owned()));
            result.error = Some(LOG_LIMIT.to_owned());
        }
        if let Some((line, offset)) = marker {
            (log.line, log.offset) = (Some(line), Some(offset));
        }
    }

    /// Appends to the run's results, then to the history; takes the first back when the second fails.
    /// The caller holds the lock on what is recorded, so at most the last result is not in its history.
    fn append(&self, entry: &Entry) -> Result<()> {
        let path = self.dir.join(RESULTS);
        let before = match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            other => other.context("read", &path)?.len(),
        };
        let line = history::line_of(entry);
        history::append_line(&path, line.clone()).context("append to", &path)?;
        history::append(&self.data.packages(), &entry.result.package, line).inspect_err(|_| {
            let file = OpenOptions::new().write(true).open(&path);
            let _ = file.and_then(|file| file.set_len(before));
        })
    }
}
