//! `[defaults]`, and the keys that say how sources are compiled: who gets what, and what is made again
//! when it changes.

use insta::assert_snapshot;
use larder_testkit::project::Project;

/// A library in the manner of fmt, and many tests, with one list for all of them.
fn like_fmt() -> Project {
    const TESTS: usize = 20;
    let tests = (0..TESTS).map(|number| {
        format!(
            "[[executable]]\nname = \"t{number}\"\nsources = [\"test/t{number}.cc\"]\nlibraries = [\"fmt\", \"gtest\"]\ntest = true\n"
        )
    });
    let manifest = format!(
        r#"
[defaults]
cxx-std = "c++17"
c-std = "c11"
warnings = ["all", "extra", "error"]
defines = ["FMT_TEST"]
c-args = ["-O0"]
cxx-args = ["-O1"]

[[library]]
name = "fmt"
sources = ["src/*.cc", "src/*.c"]
includes = ["include"]
private-includes = ["src/private"]
defines = ["FMT_LIB_EXPORT"]

[[library]]
name = "gtest"
sources = ["gtest/*.cc"]
system-includes = ["gtest/include"]
public-defines = ["GTEST_HAS_PTHREAD=0"]

{}"#,
        tests.collect::<String>()
    );
    let project = Project::new(&manifest);
    project.file("include/fmt.h", "#pragma once\n#define FMT 1\nint format();\n");
    project.file("src/private/detail.h", "#define DETAIL 1\n");
    let lib = "#include \"fmt.h\"\n#include \"detail.h\"\n#if !defined FMT_TEST || !defined FMT_LIB_EXPORT\n#error\n#endif\n";
    project.file(
        "src/format.cc",
        format!(
            "{lib}static_assert(__cplusplus == 201703L, \"\");\nint format() {{ return DETAIL; }}\n"
        ),
    );
    project.file("src/os.c", "_Static_assert(__STDC_VERSION__ == 201112L, \"\");\n#if defined __OPTIMIZE__\n#error\n#endif\nint os(void) { return 0; }\n");
    // A warning: headers of others are none of the package's business.
    project.file("gtest/include/gtest.h", "inline int gtest_unused(int x) { return 0; }\n");
    project.file(
        "gtest/gtest.cc",
        "#include \"gtest.h\"\n#if GTEST_HAS_PTHREAD\n#error\n#endif\nint gtest() { return 0; }\n",
    );
    for number in 0..TESTS {
        project.file(
            &format!("test/t{number}.cc"),
            "#include \"fmt.h\"\n#include \"gtest.h\"\n#if !defined FMT_TEST || defined FMT_LIB_EXPORT || !defined GTEST_HAS_PTHREAD || GTEST_HAS_PTHREAD\n#error\n#endif\n#if __has_include(\"detail.h\")\n#error\n#endif\nint main() { return format() - FMT; }\n",
        );
    }
    project
}

#[test]
fn one_list_serves_many_targets() {
    let project = like_fmt();
    project.larder(&["test"]).ok().says("20 passed, 0 failed");
    project.build().all("replayed");
    // The standard of one language is no matter of the other.
    project.replace("larder.toml", "c-std = \"c11\"", "c-std = \"gnu11\"");
    let built = project.build();
    assert_eq!(built.built(), ["obj/libfmt/src/os.c.o"], "{}", built.all);
    project.replace("larder.toml", "c-args = [\"-O0\"]", "c-args = [\"-DOS\"]");
    assert_eq!(project.build().built(), ["obj/libfmt/src/os.c.o"]);
    // Whatever is said in the target itself is its own.
    project.replace("larder.toml", "\"FMT_LIB_EXPORT\"", "\"FMT_LIB_EXPORT\", \"NEW\"");
    let built = project.build();
    assert_eq!(built.built(), ["obj/libfmt/src/format.cc.o", "obj/libfmt/src/os.c.o"]);
    // All C++ is compiled anew with another standard of C++, and linked where that made a difference.
    project.replace("larder.toml", "\"-O1\"", "\"-O1\", \"-DNEWER\"");
    let why = project.larder(&["-v", "why"]).ok();
    assert!(why.stdout.contains("argument"), "{}", why.stdout);
    assert_eq!(why.stdout.matches(".cc.o").count(), 22, "{}", why.stdout);
    let built = project.build();
    let objects = built.built().into_iter().filter(|output| output.ends_with(".cc.o")).count();
    assert_eq!((objects, built.built().len()), (22, 22), "{}", built.all);
    project.build().all("replayed");
}

