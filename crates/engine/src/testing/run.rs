//! Running one test: its turn, its attempts, its directory.

use std::{
    fs,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use larder_project::{path::RootPath, workspace::LARDER_DIR};
use larder_trace::{BuildTrace, Moment, describe_io};

use super::{Attempt, Outcome, Tested, Testing, replay};
use crate::{
    action::Action,
    artifact::Artifact,
    builds::{CommandBuild, Machine, Owner},
    event::Event,
    executor::{ExecuteError, Execution},
    job::{Built, Failed, Flow, Job},
    process::{Exit, Limits},
    runner::kernel_runs,
    step::Elided,
};

/// A job that runs a test when its inputs are there and it is its turn. It fails when the test was not run.
pub(crate) fn run_test(
    owner: Owner,
    name: &str,
    inputs: &Job<Vec<Artifact>>,
    command: CommandBuild,
    timeout: Option<Duration>,
    testing: Arc<Testing>,
) -> Job<Tested> {
    let name = name.to_owned();
    inputs.flow(move |inputs| {
        let cx = owner.cx.clone();
        let elided: Vec<Arc<Elided>> =
            inputs.value.iter().filter_map(|input| input.elided.clone()).collect();
        let test = Test {
            inputs: Built { value: inputs.value.clone(), trace: inputs.trace.clone() },
            timeout: testing.options.timeout.or(timeout),
            owner,
            name,
            command,
            testing,
        };
        let ready = Elided::fetch_all(&cx, &elided);
        Flow::Continued(ready.flow(move |_| {
            let go_ahead = cx.go_ahead.clone();
            Flow::Continued(go_ahead.flow(move |_| {
                let turn = test.testing.turns.wait();
                Flow::Continued(turn.map(move |_| {
                    let _turn = test.testing.turns.begin();
                    test.run()
                }))
            }))
        }))
    })
}

/// A test that is ready to run.
struct Test {
    owner: Owner,
    /// Its name in the manifest.
    name: String,
    inputs: Built<Vec<Artifact>>,
    command: CommandBuild,
    timeout: Option<Duration>,
    testing: Arc<Testing>,
}

impl Test {
    fn run(&self) -> Result<Built<Tested>, Failed> {
        let cx = &self.owner.cx;
        if cx.stopped() {
            return Err(Failed);
        }
        let tested = self.result()?;
        cx.report(&Event::Tested { target: &self.owner.target, tested: &tested });
        Ok(Built { value: tested, trace: BuildTrace::nil("test") })
    }

    /// The result, of now or of before.
    fn result(&self) -> Result<Tested, Failed> {
        let cx = &self.owner.cx;
        let action = match self.action() {
            Ok(action) => action,
            Err(error) => return self.not_begun(error),
        };
        let begun = Moment::now();
        let key = match self.command.always {
            true => None,
            false => {
                let inputs = self.inputs.value.iter().map(|input| input.path.clone());
                let inputs: Vec<RootPath> = inputs.collect();
                replay::key(&self.owner, &action, &self.inputs.trace, &self.command, &inputs)
            }
        };
        let record = self.place("tests", ".json");
        if let Some(key) = key.filter(|_| self.testing.options.cached)
            && let Some(attempt) = replay::find(&record, key)
        {
            return Ok(Tested { outcome: Outcome::Cached, attempts: vec![attempt], kept: None });
        }
        // What is said of it holds no longer, however this ends.
        let _ = fs::remove_file(&record);
        let (mut attempts, mut kept) = (Vec::new(), None);
        for _ in 0..=self.testing.options.retries {
            let (attempt, directory) = self.attempt(&action)?;
            let passed = attempt.failure.is_none();
            attempts.push(attempt);
            kept = directory;
            if passed || cx.stopped() {
                break;
            }
        }
        let tested = Tested { outcome: outcome(&attempts), attempts, kept };
        if let Some(key) = key.filter(|_| tested.outcome == Outcome::Passed)
            && self.inputs.value.iter().all(|input| cx.is_unchanged_since(input, begun))
        {
            replay::keep(&record, key, tested.last());
        }
        Ok(tested)
    }

    fn not_begun(&self, error: ExecuteError) -> Result<Tested, Failed> {
        let ExecuteError::Failed(message) = error else { return Err(Failed) };
        let attempt = Attempt {
            failure: Some(message),
            output: String::new(),
            took: Duration::ZERO,
            timed_out: false,
        };
        Ok(Tested { outcome: Outcome::Failed, attempts: vec![attempt], kept: None })
    }

    fn action(&self) -> Result<Action, ExecuteError> {
        let command = &self.command;
        let action =
            command.action_of(&self.owner.cx, &self.owner.place, &[], &self.inputs.value)?;
        Ok(Action { limits: Limits { wall: self.timeout, ..Limits::default() }, ..action })
    }

    /// Runs it once. Gives the directory that it ran in if that is kept: it failed, and is to be looked at.
    fn attempt(&self, action: &Action) -> Result<(Attempt, Option<PathBuf>), Failed> {
        let cx = &self.owner.cx;
        let started = Instant::now();
        let staging = cx.staging(false).map_err(|error| {
            let why = describe_io(&error);
            ExecuteError::Failed(format!("cannot make a directory to run in: {why}"))
        });
        let executed = match &staging {
            Ok(_) if let Some(why) = self.does_not_run() => Err(ExecuteError::Failed(why)),
            Ok(staging) => cx.executor.execute(action, &self.owner.bench(staging.path())),
            Err(error) => Err(error.clone()),
        };
        let (failure, output, timed_out) = match executed {
            Ok(Execution { exit, refusals, printed, .. }) => {
                let mut failure = exit.to_string();
                refusals.iter().for_each(|refusal| failure += &format!("\n{refusal}"));
                let failure = (!exit.success()).then_some(failure);
                (failure, printed.trim_end().to_owned(), matches!(exit, Exit::TimedOut(_)))
            }
            Err(ExecuteError::Interrupted) => return Err(Failed),
            Err(ExecuteError::Failed(message) | ExecuteError::Declined(message)) => {
                (Some(message), String::new(), false)
            }
        };
        let attempt = Attempt { failure, output, took: started.elapsed(), timed_out };
        let keep = self.testing.options.keep && attempt.failure.is_some();
        let kept = staging.ok().filter(|_| keep).and_then(|staging| {
            let kept = self.place("failed", "");
            // The one of an earlier run or attempt makes way.
            let _ = fs::remove_dir_all(&kept);
            let moved =
                fs::create_dir_all(kept.parent()?).and_then(|()| fs::rename(staging.path(), &kept));
            moved.is_ok().then_some(kept)
        });
        Ok((attempt, kept))
    }

    /// Why this machine does not run the program, if it is known.
    fn does_not_run(&self) -> Option<String> {
        let Machine::Other { program, advice: Some(advice) } = &self.command.machine else {
            return None;
        };
        let path = self.owner.cx.absolute(&self.inputs.value.get(*program)?.path);
        (!kernel_runs(&path)).then(|| format!("cannot run {}: {advice}", path.display()))
    }

    /// The path of something of the test's among others of its kind.
    fn place(&self, kind: &str, extension: &str) -> PathBuf {
        let cx = &self.owner.cx;
        let mut path = cx.root.join(LARDER_DIR).join(kind);
        if self.owner.place.directory != cx.root {
            path.push(format!("@{}", self.owner.place.name));
        }
        path.join(format!("{}{extension}", self.name))
    }
}

fn outcome(attempts: &[Attempt]) -> Outcome {
    match attempts.last() {
        Some(Attempt { failure: None, .. }) if attempts.len() > 1 => Outcome::Flaky,
        Some(Attempt { failure: None, .. }) => Outcome::Passed,
        Some(Attempt { timed_out: true, .. }) => Outcome::TimedOut,
        _ => Outcome::Failed,
    }
}
