//! Sessions: several builds in one process, with one set of budgets or with different settings.

use std::{
    fs,
    path::Path,
    sync::{Arc, Barrier},
    thread,
};

use larder_engine::{
    action::{Action, Output, Variable},
    artifact::Artifact,
    builds::*,
    context::Options,
    executor::{Bench, ExecuteError, Execution, Executor, LocalExecutor},
    job::{Job, collect},
    pool::Lane,
    process::Processes,
    session::{Session, Settings},
};

use crate::support::*;

const COMMANDS: usize = 12;

/// Commands that note in `log` when they begin and end, and do some work between.
fn noted(build: &Build, log: &Path) -> Job<Vec<Vec<Artifact>>> {
    let script = "echo + >> $LOG; i=0; while [ $i -lt 3000 ]; do i=$((i + 1)); done; \
                  echo - >> $LOG; echo done > $0";
    let jobs = (0..COMMANDS).map(|number| {
        let mut command = shell(script);
        let log = log.to_string_lossy().into_owned();
        command.environment.insert("LOG".to_owned(), Variable::Text(log));
        let inputs: [Job<Vec<Artifact>>; 0] = [];
        build_command(
            build.owner(),
            Output::file(out(&format!("o{number}"))),
            Vec::new(),
            inputs,
            command,
        )
    });
    collect(&build.cx.scheduler, jobs)
}

/// How many commands ran at once at most, and how many ran.
fn counted(log: &Path) -> (usize, usize) {
    let text = fs::read_to_string(log).unwrap();
    let (mut now, mut most) = (0usize, 0);
    for mark in text.lines() {
        now = if mark == "+" { now + 1 } else { now - 1 };
        most = most.max(now);
    }
    assert_eq!(now, 0);
    (most, text.lines().count() / 2)
}

#[test]
fn two_builds_at_once_run_no_more_commands_than_their_session_may() {
    for slots in [1, 2, 3] {
        let session = Session::new(settings(slots), Arc::default());
        let log = Here::new();
        let marks = log.root.join("marks");
        let together = Barrier::new(2);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let here = Here::new();
                    let heard = Arc::new(Heard::default());
                    let build = here.build_in(&session, Options::default(), heard.clone(), heard);
                    together.wait();
                    assert!(build.run(&noted(&build, &marks)).is_ok(), "{:?}", build.said());
                    assert_eq!(build.counts().built, COMMANDS);
                });
            }
        });
        let (most, all) = counted(&marks);
        assert!(most <= slots, "{most} at once, and {slots} are allowed");
        assert_eq!(all, 2 * COMMANDS);
    }
}

#[test]
fn two_sessions_of_one_process_have_settings_of_their_own() {
    let together = Barrier::new(2);
    thread::scope(|scope| {
        for (slots, word) in [(1, "one"), (3, "three")] {
            let together = &together;
            scope.spawn(move || {
                let own = [("PATH", std::env::var("PATH").unwrap()), ("WORD", word.to_owned())];
                let environment = Arc::new(own.into_iter().collect());
                let session = Settings { slots: local(slots), environment, ..Settings::default() };
                let session = Session::new(session, Arc::default());
                let here = Here::new();
                let heard = Arc::new(Heard::default());
                let build = here.build_in(&session, Options::default(), heard.clone(), heard);
                let mut command = shell("echo $WORD > $0");
                let passed = Variable::Passed(nothing().hash());
                command.environment.insert("WORD".to_owned(), passed);
                let inputs: [Job<Vec<Artifact>>; 0] = [];
                let word_of = build_command(
                    build.owner(),
                    Output::file(out("word")),
                    Vec::new(),
                    inputs,
                    command,
                );
                let marks = here.root.join("marks");
                let all = noted(&build, &marks);
                together.wait();
                build.run(&word_of).unwrap_or_else(|_| panic!("{:?}", build.said()));
                build.run(&all).unwrap_or_else(|_| panic!("{:?}", build.said()));
                assert_eq!(here.read("word"), format!("{word}\n"));
                let (most, ran) = counted(&marks);
                assert!(most <= slots && ran == COMMANDS, "{most} of {ran} at once");
            });
        }
    });
}

#[test]
fn a_session_in_another_environment_shares_the_budget_of_the_one_it_came_from() {
    for slots in [1, 2] {
        let session = Session::new(settings(slots), Arc::default());
        let log = Here::new();
        let marks = log.root.join("marks");
        let together = Barrier::new(3);
        thread::scope(|scope| {
            for word in ["one", "two", "three"] {
                let own = [("PATH", std::env::var("PATH").unwrap()), ("WORD", word.to_owned())];
                let session = session.in_environment(Arc::new(own.into_iter().collect()));
                let (together, marks) = (&together, &marks);
                scope.spawn(move || {
                    let here = Here::new();
                    let heard = Arc::new(Heard::default());
                    let build = here.build_in(&session, Options::default(), heard.clone(), heard);
                    let mut command = shell("echo $WORD > $0");
                    let passed = Variable::Passed(nothing().hash());
                    command.environment.insert("WORD".to_owned(), passed);
                    let inputs: [Job<Vec<Artifact>>; 0] = [];
                    let output = Output::file(out("word"));
                    let said = build_command(build.owner(), output, Vec::new(), inputs, command);
                    let all = noted(&build, marks);
                    together.wait();
                    build.run(&said).unwrap_or_else(|_| panic!("{:?}", build.said()));
                    build.run(&all).unwrap_or_else(|_| panic!("{:?}", build.said()));
                    assert_eq!(here.read("word"), format!("{word}\n"));
                });
            }
        });
        let (most, all) = counted(&marks);
        assert!(most <= slots, "{most} at once, and {slots} are allowed");
        assert_eq!(all, 3 * COMMANDS);
    }
}

#[test]
fn sessions_in_other_environments_are_interrupted_together() {
    let session = Session::new(settings(1), Arc::default());
    let other = session.in_environment(Arc::default());
    session.processes.interrupt(rustix::process::Signal::TERM);
    assert!(other.processes.interrupted());
    assert!(Arc::ptr_eq(session.pool(), other.pool()));
}

/// Another machine: it takes an action at once, and gives none back before so many are there.
struct Elsewhere {
    machine: LocalExecutor,
    meeting: Meeting,
    at_once: usize,
}

impl Executor for Elsewhere {
    fn execute(&self, action: &Action, bench: &Bench<'_>) -> Result<Execution, ExecuteError> {
        assert!(self.meeting.join(self.at_once), "the other actions do not come");
        self.machine.execute(action, bench)
    }

    fn lane(&self) -> Lane {
        Lane::Remote
    }
}

#[test]
fn actions_that_run_elsewhere_take_no_slot_of_this_machine() {
    let processes: Arc<Processes> = Arc::default();
    let machine = LocalExecutor::new(processes.clone(), Arc::new(environment()));
    let at_once = COMMANDS;
    let elsewhere = Elsewhere { machine, meeting: Meeting::default(), at_once };
    let session = Session::with_executor(settings(1), processes, Arc::new(elsewhere));
    let here = Here::new();
    let heard = Arc::new(Heard::default());
    let build = here.build_in(&session, Options::default(), heard.clone(), heard);
    let all = noted(&build, &here.root.join("marks"));
    assert!(build.run(&all).is_ok(), "{:?}", build.said());
    assert_eq!(build.counts().built, COMMANDS);
}