#[test]
fn what_is_public_reaches_users_of_users_and_changes_them() {
    let project = Project::new(
        r#"
[[library]]
name = "low"
sources = ["low.c"]
public-defines = ["LOW=1"]
system-includes = ["system"]
defines = ["OWN"]

[[library]]
name = "high"
sources = ["high.c"]
libraries = ["low"]

[[executable]]
name = "x"
sources = ["x.c"]
libraries = ["high"]

[[executable]]
name = "alone"
sources = ["alone.c"]
"#,
    );
    project.file("system/sys.h", "#define SYS 1\n");
    project.file(
        "low.c",
        "#include <sys.h>\n#if !defined OWN || LOW + SYS != 2\n#error\n#endif\nint low;\n",
    );
    project.file("high.c", "#include <sys.h>\n#ifdef OWN\n#error\n#endif\nint high = LOW + SYS;\n");
    project.file("x.c", "#include <sys.h>\n#ifdef OWN\n#error\n#endif\nextern int high;\nint main(void) { return LOW + SYS - high; }\n");
    project.file("alone.c", "#ifdef LOW\n#error\n#endif\nint main(void) { return 0; }\n");
    project.build().all("built");
    project.replace("larder.toml", "OWN", "OWN=2");
    assert_eq!(project.build().built(), ["obj/liblow/low.c.o"]);
    project.replace("larder.toml", "LOW=1", "LOW=1L");
    let built = project.build();
    let objects: Vec<&str> = built.built().into_iter().filter(|o| o.ends_with(".o")).collect();
    assert_eq!(objects, ["obj/libhigh/high.c.o", "obj/liblow/low.c.o", "obj/x/x.c.o"]);
    // A target's own word counts against what its libraries say.
    project.replace(
        "larder.toml",
        "name = \"x\"",
        "name = \"x\"\ntrace-args = [\"-ULOW\", \"-DLOW=1\"]",
    );
    assert_eq!(project.build().built()[0], "obj/x/x.c.o");
}

/// `-isystem` directories are searched after all of `-I`, and a header that appears in one of them
/// before the one that was read is read.
#[test]
fn a_header_that_appears_where_it_would_be_found_first_counts() {
    let project = Project::new(
        r#"
[defaults]
system-includes = ["first", "second"]

[[executable]]
name = "x"
sources = ["x.c"]
private-includes = ["own"]
"#,
    );
    project.file("second/h.h", "#define H 2\n").file("first/other.h", "").file("own/other.h", "");
    project.file(
        "x.c",
        "#include <stdio.h>\n#include <h.h>\nint main(void) { return printf(\"%d\\n\", H) < 0; }\n",
    );
    let printed = || project.larder(&["exec", "x"]).ok().stdout;
    assert_eq!(printed(), "2\n");
    project.file("first/h.h", "#define H 1\n");
    assert_eq!(printed(), "1\n");
    project.file("own/h.h", "#define H 0\n");
    assert_eq!(printed(), "0\n");
    project.remove("own/h.h");
    project.remove("first/h.h");
    assert_eq!(printed(), "2\n");
    assert_eq!(project.larder(&["exec", "--sandbox", "x"]).ok().stdout, "2\n");
    project.forget();
    assert_eq!(project.larder(&["exec", "--sandbox", "x"]).ok().stdout, "2\n");
    // The order of the directories is in the key.
    project.file("first/h.h", "#define H 1\n");
    project.replace("larder.toml", "\"first\", \"second\"", "\"second\", \"first\"");
    assert_eq!(printed(), "2\n");
}

