//! Output of builds: colours, replays, levels, failures.

use std::fs;

use larder_testkit::{events::Built, project::Project, run::run};

const WARNS: &str = "[[library]]\nname = \"a\"\nsources = [\"*.c\"]\ntrace-args = [\"-Wall\"]\n";

fn warning() -> Project {
    let project = Project::new(WARNS);
    project.file("a.c", "static int unused(void) { return 1; }\n");
    project.file("b.c", "int b;\n");
    project
}

#[test]
fn logs_are_replayed() {
    let project = warning();
    let first = project.larder(&["build"]).ok().says("defined but not used");
    assert!(first.stdout.is_empty());
    for arguments in [&["build"][..], &["build", "--log-level=warning"], &["build", "a:o"]] {
        let again = project.larder(arguments).ok().says("replayed a:o obj/liba/a.c.o");
        assert!(again.stderr.contains("defined but not used"), "{}", again.stderr);
    }
    project.remove(".larder/index");
    project.larder(&["build"]).ok().says("defined but not used");
    let silent = project.larder(&["build", "--log-level=error"]).ok();
    assert!(!silent.stderr.contains("unused"), "{}", silent.stderr);
    let json = project.larder(&["build", "--json"]).ok();
    let events = json.events();
    let replay = events.iter().find(|event| event["output"] == "obj/liba/a.c.o").unwrap();
    assert_eq!(replay["status"], "replayed");
    assert_eq!(replay["log"][0]["level"], "warning");
}

#[test]
fn levels_that_fail_a_build() {
    let project = warning();
    let manifest = project.read("larder.toml");
    for round in ["built", "replayed"] {
        let run = project.larder(&["build", "--wfail"]).ends_with(1).says(round);
        assert!(
            run.stderr.contains("the build printed something of level warning or above"),
            "{}",
            run.stderr
        );
        project.larder(&["build", "--iofail"]).ends_with(1);
        project.larder(&["build", "--fail-level=warning"]).ends_with(1);
        project.larder(&["build", "--fail-level=error"]).ok();
        project.larder(&["build"]).ok();
    }
    project.file("larder.toml", format!("{manifest}\n[[command]]\nname = \"talk\"\noutputs = [\"t\"]\nrun = [\"sh\", \"-c\", \"echo hello; touch $0\", \"{{out}}\"]\n"));
    project.larder(&["build", "talk", "--wfail"]).ok().says("hello");
    project.larder(&["build", "talk", "--iofail"]).ends_with(1).says("hello");
}

#[test]
fn colours_where_they_are_wanted() {
    let colours = |arguments: &[&str], no_color: bool| {
        let project = warning();
        let mut command = project.command(arguments);
        if no_color {
            command.env("NO_COLOR", "1");
        }
        run(command).ok().stderr
    };
    let always = colours(&["build", "--color", "always"], false);
    assert!(always.contains("\x1b[01;35mwarning"), "the compiler's: {always:?}");
    assert!(always.contains("\x1b[32mbuilt\x1b[0m"), "larder's own: {always:?}");
    for (arguments, no_color) in
        [(&["build", "--color", "never"][..], false), (&["build"], false), (&["build"], true)]
    {
        let text = colours(arguments, no_color);
        assert!(!text.contains('\x1b'), "{text:?}");
    }
    // Recorded output has its colours, whoever built it.
    let (plain, coloured) = (warning(), warning());
    plain.build();
    coloured.larder(&["build", "--color", "always"]).ok();
    let trace = ".larder/build/obj/liba/a.c.o.trace";
    assert_eq!(plain.record(trace), coloured.record(trace));
}

#[test]
fn the_output_of_parallel_commands_does_not_interleave() {
    let command = |number: usize| {
        format!(
            "[[command]]\nname = \"c{number}\"\noutputs = [\"o{number}\"]\nrun = [\"sh\", \"-c\", 'i=0; while [ $i -lt 60 ]; do echo \"<c{number} $i\"; echo \"c{number} $i>\" >&2; i=$((i+1)); done; touch $0', \"{{out}}\"]\n"
        )
    };
    let project = Project::new(&(0..8).map(command).collect::<String>());
    let said = project.larder(&["build", "-j8"]).ok().stderr;
    let lines: Vec<&str> = said.lines().collect();
    for number in 0..8 {
        let start = format!("built c{number} o{number}");
        let at = lines.iter().position(|line| line.ends_with(&start)).expect(&start);
        for count in 0..60 {
            assert_eq!(lines[at + 1 + 2 * count], format!("<c{number} {count}"));
            assert_eq!(lines[at + 2 + 2 * count], format!("c{number} {count}>"));
        }
    }
}

#[test]
fn a_failure_says_what_ran_and_leaves_nothing() {
    let project = warning();
    project.build();
    project.file("a.c", "int broken(void) { return }\n");
    let run = project.larder(&["build"]).ends_with(1);
    for text in [
        "failed a:o obj/liba/a.c.o: failed with exit code 1",
        " -c -o .larder/build/obj/",
        "a.c:1:27: error: expected expression before",
        "1 failed",
    ] {
        assert!(run.stderr.contains(text), "`{text}` is not in:\n{}", run.stderr);
    }
    assert!(!project.output("obj/liba/a.c.o").exists());
    assert!(!project.output("obj/liba/a.c.o.trace").exists());
    assert!(project.output("obj/liba/b.c.o").exists());
    // It is tried again, and said again.
    project.larder(&["build"]).ends_with(1).says("expected expression before");
    project.file("a.c", "int whole;\n");
    project.larder(&["build", "--wfail"]).ok();
    let tmp = project.path(".larder/tmp");
    assert!(!tmp.exists() || tmp.read_dir().unwrap().next().is_none(), "something is left in tmp");
}

