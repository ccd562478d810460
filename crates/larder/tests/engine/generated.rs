//! Objects and directories of sources that commands make.

use std::{fs, process::Command};

use larder_testkit::project::Project;

/// A program of what a command makes of the words in `list`, a function each.
const DIRECTORY: &str = r#"
[[command]]
name = "gen"
inputs = ["list", "all.h"]
outputs = ["gen/"]
run = ["sh", "-c", "cp all.h $1/; mkdir -p $1/deep; for w in $(cat list); do printf '#include \"all.h\"\nint %s(void) { return V; }\n' $w > $1/$w.c; done; echo 'int deep(void) { return 0; }' > $1/deep/d.c; echo no > $1/text", "sh", "{out}"]

[[library]]
name = "a"
sources = ["{gen}"]

[[executable]]
name = "x"
sources = ["main.c"]
libraries = ["a"]
"#;

fn directory() -> Project {
    let project = Project::cached(DIRECTORY);
    project.file("list", "one two\n").file("all.h", "#define V 1\n");
    project.file(
        "main.c",
        "int one(void), deep(void);\nint main(void) { return one() + deep() - 1; }\n",
    );
    project
}

fn objects(project: &Project) -> Vec<String> {
    let listed = Command::new("ar").arg("t").arg(project.output("liba.a")).output().unwrap();
    let mut names: Vec<String> =
        String::from_utf8(listed.stdout).unwrap().lines().map(str::to_owned).collect();
    names.sort();
    names
}

#[test]
fn all_sources_in_a_generated_directory_are_compiled() {
    let project = directory();
    let built = project.build();
    assert!(built.complaints.is_empty(), "{built:?}");
    assert_eq!(objects(&project), ["d.c.o", "one.c.o", "two.c.o"]);
    assert!(Command::new(project.output("x")).status().unwrap().success());
    project.build().all("replayed");
    project.larder(&["build", "--no-build"]).ok();
}

#[test]
fn only_what_changed_in_a_generated_directory_is_compiled_again() {
    let project = directory();
    project.build();
    project.file("list", "one three\n");
    let built = project.build();
    let compiled: Vec<&str> =
        built.built().into_iter().filter(|output| output.starts_with("obj/")).collect();
    assert_eq!(compiled, ["obj/liba/_build/gen/three.c.o"], "{}", built.all);
    assert_eq!(objects(&project), ["d.c.o", "one.c.o", "three.c.o"]);
    project.file("all.h", "#define V 3 - 2\n");
    let built = project.build();
    let compiled = built.built().into_iter().filter(|output| output.starts_with("obj/")).count();
    assert_eq!(compiled, 2, "{}", built.all);
    project.build().all("replayed");
}

#[test]
fn a_generated_directory_and_its_objects_come_back_from_the_store() {
    let project = directory();
    project.build();
    let program = project.outputs().remove("x*");
    project.forget();
    let built = project.build();
    assert!(built.built().is_empty(), "{}", built.all);
    project.build().all("replayed");
    project.larder(&["build", "--no-build"]).ok();
    // What is left in the store is brought to disk for a source that has to be compiled.
    let other = project.checkout();
    other.replace("larder.toml", "name = \"a\"", "name = \"a\"\ntrace-args = [\"-DMORE\"]");
    let built = other.build();
    assert!(built.with("restored").contains(&"gen"), "{}", built.all);
    assert_eq!(objects(&other), ["d.c.o", "one.c.o", "two.c.o"]);
    assert_eq!(project.outputs().remove("x*"), program);
}

#[test]
fn a_file_that_somebody_puts_into_a_generated_directory_is_not_compiled() {
    let project = directory();
    project.build();
    fs::write(project.output("gen/stray.c"), "int stray(void) { return 0; }\n").unwrap();
    project.build();
    assert_eq!(objects(&project), ["d.c.o", "one.c.o", "two.c.o"]);
}

#[test]
fn a_pattern_chooses_sources_in_a_generated_directory() {
    let project = directory();
    project.replace(
        "larder.toml",
        "sources = [\"{gen}\"]",
        "sources = [\"{gen}/*.c\", \"{gen}/deep/*.c\"]",
    );
    // Neither is C++, so nothing is linked as that.
    project.replace(
        "larder.toml",
        "[[command]]",
        "[toolchain]\ncxx = \"no-such-cxx\"\n\n[[command]]",
    );
    project.build();
    assert_eq!(objects(&project), ["d.c.o", "one.c.o", "two.c.o"]);
    project.replace("larder.toml", "\"{gen}/*.c\", ", "");
    project.replace("main.c", "one() + deep() - 1", "deep()");
    project.build();
    assert_eq!(objects(&project), ["d.c.o"]);
}

