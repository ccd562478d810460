//! What compilers and linkers print, taken apart.

use std::fs;

use larder_project::place::{Place, Places};

use super::*;
use crate::diagnostics::one_line;

/// What `tool` printed, in lines: `LEVEL one line` for a diagnostic, `text` for a text; each with how many lines it has.
fn said_of(printed: &str, failed: bool, speaker: Speaker) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    for file in ["a.c", "b.c", "b.o", "h.h", "e.s", "src/main.rs", "t.cpp"] {
        let path = root.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    let place = Place::new(root, "p", root);
    let places = Places::new(root.to_owned(), vec![place.clone()]);
    let printed = printed.replace("[ROOT]", root.to_str().unwrap());
    let entries = entries(&printed, failed, speaker, Naming { places: &places, place: &place });
    let all: Vec<&str> = entries.iter().flat_map(|entry| entry.message.split('\n')).collect();
    assert_eq!(all.len(), printed.trim_end().lines().count(), "no line is lost: {entries:#?}");
    let said = entries.iter().map(|entry| {
        let lines = entry.message.lines().count();
        match &entry.diagnostic {
            Some(found) => format!("{lines} {:?} {}", entry.level, one_line(found)),
            None => format!("{lines} {:?} text", entry.level),
        }
    });
    said.collect()
}

#[track_caller]
fn tool(printed: &str, failed: bool, said: &[&str]) {
    assert_eq!(said_of(printed, failed, Speaker::Tool), said);
}

const GCC: &str = "\
In file included from a.c:1:
h.h: In function ‘unused’:
h.h:1:41: warning: unused variable ‘q’ [-Wunused-variable]
    1 | static int unused(void) { int q; return 1; }
      |                               ^
a.c: In function ‘main’:
a.c:4:76: warning: implicit declaration of function ‘foo’; did you mean ‘fo’? [-Wimplicit-function-declaration]
    4 | return foo();
      |        ^~~
      |        fo
a.c:4:33: error: conflicting types for ‘bar’
In file included from a.c:1:
h.h:2:5: note: previous declaration of ‘bar’
compilation terminated.";

const GCC_SAYS: &[&str] = &[
    "5 Warning h.h:1:41: unused variable ‘q’ [-Wunused-variable]",
    "5 Warning a.c:4:76: implicit declaration of function ‘foo’; did you mean ‘fo’? [-Wimplicit-function-declaration]",
    "4 Error a.c:4:33: conflicting types for ‘bar’",
];

#[test]
fn gcc() {
    tool(GCC, true, GCC_SAYS);
    let coloured = GCC
        .replace("warning: ", "\x1b[01;35m\x1b[Kwarning: \x1b[m\x1b[K")
        .replace("h.h:1:41:", "\x1b[01m\x1b[Kh.h:1:41:\x1b[m\x1b[K")
        .replace("from a.c:1", "from \x1b[01m\x1b[Ka.c:1\x1b[m\x1b[K")
        .replace("[-Wunused", "[\x1b[01;35m\x1b[K-Wunused");
    tool(&coloured, true, GCC_SAYS);
    tool(
        "e.s: Assembler messages:\ne.s:1: Error: no such instruction: `foo bar'\ncc1: all warnings being treated as errors",
        true,
        &["3 Error e.s:1: no such instruction: `foo bar'"],
    );
    tool(
        "t.cpp: In instantiation of ‘void f(T)’:\nt.cpp:3:20:   required from here\nt.cpp:1:35: warning: unused ‘x’ [-Wunused]\ncc1plus: warning: unrecognized option ‘-Wno-x’",
        false,
        &["3 Warning t.cpp:1:35: unused ‘x’ [-Wunused]", "1 Warning unrecognized option ‘-Wno-x’"],
    );
    tool(
        "a.c:1:2: error: no [-Werror=unused-variable]\na.c:1:2: error: no [-Werror,-Wint]",
        true,
        &["1 Error a.c:1:2: no [-Wunused-variable]", "1 Error a.c:1:2: no [-Wint]"],
    );
}

