//! Sources for an assembler that the manifest names: NASM, and GNU as.

use std::{fs, process::Command};

use larder_testkit::{
    events::Built,
    project::Project,
    run::run,
    tools::{path_with, which},
};

/// A program with a function in assembly, which includes a file and holds the bytes of another.
const NASM: &str = r#"
[toolchain]
asm = "nasm"

[[executable]]
name = "x"
sources = ["main.c", "src/*"]
includes = ["inc"]
defines = ["MORE=30"]
"#;

fn nasm() -> Project {
    let project = Project::cached(NASM);
    project.file(
        "main.c",
        "#include <stdio.h>\nextern int f(void);\nint main(void) { printf(\"%d\\n\", f()); return 0; }\n",
    );
    project.file(
        "src/f.asm",
        "%include \"value.inc\"\nsection .text\nglobal f\nf:\n  mov eax, VALUE + MORE\n  movzx ecx, byte [rel bytes]\n  \
         add eax, ecx\n  ret\nsection .rodata\nbytes: incbin \"src/data.bin\"\nsection .note.GNU-stack noalloc noexec nowrite progbits\n",
    );
    project.file("inc/value.inc", "%include \"deep.inc\"\n%define VALUE DEEP\n");
    project.file("inc/deep.inc", "%define DEEP 7\n");
    project.file("src/data.bin", "\u{1}");
    project.file("src/notes.txt", "no source\n");
    project
}

fn printed(project: &Project) -> i32 {
    let output = Command::new(project.output("x")).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}

#[test]
fn what_an_assembler_reads_is_traced() {
    let project = nasm();
    let built = project.build();
    assert!(built.complaints.is_empty(), "{built:?}");
    assert_eq!(printed(&project), 38);
    project.build().all("replayed");
    const AGAIN: [&str; 2] = ["obj/x/src/f.asm.o", "x"];
    project.file("inc/deep.inc", "%define DEEP 8\n");
    assert_eq!(project.build().built(), AGAIN);
    assert_eq!(printed(&project), 39);
    project.file("src/data.bin", "\u{3}");
    assert_eq!(project.build().built(), AGAIN);
    assert_eq!(printed(&project), 41);
    // What would be found first counts where it appears: in the directory that the assembler runs in.
    project.file("value.inc", "%define VALUE 50\n");
    assert_eq!(project.build().built(), AGAIN);
    assert_eq!(printed(&project), 83);
    project.remove("value.inc");
    let built = project.build();
    assert!(built.built().is_empty(), "{}", built.all);
    assert_eq!(printed(&project), 41);
    project.larder(&["build", "--no-build"]).ok();
    // Another checkout has nothing to assemble.
    let checkout = project.checkout();
    let built = checkout.build();
    assert!(built.built().is_empty(), "{}", built.all);
    assert_eq!(printed(&checkout), 41);
}

#[test]
fn arguments_are_those_for_assembly() {
    let project = nasm();
    project.replace(
        "larder.toml",
        "includes =",
        "trace-args = [\"-O2\", \"-march=x86-64\"]\nwarnings = [\"all\"]\nasm-args = [\"-DMORE=40\"]\nincludes =",
    );
    project.build();
    assert_eq!(printed(&project), 48);
    project.replace("larder.toml", "[\"-O2\", \"-march=x86-64\"]", "[\"-O1\"]");
    assert!(!project.build().built().contains(&"obj/x/src/f.asm.o"));
    project.replace(
        "larder.toml",
        "includes =",
        "source-args = { \"src/f.asm\" = [\"-UMORE\", \"-DMORE=50\"] }\nincludes =",
    );
    assert_eq!(project.build().built(), ["obj/x/src/f.asm.o", "x"]);
    assert_eq!(printed(&project), 58);
    let mut command = project.command(&["build"]);
    run(command.env("CFLAGS", "-g0 -O1")).ok();
    // Profiles have arguments of compilers, too.
    project.larder(&["build", "--profile", "debug"]).ok();
    project.replace("larder.toml", "asm = \"nasm\"", "asm = [\"nasm\", \"-felf64\", \"-w+all\"]");
    assert_eq!(project.build().built()[0], "obj/x/src/f.asm.o");
}

#[test]
fn an_assembler_is_known_by_its_content() {
    let project = nasm();
    let bin = project.root.with_extension("bin");
    fs::create_dir(&bin).unwrap();
    let assembler = bin.join("nasm");
    let real = which("nasm");
    let script = |comment: &str| {
        let text = format!("exec {} \"$@\" # {comment}\n", real.display());
        larder_testkit::files::script(&assembler, &text);
    };
    let build = || {
        let mut command = project.command(&["build", "--json"]);
        let built = Built::of(&run(command.env("PATH", path_with(&bin))).ok());
        built.built().contains(&"obj/x/src/f.asm.o")
    };
    script("one");
    assert!(build());
    assert!(!build());
    script("two");
    assert!(build());
    let key = |path: &str| {
        let mut command = project.command(&["ci", "key"]);
        run(command.env("PATH", path)).ok().stdout
    };
    let before = key(&path_with(&bin));
    script("three");
    assert_ne!(key(&path_with(&bin)), before);
}

