//! The same inputs give the same bytes and the same keys.

use std::{fs, process::Command};

use larder_testkit::{
    events::Built,
    files::{files, names, set_modified, write},
    project::Project,
    run::run,
    stores::hash,
    tools::path_with,
};

use crate::support::prints;

/// Builds a project here, in another place, and here once more, and compares all outputs.
fn comes_out_the_same(project: &Project) {
    project.build();
    let first = project.outputs();
    let elsewhere = project.checkout();
    elsewhere.build();
    project.forget();
    project.build();
    for again in [elsewhere.outputs(), project.outputs()] {
        for (path, bytes) in &first {
            assert!(again[path] == *bytes, "{path} differs");
        }
    }
}

#[test]
fn objects_for_link_time_optimisation_are_the_same_every_time() {
    let project = Project::new(
        r#"
[[library]]
name = "a"
sources = ["a.c", "b.c"]
trace-args = ["-flto", "-O2", "-g"]

[[executable]]
name = "x"
sources = ["main.c"]
libraries = ["a"]
trace-args = ["-flto", "-O2", "-g"]
link-args = ["-flto", "-O2", "-g"]
"#,
    );
    project.file("a.c", "static int n;\nint a(void) { return n++; }\n");
    project.file("b.c", "static int n;\nint b(void) { return n--; }\n");
    project.file("main.c", prints("int a(void);\nint b(void);", "a() + b()"));
    comes_out_the_same(&project);
}

/// The profile that a program counts is read by its name, wherever it was built; so is an object that was restored.
#[test]
fn what_clang_counts_is_the_same_every_time() {
    let project = Project::new(
        r#"
[toolchain]
cc = "clang"

[[executable]]
name = "x"
sources = ["main.c"]
trace-args = ["-fprofile-instr-generate", "-fcoverage-mapping"]
link-args = ["-fprofile-instr-generate"]
"#,
    );
    project.file("main.c", prints("", "1"));
    comes_out_the_same(&project);
    let counted = project.path("x.profraw");
    let ran = Command::new(project.output("x"))
        .env("LLVM_PROFILE_FILE", &counted)
        .current_dir(project.path(""))
        .output();
    assert!(ran.unwrap().status.success());
    assert!(fs::metadata(counted).unwrap().len() > 0);
    // What GCC counts is in files that are called like objects, which are elsewhere by then.
    project.replace("larder.toml", "-fcoverage-mapping", "--coverage");
    project.larder(&["build"]).ends_with(2).mentions(&["`--coverage` cannot be", "use Clang"]);
    project.replace("larder.toml", "--coverage", "-DX");
    let mut build = project.command(&["build"]);
    build.env("CFLAGS", "-g -gsplit-dwarf");
    let said = String::from_utf8(build.output().unwrap().stderr).unwrap();
    assert!(said.contains("`-gsplit-dwarf` in the environment variable CFLAGS"), "{said}");
}

#[test]
fn a_platform_independent_package_does_not_depend_on_the_programs_of_the_machine() {
    let project = Project::cached(
        "platform-independent = true\n[[command]]\nname = \"c\"\ninputs = [\"in\"]\noutputs = [\"c\"]\nrun = [\"generate\", \"in\", \"{out}\"]\n",
    );
    project.file("in", "in\n");
    let machine = |name: &str| {
        let bin = format!("{name}/bin");
        project.script(
            &format!("{bin}/generate"),
            &format!("# that of {name}\ncat \"$1\" > \"$2\"\n"),
        );
        path_with(&project.path(&bin))
    };
    let paths = [machine("one"), machine("two")];
    let build = |project: &Project, path: &str| {
        let mut command = project.command(&["build", "--json"]);
        command.env("PATH", path);
        Built::of(&run(command).ok())
    };
    build(&project, &paths[0]);
    let hashes = project.dep_hashes();
    let other = project.checkout();
    assert!(build(&other, &paths[1]).with("restored") == ["c"]);
    assert_eq!(other.dep_hashes(), hashes);
}

#[test]
fn a_second_result_of_the_same_inputs_is_said_once_and_both_are_kept() {
    let project = Project::cached(
        r#"
[[command]]
name = "two"
outputs = ["changes", "stays"]
run = ["sh", "-c", "echo same > $0; date +%s.%N >> $0; echo stays > $1", "{outs}"]
"#,
    );
    project.build();
    let stays = hash("stays\n").to_string();
    let lose = || {
        project.forget();
        fs::remove_file(project.cache.join("artifacts").join(&stays[..2]).join(&stays)).unwrap();
    };
    lose();
    let first = "`two` does not come out the same from the same inputs: changes differs in line 2";
    project.larder(&["build"]).ok().says(first);
    let record = files(&project.cache.join("outputs")).pop().unwrap();
    let candidates = || fs::read_to_string(&record).unwrap().matches("\"changes\"").count();
    assert_eq!(candidates(), 2);
    // However often it changes, two are kept. What is restored has nothing new to say.
    project.forget();
    let restored = project.larder(&["build"]).ok();
    assert!(!restored.stderr.contains("come out"), "{}", restored.stderr);
    lose();
    project.larder(&["build"]).ok().says(first);
    assert_eq!(candidates(), 2);
}

