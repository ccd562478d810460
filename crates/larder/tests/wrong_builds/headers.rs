//! Headers: generated, absent, shadowed, behind links, and compilers that tell of none.

use std::{fs, os::unix::fs::symlink};

use larder_testkit::project::Project;

use crate::support::{printed, prints, with_service};

const GENERATED: &str = r#"
[[command]]
name = "configure"
inputs = ["config.in"]
outputs = ["config.h"]
run = ["sh", "-c", "cat config.in > $1", "sh", "{out}"]

[[library]]
name = "a"
sources = ["a.c"]
inputs = ["{configure}"]
includes = ["{build}"]

[[executable]]
name = "x"
sources = ["main.c"]
libraries = ["a"]
"#;

fn generated() -> Project {
    let project = Project::cached(GENERATED);
    project.file("config.in", "#define V 1\n");
    project.file("a.c", "#include \"config.h\"\nint a(void) { return V; }\n");
    project.file("main.c", prints("int a(void);", "a()"));
    project
}

#[test]
fn a_generated_header_is_written_before_anything_compiles() {
    let project = generated();
    assert_eq!(printed(&project), "1\n");
    project.forget();
    assert_eq!(printed(&project), "1\n");
    // Something has to be compiled, with a header that needs not be made.
    project.forget();
    project.replace("a.c", "return V", "return 1 + V");
    assert_eq!(printed(&project), "2\n");
    let other = project.checkout();
    other.replace("a.c", "return 1 + V", "return 2 + V");
    assert_eq!(printed(&other), "3\n");
    // And once more, when the header was left in the store by the build before.
    other.replace("a.c", "return 2 + V", "return 3 + V");
    assert_eq!(printed(&other), "4\n");
}

/// An editor reads what a compiler would read, and knows nothing of a store.
#[test]
fn a_generated_header_is_on_disk_though_nothing_was_compiled() {
    let project = generated();
    project.build();
    project.forget();
    assert_eq!(project.build().built(), [""; 0]);
    assert_eq!(fs::read_to_string(project.output("config.h")).unwrap(), "#define V 1\n");
    let other = project.checkout();
    assert_eq!(other.build().built(), [""; 0]);
    assert_eq!(fs::read_to_string(other.output("config.h")).unwrap(), "#define V 1\n");
}

#[test]
fn a_generated_header_got_from_a_service_is_written_before_anything_compiles() {
    let project = generated();
    let larder = with_service(&project);
    larder(&project, &["build", "-o", "outputs.jsonl"]);
    larder(&project, &["cache", "put", "--rev", "r1", "outputs.jsonl"]);
    let fresh = project.elsewhere();
    larder(&fresh, &["cache", "get", "--rev", "r1"]);
    larder(&fresh, &["build", "--no-build"]);
    let edited = project.elsewhere();
    larder(&edited, &["cache", "get", "--rev", "r1"]);
    edited.replace("a.c", "return V", "return 1 + V");
    assert_eq!(larder(&edited, &["exec", "x"]).stdout, "2\n");
}

#[test]
fn whatever_a_command_reads_is_on_disk_before_it_runs() {
    let project = Project::cached(
        r#"
[[command]]
name = "first"
inputs = ["in"]
outputs = ["first/"]
run = ["sh", "-c", "cat in > $1/a", "sh", "{out}"]

[[command]]
name = "second"
inputs = ["{first}", "more"]
outputs = ["second"]
run = ["sh", "-c", "cat $2/a more > $1", "sh", "{out}", "{in}"]
"#,
    );
    project.replace("larder.toml", "[package]\n", "[package]\ndefault-targets = [\"second\"]\n");
    project.file("in", "in\n").file("more", "1\n");
    project.build();
    project.forget();
    project.file("more", "2\n");
    project.build();
    assert_eq!(fs::read_to_string(project.output("second")).unwrap(), "in\n2\n");
}

/// A program that prints the `V` of what `includes` finds in `first` and `second`.
fn shadowing(include: &str, settings: &str) -> Project {
    let project = Project::cached(&format!(
        "[[executable]]\nname = \"x\"\nsources = [\"src/main.c\"]\n{settings}\n"
    ));
    project.file("first/other.h", "").file("second/h.h", "#define V 1\n");
    project.file("second/sub/h.h", "#define V 1\n");
    project.file("src/main.c", prints(include, "V"));
    project
}

/// The header `path` appears in a package that was built without it, there and in a fresh checkout, and
/// goes away again.
#[track_caller]
fn appears(project: &Project, path: &str) {
    assert_eq!(printed(project), "1\n", "before");
    let other = project.checkout();
    for tree in [project, &other] {
        tree.file(path, "#define V 2\n");
        assert_eq!(printed(tree), "2\n", "{path} is there");
        fs::remove_file(tree.path(path)).unwrap();
        assert_eq!(printed(tree), "1\n", "{path} is gone");
    }
}

const BOTH: &str = "includes = [\"first\", \"second\"]";

#[test]
fn a_header_that_comes_to_shadow_another_is_seen() {
    appears(&shadowing("#include <h.h>", BOTH), "first/h.h");
    appears(&shadowing("#include \"h.h\"", BOTH), "src/h.h");
}

#[test]
fn a_header_that_comes_to_shadow_another_in_a_directory_that_was_not_there_is_seen() {
    appears(&shadowing("#include <sub/h.h>", BOTH), "first/sub/h.h");
    // Nor was what that is in, up to the package itself.
    let arguments = "trace-args = [\"-Inone\", \"-Isecond\"]";
    appears(&shadowing("#include <h.h>", arguments), "none/h.h");
    appears(&shadowing("#include <sub/h.h>", arguments), "none/sub/h.h");
}