#[test]
fn keep_going_builds_what_does_not_need_what_failed() {
    let command = |name: &str, needs: &str, run: &str| {
        format!(
            "[[command]]\nname = \"{name}\"\ninputs = [{needs}]\noutputs = [\"{name}\"]\nrun = [\"sh\", \"-c\", \"{run}\", \"{{out}}\"]\n"
        )
    };
    let project = Project::new(
        &[
            command("bad", "", "exit 1"),
            command("needs-bad", "\"{bad}\"", "touch $0"),
            command("good", "", "touch $0"),
            command("needs-good", "\"{good}\"", "touch $0"),
            command("bad-too", "", "exit 2"),
        ]
        .concat(),
    );
    let run = project.larder(&["build", "-k", "-j1", "--json"]).ends_with(1);
    let built = Built::of(&run);
    assert_eq!(built.built(), ["good", "needs-good"]);
    assert_eq!(built.with("failed"), ["bad", "bad-too"]);
    assert_eq!(built.with("skipped").len(), 1);
    let said = project.larder(&["build", "-k", "-v"]).ends_with(1).stderr;
    assert!(
        said.contains("skipped needs-bad") && said.contains("(bad is out of date)")
            || said.contains("needs-bad"),
        "{said}"
    );
    std::fs::remove_dir_all(project.path(".larder")).unwrap();
    let run = project.larder(&["build", "-j1", "--json"]).ends_with(1);
    assert_eq!(Built::of(&run).with("failed").len(), 1, "the first failure ends it");
}

/// Returns what larder says of a command that goes wrong like this.
#[track_caller]
fn fails(run: &str, outputs: &str) -> String {
    let project = Project::new(&format!(
        "[[command]]\nname = \"a\"\noutputs = [{outputs}]\nrun = [\"sh\", \"-c\", '{run}', \"{{out}}\"]\n"
    ));
    let said = project.larder(&["build"]).ends_with(1).stderr;
    assert!(project.outputs().is_empty(), "{:?}", project.outputs().keys());
    assert!(!project.output("a.trace").exists());
    project.redact(said.lines().next().unwrap())
}

#[test]
fn commands_that_go_wrong() {
    for (run, expected) in [
        ("kill -SEGV $$", "failed a a: was ended by signal 11 (SIGSEGV)"),
        ("touch $0; kill -KILL $$", "failed a a: was killed (SIGKILL), perhaps for want of memory"),
        ("touch $0; exit 7", "failed a a: failed with exit code 7"),
        (
            "true",
            "failed a a: it succeeded but did not write its output `a`; commands write outputs to {out}, or below {outdir}",
        ),
        (
            "mkdir $0",
            "failed a a: its output `a` is a directory, but a file was declared; the names of directories end in `/`",
        ),
        ("ln -s /etc/hostname $0", "failed a a: its output `a` is neither a file nor a directory"),
        ("mkfifo $0", "failed a a: its output `a` is neither a file nor a directory"),
    ] {
        assert_eq!(fails(run, "\"a\""), expected);
    }
    assert!(fails("touch $0", "\"a\", \"b\"").contains("did not write its output `b`"));
    assert!(
        fails("rmdir $0; touch $0", "\"a/\"")
            .contains("its output `a` is not a directory, although its name ends in `/`")
    );
    assert!(
        fails("ln -s /etc $0/x", "\"a/\"")
            .contains("its output a/x is neither a file nor a directory")
    );
}

#[test]
fn programs_that_cannot_be_run() {
    let project =
        Project::new("[[command]]\nname = \"a\"\noutputs = [\"a\"]\nrun = [\"./tool\"]\n");
    project.larder(&["build"]).ends_with(1).says("the input tool is not there");
    project.file("tool", "#!/bin/sh\n");
    project.larder(&["build"]).ends_with(1).says("it is not an executable file");
    project.script("tool", "");
    project.file("tool", "#!/no/such/interpreter\n");
    project.larder(&["build"]).ends_with(1).says("no such program (or its interpreter is missing)");
    std::fs::remove_file(project.path("tool")).unwrap();
    std::fs::create_dir(project.path("tool")).unwrap();
    project.larder(&["build"]).ends_with(1).says("the input tool is a directory, not a file");
}

/// A command whose output is lost fails and says so once. `exec` does not start its program then: whoever
/// reads the events would not learn of it.
#[test]
fn output_that_is_lost_fails_the_command_and_is_said_once() {
    let project = Project::cached(
        "[[executable]]\nname = \"x\"\nsources = [\"x.c\"]\ntest = true\ntest-args = [\"{package}/ran\"]\n",
    );
    project.file("x.c", "#include <stdio.h>\nint main(int c, char **v) { return !fopen(c > 1 ? v[1] : \"ran\", \"w\"); }\n");
    for arguments in [
        &["exec", "--json", "x"][..],
        &["build", "--json"],
        &["query", "x"],
        &["query", "--json", "x"],
        &["why"],
        &["why", "--json"],
        &["test", "--json"],
        &["cache", "pack", "--json", "x.pack"],
        &["cache", "bake", "--json", "offline"],
        &["--help"],
    ] {
        _ = fs::remove_file(project.path("ran"));
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let mut command = project.command(arguments);
        let stderr = run(command.stdout(full)).ends_with(1).stderr;
        let said = stderr.matches("cannot write to standard output: No space left").count();
        assert_eq!(said, 1, "{arguments:?}: {stderr}");
        assert_eq!(project.path("ran").exists(), arguments[0] == "test", "{arguments:?}");
    }
    project.larder(&["exec", "--json", "x"]).ok();
    assert!(project.path("ran").exists());
}
