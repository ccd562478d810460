//! A panic in a job is a failed job with a message: its siblings are built, and nothing hangs.

use std::{fs, sync::Arc};

use larder_engine::{
    artifact::Artifact,
    builds::*,
    context::Options,
    event::{Event, Reporter, Status},
    job::{Built, Flow, Job, Registry, settle},
    step::Work,
};

use crate::support::*;

fn keep_going() -> Options {
    Options { keep_going: true, ..Options::default() }
}

/// Builds `bad` by `work`, what needs it, and siblings of it. Gives which of them succeeded.
fn with_siblings(build: &Build, work: Work) -> Vec<bool> {
    let input = input_bin_file(&build.owner, own("a"));
    let file = |name: &str, of: &Job<Artifact>, work: Work| {
        build_file_after_dep(build.owner(), out(name), of, nothing, work, false)
    };
    let copy = || rewrite(|text| text);
    let bad = file("bad", &input, work);
    let mut jobs = vec![file("needs-bad", &bad, copy()), bad];
    jobs.extend((0..8).map(|number| file(&format!("sibling{number}"), &input, copy())));
    let all = settle(&build.cx.scheduler, jobs);
    let ended = build.run(&all).expect("settling does not fail");
    ended.value.iter().map(Result::is_ok).collect()
}

#[test]
fn work_that_panics_is_a_failed_step() {
    let half = |place: &larder_engine::step::Workplace| {
        fs::write(&place.outputs[0], "half").unwrap();
        std::panic::panic_any(7)
    };
    for (work, message) in [
        (function(|_| panic!("out of cheese")), "out of cheese"),
        (Work::Action(Box::new(|_, _, _| panic!("out of {}", "ham"))), "out of ham"),
        (function(half), "a panic without a message"),
    ] {
        let here = Here::new();
        here.file("a", "a");
        let build = here.build_with(keep_going());
        let ended = with_siblings(&build, work);
        assert_eq!(ended[..2], [false, false]);
        assert!(ended[2..].iter().all(|&ended| ended));
        assert_eq!(build.with(Status::Failed), [format!("bad: it panicked: {message}")]);
        assert!(!exists(&here.output("bad")) && !exists(&here.output("bad.trace")));
        let counts = build.counts();
        assert_eq!((counts.failed, counts.skipped, counts.built), (1, 1, 8), "{counts:?}");
    }
}

/// Panics when it hears that `bad` has ended.
struct Clumsy(Arc<Heard>);

impl Reporter for Clumsy {
    fn event(&self, event: &Event<'_>) {
        if let Event::Ended { step, .. } = event {
            assert!(step.output != "bad", "the printer is on fire");
        }
        self.0.event(event);
    }
}

#[test]
fn a_reporter_that_panics_fails_one_job() {
    let here = Here::new();
    here.file("a", "a");
    let heard = Arc::new(Heard::default());
    let clumsy = Arc::new(Clumsy(heard.clone()));
    let build = here.build_in(&session(), keep_going(), clumsy, heard);
    let ended = with_siblings(&build, rewrite(|text| text));
    assert_eq!(ended[..2], [false, false]);
    assert!(ended[2..].iter().all(|&ended| ended));
    assert_eq!(build.cx.scheduler.panics(), ["the printer is on fire"]);
    assert_eq!(build.with(Status::Built).len(), 8);
}

#[test]
fn a_job_that_cannot_even_be_made_fails_all_who_ask_for_it() {
    let here = Here::new();
    let build = here.build();
    let scheduler = build.cx.scheduler.clone();
    let registry: Arc<Registry<&str, u32>> = Arc::default();
    let ask = |_| {
        let (registry, again) = (registry.clone(), scheduler.clone());
        Job::spawn(&scheduler, move || {
            Flow::Continued(registry.fetch(&again, "key", || panic!("no such target")))
        })
    };
    let mut jobs: Vec<Job<u32>> = (0..3).map(ask).collect();
    jobs.push(Job::spawn(&scheduler, || Flow::Ended(Ok(Built { value: 1, trace: nothing() }))));
    let ended = build.run(&settle(&scheduler, jobs)).unwrap();
    let ended: Vec<bool> = ended.value.iter().map(Result::is_ok).collect();
    assert_eq!(ended, [false, false, false, true]);
    assert_eq!(scheduler.panics(), ["no such target"]);
}
