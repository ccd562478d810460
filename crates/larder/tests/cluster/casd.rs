//! Builds on `buildbox-casd`, which runs actions in a sandbox with this machine's tools.

use std::{fs, thread, time::Duration};

use larder_testkit::{
    clusters::{Casd, Workers},
    processes::{send, spawn},
    project::Project,
    run::Run,
    wait::ends_within,
};
use rustix::process::Signal;

use crate::support::{build, built_here, configure, demo, impatient, same, try_build};

/// The number of steps of the package.
const STEPS: usize = 7;

#[test]
fn another_directory_finds_all_that_was_built_there_and_the_bytes_are_those_of_a_local_build() {
    let Some(server) = Casd::start(Workers::Same) else { return };
    let first = demo();
    let built = build(&first, &server.url());
    assert_eq!(built.with("built", "remote").len(), STEPS, "{:?}", built.steps);
    let second = first.elsewhere();
    let known = build(&second, &server.url());
    assert_eq!(known.with("restored", "remote-cache").len(), STEPS, "{:?}", known.steps);
    let here = built_here(&first);
    same(&first.outputs(), &here);
    same(&second.outputs(), &here);
    // What commands cost there counts once, where they ran.
    let cost = |project: &Project| {
        project.forget();
        let more = ["--no-cache", "--summary"];
        let events = try_build(project, &server.url(), &more).run.ok().events();
        let summary = events.into_iter().find(|event| event["event"] == "summary").unwrap();
        summary["commandsCpuMilliseconds"].as_u64().unwrap()
    };
    assert_eq!(cost(&second), 0);
    let edited = second.elsewhere();
    edited.file("include/greet.h", "#include <stdio.h>\nvoid greet(void);\n#define OTHER 1\n");
    assert!(cost(&edited) > 0);
    // The log of a command is that of a local one, wherever it ran.
    for outcome in [&built, &known] {
        let events = outcome.run.events();
        let greet = events.iter().find(|event| {
            event["event"] == "ended"
                && event["output"].as_str().is_some_and(|it| it.ends_with("greet.c.o"))
        });
        let log = greet.unwrap()["log"].to_string();
        assert!(log.contains("unused variable") && log.contains("greet/greet.c"), "{log}");
    }
    // What is there is up to date, whoever asks.
    assert_eq!(build(&first, &server.url()).with("built", "remote").len(), 0);
    let again = second.larder(&["build", "--remote", "none"]).ok();
    assert!(again.stderr.contains("7 up to date"), "{}", again.stderr);
    second.larder(&["--color", "never", "exec", "hello"]).ok();
}

#[test]
fn an_edited_header_costs_its_users_and_a_new_one_in_front_is_found() {
    let Some(server) = Casd::start(Workers::Same) else { return };
    let project = demo();
    build(&project, &server.url());
    project.file("include/greet.h", "#include <stdio.h>\nvoid greet(void);\n#define EDITED 1\n");
    let edited = build(&project.elsewhere(), &server.url());
    // Links read the objects, which are the same but for their debug information.
    let objects: Vec<&str> =
        edited.with("built", "remote").into_iter().filter(|it| it.ends_with(".o")).collect();
    assert_eq!(objects, ["obj/hello/src/main.c.o", "obj/libgreet/greet/greet.c.o"]);
    // `include` is searched before the directory of `words`.
    project.file("include/words.h", "#define where() \"shadowed\"\nconst char *word(void);\n");
    let shadowed = project.elsewhere();
    let built = build(&shadowed, &server.url());
    assert!(
        built.with("built", "remote").contains(&"obj/libgreet/greet/greet.c.o"),
        "{:?}",
        built.steps
    );
    same(&shadowed.outputs(), &built_here(&project));
    let said = shadowed.larder(&["exec", "hello"]).ok();
    assert!(said.stdout.contains("shadowed"), "{}", said.stdout);
}

#[test]
fn blobs_that_are_damaged_or_gone_are_never_seen() {
    let Some(server) = Casd::start(Workers::Same) else { return };
    let project = demo();
    build(&project, &server.url());
    let here = built_here(&project);
    for round in 0..3_u8 {
        for (number, blob) in server.blobs().iter().enumerate() {
            let Ok(mut bytes) = fs::read(blob) else { continue };
            match (number + usize::from(round)) % 3 {
                0 => fs::remove_file(blob).unwrap(),
                1 if !bytes.is_empty() => {
                    let middle = bytes.len() / 2;
                    bytes[middle] ^= 0x40;
                    fs::remove_file(blob).unwrap();
                    fs::write(blob, bytes).unwrap();
                }
                _ => {}
            }
        }
        let again = project.elsewhere();
        build(&again, &server.url());
        same(&again.outputs(), &here);
    }
}

