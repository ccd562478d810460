//! Inputs are read byte for byte, and recorded as they were when they were read.

use larder_testkit::{
    files::{replace_keeping_time, write_keeping_time},
    project::Project,
};

use crate::support::{WAITS, aside, back, build_and_settle, build_while, made, printed, prints};

/// A program that prints the bytes of `blob.bin`, which its assembler takes in.
fn incbin(inputs: &str) -> Project {
    let manifest = format!(
        "[[executable]]\nname = \"x\"\nsources = [\"main.c\", \"blob.S\"]\ninputs = [{inputs}]\n"
    );
    let project = Project::cached(&manifest);
    project.file("blob.bin", "a\n").file("notes.txt", "a\n");
    project.file("blob.S", "    .section .rodata\n    .globl blob, blob_end\nblob:\n    .incbin \"blob.bin\"\nblob_end:\n    .section .note.GNU-stack,\"\",%progbits\n");
    project.file("main.c", "#include <stdio.h>\nextern const char blob[], blob_end[];\nint main(void) { fwrite(blob, 1, blob_end - blob, stdout); return 0; }\n");
    project
}

#[test]
fn inputs_are_compared_byte_for_byte() {
    let project = incbin("\"blob.bin\"");
    assert_eq!(printed(&project), "a\n");
    project.file("blob.bin", "a\r\n");
    assert_eq!(printed(&project), "a\r\n");
}

#[test]
fn inputs_that_differ_in_line_endings_only_have_keys_of_their_own_in_the_store() {
    let project = incbin("\"blob.bin\"");
    project.build();
    let other = project.checkout();
    other.file("blob.bin", "a\r\n");
    assert_eq!(printed(&other), "a\r\n");
    assert_eq!(printed(&project), "a\n");
}

#[test]
fn each_input_says_for_itself_that_it_is_text() {
    let project = incbin("\"blob.bin\", { path = \"notes.txt\", text = true }");
    project.build();
    project.file("notes.txt", "a\r\n");
    assert_eq!(project.build().built(), [""; 0]);
    project.file("notes.txt", "b\r\n");
    assert!(!project.build().built().is_empty());
    project.file("blob.bin", "a\r\n");
    assert_eq!(printed(&project), "a\r\n");

    // Those of a library, too.
    let library = Project::new(
        "[[library]]\nname = \"a\"\nsources = [\"a.c\"]\ninputs = [\"bytes\", { path = \"text\", text = true }]\n",
    );
    library.file("a.c", "int a;\n").file("bytes", "a\n").file("text", "a\n");
    library.build();
    library.file("text", "a\r\n");
    assert_eq!(library.build().built(), [""; 0]);
    library.file("bytes", "a\r\n");
    assert_eq!(library.build().built(), ["obj/liba/a.c.o"]);
}

#[test]
fn each_input_of_a_command_says_for_itself_that_it_is_text() {
    let project = Project::new(
        "[[command]]\nname = \"c\"\ninputs = [\"bytes\", { path = \"text\", text = true }]\noutputs = [\"c\"]\nrun = [\"sh\", \"-c\", \"cat bytes text > $1\", \"sh\", \"{out}\"]\n",
    );
    project.file("bytes", "a\n").file("text", "a\n");
    project.build();
    project.file("text", "a\r\n");
    assert_eq!(project.build().built(), [""; 0]);
    project.file("bytes", "a\r\n");
    assert_eq!(made(&project, "c"), "a\r\na\r\n");
}

#[test]
fn text_covers_inputs_that_targets_made() {
    let project = Project::new(
        r#"
[[command]]
name = "first"
inputs = ["in"]
outputs = ["first"]
run = ["sh", "-c", "cat in > $1", "sh", "{out}"]

[[command]]
name = "second"
inputs = ["{first}"]
text = true
outputs = ["second"]
run = ["sh", "-c", "cat $2 > $1", "sh", "{out}", "{in}"]
"#,
    );
    project.file("in", "a\n");
    project.build();
    project.file("in", "a\r\n");
    assert_eq!(project.build().built(), ["first"]);
    project.file("in", "b\r\n");
    assert_eq!(project.build().built(), ["first", "second"]);
}

/// A command that reads `in` in the way `run` says; what it writes goes to `out`.
fn reader(inputs: &str, run: &str) -> Project {
    let project = Project::cached(&format!(
        "[[command]]\nname = \"c\"\ninputs = [\"{inputs}\"]\noutputs = [\"out\"]\nrun = [\"sh\", \"-c\", '{run}', \"sh\", \"{{out}}\"]\n"
    ));
    project.file("in/a", "one\n");
    project
}

#[test]
fn an_input_edited_before_a_running_command_reads_it_is_not_recorded_as_it_was() {
    let project = reader("in/a", &format!("{WAITS} cat in/a > $1"));
    build_while(&project, || {
        aside(&project, "in/a");
        project.file("in/a", "two\n");
    });
    back(&project, "in/a");
    assert_eq!(made(&project, "out"), "one\n");
    project.build_with(&["--rehash"]);
    assert_eq!(made(&project, "out"), "one\n");
    assert_eq!(made(&project.checkout(), "out"), "one\n");
    project.file("in/a", "two\n");
    assert_eq!(made(&project, "out"), "two\n");
}

