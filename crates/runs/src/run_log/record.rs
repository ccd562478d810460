//! The one way in for results.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::logs::{LogName, open_in};
use super::{RESULTS, Run};
use crate::Category;
use crate::classify::LOG_LIMIT;
use crate::error::{Context, Error, Result};
use crate::history::{self, LineFile};
use crate::name::{HashName, PackageName};
use crate::progress::{self, Progress};
use crate::result::{BuildRef, Entry, LogFile, Origin, Outcome, Stage, StageResult};

/// How long the progress file may be behind while results come that were known before. These come by the thousand, and a
/// file system writes to the disk each time a file is replaced.
const LAG: Duration = Duration::from_millis(100);

/// The results that a run has recorded so far.
#[derive(Debug)]
pub(super) struct Recorded {
    progress: Progress,
    /// When the progress file was written.
    shown: Instant,
    /// Whether the progress file does not say everything.
    behind: bool,
    /// The file of results, once there is one.
    results: Option<LineFile>,
    /// The numbers of the attempts that have a result, by the name of the first one.
    attempts: HashMap<LogName, HashSet<u32>>,
    /// Failing builds, each with the failures behind it: itself, where it is not blocked.
    failing: HashMap<BuildRef, Vec<BuildRef>>,
}

impl Recorded {
    pub fn new(progress: Progress) -> Recorded {
        Recorded {
            progress,
            shown: Instant::now(),
            behind: false,
            results: None,
            attempts: HashMap::new(),
            failing: HashMap::new(),
        }
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

    /// Takes note of a result; `first` is the name of the first attempt at the same.
    fn note(&mut self, first: LogName, result: &StageResult) {
        let roots = match result.outcome() {
            Outcome::Worked => None,
            Outcome::Blocked => Some(result.root_failures.clone()),
            Outcome::Failed | Outcome::Unsolved => Some(vec![result.build()]),
        };
        match roots {
            Some(roots) => self.failing.insert(result.build(), roots),
            None => self.failing.remove(&result.build()),
        };
        let attempts = self.attempts.entry(first).or_default();
        self.progress.ended(result, attempts.is_empty());
        attempts.insert(result.attempt);
        self.behind = true;
    }

    /// Writes the progress file.
    fn show(&mut self, run_dir: &Path) -> Result<()> {
        progress::write(run_dir, &self.progress)?;
        (self.shown, self.behind) = (Instant::now(), false);
        Ok(())
    }
}

impl Run {
    /// Records a result: checks it, keeps its log, appends it to the run's results and to the package's
    /// history, and updates the progress, whose file is at most a moment behind while results come that were
    /// known before: see [`Run::refresh_progress`]. A process killed meanwhile leaves it recorded wholly or not
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
        result.host.get_or_insert_with(|| self.host.clone());

        let mut recorded = self.recorded();
        let first = name.first();
        let known = recorded.attempts.get(&first);
        if known.is_some_and(|known| known.contains(&result.attempt)) {
            let reason = format!("attempt {} was recorded before", result.attempt);
            return Err(refuse(&result, reason));
        }
        if result.root_failures.is_empty() {
            result.root_failures = recorded.roots(&result.failed_dependencies);
        }
        let entry = Entry::new(self.id.clone(), self.plan.kind, result);
        self.append(&mut recorded.results, &entry)?;
        recorded.note(first, &entry.result);
        if entry.result.origin != Origin::Cached || recorded.shown.elapsed() >= LAG {
            tell(recorded.show(&self.dir));
        }
        Ok(entry)
    }

    /// Writes the progress file if it does not say everything. Whoever waits while others record calls this now and then.
    pub fn refresh_progress(&self) {
        let mut recorded = self.recorded();
        if recorded.behind {
            tell(recorded.show(&self.dir));
        }
    }

    /// Whether an attempt at a stage of a build has a result in this run.
    pub fn has_result(&self, package: &PackageName, stage: Stage, build_hash: &HashName) -> bool {
        let first = LogName::new(package.clone(), stage, build_hash.clone(), 1);
        self.recorded().attempts.contains_key(&first)
    }

    /// Changes the progress of the run and writes it.
    ///
    /// # Errors
    /// What `change` says; [`Error::Io`] when it cannot be written.
    pub fn update_progress(&self, change: impl FnOnce(&mut Progress) -> Result<()>) -> Result<()> {
        let mut recorded = self.recorded();
        change(&mut recorded.progress)?;
        recorded.show(&self.dir)
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
        if given.is_none() && !self.logs().contains_key(&path) {
            return Ok(None);
        }
        let file = open_in(&self.dir, &path).map_err(|error| error.to_string())?;
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
        let marker = self.logs().get(&log.path).copied().flatten();
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
    fn append(&self, results: &mut Option<LineFile>, entry: &Entry) -> Result<()> {
        let path = self.dir.join(RESULTS);
        let line = history::line_of(entry);
        // One in which a line may be torn is opened anew, which sees to that.
        let open = match results.take() {
            Some(open) => Ok(open),
            None => LineFile::open(&path),
        };
        let (file, before) = open
            .and_then(|mut file| {
                let before = file.end;
                file.append(&line).map(|()| (file, before))
            })
            .context("append to", &path)?;
        history::append(&self.data.packages(), &entry.result.package, &line)
            .inspect_err(|_| file.take_back(before))?;
        *results = Some(file);
        Ok(())
    }
}

/// Tells why the progress file could not be written. The results are there; only whoever watches sees them later.
fn tell(shown: Result<()>) {
    if let Err(error) = shown {
        tracing::info!("{error}");
    }
}
