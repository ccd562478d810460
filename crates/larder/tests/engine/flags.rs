//! Tools and arguments from the environment: `CC`, `CFLAGS` and their like.

use std::{fs, process::Command};

use larder_testkit::{
    events::Built,
    files::script,
    project::Project,
    run::{Run, run},
    tools::{path_with, said},
};

/// A program that prints the expression `VALUE`.
const MAIN: &str = "#include <stdio.h>\nint main(void) { printf(\"%d\\n\", VALUE); return 0; }\n";
const PROGRAM: &str = "[[executable]]\nname = \"x\"\nsources = [\"main.c\"]\n";

fn with(project: &Project, variables: &[(&str, &str)], arguments: &[&str]) -> Run {
    let mut command = project.command(arguments);
    run(command.envs(variables.iter().copied()))
}

#[track_caller]
fn printed(project: &Project, variables: &[(&str, &str)]) -> String {
    with(project, variables, &["exec", "x"]).ok().stdout.trim().to_owned()
}

#[track_caller]
fn built(project: &Project, variables: &[(&str, &str)]) -> Built {
    Built::of(&with(project, variables, &["build", "--json"]).ok())
}

#[test]
fn arguments_come_after_those_of_the_manifest_and_count_by_value() {
    let manifest = format!("{PROGRAM}trace-args = [\"-DVALUE=1\", \"-w\"]\n");
    let project = Project::cached(&manifest);
    project.file("main.c", MAIN);
    assert_eq!(printed(&project, &[]), "1");
    assert_eq!(printed(&project, &[("CFLAGS", "-DVALUE=2")]), "2");
    let both = [("CPPFLAGS", "-DVALUE=3"), ("CFLAGS", "-DVALUE='( 2 + 2 )'")];
    assert_eq!(printed(&project, &both), "4", "CFLAGS come last");
    assert_eq!(printed(&project, &[("CPPFLAGS", "-DVALUE=3"), ("CXXFLAGS", "-DVALUE=9")]), "3");
    let why = with(&project, &[("CPPFLAGS", "-DVALUE=5")], &["why"]).ok().stdout;
    assert!(why.contains("CPPFLAGS changed from [\"-DVALUE=3\"] to [\"-DVALUE=5\"]"), "{why}");
    let again = built(&project, &[("CFLAGS", "-DVALUE=2")]);
    assert_eq!(again.built(), [""; 0], "what was made with them is restored");
}

#[test]
fn what_is_empty_is_not_set() {
    let project = Project::new(PROGRAM);
    project.file("main.c", MAIN.replace("VALUE", "7"));
    project.build();
    let hashes = project.dep_hashes();
    let names = ["CC", "CXX", "AR", "CPPFLAGS", "CFLAGS", "CXXFLAGS", "LDFLAGS"];
    let empty: Vec<(&str, &str)> = names.iter().map(|name| (*name, " ")).collect();
    assert_eq!(built(&project, &empty).built(), [""; 0]);
    assert_eq!(project.dep_hashes(), hashes);
    let other = [("CXXFLAGS", "-O2")];
    assert_eq!(built(&project, &other).built(), [""; 0], "there is no C++");
}

#[test]
fn headers_that_arguments_lead_to_are_traced() {
    let project = Project::cached(PROGRAM);
    project.file("main.c", format!("#include <v.h>\n{MAIN}"));
    project.file("second/v.h", "#define VALUE 1\n");
    let flags = [("CPPFLAGS", "-Ifirst -I second")];
    assert_eq!(printed(&project, &flags), "1");
    project.file("second/v.h", "#define VALUE 2\n");
    assert_eq!(printed(&project, &flags), "2");
    project.file("first/v.h", "#define VALUE 3\n");
    assert_eq!(printed(&project, &flags), "3", "it comes first");
    project.file("flags", "-DVALUE=4").remove("first/v.h");
    project.file("second/v.h", "");
    assert_eq!(printed(&project, &[("CPPFLAGS", "-Isecond @flags")]), "4");
    project.file("flags", "-DVALUE=5");
    assert_eq!(printed(&project, &[("CPPFLAGS", "-Isecond @flags")]), "5");
}

