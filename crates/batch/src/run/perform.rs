//! Doing work of a part, with a log of its own.

use std::{
    fs,
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use larder_runs::{
    name::HashName,
    result::StageResult,
    run_log::{LogName, LogWriter},
};

use super::{BatchError, attend::Attendance, job::Done};
use crate::{
    build::{BuildTask, Failure, Log, StageEnd},
    event::{Event, TaskName},
    hashes,
    tasks::Part,
};

/// What came of the work of a part.
pub enum Performed {
    /// It ended so; not recorded yet.
    Ended(Box<StageResult>, Option<Failure>),
    /// There was nothing to do.
    Nothing,
    /// It was interrupted: nothing is known of it.
    Interrupted,
}

/// A part to be done now.
pub struct Try<'t> {
    /// The part.
    pub part: Part,
    /// Its name.
    pub name: &'t TaskName,
    /// The build that it is about.
    pub task: &'t BuildTask,
    /// The hash of all that its result depends on.
    pub dep_hash: HashName,
    /// The how manieth attempt it is, from 1.
    pub attempt: u32,
    /// How long it is expected to take.
    pub expected: Duration,
    /// How long it was ready and waited for its turn, where that is known.
    pub queued: Option<Duration>,
}

impl Attendance<'_> {
    /// Does `work` for a part. What is printed meanwhile is in the log that the result has.
    pub(super) fn perform(
        &self,
        Try { part, name, task, dep_hash, attempt, expected, queued }: Try<'_>,
        work: impl FnOnce(&Log) -> Done,
    ) -> Result<Performed, BatchError> {
        let expected = Some(expected).filter(|time| !time.is_zero());
        self.reporter.event(&Event::Started { task: name, attempt, expected });
        self.progress(|running| running.push(name.package.to_string()))?;
        let log_name =
            LogName::new(name.package.clone(), part.stage, name.build_hash.clone(), attempt);
        let writer = self.run.log_writer(&log_name)?;
        let writer = match task.allowance.log {
            Some(limit) => writer.limited(limit),
            None => writer,
        };
        let log = Arc::new(Mutex::new(Sink(Some(writer))));
        let start = self.run.clock().now();
        let sink: Log = log.clone();
        let done = work(&sink);
        drop(sink);
        let end = self.run.clock().now();
        self.reporter.event(&Event::Stopped { task: name });
        // Whoever holds it still has nothing more to say.
        let writer = log.lock().unwrap_or_else(PoisonError::into_inner).0.take();
        let log = writer.map(LogWriter::finish);
        let failure = match done.ended {
            StageEnd::Worked => None,
            StageEnd::Failed(failure) => Some(failure),
            StageEnd::Interrupted | StageEnd::Nothing => {
                self.progress(|running| {
                    running.retain(|running| *running != name.package.as_str());
                })?;
                if matches!(done.ended, StageEnd::Interrupted) {
                    return Ok(Performed::Interrupted);
                }
                // A log without a result would be one that was cut short.
                let path = log.map(|log| self.run.dir().join(log.path));
                if let Some(Err(error)) = path.map(fs::remove_file) {
                    tracing::info!("cannot remove an empty log: {error}");
                }
                return Ok(Performed::Nothing);
            }
        };
        let costs = done.costs;
        let dep_hash = match failure.as_ref().and_then(|failure| failure.limit) {
            Some(_) => hashes::limited(&dep_hash, &task.allowance),
            None => dep_hash,
        };
        let result = StageResult {
            dep_hash: Some(dep_hash),
            attempt,
            start,
            end,
            origin: done.origin,
            wall_ms: Some(costs.wall.as_millis() as u64),
            cpu_ms: Some(costs.cpu.as_millis() as u64),
            queued_ms: queued.map(|queued| queued.as_millis() as u64),
            peak_memory_bytes: Some(costs.peak_memory),
            jobs: u32::try_from(task.jobs).ok(),
            log,
            ..self.blank(part)
        };
        let result = match &failure {
            None => result,
            Some(failure) => self.failed(result, failure),
        };
        Ok(Performed::Ended(Box::new(result), failure))
    }

    /// Changes what the run says is going on.
    fn progress(&self, change: impl FnOnce(&mut Vec<String>)) -> larder_runs::Result<()> {
        self.run.update_progress(|progress| {
            change(&mut progress.running);
            Ok(())
        })
    }
}

/// Takes what is printed, until the log is ended.
struct Sink(Option<LogWriter>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.as_mut().map_or(Ok(bytes.len()), |log| log.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.as_mut().map_or(Ok(()), Write::flush)
    }
}
