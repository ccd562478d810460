//! `[[config]]`: questions to the compiler, and files made from the answers.

use std::{fs, process::Command};

use larder_testkit::{files::modified, project::Project};

/// A config of one of each kind of check, and a program that includes it.
const ALL: &str = r#"
[[config]]
name = "config"
output = "config.h"
headers = ["stdio.h", "sys/none.h", { name = "net/if.h", headers = ["sys/socket.h"] }]
functions = ["puts", "no_such_function", { name = "sqrt", headers = ["math.h"], link-args = ["-lm"] }]
types = ["ssize_t", "no_such_t", { name = "struct stat", headers = ["sys/stat.h"] }]
sizes = ["char", "void *", { name = "int[3]", define = "SIZEOF_THREE" }, "no_such_t"]
symbols = ["EOF", "NO_SUCH", { name = "SEEK_SET", headers = ["stdio.h"], define = "HAVE_SEEK" }]
compiles = [
    { define = "HAVE_FILE", source = "checks/file.c" },
    { define = "HAVE_CODE", code = "int main(void) { return no_such(); }", link = true },
]
values = { VERSION = "\"1.2\"", ENABLE_A = true, ENABLE_B = false, LEVEL = 3, EMPTY = "" }

[[executable]]
name = "x"
sources = ["x.c"]
includes = ["{build}"]
inputs = ["{config}"]
"#;

fn all(project: Project) -> Project {
    project.file("checks/file.c", "_Static_assert(sizeof(char) == 1, \"\");\n");
    project.file("x.c", "#include \"config.h\"\nint main(void) { return LEVEL - 3; }\n");
    project
}

fn text(project: &Project, path: &str) -> String {
    fs::read_to_string(project.output(path)).unwrap()
}

#[test]
fn every_kind_of_check_is_answered() {
    let project = all(Project::new(ALL));
    let built = project.build();
    assert!(built.complaints.is_empty(), "{built:?}");
    let pointer = std::mem::size_of::<*const ()>();
    let expected = format!(
        "/* Made by larder. */\n#ifndef LARDER_CONFIG_H\n#define LARDER_CONFIG_H\n\n\
         #define HAVE_STDIO_H 1\n/* #undef HAVE_SYS_NONE_H */\n#define HAVE_NET_IF_H 1\n\
         #define HAVE_PUTS 1\n/* #undef HAVE_NO_SUCH_FUNCTION */\n#define HAVE_SQRT 1\n\
         #define HAVE_SSIZE_T 1\n/* #undef HAVE_NO_SUCH_T */\n#define HAVE_STRUCT_STAT 1\n\
         #define SIZEOF_CHAR 1\n#define SIZEOF_VOID_P {pointer}\n#define SIZEOF_THREE 12\n\
         /* #undef SIZEOF_NO_SUCH_T */\n\
         #define HAVE_DECL_EOF 1\n#define HAVE_DECL_NO_SUCH 0\n#define HAVE_SEEK 1\n\
         #define HAVE_FILE 1\n/* #undef HAVE_CODE */\n\
         #define EMPTY\n#define ENABLE_A 1\n/* #undef ENABLE_B */\n#define LEVEL 3\n\
         #define VERSION \"1.2\"\n\n#endif\n"
    );
    assert_eq!(text(&project, "config.h"), expected);
    assert!(Command::new(project.output("x")).status().unwrap().success());
    // How long each of them took is part of what a build tells of its time.
    for name in ["compiler", "HAVE_STDIO_H", "HAVE_SYS_NONE_H", "SIZEOF_CHAR"] {
        let record = text(&project, &format!("checks/config/{name}.trace"));
        assert!(record.contains("\"milliseconds\":"), "{record}");
    }
    project.build().all("replayed");
    project.larder(&["build", "--no-build"]).ok();
}

#[test]
fn answers_are_listed_with_what_the_compiler_said_only_when_asked_for() {
    let project = all(Project::new(ALL));
    let quiet = project.larder(&["build"]).ok();
    assert!(!quiet.stderr.contains("no_such_function"), "{}", quiet.stderr);
    for _ in 0..2 {
        let listed = project.larder(&["build", "-v"]).ok().stderr;
        for line in ["header stdio.h: yes", "function no_such_function: no", "size of char: 1"] {
            assert!(listed.contains(line), "`{line}` is not in {listed}");
        }
        assert!(listed.contains("sys/none.h: No such file or directory"), "{listed}");
        assert!(!listed.contains(".larder/tmp"), "{listed}");
    }
    project.larder(&["build", "--wfail"]).ok();
}