/// A program with a library of the package `lib`, in a directory of its own.
fn with_dependency() -> Project {
    let project = Project::cached(
        "[dependencies]\nlib = { path = \"../lib\" }\n\
         [[executable]]\nname = \"x\"\nsources = [\"main.c\"]\nlibraries = [\"lib/l\"]\n",
    );
    project.file(
        "main.c",
        "#include <stdio.h>\nint l(void);\nint main(void) { printf(\"%d\\n\", l()); return 0; }\n",
    );
    project.file(
        "../lib/larder.toml",
        "[package]\nname = \"lib\"\n[[library]]\nname = \"l\"\nsources = [\"l.c\"]\n",
    );
    project.file("../lib/l.c", "#include <v.h>\nint l(void) { return VALUE; }\n");
    project
}

#[test]
fn arguments_reach_dependencies_with_paths_from_the_root() {
    let project = with_dependency();
    project.file("extra/v.h", "#define VALUE 1\n").file("flags", "-DX");
    let flags = [("CFLAGS", "-Iextra @flags"), ("LDFLAGS", "-Lextra")];
    assert_eq!(printed(&project, &flags), "1");
    project.file("extra/v.h", "#define VALUE 2\n");
    assert_eq!(printed(&project, &flags), "2");
    project.file("flags", "-UVALUE");
    assert_eq!(built(&project, &flags).built().len(), 3, "both objects and the link read the file");
}

#[test]
fn arguments_for_linking_come_before_the_inputs_and_are_traced() {
    let project = Project::cached(&format!("{PROGRAM}link-args = [\"-lv\"]\n"));
    project.file("main.c", format!("int v(void);\n{MAIN}").replace("VALUE", "v()"));
    let library = |value: u32| {
        project.file("vendor/v.c", format!("int v(void) {{ return {value}; }}\n"));
        let script = "cc -c v.c -o v.o && rm -f libv.a && ar rcsD libv.a v.o";
        let mut made = Command::new("sh");
        made.args(["-c", script]).current_dir(project.path("vendor"));
        assert!(made.status().unwrap().success());
    };
    library(1);
    with(&project, &[], &["build"]).ends_with(1);
    assert_eq!(printed(&project, &[("LDFLAGS", "-Lvendor")]), "1");
    library(2);
    assert_eq!(printed(&project, &[("LDFLAGS", "-Lvendor")]), "2");
    assert_eq!(built(&project, &[("LDFLAGS", "-Lvendor -Wl,-z,now")]).built(), ["x"]);
}

#[test]
fn arguments_for_compiling_are_given_when_linking_as_make_and_cmake_do() {
    let project = Project::cached(&format!(
        "{PROGRAM}libraries = [\"low\"]\n[[library]]\nname = \"low\"\nkind = [\"shared\"]\nsources = [\"low.c\"]\n\
         [[executable]]\nname = \"y\"\nsources = [\"y.cpp\"]\n"
    ));
    project.file("main.c", format!("int low(void);\n{MAIN}").replace("VALUE", "low() + VALUE"));
    project.file("low.c", "int low(void) { return 1; }\n");
    project.file(
        "y.cpp",
        "#include <vector>\nint main() { return std::vector<int>(3).size() - 3; }\n",
    );
    assert_eq!(printed(&project, &[("CFLAGS", "-DVALUE=1")]), "2");
    // What only one of both has would not link.
    let flags = [("CFLAGS", "-DVALUE=2 -fsanitize=address -g"), ("LDFLAGS", "-Wl,-z,now")];
    assert_eq!(printed(&project, &flags), "3");
    assert_eq!(printed(&project, &[("CFLAGS", "-DVALUE=3 -flto -O2")]), "4");
    with(&project, &[("CXXFLAGS", "-fsanitize=undefined")], &["exec", "y"]).ok();
    let why = with(&project, &[("CXXFLAGS", "-fsanitize=address")], &["why", "y"]).ok().stdout;
    assert!(why.contains("CXXFLAGS changed"), "{why}");
    // Those of C++ are not given where C is linked.
    built(&project, &[("CFLAGS", "-DVALUE=1")]);
    let again = built(&project, &[("CFLAGS", "-DVALUE=1"), ("CXXFLAGS", "-O3")]);
    assert_eq!(again.built(), ["obj/y/y.cpp.o", "y"]);
}

