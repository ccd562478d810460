//! Conditions and options: what of a manifest holds, who chooses, and what depends on that.

use insta::assert_snapshot;
use larder_testkit::{project::Project, run::Run};

const MANIFEST: &str = r#"
[options]
shout = false
tls = { default = "openssl", choices = ["openssl", "none"], help = "the library for TLS" }

[defaults]
defines = ["BASE"]

[[defaults.case]]
when = { option = { shout = true } }
defines = ["SHOUT"]

[[executable]]
name = "x"
sources = ["x.c"]

[[executable.case]]
when = { option = { tls = "openssl" } }
sources = ["openssl.c"]
c-args = ["-DTLS=\"openssl\""]

[[executable.case]]
when = { option = { tls = "none" } }
sources = ["none.c"]

[[command]]
name = "certificates"
when = { not = { option = { tls = ["none"] } } }
outputs = ["certificates.txt"]
run = ["sh", "-c", "echo made > $0", "{out}"]

[[library]]
name = "there"
when = { any = [{ os = ["linux", "macos"], arch = "x86_64" }, { not = { arch = "x86_64" } }, { os = "windows" }] }
sources = ["none.c"]
"#;

fn project() -> Project {
    let project = Project::cached(MANIFEST);
    project.file("x.c", "#include <stdio.h>\nconst char *tls(void);\nint main(void) {\n#ifdef SHOUT\nfputs(\"SHOUT \", stdout);\n#endif\nputs(tls());\nreturn 0; }\n");
    project.file("openssl.c", "const char *tls(void) { return TLS; }\n");
    project.file("none.c", "const char *tls(void) { return \"none\"; }\n");
    project
}

#[test]
fn options_choose_sources_arguments_and_targets() {
    let project = project();
    let run = |options: &[&str]| project.larder(&[&["exec"], options, &["x"]].concat()).ok().stdout;
    assert_eq!(run(&[]), "openssl\n");
    assert_eq!(run(&["--option", "tls=none"]), "none\n");
    assert_eq!(run(&["--option", "shout=true", "--option", "tls=none"]), "SHOUT none\n");
    // Of several values for one option, the last counts.
    assert_eq!(run(&["--option", "tls=none", "--option", "tls=openssl"]), "openssl\n");
    // What was made for a choice comes back with it.
    let built = project.build_with(&["--option", "shout=true", "--option", "tls=none"]);
    assert_eq!(built.built(), ["libthere.a", "obj/libthere/none.c.o"], "{}", built.all);
    assert!(!project.output("certificates.txt").exists());
    project.build();
    assert!(project.output("certificates.txt").exists());
    let built = project.build();
    built.all("replayed");
    assert!(project.build_with(&["--option", "tls=none"]).built().is_empty());
}

/// Every command that reads the manifest has the same view of it.
#[test]
fn all_commands_take_the_same_choices() {
    let project = project();
    let none = ["--option", "tls=none"];
    let with = |arguments: &[&str]| project.larder(&[arguments, &none].concat());
    with(&["build"]).ok();
    with(&["build", "--no-build"]).ok();
    project.larder(&["build", "--no-build"]).ends_with(3);
    assert!(with(&["why"]).ok().stdout.contains("up to date"));
    with(&["graph"]).ok();
    assert!(!with(&["graph"]).stdout.contains("certificates"));
    assert!(project.larder(&["graph"]).stdout.contains("certificates"));
    assert!(!with(&["query"]).ok().stdout.contains("certificates"));
    with(&["cache", "pack", "all.pack"]).ok();
    with(&["build", "--no-build"]).ok();
    with(&["cache", "bake", "baked"]).ok();
    with(&["build", "--no-build"]).ok();
    with(&["cache", "audit", "--rebuild", "100%"]).ok();
    with(&["build", "--no-build"]).ok();
    assert!(!with(&["cache", "blame"]).ok().stdout.contains("certificates"));
    for arguments in [
        &["build", "certificates"][..],
        &["query", "certificates"],
        &["why", "certificates"],
        &["graph", "certificates"],
    ] {
        let said = with(arguments).ends_with(2).stderr;
        assert!(said.contains("only there where not option tls = none"), "{said}");
    }
}

