//! Commands that end badly, leave daemons, flood their output or take too long.

mod limits;

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use larder_engine::process::{
    Exit, Limits, OUTPUT_LIMIT, Outcome, ProcessError, Processes, ResponseFile, Spec,
};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Far more than anything here takes on a busy machine, and far less than the daemons live.
const SOON: Duration = Duration::from_secs(30);

fn shell(directory: &Path, script: &str) -> Spec {
    Spec {
        program: "/bin/sh".into(),
        arguments: vec!["-c".to_owned(), script.to_owned()],
        directory: directory.to_owned(),
        environment: vec![("PATH".to_owned(), std::env::var_os("PATH").unwrap())],
        response_file: None,
        limits: Limits::default(),
        budget: None,
        terminal: false,
    }
}

fn run(spec: &Spec) -> Outcome {
    let started = Instant::now();
    let outcome = Processes::default().run(spec, None).unwrap();
    assert!(started.elapsed() < SOON, "it took {:?}", started.elapsed());
    outcome
}

fn run_script(script: &str) -> Outcome {
    let directory = TempDir::new().unwrap();
    run(&shell(directory.path(), script))
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < SOON, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Whether a process still runs: one that is dead may be listed until somebody fetches its status.
fn runs(process: &str) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/stat", process.trim()));
    status.is_ok_and(|status| !status.rsplit_once(") ").unwrap().1.starts_with(['Z', 'X']))
}

/// A daemon that left its group and is ended with its test.
struct Daemon(String);

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(process) = self.0.trim().parse().ok().and_then(Pid::from_raw) {
            let _ = kill_process(process, Signal::KILL);
        }
    }
}

#[test]
fn how_a_command_ended_is_told() {
    for (script, exit, said) in [
        ("true", Exit::Code(0), "succeeded"),
        ("exit 3", Exit::Code(3), "failed with exit code 3"),
        ("kill -SEGV $$", Exit::Signal(11), "was ended by signal 11 (SIGSEGV)"),
        ("kill -KILL $$", Exit::Signal(9), "was killed (SIGKILL), perhaps for want of memory"),
    ] {
        let ended = run_script(script).exit;
        assert_eq!((ended, ended.to_string().as_str()), (exit, said), "{script}");
    }
}

#[test]
fn a_command_that_takes_too_long_is_ended_even_if_it_does_not_listen() {
    let directory = TempDir::new().unwrap();
    for (trap, leaves) in
        [("", ""), ("trap '' TERM;", ""), ("trap 'exit 0' TERM;", ""), ("", "exec >&- 2>&-;")]
    {
        let wall = Duration::from_millis(300);
        let mut spec = shell(
            directory.path(),
            &format!("echo half; {trap} {leaves} while :; do sleep 0.01; done"),
        );
        spec.limits.wall = Some(wall);
        let outcome = run(&spec);
        assert_eq!(outcome.exit, Exit::TimedOut(wall));
        // Some shells say that a program of theirs was ended.
        assert!(outcome.output.starts_with("half\n"), "{}", outcome.output);
        assert_eq!(outcome.exit.to_string(), "was ended because it took longer than 0.3 s");
        assert!(outcome.cost.wall >= wall);
    }
    let mut spec = shell(directory.path(), "echo whole");
    spec.limits.wall = Some(SOON);
    assert_eq!(run(&spec).output, "whole\n");
}

#[test]
fn what_a_command_cost_is_told_with_what_it_started() {
    let worked = run_script("sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i + 1)); done'").cost;
    assert!(worked.user > Duration::from_millis(10), "{worked:?}");
    assert!(worked.wall >= worked.user, "{worked:?}");
    let slept = run_script("sleep 0.3").cost;
    assert!(slept.wall >= Duration::from_millis(300), "{slept:?}");
    assert!(slept.user < worked.user, "{slept:?} {worked:?}");
    let small = slept.peak_memory;
    let large =
        run_script("head -c 50000000 /dev/zero | tail -c 40000000 > /dev/null").cost.peak_memory;
    assert!(small > 100_000 && large > 40_000_000 && large < 400_000_000, "{small} {large}");
}

#[test]
fn a_daemon_that_holds_the_pipe_is_ended_with_its_command() {
    for trap in ["", "trap '' TERM;"] {
        let directory = TempDir::new().unwrap();
        let script = format!(
            "sh -c '{trap} echo here; echo $$ > pid.tmp; mv pid.tmp pid; while :; do sleep 0.1; done' &
             while ! [ -e pid ]; do sleep 0.01; done; echo done"
        );
        let outcome = run(&shell(directory.path(), &script));
        assert_eq!(outcome.exit, Exit::Code(0));
        assert!(outcome.output.contains("here\n") && outcome.output.contains("done\n"));
        let daemon = fs::read_to_string(directory.path().join("pid")).unwrap();
        assert!(!runs(&daemon), "{trap}");
    }
}

