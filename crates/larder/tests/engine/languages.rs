//! Everything that can be built: C++, assembly, dependencies, shared libraries, generated files,
//! directories.

use std::fs;

use insta::assert_snapshot;

use larder_testkit::{
    files::{copy_tree, walk},
    project::{PACKAGE, Project},
    run::run,
};

#[test]
fn c_cxx_and_both_kinds_of_assembly() {
    let project = Project::new(
        "[[executable]]\nname = \"x\"\nsources = [\"src/*\"]\nincludes = [\"include\"]\ntrace-args = [\"-O1\"]\n",
    );
    project
        .file("include/n.h", "#define N 4\n")
        .file("src/main.cpp", "#include <vector>\n#include <stdexcept>\nextern \"C\" { int c(void); extern int plain, cooked; }\nint main() { std::vector<int> v{c(), plain, cooked}; try { throw std::runtime_error(\"x\"); } catch (std::exception &) { return v[0] + v[1] + v[2]; } }\n")
        .file("src/c.c", "int c(void) { return 10; }\n")
        .file("src/plain.s", "    .data\n    .globl plain\nplain:\n    .long 20\n    .section .note.GNU-stack,\"\"\n")
        .file("src/cooked.S", "#include <n.h>\n    .data\n    .globl cooked\ncooked:\n    .long N\n    .section .note.GNU-stack,\"\"\n")
        .file("src/notes.txt", "not a source\n");
    assert_eq!(project.build().built().len(), 5);
    project.larder(&["exec", "x"]).ends_with(34);
    project.file("include/n.h", "#define N 5\n");
    assert_eq!(project.build().built(), ["obj/x/src/cooked.S.o", "x"]);
    project.larder(&["exec", "x"]).ends_with(35);
}

/// A program, and beside it the package it depends on.
fn with_dependency(libraries: &str, kind: &str) -> Project {
    let project = Project::new(&format!(
        "[dependencies]\nz = {{ path = \"../z\" }}\n\n[[executable]]\nname = \"x\"\nsources = [\"x.c\"]\nlibraries = [{libraries}]\n"
    ));
    project.file("x.c", "#include <z.h>\n#include <stdio.h>\nint main(void) { printf(\"%d %s\\n\", z(), where()); return 0; }\n");
    let manifest = format!(
        "[[library]]\nname = \"zz\"\nkind = [{kind}]\nsources = [\"src/*.c\"]\nincludes = [\"include\"]\n"
    );
    project
        .file("../z/larder.toml", format!("{}{manifest}", PACKAGE.replace("\"p\"", "\"z\"")))
        .file("../z/include/z.h", "#define Z 1\nint z(void);\nstatic inline const char *where(void) { return __FILE__; }\n")
        .file("../z/src/z.c", "#include <z.h>\nint z(void) { return Z; }\n");
    project
}

