//! Builds on a server that fails as it is told to: slower, never wrong.

use std::time::Duration;

use larder_testkit::{
    clusters::{Behaviour, Faulty, Poison},
    processes::send,
    project::Project,
    wait::{ends_within, wait_until},
};
use rustix::process::Signal;

use crate::support::{build, build_impatiently, built_here, demo, same};

#[test]
fn whatever_fails_a_third_of_the_time_the_bytes_are_those_of_a_local_build() {
    let project = demo();
    let here = built_here(&project);
    let normal = Behaviour { max_batch: 4096, ..Behaviour::default() };
    let faults = [
        Behaviour { unavailable: 0.3, ..normal.clone() },
        Behaviour { exhausted: 0.3, ..normal.clone() },
        Behaviour { resets: 0.1, ..normal.clone() },
        Behaviour { cuts: 0.3, ..normal.clone() },
        Behaviour { wrong_bytes: 0.3, ..normal.clone() },
        Behaviour { lost: 0.3, ..normal.clone() },
        Behaviour {
            unavailable: 0.1,
            exhausted: 0.1,
            cuts: 0.1,
            wrong_bytes: 0.1,
            lost: 0.1,
            ..normal.clone()
        },
    ];
    for faults in faults {
        let server = Faulty::start(faults.clone());
        // The first fills the cache, and the second is served by it.
        for _ in 0..2 {
            let again = project.elsewhere();
            build(&again, &server.url());
            same(&again.outputs(), &here);
        }
        assert!(server.counts().executed > 0, "{faults:?}");
    }
}

#[test]
fn a_poisoned_result_is_a_miss() {
    let project = demo();
    let here = built_here(&project);
    let server = Faulty::start(Behaviour::default());
    build(&project, &server.url());
    for how in [
        Poison::ExitCode,
        Poison::MissingOutput,
        Poison::NoContent,
        Poison::NoDigest,
        Poison::LeadsOut,
        Poison::Links,
    ] {
        assert!(server.poison(how) > 0);
        server.counts();
        let again = project.elsewhere();
        build(&again, &server.url());
        same(&again.outputs(), &here);
        assert!(server.counts().executed > 0, "{how:?}");
    }
}

#[test]
fn a_result_that_read_something_else_is_a_miss() {
    let project = Project::new("[[executable]]\nname = \"p\"\nsources = [\"*.c\"]\n");
    project.file("p.c", "int q(void);\nint main(void) { return q(); }\n");
    project.file("q.c", "int q(void) { return 0; }\n");
    let here = built_here(&project);
    let server = Faulty::start(Behaviour::default());
    build(&project, &server.url());
    // Its depfile is a text that is none, and so names files that it was not given.
    server.poison(Poison::OtherContent);
    let again = project.elsewhere();
    let outcome = build(&again, &server.url());
    assert_eq!(outcome.with("built", "remote").len(), 3, "{:?}", outcome.steps);
    same(&again.outputs(), &here);
}

#[test]
fn a_server_that_never_answers_is_given_up() {
    let project = demo();
    let server = Faulty::start(Behaviour { stalls: 1.0, ..Behaviour::default() });
    let begun = std::time::Instant::now();
    let outcome = build_impatiently(&project, &server.url());
    assert_eq!(outcome.with("built", "local").len(), 7, "{:?}", outcome.steps);
    assert!(begun.elapsed().as_secs() < 30, "{:?}", begun.elapsed());
}

#[test]
fn answers_that_never_come_are_asked_for_again() {
    let project = demo();
    let server = Faulty::start(Behaviour { stalls: 0.1, ..Behaviour::default() });
    for _ in 0..2 {
        let again = project.elsewhere();
        build_impatiently(&again, &server.url());
        same(&again.outputs(), &built_here(&project));
    }
    assert!(server.counts().executed > 0);
}

#[test]
fn an_interrupt_cancels_what_runs_there() {
    let compiler = tempfile::tempdir().unwrap();
    // It stands for a compile that takes minutes: the worker's `env` never comes to an end.
    let script = "case \"$*\" in *.c*) exec sleep 600;; esac; exec /usr/bin/env \"$@\"\n";
    larder_testkit::files::script(&compiler.path().join("env"), script);
    let programs = Some(compiler.path().to_owned());
    let server = Faulty::start(Behaviour { programs, ..Behaviour::default() });
    let project = demo();
    let child = project.start(&["build", "--remote", &server.url()]);
    let compiles = 4;
    wait_until("all compiles run there", || server.running() == compiles);
    send(&child, Signal::INT);
    let status = ends_within(Duration::from_secs(10), child);
    assert_eq!(status.code(), Some(130));
    let counts = server.counts();
    assert_eq!(counts.calls.get("CancelOperation"), Some(&compiles), "{counts:?}");
}

/// Commands do not run there with what they were not given.
#[test]
fn contents_that_are_damaged_there_are_in_no_output() {
    let project = demo();
    let here = built_here(&project);
    for share in [0.0, 0.2, 0.5, 0.8, 1.0] {
        let server = Faulty::start(Behaviour::default());
        build(&project.elsewhere(), &server.url());
        server.damage(share);
        let again = project.elsewhere();
        build(&again, &server.url());
        same(&again.outputs(), &here);
    }
}

#[test]
fn contents_that_got_lost_are_sent_again() {
    let project = demo();
    let server = Faulty::start(Behaviour::default());
    build(&project, &server.url());
    server.forget_contents();
    // The results are known, and nothing of what they name is there any more.
    let again = project.elsewhere();
    let outcome = build(&again, &server.url());
    assert_eq!(outcome.with("built", "remote").len(), 7, "{:?}", outcome.steps);
    same(&again.outputs(), &built_here(&project));
}
