//! Commands that share an allowance, and do all they can to take more.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use larder_engine::process::{Allowance, Budget, Exit, Limit, Outcome, ProcessError, Processes};
use tempfile::TempDir;

use super::{SOON, runs, shell, wait_until};

/// Some commands that share an allowance, in a directory of their own.
struct Shared {
    directory: TempDir,
    budget: Arc<Budget>,
    processes: Processes,
}

impl Shared {
    fn new(allowance: Allowance) -> Self {
        let directory = TempDir::new().unwrap();
        let budget = Budget::new(allowance).writing_in(vec![directory.path().to_owned()]);
        Self { directory, budget: Arc::new(budget), processes: Processes::default() }
    }

    fn try_run(&self, script: &str) -> Result<Outcome, ProcessError> {
        let mut spec = shell(self.directory.path(), script);
        spec.environment.push(("TMPDIR".to_owned(), self.directory.path().into()));
        spec.budget = Some(self.budget.clone());
        self.processes.run(&spec, None)
    }

    fn run(&self, script: &str) -> Outcome {
        let started = Instant::now();
        let outcome = self.try_run(script).unwrap();
        assert!(started.elapsed() < SOON, "it took {:?}", started.elapsed());
        outcome
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The processes whose ids were written into a file, one a line.
    fn listed(&self, name: &str) -> Vec<String> {
        let text = fs::read_to_string(self.path(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Checks that none of the processes that noted their ids is left.
    fn assert_gone(&self, name: &str) {
        let listed = self.listed(name);
        assert!(!listed.is_empty());
        let left: Vec<&String> = listed.iter().filter(|id| runs(id)).collect();
        assert!(left.is_empty(), "of {} processes, {left:?} are left", listed.len());
    }
}

fn time(milliseconds: u64) -> Allowance {
    Allowance { time: Some(Duration::from_millis(milliseconds)), ..Allowance::default() }
}

#[test]
fn one_that_stays_within_its_allowance_is_left_alone() {
    let all = Allowance {
        time: Some(SOON),
        memory: Some(1 << 30),
        processes: Some(100),
        disk: Some(1 << 30),
        log: Some(1 << 20),
    };
    let shared = Shared::new(all);
    let outcome =
        shared.run("echo out; (echo err >&2); head -c 100000 /dev/zero > file; sleep 0.3");
    assert_eq!((outcome.exit, outcome.output.as_str()), (Exit::Code(0), "out\nerr\n"));
    assert_eq!(shared.run("exit 3").exit, Exit::Code(3));
    assert_eq!(shared.budget.reached(), None);
    let spent = shared.budget.spent();
    assert_eq!(spent.printed, 8);
    assert!(spent.time >= Duration::from_millis(300) && spent.processes >= 2, "{spent:?}");
    assert!((100_000..1 << 20).contains(&spent.disk), "{spent:?}");
    assert!(spent.peak_memory > 100_000, "{spent:?}");
}

#[test]
fn time_is_of_all_commands_together() {
    let shared = Shared::new(time(600));
    assert_eq!(shared.run("sleep 0.4").exit, Exit::Code(0));
    let outcome = shared.run("trap '' TERM; sleep 1000; sleep 1000");
    let limit = Limit::Time(Duration::from_millis(600));
    assert_eq!(outcome.exit, Exit::Limited(limit));
    assert_eq!(outcome.exit.to_string(), "was ended because the build took longer than 0.6 s");
    // Nothing of it begins any more.
    let error = shared.try_run("touch late").unwrap_err();
    assert!(matches!(error, ProcessError::Limited(reached) if reached == limit), "{error}");
    assert!(!shared.path("late").exists());
}

#[test]
fn when_one_reaches_a_limit_all_others_end_and_strangers_do_not() {
    let shared = Shared::new(Allowance { log: Some(1000), ..Allowance::default() });
    let stranger = Shared::new(time(60_000));
    thread::scope(|scope| {
        let waits = scope.spawn(|| shared.run("echo $$ > waits; sleep 1000"));
        let bystander =
            scope.spawn(|| stranger.run("echo $$ > waits; while ! [ -e go ]; do sleep 0.01; done"));
        for it in [&shared, &stranger] {
            wait_until("both run", || !it.listed("waits").is_empty());
        }
        let outcome = shared.run("yes | head -c 5000; sleep 1000");
        assert_eq!(outcome.exit, Exit::Limited(Limit::Log(1000)));
        assert_eq!(waits.join().unwrap().exit, Exit::Limited(Limit::Log(1000)));
        assert!(stranger.listed("waits").iter().all(|id| runs(id)));
        fs::write(stranger.path("go"), "").unwrap();
        assert_eq!(bystander.join().unwrap().exit, Exit::Code(0));
    });
}

#[test]
fn a_gigabyte_of_output_ends_at_the_limit_and_is_heard_as_it_comes() {
    let directory = TempDir::new().unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let listener = {
        let heard = heard.clone();
        move |bytes: &[u8]| heard.lock().unwrap().extend_from_slice(bytes)
    };
    let all = Allowance { log: Some(1 << 20), ..Allowance::default() };
    let budget = Arc::new(Budget::new(all).heard_by(Box::new(listener)));
    let mut spec = shell(directory.path(), "echo begin; exec head -c 1000000000 /dev/zero");
    spec.budget = Some(budget.clone());
    let outcome = Processes::default().run(&spec, None).unwrap();
    assert_eq!(outcome.exit, Exit::Limited(Limit::Log(1 << 20)));
    let heard = heard.lock().unwrap();
    assert!(heard.starts_with(b"begin\n") && heard.len() < 8 << 20, "{}", heard.len());
    assert_eq!(budget.spent().printed, heard.len() as u64);
}

#[test]
fn memory_is_of_all_processes_together() {
    let all = Allowance { memory: Some(96 << 20), ..time(20_000) };
    let shared = Shared::new(all);
    // Each has less than it may.
    let script = "for i in 1 2 3 4; do (echo $i >> ids; head -c 40000000 /dev/zero | tail -c 40000000 | sleep 1000) & done; wait";
    assert_eq!(shared.run(script).exit, Exit::Limited(Limit::Memory(96 << 20)));
    let shared = Shared::new(all);
    let script = "exec perl -e '$x .= \"x\" x 1000000 while length($x) < 1e9; sleep 30'";
    assert_eq!(shared.run(script).exit, Exit::Limited(Limit::Memory(96 << 20)));
    assert!(shared.budget.spent().peak_memory > 96 << 20);
}

#[test]
fn memory_that_processes_share_counts_once() {
    let all = Allowance { memory: Some(150 << 20), ..time(20_000) };
    let shared = Shared::new(all);
    // Eight times 60 MB, of which there is one copy.
    let script = "exec perl -e '$x = \"x\" x 60000000; for (1..8) { fork or do { sleep 1; exit } } 1 while wait > 0'";
    let outcome = shared.run(script);
    assert_eq!(outcome.exit, Exit::Code(0), "{:?}", shared.budget);
}

/// Each of these would fork without end, but for a depth or a count that keeps a test that fails from taking the
/// machine down: at most some 250 processes.
#[test]
fn forks_upon_forks_are_stopped_and_none_is_left() {
    let all = Allowance { processes: Some(60), ..time(20_000) };
    for (kind, script) in [
        // All in one group.
        (
            "plain",
            "bomb() { echo $$ >> ids; test $1 -lt 7 || exec sleep 30; bomb $(($1 + 1)) & bomb $(($1 + 1)); }; bomb 0",
        ),
        // Each in a group and a session of its own, with a parent that ends at once.
        (
            "sessions",
            "cat > bomb <<'END'\necho $$ >> ids\ntest $1 -lt 7 || exec sleep 30\n\
             setsid sh bomb $(($1 + 1)) &\nsetsid sh bomb $(($1 + 1)) &\nEND\nsh bomb 0; sleep 30",
        ),
        // Not one after the other, but all by one.
        ("many", "for i in $(seq 200); do (sh -c 'echo $$ >> ids; exec sleep 30') & done; wait"),
    ] {
        let shared = Shared::new(all);
        let outcome = shared.run(script);
        assert_eq!(outcome.exit, Exit::Limited(Limit::Processes(60)), "{kind}");
        shared.assert_gone("ids");
        assert!(shared.listed("ids").len() < 20_000);
    }
}

#[test]
fn files_may_not_take_more_than_they_may() {
    let all = Allowance { disk: Some(8 << 20), ..time(20_000) };
    for script in [
        // One file: the kernel stops it.
        "exec head -c 1000000000 /dev/zero > large",
        "while [ $(ulimit -f) = unlimited ]; do :; done; exec fallocate -l 100G large",
        // Many small ones.
        "i=0; while test $i -lt 400; do i=$((i + 1)); head -c 200000 /dev/zero > $i; done",
    ] {
        let shared = Shared::new(all);
        let outcome = shared.run(script);
        assert_eq!(outcome.exit, Exit::Limited(Limit::Disk(8 << 20)), "{script}");
        let largest = fs::metadata(shared.path("large")).map_or(0, |found| found.len());
        assert!(largest <= 8 << 20, "{largest}");
    }
}

#[test]
fn what_leaves_its_group_its_session_or_its_parents_ends_with_its_command() {
    for (kind, script) in [
        ("session", "setsid sh -c 'echo $$ >> ids; exec sleep 1000' &"),
        ("orphan", "(setsid sh -c 'echo $$ >> ids; exec sleep 1000' &)"),
        (
            "orphan's orphan",
            "(setsid sh -c '(setsid sh -c \"echo \\$\\$ >> ids; exec sleep 1000\" &)' &)",
        ),
        ("no environment", "setsid env -i sh -c 'echo $$ >> ids; exec sleep 1000' & sleep 0.3"),
        (
            "not listening",
            "setsid sh -c 'trap \"\" TERM HUP; echo $$ >> ids; sleep 1000; sleep 1000' &",
        ),
    ] {
        let shared = Shared::new(time(20_000));
        let outcome = shared.run(&format!("{script}\nwhile ! [ -s ids ]; do sleep 0.01; done"));
        assert_eq!(outcome.exit, Exit::Code(0), "{kind}");
        shared.assert_gone("ids");
    }
}

#[test]
fn a_daemon_of_one_command_does_not_end_with_another() {
    let one = Shared::new(time(20_000));
    let other = Shared::new(time(20_000));
    thread::scope(|scope| {
        let first = scope.spawn(|| {
            one.run(
                "setsid sh -c 'echo $$ >> ids; exec sleep 1000' &
                 while ! [ -e go ]; do sleep 0.01; done",
            )
        });
        wait_until("the daemon runs", || !one.listed("ids").is_empty());
        assert_eq!(other.run("(setsid sleep 1000 &); sleep 0.1").exit, Exit::Code(0));
        assert!(one.listed("ids").iter().all(|id| runs(id)));
        fs::write(one.path("go"), "").unwrap();
        assert_eq!(first.join().unwrap().exit, Exit::Code(0));
    });
    one.assert_gone("ids");
}

#[test]
fn an_interruption_ends_what_escaped_as_well() {
    let shared = Shared::new(time(60_000));
    thread::scope(|scope| {
        let run = scope.spawn(|| {
            shared.try_run("setsid sh -c 'echo $$ >> ids; exec sleep 1000' & sleep 1000")
        });
        wait_until("it runs", || !shared.listed("ids").is_empty());
        shared.processes.interrupt(rustix::process::Signal::TERM);
        assert!(matches!(run.join().unwrap(), Err(ProcessError::Interrupted)));
    });
    shared.assert_gone("ids");
}
