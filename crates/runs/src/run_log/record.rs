//! The one way in for results.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::logs::LogName;
use super::{RESULTS, Run};
use crate::Category;
use crate::classify::LOG_LIMIT;
use crate::error::{Context, Error, Result};
use crate::file::{self, Durability};
use crate::history::{self, LineFile};
use crate::name::{HashName, PackageName};
use crate::parallel::in_shares;
use crate::progress::{self, Progress};
use crate::result::{BuildRef, Entry, LogFile, Origin, Outcome, Stage, StageResult};

/// How long the progress file may be behind while results come that were known before. These come by the thousand, and a
/// file system writes to the disk each time a file is replaced.
const LAG: Duration = Duration::from_millis(100);

/// The most results that are written at once. No more than these of a run that died can be missing in the histories.
pub(super) const AT_ONCE: usize = 256;

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
    /// Whether the file of results has some that are not recorded, and could not be mended.
    lost: bool,
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
            lost: false,
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

    /// Checks that the file of results, at `path`, has what is recorded and nothing else. Where it has more, this run is over, and the
    /// next one puts the rest into the histories.
    pub fn check(&self, path: &Path) -> Result<()> {
        let wrong = || io::Error::other("it has results that could not be recorded");
        if self.lost { Err(wrong()).context("go on with", path) } else { Ok(()) }
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
    pub fn record(&self, result: StageResult) -> Result<Entry> {
        let (first, result) = self.checked(result)?;
        let mut recorded = self.recorded();
        let entry = self.entry(&recorded, &first, result)?;
        let is_news = entry.result.origin != Origin::Cached;
        let mut written = self.append(&mut recorded, vec![(first, entry)])?;
        self.show_soon(&mut recorded, is_news);
        written.remove(0)
    }

    /// Records many results as [`Run::record`] does each, only faster: several histories are appended to at the same time. Calls `tell`
    /// with each that is recorded. Those of one call may not know each other: a dependency failure comes with its root failures.
    ///
    /// # Errors
    /// As there, the first. Then others may be recorded, each wholly.
    pub fn record_all(
        &self,
        results: impl IntoIterator<Item = StageResult>,
        mut tell: impl FnMut(&Entry),
    ) -> Result<()> {
        let mut results = results.into_iter();
        loop {
            let some = results.by_ref().take(AT_ONCE).map(|result| self.checked(result));
            let some = some.collect::<Result<Vec<_>>>()?;
            if some.is_empty() {
                return Ok(());
            }
            let mut recorded = self.recorded();
            let mut seen = HashSet::new();
            let entry = |(first, result): (LogName, StageResult)| {
                let entry = self.entry(&recorded, &first, result)?;
                match seen.insert((first.clone(), entry.result.attempt)) {
                    true => Ok((first, entry)),
                    false => Err(known(&entry.result)),
                }
            };
            let some = some.into_iter().map(entry).collect::<Result<Vec<_>>>()?;
            let written = self.append(&mut recorded, some)?;
            self.show_soon(&mut recorded, false);
            drop(recorded);
            written.iter().flatten().for_each(&mut tell);
            written.into_iter().collect::<Result<Vec<_>>>()?;
        }
    }

    /// A result that may be recorded as far as that can be told from itself and its log, with the name of the
    /// first attempt at the same.
    fn checked(&self, mut result: StageResult) -> Result<(LogName, StageResult)> {
        result.check(self.clock.now()).map_err(|reason| refused(&result, reason))?;
        let name = LogName::of(&result);
        result.log =
            self.check_log(&name, result.log.take()).map_err(|reason| refused(&result, reason))?;
        self.note_cut(&mut result);
        result.host.get_or_insert_with(|| self.host.clone());
        Ok((name.first(), result))
    }

    /// A result as it is recorded after all others.
    fn entry(
        &self,
        recorded: &Recorded,
        first: &LogName,
        mut result: StageResult,
    ) -> Result<Entry> {
        let attempts = recorded.attempts.get(first);
        if attempts.is_some_and(|attempts| attempts.contains(&result.attempt)) {
            return Err(known(&result));
        }
        if result.root_failures.is_empty() {
            result.root_failures = recorded.roots(&result.failed_dependencies);
        }
        Ok(Entry::new(self.id.clone(), self.plan.kind, result))
    }

    /// Writes the progress file where there is news, or it has been behind for a while.
    fn show_soon(&self, recorded: &mut Recorded, is_news: bool) {
        if recorded.behind && (is_news || recorded.shown.elapsed() >= LAG) {
            tell(recorded.show(&self.dir));
        }
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

    pub(super) fn recorded(&self) -> MutexGuard<'_, Recorded> {
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
        let file = file::open_below(&self.dir, &path).map_err(|error| error.to_string())?;
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

    /// Appends to the run's results, then to the histories; takes back of the first what is not in these. Takes note of
    /// each that is written, and returns it; the others are errors.
    fn append(
        &self,
        recorded: &mut Recorded,
        entries: Vec<(LogName, Entry)>,
    ) -> Result<Vec<Result<Entry>>> {
        let path = self.dir.join(RESULTS);
        recorded.check(&path)?;
        let lines: Vec<Vec<u8>> = in_shares(&entries, |share| {
            share.iter().map(|(_, entry)| history::line_of(entry)).collect()
        });
        // One in which a line may be torn is opened anew, which sees to that.
        let open = match recorded.results.take() {
            Some(open) => Ok(open),
            None => LineFile::open(&path),
        };
        let (file, before) = open
            .and_then(|mut file| {
                let before = file.end;
                file.append(&lines.concat()).map(|()| (file, before))
            })
            .context("append to", &path)?;
        let packages = entries.iter().map(|(_, entry)| &entry.result.package);
        let of_packages: Vec<(&PackageName, &[u8])> =
            packages.zip(lines.iter().map(Vec::as_slice)).collect();
        let came = history::append_all(&self.data.packages(), &of_packages);
        if came.iter().all(Result::is_ok) {
            recorded.results = Some(file);
        } else {
            let there = lines.iter().zip(&came).filter(|(_, came)| came.is_ok());
            let there: Vec<&[u8]> = there.map(|(line, _)| line.as_slice()).collect();
            match there.is_empty() {
                true => file.take_back(before),
                false => {
                    // Killed before or while it is replaced, the run has more than the histories, and never less.
                    recorded.lost = true;
                    put_in_place(&path, before, &there)?;
                    recorded.lost = false;
                }
            }
        }
        let note = |((first, entry), came): ((LogName, Entry), Result<()>)| {
            came?;
            recorded.note(first, &entry.result);
            Ok(entry)
        };
        Ok(entries.into_iter().zip(came).map(note).collect())
    }
}

/// Replaces what a file of results has after `end` by these lines.
fn put_in_place(path: &Path, end: u64, lines: &[&[u8]]) -> Result<()> {
    let mut content = fs::read(path).context("read", path)?;
    content.truncate(usize::try_from(end).unwrap_or(usize::MAX));
    history::end_line(&mut content);
    content.extend(lines.concat());
    file::write_atomic(path, &content, Durability::Process)
}

/// The error for a result that cannot be recorded.
fn refused(result: &StageResult, reason: String) -> Error {
    Error::Result { package: result.package.clone(), stage: result.stage, reason }
}

/// The error for an attempt that has a result.
fn known(result: &StageResult) -> Error {
    refused(result, format!("attempt {} was recorded before", result.attempt))
}

/// Tells why the progress file could not be written. The results are there; only whoever watches sees them later.
fn tell(shown: Result<()>) {
    if let Err(error) = shown {
        tracing::info!("{error}");
    }
}