#[test]
fn objects_that_a_command_makes_are_linked() {
    let project = Project::cached(
        r#"
[[command]]
name = "gen"
inputs = ["data.txt"]
outputs = ["data.o"]
run = ["ld", "-r", "-b", "binary", "-o", "{out}", "data.txt"]

[[executable]]
name = "x"
sources = ["main.c", "{gen}"]
"#,
    );
    project.file("data.txt", "A");
    project.file(
        "main.c",
        "extern char _binary_data_txt_start[];\nint main(void) { return _binary_data_txt_start[0] - 'A'; }\n",
    );
    let code = |project: &Project| Command::new(project.output("x")).status().unwrap().code();
    project.build();
    assert_eq!(code(&project), Some(0));
    project.build().all("replayed");
    project.file("data.txt", "C");
    assert_eq!(project.build().built(), ["data.o", "x"]);
    assert_eq!(code(&project), Some(2));
    project.forget();
    assert!(project.build().built().is_empty());
    assert_eq!(code(&project), Some(2));
}

#[test]
fn mistakes_with_generated_sources_are_told() {
    for (sources, expected) in [
        ("{gen}/*.h", "matches no sources"),
        ("{gen}/../*.c", "leads out of what `gen` makes"),
        ("{none}/*.c", "there is no target `none`"),
        ("{text}", "makes no sources"),
        ("{text}/*.c", "`{text}` makes no directory"),
    ] {
        let project = directory();
        let text =
            "\n[[command]]\nname = \"text\"\noutputs = [\"t.txt\"]\nrun = [\"touch\", \"{out}\"]\n";
        project.file("larder.toml", project.read("larder.toml") + text);
        project.replace(
            "larder.toml",
            "sources = [\"{gen}\"]",
            &format!("sources = [\"{sources}\"]"),
        );
        let run = project.larder(&["build"]);
        assert_eq!(run.code, Some(2), "{sources}: {}", run.stderr);
        assert!(run.stderr.contains(expected), "{sources}: {}", run.stderr);
    }
    let project = directory();
    project.file("list", "").replace(
        "larder.toml",
        "sources = [\"{gen}\"]",
        "sources = [\"{gen}/*.c\"]",
    );
    let run = project.larder(&["build", "a"]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(run.stderr.contains("there is no source in it"), "{}", run.stderr);
    let project = directory();
    let text = "\n[[command]]\nname = \"count\"\noutputs = [\"n\"]\nrun = [\"touch\", \"{out}\", \"{a:o}\"]\n";
    project.file("larder.toml", project.read("larder.toml") + text);
    let run = project.larder(&["build"]);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert!(run.stderr.contains("how many objects `a:o` has"), "{}", run.stderr);
}

#[test]
fn a_generated_header_that_nobody_waits_for_is_told_with_its_maker() {
    let manifest = |compiler: &str, keys: &str| {
        format!(
            "[toolchain]\ncc = \"{compiler}\"\n[[config]]\nname = \"conf\"\noutput = \"made/conf.h\"\nvalues = {{ V = 0 }}\n[[command]]\nname = \"gen\"\noutputs = [\"gen.h\"]\nrun = [\"touch\", \"{{out}}\"]\n[[executable]]\nname = \"x\"\nsources = [\"main.c\"]\n{keys}"
        )
    };
    for (compiler, keys, hint) in [
        (
            "gcc",
            "includes = [\"{build}/made\"]",
            "conf makes conf.h: add \"{conf}\" to the `inputs` of x",
        ),
        (
            "clang",
            "includes = [\"{build}/made\"]",
            "conf makes conf.h: add \"{conf}\" to the `inputs` of x",
        ),
        (
            "gcc",
            "inputs = [\"{conf}\"]",
            "conf makes conf.h: add \"{build}/made\" to the `includes` of x",
        ),
    ] {
        let project = Project::new(&manifest(compiler, keys));
        project.file("main.c", "#include <conf.h>\nint main(void) { return V; }\n");
        project.larder(&["build", "x"]).ends_with(1).says(hint);
        let both = "includes = [\"{build}/made\"]\ninputs = [\"{conf}\"]";
        project.file("larder.toml", Project::new(&manifest(compiler, both)).read("larder.toml"));
        project.larder(&["build", "x"]).ok();
    }
    // At the top of the build directory; and a header that nobody makes has no hint.
    let project = Project::new(&manifest("gcc", ""));
    project.file("main.c", "#include <gen.h>\nint main(void) { return 0; }\n");
    project.larder(&["build", "x"]).ends_with(1).says("add \"{gen}\" to the `inputs` of x");
    project.file("main.c", "#include <nix.h>\nint main(void) { return 0; }\n");
    let run = project.larder(&["build", "x"]).ends_with(1);
    assert!(!run.stderr.contains("makes"), "{}", run.stderr);
}
