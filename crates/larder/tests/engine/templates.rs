//! Files that `[[config]]` makes from templates, and mistakes in configs.

use std::fs;

use larder_testkit::project::Project;

fn text(project: &Project, path: &str) -> String {
    fs::read_to_string(project.output(path)).unwrap()
}

#[test]
fn braces_stand_for_values_as_in_cmake() {
    let manifest = |more: &str| {
        format!(
            "[[config]]\nname = \"c\"\noutput = \"c.h\"\ntemplate = \"c.h.in\"\nvalues = {{ A = 1, B = \"two\" }}\n{more}\n"
        )
    };
    let project = Project::new(&manifest(""));
    project.file("c.h.in", "#cmakedefine A\n#define B \"${B}\" /* @A@ */\n");
    project.build();
    assert_eq!(text(&project, "c.h"), "#define A\n#define B \"two\" /* 1 */\n");
    project.replace("larder.toml", "values", "braces = false\nvalues");
    assert_eq!(project.build().built(), ["c.h"]);
    assert_eq!(text(&project, "c.h"), "#define A\n#define B \"${B}\" /* 1 */\n");
    // Without a line of CMake's, they are the text's own, as in a file for pkg-config.
    project.replace("larder.toml", "braces = false\n", "");
    project.file("c.h.in", "a=@A@ ${B}\n");
    project.build();
    assert_eq!(text(&project, "c.h"), "a=1 ${B}\n");
    project.replace("larder.toml", "values", "template-syntax = \"cmake\"\nvalues");
    project.build();
    assert_eq!(text(&project, "c.h"), "a=1 two\n");
    project.file("c.h.in", "${NO}\n");
    let run = project.larder(&["build"]);
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("nothing says what ${NO} is"), "{}", run.stderr);
    assert!(run.stderr.contains("braces = false"), "{}", run.stderr);
}

#[test]
fn what_all_targets_need_first_is_a_default_that_configs_do_not_need() {
    let project = Project::new(
        r#"
[defaults]
includes = ["{build}"]
inputs = ["{config}"]

[[defaults.case]]
when = { not = { os = "windows" } }
inputs = ["data"]

[[config]]
name = "config"
output = "config.h"
headers = ["stdio.h"]

[[library]]
name = "a"
sources = ["a.c"]

[[executable]]
name = "x"
sources = ["x.c"]
libraries = ["a"]
"#,
    );
    project
        .file("data", "1")
        .file("a.c", "#include \"config.h\"\nint a(void) { return !HAVE_STDIO_H; }\n");
    project.file("x.c", "#include \"config.h\"\nint a(void);\nint main(void) { return a(); }\n");
    project.build();
    project.build().all("replayed");
    project.file("data", "2");
    assert_eq!(project.build().built(), ["obj/liba/a.c.o", "obj/x/x.c.o", "x"]);
    project.replace("larder.toml", "inputs = [\"{config}\"]", "inputs = [\"{none}\"]");
    let run = project.larder(&["build"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("there is no target `none`"), "{}", run.stderr);
    project.replace("larder.toml", "inputs = [\"{none}\"]", "[profile.p]\ninputs = [\"data\"]");
    let run = project.larder(&["build"]);
    assert!(run.stderr.contains("`inputs` cannot stand in"), "{}", run.stderr);
}

#[test]
fn templates_are_filled() {
    let project = Project::new(
        "[[config]]\nname = \"pc\"\noutput = \"lib/x.pc\"\ntemplate = \"x.pc.in\"\nvalues = { PREFIX = \"/usr\", V = 2 }\n",
    );
    project.file("x.pc.in", "prefix=@PREFIX@\nlibdir=${prefix}/lib\nVersion: 1.@V@\n");
    project.build();
    assert_eq!(text(&project, "lib/x.pc"), "prefix=/usr\nlibdir=${prefix}/lib\nVersion: 1.2\n");
    project.replace("x.pc.in", "lib\n", "lib64\n");
    assert_eq!(project.build().built(), ["lib/x.pc"]);
    project.file("x.pc.in", "a\nb @MISSING@\n");
    let run = project.larder(&["build"]);
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("x.pc.in:2: nothing says what @MISSING@ is"), "{}", run.stderr);
    assert!(!project.output("lib/x.pc").exists());
}

#[test]
fn answers_fill_templates_that_other_targets_make() {
    let project = Project::new(
        r#"
[[command]]
name = "gen"
outputs = ["config.h.in"]
run = ["sh", "-c", "echo '#cmakedefine01 HAVE_STDIO_H' > $1", "sh", "{out}"]

[[config]]
name = "config"
output = "config.h"
template = "{build}/config.h.in"
headers = ["stdio.h"]
"#,
    );
    project.build();
    assert_eq!(text(&project, "config.h"), "#define HAVE_STDIO_H 1\n");
}

