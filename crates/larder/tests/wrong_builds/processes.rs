//! Daemons, signals, and machines with few threads to spare.

use std::{fs, process::Child, thread, time::Duration};

use larder_testkit::{
    processes::{Stray, send},
    project::Project,
    run::{run, under},
    tools::require,
    wait::{ends_within, wait_until},
};
use larder_trace::{ContentHash, TraceFile, read_trace_file};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::WAITS;

fn command(run: &str) -> Project {
    Project::cached(&format!(
        "[[command]]\nname = \"c\"\noutputs = [\"c\"]\nrun = [\"sh\", \"-c\", '{run}', \"sh\", \"{{out}}\"]\n"
    ))
}

/// How larder ends, by itself or for a signal.
#[track_caller]
fn ends(larder: Child) -> Option<i32> {
    ends_within(Duration::from_secs(10), larder).code()
}

/// A command that ends and leaves a daemon, which holds the pipe, started with `detached`.
fn leaves_daemon(detached: &str) -> Project {
    command(&format!(
        ": > $1; {detached} sh -c \"echo \\$\\$ > pid; exec sleep 300\" & until [ -s pid ]; do sleep 0.01; done; : > done"
    ))
}

#[test]
fn sigterm_ends_a_build_whose_finished_command_left_a_daemon_that_holds_the_pipe() {
    for detached in ["", "setsid"] {
        for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
            let project = leaves_daemon(detached);
            let larder = project.start(&["build"]);
            let _left = Stray::of(&project.path("pid"));
            wait_until("the command has ended", || project.path("done").exists());
            _ = kill_process(Pid::from_child(&larder), signal);
            // Whether it had waited for the daemon at all is its own affair.
            let code = ends(larder);
            assert!(code == Some(130) || code == Some(0), "{detached} {signal:?}: {code:?}");
        }
    }
}

#[test]
fn sigterm_ends_a_build_that_waits_for_the_lock() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        for arguments in [&["build"][..], &["clean"], &["test"], &["query", "c"]] {
            let project = command(&format!("{WAITS} : > $1"));
            let first = project.start(&["build"]);
            wait_until("the command runs", || project.path("started").exists());
            let mut second = project.start(arguments);
            let mut said = String::new();
            let stderr = second.stderr.as_mut().unwrap();
            std::io::BufRead::read_line(&mut std::io::BufReader::new(stderr), &mut said).unwrap();
            assert!(said.contains("waiting"), "{arguments:?}: {said}");
            send(&second, signal);
            let code = std::panic::catch_unwind(|| ends(second));
            project.file("go", "");
            assert!(first.wait_with_output().unwrap().status.success());
            assert_eq!(code.unwrap(), Some(130), "{arguments:?} {signal:?}");
        }
    }
}

/// The first start of larder is the thread that waits for signals: without it nobody would hear one. Any other
/// start can be refused once: a thread's work is done by those that are there, and a process is tried for again. As
/// where `ulimit -u` is used up, all starts after one are refused as well: larder gives up after five seconds, where
/// something was left to start. strace counts for each thread by itself, and how many starts fall to which thread is
/// not always the same, so a refusal may never be reached.
#[test]
fn too_few_threads_are_an_error_and_no_panic() {
    if !require("strace") {
        return;
    }
    let (_, _, calls) = build_with_refusals(None);
    let first = calls.split_whitespace().next().unwrap();
    let starts = calls.lines().filter(|line| line.starts_with(first) && line.contains("clone"));
    let starts = starts.filter(|line| !line.contains("resumed")).count();
    let once = (2..=starts).map(|start| (start.to_string(), Some(0)));
    let onwards = (3..=starts).map(|start| (format!("{start}+"), None));
    let mut refusals = vec![("1".to_owned(), Some(1)), ("2+".to_owned(), Some(1))];
    refusals.extend(once.chain(onwards));
    // All at once: they mostly wait.
    let reached: usize = thread::scope(|scope| {
        let builds = refusals.iter().map(|(when, wanted)| {
            scope.spawn(move || {
                let (code, said, calls) = build_with_refusals(Some(when));
                if !calls.contains("INJECTED") {
                    assert_eq!(code, Some(0), "{when}: {said}");
                    return 0;
                }
                assert!(matches!(code, Some(0 | 1)), "{when}: {code:?}: {said}");
                assert!(wanted.is_none() || code == *wanted, "{when}: {code:?}: {said}");
                let reasons = ["cannot wait for signals", "the system allows no more processes"];
                let is_said = reasons.iter().any(|reason| said.contains(reason));
                assert_eq!(is_said, code == Some(1), "{when}: {said}");
                1
            })
        });
        let builds: Vec<_> = builds.collect();
        builds.into_iter().map(|build| build.join().unwrap()).sum()
    });
    // The first two starts are always there.
    assert!(reached >= 3, "{reached} of {refusals:?}");
}

/// Builds with some of each thread's attempts to start a thread or a process refused, and once more
/// without. Gives the exit code of the first, what it said, and its attempts.
fn build_with_refusals(when: Option<&str>) -> (Option<i32>, String, String) {
    let project = Project::new(
        r#"
[[library]]
name = "a"
sources = ["*.c"]

[[command]]
name = "c"
inputs = ["a.c"]
outputs = ["c"]
run = ["cp", "{in}", "{out}"]
"#,
    );
    project.file("a.c", "int a;\n").file("b.c", "int b;\n").file("c.c", "int c;\n");
    let calls = project.root.parent().unwrap().join("calls");
    let inject = when.map(|when| format!("inject=clone,clone3:error=EAGAIN:when={when}"));
    let mut strace = vec!["strace", "-f", "-qq", "--seccomp-bpf", "-o", calls.to_str().unwrap()];
    strace.extend(["-e", "trace=clone,clone3"]);
    strace.extend(inject.iter().flat_map(|inject| ["-e", inject]));
    let output = under(&strace, &project.command(&["build", "-j4"])).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!said.contains("panicked"), "{when:?}: {said}");
    project.build();
    (output.status.code(), said, fs::read_to_string(&calls).unwrap())
}

#[test]
fn what_a_writer_that_outlives_its_command_writes_is_in_no_record() {
    // It writes for some seconds at most.
    let project = command(
        "exec 3> $1; echo first >&3; (sh -c \"echo \\$PPID > pid\"; i=0; while [ $i -lt 200 ]; do i=$((i + 1)); echo more >&3; [ -e noted ] || : > noted; sleep 0.01; done) > /dev/null 2>&1 & until [ -s pid ]; do sleep 0.01; done",
    );
    let larder = project.start(&["build"]);
    let left = Stray::of(&project.path("pid"));
    assert_eq!(ends(larder), Some(0));
    // The build directory holds the bytes that were hashed, and keeps them.
    let output = project.output("c");
    let before = fs::read(&output).unwrap();
    let TraceFile::Finished(record) = read_trace_file(&output.with_extension("trace")) else {
        panic!("no trace file");
    };
    assert_eq!(record.outputs.outputs[0].hash, ContentHash::of_bytes(&before));
    wait_until("the writer ends with its command", || !left.runs());
    assert_eq!(fs::read(&output).unwrap(), before);
    run(project.command(&["cache", "verify", "--rehash"])).ok();
    assert_eq!(project.build().built(), [""; 0]);
    let other = project.checkout();
    other.build();
    assert_eq!(fs::read(other.output("c")).unwrap(), before);
}
