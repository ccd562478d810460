//! Packages whose toolchain counts by name: what still decides, and what does not any more.

use std::fs;

use larder_testkit::{
    events::Built,
    project::Project,
    run::{Run, larder, run},
    tools::path_with,
};

use crate::support::prints;

const FIXED: &str = "fixed-toolchain = true\n";
const PROGRAM: &str = "[[library]]\nname = \"l\"\nsources = [\"l.c\"]\n\
                       [[executable]]\nname = \"x\"\nsources = [\"main.c\"]\nlibraries = [\"l\"]\n";

/// Every step of [`PROGRAM`].
const ALL: [&str; 4] = ["libl.a", "obj/libl/l.c.o", "obj/x/main.c.o", "x"];

/// A package that uses `cc` and `ar` on `PATH`.
fn package(head: &str) -> Project {
    let project = Project::cached(&format!("{head}{PROGRAM}"));
    project.file("l.c", "int l(void) { return 1; }\n");
    project.file("main.c", prints("int l(void);", "l()"));
    project
}

/// Has the `cc` of a machine answer `-v` as `sed` changes it, and be of other bytes than any other.
fn compiler(project: &Project, machine: &str, sed: &str) {
    let text = format!(
        "# that of {machine}\ncase $1 in\n\
         -v) {{ gcc \"$@\" 2>&1 >&3 | sed -e '{sed}' >&2; }} 3>&1;;\n\
         *) exec gcc \"$@\";;\nesac\n"
    );
    project.script(&format!("{machine}/cc"), &text);
}

/// Has the `ar` of a machine say that it is of `version`.
fn archiver(project: &Project, machine: &str, version: &str) {
    let text = format!(
        "# that of {machine}\ncase $1 in --version) echo 'ar {version}';; *) exec /usr/bin/ar \"$@\";; esac\n"
    );
    project.script(&format!("{machine}/ar"), &text);
}

/// Runs larder in `project` with the tools of one of its machines first on `PATH`.
fn larder_on(project: &Project, machine: &str, arguments: &[&str]) -> Run {
    let mut command = project.command(arguments);
    run(command.env("PATH", path_with(&project.path(machine))))
}

#[track_caller]
fn build(project: &Project, machine: &str) -> Built {
    Built::of(
        &larder_on(project, machine, &["build", "--json", "x", "l:static", "l:o", "x:o"]).ok(),
    )
}

#[test]
fn a_toolchain_of_other_bytes_and_the_same_name_is_the_same() {
    for (head, same) in [(FIXED, true), ("", false)] {
        let project = package(head);
        for machine in ["one", "two"] {
            compiler(&project, machine, "");
            archiver(&project, machine, "1");
        }
        assert_eq!(build(&project, "one").built(), ALL);
        let there = project.checkout();
        let built = build(&there, "two");
        let expected = if same { "restored" } else { "built" };
        assert_eq!(built.with(expected), ALL, "{built:?}");
        assert_eq!(there.dep_hashes() == project.dep_hashes(), same);
    }
}