/// It does not matter where an argument is written: what the compiler is given decides.
#[test]
fn the_same_arguments_have_the_same_key() {
    let spelled = Project::new(
        "[[executable]]\nname = \"x\"\nsources = [\"x.c\"]\ntrace-args = [\"-std=c11\", \"-Wall\", \"-DA=1\", \"-O1\", \"-g\"]\n",
    );
    let inherited = Project::new(
        "[defaults]\nc-std = \"gnu11\"\nwarnings = [\"all\"]\ntrace-args = [\"-O1\"]\n[[executable]]\nname = \"x\"\nsources = [\"x.c\"]\nc-std = \"c11\"\ndefines = [\"A=1\"]\nc-args = [\"-g\"]\ncxx-args = [\"-no\"]\n",
    );
    for project in [&spelled, &inherited] {
        project.file("x.c", "int main(void) { return A - 1; }\n");
        project.build();
    }
    assert_eq!(spelled.dep_hashes(), inherited.dep_hashes());
    assert_eq!(spelled.dep_hashes().len(), 2);
}

#[test]
fn assembly_has_arguments_of_its_own() {
    let project = Project::new(
        r#"
[defaults]
c-std = "c11"
cxx-std = "c++17"
warnings = ["all", "error"]
defines = ["VALUE=7"]
asm-args = ["-Wa,--defsym,asm_arg=1"]
c-args = ["-DIN_C"]

[[executable]]
name = "x"
sources = ["x.c", "seven.S", "eight.s"]
"#,
    );
    let value = |name: &str, value: &str| {
        format!(
            "\t.globl {name}\n\t.data\n{name}:\n\t.if asm_arg\n\t.long {value}\n\t.endif\n\t.section .note.GNU-stack,\"\",@progbits\n"
        )
    };
    let guard = "#ifdef IN_C\n#error\n#endif\n";
    project.file("seven.S", format!("{guard}{}", value("seven", "VALUE")));
    project.file("eight.s", value("eight", "8"));
    project.file(
        "x.c",
        "extern int seven, eight;\nint main(void) { return seven + eight - VALUE - 8; }\n",
    );
    project.larder(&["exec", "x"]).ok();
}

#[track_caller]
fn refused(manifest: &str) -> String {
    let project = Project::new(manifest);
    project.file("a.c", "int a;\n");
    project.redact(&project.larder(&["build"]).ends_with(2).stderr)
}

