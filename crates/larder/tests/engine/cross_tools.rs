//! Tools for another machine: which are taken, where they are declared, and what is wrong with them.

use std::{fs, process::Command};

use insta::assert_snapshot;
use larder_testkit::{
    events::Built,
    files::script,
    project::Project,
    run::{Run, run},
    tools::{path_with, require},
};

use super::cross::{AARCH64, ARM, can_cross, machine};

const LIBRARY: &str = "[[library]]\nname = \"a\"\nsources = [\"a.c\"]\n";
const ARCHIVE: &str = ".larder/build-aarch64-linux-gnu/liba.a";
const OBJECT: &str = ".larder/build-aarch64-linux-gnu/obj/liba/a.c.o";

fn project(manifest: &str) -> Project {
    let project = Project::cached(&format!("{LIBRARY}{manifest}"));
    project.file("a.c", "int a(void) {\n#ifdef DECLARED\nreturn DECLARED;\n#else\nreturn sizeof(long);\n#endif\n}\n");
    project
}

fn with(project: &Project, variables: &[(&str, &str)], arguments: &[&str]) -> Run {
    let mut command = project.command(arguments);
    run(command.envs(variables.iter().copied()))
}

/// Writes the user's configuration.
fn configure(project: &Project, text: &str) {
    fs::write(project.cache.with_extension("toml"), text).unwrap();
}

#[track_caller]
fn build(project: &Project) -> Built {
    project.build_with(&["--target", ARM])
}

/// The steps that were made with a command line with `text` in it.
#[track_caller]
fn made_with(built: &Built, text: &str) {
    assert!(built.all.contains(text), "no `{text}` in {}", built.all);
}

#[test]
fn clang_is_told_the_target() {
    if !can_cross() || !require("clang") {
        return;
    }
    let project = project("[toolchain]\ncc = \"clang\"\n");
    made_with(&build(&project), "--target=aarch64-linux-gnu");
    assert_eq!(machine(&project, OBJECT), AARCH64);
    build(&project).all("replayed");
    // Declared of the target, or asked for, it is the same.
    let by_table = self::project("[target.aarch64-linux-gnu]\ncc = \"clang\"\n");
    made_with(&build(&by_table), "--target=aarch64-linux-gnu");
    assert_eq!(machine(&by_table, OBJECT), AARCH64);
    let asked = self::project("");
    let arguments = ["build", "--target", ARM];
    with(&asked, &[("CC", "clang -O1")], &arguments).ok();
    assert_eq!(machine(&asked, OBJECT), AARCH64);
    // Clang finds a linker by the name that tools have, whichever name the target has here.
    let linked = self::project("[[executable]]\nname = \"x\"\nsources = [\"x.c\"]\n");
    linked.file("x.c", "int main(void) { return 0; }\n");
    let arguments = ["build", "--target", "aarch64-unknown-linux-gnu"];
    with(&linked, &[("CC", "clang")], &arguments).ok();
    assert_eq!(machine(&linked, ".larder/build-aarch64-unknown-linux-gnu/x"), AARCH64);
    // For the host nothing is told.
    let host = project.build();
    assert!(!host.all.contains("--target="), "{}", host.all);
    assert_ne!(machine(&project, ".larder/build/obj/liba/a.c.o"), AARCH64);
}

/// Another spelling of the target builds the same, in a directory of its own.
#[test]
fn a_target_has_several_spellings() {
    if !can_cross() {
        return;
    }
    let project = project("[target.aarch64-unknown-linux-gnu]\ntrace-args = [\"-DDECLARED=5\"]\n");
    made_with(&build(&project), "-DDECLARED=5");
    let other = project.build_with(&["--target", "aarch64-unknown-linux-gnu"]);
    assert!(other.built().is_empty(), "{}", other.all);
    assert!(project.path(".larder/build-aarch64-unknown-linux-gnu/liba.a").exists());
}

/// By the name of this machine it is built as for any other, and what is the same comes from the store.
#[test]
fn this_machine_is_a_target_too() {
    let host = format!("{}-linux-gnu", std::env::consts::ARCH);
    if !require(&format!("{host}-gcc")) {
        return;
    }
    let project = project(
        "[[executable]]\nname = \"x\"\nsources = [\"x.c\"]\nlibraries = [\"a\"]\ntest = true\n",
    );
    project.file("x.c", "int a(void);\nint main(void) { return a() - sizeof(long); }\n");
    project.build();
    let built = project.build_with(&["--target", &host]);
    assert!(built.built().is_empty(), "{}", built.all);
    project.larder(&["test", "--target", &host]).ok().says("1 passed");
    let rust =
        project.larder(&["test", "--target", &host.replace("-linux", "-unknown-linux")]).ok();
    rust.says("1 passed");
}