#[test]
fn the_headers_of_a_dependency_reach_whoever_links_it() {
    let project = with_dependency("\"z/zz\"", "\"static\"");
    let built = project.build();
    assert_eq!(built.built(), ["libzz.a", "obj/libzz/src/z.c.o", "obj/x/x.c.o", "x"]);
    assert!(project.output("@z/libzz.a").exists());
    let first = project.larder(&["exec", "x"]).ok().stdout;
    assert_eq!(project.build().built(), [""; 0]);
    project.file("../z/include/z.h", project.read("../z/include/z.h").replace("Z 1", "Z 2"));
    assert_snapshot!(project.larder(&["why"]).ok().stdout, @r"
    @z/include/z.h changed: 1 out of date: obj/x/x.c.o
    include/z.h changed: 1 out of date: obj/libzz/src/z.c.o
    and what needs them: @z/zz:static, x:exe
    ");
    assert!(project.build().built().contains(&"obj/x/x.c.o"));
    assert_eq!(project.larder(&["exec", "x"]).ok().stdout, first.replacen('1', "2", 1));
    project.larder(&["build", "@z/zz:o", "@z"]).ok();
}

#[test]
fn a_workspace_that_has_moved_comes_out_the_same() {
    let project = with_dependency("\"z/zz\"", "\"static\"");
    project.build();
    let moved = Project::new("");
    fs::remove_dir_all(&moved.root).unwrap();
    copy_tree(&project.root, &moved.root);
    copy_tree(&project.path("../z"), &moved.path("../z"));
    assert_eq!(moved.build().built(), [""; 0]);
    fs::remove_dir_all(moved.path(".larder")).unwrap();
    moved.build();
    assert_eq!(moved.dep_hashes(), project.dep_hashes());
    assert!(moved.outputs() == project.outputs(), "the paths of the dependency are in the outputs");
}

#[test]
fn shared_libraries_are_found_when_the_program_starts() {
    let project = with_dependency("\"own\", \"z/zz\"", "\"shared\"");
    let manifest = project.read("larder.toml");
    project.file("larder.toml", format!("{manifest}\n[[library]]\nname = \"own\"\nkind = [\"shared\"]\nsources = [\"own.c\"]\nlibraries = [\"z/zz\"]\n"));
    project.file("own.c", "#include <z.h>\nint own(void) { return z() + 1; }\n");
    project.file("x.c", "int own(void);\nint main(void) { return own(); }\n");
    project.build();
    project.larder(&["exec", "x"]).ends_with(2);
    // Wherever the build directory goes, as long as it goes as a whole.
    let moved = project.path("../moved");
    fs::rename(project.path(".larder/build"), &moved).unwrap();
    let mut command = std::process::Command::new(moved.join("x"));
    assert_eq!(command.status().unwrap().code(), Some(2));
}

#[test]
fn dependencies_that_are_not_right() {
    let project = with_dependency("\"z/zz\"", "\"static\"");
    let manifest = project.read("larder.toml");
    project.file("larder.toml", manifest.replace("z = {", "zlib = {").replace("z/zz", "zlib/zz"));
    assert_snapshot!(project.redact(&project.larder(&["build"]).ends_with(2).stderr), @r#"
    error: [DIR]/larder.toml:5:1: the dependency `zlib` is called `z` by its own manifest, [TMP]/z/larder.toml
       |
     5 | zlib = { path = "../z" }
       | ^^^^
    "#);
    project.file("larder.toml", manifest.replace("../z", "../gone"));
    assert_snapshot!(project.redact(&project.larder(&["build"]).ends_with(2).stderr), @r#"
    error: [DIR]/larder.toml:5:1: cannot find the dependency `z` at ../gone: No such file or directory
       |
     5 | z = { path = "../gone" }
       | ^
    "#);
}

const GENERATED: &str = r#"
[[command]]
name = "table"
inputs = ["numbers.txt"]
text = true
outputs = ["generated/table.c", "generated/table.h"]
run = ["sh", "generate.sh", "{in}", "{outdir}/generated"]

[[executable]]
name = "x"
sources = ["x.c", "SOURCE"]
inputs = INPUTS
includes = ["{build}/generated"]
"#;

#[test]
fn sources_and_headers_that_a_command_makes() {
    for (source, inputs) in [
        ("{table}", "[]"),
        ("{build}/generated/table.c", "[]"),
        ("{build}/generated/table.c", "[\"{build}/generated/table.h\"]"),
    ] {
        let project = Project::new(&GENERATED.replace("SOURCE", source).replace("INPUTS", inputs));
        project
            .file("numbers.txt", "7\n")
            .file("generate.sh", "echo \"int table = $(cat $1);\" > $2/table.c\necho \"extern int table;\" > $2/table.h\n")
            .file("x.c", "#include \"table.h\"\nint main(void) { return table; }\n");
        project.build();
        project.larder(&["exec", "x"]).ends_with(7);
        assert_eq!(project.build().built(), [""; 0], "{source}");
        project.file("numbers.txt", "8\n");
        let built = project.build();
        assert!(built.built().contains(&"obj/x/_build/generated/table.c.o"), "{built:?}");
        // Only the header it read counts for the other source, and that is as it was.
        project.larder(&["exec", "x"]).ends_with(8);
        project.file("numbers.txt", "8\r\n");
        assert_eq!(project.build().built(), [""; 0]);
    }
}

#[test]
fn placeholders_that_make_no_sense() {
    let refused = |source: &str| {
        let project = Project::new(&GENERATED.replace("SOURCE", source).replace("INPUTS", "[]"));
        project.file("numbers.txt", "7\n").file("x.c", "");
        project.redact(&project.larder(&["build"]).ends_with(2).stderr)
    };
    assert_snapshot!(refused("{build}/generated/tabel.c"), @r#"
    error: [DIR]/larder.toml:14:19: no target of this package makes `generated/tabel.c` in the build directory
        |
     14 | sources = ["x.c", "{build}/generated/tabel.c"]
        |                   ^^^^^^^^^^^^^^^^^^^^^^^^^^^
        = help: did you mean {build}/generated/table.c?
    "#);
    assert_snapshot!(refused("{build}/generated/table.h"), @r#"
    error: [DIR]/larder.toml:14:19: `{build}/generated/table.h` makes no sources
        |
     14 | sources = ["x.c", "{build}/generated/table.h"]
        |                   ^^^^^^^^^^^^^^^^^^^^^^^^^^^
        = help: sources end in .c, .cc, .cpp, .cxx, .c++, .C, .S, .sx or .s
    "#);
    assert_snapshot!(refused("sub/{table}"), @r#"
    error: [DIR]/larder.toml:14:19: `sub/{table}` mixes a path and a placeholder
        |
     14 | sources = ["x.c", "sub/{table}"]
        |                   ^^^^^^^^^^^^^
        = help: write a path or pattern in the package, {TARGET} for what a target makes, or {build}/PATH for one of its outputs
    "#);
    assert_snapshot!(refused("{x}"), @r#"
    error: [DIR]/larder.toml:14:19: `{x}` makes no sources
        |
     14 | sources = ["x.c", "{x}"]
        |                   ^^^^^
        = help: sources are generated by [[command]] targets
    "#);
}

#[test]
fn one_output_among_many_as_input() {
    let project = Project::new(
        r#"
[[command]]
name = "two"
inputs = ["in"]
outputs = ["a", "b"]
run = ["sh", "-c", "cut -c1 < in > $0; cut -c2 < in > $1", "{outs}"]

[[command]]
name = "copy"
inputs = ["{build}/b"]
outputs = ["c"]
run = ["cp", "{in}", "{out}"]
"#,
    );
    project.file("in", "12\n");
    assert_eq!(project.build().built(), ["a", "c"]);
    project.file("in", "22\n");
    assert_eq!(project.build().built(), ["a"], "b is as it was");
    project.file("in", "23\n");
    assert_eq!(project.build().built(), ["a", "c"]);
    assert_eq!(fs::read_to_string(project.output("c")).unwrap(), "3\n");
}

#[test]
fn directories_as_outputs() {
    let project = Project::new(
        r#"
[[command]]
name = "site"
inputs = ["page"]
outputs = ["site/"]
run = ["sh", "-c", "mkdir -p $0/deep/empty; cp page $0/deep/page; cp page $0/run; chmod +x $0/run", "{out}"]

[[command]]
name = "list"
inputs = ["{site}"]
outputs = ["list"]
run = ["sh", "-c", "(cd $1 && find . | sort) > $0", "{out}", "{in}"]
"#,
    );
    project.file("page", "one\n");
    assert_eq!(project.build().built(), ["list", "site"]);
    let listed = ".\n./deep\n./deep/empty\n./deep/page\n./run\n";
    assert_eq!(fs::read_to_string(project.output("list")).unwrap(), listed);
    assert_eq!(project.build().built(), [""; 0]);
    let spoil: [(&str, &dyn Fn()); 3] = [
        ("a file is gone", &|| fs::remove_file(project.output("site/run")).unwrap()),
        ("an empty directory is gone", &|| {
            fs::remove_dir(project.output("site/deep/empty")).unwrap()
        }),
        ("all is gone", &|| fs::remove_dir_all(project.output("site")).unwrap()),
    ];
    for (what, spoil) in spoil {
        for index in [true, false] {
            spoil();
            if !index {
                project.remove(".larder/index");
            }
            assert_eq!(project.build().built(), ["site"], "{what}");
        }
    }
    project.file("page", "two\n");
    assert_eq!(project.build().built(), ["list", "site"]);
    // A file that is not made any more is not left behind.
    let manifest = project.read("larder.toml");
    project.file("larder.toml", manifest.replace("mkdir -p $0/deep/empty", "mkdir -p $0/deep"));
    project.build();
    assert!(!project.output("site/deep/empty").exists());
}

#[test]
fn environment_that_is_passed_is_traced_and_not_told() {
    let project = Project::new(
        r#"
[[command]]
name = "a"
outputs = ["a"]
run = ["sh", "-c", "printf %s \"$TOKEN\" | wc -c > $0; env | cut -d= -f1 | sort > $1", "{out}", "{tmp}/names"]
env = { VISIBLE = "1" }
pass-env = ["TOKEN"]
"#,
    );
    let build = |token: Option<&str>| {
        let mut command = project.command(&["build", "--json"]);
        command.env_remove("TOKEN").env("OTHER", "not passed");
        command.envs(token.map(|token| ("TOKEN", token)));
        run(command).ok()
    };
    let secret = "pa55-phrase-of-somebody";
    let told = build(Some(secret)).stdout;
    assert!(told.contains("\"built\"") && !told.contains(secret), "{told}");
    assert_eq!(fs::read_to_string(project.output("a")).unwrap().trim(), secret.len().to_string());
    assert!(build(Some(secret)).stdout.contains("\"replayed\""));
    let mut files = 0;
    walk(&project.path(".larder"), &mut |path, file| {
        files += 1;
        let bytes = fs::read(file).unwrap();
        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "{path} holds the secret");
    });
    assert!(files > 3);
    assert!(build(Some("another")).stdout.contains("pass-env TOKEN changed"));
    assert!(build(None).stdout.contains("\"built\""));
    assert!(build(Some("")).stdout.contains("\"built\""), "empty is not unset");
}

#[test]
fn commands_see_a_small_environment() {
    let project = Project::new(
        "[[command]]\nname = \"a\"\noutputs = [\"a\"]\nrun = [\"/usr/bin/env\"]\nenv = { VISIBLE = \"1\" }\n",
    );
    let mut command = project.command(&["build"]);
    command.env("NOISE", "1").env("LANG", "de_DE.UTF-8");
    let said = run(command).ends_with(1).stderr;
    let names: Vec<&str> = said.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    let mut names: Vec<&str> = names
        .into_iter()
        .filter(|name| name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
        .collect();
    names.sort();
    assert_eq!(names, ["HOME", "LC_ALL", "MAKEFLAGS", "PATH", "TMPDIR", "VISIBLE"]);
}

#[test]
fn changed_environment_and_program_rebuild() {
    let project = Project::new(
        "[[command]]\nname = \"a\"\noutputs = [\"a\"]\nrun = [\"./tool\", \"{out}\"]\nenv = { MODE = \"1\" }\n",
    );
    project.script("tool", "echo $MODE > $1\n");
    project.build();
    assert_eq!(project.build().built(), [""; 0]);
    project.file("larder.toml", project.read("larder.toml").replace("\"1\"", "\"2\""));
    assert_eq!(project.build().built(), ["a"]);
    project.script("tool", "echo new $MODE > $1\n");
    assert_eq!(project.build().built(), ["a"]);
    assert_eq!(fs::read_to_string(project.output("a")).unwrap(), "new 2\n");
}

/// A Lean installation made of shell scripts around the C compiler.
fn install_lean(project: &Project, version: &str, own_archiver: bool) {
    let calls = project.path("calls");
    let calls = calls.display();
    let prefix = project.path("lean");
    project.script("lean/bin/lean", &format!("echo \"lean $1\" >> {calls}\ncase $1 in --print-prefix) echo {};; --version) echo 'Lean (version {version})';; *) exit 1;; esac\n", prefix.display()));
    project.script("lean/bin/leanc", &format!("echo leanc >> {calls}\nexec cc -DLEANC \"$@\"\n"));
    if own_archiver {
        project.script("lean/bin/llvm-ar", &format!("echo llvm-ar >> {calls}\nexec ar \"$@\"\n"));
    }
}

#[test]
fn a_lean_toolchain() {
    let project = Project::new(
        "[toolchain]\nkind = \"lean\"\n\n[[library]]\nname = \"f\"\nkind = [\"static\", \"shared\"]\nsources = [\"f.c\"]\n\n[[executable]]\nname = \"x\"\nsources = [\"x.c\"]\nlibraries = [\"f\"]\n",
    );
    project.file("f.c", "#ifndef LEANC\n#error not by leanc\n#endif\nint f(void) { return 6; }\n");
    project.file("x.c", "int f(void);\nint main(void) { return f(); }\n");
    install_lean(&project, "4.1.0", true);
    let larder = |name: &str, value: std::ffi::OsString, arguments: &[&str]| {
        let mut command = project.command(arguments);
        command.env(name, value);
        run(command)
    };
    let by_sysroot = |arguments: &[&str]| {
        larder("LEAN_SYSROOT", project.path("lean").into_os_string(), arguments)
    };
    let by_path = |arguments: &[&str]| {
        let mut path = project.path("lean/bin").into_os_string();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap());
        larder("PATH", path, arguments)
    };
    let calls = || {
        let calls = project.read("calls");
        project.remove("calls");
        calls
    };
    by_sysroot(&["build"]).ok();
    by_sysroot(&["exec", "x"]).ends_with(6);
    let first = calls();
    for call in ["lean --version", "leanc", "llvm-ar"] {
        assert!(first.contains(call), "{first}");
    }
    assert!(project.read(".larder/build/x.trace").contains("Lean (version 4.1.0)"));
    // Found in another way, it is the same Lean. What it says of itself is asked once.
    larder_testkit::wait::wait_until("the index trusts the tools", || {
        let run = by_path(&["build", "--no-build"]).ok();
        assert!(run.stderr.contains("5 up to date"), "{}", run.stderr);
        by_path(&["build"]).ok();
        !project.path("calls").exists() || calls().is_empty()
    });
    // Another version is another toolchain; without an archiver of its own the system's is used.
    fs::remove_dir_all(project.path("lean")).unwrap();
    install_lean(&project, "4.2.0", false);
    let why = by_sysroot(&["why", "f:o"]).ok().stdout;
    assert!(why.contains("lean lean changed") && why.contains("(version 4.2.0)"), "{why}");
    by_sysroot(&["build"]).ok();
    let second = calls();
    assert!(second.contains("leanc") && !second.contains("llvm-ar"), "{second}");
}
