//! Shared libraries: what they are called, and what they offer.

use larder_testkit::{project::Project, tools::said};

const USER: &str = "[[executable]]\nname = \"x\"\nsources = [\"main.c\"]\nlibraries = [\"l\"]\n\
                    [[library]]\nname = \"l\"\nsources = [\"l.c\"]\n";

/// A program and the library `l` with `keys`, which has the functions `one` and `two`.
fn with(keys: &str) -> Project {
    let project = Project::cached(&format!("{USER}{keys}\n"));
    project.file("l.c", "int one(void) { return 1; }\nint two(void) { return 2; }\n");
    project.file("main.c", "int one(void);\nint main(void) { return one() - 1; }\n");
    project
}

/// The functions that the library in `file` offers.
#[track_caller]
fn offered(project: &Project, file: &str) -> String {
    project.build();
    let table = said("nm", &["-D", "--defined-only", "--format=posix"], &project.output(file));
    let names = table.lines().filter_map(|line| line.split([' ', '@']).next());
    let names: Vec<&str> = names.collect();
    ["one", "two"].into_iter().filter(|name| names.contains(name)).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_version_is_part_of_the_name_that_programs_look_for() {
    let project = with("kind = [\"shared\"]\nsoversion = \"1\"");
    project.larder(&["exec", "x"]).ok();
    let dynamic = |file: &str| said("readelf", &["-dW"], &project.output(file));
    assert!(dynamic("libl.so.1").contains("soname: [libl.so.1]"), "{}", dynamic("libl.so.1"));
    assert!(dynamic("x").contains("[libl.so.1]"), "{}", dynamic("x"));
    let query = project.larder(&["query", "l:shared"]).ok().stdout;
    assert!(query.trim().ends_with("/libl.so.1"), "{query}");
    project.replace("larder.toml", "soversion = \"1\"", "soversion = \"2.0\"");
    let built = project.build();
    assert_eq!(built.built(), ["libl.so.2.0", "x"], "no object is made again");
    assert!(dynamic("x").contains("[libl.so.2.0]"));
    project.larder(&["exec", "x"]).ok();
    let both = with("kind = [\"static\", \"shared\"]\nsoversion = \"1\"");
    both.build();
    assert!(both.output("libl.a").exists() && both.output("libl.so.1").exists());
}

#[test]
fn a_list_says_what_is_offered() {
    let project = with("kind = [\"shared\"]\nexports = [\"one\"]");
    assert_eq!(offered(&project, "libl.so"), "one");
    project.larder(&["exec", "x"]).ok();
    project.replace("larder.toml", "[\"one\"]", "[\"o*\", \"two\"]");
    assert_eq!(offered(&project, "libl.so"), "one two");
    project.replace("larder.toml", "[\"o*\", \"two\"]", "[\"one\"]");
    assert_eq!(project.build().built(), [""; 0]);
    let other = project.checkout();
    assert_eq!(other.build().built(), [""; 0], "where the package lies does not count");
    assert_eq!(offered(&other, "libl.so"), "one");
    other.file("l.c", "int one(void) { return 1; }\nint two(void) { return 3; }\n");
    assert_eq!(offered(&other, "libl.so"), "one", "linked again in a fresh checkout");
}

#[test]
fn a_script_says_what_is_offered_and_is_traced() {
    let project = with("kind = [\"shared\"]\nexports = \"l,1.map\"");
    let script =
        |names: &str| project.file("l,1.map", format!("V1 {{ global: {names} local: *; }};\n"));
    script("one;");
    assert_eq!(offered(&project, "libl.so"), "one");
    script("one; two;");
    assert_eq!(offered(&project, "libl.so"), "one two");
    script("one;");
    assert_eq!(project.build().built(), [""; 0]);
    let made = "kind = [\"shared\"]\nexports = \"{script}\"\n[[command]]\nname = \"script\"\n\
                inputs = [\"names\"]\noutputs = [\"l.map\"]\n\
                run = [\"sh\", \"-c\", \"echo \\\"{{ global: $(cat $1); local: *; };\\\" > $0\", \"{out}\", \"{in}\"]";
    let project = with(made);
    project.file("names", "one");
    assert_eq!(offered(&project, "libl.so"), "one");
    project.file("names", "one;two");
    assert_eq!(offered(&project, "libl.so"), "one two");
}

#[test]
fn mistakes_in_names_of_shared_libraries_are_said() {
    for (keys, message) in [
        ("soversion = \"1\"", "`soversion` has no meaning for library `l`"),
        ("exports = [\"one\"]", "`exports` has no meaning for library `l`"),
        ("kind = [\"shared\"]\nsoversion = \"\"", "`` is no version of a shared library"),
        ("kind = [\"shared\"]\nsoversion = \"a/b\"", "`a/b` is no version of a shared library"),
        ("kind = [\"shared\"]\nsoversion = \"..\"", "`..` is no version of a shared library"),
        ("kind = [\"shared\"]\nsoversion = 1", "expected a string"),
        ("file-version = \"1\"", "`file-version` has no meaning for library `l`"),
        ("kind = [\"shared\"]\nfile-version = \"1.2\"", "`file-version` without `soversion`"),
        (
            "kind = [\"shared\"]\nsoversion = \"1\"\nfile-version = \"/\"",
            "`/` is no version of a shared library",
        ),
        ("kind = [\"shared\"]\nexports = []", "`exports` offers nothing"),
        ("kind = [\"shared\"]\nexports = [\"a b\"]", "`a b` cannot name a symbol"),
        ("kind = [\"shared\"]\nexports = [\"\"]", "`` cannot name a symbol"),
        ("kind = [\"shared\"]\nexports = [\"a; b\"]", "`a; b` cannot name a symbol"),
        ("kind = [\"shared\"]\nexports = \"none.map\"", "there is no file `none.map`"),
        ("kind = [\"shared\"]\nexports = \"../l.map\"", "../l.map"),
        ("kind = [\"shared\"]\nexports = \"{nowhere}\"", "there is no target `nowhere`"),
        ("kind = [\"shared\"]\nexports = 1", "expected an array of strings"),
    ] {
        let project = with(keys);
        project.larder(&["build"]).ends_with(2).says(message).says("larder.toml:");
    }
    let only_headers = "[[library]]\nname = \"l\"\nincludes = [\".\"]\n";
    for keys in ["soversion = \"1\"", "exports = [\"one\"]"] {
        let project = Project::new(&format!("{only_headers}{keys}\n"));
        project.larder(&["build"]).ends_with(2).says("has no meaning for library `l`");
    }
}