#[test]
fn mistakes_in_configs_are_told() {
    let cases = [
        ("name = \"c\"\nheaders = [\"a.h\"]", "has no `output`"),
        ("output = \"c.h\"\nheaders = [\"a.h\"]", "has no name"),
        (
            "name = \"c\"\noutput = \"../c.h\"\nheaders = [\"a.h\"]",
            "no file below the build directory",
        ),
        ("name = \"c\"\noutput = \"c.h\"", "has nothing to say"),
        ("name = \"c\"\noutput = \"c.h\"\nheaders = \"a.h\"", "expected an array of names"),
        ("name = \"c\"\noutput = \"c.h\"\nheaders = [3]", "expected a name"),
        ("name = \"c\"\noutput = \"c.h\"\nheaders = [\"<a.h>\"]", "cannot be checked for"),
        ("name = \"c\"\noutput = \"c.h\"\nheaders = [\"\"]", "cannot be checked for"),
        ("name = \"c\"\noutput = \"c.h\"\nfunctions = [\"a-b\"]", "cannot be checked for"),
        ("name = \"c\"\noutput = \"c.h\"\nfunctions = [{ headers = [\"a.h\"] }]", "has no `name`"),
        (
            "name = \"c\"\noutput = \"c.h\"\ntypes = [{ name = \"t\", link-args = [\"-la\"] }]",
            "unknown key `link-args`",
        ),
        (
            "name = \"c\"\noutput = \"c.h\"\ntypes = [{ name = \"t\", define = \"1x\" }]",
            "cannot be the name of a macro",
        ),
        (
            "name = \"c\"\noutput = \"c.h\"\nheaders = [\"a.h\", \"a.h\"]",
            "`HAVE_A_H` is said twice",
        ),
        (
            "name = \"c\"\noutput = \"c.h\"\nheaders = [\"a.h\"]\nvalues = { HAVE_A_H = 1 }",
            "`HAVE_A_H` is said twice",
        ),
        ("name = \"c\"\noutput = \"c.h\"\nvalues = { A = 1.5 }", "expected a string, a number"),
        ("name = \"c\"\noutput = \"c.h\"\nvalues = { A = \"a\\nb\" }", "a value is one line"),
        (
            "name = \"c\"\noutput = \"c.h\"\nvalues = { \"a b\" = 1 }",
            "cannot be the name of a macro",
        ),
        (
            "name = \"c\"\noutput = \"c.h\"\nheaders = [\"a.h\"]\nlanguage = \"fortran\"",
            "are not compiled as `fortran`",
        ),
        (
            "name = \"c\"\noutput = \"c.h\"\nheaders = [\"a.h\"]\ntrace-args = [\"-MD\"]",
            "cannot be a compiler argument here",
        ),
        (
            "name = \"c\"\noutput = \"c.h\"\nheaders = [\"a.h\"]\ntemplate-syntax = \"cmake\"",
            "has no template",
        ),
        ("name = \"c\"\noutput = \"c.h\"\ntemplate = \"no.in\"", "there is no file `no.in`"),
        (
            "name = \"c\"\noutput = \"c.h\"\ntemplate = \"*.toml\"\ntemplate-syntax = \"m4\"",
            "is no syntax of templates",
        ),
        ("name = \"c\"\noutput = \"c.h\"\ncompiles = [{ define = \"A\" }]", "is either `source`"),
        (
            "name = \"c\"\noutput = \"c.h\"\ncompiles = [{ define = \"A\", source = \"no.c\" }]",
            "there is no file `no.c`",
        ),
        (
            "name = \"c\"\noutput = \"c.h\"\ncompiles = [{ define = \"A\", code = \"\", link-args = [\"-lm\"] }]",
            "what is not linked",
        ),
        (
            "name = \"c\"\noutput = \"c.h\"\nheaders = [\"a.h\"]\nincludes = [\"../x\"]",
            "outside the package",
        ),
        (
            "name = \"c\"\noutput = \"c.h\"\nheaders = [\"a.h\"]\ninputs = [\"{no}\"]",
            "there is no target `no`",
        ),
        (
            "name = \"c\"\noutput = \"c.h\"\nheaders = [\"a.h\"]\ninputs = [\"{c}\"]",
            "need each other",
        ),
        ("name = \"c\"\noutput = \"c.h\"\nheder = [\"a.h\"]", "did you mean `headers`?"),
    ];
    for (entry, expected) in cases {
        let project = Project::new(&format!("[[config]]\n{entry}\n"));
        let run = project.larder(&["build"]);
        assert_eq!(run.code, Some(2), "{entry}: {}", run.stderr);
        assert!(run.stderr.contains(expected), "{entry}: {}", run.stderr);
    }
    let project = Project::new(
        "[toolchain]\ncc = \"no-such-cc\"\n[[config]]\nname = \"c\"\noutput = \"c.h\"\nheaders = [\"a.h\"]\n",
    );
    let run = project.larder(&["build"]);
    assert!(run.code == Some(2) && run.stderr.contains("no-such-cc"), "{}", run.stderr);
}