#[test]
fn mistakes_point_at_the_word() {
    let manifest = r#"[defaults]
c-std = "c++17"
cxx-std = "17"
warnings = ["-Wall", "", "l,-x", "no-unused"]
defines = ["-DX", "1X", ""]
asm-args = ["-c"]
sources = ["a.c"]
include = ["x"]
public-defines = ["X"]
"#;
    assert_snapshot!(refused(manifest), @r#"
    error: [DIR]/larder.toml:5:9: `c++17` is no standard of C
       |
     5 | c-std = "c++17"
       |         ^^^^^^^
       = help: `cxx-std` is for C++
    error: [DIR]/larder.toml:6:11: `17` is no standard of C++
       |
     6 | cxx-std = "17"
       |           ^^^^
       = help: write "c++17" or "gnu++17"
    error: [DIR]/larder.toml:7:13: `-Wall` is no warning
       |
     7 | warnings = ["-Wall", "", "l,-x", "no-unused"]
       |             ^^^^^^^
       = help: leave out the -W: "all"
    error: [DIR]/larder.toml:7:22: `` is no warning
       |
     7 | warnings = ["-Wall", "", "l,-x", "no-unused"]
       |                      ^^
       = help: write what follows -W: "all", "no-unused-parameter", "error"; other arguments are `trace-args`
    error: [DIR]/larder.toml:7:26: `l,-x` is no warning
       |
     7 | warnings = ["-Wall", "", "l,-x", "no-unused"]
       |                          ^^^^^^
       = help: write what follows -W: "all", "no-unused-parameter", "error"; other arguments are `trace-args`
    error: [DIR]/larder.toml:8:12: `-DX` defines no macro
       |
     8 | defines = ["-DX", "1X", ""]
       |            ^^^^^
       = help: leave out the -D: "X"
    error: [DIR]/larder.toml:8:19: `1X` defines no macro
       |
     8 | defines = ["-DX", "1X", ""]
       |                   ^^^^
       = help: write "NAME" or "NAME=VALUE"
    error: [DIR]/larder.toml:8:25: `` defines no macro
       |
     8 | defines = ["-DX", "1X", ""]
       |                         ^^
       = help: write "NAME" or "NAME=VALUE"
    error: [DIR]/larder.toml:9:13: `-c` cannot be a compiler argument here
       |
     9 | asm-args = ["-c"]
       |             ^^^^
       = help: larder itself says what is compiled to which file; leave it out
    error: [DIR]/larder.toml:10:11: `sources` cannot stand in [defaults]
        |
     10 | sources = ["a.c"]
        |           ^^^^^^^
        = help: it belongs to one target: write it in a [[library]] or an [[executable]]
    error: [DIR]/larder.toml:11:1: unknown key `include` in [defaults]
        |
     11 | include = ["x"]
        | ^^^^^^^
        = help: did you mean `includes`?
    error: [DIR]/larder.toml:12:18: `public-defines` cannot stand in [defaults]
        |
     12 | public-defines = ["X"]
        |                  ^^^^^
        = help: it belongs to one target: write it in a [[library]] or an [[executable]]
    "#);
    let manifest = r#"
[[executable]]
name = "x"
sources = ["a.c"]
public-defines = ["X"]
c-std = 11
cxx-std = "c17"
c-args = ["-MD"]
system-includes = ["../x"]
"#;
    assert_snapshot!(refused(manifest), @r#"
    error: [DIR]/larder.toml:8:18: nothing is linked with executable `x`
       |
     8 | public-defines = ["X"]
       |                  ^^^^^
       = help: `defines` are for its own sources
    error: [DIR]/larder.toml:9:9: expected a string, found integer
       |
     9 | c-std = 11
       |         ^^
    error: [DIR]/larder.toml:10:11: `c17` is no standard of C++
        |
     10 | cxx-std = "c17"
        |           ^^^^^
        = help: `c-std` is for C
    error: [DIR]/larder.toml:11:11: `-MD` cannot be a compiler argument here
        |
     11 | c-args = ["-MD"]
        |           ^^^^^
        = help: larder itself asks the compiler which headers it reads, and with this it would no longer learn of them; leave it out
    "#);
    let manifest = "[[library]]\nname = \"a\"\nsources = [\"a.c\"]\nsystem-includes = [\"../x\"]\nprivate-includes = [\"{nowhere}\"]\n";
    assert_snapshot!(refused(manifest), @r#"
    error: [DIR]/larder.toml:8:21: there is no target `nowhere` in the package `p`
       |
     8 | private-includes = ["{nowhere}"]
       |                     ^^^^^^^^^^^
       = help: `larder graph` lists the targets (for the braces themselves, write {{nowhere}})
    error: [DIR]/larder.toml:7:20: `../x` is outside the package
       |
     7 | system-includes = ["../x"]
       |                    ^^^^^^
       = help: headers of another package come with its library, by `libraries`
    "#);
    assert_snapshot!(refused("defaults = 1\n"), @r#"
    error: [DIR]/larder.toml:4:1: unknown key `defaults` in [package]
       |
     4 | defaults = 1
       | ^^^^^^^^
       = help: the keys are name, version, default-targets, platform-independent, restore-all-artifacts, artifact-cache, fixed-toolchain
    "#);
}

#[test]
fn arguments_of_single_sources() {
    let project = Project::new(
        r#"
[options]
fast = true

[profile.all]
c-args = ["-DLAST=\"profile\""]

[[executable]]
name = "x"
sources = ["x.c", "simd/*.c", "{made}"]
c-args = ["-DLAST=\"target\""]

[executable.source-args]
"simd/*.c" = ["-ULAST", "-DLAST=\"simd\""]
"./simd/b.c" = ["-ULAST", "-DLAST=\"b\""]
"{build}/made.c" = ["-DMADE"]

[[executable.case]]
when = { option = { fast = false } }
source-args = { "simd/a.c" = ["-ULAST", "-DLAST=\"slow\""] }

[[command]]
name = "made"
outputs = ["made.c"]
run = ["sh", "-c", "echo '#ifdef MADE\nconst char *made = LAST;\n#endif' > $0", "{out}"]
"#,
    );
    project.file("x.c", "#include <stdio.h>\nextern const char *a, *b, *made;\nint main(void) { return printf(\"%s %s %s %s\\n\", LAST, a, b, made) < 0; }\n");
    project.file("simd/a.c", "const char *a = LAST;\n");
    project.file("simd/b.c", "const char *b = LAST;\n");
    let run =
        |arguments: &[&str]| project.larder(&[&["exec"], arguments, &["x"]].concat()).ok().stdout;
    assert_eq!(run(&[]), "target simd b target\n");
    project.build().all("replayed");
    assert_eq!(run(&["--option", "fast=false"]), "target slow b target\n");
    assert_eq!(run(&["--profile", "all"]), "profile simd b profile\n");
    project.build();
    // Only the objects of these sources are made again.
    project.replace("larder.toml", "\\\"simd\\\"", "\\\"more\\\"");
    let objects = |built: &larder_testkit::events::Built| -> Vec<String> {
        let built = built.built();
        built.iter().filter(|o| o.ends_with(".o")).map(|o| (*o).to_owned()).collect()
    };
    assert_eq!(objects(&project.build()), ["obj/x/simd/a.c.o", "obj/x/simd/b.c.o"]);
    project.replace("larder.toml", "[\"-DMADE\"]", "[\"-DMADE=1\", \"-I{build}/inc\"]");
    let built = project.build();
    assert_eq!(objects(&built), ["obj/x/_build/made.c.o"]);
    assert!(built.all.contains(".larder/build/inc"), "{}", built.all);
    project.build().all("replayed");
}

#[test]
fn arguments_of_sources_that_are_not_there() {
    let manifest = r#"
[[library]]
name = "a"
sources = ["a.c"]
source-args = { "b.c" = ["-O3"], "a.c" = "-O3", "*.c" = ["-o", "x"], "src/**/*.c" = [] }

[defaults]
source-args = {}
"#;
    assert_snapshot!(refused(manifest), @r#"
    error: [DIR]/larder.toml:8:42: expected an array of strings, found string
       |
     8 | source-args = { "b.c" = ["-O3"], "a.c" = "-O3", "*.c" = ["-o", "x"], "src/**/*.c" = [] }
       |                                          ^^^^^
    error: [DIR]/larder.toml:8:58: `-o` cannot be a compiler argument here
       |
     8 | source-args = { "b.c" = ["-O3"], "a.c" = "-O3", "*.c" = ["-o", "x"], "src/**/*.c" = [] }
       |                                                          ^^^^
       = help: larder itself says what is compiled to which file; leave it out
    error: [DIR]/larder.toml:11:15: `source-args` cannot stand in [defaults]
        |
     11 | source-args = {}
        |               ^^
        = help: it belongs to one target: write it in a [[library]] or an [[executable]]
    "#);
    let manifest = "[[library]]\nname = \"a\"\nsources = [\"a.c\"]\nsource-args = { \"b.c\" = [\"-O3\"], \"a.c\" = [\"-O3\"], \"{build}/a.c\" = [] }\n";
    assert_snapshot!(refused(manifest), @r#"
    error: [DIR]/larder.toml:7:17: `b.c` matches no source of this target
       |
     7 | source-args = { "b.c" = ["-O3"], "a.c" = ["-O3"], "{build}/a.c" = [] }
       |                 ^^^^^
       = help: write a path or pattern as in `sources`, or {build}/PATH for what a command makes
    error: [DIR]/larder.toml:7:51: `{build}/a.c` matches no source of this target
       |
     7 | source-args = { "b.c" = ["-O3"], "a.c" = ["-O3"], "{build}/a.c" = [] }
       |                                                   ^^^^^^^^^^^^^
       = help: write a path or pattern as in `sources`, or {build}/PATH for what a command makes
    "#);
}
