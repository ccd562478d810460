//! Compilers are what they execute: through scripts, and through whatever is first on `PATH`.

use std::{fs, path::Path};

use larder_testkit::{
    events::Built,
    files::set_mode,
    project::Project,
    run::run,
    tools::{path_with, require, said, which},
};

use crate::support::prints;

/// Builds with a `bin` of the package first on `PATH`.
#[track_caller]
fn build(project: &Project) -> Built {
    let mut command = project.command(&["build", "--json"]);
    command.env("PATH", path_with(&project.path("bin")));
    Built::of(&run(command).ok())
}

/// Builds the program like that. Returns what it prints.
#[track_caller]
fn printed(project: &Project) -> String {
    let mut command = project.command(&["exec", "x"]);
    command.env("PATH", path_with(&project.path("bin")));
    run(command).ok().stdout
}

const PROGRAM: &str = "[[executable]]\nname = \"x\"\nsources = [\"main.c\"]\n";

fn wrapped(scripts: &[(&str, &str)]) -> Project {
    let project = Project::cached(PROGRAM);
    project.file("main.c", prints("#ifndef V\n#define V 0\n#endif", "V"));
    for (path, text) in scripts {
        project.script(path, text);
    }
    project
}

/// A second compiler that is no script: a copy of the driver with something after its end, which the
/// loader does not look at.
fn copy_of_compiler(project: &Project, path: &str, mark: &[u8]) {
    let mut bytes = fs::read(which("gcc").canonicalize().unwrap()).unwrap();
    bytes.extend_from_slice(mark);
    project.file(path, bytes);
    set_mode(&project.path(path), 0o755);
}

/// Returns the argument that a copy of the driver needs, since it looks for its programs beside itself.
fn installed() -> String {
    let library = said("gcc", &[], "-print-libgcc-file-name".as_ref());
    let prefix = Path::new(library.trim()).ancestors().nth(3).unwrap();
    format!("export GCC_EXEC_PREFIX={}/\n", prefix.display())
}

#[test]
fn another_compiler_behind_a_script_rebuilds() {
    let project = wrapped(&[("bin/cc", &(installed() + "exec real \"$@\"\n"))]);
    copy_of_compiler(&project, "bin/real", b"one");
    assert_eq!(build(&project).built(), ["obj/x/main.c.o", "x"]);
    assert_eq!(build(&project).built(), [""; 0]);
    copy_of_compiler(&project, "bin/real", b"two");
    assert!(build(&project).built().contains(&"obj/x/main.c.o"));
}

#[test]
fn another_compiler_behind_two_scripts_rebuilds() {
    let project = wrapped(&[
        ("bin/cc", &(installed() + "exec inner \"$@\"\n")),
        ("bin/inner", "exec \"$(dirname \"$0\")/../real/gcc\" \"$@\"\n"),
    ]);
    copy_of_compiler(&project, "real/gcc", b"one");
    assert_eq!(build(&project).built(), ["obj/x/main.c.o", "x"]);
    copy_of_compiler(&project, "real/gcc", b"two");
    assert!(build(&project).built().contains(&"obj/x/main.c.o"));
}

#[test]
fn a_compiler_of_another_make_behind_a_script_rebuilds() {
    if !require("clang") {
        return;
    }
    let project = wrapped(&[("bin/cc", "exec real \"$@\"\n"), ("bin/real", "exec gcc \"$@\"\n")]);
    let made_by = "#ifdef __clang__\n#define V 2\n#else\n#define V 1\n#endif";
    project.file("main.c", prints(made_by, "V"));
    assert_eq!(printed(&project), "1\n");
    project.script("bin/real", "exec clang \"$@\"\n");
    assert_eq!(printed(&project), "2\n");
    // Nor does the store give one's objects to the other.
    let other = project.checkout();
    assert_eq!(printed(&other), "2\n");
    other.script("bin/real", "exec gcc \"$@\"\n");
    assert_eq!(printed(&other), "1\n");
}

#[test]
fn an_assembler_first_on_path_is_traced() {
    let assembler = which("as").display().to_string();
    let script = |value: u32| format!("exec {assembler} --defsym v={value} \"$@\"\n");
    let project = wrapped(&[("bin/as", &script(1))]);
    let source = "    .globl value\n    .data\nvalue:\n    .long v\n    .section .note.GNU-stack,\"\",%progbits\n";
    project.file("value.S", source);
    project.replace("larder.toml", "\"main.c\"", "\"main.c\", \"value.S\"");
    project.file("main.c", prints("extern int value;", "value"));
    assert_eq!(printed(&project), "1\n");
    project.script("bin/as", &script(2));
    assert_eq!(printed(&project), "2\n");
    let other = project.checkout();
    other.script("bin/as", &script(3));
    assert_eq!(printed(&other), "3\n");
}

#[test]
fn an_assembler_that_comes_to_be_first_on_path_is_traced() {
    let assembler = which("as").display().to_string();
    let project = wrapped(&[("bin/other", "")]);
    assert_eq!(build(&project).built(), ["obj/x/main.c.o", "x"]);
    project.script("bin/as", &format!("exec {assembler} \"$@\"\n"));
    assert!(build(&project).built().contains(&"obj/x/main.c.o"));
}

#[test]
fn a_linker_first_on_path_is_traced() {
    let linker = which("ld").display().to_string();
    let script = |value: u32| format!("exec {linker} --defsym=v={value} \"$@\"\n");
    let project = wrapped(&[("bin/ld", &script(1))]);
    project.file("main.c", prints("extern char v;", "(int)(long)&v"));
    project.replace("larder.toml", "sources", "link-args = [\"-no-pie\"]\nsources");
    assert_eq!(printed(&project), "1\n");
    project.script("bin/ld", &script(2));
    assert_eq!(printed(&project), "2\n");
    let other = project.checkout();
    other.script("bin/ld", &script(3));
    assert_eq!(printed(&other), "3\n");
}
