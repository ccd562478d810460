//! Signals, locks, and a larder that is killed at any instant.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    os::unix::process::ExitStatusExt,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use larder_testkit::{
    processes::send,
    project::Project,
    run::{binary, run, under},
    wait::wait_until,
};

/// A command that says its id, writes half its output, and goes on until `go` is there.
const WAITS: &str = r#"
[[command]]
name = "a"
outputs = ["a"]
run = ["sh", "-c", "TRAP echo half > $0; echo $$ > pid.tmp; mv pid.tmp pid; while ! [ -e go ] && [ -e pid ]; do sleep 0.05; done; echo whole > $0", "{out}"]
"#;

/// The id of the command, when it runs.
fn command_of(project: &Project) -> Pid {
    wait_until("the command runs", || project.path("pid").exists());
    Pid::from_raw(project.read("pid").trim().parse().unwrap()).unwrap()
}

#[test]
fn ctrl_c_ends_commands_and_leaves_no_output() {
    for (trap, signals) in [
        ("", &[Signal::INT][..]),
        ("", &[Signal::TERM]),
        ("", &[Signal::HUP]),
        // One that does not listen is killed when asked a second time.
        ("trap '' TERM;", &[Signal::INT, Signal::INT]),
    ] {
        let project = Project::new(&WAITS.replace("TRAP", trap));
        let larder = project.start(&["build"]);
        let command = command_of(&project);
        for (count, signal) in signals.iter().enumerate() {
            if count > 0 {
                thread::sleep(Duration::from_millis(50));
            }
            send(&larder, *signal);
        }
        let output = larder.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("interrupted"), "{said}");
        assert!(!said.contains("failed"), "{said}");
        // It was ended before larder was, not left to itself.
        assert!(test_kill_process(command).is_err(), "{signals:?}");
        assert!(project.outputs().is_empty());
        project.file("go", "");
        assert_eq!(project.build().built(), ["a"]);
        assert_eq!(fs::read_to_string(project.output("a")).unwrap(), "whole\n");
    }
}

#[test]
fn nohup_is_respected() {
    let project = Project::new(&WAITS.replace("TRAP", ""));
    let mut command = under(&["nohup"], &project.command(&["build"]));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut larder = command.spawn().unwrap();
    command_of(&project);
    send(&larder, Signal::HUP);
    project.file("go", "");
    assert_eq!(larder.wait().unwrap().code(), Some(0));
}