#[test]
fn the_manifest_and_the_configuration_declare_tools() {
    if !can_cross() {
        return;
    }
    let project = project("");
    let value = |project: &Project| {
        let built = build(project);
        let words = built.all.split("-DDECLARED=").nth(1).map(|rest| rest[..1].to_owned());
        (words, built)
    };
    build(&project);
    let plain = fs::read(project.path(ARCHIVE)).unwrap();
    configure(&project, "[target.aarch64-linux-gnu]\ntrace-args = [\"-DDECLARED=1\"]\n");
    assert_eq!(value(&project).0.as_deref(), Some("1"));
    assert_ne!(fs::read(project.path(ARCHIVE)).unwrap(), plain, "what decides bytes is traced");
    let why = project.larder(&["why", "--target", ARM]).ok().stdout;
    assert!(why.contains("up to date"), "{why}");
    project.file("larder.toml", project.read("larder.toml") + "[target.aarch64-linux-gnu]\ntrace-args = [\"-DDECLARED=2\"]\nlink-args = [\"-static\"]\n");
    build(&project).all("replayed");
    configure(&project, "[cache]\n[target.aarch64-linux-gnu]\nrunner = [\"qemu-aarch64\"]\n");
    assert_eq!(value(&project).0.as_deref(), Some("2"), "each key by itself");
    configure(&project, "");
    build(&project).all("replayed");
    // What is declared of a target is nothing for the host, and of another target neither.
    let hashes = {
        project.build();
        project.dep_hashes()
    };
    project.replace("larder.toml", "[target.aarch64-linux-gnu]", "[target.riscv64-linux-gnu]");
    project.build().all("replayed");
    assert_eq!(project.dep_hashes(), hashes);
    // What was made without comes back.
    assert!(build(&project).built().is_empty());
    assert_eq!(fs::read(project.path(ARCHIVE)).unwrap(), plain);
}

#[test]
fn a_tool_that_is_a_file_counts_by_its_content() {
    if !can_cross() {
        return;
    }
    let project =
        project("[target.aarch64-linux-gnu]\ncc = \"tools/cc\"\nparts = [\"tools/part\"]\n");
    project.script("tools/cc", "exec aarch64-linux-gnu-gcc -DDECLARED=1 \"$@\"\n");
    project.file("tools/part", "1");
    build(&project);
    build(&project).all("replayed");
    project.script("tools/cc", "exec aarch64-linux-gnu-gcc -DDECLARED=2 \"$@\"\n");
    assert!(!build(&project).built().is_empty());
    project.file("tools/part", "2");
    assert!(!build(&project).built().is_empty());
    let key =
        |arguments: &[&str]| project.larder(&[&["ci", "key"], arguments].concat()).ok().stdout;
    let (plain, cross) = (key(&[]), key(&["--target", ARM]));
    assert_ne!(plain, cross);
    configure(&project, "[target.aarch64-linux-gnu]\nlink-args = [\"-static\"]\n");
    assert_ne!(key(&["--target", ARM]), cross, "the configuration counts");
    assert_eq!(key(&[]), plain);
}

#[test]
fn a_sysroot_is_what_headers_and_libraries_are_found_in() {
    if !can_cross() {
        return;
    }
    let project = project(
        "[target.aarch64-linux-gnu]\nsysroot = \"root\"\n[dependencies]\nlow = { path = \"low\" }\n",
    );
    project.file(
        "low/larder.toml",
        "[package]\nname = \"low\"\n[[library]]\nname = \"low\"\nsources = [\"low.c\"]\n",
    );
    project.file("low/low.c", "#include <value.h>\nint low = VALUE;\n");
    project.file("root/usr/include/value.h", "#define VALUE 1\n");
    project.file("a.c", "#include <value.h>\nint a = VALUE;\n");
    let build = || project.build_with(&["--target", ARM, "@p", "@low"]);
    made_with(&build(), "--sysroot=root");
    build().all("replayed");
    project.file("root/usr/include/value.h", "#define VALUE 2\n");
    assert_eq!(build().built().len(), 4, "objects and archives of both");
    // In another checkout it is the same.
    let elsewhere = project.checkout();
    assert!(elsewhere.build_with(&["--target", ARM, "@p", "@low"]).built().is_empty());
    // Outside of all packages, what was made with it comes back, too.
    let outside = self::project("");
    let root = outside.root.parent().unwrap().join("elsewhere");
    fs::create_dir_all(root.join("usr/include")).unwrap();
    fs::write(root.join("usr/include/value.h"), "#define VALUE 3\n").unwrap();
    outside.file("a.c", "#include <value.h>\nint a = VALUE;\n");
    configure(&outside, &format!("[target.{ARM}]\nsysroot = \"{}\"\n", root.display()));
    self::build(&outside);
    outside.larder(&["clean"]).ok();
    assert!(self::build(&outside).built().is_empty());
}

