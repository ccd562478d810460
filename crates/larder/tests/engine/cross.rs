//! Building for another machine: tools of the build for this one, directories, tests by a runner.

use std::fs;

use larder_testkit::{events::Built, project::Project, tools::require};

/// The target, with what Debian calls its tools.
pub const ARM: &str = "aarch64-linux-gnu";

/// How programs for it are run here.
pub const RUNNER: &str = "\n[target.aarch64-linux-gnu]\nrunner = [\"qemu-aarch64\", \"-L\", \"/usr/aarch64-linux-gnu\"]\n";

/// Whether there are the tools for the target.
#[track_caller]
pub fn can_cross() -> bool {
    ["aarch64-linux-gnu-gcc", "aarch64-linux-gnu-g++", "qemu-aarch64"].into_iter().all(require)
}

/// A program whose table a generator makes, with a library that both need.
const GENERATED: &str = r#"
[[library]]
name = "arch"
sources = ["arch.c"]

[[library]]
name = "said"
kind = ["shared"]
sources = ["said.c"]

[[executable]]
name = "gen"
sources = ["gen.c"]
libraries = ["arch", "said"]

[[command]]
name = "table"
outputs = ["table.c"]
run = ["{gen}", "{out}"]

[[executable]]
name = "app"
sources = ["app.c", "{table}"]
libraries = ["arch", "said"]

[[executable]]
name = "t"
test = true
sources = ["t.cc"]
libraries = ["said"]
test-args = ["expected.txt", "{package}"]

[[command]]
name = "self-test"
test = true
run = ["{app}", "--test"]
"#;

fn generated(manifest: &str) -> Project {
    let project = Project::cached(&format!("{manifest}{GENERATED}"));
    project.file("arch.c", "#if defined(__aarch64__)\nconst char *arch(void) { return \"aarch64\"; }\n#elif defined(__x86_64__)\nconst char *arch(void) { return \"x86_64\"; }\n#else\nconst char *arch(void) { return \"other\"; }\n#endif\n");
    project.file("said.c", "#include <stdio.h>\nint said(const char *a, const char *b) { return printf(\"%s %s\\n\", a, b) < 0; }\n");
    project.file("gen.c", "#include <stdio.h>\nconst char *arch(void);\nint said(const char *, const char *);\nint main(int count, char **words) { FILE *out = fopen(words[1], \"w\"); fprintf(out, \"const char *made_by = \\\"%s\\\";\\n\", arch()); fclose(out); return count != 2; }\n");
    project.file("app.c", "extern const char *made_by;\nconst char *arch(void);\nint said(const char *, const char *);\nint main(void) { return said(made_by, arch()); }\n");
    project.file("t.cc", "#include <fstream>\n#include <string>\nextern \"C\" int said(const char *, const char *);\nint main(int, char **words) { std::ifstream in(words[1]); std::string line; std::getline(in, line); return said(\"test\", line.c_str()) || line != \"expected\"; }\n");
    project.file("expected.txt", "expected\n");
    project
}

/// The machine of an ELF file, by its number.
#[track_caller]
pub fn machine(project: &Project, path: &str) -> u16 {
    let bytes = fs::read(project.path(path)).unwrap();
    assert!(bytes.starts_with(b"\x7fELF"), "{path}");
    u16::from_le_bytes([bytes[18], bytes[19]])
}

/// The number of ARM's 64-bit processors.
pub const AARCH64: u16 = 183;

fn build(project: &Project, arguments: &[&str]) -> Built {
    project.build_with(&[&["--target", ARM], arguments].concat())
}