#[test]
fn what_is_made_in_every_build_may_differ_without_a_word() {
    let project = Project::cached(
        "[[command]]\nname = \"now\"\nalways = true\noutputs = [\"now\"]\nrun = [\"sh\", \"-c\", \"date +%s.%N > $0\", \"{out}\"]\n",
    );
    for _ in 0..2 {
        let said = project.larder(&["build"]).ok().stderr;
        assert!(!said.contains("come out"), "{said}");
    }
}

#[test]
fn an_audit_names_what_does_not_come_out_the_same_elsewhere() {
    let project = Project::cached(
        r#"
[[library]]
name = "a"
sources = ["a.c", "b.c"]

[[command]]
name = "place"
outputs = ["place"]
run = ["sh", "-c", "pwd > $0", "{out}"]

[[command]]
name = "home"
outputs = ["home/"]
run = ["sh", "-c", "mkdir -p $0; echo fixed > $0/fixed; echo $HOME > $0/home", "{out}"]

[[command]]
name = "fine"
inputs = ["sub/in"]
outputs = ["fine"]
run = ["cp", "sub/in", "{out}"]
"#,
    );
    project.file("a.c", "const char *when(void) { return __TIMESTAMP__; }\n");
    project.file("b.c", "int b(void) { return 1; }\n").file("sub/in", "in\n");
    set_modified(&project.path("a.c"), std::time::SystemTime::UNIX_EPOCH);
    let temporary = tempfile::tempdir().unwrap();
    let audit = |arguments: &[&str]| {
        let mut command = project.command(&[&["cache", "audit"], arguments].concat());
        command.env("TMPDIR", temporary.path());
        let run = run(command);
        assert_eq!(names(temporary.path()), [""; 0], "something is left behind");
        run
    };
    let run = audit(&["--rebuild", "100%"]).ends_with(1);
    let same = "does not come out the same from the same inputs:";
    for (target, differs) in [
        ("a:o", "obj/liba/a.c.o differs in section .rodata"),
        ("place", "place differs in line 1"),
        ("home", "home/home differs in line 1"),
    ] {
        let line = format!("`{target}` {same} {differs}");
        assert!(run.stdout.contains(&line), "{line}\n{run:?}");
    }
    assert_eq!(run.stdout.lines().count(), 3, "{}", run.stdout);
    run.says("5 of 5 targets").says("3 different");
    let run = audit(&["--rebuild", "100%", "--json"]).ends_with(1);
    let events = run.events();
    let last = events.last().unwrap();
    assert_eq!(last["event"], "audited");
    assert_eq!((&last["differentSteps"], &last["ofTargets"]), (&3.into(), &5.into()));
    // The library is made of an object that differs.
    assert_eq!(last["notComparedSteps"], 1);
    let differences: Vec<_> = events.iter().filter(|it| it["event"] == "difference").collect();
    assert_eq!(differences.len(), 3);
    // Nothing of it has changed what is here.
    project.larder(&["build", "--no-build"]).ok();
    audit(&["--rebuild", "0%"]).ok();
    audit(&["--rebuild", "lots"]).ends_with(2);
}

#[test]
fn an_audit_of_a_package_that_comes_out_the_same_finds_nothing() {
    let project = Project::cached("");
    let beside = project.root.with_file_name("lib");
    let library = "[package]\nname = \"z\"\n[[library]]\nname = \"z\"\nsources = [\"z.c\"]\nincludes = [\".\"]\n";
    write(&beside.join("larder.toml"), library);
    write(&beside.join("z.h"), "int z(void);\n");
    write(&beside.join("z.c"), "#include \"z.h\"\nint z(void) { return 2; }\n");
    let rest = "[[executable]]\nname = \"x\"\nsources = [\"main.c\"]\nlibraries = [\"z/z\"]\n[dependencies]\nz = { path = \"../lib\" }\n";
    project.file("larder.toml", [&project.read("larder.toml"), rest].concat());
    project.file("main.c", prints("#include \"z.h\"\n#include <stdlib.h>", "z()"));
    let run = project.larder(&["cache", "audit", "--rebuild", "100%"]).ok();
    run.says("2 of 2 targets").says(" 0 different");
}