#[test]
fn variables_are_for_the_target_or_for_the_host() {
    if !can_cross() {
        return;
    }
    let project = Project::cached(&format!(
        "{}[[executable]]\nname = \"gen\"\nsources = [\"gen.c\"]\n[[command]]\nname = \"made\"\noutputs = [\"made.c\"]\nrun = [\"{{gen}}\", \"{{out}}\"]\n[[executable]]\nname = \"app\"\nsources = [\"app.c\", \"{{made}}\"]\n",
        super::cross::RUNNER
    ));
    project.file("gen.c", "#include <stdio.h>\nint main(int count, char **words) { FILE *out = fopen(words[1], \"w\"); fprintf(out, \"int made = %d;\\n\", VALUE); return fclose(out); }\n");
    project.file("app.c", "#include <stdio.h>\nextern int made;\nint main(void) { printf(\"%d %d\\n\", made, VALUE); return 0; }\n");
    let run = [("CFLAGS", "-DVALUE=1"), ("CFLAGS_FOR_BUILD", "-DVALUE=2")];
    let arguments = ["run", "--target", ARM, "app"];
    assert_eq!(with(&project, &run, &arguments).ok().stdout, "2 1\n");
    let tools = [("CC", "aarch64-linux-gnu-gcc -DVALUE=3"), ("CC_FOR_BUILD", "gcc -DVALUE=4")];
    assert_eq!(with(&project, &tools, &arguments).ok().stdout, "4 3\n");
    // What the host's tools are made with is the same without a target.
    let plain = [("CFLAGS", "-DVALUE=2")];
    let built = Built::of(&with(&project, &plain, &["build", "--json", "gen"]).ok());
    assert!(built.built().is_empty(), "{}", built.all);
    // Without a target, the host's variables say nothing.
    assert_eq!(with(&project, &run, &["run", "app"]).ok().stdout, "1 1\n");
    let wrong = [("CC", "gcc"), ("CC_FOR_BUILD", "gcc")];
    with(&project, &wrong, &arguments).ends_with(2).mentions(&["compiles for", "CC_FOR_BUILD"]);
}

#[test]
fn libraries_of_the_host_are_not_taken_for_the_targets() {
    if !can_cross() || !require("pkg-config") {
        return;
    }
    let project =
        Project::cached("[[library]]\nname = \"a\"\nsources = [\"a.c\"]\nsystem = [\"low\"]\n");
    project.file("a.c", "#include <low.h>\nint a = LOW;\n");
    let module = |directory: &str, value: u8| {
        let include = project.path(directory);
        project.file(&format!("{directory}/low.h"), format!("#define LOW {value}\n"));
        project.file(
            &format!("{directory}/low.pc"),
            format!("Name: low\nDescription: low\nVersion: 1\nCflags: -I{}\n", include.display()),
        );
    };
    module("host", 1);
    module("arm", 2);
    let arguments = ["build", "--target", ARM];
    let host = project.path("host");
    let path = [("PKG_CONFIG_PATH_FOR_BUILD", host.to_str().unwrap())];
    with(&project, &path, &arguments)
        .ends_with(2)
        .mentions(&["`aarch64-linux-gnu-pkg-config` was not found", "pkg-config-libdir"]);
    with(&project, &[("PKG_CONFIG_PATH", host.to_str().unwrap())], &["build"]).ok();
    let manifest = project.read("larder.toml");
    project
        .file("larder.toml", format!("{manifest}[target.{ARM}]\npkg-config-libdir = [\"arm\"]\n"));
    let built = Built::of(&with(&project, &path, &["build", "--json", "--target", ARM]).ok());
    assert!(built.all.contains("/arm") && !built.all.contains("/host"), "{}", built.all);
    // A program of the target's own.
    let tools = project.path("tools");
    fs::create_dir(&tools).unwrap();
    script(
        &tools.join("aarch64-linux-gnu-pkg-config"),
        &format!("PKG_CONFIG_LIBDIR={} exec pkg-config \"$@\"\n", project.path("arm").display()),
    );
    project.file("larder.toml", &manifest);
    let variables = [("PATH", path_with(&tools))];
    let mut command = project.command(&["build", "--target", ARM]);
    run(command.envs(variables.iter().map(|(name, value)| (name, value)))).ok();
}