#[test]
fn tools_are_built_for_the_host_and_the_rest_for_the_target() {
    if !can_cross() {
        return;
    }
    let here = std::env::consts::ARCH;
    let project = generated(RUNNER);
    let run = |arguments: &[&str]| project.larder(&[&["run"], arguments].concat()).ok().stdout;
    assert_eq!(run(&["--target", ARM, "app"]), format!("{here} aarch64\n"));
    assert_eq!(machine(&project, ".larder/build-aarch64-linux-gnu/app"), AARCH64);
    assert_ne!(machine(&project, ".larder/build/gen"), AARCH64);
    assert!(!project.path(".larder/build-aarch64-linux-gnu/gen").exists(), "nobody runs it");
    assert!(!project.path(".larder/build/app").exists(), "nobody asked for it");
    assert_eq!(run(&["app"]), format!("{here} {here}\n"));
    // One after the other, and again: nothing is to be done.
    project.build();
    build(&project, &[]);
    project.build().all("replayed");
    build(&project, &[]).all("replayed");
    project.build().all("replayed");
    // A library that both sides need is built for both, and each has its own.
    project.replace("arch.c", "\"aarch64\"", "\"arm\"");
    assert_eq!(run(&["--target", ARM, "app"]), format!("{here} arm\n"));
    assert_eq!(run(&["app"]), format!("{here} {here}\n"));
    // The generator is built for the target where that is asked for.
    build(&project, &["gen"]);
    assert_eq!(machine(&project, ".larder/build-aarch64-linux-gnu/gen"), AARCH64);
    let graph = project.larder(&["graph", "--target", ARM, "app"]).ok().stdout;
    assert!(graph.contains("gen:exe (host)") && graph.contains("arch:static (host)"), "{graph}");
    assert!(!project.larder(&["graph", "app"]).ok().stdout.contains("(host)"));
}

#[test]
fn what_was_built_for_a_target_comes_back_from_the_store() {
    if !can_cross() {
        return;
    }
    let project = generated(RUNNER);
    project.build();
    let made = build(&project, &["app"]);
    assert!(!made.built().contains(&"gen"), "the host has it: {}", made.all);
    let bytes = fs::read(project.path(".larder/build-aarch64-linux-gnu/app")).unwrap();
    project.larder(&["clean"]).ok();
    let left: Vec<_> = fs::read_dir(project.path(".larder")).unwrap().collect();
    let is_build = |name: &str| name.starts_with("build");
    assert!(
        !left.iter().any(|entry| is_build(entry.as_ref().unwrap().file_name().to_str().unwrap()))
    );
    let again = build(&project, &["app"]);
    assert!(again.built().is_empty(), "{}", again.all);
    assert_eq!(fs::read(project.path(".larder/build-aarch64-linux-gnu/app")).unwrap(), bytes);
    // In another checkout, too.
    let elsewhere = project.checkout();
    assert!(build(&elsewhere, &["app"]).built().is_empty());
    // Profiles have their own directories for each target, and the host's tools theirs.
    project.build_with(&["--target", ARM, "--profile", "release", "app"]);
    for path in ["build-aarch64-linux-gnu-release/app", "build-release/gen"] {
        assert!(project.path(".larder").join(path).exists(), "{path}");
    }
}

#[test]
fn tests_and_programs_are_run_by_the_runner() {
    if !can_cross() {
        return;
    }
    let project = generated(RUNNER);
    let test = |arguments: &[&str]| {
        project.larder(&[&["test", "--target", ARM, "-v"], arguments].concat())
    };
    let both = format!("{} aarch64", std::env::consts::ARCH);
    test(&[]).ok().mentions(&["2 passed", "test expected", &both]);
    // Which libraries of the target a program loads is the runner's to say.
    test(&["--cached"]).ok().mentions(&["2 passed"]);
    project.replace(
        "larder.toml",
        "libraries = [\"said\"]\ntest-args",
        "private-link-args = [\"-static\"]\ntest-args",
    );
    project.replace(
        "t.cc",
        "extern \"C\" int said(const char *, const char *);",
        "static int said(const char *, const char *) { return 0; }",
    );
    test(&["--cached", "t"]).ok().mentions(&["1 passed"]);
    test(&["--cached", "t"]).ok().mentions(&["1 cached"]);
    project.replace(
        "larder.toml",
        "\"qemu-aarch64\",",
        "\"qemu-aarch64\", \"-cpu\", \"cortex-a57\",",
    );
    test(&["--cached", "t"]).ok().mentions(&["1 passed"]);
    test(&["--cached", "t"]).ok().mentions(&["1 cached"]);
    // A runner that is a program of one's own counts by its content.
    project.script("run.sh", "exec qemu-aarch64 -L /usr/aarch64-linux-gnu \"$@\"\n");
    let runner = "\"qemu-aarch64\", \"-cpu\", \"cortex-a57\", \"-L\", \"/usr/aarch64-linux-gnu\"";
    project.replace("larder.toml", runner, "\"./run.sh\"");
    test(&["--cached", "t"]).ok().mentions(&["1 passed"]);
    test(&["--cached", "t"]).ok().mentions(&["1 cached"]);
    project.script("run.sh", "# other\nexec qemu-aarch64 -L /usr/aarch64-linux-gnu \"$@\"\n");
    test(&["--cached", "t"]).ok().mentions(&["1 passed"]);
    let run = project.larder(&["run", "--target", ARM, "app"]).ok();
    assert_eq!(run.stdout, format!("{both}\n"));
    // A sandbox shows the runner what it needs.
    test(&["--sandbox"]).ok().mentions(&["2 passed"]);
}

