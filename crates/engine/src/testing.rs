//! `larder test`: runs what a package calls its tests, as soon as each is built.
//!
//! An executable runs in a fresh directory of its own, a command in its package. A test that fails may be
//! tried again, and one that passed may count again as long as nothing that it depends on changes.

mod replay;
mod run;
mod turns;

use std::{path::PathBuf, sync::Arc, time::Duration};

use larder_project::{
    diagnostic::{Diagnostic, Diagnostics},
    pattern::TargetPattern,
    plan::{Plan, TargetId},
};
use serde::{Deserialize, Serialize};

use crate::job::Scheduler;

pub(crate) use run::run_test;

/// A request to run tests after building them.
#[derive(Debug, Clone, Default)]
pub struct TestRequest {
    /// The tests; all of the root package, when there are none.
    pub which: Vec<TargetPattern>,
    /// Whether they are only built.
    pub no_run: bool,
    /// How they are run.
    pub options: TestOptions,
}

impl TestRequest {
    /// Checks that arguments have a test to go to.
    pub(crate) fn check_arguments(
        &self,
        plan: &Plan,
        tests: &[TargetId],
    ) -> Result<(), Diagnostics> {
        let takes_arguments = |id: &TargetId| plan.target(*id).facet().is_some();
        if self.options.arguments.is_empty() || tests.iter().any(takes_arguments) {
            return Ok(());
        }
        let message = "arguments after `--` go to executables, and none of these tests is one";
        Err(Diagnostic::new(message).help("the arguments of a command stand in its `run`").into())
    }
}

/// How tests are run.
#[derive(Debug, Clone, Default)]
pub struct TestOptions {
    /// Further arguments for executables.
    pub arguments: Vec<String>,
    /// How long each may run, whatever the manifest says.
    pub timeout: Option<Duration>,
    /// How often one that fails is tried again.
    pub retries: u16,
    /// How many may run at once; as many as commands, when absent.
    pub at_once: Option<u16>,
    /// Whether one that passed counts again while its inputs are the same.
    pub cached: bool,
    /// Whether the directories of those that fail are kept.
    pub keep: bool,
}

/// The tests of one build: how they are run, and how many at once.
pub(crate) struct Testing {
    pub options: TestOptions,
    turns: turns::Turns,
}

impl Testing {
    /// Runs tests as `options` say.
    pub fn new(scheduler: &Arc<Scheduler>, options: TestOptions) -> Arc<Self> {
        let turns = turns::Turns::new(scheduler, options.at_once);
        Arc::new(Self { options, turns })
    }
}

/// How a test ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It passed.
    Passed,
    /// It passed after it had failed.
    Flaky,
    /// It passed before, and nothing that it depends on has changed.
    Cached,
    /// It failed.
    Failed,
    /// It was ended because it took too long.
    TimedOut,
}

impl Outcome {
    /// Whether it counts as a success.
    pub fn success(self) -> bool {
        matches!(self, Self::Passed | Self::Flaky | Self::Cached)
    }
}

/// The result of a test.
#[derive(Debug, Clone)]
pub struct Tested {
    /// How it ended.
    pub outcome: Outcome,
    /// Each time that it was run, in order; at least one. All but the last failed.
    pub attempts: Vec<Attempt>,
    /// The directory that the last attempt ran in, where that was to be kept.
    pub kept: Option<PathBuf>,
}

impl Tested {
    /// Returns the last attempt.
    pub fn last(&self) -> &Attempt {
        const NONE: &Attempt = &Attempt {
            failure: None,
            output: String::new(),
            took: Duration::ZERO,
            timed_out: false,
        };
        self.attempts.last().unwrap_or(NONE)
    }
}

/// One run of a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// Why it failed; none, when it passed.
    pub failure: Option<String>,
    /// The text that it printed.
    pub output: String,
    /// How long it took.
    #[serde(rename = "milliseconds", with = "milliseconds")]
    pub took: Duration,
    /// Whether it was ended because it took too long.
    pub timed_out: bool,
}

/// How many tests ended how. Its parts sum to the total.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TestCounts {
    /// They passed at once.
    pub passed: usize,
    /// They passed after they had failed.
    pub flaky: usize,
    /// They passed before, and were not run.
    pub cached: usize,
    /// They failed.
    pub failed: usize,
    /// They took too long.
    pub timed_out: usize,
    /// They were not run: what they need was not built, or the build was ended.
    pub not_run: usize,
    /// All of these.
    pub total: usize,
}

impl TestCounts {
    /// Counts results; of a test that was not run there is none.
    pub fn of<'t>(results: impl IntoIterator<Item = Option<&'t Tested>>) -> Self {
        let mut counts = Self::default();
        for result in results {
            counts.total += 1;
            let part = match result.map(|tested| tested.outcome) {
                Some(Outcome::Passed) => &mut counts.passed,
                Some(Outcome::Flaky) => &mut counts.flaky,
                Some(Outcome::Cached) => &mut counts.cached,
                Some(Outcome::Failed) => &mut counts.failed,
                Some(Outcome::TimedOut) => &mut counts.timed_out,
                None => &mut counts.not_run,
            };
            *part += 1;
        }
        counts
    }
}

/// Spans of time as whole milliseconds.
mod milliseconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(time.as_millis() as u64)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}