#[test]
fn a_second_larder_waits_and_says_for_whom() {
    let project = Project::new(&WAITS.replace("TRAP", ""));
    let first = project.start(&["build"]);
    command_of(&project);
    let mut second = project.start(&["build"]);
    let mut events = project.start(&["build", "--json"]);
    let mut clean = project.start(&["clean"]);
    let waits =
        format!("waiting for another larder in this build directory (process {})", first.id());
    for waiter in [&mut second, &mut clean] {
        let mut said = String::new();
        BufReader::new(waiter.stderr.as_mut().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said.trim_end(), waits);
    }
    let mut event = String::new();
    BufReader::new(events.stdout.as_mut().unwrap()).read_line(&mut event).unwrap();
    assert_eq!(event.trim_end(), format!("{{\"event\":\"waiting\",\"holder\":{}}}", first.id()));
    // Commands that touch nothing wait for nobody.
    project.larder(&["build", "--dry-run"]).ok();
    project.larder(&["why"]).ok();
    project.larder(&["graph"]).ok();
    project.file("go", "");
    for child in [first, second, events, clean] {
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
}

#[test]
fn a_command_that_builds_its_own_directory_fails_and_does_not_wait_for_itself() {
    let larder = binary();
    let nested = |command: &str| format!("sh -c '{} {command}'", larder.display());
    let manifest = |command: &str| {
        format!(
            "[package]\nname = \"p\"\n[[command]]\nname = \"x\"\noutputs = [\"x\"]\nrun = [\"sh\", \"-c\", \"{}\"]\n",
            nested(command)
        )
    };
    let said = "waits for this command to end";
    for command in ["build", "clean"] {
        let project = Project::with_manifest(&manifest(command));
        project.larder(&["build"]).ends_with(1).mentions(&[said]);
    }
    let project = Project::bare(&[("build.ninja", "rule r\n  command = NESTED\nbuild out: r\n")]);
    project.replace("build.ninja", "NESTED", &nested("ninja"));
    project.larder(&["ninja"]).ends_with(1).mentions(&[said]);
}

#[test]
fn a_larder_that_waits_can_be_interrupted() {
    let project = Project::new(&WAITS.replace("TRAP", ""));
    let first = project.start(&["build"]);
    command_of(&project);
    for signal in [Signal::TERM, Signal::INT] {
        let mut second = project.start(&["build"]);
        let mut said = String::new();
        BufReader::new(second.stderr.as_mut().unwrap()).read_line(&mut said).unwrap();
        assert!(said.starts_with("waiting for another larder"), "{said}");
        send(&second, signal);
        // The first one goes on until it is told: waiting for it would last for ever.
        assert_eq!(second.wait().unwrap().code(), Some(130));
    }
    project.file("go", "");
    assert_eq!(first.wait_with_output().unwrap().status.code(), Some(0));
}

#[test]
fn the_lock_of_a_killed_larder_holds_nobody() {
    let project = Project::new(&WAITS.replace("TRAP", ""));
    let mut first = project.start(&["build"]);
    let command = command_of(&project);
    first.kill().unwrap();
    assert_eq!(first.wait().unwrap().signal(), Some(9));
    // Its command goes on, and writes where nobody looks.
    project.file("go", "");
    let run = project.larder(&["build"]).ok();
    assert!(!run.stderr.contains("waiting"), "{}", run.stderr);
    assert!(run.stderr.contains("built a a"), "{}", run.stderr);
    wait_until("the orphan ends", || test_kill_process(command).is_err());
    assert_eq!(fs::read_to_string(project.output("a")).unwrap(), "whole\n");
}

/// Twelve objects, a library, a program, and commands that read what those and each other make.
fn killed_project(value: u32) -> Project {
    let project = Project::new(
        r#"
[[library]]
name = "a"
sources = ["*.S", "c.c"]

[[executable]]
name = "x"
sources = ["main.c"]
libraries = ["a"]

[[command]]
name = "slow"
inputs = ["value.h"]
outputs = ["slow/one", "slow/two"]
run = ["sh", "-c", "cat value.h > $0; sleep 0.05; cat value.h > $1; sleep 0.05; cat value.h >> $1", "{outs}"]

[[command]]
name = "tree"
inputs = ["{slow}", "{a:static}"]
outputs = ["tree/"]
run = ["sh", "-c", "mkdir $0/d; cp $1 $0/d/one; cp $2 $0/two; cp $3 $0/a", "{out}", "{in}"]
"#,
    );
    for number in 0..10 {
        project.file(&format!("s{number}.S"), format!("#include \"value.h\"\n    .data\n    .globl s{number}\ns{number}:\n    .long VALUE + {number}\n    .section .note.GNU-stack,\"\"\n"));
    }
    project
        .file("c.c", "#include \"value.h\"\nextern int s3;\nint c(void) { return s3 + VALUE; }\n");
    project.file("main.c", "int c(void);\nint main(void) { return c(); }\n");
    set_value(&project, value);
    project
}

fn set_value(project: &Project, value: u32) {
    project.file("value.h", format!("#define VALUE {value}\n"));
}

#[test]
fn what_a_killed_larder_left_half_written_is_removed() {
    let project = Project::new(&WAITS.replace("TRAP", ""));
    let mut first = project.start(&["build"]);
    command_of(&project);
    let temporary = ".larder/build/.larder-4711-0.tmp";
    project.file(temporary, "half");
    project.file("go", "");
    first.kill().unwrap();
    first.wait().unwrap();
    project.build();
    assert!(!project.path(temporary).exists());
    // After one that ended well nobody looks.
    project.file(temporary, "half");
    project.build();
    assert!(project.path(temporary).exists());
}

#[test]
fn killed_at_any_instant_the_next_build_ends_as_a_clean_one() {
    let clean: Vec<BTreeMap<String, Vec<u8>>> = [1, 2]
        .map(|value| {
            let project = killed_project(value);
            project.build();
            project.outputs()
        })
        .into();
    let project = killed_project(1);
    project.build();
    assert!(project.outputs() == clean[0]);
    // Instants are counted in what larder has done, so that they are spread over the build however busy
    // the machine is, and then some: reproducible, and in no step with it.
    let (mut killed, mut noise) = (0, 12345_u32);
    let mut random = |below: u32| {
        noise = noise.wrapping_mul(1_103_515_245).wrapping_add(12345);
        (noise >> 8) % below
    };
    for round in 0..100 {
        let value = 2 - round % 2;
        set_value(&project, value);
        // At times the outputs or the index are gone besides.
        match round % 10 {
            3 => fs::remove_dir_all(project.path(".larder/build")).unwrap(),
            6 => fs::remove_file(project.path(".larder/index")).unwrap_or_default(),
            _ => {}
        }
        let (events, delay) = (random(30), Duration::from_micros(random(12_000).into()));
        let mut larder = project.start(&["build", "-j4", "--json"]);
        let said = BufReader::new(larder.stdout.take().unwrap()).lines();
        let instant = format!("{delay:?} after event {}", said.take(events as usize).count());
        thread::sleep(delay);
        larder.kill().unwrap();
        killed += u32::from(larder.wait().unwrap().signal() == Some(9));
        let next = run(project.command(&["build", "-j4"])).ok();
        let outputs = project.outputs();
        let expected = &clean[value as usize - 1];
        let differ: Vec<_> = outputs
            .iter()
            .filter(|(path, bytes)| expected.get(*path) != Some(*bytes) && !path.ends_with(".tmp"))
            .map(|(path, _)| path)
            .chain(expected.keys().filter(|path| !outputs.contains_key(*path)))
            .collect();
        assert!(differ.is_empty(), "round {round}, {instant}: {differ:?}\n{}", next.stderr);
    }
    assert!(killed > 80, "only {killed} of 100 were killed in time");
    let outputs = project.outputs();
    let left: Vec<_> = outputs.keys().filter(|path| path.ends_with(".tmp")).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// How long a build may take to end when it is told to, with some more for a busy machine.
const AT_ONCE: Duration = Duration::from_secs(6);

/// A daemon that left its command's group and holds its output; ended with the test.
struct Daemon(Pid);

impl Daemon {
    fn of(project: &Project) -> Self {
        wait_until("the daemon runs", || project.path("daemon").exists());
        Self(Pid::from_raw(project.read("daemon").trim().parse().unwrap()).unwrap())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = kill_process(self.0, Signal::KILL);
    }
}

/// Starts a daemon, and goes on when it has left the group.
const STARTS_DAEMON: &str = "setsid sh -c 'echo $$ > daemon.tmp; mv daemon.tmp daemon; exec sleep 1000' & while ! [ -e daemon ]; do sleep 0.01; done;";

#[test]
fn no_build_waits_for_a_daemon() {
    let manifest = format!(
        "[[command]]\nname = \"a\"\noutputs = [\"a\"]\nrun = [\"sh\", \"-c\", \"{STARTS_DAEMON} echo started; echo made > $0\", \"{{out}}\"]\n"
    );
    let project = Project::new(&manifest);
    let run = project.larder(&["build"]).ok();
    let _daemon = Daemon::of(&project);
    assert!(run.stderr.contains("started"), "{}", run.stderr);
    assert_eq!(fs::read_to_string(project.output("a")).unwrap(), "made\n");
}

#[test]
fn one_signal_ends_a_build_whatever_it_does() {
    for rest in [
        // A command that does not listen, while a daemon holds its output.
        "trap '' TERM; : > pid; while :; do sleep 0.05; done",
        // One that has closed its own.
        "exec >&- 2>&-; : > pid; while :; do sleep 0.05; done",
        // One that is content with half its work.
        "trap 'echo half > $0; exit 0' TERM; : > pid; while :; do sleep 0.05; done",
    ] {
        let manifest = format!(
            "[[command]]\nname = \"a\"\noutputs = [\"a\"]\nrun = [\"sh\", \"-c\", \"{STARTS_DAEMON} {rest}\", \"{{out}}\"]\n"
        );
        let project = Project::new(&manifest);
        let larder = project.start(&["build"]);
        let _daemon = Daemon::of(&project);
        wait_until("the command goes on", || project.path("pid").exists());
        let told = Instant::now();
        send(&larder, Signal::TERM);
        let output = larder.wait_with_output().unwrap();
        assert!(told.elapsed() < AT_ONCE, "{rest}: {:?}", told.elapsed());
        assert_eq!(output.status.code(), Some(130), "{rest}: {output:?}");
        assert!(project.outputs().is_empty(), "{rest}");
    }
}

#[test]
fn a_signal_ends_a_build_that_waits_for_the_lock() {
    let project = Project::new(&WAITS.replace("TRAP", ""));
    let mut first = project.start(&["build"]);
    command_of(&project);
    let mut second = project.start(&["build"]);
    let mut said = String::new();
    BufReader::new(second.stderr.as_mut().unwrap()).read_line(&mut said).unwrap();
    assert!(said.contains("waiting for another larder"), "{said}");
    let told = Instant::now();
    send(&second, Signal::TERM);
    assert_eq!(second.wait().unwrap().code(), Some(130));
    assert!(told.elapsed() < AT_ONCE, "{:?}", told.elapsed());
    project.file("go", "");
    assert_eq!(first.wait().unwrap().code(), Some(0));
}

#[test]
fn a_target_with_a_flood_of_output_is_up_to_date_like_any_other() {
    let project = Project::new(
        "[[command]]\nname = \"a\"\noutputs = [\"a\"]\nrun = [\"sh\", \"-c\", \"yes | head -c 70000000; : > $0\", \"{out}\"]\n",
    );
    project.larder(&["build", "-q"]).ok();
    project.larder(&["build", "-q", "--no-build"]).ok();
    let log = project.larder(&["build", "-v"]).ok().stderr;
    assert!(log.contains(" bytes of output left out here]"), "{} bytes", log.len());
}

#[test]
fn a_writer_that_outlives_its_command_changes_no_output() {
    let project = Project::new(
        r#"
[[command]]
name = "a"
outputs = ["a"]
run = ["sh", "-c", "sh -c 'trap \"\" TERM; while :; do echo more >> $0; done' $0 > log 2>&1 & while ! [ -s $0 ]; do sleep 0.01; done", "{out}"]
"#,
    );
    project.build();
    let size = || fs::metadata(project.output("a")).unwrap().len();
    let before = size();
    project.larder(&["build", "--rehash", "--no-build"]).ok();
    assert_eq!(size(), before);
}

/// larder as a user who may have no more than `processes`, threads included. Root has no such limit.
fn with_few_processes(project: &Project, processes: u32, arguments: &[&str]) -> Command {
    let inner = project.command(arguments);
    let temporary = project.root.parent().unwrap();
    let limit = format!("--nproc={processes}");
    let mut command = if rustix::process::geteuid().is_root() {
        let copy = temporary.join("larder");
        fs::copy(inner.get_program(), &copy).unwrap();
        // Of nobody else, so that nobody else's processes count.
        let user = (1_000_000 + std::process::id()).to_string();
        let owned = Command::new("chown").args(["-R", &user]).arg(temporary).status();
        assert!(owned.unwrap().success());
        let mut command = Command::new("setpriv");
        command.args([&format!("--reuid={user}"), "--clear-groups", "prlimit", &limit]).arg(copy);
        command
    } else {
        let mut command = Command::new("prlimit");
        command.arg(limit).arg(inner.get_program());
        command
    };
    command.args(inner.get_args()).current_dir(&project.root);
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command
}

#[test]
fn too_few_processes_fail_a_target_and_nothing_else() {
    let project = Project::new(
        "[[command]]\nname = \"a\"\noutputs = [\"a\"]\nrun = [\"sh\", \"-c\", \": > $0\", \"{out}\"]\n",
    );
    // Itself and the thread that waits for signals.
    let said = run(with_few_processes(&project, 2, &["build", "-j1"])).ends_with(1).stderr;
    assert!(said.contains("failed a a: cannot start `"), "{said}");
    assert!(said.contains("`: the system allows no more processes"), "{said}");
    assert!(!said.contains("panic"), "{said}");
    run(with_few_processes(&project, 4, &["build", "-j1"])).ok();
}

#[test]
fn what_a_command_leaves_in_the_background_ends_with_it_within_a_second() {
    for trap in ["", "trap '' TERM; "] {
        let project = Project::new(
            &"[[command]]\nname = \"c\"\noutputs = [\"out\"]\nrun = [\"sh\", \"-c\", \"(TRAPecho started; sleep 100) & echo $! > pid; echo x > $0\", \"{out}\"]\n"
                .replace("TRAP", trap),
        );
        let run = project.larder(&["build", "--json"]).ok();
        let events = run.events();
        let ended = events.iter().find(|event| event["event"] == "ended").unwrap();
        assert!(ended["milliseconds"].as_u64().unwrap() < 1000, "{ended}");
        let process = std::path::PathBuf::from("/proc").join(project.read("pid").trim());
        // Nobody may have fetched its remains.
        let line = fs::read(process.join("cmdline")).unwrap_or_default();
        assert!(line.is_empty(), "it still runs");
    }
}