#[test]
fn without_a_runner_it_is_said_what_would_run_it() {
    if !can_cross() {
        return;
    }
    let project = generated("");
    let advice = "runner = [\"qemu-aarch64\", \"-L\", \"/usr/aarch64-linux-gnu\"] under [target.aarch64-linux-gnu]";
    // Where the kernel knows how to run it, it runs.
    let foreign = |arguments: &[&str]| {
        let run = project.larder(arguments);
        if run.code != Some(0) {
            run.ends_with(1).mentions(&[advice]);
        }
    };
    foreign(&["run", "--target", ARM, "app"]);
    foreign(&["test", "--target", ARM]);
    let wrong = generated(&RUNNER.replace("qemu-aarch64", "no-such-runner"));
    for command in ["run", "test"] {
        let arguments = [command, "--target", ARM, if command == "run" { "app" } else { "t" }];
        let run = wrong.larder(&arguments);
        assert_ne!(run.code, Some(0));
        run.mentions(&["the runner `no-such-runner` was not found"]);
    }
}

#[test]
fn conditions_are_those_of_what_something_is_built_for() {
    if !can_cross() {
        return;
    }
    let project = Project::cached(&format!(
        r#"{RUNNER}
[defaults]
defines = ["CASE=\"none\""]

[[defaults.case]]
when = {{ target = "aarch64-unknown-linux-gnu" }}
trace-args = ["-UCASE", "-DCASE=\"target\""]

[[executable]]
name = "gen"
sources = ["gen.c"]

[[executable.case]]
when = {{ arch = "aarch64" }}
defines = ["ARM"]

[[executable.case]]
when = {{ not = {{ arch = "aarch64" }}, compiler = "gcc" }}
defines = ["HERE"]

[[command]]
name = "table"
outputs = ["table.h"]
run = ["{{gen}}", "{{out}}"]

[[command]]
name = "only-arm"
when = {{ arch = "aarch64", os = "linux" }}
outputs = ["arm.h"]
run = ["sh", "-c", "echo '#define ONLY 1' > $0", "{{out}}"]

[[executable]]
name = "app"
sources = ["app.c"]
includes = ["{{build}}"]
inputs = ["{{table}}"]

[[executable.case]]
when = {{ arch = "aarch64" }}
inputs = ["{{only-arm}}"]
defines = ["HAS_ARM"]
"#
    ));
    project.file("gen.c", "#include <stdio.h>\nint main(int count, char **words) { FILE *out = fopen(words[1], \"w\");\n#ifdef ARM\nfputs(\"wrong\", out);\n#endif\n#ifdef HERE\nfputs(\"#define MADE \\\"here \" CASE \"\\\"\\n\", out);\n#endif\nreturn fclose(out); }\n");
    project.file("app.c", "#include <stdio.h>\n#include \"table.h\"\n#ifdef HAS_ARM\n#include \"arm.h\"\n#endif\nint main(void) { puts(MADE \" \" CASE); return 0; }\n");
    let run = |arguments: &[&str]| project.larder(&[&["run"], arguments].concat()).ok().stdout;
    assert_eq!(run(&["--target", ARM, "app"]), "here none target\n");
    assert_eq!(run(&["app"]), "here none none\n");
    project.larder(&["build", "only-arm"]).ends_with(2).says("only there where");
    build(&project, &["only-arm"]);
}

