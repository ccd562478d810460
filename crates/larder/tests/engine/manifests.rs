//! Mistakes in manifests are shown with their place and what to do, and end with exit code 2.

use insta::assert_snapshot;

use larder_testkit::project::Project;

/// Returns what `larder build` says about a package with this manifest.
#[track_caller]
fn refused(manifest: &str) -> String {
    refused_in(&Project::new(manifest))
}

#[track_caller]
fn refused_in(project: &Project) -> String {
    let run = project.larder(&["build"]).ends_with(2);
    assert!(run.stdout.is_empty(), "{}", run.stdout);
    assert!(!project.path(".larder/build").exists(), "something was built");
    project.redact(&run.stderr)
}

fn with_source(manifest: &str) -> Project {
    let project = Project::new(manifest);
    project.file("a.c", "int a;\n");
    project
}

#[test]
fn malformed_toml() {
    assert_snapshot!(refused("\n[[library]\nname = \"a\"\n"), @r"
    error: [DIR]/larder.toml:5:11: unclosed array table, expected `]`
       |
     5 | [[library]
       |           ^
    ");
    assert_snapshot!(refused("version = \"1\n"), @r#"
    error: [DIR]/larder.toml:4:13: invalid basic string, expected `"`
       |
     4 | version = "1
       |             ^
    "#);
}

#[test]
fn unknown_keys_with_what_was_meant() {
    let manifest = "[[library]]\nname = \"a\"\nsource = [\"a.c\"]\nsources = [\"a.c\"]\ntrace-arg = []\n\n[[libary]]\n\n[toolchain]\nfoo = 1\n";
    assert_snapshot!(refused(manifest), @r#"
    error: [DIR]/larder.toml:6:1: unknown key `source` in library `a`
       |
     6 | source = ["a.c"]
       | ^^^^^^
       = help: did you mean `sources`?
    error: [DIR]/larder.toml:8:1: unknown key `trace-arg` in library `a`
       |
     8 | trace-arg = []
       | ^^^^^^^^^
       = help: did you mean `trace-args`?
    error: [DIR]/larder.toml:10:3: unknown key `libary` in the manifest
        |
     10 | [[libary]]
        |   ^^^^^^
        = help: did you mean `library`?
    error: [DIR]/larder.toml:13:1: unknown key `foo` in [toolchain]
        |
     13 | foo = 1
        | ^^^
        = help: the keys are kind, cc, cxx, ar, asm, parts
    "#);
}

#[test]
fn words_of_other_build_systems_lead_to_the_key() {
    let said = refused(
        "[[library]]\nname = \"a\"\nsources = []\ncflags = []\ncxxflags = []\nldflags = []\nsrcs = []\ndeps = []\n",
    );
    for (word, key) in [
        ("cflags", "trace-args"),
        ("cxxflags", "cxx-args"),
        ("ldflags", "link-args"),
        ("srcs", "sources"),
        ("deps", "libraries"),
    ] {
        let start = format!("unknown key `{word}` in library `a`");
        let after = said.split_once(&start).unwrap_or_else(|| panic!("{word}: {said}")).1;
        let help = after.lines().find(|line| line.contains("= help:")).unwrap();
        assert!(help.ends_with(&format!("did you mean `{key}`?")), "{word}: {help}");
    }
}

#[test]
fn values_of_the_wrong_kind() {
    let manifest = "[toolchain]\ncc = 1\nkind = \"rust\"\n\n[[library]]\nname = \"a\"\nsources = \"a.c\"\nkind = [\"dynamic\"]\n\n[[command]]\nname = \"c d\"\nrun = []\n";
    assert_snapshot!(refused(manifest), @r#"
    error: [DIR]/larder.toml:5:6: expected a string, found integer
       |
     5 | cc = 1
       |      ^
    error: [DIR]/larder.toml:6:8: `rust` is no kind of toolchain
       |
     6 | kind = "rust"
       |        ^^^^^^
       = help: the kinds are "c" and "lean"
    error: [DIR]/larder.toml:10:11: expected an array of strings, found string
        |
     10 | sources = "a.c"
        |           ^^^^^
    error: [DIR]/larder.toml:11:9: `dynamic` is no kind of library
        |
     11 | kind = ["dynamic"]
        |         ^^^^^^^^^
        = help: the kinds are "static" and "shared"
    error: [DIR]/larder.toml:14:8: `c d` is not a name
        |
     14 | name = "c d"
        |        ^^^^^
        = help: names are letters, digits, `_`, `-`, `+` and `.`, starting with a letter or digit
    "#);
}

#[test]
fn no_package_and_no_manifest() {
    assert_snapshot!(refused_in(&Project::with_manifest("[[executable]]\nname = \"x\"\nsources = [\"a.c\"]\n")), @r#"
    error: [DIR]/larder.toml:1:1: the manifest has no [package] table
       |
     1 | [[executable]]
       | ^
       = help: every package has a name: [package] name = "…"
    "#);
    let project = Project::new("");
    project.remove("larder.toml");
    assert_snapshot!(refused_in(&project), @r"
    error: there is no larder.toml in [DIR] or above
      help: `larder init` writes one; -C names another directory
    ");
    std::fs::create_dir(project.path("larder.toml")).unwrap();
    assert_snapshot!(refused_in(&project), @r"
    error: [DIR]/larder.toml is a directory, not a manifest
      help: move it away; `larder init` then writes a manifest
    ");
    std::fs::remove_dir(project.path("larder.toml")).unwrap();
    project.file("larder.toml", b"[package]\nname = \"\xff\"\n");
    assert_snapshot!(refused_in(&project), @r"
    error: [DIR]/larder.toml is not UTF-8 text (byte 18)
      help: save it as UTF-8
    ");
}

#[test]
fn a_cycle_is_shown_as_a_path() {
    let command = |name: &str, needs: &str| {
        format!(
            "[[command]]\nname = \"{name}\"\ninputs = [\"{{{needs}}}\"]\noutputs = [\"{name}.out\"]\nrun = [\"touch\", \"{{out}}\"]\n"
        )
    };
    let manifest =
        [command("a", "b"), command("b", "c"), command("c", "a"), command("d", "a")].concat();
    assert_snapshot!(refused(&manifest), @r#"
    error: [DIR]/larder.toml:5:8: targets need each other in a cycle: a -> b -> c -> a
       |
     5 | name = "a"
       |        ^^^
       = help: take one of these steps out: what two targets both need can be a third
    "#);
    let itself = "[[library]]\nname = \"l\"\nsources = [\"a.c\"]\nlibraries = [\"l\"]\n";
    assert_snapshot!(refused_in(&with_source(itself)), @r#"
    error: [DIR]/larder.toml:5:8: targets need each other in a cycle: l -> l
       |
     5 | name = "l"
       |        ^^^
       = help: take one of these steps out: what two targets both need can be a third
    "#);
    let each_other = "[[library]]\nname = \"l\"\nsources = [\"a.c\"]\nlibraries = [\"m\"]\n\n[[library]]\nname = \"m\"\nkind = [\"shared\"]\nsources = [\"a.c\"]\nlibraries = [\"l\"]\n";
    assert_snapshot!(refused_in(&with_source(each_other)), @r#"
    error: [DIR]/larder.toml:5:8: targets need each other in a cycle: l -> m -> l
       |
     5 | name = "l"
       |        ^^^
       = help: take one of these steps out: what two targets both need can be a third
    "#);
}

#[test]
fn two_targets_with_one_output() {
    let two = "[[command]]\nname = \"a\"\noutputs = [\"x\", \"y\"]\nrun = [\"true\"]\n\n[[command]]\nname = \"b\"\noutputs = [\"y\"]\nrun = [\"true\"]\n";
    assert_snapshot!(refused(two), @r#"
    error: [DIR]/larder.toml:11:12: `a` and `b` have one output, `y`
        |
     11 | outputs = ["y"]
        |            ^^^
        = help: rename one of them
    "#);
    let library = "[[library]]\nname = \"a\"\nsources = [\"a.c\"]\n\n[[command]]\nname = \"b\"\noutputs = [\"liba.a\"]\nrun = [\"true\"]\n";
    assert_snapshot!(refused_in(&with_source(library)), @r#"
    error: [DIR]/larder.toml:10:12: `a:static` and `b` have one output, `liba.a`
        |
     10 | outputs = ["liba.a"]
        |            ^^^^^^^^
        = help: rename one of them
    "#);
    let objects = "[[library]]\nname = \"a\"\nsources = [\"a.c\"]\n\n[[command]]\nname = \"b\"\noutputs = [\"obj/liba/a.c.o\"]\nrun = [\"true\"]\n\n[[executable]]\nname = \"liba\"\nsources = [\"a.c\"]\n";
    assert_snapshot!(refused_in(&with_source(objects)), @r#"
    error: [DIR]/larder.toml:14:8: `a:o` and `liba:o` have one output, `obj/liba`
        |
     14 | name = "liba"
        |        ^^^^^^
        = help: rename one of them
    error: [DIR]/larder.toml:10:12: the output `obj/liba/a.c.o` is inside `obj/liba`, and `a:o` and `b` each make one of them
        |
     10 | outputs = ["obj/liba/a.c.o"]
        |            ^^^^^^^^^^^^^^^^
        = help: a directory belongs to one target with everything in it: rename one of them
    "#);
    let nested = "[[command]]\nname = \"a\"\noutputs = [\"d/x\", \"r\"]\nrun = [\"true\"]\n\n[[command]]\nname = \"b\"\noutputs = [\"d/\", \"r.trace\"]\nrun = [\"true\"]\n";
    assert_snapshot!(refused(nested), @r#"
    error: [DIR]/larder.toml:11:12: the output `d/x` is inside `d`, and `a` and `b` each make one of them
        |
     11 | outputs = ["d/", "r.trace"]
        |            ^^^^
        = help: a directory belongs to one target with everything in it: rename one of them
    error: [DIR]/larder.toml:11:18: the output `r.trace` of `b` and `r` of `a`: in `r.trace` larder keeps its own record of `r`
        |
     11 | outputs = ["d/", "r.trace"]
        |                  ^^^^^^^^^
        = help: rename one of them
    "#);
    let twice = "[[command]]\nname = \"a\"\noutputs = [\"x\", \"x\"]\nrun = [\"true\"]\n\n[[command]]\nname = \"a\"\noutputs = [\"z\"]\nrun = [\"true\"]\n";
    assert_snapshot!(refused(twice), @r#"
    error: [DIR]/larder.toml:10:8: there is already a command called `a`
        |
     10 | name = "a"
        |        ^^^
    error: [DIR]/larder.toml:6:17: `a` and `a` have one output, `x`
       |
     6 | outputs = ["x", "x"]
       |                 ^^^
       = help: rename one of them
    "#);
}

#[test]
fn outputs_outside_the_build_directory() {
    let manifest = "[[command]]\nname = \"a\"\noutputs = [\"../x\", \"/etc/passwd\", \"a//b\", \"./c\", \"\"]\nrun = [\"true\"]\n";
    assert_snapshot!(refused(manifest), @r#"
    error: [DIR]/larder.toml:6:12: the output `../x` is outside the build directory
       |
     6 | outputs = ["../x", "/etc/passwd", "a//b", "./c", ""]
       |            ^^^^^^
       = help: outputs are paths below it, without `.` and `..`
    error: [DIR]/larder.toml:6:20: the output `/etc/passwd` is outside the build directory
       |
     6 | outputs = ["../x", "/etc/passwd", "a//b", "./c", ""]
       |                    ^^^^^^^^^^^^^
       = help: outputs are paths below it, without `.` and `..`
    error: [DIR]/larder.toml:6:35: the output `a//b` is outside the build directory
       |
     6 | outputs = ["../x", "/etc/passwd", "a//b", "./c", ""]
       |                                   ^^^^^^
       = help: outputs are paths below it, without `.` and `..`
    error: [DIR]/larder.toml:6:43: the output `./c` is outside the build directory
       |
     6 | outputs = ["../x", "/etc/passwd", "a//b", "./c", ""]
       |                                           ^^^^^
       = help: outputs are paths below it, without `.` and `..`
    error: [DIR]/larder.toml:6:50: the output `` is outside the build directory
       |
     6 | outputs = ["../x", "/etc/passwd", "a//b", "./c", ""]
       |                                                  ^^
       = help: outputs are paths below it, without `.` and `..`
    "#);
}

#[test]
fn an_output_through_a_link_out_of_the_build_directory() {
    let project = Project::new(
        "[[command]]\nname = \"a\"\noutputs = [\"link/x\"]\nrun = [\"touch\", \"{out}\"]\n",
    );
    let outside = project.root.parent().unwrap().join("outside");
    std::fs::create_dir_all(&outside).unwrap();
    std::fs::write(outside.join("x"), "precious").unwrap();
    std::fs::create_dir_all(project.path(".larder/build")).unwrap();
    std::os::unix::fs::symlink(&outside, project.output("link")).unwrap();
    let run = project.larder(&["build"]).ends_with(1);
    assert_snapshot!(project.redact(run.stderr.lines().next().unwrap()), @"failed a link/x: [DIR]/.larder/build/link is a symbolic link, and outputs stay in the build directory; remove it");
    assert_eq!(std::fs::read_to_string(outside.join("x")).unwrap(), "precious");
}

#[test]
fn sources_outside_the_package() {
    let library = |sources: &str| format!("[[library]]\nname = \"a\"\nsources = [\"{sources}\"]\n");
    assert_snapshot!(refused(&library("../a.c")), @r#"
    error: [DIR]/larder.toml:6:12: `../a.c` is outside the package
       |
     6 | sources = ["../a.c"]
       |            ^^^^^^^^
       = help: a package is built from its own files: copy it in, or make its directory a package and depend on that
    "#);
    assert_snapshot!(refused(&library("/etc/*.c")), @r#"
    error: [DIR]/larder.toml:6:12: `/etc/*.c` is outside the package
       |
     6 | sources = ["/etc/*.c"]
       |            ^^^^^^^^^^
       = help: a package is built from its own files: copy it in, or make its directory a package and depend on that
    "#);
    let outside =
        "[[command]]\nname = \"a\"\ninputs = [\"../p.c\"]\noutputs = [\"x\"]\nrun = [\"true\"]\n";
    assert_snapshot!(refused(outside), @r#"
    error: [DIR]/larder.toml:6:11: `../p.c` is outside the package
       |
     6 | inputs = ["../p.c"]
       |           ^^^^^^^^
       = help: a package is built from its own files: copy it in, or make its directory a package and depend on that
    "#);
    let project = Project::new(&library("*.c"));
    std::os::unix::fs::symlink("/etc/hostname", project.path("a.c")).unwrap();
    assert_snapshot!(refused_in(&project), @r#"
    error: [DIR]/larder.toml:6:12: `a.c` is a symbolic link that leads outside the package
       |
     6 | sources = ["*.c"]
       |            ^^^^^
       = help: a package is built from its own files: copy it in, or make its directory a package and depend on that
    "#);
    project.file("larder.toml", format!("{}{}", larder_testkit::project::PACKAGE, library("a.c")));
    assert_snapshot!(refused_in(&project), @r#"
    error: [DIR]/larder.toml:6:12: `a.c` is a symbolic link that leads outside the package
       |
     6 | sources = ["a.c"]
       |            ^^^^^
       = help: a package is built from its own files: copy it in, or make its directory a package and depend on that
    "#);
    let project = Project::new(&library("sub/*.c"));
    std::os::unix::fs::symlink("/etc", project.path("sub")).unwrap();
    assert_snapshot!(refused_in(&project), @r#"
    error: [DIR]/larder.toml:6:12: `sub` is a symbolic link that leads outside the package
       |
     6 | sources = ["sub/*.c"]
       |            ^^^^^^^^^
       = help: a package is built from its own files: copy it in, or make its directory a package and depend on that
    "#);
}

#[test]
fn a_directory_input_with_a_link_out_of_the_package() {
    let project = Project::new(
        "[[command]]\nname = \"a\"\ninputs = [\"d\"]\noutputs = [\"x\"]\nrun = [\"touch\", \"{out}\"]\n",
    );
    std::fs::create_dir(project.path("d")).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", project.path("d/h")).unwrap();
    let run = project.larder(&["build"]).ends_with(1);
    assert_snapshot!(project.redact(run.stderr.lines().next().unwrap()), @"failed a d/h: cannot read the input d/h: it is a symbolic link that leads outside the package");
}

#[test]
fn globs_and_sources_that_match_nothing() {
    assert_snapshot!(refused("[[library]]\nname = \"a\"\nsources = [\"src/*.c\"]\n"), @r#"
    error: [DIR]/larder.toml:6:12: `src/*.c` matches no file
       |
     6 | sources = ["src/*.c"]
       |            ^^^^^^^^^
       = help: patterns start in [DIR]
    "#);
    assert_snapshot!(refused("[[library]]\nname = \"a\"\nsources = [\"src/a.c\"]\n"), @r#"
    error: [DIR]/larder.toml:6:12: there is no file `src/a.c`
       |
     6 | sources = ["src/a.c"]
       |            ^^^^^^^^^
       = help: paths start in [DIR]
    "#);
    let project = with_source("[[library]]\nname = \"a\"\nsources = [\"a.c\", \"notes.txt\"]\n");
    project.file("notes.txt", "");
    assert_snapshot!(refused_in(&project), @r#"
    error: [DIR]/larder.toml:6:19: `notes.txt` is neither C, C++ nor assembly by its extension
       |
     6 | sources = ["a.c", "notes.txt"]
       |                   ^^^^^^^^^^^
       = help: sources end in .c, .cc, .cpp, .cxx, .c++, .C, .S, .sx or .s
    "#);
    let inputs =
        "[[command]]\nname = \"a\"\ninputs = [\"doc/*.md\"]\noutputs = [\"x\"]\nrun = [\"true\"]\n";
    assert_snapshot!(refused(inputs), @r#"
    error: [DIR]/larder.toml:6:11: `doc/*.md` matches no file
       |
     6 | inputs = ["doc/*.md"]
       |           ^^^^^^^^^^
       = help: patterns start in [DIR]
    "#);
}

#[test]
fn one_mistake_is_said_once() {
    let manifest = "[[library]]\nname = \"a\"\nsources = [\"gone.c\"]\n\n[[executable]]\nname = \"x\"\nsources = [\"a.c\"]\nlibraries = [\"a\"]\n";
    let said = refused_in(&with_source(manifest));
    assert_eq!(said.matches("error:").count(), 1, "{said}");
}

#[test]
fn missing_tools() {
    assert_snapshot!(refused_in(&with_source("[toolchain]\ncc = \"no-such-cc\"\n[[library]]\nname = \"a\"\nsources = [\"a.c\"]\n")), @"error: [DIR]/larder.toml: `no-such-cc` was not found on PATH; install it, or name another with `cc` under [toolchain]");
    assert_snapshot!(refused_in(&with_source("[toolchain]\ncc = \"bin/cc\"\n[[library]]\nname = \"a\"\nsources = [\"a.c\"]\n")), @"error: [DIR]/larder.toml: `[DIR]/bin/cc` was not found; install it, or name another with `cc` under [toolchain]");
    assert_snapshot!(refused("[[command]]\nname = \"a\"\noutputs = [\"x\"]\nrun = [\"no-such-program\"]\n"), @r#"
    error: [DIR]/larder.toml:7:8: `no-such-program` was not found on PATH; install it, or name a file of the package by a path with a `/`
       |
     7 | run = ["no-such-program"]
       |        ^^^^^^^^^^^^^^^^^
    "#);
    let lean = with_source(
        "[toolchain]\nkind = \"lean\"\n[[library]]\nname = \"a\"\nsources = [\"a.c\"]\n",
    );
    let mut command = lean.command(&["build"]);
    command.env("PATH", "/nowhere");
    assert_snapshot!(lean.redact(&larder_testkit::run::run(command).ends_with(2).stderr), @"error: [DIR]/larder.toml: there is no Lean toolchain: LEAN_SYSROOT is not set, and no `lean` on PATH says where it is (`lean --print-prefix`); install Lean, or set LEAN_SYSROOT to where it is");
}

#[test]
fn names_of_targets_that_are_not_there() {
    let manifest = "[package]\nname = \"p\"\ndefault-targets = [\"lau\"]\n\n[[library]]\nname = \"lua\"\nsources = [\"a.c\"]\nlibraries = [\"zlib/z\"]\n\n[[command]]\nname = \"c\"\ninputs = [\"{lue}\", \"{build}/liblau.a\"]\noutputs = [\"x\"]\nrun = [\"true\"]\n";
    assert_snapshot!(refused_in(&Project::with_manifest(manifest)), @r#"
    error: [DIR]/larder.toml:8:14: there is no package `zlib` here
       |
     8 | libraries = ["zlib/z"]
       |              ^^^^^^^^
       = help: packages are named in [dependencies]
    error: [DIR]/larder.toml:12:11: there is no target `lue` in the package `p`
        |
     12 | inputs = ["{lue}", "{build}/liblau.a"]
        |           ^^^^^^^
        = help: did you mean `lua`? (for the braces themselves, write {{lue}})
    error: [DIR]/larder.toml:12:20: no target of this package makes `liblau.a` in the build directory
        |
     12 | inputs = ["{lue}", "{build}/liblau.a"]
        |                    ^^^^^^^^^^^^^^^^^^
        = help: did you mean {build}/liblua.a?
    error: [DIR]/larder.toml:3:20: there is no target `lau` in the package `p`
       |
     3 | default-targets = ["lau"]
       |                    ^^^^^
       = help: did you mean `lua`?
    "#);
    let project = with_source("[[library]]\nname = \"lua\"\nsources = [\"a.c\"]\n");
    for (target, expected) in [
        ("lau", "there is no target `lau` in the package `p`\n  help: did you mean `lua`?"),
        ("lua:exe", "the target `lua` of `p` has no facet `exe`\n  help: it has o, static"),
        ("@zlib/z", "there is no package `zlib` here"),
        ("lua:dll", "`dll` is none of the facets static, shared, exe, o"),
    ] {
        project.larder(&["build", target]).ends_with(2).says(expected);
    }
}

#[test]
fn mistakes_are_events_with_json() {
    let project = Project::new("[[library]]\nname = \"a\"\nsource = []\nsources = [\"a.c\"]\n");
    let run = project.larder(&["build", "--json"]).ends_with(2);
    assert!(run.stderr.is_empty(), "{}", run.stderr);
    let [event] = &run.events()[..] else { panic!("{}", run.stdout) };
    assert_eq!(event["event"], "error");
    assert_eq!(event["message"], "unknown key `source` in library `a`");
    assert_eq!(event["help"], "did you mean `sources`?");
    assert_eq!(event["file"], project.path("larder.toml").to_str().unwrap());
    assert_eq!((&event["line"], &event["column"]), (&6.into(), &1.into()));
}