#[test]
fn a_compiler_may_come_with_arguments_and_a_wrapper() {
    let project = Project::cached(&format!("[toolchain]\ncc = \"no-such-compiler\"\n{PROGRAM}"));
    project.file("main.c", MAIN);
    assert_eq!(printed(&project, &[("CC", "env gcc -DVALUE=1")]), "1");
    assert_eq!(printed(&project, &[("CC", "gcc '-DVALUE=(1 + 1)'")]), "2");
    assert_eq!(built(&project, &[("CC", "env gcc -DVALUE=1")]).built(), [""; 0]);
    let why = with(&project, &[("CC", "gcc -DVALUE=3")], &["why"]).ok().stdout;
    assert!(why.contains("CC changed"), "{why}");
    // Where the compiler behind the wrapper is another one, so is what it makes.
    let directory = project.path("bin");
    script(&directory.join("gcc"), "exec /usr/bin/gcc -DOTHER \"$@\"\n");
    let path = path_with(&directory);
    let variables = [("CC", "env gcc -DVALUE=1"), ("PATH", path.as_str())];
    assert_eq!(built(&project, &variables).built().len(), 2);
    script(&directory.join("gcc"), "exec /usr/bin/gcc -DVALUE=9 -w \"$@\"\n");
    assert_eq!(built(&project, &variables).built().len(), 2);
}

#[test]
fn an_archiver_may_come_with_arguments() {
    let project = with_dependency();
    project.file("extra/v.h", "#define VALUE 1\n");
    project.script("../lib/ar", "echo archived >&2; shift; exec ar \"$@\"\n");
    let flags = [("CFLAGS", "-Iextra"), ("AR", "../lib/ar first")];
    let run = with(&project, &flags, &["build"]).ok();
    assert!(run.stderr.contains("archived"), "a path starts in the root: {}", run.stderr);
    project.script("../lib/ar", "echo otherwise >&2; shift; exec ar \"$@\"\n");
    with(&project, &flags, &["build"]).ok().says("otherwise");
}

#[test]
fn every_bad_value_is_an_error_that_names_the_variable() {
    let project = Project::new(PROGRAM);
    project.file("main.c", "int main(void) { return 0; }\n");
    for (variable, value, said) in [
        ("CC", "no-such-compiler -m32", "`no-such-compiler` was not found on PATH"),
        ("CC", "./cc", "cc` was not found"),
        ("CC", "gcc -c", "`-c` in the environment variable CC cannot be an argument"),
        ("CFLAGS", "-O2 'x", "CFLAGS has a quote without an end"),
        ("CFLAGS", "-MD", "`-MD` in the environment variable CFLAGS"),
        ("CPPFLAGS", "-Wp,-MMD,x.d", "`-Wp,-MMD,x.d` in the environment variable CPPFLAGS"),
        ("CXXFLAGS", "-ox.o", "`-ox.o` in the environment variable CXXFLAGS"),
        ("CFLAGS", "-Wl,-o,y", "`-Wl,-o,y` in the environment variable CFLAGS"),
        ("LDFLAGS", "-Wl,-o,y", "`-Wl,-o,y` in the environment variable LDFLAGS"),
        ("LDFLAGS", "-Wl,--dependency-file=y", "the environment variable LDFLAGS"),
    ] {
        with(&project, &[(variable, value)], &["build"]).ends_with(2).says(said).says(variable);
    }
    let two = [("CFLAGS", "-MD"), ("LDFLAGS", "\"")];
    with(&project, &two, &["build"]).ends_with(2).says("-MD").says("LDFLAGS has a quote");
    with(&project, &two, &["ci", "key"]).ends_with(2).says("-MD");
}