#[test]
fn tools_that_a_shell_runs_are_declared_to_be_for_the_host() {
    if !can_cross() {
        return;
    }
    let project = Project::cached(&format!(
        "{RUNNER}[[executable]]\nname = \"gen\"\nhost = true\nsources = [\"gen.c\"]\n[[command]]\nname = \"made\"\noutputs = [\"made.h\"]\nrun = [\"sh\", \"-c\", \"$1 > $0\", \"{{out}}\", \"{{gen}}\"]\n[[executable]]\nname = \"app\"\nsources = [\"app.c\"]\nincludes = [\"{{build}}\"]\ninputs = [\"{{made}}\"]\n"
    ));
    project.file(
        "gen.c",
        "#include <stdio.h>\nint main(void) { return puts(\"#define MADE 7\") < 0; }\n",
    );
    project.file("app.c", "#include \"made.h\"\nint main(void) { return MADE - 7; }\n");
    project.larder(&["run", "--target", ARM, "app"]).ok();
    build(&project, &[]);
    assert!(!project.path(".larder/build-aarch64-linux-gnu/gen").exists());
    assert_eq!(machine(&project, ".larder/build-aarch64-linux-gnu/app"), AARCH64);
    project.build().with("built").iter().for_each(|made| assert_ne!(*made, "gen"));
    project.larder(&["run", "app"]).ok();
    build(&project, &["gen"]).all("replayed");
    let prefix = project.path("to");
    let install = ["install", "--target", ARM, "--prefix", prefix.to_str().unwrap()];
    project.larder(&install).ok();
    assert!(prefix.join("bin/app").exists() && !prefix.join("bin/gen").exists());
    let run = project.larder(&[&install[..], &["gen"]].concat()).ends_with(2);
    run.mentions(&["cannot be installed", "it is a tool of the build, made for this machine"]);
}

#[test]
fn packages_and_their_dependencies_are_built_for_the_target() {
    if !can_cross() {
        return;
    }
    let project = Project::cached(&format!(
        "{RUNNER}[dependencies]\nlow = {{ path = \"low\" }}\n[[executable]]\nname = \"app\"\nsources = [\"app.c\"]\nlibraries = [\"low/low\"]\n"
    ));
    project.file("app.c", "#include <stdio.h>\nint low(void);\nint main(void) { printf(\"%d\\n\", low()); return 0; }\n");
    project.file("low/larder.toml", "[package]\nname = \"low\"\n[target.aarch64-linux-gnu]\ncc = \"nothing-of-this-name\"\n[[executable]]\nname = \"make-table\"\nsources = [\"gen.c\"]\nlibraries = [\"both\"]\n[[library]]\nname = \"both\"\nkind = [\"shared\"]\nsources = [\"both.c\"]\n[[command]]\nname = \"table\"\noutputs = [\"gen/table.h\"]\nrun = [\"{make-table}\", \"{out}\"]\n[[library]]\nname = \"low\"\nkind = [\"shared\"]\nsources = [\"low.c\"]\nlibraries = [\"both\"]\nprivate-includes = [\"{build}/gen\"]\ninputs = [\"{table}\"]\n");
    project.file("low/both.c", "int both(void) { return sizeof(void *); }\n");
    project.file("low/gen.c", "#include <stdio.h>\nint both(void);\nint main(int count, char **words) { FILE *out = fopen(words[1], \"w\"); fprintf(out, \"#define SIZE %d\\n\", both()); return fclose(out); }\n");
    project.file(
        "low/low.c",
        "#include \"table.h\"\nint both(void);\nint low(void) { return SIZE * 10 + both(); }\n",
    );
    assert_eq!(project.larder(&["run", "--target", ARM, "app"]).ok().stdout, "88\n");
    for path in ["libboth.so", "liblow.so"] {
        assert_eq!(
            machine(&project, &format!(".larder/build-aarch64-linux-gnu/@low/{path}")),
            AARCH64
        );
    }
    assert_ne!(machine(&project, ".larder/build/@low/libboth.so"), AARCH64);
    assert!(!project.path(".larder/build/@low/liblow.so").exists());
    let prefix = project.path("out");
    let prefix = prefix.to_str().unwrap();
    project.larder(&["install", "--target", ARM, "--prefix", prefix]).ok();
    assert_eq!(machine(&project, "out/bin/app"), AARCH64);
    assert_eq!(machine(&project, "out/lib/liblow.so"), AARCH64);
    assert!(!project.path("out/bin/make-table").exists());
}
