//! What commands leave out, and what their variables stand for.

use std::fs;

use larder_testkit::project::Project;

fn text(project: &Project, path: &str) -> String {
    fs::read_to_string(project.output(path)).unwrap()
}

#[test]
fn files_that_are_excluded_are_neither_read_nor_traced() {
    let project = Project::new(
        r#"
[[command]]
name = "list"
inputs = ["data/**"]
exclude = ["data/*.bak", "data/old/**"]
outputs = ["list"]
run = ["sh", "-c", "out=$1; shift; echo $@ > $out", "sh", "{out}", "{in}"]
"#,
    );
    project.file("data/a", "").file("data/b.bak", "").file("data/old/c", "").file("data/d", "");
    project.build();
    assert_eq!(text(&project, "list"), "data/a data/d\n");
    project.file("data/b.bak", "changed").file("data/e.bak", "").file("data/old/f", "");
    project.build().all("replayed");
    project.file("data/e", "");
    assert_eq!(project.build().built(), ["list"]);
    assert_eq!(text(&project, "list"), "data/a data/d data/e\n");
}

#[test]
fn variables_name_what_arguments_can() {
    let project = Project::cached(
        r#"
[[command]]
name = "made"
outputs = ["made.txt"]
run = ["sh", "-c", "echo made > $1", "sh", "{out}"]

[[command]]
name = "use"
inputs = ["a", "b"]
outputs = ["used"]
env = { MADE = "{made}", BUILD = "{build}/made.txt", FILES = "{in}", LIST = "{inlist}", PLAIN = "{{out}} {}", EMPTY = "" }
run = ["sh", "-c", "cat $MADE $BUILD $LIST > $1; echo $FILES/$PLAIN/$EMPTY. >> $1", "sh", "{out}"]
"#,
    );
    project.file("a", "").file("b", "");
    let expected = "made\nmade\na\nb\na b/{out} {}/.\n";
    project.build();
    assert_eq!(text(&project, "used"), expected);
    project.build().all("replayed");
    // What a variable names is an input.
    project.replace("larder.toml", "echo made", "echo other");
    project.build();
    assert_eq!(text(&project, "used"), expected.replace("made", "other"));
    // The same in another place.
    let other = project.checkout();
    assert!(other.build().built().is_empty());
    assert_eq!(text(&other, "used"), expected.replace("made", "other"));
}

#[test]
fn mistakes_in_exclusions_and_variables_are_told() {
    for (keys, expected) in [
        ("exclude = [\"data/none\"]", "there is no file `data/none`"),
        ("exclude = [\"*.none\"]", "matches no file"),
        ("exclude = [\"../x\"]", "outside"),
        ("exclude = \"a\"", "expected an array of strings"),
        ("exclude = [\"data/**\"]", "everything that this matches is left out"),
        ("env = { A = \"{none}\" }", "there is no target `none`"),
        ("env = { A = \"{c}\" }", "need each other"),
        ("env = { A = 1 }", "expected a string"),
    ] {
        let project = Project::new(&format!(
            "[[command]]\nname = \"c\"\ninputs = [\"data/*\"]\noutputs = [\"o\"]\nrun = [\"touch\", \"{{out}}\"]\n{keys}\n"
        ));
        project.file("data/a", "");
        let run = project.larder(&["build"]);
        assert_eq!(run.code, Some(2), "{keys}: {}", run.stderr);
        assert!(run.stderr.contains(expected), "{keys}: {}", run.stderr);
    }
    let project = Project::new(
        "[[command]]\nname = \"c\"\ninputs = [\"data\"]\nexclude = [\"data/a\"]\noutputs = [\"o\"]\nrun = [\"touch\", \"{out}\"]\n",
    );
    project.file("data/a", "");
    let run = project.larder(&["build"]);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert!(run.stderr.contains("`data` is an input as a whole"), "{}", run.stderr);
}