#[test]
fn another_version_of_one_tool_is_another_toolchain() {
    let project = package(FIXED);
    compiler(&project, "one", "");
    archiver(&project, "one", "1");
    build(&project, "one");
    let built_with = |sed: &str, version: &str| {
        let there = project.checkout();
        compiler(&there, "two", sed);
        archiver(&there, "two", version);
        let built = build(&there, "two");
        built.built().into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(built_with("", "1"), [""; 0]);
    assert_eq!(built_with("", "2"), ["libl.a"]);
    let compiled = ["obj/libl/l.c.o", "obj/x/main.c.o", "x"];
    assert_eq!(built_with("s/gcc version [0-9.]*/gcc version 99.1.0/", "1"), compiled);
    // Of the same version, and set up to do something else: `-march=native` is of this kind.
    assert_eq!(built_with("s/-mtune=[^ ]*/-mtune=other/", "1"), compiled);
    // How it was built is what the author vouches for.
    assert_eq!(built_with("s/^Configured with:.*/Configured with: --other/", "1"), [""; 0]);
}

#[test]
fn what_a_compile_reads_counts_as_ever() {
    let project = package(FIXED);
    project.file("main.c", "#include \"main.h\"\nint l(void);\nint main(void) { return X; }\n");
    project.file("main.h", "#define X 0\n");
    compiler(&project, "one", "");
    archiver(&project, "one", "1");
    build(&project, "one");
    project.file("main.h", "#define X 1\n");
    assert_eq!(build(&project, "one").built(), ["obj/x/main.c.o", "x"]);
    // So do the files that the manifest names as parts of the toolchain.
    project.file("plugin", "one");
    project.replace(
        "larder.toml",
        "[[library]]",
        "[toolchain]\nparts = [\"./plugin\"]\n[[library]]",
    );
    build(&project, "one");
    project.file("plugin", "two");
    assert!(build(&project, "one").built().contains(&"obj/x/main.c.o"));
}

#[test]
fn a_tool_that_does_not_say_who_it_is_has_no_name() {
    let project = package(FIXED);
    archiver(&project, "one", "1");
    project.script("one/cc", "case $1 in -v|-dumpmachine) exit 1;; *) exec gcc \"$@\";; esac\n");
    let said = larder_on(&project, "one", &["build"]);
    assert_ne!(said.code, Some(0));
    said.says("`cc` does not say its version").says("fixed-toolchain");
    compiler(&project, "one", "");
    project.script("one/ar", "case $1 in --version) exit 1;; *) exec /usr/bin/ar \"$@\";; esac\n");
    let said = larder_on(&project, "one", &["build"]);
    assert_ne!(said.code, Some(0));
    said.says("`ar` does not say its version");
    // Nothing else is asked of either.
    project.replace("larder.toml", FIXED, "");
    larder_on(&project, "one", &["build"]).ok();
}

#[test]
fn a_script_for_an_archiver_is_asked_again() {
    let project = package(FIXED);
    compiler(&project, "one", "");
    project.script(
        "one/ar",
        "case $1 in --version) exec \"$(dirname \"$0\")/inner\";; *) exec /usr/bin/ar \"$@\";; esac\n",
    );
    project.script("one/inner", "echo 1\n");
    build(&project, "one");
    project.script("one/inner", "echo 2\n");
    assert_eq!(build(&project, "one").built(), ["libl.a"]);
}

/// A Lean installation that says this version, of other bytes than any other.
fn install_lean(project: &Project, machine: &str, version: &str) {
    let prefix = format!("{machine}/lean");
    project.script(
        &format!("{prefix}/bin/lean"),
        &format!(
            "# that of {machine}\ncase $1 in\n--version) echo 'Lean (version {version}, on-{machine}, Release)';;\n\
             *) cat \"$1\" > \"$2\";;\nesac\n"
        ),
    );
    project
        .script(&format!("{prefix}/bin/leanc"), &format!("# that of {machine}\nexec cc \"$@\"\n"));
}

#[test]
fn lean_is_called_what_lean_toolchain_says_and_its_version() {
    let manifest = "platform-independent = true\nfixed-toolchain = true\n[toolchain]\nkind = \"lean\"\n\
                    [[command]]\nname = \"olean\"\ninputs = [\"a.lean\"]\noutputs = [\"a.olean\"]\n\
                    run = [\"lean\", \"{in}\", \"{out}\"]\n\
                    [[library]]\nname = \"l\"\nsources = [\"l.c\"]\n";
    let project = Project::cached(manifest);
    project.file("a.lean", "a\n").file("l.c", "int l;\n").file("lean-toolchain", "lean4:v4.9.0\n");
    install_lean(&project, "one", "4.9.0");
    let build = |project: &Project, machine: &str| {
        let mut command = project.command(&["build", "--json", "olean", "l:o"]);
        let prefix = project.path(&format!("{machine}/lean"));
        command.env("LEAN_SYSROOT", &prefix).env("PATH", path_with(&prefix.join("bin")));
        Built::of(&run(&mut command).ok())
    };
    let all = ["a.olean", "obj/libl/l.c.o"];
    assert_eq!(build(&project, "one").built(), all);
    let elsewhere = |version: &str, name: &str| {
        let there = project.checkout();
        fs::remove_dir_all(there.path("one")).unwrap();
        install_lean(&there, "two", version);
        there.file("lean-toolchain", name);
        let built = build(&there, "two");
        built.built().into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(elsewhere("4.9.0", "lean4:v4.9.0"), [""; 0]);
    assert_eq!(elsewhere("4.9.1", "lean4:v4.9.0"), all);
    assert_eq!(elsewhere("4.9.0", "lean4:v4.9.0-fork"), all);
}

#[test]
fn a_bake_is_of_a_toolchain_with_this_name() {
    for (head, same) in [(FIXED, true), ("", false)] {
        let project = package(head);
        compiler(&project, "one", "");
        archiver(&project, "one", "1");
        let offline = project.path("../offline");
        larder_on(&project, "one", &["cache", "bake", offline.to_str().unwrap()]).ok();
        let there = project.elsewhere();
        compiler(&there, "two", "");
        archiver(&there, "two", "1");
        let built = |there: &Project, machine: &str| {
            let mut command = larder(&there.root, &there.cache, &["build"]);
            command.env("LARDER_OFFLINE_STORE", &offline);
            run(command.env("PATH", path_with(&there.path(machine)))).ok().stderr
        };
        // A miss of one source tells of the whole store, if there is anything to tell.
        there.file("l.c", "int l(void) { return 2; }\n");
        let said = built(&there, "two");
        assert_eq!(!said.contains("was baked with another toolchain"), same, "{said}");
        there.forget();
        compiler(&there, "two", "s/gcc version [0-9.]*/gcc version 99.1.0/");
        there.file("l.c", "int l(void) { return 3; }\n");
        let said = built(&there, "two");
        assert!(said.contains("was baked with another toolchain: "), "{said}");
    }
}