#[test]
fn ci_keys_count_what_was_chosen_and_all_parts() {
    let project = project();
    let key = |options: &[&str]| project.larder(&[&["ci", "key"], options].concat()).ok().stdout;
    let plain = key(&[]);
    assert_eq!(
        key(&["--option", "shout=true"]),
        key(&["--option", "shout=false", "--option", "shout=true"])
    );
    assert_ne!(key(&["--option", "shout=true"]), plain);
    assert_ne!(
        key(&["--option", "shout=true"]),
        key(&["--option", "shout=true", "--option", "tls=none"])
    );
    assert_eq!(
        key(&["--option", "shout=false", "--option", "shout=true"]),
        key(&["--option", "shout=true"])
    );
    project
        .larder(&["ci", "key", "--option", "shot=true"])
        .ends_with(2)
        .mentions(&["did you mean `shout`?"]);
    assert_eq!(key(&[]), plain);
}

/// `top` needs `left` and `right`, which both need `low`.
fn diamond(left: &str, right: &str) -> Project {
    let project = Project::with_manifest(
        "[package]\nname = \"top\"\n[dependencies]\nleft = { path = \"left\" }\nright = { path = \"right\" }\n[[executable]]\nname = \"x\"\nsources = [\"x.c\"]\nlibraries = [\"left/left\", \"right/right\"]\n",
    );
    project.file("x.c", "#include <stdio.h>\nint low(void);\nint main(void) { return printf(\"%d\\n\", low()) < 0; }\n");
    for (name, options) in [("left", left), ("right", right)] {
        project.file(&format!("{name}/larder.toml"), format!("[package]\nname = \"{name}\"\n[dependencies]\nlow = {{ path = \"../low\"{options} }}\n[[library]]\nname = \"{name}\"\nsources = [\"{name}.c\"]\nlibraries = [\"low/low\"]\n"));
        project.file(&format!("{name}/{name}.c"), format!("int {name};\n"));
    }
    project.file("low/larder.toml", "[package]\nname = \"low\"\n[options]\nsize = \"8\"\nfast = false\n[[library]]\nname = \"low\"\nsources = [\"low.c\"]\n[[library.case]]\nwhen = { option = { size = \"16\" } }\ndefines = [\"SIZE=16\"]\n[[library.case]]\nwhen = { option = { fast = true } }\ndefines = [\"FAST=1\"]\n");
    project.file("low/low.c", "#ifndef SIZE\n#define SIZE 8\n#endif\n#ifndef FAST\n#define FAST 0\n#endif\nint low(void) { return SIZE * 10 + FAST; }\n");
    project
}