#[test]
fn a_header_that_comes_to_shadow_another_in_a_directory_among_the_arguments_is_seen() {
    for arguments in ["trace-args", "weak-args"] {
        for first in ["\"-Ifirst\"", "\"-I\", \"first\"", "\"-iquote\", \"first\""] {
            let include =
                if first.contains("quote") { "#include \"h.h\"" } else { "#include <h.h>" };
            let settings = format!("{arguments} = [{first}, \"-Isecond\"]");
            appears(&shadowing(include, &settings), "first/h.h");
        }
    }
}

#[test]
fn a_header_that_was_asked_for_and_not_there_is_seen_when_it_appears() {
    let asks = |name: &str| {
        format!("#if __has_include({name})\n#include {name}\n#else\n#define V 1\n#endif")
    };
    appears(&shadowing(&asks("\"opt.h\""), BOTH), "src/opt.h");
    appears(&shadowing(&asks("<opt.h>"), BOTH), "second/opt.h");
    appears(&shadowing(&asks("<new/opt.h>"), BOTH), "first/new/opt.h");
}

#[test]
fn a_header_that_a_header_asked_for_is_seen_when_it_appears_beside_it() {
    let project = shadowing("#include <nested.h>", BOTH);
    project.file(
        "second/nested.h",
        "#if __has_include(\"opt.h\")\n#include \"opt.h\"\n#else\n#define V 1\n#endif\n",
    );
    appears(&project, "second/opt.h");
}

#[test]
fn a_path_through_a_link_leads_where_the_kernel_goes() {
    let project = Project::cached("[[executable]]\nname = \"x\"\nsources = [\"main.c\"]\n");
    project.file("v.h", "#define V 8\n").file("deep/v.h", "#define V 1\n").file("deep/sub/a.h", "");
    symlink("deep/sub", project.path("link")).unwrap();
    project.file("main.c", prints("#include \"link/../v.h\"", "V"));
    assert_eq!(printed(&project), "1\n");
    project.file("deep/v.h", "#define V 2\n");
    assert_eq!(printed(&project), "2\n");
    let other = project.checkout();
    other.file("deep/v.h", "#define V 3\n");
    assert_eq!(printed(&other), "3\n");
    // The other one is nobody's business.
    project.file("v.h", "#define V 9\n");
    assert_eq!(project.build().built(), [""; 0]);
    // Where the link leads decides as well.
    project.file("else/v.h", "#define V 4\n").file("else/sub/a.h", "");
    project.remove("link");
    symlink("else/sub", project.path("link")).unwrap();
    assert_eq!(printed(&project), "4\n");
}

#[test]
fn no_argument_takes_the_depfile_away() {
    for (key, arguments) in [
        ("trace-args", "\"-MF\", \"mine.d\""),
        ("weak-args", "\"-MF\", \"mine.d\""),
        ("trace-args", "\"-MFmine.d\""),
        ("trace-args", "\"-Wp,-MD,mine.d\""),
        ("trace-args", "\"-Wp,-MMD,mine.d\""),
        ("weak-args", "\"-Wp,-MMD,mine.d\""),
        ("trace-args", "\"-MMD\""),
        ("trace-args", "\"-MD\", \"-MF\", \"/dev/null\""),
        ("trace-args", "\"-MT\", \"mine\""),
    ] {
        let project = Project::new(&format!(
            "[[executable]]\nname = \"x\"\nsources = [\"main.c\"]\nincludes = [\"h\"]\n{key} = [{arguments}]\n"
        ));
        project.file("main.c", prints("#include <h.h>", "V")).file("h/h.h", "#define V 1\n");
        let first = project.larder(&["exec", "x"]);
        // It may be refused. If not, the headers are known.
        if first.code != Some(0) {
            assert!(first.stderr.contains("-M"), "{arguments}: {}", first.stderr);
            continue;
        }
        project.file("h/h.h", "#define V 2\n");
        assert_eq!(printed(&project), "2\n", "{key} = {arguments}");
    }
}

#[test]
fn a_compile_that_leaves_no_depfile_is_an_error() {
    let project = Project::new(
        "[toolchain]\ncc = \"./cc\"\n[[library]]\nname = \"a\"\nsources = [\"a.c\"]\n",
    );
    project.file("a.c", "int a;\n");
    project.script(
        "cc",
        "cc \"$@\" || exit\nfor argument; do case $last,$argument in -MF,*) rm -f \"$argument\";; *,-Wp,-M*) rm -f \"${argument##*,}\";; esac; last=$argument; done\n",
    );
    let run = project.larder(&["build"]).ends_with(1);
    assert!(run.stderr.contains("depfile"), "{}", run.stderr);
}

#[test]
fn a_response_file_among_a_compilers_arguments_is_traced() {
    let project = Project::cached(
        "[[executable]]\nname = \"x\"\nsources = [\"main.c\"]\ntrace-args = [\"@flags\"]\n",
    );
    project.file("main.c", prints("", "V")).file("flags", "-DV=1\n");
    assert_eq!(printed(&project), "1\n");
    project.file("flags", "-DV=2\n");
    assert_eq!(printed(&project), "2\n");
    project.forget();
    project.file("flags", "-DV=3\n");
    assert_eq!(printed(&project), "3\n");
}
