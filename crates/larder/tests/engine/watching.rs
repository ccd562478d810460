//! `larder watch`: a round for each change, and none for nothing.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Child, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use larder_testkit::project::Project;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// larder that watches a project.
struct Watching {
    child: Child,
    events: Receiver<Value>,
}

impl Watching {
    fn start(project: &Project, arguments: &[&str]) -> Self {
        let mut command = project.command(&[&["--json", "watch"], arguments].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, events) = channel();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if sender.send(serde_json::from_str(&line).unwrap()).is_err() {
                    break;
                }
            }
        });
        Self { child, events }
    }

    /// The end of the next round, and the events before.
    #[track_caller]
    fn round(&self) -> (Value, Vec<Value>) {
        let mut before = Vec::new();
        loop {
            let event = self.events.recv_timeout(Duration::from_secs(60)).expect("no round comes");
            if event["event"] == "round" {
                return (event, before);
            }
            before.push(event);
        }
    }

    /// The exit code of the first round after which `done` holds. A change may be told in two parts.
    #[track_caller]
    fn until(&self, done: impl Fn() -> bool) -> i64 {
        for _ in 0..5 {
            let (round, _) = self.round();
            if done() {
                return round["exitCode"].as_i64().unwrap();
            }
        }
        panic!("five rounds, and still not done");
    }

    fn interrupt(&mut self) -> Option<i32> {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn each_change_is_built() {
    let project = Project::new(
        "[dependencies]\nlow = { path = \"../low\" }\n[[executable]]\nname = \"x\"\nsources = [\"src/**/*.c\"]\nlibraries = [\"low/low\"]\n",
    );
    let low = |value: u8| {
        let text = format!("int low(void) {{ return {value}; }}\n");
        larder_testkit::files::write(&project.root.parent().unwrap().join("low/low.c"), text);
    };
    larder_testkit::files::write(
        &project.root.parent().unwrap().join("low/larder.toml"),
        "[package]\nname = \"low\"\n[[library]]\nname = \"low\"\nsources = [\"low.c\"]\n",
    );
    low(1);
    project.file("src/main.c", "int low(void);\nint main(void) { return low(); }\n");
    let returns = |code: i32| {
        let run = std::process::Command::new(project.output("x")).status();
        run.is_ok_and(|status| status.code() == Some(code))
    };
    let mut watching = Watching::start(&project, &[]);
    let (first, events) = watching.round();
    assert_eq!((&first["exitCode"], &first["number"]), (&0.into(), &1.into()));
    assert!(events.iter().any(|event| event["event"] == "finished") && returns(1));
    project.file("src/main.c", "int low(void);\nint main(void) { return low() + 1; }\n");
    assert_eq!(watching.until(|| returns(2)), 0);
    // Another package, a new directory, a failure, the manifest.
    low(3);
    assert_eq!(watching.until(|| returns(4)), 0);
    project.file("src/deep/er/new.c", "int newer(void) { return 5; }\n");
    assert_eq!(watching.until(|| project.output("obj/x/src/deep/er/new.c.o").exists()), 0);
    project.file("src/deep/er/new.c", "int newer(void) { return }\n");
    assert_eq!(watching.until(|| !project.output("obj/x/src/deep/er/new.c.o").exists()), 1);
    project.file("src/deep/er/new.c", "int newer(void) { return 6; }\n");
    assert_eq!(watching.until(|| project.output("obj/x/src/deep/er/new.c.o").exists()), 0);
    let manifest = project.read("larder.toml");
    project.file("larder.toml", "[package\n");
    let (broken, _) = watching.round();
    assert_eq!(broken["exitCode"], 2);
    project.file("larder.toml", manifest.replace("name = \"x\"", "name = \"y\""));
    assert_eq!(watching.until(|| project.output("y").exists()), 0);
    // What larder writes itself is no change.
    fs::write(project.path(".larder/build/new"), "").unwrap();
    let more = watching.events.recv_timeout(Duration::from_millis(700));
    assert!(more.is_err(), "{more:?}");
    assert_eq!(watching.interrupt(), Some(130));
}

#[test]
fn tests_run_again_and_what_they_write_does_not_count() {
    let project = Project::new(
        "[[command]]\nname = \"t\"\ninputs = [\"in\"]\nrun = [\"sh\", \"-c\", \"echo >> written; exit $(cat in)\"]\ntest = true\n",
    );
    project.file("in", "0");
    let mut watching = Watching::start(&project, &["--test"]);
    assert_eq!(watching.round().0["exitCode"], 0);
    project.file("in", "7");
    let rounds = |project: &Project| project.read("written").lines().count();
    assert_eq!(watching.until(|| rounds(&project) >= 2), 1);
    // It fails in each round and writes the same file each time; that has an end.
    while watching.events.recv_timeout(Duration::from_millis(1500)).is_ok() {}
    assert!(rounds(&project) < 8, "{}", rounds(&project));
    project.file("in", "0");
    assert_eq!(watching.until(|| true), 0);
    assert_eq!(watching.interrupt(), Some(130));
}

#[test]
fn what_builds_keep_current_is_no_change() {
    let project = Project::new("[[executable]]\nname = \"x\"\nsources = [\"main.c\"]\n");
    project.file("main.c", "int main(void) { return 0; }\n");
    project.larder(&["compdb"]).ok();
    let mut watching = Watching::start(&project, &[]);
    watching.round();
    let manifest = project.read("larder.toml");
    project.file("larder.toml", format!("{manifest}defines = [\"NEW\"]\n"));
    let is_new = || project.read("compile_commands.json").contains("-DNEW");
    assert_eq!(watching.until(is_new), 0);
    project.remove("main.c");
    let changed = |name: &str| {
        let (round, _) = watching.round();
        round["changed"].as_array().unwrap().iter().any(|it| it.as_str().unwrap().contains(name))
    };
    // The next round is for the next change.
    assert!(changed("main.c"));
    assert_eq!(watching.interrupt(), Some(130));
}

#[test]
fn what_is_read_elsewhere_counts_and_what_editors_leave_does_not() {
    let elsewhere = tempfile::tempdir().unwrap();
    let outside = elsewhere.path().canonicalize().unwrap();
    let header = |value: u8| {
        let text = format!("#define VALUE {value}\n");
        larder_testkit::files::write(&outside.join("v.h"), text);
    };
    header(1);
    let project = Project::new(&format!(
        "[[executable]]\nname = \"x\"\nsources = [\"src/*.c\"]\ntrace-args = [\"-I{}\"]\n",
        outside.display()
    ));
    let main =
        |plus: u8| format!("#include \"v.h\"\nint main(void) {{ return VALUE + {plus}; }}\n");
    project.file("src/main.c", main(0));
    let returns = |code: i32| {
        let run = std::process::Command::new(project.output("x")).status();
        run.is_ok_and(|status| status.code() == Some(code))
    };
    let mut watching = Watching::start(&project, &[]);
    assert_eq!(watching.round().0["exitCode"], 0);
    assert!(returns(1));
    header(2);
    assert_eq!(watching.until(|| returns(2)), 0);
    let silent = || {
        let more = watching.events.recv_timeout(Duration::from_millis(700));
        assert!(more.is_err(), "{more:?}");
    };
    while watching.events.recv_timeout(Duration::from_millis(300)).is_ok() {}
    // What editors leave beside what they edit.
    for name in ["4913", ".main.c.swp", "main.c~", ".#main.c", "#main.c#"] {
        fs::write(project.path("src").join(name), "").unwrap();
        fs::remove_file(project.path("src").join(name)).unwrap();
    }
    silent();
    // An editor that writes another file and renames it.
    project.file("src/.main.c.new", main(3));
    fs::rename(project.path("src/.main.c.new"), project.path("src/main.c")).unwrap();
    assert_eq!(watching.until(|| returns(5)), 0);
    // As of a checkout: many files, one round.
    while watching.events.recv_timeout(Duration::from_millis(300)).is_ok() {}
    let more = |number: u32| format!("int f{number}(void) {{ return {number}; }}\n");
    (0..100).for_each(|number| _ = project.file(&format!("src/more{number}.c"), more(number)));
    let (round, _) = watching.round();
    assert_eq!(round["exitCode"], 0);
    assert!(round["changed"].as_array().unwrap().len() >= 100, "{round}");
    silent();
    assert_eq!(watching.interrupt(), Some(130));
}

#[test]
fn an_interrupted_round_ends_the_watch() {
    let project = Project::new(
        "[[command]]\nname = \"slow\"\noutputs = [\"o\"]\nrun = [\"sh\", \"-c\", \"touch begun; sleep 1000\"]\n",
    );
    let mut watching = Watching::start(&project, &["--", "build", "-k"]);
    while !project.path("begun").exists() {
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(watching.interrupt(), Some(130));
    project.larder(&["watch", "clean"]).ends_with(2).says("`clean` cannot be watched");
}