/// The variables of `dpkg-buildflags --export` for a package in the directory of `project`.
fn of_debian(project: &Project) -> Vec<(&'static str, String)> {
    let map = format!("-ffile-prefix-map={}=.", project.root.display());
    vec![
        ("CPPFLAGS", "-Wdate-time -D_FORTIFY_SOURCE=2".to_owned()),
        (
            "CFLAGS",
            format!("-g -O2 {map} -fstack-protector-strong -Wformat -Werror=format-security"),
        ),
        ("CXXFLAGS", format!("-g -O2 {map} -fstack-protector-strong")),
        ("LDFLAGS", "-Wl,-z,relro -Wl,-z,now".to_owned()),
    ]
}

#[test]
fn the_flags_of_debian_build_alike_in_every_checkout() {
    let project = Project::cached(PROGRAM);
    project.file("main.c", MAIN.replace("VALUE", "1"));
    let flags = |project: &Project| of_debian(project);
    let run_with = |project: &Project, flags: &[(&str, String)], arguments: &[&str]| {
        let variables: Vec<(&str, &str)> = flags.iter().map(|(n, v)| (*n, v.as_str())).collect();
        with(project, &variables, arguments)
    };
    run_with(&project, &flags(&project), &["build"]).ok();
    let program = project.output("x");
    assert!(said("readelf", &["-lW"], &program).contains("GNU_RELRO"));
    assert!(said("readelf", &["-dW"], &program).contains("NOW"));
    let object = fs::read(project.output("obj/x/main.c.o")).unwrap();
    let here = project.root.to_str().unwrap().as_bytes();
    assert!(!object.windows(here.len()).any(|window| window == here));
    let directory = said("readelf", &["--debug-dump=info"], &project.output("obj/x/main.c.o"));
    let named = |line: &&str| line.contains("DW_AT_comp_dir");
    assert!(directory.lines().find(named).unwrap().trim_end().ends_with(": ."), "{directory}");
    let other = project.checkout();
    let restored = Built::of(&run_with(&other, &flags(&other), &["build", "--json"]).ok());
    assert_eq!(restored.built(), [""; 0], "the directory counts as the package's");
    let built = Built::of(&run_with(&other, &flags(&project), &["build", "--json"]).ok());
    assert!(!built.built().is_empty(), "the map of another directory makes other bytes");
    run_with(&project, &flags(&project), &["cache", "audit", "--rebuild", "100%"]).ok();
    let key = |project: &Project| run_with(project, &flags(project), &["ci", "key"]).ok().stdout;
    assert_eq!(key(&project), key(&other));
    project.file(
        "main.c",
        "#include <stdio.h>\nint main(int c, char **v) { printf(v[0]); return c; }\n",
    );
    run_with(&project, &flags(&project), &["build"]).ends_with(1).says("format-security");
}

#[test]
fn keys_of_jobs_count_what_the_environment_asks_for() {
    let project = Project::new(PROGRAM);
    project.file("main.c", "int main(void) { return 0; }\n");
    let key = |variables: &[(&str, &str)]| with(&project, variables, &["ci", "key"]).ok().stdout;
    let plain = key(&[]);
    assert_eq!(key(&[("CFLAGS", " "), ("CC", "")]), plain);
    let mut keys = vec![plain];
    for variable in [
        ("CPPFLAGS", "-O2"),
        ("CFLAGS", "-O2"),
        ("CFLAGS", "-O3"),
        ("CXXFLAGS", "-O2"),
        ("LDFLAGS", "-O2"),
        ("CC", "gcc -O2"),
        ("CC", "env gcc -O2"),
        ("CC", "/usr/bin/env gcc -O2 -m64"),
        ("AR", "env ar"),
        ("CC", "no-such-compiler"),
    ] {
        let one = key(&[variable]);
        assert!(!keys.contains(&one), "{variable:?}");
        keys.push(one);
    }
    let without = |variables: &[(&str, &str)]| {
        with(&project, variables, &["ci", "key", "--no-toolchain"]).ok().stdout
    };
    assert_eq!(without(&[("CFLAGS", "-O2"), ("CC", "gcc -m64")]), without(&[]));
}