#[test]
fn a_writer_that_outlives_its_command_is_dead_when_its_files_are_looked_at() {
    let directory = TempDir::new().unwrap();
    // It holds no pipe, and does not listen.
    let script = "sh -c 'trap \"\" TERM; echo $$ > pid.tmp; mv pid.tmp pid; while :; do echo more >> out; done' > log 2>&1 &
                  while ! [ -s out ]; do sleep 0.01; done";
    run(&shell(directory.path(), script));
    let size = || fs::metadata(directory.path().join("out")).unwrap().len();
    let before = size();
    assert!(!runs(&fs::read_to_string(directory.path().join("pid")).unwrap()));
    assert_eq!(size(), before);
}

#[test]
fn nobody_waits_for_a_daemon_that_left_the_group() {
    for noise in ["sleep 1000", "exec yes"] {
        let directory = TempDir::new().unwrap();
        let script = format!(
            "setsid sh -c 'echo $$ > pid.tmp; mv pid.tmp pid; {noise}' &
             while ! [ -e pid ]; do sleep 0.01; done; echo done"
        );
        let outcome = run(&shell(directory.path(), &script));
        let daemon = Daemon(fs::read_to_string(directory.path().join("pid")).unwrap());
        assert_eq!(outcome.exit, Exit::Code(0));
        assert!(outcome.output.contains("done\n"));
        // Else it would have ended with its command, and shown nothing. `yes` ends with its pipe.
        assert!(noise != "sleep 1000" || runs(&daemon.0));
    }
}

#[test]
fn output_is_complete_up_to_the_exit() {
    for size in [1, 65_536, 65_537, 1_000_000] {
        let outcome = run_script(&format!("head -c {size} /dev/zero | tr '\\0' x; sleep 1000 &"));
        assert_eq!(outcome.output.len(), size);
    }
    // One output after the other, as they were written.
    let outcome = run_script("echo 1; echo 2 >&2; echo 3; exec >&- 2>&-; sleep 0.1");
    assert_eq!(outcome.output, "1\n2\n3\n");
}

#[test]
fn a_flood_of_output_leaves_its_beginning_and_its_end() {
    const PRINTED: usize = 70_000_000;
    let outcome = run_script("echo first; yes | head -c 69999989; echo last");
    let (first, rest) = outcome.output.split_once("\n[").unwrap();
    let (count, last) = rest.split_once(" bytes of output left out here]\n").unwrap();
    assert!(first.starts_with("first\n") && last.ends_with("last\n"));
    assert_eq!(first.len() + count.parse::<usize>().unwrap() + last.len(), PRINTED);
    assert!(first.len() + last.len() <= OUTPUT_LIMIT);
}

#[test]
fn too_many_arguments_go_through_a_file_where_there_may_be_one() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("arguments.rsp");
    let mut spec = shell(directory.path(), "");
    spec.program = "/bin/echo".into();
    spec.arguments = vec!["a \"b\" \\c".to_owned(); 500_000];
    spec.arguments[0] = "first".to_owned();
    spec.response_file = Some(ResponseFile { path: file.clone(), first: 1 });
    assert_eq!(run(&spec).output, format!("first @{}\n", file.display()));
    let text = fs::read_to_string(file).unwrap();
    assert_eq!(text.lines().count(), 499_999);
    assert!(text.starts_with("\"a \\\"b\\\" \\\\c\"\n"));
    spec.response_file = None;
    let error = Processes::default().run(&spec, None).unwrap_err().to_string();
    assert!(error.contains("its command line is too long"), "{error}");
}

#[test]
fn what_cannot_be_started_says_why() {
    let directory = TempDir::new().unwrap();
    let no_program = Spec { program: "/no/such/program".into(), ..shell(directory.path(), "") };
    let no_directory = shell(&directory.path().join("no"), "");
    for (spec, said) in [
        (
            no_program,
            "cannot start `/no/such/program`: no such program (or its interpreter is missing)",
        ),
        (no_directory, "is not there"),
    ] {
        let error = Processes::default().run(&spec, None).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn an_interrupted_command_ends_and_no_other_starts() {
    for (trap, signal) in [
        ("", Signal::TERM),
        // Content, though it was stopped half-way.
        ("trap 'exit 0' TERM;", Signal::TERM),
        ("trap '' TERM;", Signal::KILL),
    ] {
        let directory = TempDir::new().unwrap();
        let script = format!("{trap} : > runs; while :; do sleep 0.01; done");
        let spec = shell(directory.path(), &script);
        let processes = Processes::default();
        let result = thread::scope(|scope| {
            let running = scope.spawn(|| processes.run(&spec, None));
            wait_until("it runs", || directory.path().join("runs").exists());
            processes.interrupt(signal);
            running.join().unwrap()
        });
        assert!(matches!(result, Err(ProcessError::Interrupted)), "{result:?}");
        let next = processes.run(&shell(directory.path(), ": > next"), None);
        assert!(matches!(next, Err(ProcessError::Interrupted)), "{next:?}");
        assert!(!directory.path().join("next").exists());
    }
}
