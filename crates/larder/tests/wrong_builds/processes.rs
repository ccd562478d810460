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

/// The thread that larder begins with starts, in this order, the one that waits for signals, the tools that
/// are asked who they are, threads that build beside it, and its share of the commands. A build without
/// refusals tells which attempt is which. The first of each kind is refused by itself and with all that come
/// after: what happens depends on the kind alone. strace counts for each thread by itself, so that the same
/// refusals hit what the other threads start.
#[test]
fn too_few_threads_are_an_error_and_no_panic() {
    if !require("strace") {
        return;
    }
    let (_, _, calls) = build_with_refusals(None);
    let first = calls.split_whitespace().next().unwrap();
    let attempts = calls.lines().filter(|line| line.starts_with(first) && line.contains("clone"));
    let attempts = attempts.filter(|line| !line.contains("resumed"));
    let is_thread: Vec<bool> = attempts.map(|line| line.contains("CLONE_THREAD")).collect();
    let beside = 1 + is_thread.iter().rposition(|is_thread| *is_thread).unwrap();
    let process = 1 + is_thread.iter().position(|is_thread| !is_thread).unwrap();
    assert!(is_thread[0] && is_thread[1] && beside > 2, "{calls}");
    let last = is_thread.len();
    let refusals = [
        // Nobody would hear a signal.
        ("1".to_owned(), Some(1)),
        // A compiler is asked by one thread where there are not two.
        ("2".to_owned(), Some(0)),
        // A process is tried for again: a compiler that is asked, and a command.
        (format!("{process}"), Some(0)),
        (format!("{last}"), Some(0)),
        // Those threads that are there do the work.
        (format!("{beside}"), Some(0)),
        // As where `ulimit -u` is used up: larder gives up after five seconds, before the compilers are
        // asked, and at the commands. Other threads may have run all of those.
        ("2+".to_owned(), Some(1)),
        (format!("{beside}+"), None),
        (format!("{last}+"), None),
    ];
    // All at once: they mostly wait.
    thread::scope(|scope| {
        for (when, wanted) in &refusals {
            scope.spawn(move || {
                // How many tools and commands fall to the first thread is not always the same.
                let mut hits = (0..10).map(|_| build_with_refusals(Some(when)));
                let hit = hits.find(|(.., calls)| calls.contains("INJECTED"));
                let Some((code, said, _)) = hit else {
                    assert!(when.starts_with(&last.to_string()), "{when} is never reached");
                    return;
                };
                assert!(matches!(code, Some(0 | 1)), "{when}: {code:?}: {said}");
                assert!(wanted.is_none() || code == *wanted, "{when}: {code:?}: {said}");
                let reasons = ["cannot wait for signals", "the system allows no more processes"];
                let is_said = reasons.iter().any(|reason| said.contains(reason));
                assert_eq!(is_said, code == Some(1), "{when}: {said}");
            });
        }
    });
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