#[test]
fn clang() {
    tool(
        "In file included from a.c:1:\n./h.h:1:41: warning: unused variable 'q' [-Wunused-variable]\nstatic int q;\n           ^\n1 warning generated.",
        false,
        &["4 Warning h.h:1:41: unused variable 'q' [-Wunused-variable]", "1 Trace text"],
    );
    tool(
        "clang: warning: argument unused during compilation: '-x' [-Wunused-command-line-argument]",
        false,
        &["1 Warning argument unused during compilation: '-x' [-Wunused-command-line-argument]"],
    );
}

#[test]
fn linkers() {
    tool(
        "/usr/bin/ld.bfd: [ROOT]/b.o: in function `main':\nb.c:(.text+0x1a): warning: the use of `tmpnam' is dangerous\n\
         /usr/bin/ld.bfd: b.o: in function `bar':\nb.c:(.text+0x5): undefined reference to `foo'\n\
         /usr/bin/ld.bfd: b.c:(.text+0x9): undefined reference to `foo'\n\
         [ROOT]/b.c:3: undefined reference to `baz'\ncollect2: error: ld returned 1 exit status",
        true,
        &[
            "2 Warning b.o: in main: the use of `tmpnam' is dangerous",
            "2 Error b.o: in bar: undefined reference to `foo'",
            "1 Error b.o: in bar: undefined reference to `foo'",
            "2 Error b.c:3: in bar: undefined reference to `baz'",
        ],
    );
    tool(
        "b.o:b.c:function main: error: undefined reference to 'foo'\n[ROOT]/b.c:3: warning: tmpnam",
        true,
        &["1 Error b.o: in main: undefined reference to 'foo'", "1 Warning b.c:3: tmpnam"],
    );
    tool(
        "ld.lld: error: undefined symbol: foo\n>>> referenced by b.c:2 ([ROOT]/b.c:2)\n>>>               b.o:(bar)\n\
         clang: error: linker command failed with exit code 1 (use -v to see invocation)",
        true,
        &["4 Error b.c:2: in bar: undefined symbol: foo"],
    );
    tool(
        "/usr/bin/ld: warning: b.o: missing .note.GNU-stack section\n/usr/bin/ld: NOTE: This is deprecated",
        false,
        &["2 Warning b.o: b.o: missing .note.GNU-stack section"],
    );
    tool(
        "/usr/bin/ld: cannot find -lnix: No such file or directory\ncollect2: error: ld returned 1 exit status",
        true,
        &["2 Error cannot find -lnix: No such file or directory"],
    );
    tool("ld: skipping incompatible libx.so", false, &["1 Info text"]);
}

#[test]
fn commands_say_other_things_besides() {
    let say = |printed, failed| said_of(printed, failed, Speaker::Command);
    assert_eq!(
        say(
            "CC a.o\na.c:1:2: warning: no\nint x;\n    ^\nCC b.o\nwarning: unused variable: `x`\n --> src/main.rs:2:9\n  |\nsome: other warning: here\ndone",
            false
        ),
        [
            "1 Info text",
            "3 Warning a.c:1:2: no",
            "1 Info text",
            "3 Warning src/main.rs:2:9: unused variable: `x`",
            "1 Warning here",
            "1 Info text",
        ]
    );
    // What is no file is not called one.
    assert_eq!(
        say("12:30:00: error: x\ngone.c:1:1: warning: y", true),
        ["1 Error x", "1 Warning y"]
    );
    assert_eq!(say("it does not work\n", true), ["1 Error text"]);
    assert_eq!(say("all is well\n\n", false), ["1 Info text"]);
    assert_eq!(say("", true), [""; 0]);
}

#[test]
fn so_many_are_told_apart_and_no_more() {
    let printed = "a.c:1:2: warning: no\n".repeat(3 * MOST);
    let directory = tempfile::tempdir().unwrap();
    let place = Place::new(directory.path(), "p", directory.path());
    let places = Places::new(directory.path().to_owned(), vec![place.clone()]);
    let naming = Naming { places: &places, place: &place };
    let entries = entries(&printed, false, Speaker::Tool, naming);
    assert_eq!(entries.len(), MOST + 1);
    let lines: usize = entries.iter().map(|entry| entry.message.lines().count()).sum();
    assert_eq!(lines, 3 * MOST - 1 + 1);
    assert_eq!(entries[MOST].level, Level::Warning);
}