#[test]
fn options_of_dependencies() {
    let run = |project: &Project, options: &[&str]| {
        project.larder(&[&["exec"], options, &["x"]].concat())
    };
    let project = diamond("", "");
    assert_eq!(run(&project, &[]).ok().stdout, "80\n");
    assert_eq!(run(&project, &["--option", "low/fast=true"]).ok().stdout, "81\n");
    let project =
        diamond(", options = { size = \"16\" }", ", options = { size = \"16\", fast = true }");
    assert_eq!(run(&project, &[]).ok().stdout, "161\n");
    let project = diamond(", options = { size = \"16\" }", ", options = { size = \"8\" }");
    let said = |run: Run| project.redact(&run.ends_with(2).stderr);
    assert_snapshot!(said(run(&project, &[])), @r#"
    error: [DIR]/right/larder.toml:4:45: two packages want different `size` of `low`: `left` wants 16, and `right` wants 8
       |
     4 | low = { path = "../low", options = { size = "8" } }
       |                                             ^^^
       = help: a package is built once: let both say the same, or choose with --option low/size=VALUE
    "#);
    assert_eq!(run(&project, &["--option", "low/size=16"]).ok().stdout, "160\n");
    assert_snapshot!(said(run(&project, &["--option", "lo/size=16", "--option", "low/sise=1", "--option", "size=2", "--option", "low/fast=1"])), @r#"
    error: [DIR]/right/larder.toml:4:45: two packages want different `size` of `low`: `left` wants 16, and `right` wants 8
       |
     4 | low = { path = "../low", options = { size = "8" } }
       |                                             ^^^
       = help: a package is built once: let both say the same, or choose with --option low/size=VALUE
    error: --option lo/size=16: there is no package `lo` here
      help: did you mean `low`?
    error: --option low/sise=1: there is no option `sise` in `low`
      help: did you mean `size`?
    error: --option size=2: there is no option `size` in `top`
      help: the package has no [options]
    error: --option low/fast=1: the option `fast` cannot be `1` in `low`
      help: it is true or false
    "#);
    let project = diamond(", options = { siz = \"16\" }", ", options = { size = true }");
    let said = |run: Run| project.redact(&run.ends_with(2).stderr);
    assert_snapshot!(said(run(&project, &[])), @r#"
    error: [DIR]/left/larder.toml:4:44: there is no option `siz` in `low`
       |
     4 | low = { path = "../low", options = { siz = "16" } }
       |                                            ^^^^
       = help: did you mean `size`?
    error: [DIR]/right/larder.toml:4:45: the option `size` of `low` cannot be `true`
       |
     4 | low = { path = "../low", options = { size = true } }
       |                                             ^^^^
       = help: it is a word
    "#);
    project.larder(&["build", "--option", "size"]).ends_with(2).mentions(&["[PACKAGE/]NAME=VALUE"]);
}

#[track_caller]
fn refused(manifest: &str) -> String {
    let project = Project::new(manifest);
    project.file("a.c", "int a;\n");
    let run = project.larder(&["build"]).ends_with(2);
    project.redact(&run.stderr)
}

#[test]
fn what_is_not_there_is_said_with_its_condition() {
    let manifest = r#"
[[library]]
name = "win"
when = { os = "windows", not = { arch = ["arm", "mips"] } }
sources = ["a.c"]

[[command]]
name = "gen"
when = { any = [{ os = "haiku" }, { arch = "m68k", os = "aix" }] }
outputs = ["gen.c"]
run = ["touch", "{out}"]

[[library]]
name = "user"
sources = ["a.c", "{gen}"]
libraries = ["win"]
"#;
    assert_snapshot!(refused(manifest), @r#"
    error: [DIR]/larder.toml:19:14: `win` is only there where os = windows and not arch = arm or mips
        |
     19 | libraries = ["win"]
        |              ^^^^^
        = help: name it only under the same condition, in a [[….case]] or with `when`
    error: [DIR]/larder.toml:18:19: `gen` is only there where os = haiku or (os = aix and arch = m68k)
        |
     18 | sources = ["a.c", "{gen}"]
        |                   ^^^^^^^
        = help: name it only under the same condition, in a [[….case]] or with `when` (for the braces themselves, write {{gen}})
    "#);
    assert_snapshot!(refused("default-targets = [\"win\"]\n[[library]]\nname = \"win\"\nwhen = { os = \"windows\" }\nsources = [\"a.c\"]\n"), @r#"
    error: [DIR]/larder.toml:4:20: `win` is only there where os = windows
       |
     4 | default-targets = ["win"]
       |                    ^^^^^
       = help: name it only under the same condition, in a [[….case]] or with `when`
    "#);
    // What does not hold may name what is not there, and is no second target of a name.
    let project = Project::new(
        "[[library]]\nname = \"a\"\nwhen = { os = \"windows\" }\nsources = [\"nowhere/*.c\"]\n[[library]]\nname = \"a\"\nwhen = { not = { os = \"windows\" } }\nsources = [\"a.c\"]\n[[library.case]]\nwhen = { os = \"windows\" }\nsources = [\"win.c\"]\nlibraries = [\"nothing\"]\n",
    );
    project.file("a.c", "int a;\n");
    assert_eq!(project.build().built(), ["liba.a", "obj/liba/a.c.o"]);
}

#[test]
fn whoever_writes_a_condition_in_another_way_sees_how_it_is_written() {
    let refused = |keys: &str, said: &str| {
        let manifest = format!("[[executable]]\nname = \"x\"\nsources = [\"x.c\"]\n{keys}");
        Project::new(&manifest).larder(&["build"]).ends_with(2).says(said);
    };
    refused(
        "[options]\ntls = [\"a\"]\n",
        "or { default = \"…\", choices = [\"…\", \"…\"] }, found array",
    );
    let whole = "[[executable.case]]\nwhen = { os = \"linux\" }\ntest = true\n";
    refused(whole, "write the target twice, each with a `when` of its own");
    let case = "[[executable.case]]\nwhen = { option = \"tls\" }\n";
    refused(case, "expected a table such as option = { NAME = true }, found string");
}

#[test]
fn mistakes_point_at_the_word() {
    let manifest = r#"
[options]
"a b" = true
n = 1
tls = { choices = ["a"] }
ssl = { default = "b", choices = ["a"] }
both = { default = true, choices = ["a"], hepl = "" }
good = "x"
kind = { default = "a", choices = ["a", "b"] }

[[library]]
name = "l"
sources = ["a.c"]
when = {}

[[library.case]]
sources = ["b.c"]

[[library.case]]
when = { os = "darwin", arch = [], compiler = "icc", option = { god = 1, good = true, kind = ["a", "c"], both = "x" } }
defnies = ["X"]

[[library.case]]
when = { any = [], not = "x", oss = "linux" }

[[defaults.case]]
when = { arch = 64 }
sources = ["a.c"]
"#;
    assert_snapshot!(refused(manifest), @r#"
    error: [DIR]/larder.toml:6:1: `a b` cannot name an option
       |
     6 | "a b" = true
       | ^^^^^
    error: [DIR]/larder.toml:7:5: expected true, false or a string, found integer
       |
     7 | n = 1
       |     ^
    error: [DIR]/larder.toml:8:7: option `tls` has no default
       |
     8 | tls = { choices = ["a"] }
       |       ^^^^^^^^^^^^^^^^^^^
       = help: add default = …, which counts where nobody chooses
    error: [DIR]/larder.toml:9:19: the default of option `ssl` is none of its choices
       |
     9 | ssl = { default = "b", choices = ["a"] }
       |                   ^^^
       = help: it is a
    error: [DIR]/larder.toml:10:8: option `both` is true or false, and has no `choices`
        |
     10 | both = { default = true, choices = ["a"], hepl = "" }
        |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    error: [DIR]/larder.toml:10:43: unknown key `hepl` in option `both`
        |
     10 | both = { default = true, choices = ["a"], hepl = "" }
        |                                           ^^^^
        = help: did you mean `help`?
    error: [DIR]/larder.toml:17:8: an empty condition
        |
     17 | when = {}
        |        ^^
        = help: write when = { os = "linux" }, or leave it out
    error: [DIR]/larder.toml:19:1: a case of library `l` has no condition
        |
     19 | [[library.case]]
        | ^^^^^^^^^^^^^^^^
        = help: add when = { os = "linux" }
    error: [DIR]/larder.toml:23:15: unknown os `darwin`
        |
     23 | when = { os = "darwin", arch = [], compiler = "icc", option = { god = 1, good = true, kind = ["a", "c"], both = "x" } }
        |               ^^^^^^^^
        = help: did you mean "macos"?
    error: [DIR]/larder.toml:23:32: `arch` names nothing
        |
     23 | when = { os = "darwin", arch = [], compiler = "icc", option = { god = 1, good = true, kind = ["a", "c"], both = "x" } }
        |                                ^^
        = help: an empty list holds never: leave it out
    error: [DIR]/larder.toml:23:47: unknown compiler `icc`
        |
     23 | when = { os = "darwin", arch = [], compiler = "icc", option = { god = 1, good = true, kind = ["a", "c"], both = "x" } }
        |                                               ^^^^^
        = help: `compiler` is one of gcc, clang
    error: [DIR]/larder.toml:23:65: there is no option `god`
        |
     23 | when = { os = "darwin", arch = [], compiler = "icc", option = { god = 1, good = true, kind = ["a", "c"], both = "x" } }
        |                                                                 ^^^
        = help: did you mean `good`?
    error: [DIR]/larder.toml:23:81: the option `good` is never `true`
        |
     23 | when = { os = "darwin", arch = [], compiler = "icc", option = { god = 1, good = true, kind = ["a", "c"], both = "x" } }
        |                                                                                 ^^^^
        = help: it is a word
    error: [DIR]/larder.toml:23:100: the option `kind` is never `c`
        |
     23 | when = { os = "darwin", arch = [], compiler = "icc", option = { god = 1, good = true, kind = ["a", "c"], both = "x" } }
        |                                                                                                    ^^^
        = help: it is a or b
    error: [DIR]/larder.toml:23:113: the option `both` is never `x`
        |
     23 | when = { os = "darwin", arch = [], compiler = "icc", option = { god = 1, good = true, kind = ["a", "c"], both = "x" } }
        |                                                                                                                 ^^^
        = help: it is true or false
    error: [DIR]/larder.toml:24:1: unknown key `defnies` in a case of library `l`
        |
     24 | defnies = ["X"]
        | ^^^^^^^
        = help: did you mean `defines`?
    error: [DIR]/larder.toml:27:26: expected a table, found string
        |
     27 | when = { any = [], not = "x", oss = "linux" }
        |                          ^^^
    error: [DIR]/larder.toml:27:31: unknown key `oss` in a condition
        |
     27 | when = { any = [], not = "x", oss = "linux" }
        |                               ^^^
        = help: did you mean `os`?
    error: [DIR]/larder.toml:30:17: expected a string or an array of strings, found integer
        |
     30 | when = { arch = 64 }
        |                 ^^
    error: [DIR]/larder.toml:31:11: `sources` cannot stand in a case of [defaults]
        |
     31 | sources = ["a.c"]
        |           ^^^^^^^
        = help: it belongs to one target: write it in a [[library]] or an [[executable]]
    "#);
}
