//! Outputs that were left in the store: made again when it is gone, once, and however long their chain.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use larder_engine::{
    artifact::Artifact,
    builds::*,
    context::Options,
    event::Status,
    job::{Job, collect},
    session::Session,
};
use larder_trace::BuildTrace;

use crate::support::*;

/// A chain of files of which each is made from the one before, the last with `extra`.
fn chain(build: &Build, length: usize, extra: &'static str) -> Job<Artifact> {
    let mut job = input_bin_file(&build.owner, own("in"));
    for number in 0..length {
        let is_last = number + 1 == length;
        let owner = Owner { keep: is_last, ..build.owner() };
        let extra = move || BuildTrace::text("extra", if is_last { extra } else { "" });
        let copy = rewrite(|text| text);
        job = build_file_after_dep(owner, out(&format!("o{number}")), &job, extra, copy, false);
    }
    job
}

/// As after a restore of what is asked for: of the rest there are only records.
fn leave_in_store(here: &Here, outputs: impl IntoIterator<Item = String>) {
    for output in outputs {
        let trace = here.output(&format!("{output}.trace"));
        let text = fs::read_to_string(&trace).unwrap();
        fs::write(&trace, text.replace("\"synthetic\":false", "\"synthetic\":true")).unwrap();
        fs::remove_file(here.output(&output)).unwrap();
    }
    fs::remove_file(here.root.join(".larder/index")).unwrap();
}

#[test]
fn a_long_chain_that_was_left_in_a_store_is_made_again_when_it_is_gone() {
    const LENGTH: usize = 2000;
    let here = Here::new();
    // With one slot no two threads hand the chain to each other, which takes long on a busy machine.
    let start = || {
        let session = Session::new(settings(1), Arc::default());
        let heard = Arc::new(Heard::default());
        here.build_in(&session, Options::default(), heard.clone(), heard)
    };
    here.file("in", "content");
    let build = start();
    build.run(&chain(&build, LENGTH, "1")).unwrap();
    leave_in_store(&here, (0..LENGTH - 1).map(|number| format!("o{number}")));

    let again = start();
    again.run(&chain(&again, LENGTH, "1")).unwrap();
    assert_eq!(again.with(Status::Built), [""; 0]);
    assert_eq!(again.counts().replayed, LENGTH);
    let changed = start();
    changed.run(&chain(&changed, LENGTH, "2")).unwrap();
    assert_eq!(changed.with(Status::Built).len(), LENGTH);
    // Each was up to date until somebody needed it.
    assert_eq!((changed.counts().built, changed.counts().replayed), (LENGTH, 0));
    assert_eq!(here.read(&format!("o{}", LENGTH - 1)), "content");
}

#[test]
fn what_was_left_in_a_store_is_made_once_however_many_need_it() {
    const USERS: usize = 20;
    let here = Here::new();
    here.file("in", "content");
    let made = Arc::new(AtomicUsize::new(0));
    let build = |extra: &'static str| {
        let build = here.build();
        let counts = made.clone();
        let work = function(move |place| {
            counts.fetch_add(1, Ordering::SeqCst);
            fs::copy(&place.inputs[0], &place.outputs[0]).unwrap();
            Ok(())
        });
        let input = input_bin_file(&build.owner, own("in"));
        let owner = Owner { keep: false, ..build.owner() };
        let shared = build_file_after_dep(owner, out("shared"), &input, nothing, work, false);
        let users = (0..USERS).map(|number| {
            let extra = move || BuildTrace::text("extra", extra);
            let (name, copy) = (format!("user{number}"), rewrite(|text| text));
            build_file_after_dep(build.owner(), out(&name), &shared, extra, copy, false)
        });
        let all = collect(&build.cx.scheduler, users);
        build.run(&all).unwrap();
        (build.with(Status::Built).len(), build.counts())
    };
    assert_eq!(build("1").0, USERS + 1);
    assert_eq!(made.swap(0, Ordering::SeqCst), 1);
    leave_in_store(&here, ["shared".to_owned()]);
    let (built, counts) = build("2");
    assert_eq!(made.load(Ordering::SeqCst), 1);
    assert_eq!((built, counts.built, counts.replayed), (USERS + 1, USERS + 1, 0));
}

#[test]
fn what_was_left_in_a_store_and_cannot_be_made_again_fails_each_that_needs_it() {
    let here = Here::new();
    here.file("in", "content");
    let build = |extra: &'static str, fails: bool| {
        let build = here.build();
        let work = function(move |place| match fails {
            true => Err("it is broken".to_owned()),
            false => fs::write(&place.outputs[0], "made").map_err(|error| error.to_string()),
        });
        let input = input_bin_file(&build.owner, own("in"));
        let owner = Owner { keep: false, ..build.owner() };
        let first = build_file_after_dep(owner.clone(), out("first"), &input, nothing, work, false);
        let second =
            build_file_after_dep(owner, out("second"), &first, nothing, rewrite(|t| t), false);
        let extra = move || BuildTrace::text("extra", extra);
        let last =
            build_file_after_dep(build.owner(), out("last"), &second, extra, rewrite(|t| t), false);
        let ended = build.run(&last).is_ok();
        (ended, build)
    };
    assert!(build("1", false).0);
    leave_in_store(&here, ["first".to_owned(), "second".to_owned()]);
    let (succeeded, build) = build("2", true);
    assert!(!succeeded);
    assert_eq!(build.with(Status::Failed), ["first: it is broken"]);
    let counts = build.counts();
    assert_eq!((counts.failed, counts.skipped, counts.replayed), (1, 2, 0), "{counts:?}");
}