/// A package whose answer to a check for `found.h` decides what its program returns.
fn with_header(settings: &str) -> Project {
    let project = Project::cached(&format!(
        "[[config]]\nname = \"config\"\noutput = \"config.h\"\nheaders = [\"found.h\", \"stdio.h\"]\n{settings}\n\
         [[executable]]\nname = \"x\"\nsources = [\"x.c\"]\nincludes = [\"{{build}}\"]\ninputs = [\"{{config}}\"]\n"
    ));
    project.file("x.c", "#include \"config.h\"\nint main(void) { return 0; }\n");
    project.file("inc/other.h", "");
    project
}

#[track_caller]
fn assert_found(project: &Project, found: bool) {
    let line = if found { "#define HAVE_FOUND_H 1" } else { "/* #undef HAVE_FOUND_H */" };
    let config = text(project, "config.h");
    assert!(config.contains(line), "{config}");
}

#[test]
fn a_header_that_appears_and_goes_away_changes_its_answer_and_no_other() {
    let outside = tempfile::tempdir().unwrap();
    let system = format!("trace-args = [\"-isystem\", \"{}\"]", outside.path().display());
    let cases = [("includes = [\"inc\"]", None), (system.as_str(), Some(outside.path()))];
    for (settings, directory) in cases {
        let project = with_header(settings);
        let header = directory.map_or(project.path("inc"), ToOwned::to_owned).join("found.h");
        project.build();
        assert_found(&project, false);
        for (round, found) in [true, false, true].into_iter().enumerate() {
            match found {
                true => fs::write(&header, "").unwrap(),
                false => fs::remove_file(&header).unwrap(),
            }
            let built = project.build();
            assert_found(&project, found);
            // What was once answered comes back.
            let ended = if round == 0 { "built" } else { "restored" };
            assert!(built.with(ended).contains(&"checks/config/HAVE_FOUND_H"), "{}", built.all);
            assert!(
                built.with("replayed").contains(&"checks/config/HAVE_STDIO_H"),
                "{}",
                built.all
            );
            project.build().all("replayed");
        }
        fs::remove_file(&header).unwrap();
        project.build();
        assert_found(&project, false);
        // Another checkout is given the answer that is right there.
        let other = project.checkout();
        let built = other.build();
        assert!(built.built().is_empty(), "{}", built.all);
        assert_found(&other, false);
        fs::write(directory.map_or(other.path("inc"), ToOwned::to_owned).join("found.h"), "")
            .unwrap();
        other.build();
        assert_found(&other, true);
    }
}

#[test]
fn a_header_that_a_found_header_lacks_is_looked_for() {
    let project = with_header("includes = [\"inc\"]");
    project.file("inc/found.h", "#include <deeper.h>\n");
    project.build();
    assert_found(&project, false);
    project.file("inc/deeper.h", "#error not this\n");
    project.build();
    assert_found(&project, false);
    project.file("inc/deeper.h", "\n");
    project.build();
    assert_found(&project, true);
    project.file("inc/deeper.h", "#if __has_include(<asked.h>)\n#error there\n#endif\n");
    project.build();
    assert_found(&project, true);
    project.file("inc/asked.h", "");
    project.build();
    assert_found(&project, false);
}

#[test]
fn the_same_config_rebuilds_nothing() {
    let project = with_header("includes = [\"inc\"]");
    project.file("inc/found.h", "");
    project.build();
    let (config, object) = (project.output("config.h"), project.output("obj/x/x.c.o"));
    let before = (modified(&config), modified(&object));
    project.file("inc/found.h", "/* the same answer */\n");
    let built = project.build();
    assert_eq!(built.built(), ["checks/config/HAVE_FOUND_H"], "{}", built.all);
    // With another answer elsewhere in the config, the file is another one.
    project.replace("larder.toml", "\"stdio.h\"]", "\"stdio.h\"]\nvalues = { A = 1 }");
    assert_eq!(project.build().built(), ["config.h", "obj/x/x.c.o"]);
    assert!(modified(&config) > before.0 && modified(&object) > before.1);
    // An order that comes to the same file leaves it alone.
    let before = modified(&config);
    project.replace("larder.toml", "A = 1", "\"A\" = 1");
    project.build().all("replayed");
    project.replace(
        "larder.toml",
        "output = \"config.h\"",
        "output = \"config.h\"\nlink-args = [\"-lm\"]",
    );
    project.build();
    assert_eq!(modified(&config), before);
}