#[test]
fn an_input_edited_after_a_running_command_has_read_it_is_read_again() {
    let project = reader("in/a", &format!("cat in/a > $1; {WAITS}"));
    build_while(&project, || {
        project.file("in/a", "two\n");
    });
    let fresh = project.checkout();
    assert_eq!(made(&project, "out"), "two\n");
    assert_eq!(made(&fresh, "out"), "two\n");
}

#[test]
fn an_input_edited_and_undone_while_its_command_runs_is_not_recorded() {
    let project = reader("in/a", "");
    let run = format!(
        "{WAITS} cat in/a > $1; : > read; until [ -e end ]; do [ -e larder.toml ] || exit 1; sleep 0.01; done"
    );
    project.replace("larder.toml", "''", &format!("'{run}'"));
    build_while(&project, || {
        aside(&project, "in/a");
        project.file("in/a", "two\n").file("go", "");
        larder_testkit::wait::wait_until("the command has read", || project.path("read").exists());
        back(&project, "in/a");
        project.file("end", "");
    });
    assert_eq!(made(&project.checkout(), "out"), "one\n");
    assert_eq!(made(&project, "out"), "one\n");
}

#[test]
fn a_file_added_to_a_directory_while_a_command_lists_it_is_not_recorded_as_absent() {
    let project = reader("in", &format!("{WAITS} ls in > $1"));
    build_while(&project, || {
        project.file("in/b", "");
    });
    project.remove("in/b");
    assert_eq!(made(&project, "out"), "a\n");
    assert_eq!(made(&project.checkout(), "out"), "a\n");
}

#[test]
fn a_source_edited_before_the_compiler_reads_it_is_not_recorded_as_it_was() {
    let project = Project::cached(
        "[toolchain]\ncc = \"./cc\"\n[[executable]]\nname = \"x\"\nsources = [\"main.c\"]\n",
    );
    // An edit between larder's look at the source and the compiler's.
    project.script(
        "cc",
        "case $1 in -c) [ -e edited ] || { : > edited; mv main.c main.aside; cp main.new main.c; };; esac\nexec cc \"$@\"\n",
    );
    project.file("main.c", prints("", "1")).file("main.new", prints("", "2"));
    project.build();
    assert!(project.path("edited").exists());
    back(&project, "main.c");
    assert_eq!(printed(&project), "1\n");
    assert_eq!(printed(&project.checkout()), "1\n");
}

#[test]
fn a_header_edited_between_two_compiles_is_recorded_as_each_of_them_read_it() {
    let project = Project::cached(
        r#"
[toolchain]
cc = "./cc"

[[executable]]
name = "x"
sources = ["a.c", "b.c", "c.c"]
"#,
    );
    // `b.c` is compiled between the others and does not read the header.
    project.script(
        "cc",
        "case \"$*\" in *-c*b.c*) [ -e edited ] || { : > edited; mv h.h h.aside; cp h.new h.h; };; esac\nexec cc \"$@\"\n",
    );
    project.file("h.h", "#define V 1\n").file("h.new", "#define V 2\n");
    project.file("a.c", "#include \"h.h\"\nint a(void) { return V; }\n");
    project.file("b.c", prints("int a(void);\nint c(void);", "10 * a() + c()"));
    project.file("c.c", "#include \"h.h\"\nint c(void) { return V; }\n");
    project.build_with(&["-j1"]);
    assert!(project.path("edited").exists());
    back(&project, "h.h");
    assert_eq!(printed(&project), "11\n");
    assert_eq!(printed(&project.checkout()), "11\n");
    project.file("h.h", "#define V 2\n");
    assert_eq!(printed(&project), "22\n");
}

#[test]
fn same_size_and_same_time_hide_no_edit() {
    for write in [write_keeping_time, replace_keeping_time] {
        let project = Project::new(
            r#"
[[executable]]
name = "x"
sources = ["main.c"]

[[command]]
name = "c"
inputs = ["in"]
outputs = ["c"]
run = ["sh", "-c", "cat in > $1", "sh", "{out}"]
"#,
        );
        project.file("main.c", prints("#include \"h.h\"", "10 + V")).file("h.h", "#define V 1\n");
        project.file("in", "one\n");
        build_and_settle(&project);
        assert_eq!(printed(&project), "11\n");
        write(&project.path("main.c"), prints("#include \"h.h\"", "20 + V").as_bytes());
        assert_eq!(printed(&project), "21\n");
        build_and_settle(&project);
        write(&project.path("h.h"), b"#define V 2\n");
        assert_eq!(printed(&project), "22\n");
        build_and_settle(&project);
        write(&project.path("in"), b"two\n");
        assert_eq!(made(&project, "c"), "two\n");
        build_and_settle(&project);
        // An output is what it was recorded as, or made again.
        write(&project.output("c"), b"six\n");
        assert_eq!(made(&project, "c"), "two\n");
    }
}