#[test]
fn checks_ask_the_compiler_of_the_target() {
    if !can_cross() {
        return;
    }
    let project = Project::cached(
        "[[config]]\nname = \"config\"\noutput = \"config.h\"\nsizes = [\"void *\", \"long double\"]\nheaders = [\"sys/epoll.h\"]\nfunctions = [\"strlcpy\", \"epoll_create\"]\ncompiles = [{ define = \"IS_ARM\", code = \"#ifndef __aarch64__\\n#error\\n#endif\\nint main(void) { return 0; }\", link = true }]\n",
    );
    let built = build(&project);
    let text = project.read(".larder/build-aarch64-linux-gnu/config.h");
    for line in ["SIZEOF_VOID_P 8", "HAVE_SYS_EPOLL_H 1", "HAVE_EPOLL_CREATE 1", "IS_ARM 1"] {
        assert!(text.contains(line), "{text}\n{}", built.all);
    }
    build(&project).all("replayed");
    project.build();
    assert!(!project.read(".larder/build/config.h").contains("define IS_ARM"));
    build(&project).all("replayed");
}

#[test]
fn editors_are_told_how_it_is_built_for_the_target() {
    if !can_cross() {
        return;
    }
    let project = project(
        "[[executable]]\nname = \"gen\"\nsources = [\"gen.c\"]\nlibraries = [\"a\"]\n[[command]]\nname = \"made\"\noutputs = [\"made.h\"]\nrun = [\"{gen}\", \"{out}\"]\n[[library]]\nname = \"b\"\nsources = [\"b.c\"]\ninputs = [\"{made}\"]\n",
    );
    project.file("gen.c", "int main(void) { return 0; }\n").file("b.c", "int b;\n");
    let said = project.larder(&["compdb", "--print", "--target", ARM]).ok().stdout;
    let entries: serde_json::Value = serde_json::from_str(&said).unwrap();
    let files: Vec<(&str, &str)> = entries
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            (
                entry["file"].as_str().unwrap().rsplit('/').next().unwrap(),
                entry["arguments"][0].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(files.len(), 3, "{files:?}");
    assert!(
        files.iter().all(|(_, compiler)| compiler.ends_with("aarch64-linux-gnu-gcc")),
        "{files:?}"
    );
}

#[test]
fn mistakes_in_targets() {
    let refused = |manifest: &str, target: &str| {
        let project = project(manifest);
        let mut command = project.command(&["build", "--target", target]);
        // No compiler of the machine is found, whichever it has.
        let empty = project.path("empty");
        fs::create_dir_all(&empty).unwrap();
        let run = run(command.env("PATH", &empty)).ends_with(2);
        project.redact(&run.stderr)
    };
    assert_snapshot!(refused("", "nonsense"), @r#"
    error: invalid value 'nonsense' for '--target <TRIPLE>': `nonsense` begins with no processor that larder knows; a target is written PROCESSOR-SYSTEM-ABI, such as aarch64-linux-gnu, x86_64-w64-mingw32 or riscv64-unknown-linux-gnu

    For more information, try '--help'.
    "#);
    assert_snapshot!(refused("", "aarch64-linux-gnu"), @r#"
    error: [DIR]/larder.toml: there is no tool for aarch64-linux-gnu: `aarch64-linux-gnu-gcc` and `aarch64-linux-gnu-clang` were not found on PATH; install it (on Debian: gcc-aarch64-linux-gnu), or name a tool with `cc` under [target.aarch64-linux-gnu]; cc = "clang" there is one for all targets
    "#);
    assert_snapshot!(refused("", "x86_64-w64-mingw32"), @r#"
    error: [DIR]/larder.toml: there is no tool for x86_64-w64-mingw32: `x86_64-w64-mingw32-gcc` and `x86_64-w64-mingw32-clang` were not found on PATH; install it (on Debian: mingw-w64), or name a tool with `cc` under [target.x86_64-w64-mingw32]; cc = "clang" there is one for all targets
    "#);
    assert_snapshot!(refused("", "wasm32-unknown-unknown"), @r#"
    error: [DIR]/larder.toml: there is no tool for wasm32-unknown-unknown: `wasm32-unknown-unknown-gcc` and `wasm32-unknown-unknown-clang` were not found on PATH; install one, or name a tool with `cc` under [target.wasm32-unknown-unknown]; cc = "clang" there is one for all targets
    "#);
    assert_snapshot!(refused("[target.aarch64-linux-gnu]\ncc = \"none-such\"\n", ARM), @r#"
    error: [DIR]/larder.toml: `none-such` was not found on PATH; install it, or name another with `cc` under [target.aarch64-linux-gnu]
    "#);
    assert_snapshot!(refused("[toolchain]\nkind = \"lean\"\n", ARM), @r#"
    error: [DIR]/larder.toml: the toolchain of Lean compiles for this machine, and not for aarch64-linux-gnu; leave out kind = "lean", or --target
    "#);
    let manifest = r#"
[target.nonsense]
cc = "x"
[target.aarch64-linux-gnu]
cc = ""
cflags = ["-O2"]
runner = []
trace-args = ["-MD", "-O2"]
link-args = ["-o", "x"]
sysroot = 1
[target.aarch64-unknown-linux-gnu]
ar = "ar"
[[defaults.case]]
when = { target = "x86-foo" }
"#;
    assert_snapshot!(refused(manifest, ARM), @r#"
    error: [DIR]/larder.toml:7:9: `nonsense` begins with no processor that larder knows; a target is written PROCESSOR-SYSTEM-ABI, such as aarch64-linux-gnu, x86_64-w64-mingw32 or riscv64-unknown-linux-gnu
       |
     7 | [target.nonsense]
       |         ^^^^^^^^
    error: [DIR]/larder.toml:10:6: an empty name
        |
     10 | cc = ""
        |      ^^
        = help: write a name on PATH or an absolute path
    error: [DIR]/larder.toml:11:1: unknown key `cflags` in target `aarch64-linux-gnu`
        |
     11 | cflags = ["-O2"]
        | ^^^^^^
        = help: did you mean `trace-args`?
    error: [DIR]/larder.toml:12:10: `runner` names no program
        |
     12 | runner = []
        |          ^^
        = help: write runner = ["PROGRAM", "ARGUMENT", …], or leave it out
    error: [DIR]/larder.toml:13:15: `-MD` cannot be a compiler argument here
        |
     13 | trace-args = ["-MD", "-O2"]
        |               ^^^^^
        = help: larder itself asks the compiler which headers it reads, and with this it would no longer learn of them; leave it out
    error: [DIR]/larder.toml:14:14: `-o` cannot be a linker argument here
        |
     14 | link-args = ["-o", "x"]
        |              ^^^^
        = help: larder itself says what is compiled to which file; leave it out
    error: [DIR]/larder.toml:15:11: expected a string, found integer
        |
     15 | sysroot = 1
        |           ^
    error: [DIR]/larder.toml:16:9: `aarch64-unknown-linux-gnu` is `aarch64-linux-gnu`, which has a table already
        |
     16 | [target.aarch64-unknown-linux-gnu]
        |         ^^^^^^^^^^^^^^^^^^^^^^^^^
    error: [DIR]/larder.toml:19:19: `x86-foo` begins with no processor that larder knows; a target is written PROCESSOR-SYSTEM-ABI, such as aarch64-linux-gnu, x86_64-w64-mingw32 or riscv64-unknown-linux-gnu
        |
     19 | when = { target = "x86-foo" }
        |                   ^^^^^^^^^
    "#);
    let project = project("");
    configure(
        &project,
        "[target.aarch64-linux-gnu]\ncc = \"bin/cc\"\nsysroot = \"root\"\nunknown = 1\n",
    );
    let said = project.larder(&["build", "--target", ARM]).ends_with(2).stderr;
    assert_snapshot!(project.redact(&said), @r#"
    error: [TMP]/cache.toml:2:6: `bin/cc` starts in no package
       |
     2 | cc = "bin/cc"
       |      ^^^^^^^^
       = help: write a name on PATH or an absolute path
    error: [TMP]/cache.toml:3:11: `root` starts in no package
       |
     3 | sysroot = "root"
       |           ^^^^^^
       = help: write an absolute path
    error: [TMP]/cache.toml:4:1: unknown key `unknown` in target `aarch64-linux-gnu`
       |
     4 | unknown = 1
       | ^^^^^^^
       = help: the keys are cc, cxx, ar, sysroot, pkg-config, parts, pkg-config-libdir, trace-args, link-args, runner
    "#);
    // Nobody asks for it.
    project.build();
}

/// The path of a compiler for this machine is no compiler for another.
#[test]
fn a_compiler_for_another_machine_is_refused() {
    let project = project("[target.aarch64-linux-gnu]\ncc = \"gcc\"\n");
    let said = project.larder(&["build", "--target", ARM]).ends_with(2).stderr;
    assert!(
        said.contains("compiles for") && said.contains("and not for aarch64-linux-gnu"),
        "{said}"
    );
    let version = Command::new("gcc").arg("-dumpmachine").output().unwrap().stdout;
    assert!(said.contains(String::from_utf8(version).unwrap().trim()), "{said}");
}