#[test]
fn debug_information_is_of_one_checkout() {
    let project = nasm();
    project.replace(
        "larder.toml",
        "includes =",
        "asm-args = [\"-g\", \"-F\", \"dwarf\"]\nincludes =",
    );
    project.build();
    project.build().all("replayed");
    // NASM writes the directory into the object, so another checkout has one of its own.
    let checkout = project.checkout();
    assert_eq!(checkout.build().built(), ["obj/x/src/f.asm.o", "x"]);
    let object = fs::read(checkout.output("obj/x/src/f.asm.o")).unwrap();
    let directory = checkout.root.to_str().unwrap().as_bytes().to_owned();
    assert!(object.windows(directory.len()).any(|part| part == directory));
}

#[test]
fn gnu_as_assembles_too() {
    let project = nasm();
    project.remove("src/f.asm");
    project.file(
        "src/g.nasm",
        "    .include \"value.inc\"\n    .text\n    .globl f\nf:\n    mov $VALUE, %eax\n    ret\n    .section .note.GNU-stack,\"\"\n",
    );
    project.file("inc/value.inc", "    .set VALUE, 5\n");
    project.replace("larder.toml", "asm = \"nasm\"", "asm = \"as\"");
    project.replace("larder.toml", "defines = [\"MORE=30\"]", "asm-args = [\"-g\"]");
    project.build();
    assert_eq!(printed(&project), 5);
    project.file("inc/value.inc", "    .set VALUE, 6\n");
    assert_eq!(project.build().built(), ["obj/x/src/g.nasm.o", "x"]);
    assert_eq!(printed(&project), 6);
    let checkout = project.elsewhere();
    checkout.build();
    assert!(checkout.outputs()["obj/x/src/g.nasm.o"] == project.outputs()["obj/x/src/g.nasm.o"]);
}

#[test]
fn commands_make_assembly() {
    let project = nasm();
    project.remove("src/f.asm");
    project.replace(
        "larder.toml",
        "[[executable]]",
        "[[command]]\nname = \"gen\"\ninputs = [\"f.in\"]\noutputs = [\"f.asm\"]\nrun = [\"cp\", \"{in}\", \"{out}\"]\n\n[[executable]]",
    );
    project.replace("larder.toml", "\"src/*\"", "\"{gen}\"");
    project
        .file("f.in", "%include \"deep.inc\"\nsection .text\nglobal f\nf:\n mov eax, DEEP\n ret\n");
    project.build();
    assert_eq!(printed(&project), 7);
    project.replace("larder.toml", "asm = \"nasm\"", "");
    let run = project.larder(&["build"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("[toolchain] asm = \"nasm\""), "{}", run.stderr);
}

#[test]
fn an_error_in_assembly_is_a_failure() {
    let project = nasm();
    project.file("inc/deep.inc", "%error broken\n");
    let run = project.larder(&["build"]);
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("broken"), "{}", run.stderr);
    assert!(!project.output("obj/x/src/f.asm.o").exists());
}

#[test]
fn mistakes_about_assemblers_are_told() {
    for (from, to, expected) in [
        ("asm = \"nasm\"", "", "[toolchain] asm = \"nasm\""),
        ("asm = \"nasm\"", "asm = \"\"", "`asm` names no program"),
        ("asm = \"nasm\"", "asm = []", "`asm` names no program"),
        ("asm = \"nasm\"", "asm = 3", "expected a string"),
        ("asm = \"nasm\"", "asm = \"no-such-nasm\"", "`no-such-nasm` was not found on PATH"),
        ("asm = \"nasm\"", "asm = \"cc\"", "says neither NASM nor GNU assembler"),
        (
            "asm = \"nasm\"",
            "asm = [\"nasm\", \"-o\", \"x\"]",
            "cannot be an argument of the assembler",
        ),
        ("asm = \"nasm\"", "asn = \"nasm\"", "did you mean `asm`?"),
        ("includes", "asm-args = [\"-MD\"]\nincludes", "cannot be a compiler argument here"),
    ] {
        let project = nasm();
        project.replace("larder.toml", "\"src/*\"", "\"src/f.asm\"");
        project.replace("larder.toml", from, to);
        let run = project.larder(&["build"]);
        assert_eq!(run.code, Some(2), "{to}: {}", run.stderr);
        assert!(run.stderr.contains(expected), "{to}: {}", run.stderr);
    }
    // What was no source before is none as long as nobody assembles it.
    let project = nasm();
    project.replace("larder.toml", "asm = \"nasm\"", "");
    project.file("src/f.c", "int f(void) { return 1; }\n");
    project.build();
    assert_eq!(printed(&project), 1);
}