#[test]
fn a_server_that_is_killed_or_stopped_at_any_instant_costs_time_alone() {
    let Some(mut server) = Casd::start(Workers::Same) else { return };
    let project = demo();
    let here = built_here(&project);
    let (mut instants, mut killed) = (fastrand::Rng::with_seed(3), false);
    for _ in 0..30 {
        let again = project.elsewhere();
        // Other bytes each time, so that something is to be done.
        let comment = format!("int other(void) {{ return 3; }} // {}\n", instants.u64(..));
        again.file("greet/other.c", comment);
        let child = spawn(impatient(&again, &server.url(), &[]));
        thread::sleep(Duration::from_millis(instants.u64(0..400)));
        killed = !killed;
        if killed {
            server.kill()
        } else {
            server.stop()
        }
        let run = Run::of(child.wait_with_output().unwrap());
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        assert!(!run.stderr.lines().any(|line| line.starts_with("warning")), "{}", run.stderr);
        if killed {
            server.restart()
        } else {
            server.go_on()
        }
        let mut outputs = again.outputs();
        // The comment is in no byte of what has no hash of its source.
        outputs.retain(|name, _| !name.contains("other") && !name.contains("greet.a"));
        for (name, bytes) in outputs {
            assert!(bytes == here[&name], "{name} is not the same");
        }
    }
}

#[test]
fn a_compile_error_is_that_of_this_machine() {
    let Some(server) = Casd::start(Workers::Same) else { return };
    let project = demo();
    project.file("src/main.c", "#include <greet.h>\nint main(void) { return nothing; }\n");
    let remote = project.larder(&["--color", "never", "build", "--remote", &server.url()]);
    let there = project.redact(&remote.stderr);
    let local = project.elsewhere();
    let run = local.larder(&["--color", "never", "build", "--remote", "none"]);
    assert_eq!((remote.code, run.code), (Some(1), Some(1)));
    let error = |text: &str| {
        let lines = text.lines().filter(|line| line.contains("nothing"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(error(&there), error(&local.redact(&run.stderr)));
    assert!(
        there.contains("'nothing' undeclared") || there.contains("‘nothing’ undeclared"),
        "{there}"
    );
}

#[test]
fn a_worker_without_tools_leaves_a_cache() {
    let Some(server) = Casd::start(Workers::Bare) else { return };
    let project = demo();
    let outcome = build(&project, &server.url());
    assert_eq!(outcome.with("built", "local").len(), STEPS, "{:?}", outcome.steps);
    same(&project.outputs(), &built_here(&project));
}

#[test]
fn tools_are_sent_to_workers_that_have_none() {
    let Some(server) = Casd::start(Workers::Bare) else { return };
    let project = demo();
    let farm = |project: &Project| {
        configure(project, &server.url(), "upload-toolchain = true\n");
        build(project, "farm")
    };
    let built = farm(&project);
    let (there, here) = (built.with("built", "remote"), built.with("built", "local"));
    // Nobody knows before what a link reads of the system.
    assert_eq!(here, ["hello"], "{:?}", built.steps);
    assert_eq!(there.len(), STEPS - here.len(), "{:?}", built.steps);
    let second = project.elsewhere();
    let known = farm(&second);
    assert_eq!(known.with("restored", "remote-cache").len(), there.len(), "{:?}", known.steps);
    let local = built_here(&project);
    same(&project.outputs(), &local);
    same(&second.outputs(), &local);
}

#[test]
fn an_interrupt_ends_a_build_whose_actions_are_elsewhere() {
    let Some(server) = Casd::start(Workers::Same) else { return };
    let project = Project::new("[[executable]]\nname = \"p\"\nsources = [\"p.c\"]\n");
    // It takes a compiler minutes.
    let mut text = String::from(
        "#define A(x) x x x x x x x x x x\n#define B(x) A(A(x))\nint main(void) { int i = 0;",
    );
    text += "B(B(A(i += i * 3 + (i ^ 5);))) return i; }\n";
    project.file("p.c", text);
    let child = project.start(&["build", "--remote", &server.url()]);
    thread::sleep(Duration::from_millis(1200));
    send(&child, Signal::INT);
    let status = ends_within(Duration::from_secs(10), child);
    assert_eq!(status.code(), Some(130));
}

#[test]
fn a_failure_is_only_told_when_it_happened_here() {
    let Some(server) = Casd::start(Workers::Same) else { return };
    // The include leaves the package, which no worker has: that is no failure of the compile.
    let project = Project::new("[[executable]]\nname = \"p\"\nsources = [\"p.c\"]\n");
    fs::write(project.root.join("../outside.h"), "#define VALUE 0\n").unwrap();
    project.file("p.c", "#include \"../outside.h\"\nint main(void) { return VALUE; }\n");
    let outcome = try_build(&project, &server.url(), &[]);
    assert_eq!(outcome.run.code, Some(0), "{}", outcome.run.stdout);
    assert_eq!(outcome.steps["obj/p/p.c.o"], ("built".to_owned(), "local".to_owned()));
}
