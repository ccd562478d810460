//! Files made by functions of a build program, and by actions that it makes.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use larder_engine::{
    action::{Piece, text},
    artifact::Artifact,
    builds::*,
    context::Options,
    event::Status,
    job::{Job, Registry, collect},
    step::Work,
};
use larder_trace::BuildTrace;

use crate::support::*;

/// An action that writes all inputs, one after the other, to the output.
fn concatenate() -> Work {
    Work::Action(Box::new(|step, cx, inputs| {
        let mut arguments = vec![text("-c"), text("cat \"$@\" > $0"), vec![Piece::Output(0)]];
        arguments.extend(inputs.artifacts.iter().map(|input| path(step.portable(cx, input))));
        step.action(cx, inputs, &tool("sh"), arguments)
    }))
}

#[test]
fn a_file_after_one_dependency_or_many() {
    let here = Here::new();
    here.file("a", "a\n").file("b", "b\n");
    let run = |extra: &'static str| {
        let build = here.build();
        let inputs: Vec<Job<Artifact>> =
            ["a", "b"].map(|path| input_text_file(&build.owner, own(path))).into();
        let extra = move || BuildTrace::text("extra", extra);
        let upper = rewrite(|text| text.to_uppercase());
        let one = build_file_after_dep(build.owner(), out("one"), &inputs[0], extra, upper, false);
        let count = build_file_after_deps(
            build.owner(),
            out("deep/count"),
            inputs,
            extra,
            concatenate(),
            false,
        );
        build.run(&collect(&build.cx.scheduler, [one, count])).unwrap();
        build.with(Status::Built)
    };
    assert_eq!(run("1"), ["deep/count", "one"]);
    assert_eq!(here.read("one"), "A\n");
    assert_eq!(here.read("deep/count"), "a\nb\n");
    assert_eq!(run("1"), [""; 0]);
    here.file("b", "B\n");
    assert_eq!(run("1"), ["deep/count"]);
    assert_eq!(run("2"), ["deep/count", "one"]);
}

#[test]
fn line_ends_of_a_text_go_no_further() {
    let here = Here::new();
    let run = |source: &str, text: bool| {
        here.file("a", source);
        let build = here.build();
        let input = input_bin_file(&build.owner, own("a"));
        let copy = rewrite(|text| text);
        let made = build_file_after_dep(build.owner(), out("made"), &input, nothing, copy, text);
        let used =
            build_file_after_dep(build.owner(), out("used"), &made, nothing, rewrite(|t| t), false);
        build.run(&used).unwrap();
        build.with(Status::Built)
    };
    assert_eq!(run("1\n", true), ["made", "used"]);
    assert_eq!(run("1\r\n", true), ["made"]);
    assert_eq!(run("2\n", true), ["made", "used"]);
    assert_eq!(run("2\r\n", false), ["made", "used"]);
}

#[test]
fn work_that_promises_too_much_leaves_no_output() {
    let here = Here::new();
    here.file("a", "");
    let build = here.build();
    let input = input_bin_file(&build.owner, own("a"));
    let idle = function(|_| Ok(()));
    let job = build_file_after_dep(build.owner(), out("x"), &input, nothing, idle, false);
    assert!(build.run(&job).is_err());
    assert!(build.with(Status::Failed)[0].contains("did not write its output `x`"));
    assert!(!exists(&here.output("x")) && !exists(&here.output("x.trace")));
}

#[test]
fn each_is_built_once_however_many_ask() {
    let here = Here::new();
    here.file("a", "a");
    let build = here.build();
    let builds = Arc::new(AtomicUsize::new(0));
    let registry: Registry<&str, Artifact> = Registry::default();
    let ask = || {
        registry.fetch(&build.cx.scheduler, "x", || {
            let (input, builds) = (input_bin_file(&build.owner, own("a")), builds.clone());
            let work = function(move |place| {
                builds.fetch_add(1, Ordering::Relaxed);
                fs::write(&place.outputs[0], "x").unwrap();
                Ok(())
            });
            build_file_after_dep(build.owner(), out("x"), &input, nothing, work, false)
        })
    };
    let all = collect(&build.cx.scheduler, (0..50).map(|_| ask()));
    assert_eq!(build.run(&all).unwrap().value.len(), 50);
    assert_eq!(builds.load(Ordering::Relaxed), 1);
}

#[test]
fn what_does_not_end_well_is_counted_once() {
    let here = Here::new();
    here.file("a", "a");
    // Without it, what waits when the first step fails is skipped.
    let build = here.build_with(Options { keep_going: true, ..Options::default() });
    let fails = function(|_| Err("no".to_owned()));
    let input = input_bin_file(&build.owner, own("a"));
    let bad = build_file_after_dep(build.owner(), out("bad"), &input, nothing, fails, false);
    let needs =
        build_file_after_dep(build.owner(), out("needs"), &bad, nothing, rewrite(|t| t), false);
    let gone = input_bin_file(&build.owner, own("gone"));
    let lost =
        build_file_after_dep(build.owner(), out("lost"), &gone, nothing, rewrite(|t| t), false);
    let good =
        build_file_after_dep(build.owner(), out("good"), &input, nothing, rewrite(|t| t), false);
    assert!(build.run(&good).is_ok(), "{:?}", build.said());
    for job in [needs, lost] {
        assert!(build.run(&job).is_err());
    }
    let counts = build.counts();
    assert_eq!((counts.failed, counts.skipped, counts.built), (2, 2, 1), "{counts:?}");
}