#[test]
fn a_compiler_that_cannot_compile_anything_is_a_failure_and_no_answer() {
    let project = with_header("");
    project.script("cc", "for a; do case $a in *check.c) echo 'cc: broken' >&2; exit 1;; esac; done; exec cc \"$@\"\n");
    project.replace("larder.toml", "[[config]]", "[toolchain]\ncc = \"./cc\"\n\n[[config]]");
    let run = project.larder(&["build"]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(run.stderr.contains("makes no program at all"), "{}", run.stderr);
    assert!(run.stderr.contains("cc: broken"), "{}", run.stderr);
    assert!(!project.output("config.h").exists());
    // The second file is compiled, the third is what runs out of memory.
    project.script("cc", "for a; do case $a in *-DTROUBLE) echo 'cc: fatal error: Killed signal terminated program cc1' >&2; exit 1;; esac; done; exec cc \"$@\"\n");
    project.replace("larder.toml", "output =", "trace-args = [\"-DTROUBLE\"]\noutput =");
    let run = project.larder(&["build"]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(!project.output("checks/config/HAVE_FOUND_H").exists());
}

#[test]
fn arguments_for_warnings_do_not_change_answers() {
    let project = all(Project::new(ALL));
    project.replace("larder.toml", "name = \"config\"", "name = \"config\"\ntrace-args = [\"-Wall\", \"-Wextra\", \"-Werror\", \"-pedantic-errors\"]");
    project.build();
    let config = text(&project, "config.h");
    for name in ["HAVE_PUTS", "HAVE_SQRT", "HAVE_SSIZE_T", "HAVE_SEEK", "HAVE_NET_IF_H"] {
        assert!(config.contains(&format!("#define {name} 1")), "{config}");
    }
}

#[test]
fn other_compilers_and_languages_answer_too() {
    for (kind, language) in [("cc = \"clang\"", "c"), ("cxx = \"clang++\"", "c++"), ("", "c++")] {
        let project = all(Project::new(&format!("[toolchain]\n{kind}\n{ALL}")));
        project.replace("larder.toml", "output =", &format!("language = \"{language}\"\noutput ="));
        project.replace(
            "checks/file.c",
            "_Static_assert",
            "int x;\n#ifndef __cplusplus\n_Static_assert",
        );
        project.file("checks/file.c", project.read("checks/file.c") + "#endif\n");
        project.larder(&["build", "config"]).ok();
        let config = text(&project, "config.h");
        let count = config.lines().filter(|line| line.starts_with("#define")).count();
        // In C++ there are several functions by the name of `sqrt`, and no address is that of all.
        let expected = if language == "c" { 18 } else { 17 };
        assert_eq!(count, expected, "{kind} {language} {config}");
    }
}

#[test]
fn link_time_optimisation_hides_no_size() {
    let project = all(Project::new(ALL));
    project.replace("larder.toml", "output =", "trace-args = [\"-flto\", \"-O2\"]\noutput =");
    project.larder(&["build", "config"]).ok();
    assert!(text(&project, "config.h").contains("#define SIZEOF_THREE 12\n"));
}

#[test]
fn a_config_counts_for_those_sources_that_read_it() {
    let project = Project::cached(
        "[[config]]\nname = \"config\"\noutput = \"config.h\"\nvalues = { LEVEL = 3 }\n\
         [[library]]\nname = \"l\"\nsources = [\"one.c\", \"deep.c\", \"other.c\"]\nincludes = [\"{build}\", \".\"]\ninputs = [\"{config}\"]\n\
         [[executable]]\nname = \"x\"\nsources = [\"x.c\"]\nlibraries = [\"l\"]\ninputs = [\"{config}\"]\n",
    );
    project.file("one.c", "#include \"config.h\"\nint one(void) { return LEVEL; }\n");
    project.file("inner.h", "#include <config.h>\n");
    project.file("deep.c", "#include \"inner.h\"\nint deep(void) { return LEVEL; }\n");
    project.file("other.c", "int other(void) { return 0; }\n");
    project.file(
        "x.c",
        "int one(void), deep(void), other(void);\nint main(void) { return one() + deep() + other(); }\n",
    );
    let run = |wanted: i32| project.larder(&["run", "x"]).ends_with(wanted);
    project.build();
    run(6);
    project.replace("larder.toml", "LEVEL = 3", "LEVEL = 4");
    let built = project.build();
    let mut found: Vec<&str> = built.with("built").to_vec();
    found.sort_unstable();
    let wanted = ["config.h", "libl.a", "obj/libl/deep.c.o", "obj/libl/one.c.o", "x"];
    assert_eq!(found, wanted, "{}", built.all);
    run(8);
    // It is the same in another place, and with what the store has.
    project.replace("larder.toml", "LEVEL = 4", "LEVEL = 3");
    let back = project.build();
    assert!(back.with("built").is_empty(), "{}", back.all);
    run(6);
    project.forget();
    let fresh = project.build();
    assert!(fresh.with("built").is_empty(), "{}", fresh.all);
    run(6);
}
