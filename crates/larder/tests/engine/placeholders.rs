//! Placeholders in compiler arguments.

use larder_testkit::project::Project;

const MAIN: &str = "#include <stdio.h>\nint main(void) { printf(\"%d\\n\", VALUE); return 0; }\n";

/// A command that makes `gen/value.h`, which defines `VALUE` as the file `value` says.
const COMMAND: &str = "[[command]]\nname = \"made\"\ninputs = [\"value\"]\noutputs = [\"gen/value.h\"]\n\
     run = [\"sh\", \"-c\", \"echo \\\"#define VALUE $(cat $1)\\\" > $0\", \"{out}\", \"{in}\"]\n";

fn executable(keys: &str) -> String {
    format!("[[executable]]\nname = \"x\"\nsources = [\"main.c\"]\n{keys}\n")
}

#[track_caller]
fn printed(project: &Project) -> String {
    project.larder(&["exec", "x"]).ok().stdout.trim().to_owned()
}

#[test]
fn what_is_made_can_stand_in_compiler_arguments() {
    for keys in [
        "trace-args = [\"-include\", \"{made}\"]",
        "c-args = [\"-include\", \"{build}/gen/value.h\"]\ninputs = [\"{made}\"]",
        "weak-args = [\"-I{build}/gen\", \"-include\", \"value.h\"]\ninputs = [\"{made}\"]",
        "weak-args = [\"-include\", \"{made}\"]",
    ] {
        let project = Project::cached(&format!("{}{COMMAND}", executable(keys)));
        project.file("main.c", MAIN).file("value", "1");
        assert_eq!(printed(&project), "1", "{keys}");
        project.file("value", "2");
        assert_eq!(printed(&project), "2", "{keys}");
        let other = project.checkout();
        assert_eq!(other.build().built(), [""; 0], "{keys} in another checkout");
        assert_eq!(printed(&other), "2", "{keys} in another checkout");
        other.file("value", "3");
        assert_eq!(printed(&other), "3", "{keys} in another checkout");
    }
}

#[test]
fn they_stand_for_what_the_manifest_means_that_says_them() {
    let project = Project::cached(
        "[dependencies]\nlib = { path = \"deps/lib\" }\n\
         [[executable]]\nname = \"x\"\nsources = [\"main.c\"]\nlibraries = [\"lib/l\"]\n",
    );
    let main = MAIN.replace("int main", "int l(void);\nint main").replace("VALUE", "l()");
    project.file("main.c", main);
    project.file(
        "deps/lib/larder.toml",
        format!(
            "[package]\nname = \"lib\"\n[defaults]\ntrace-args = [\"-include\", \"{{made}}\", \"@{{package}}/flags\"]\n\
             [[library]]\nname = \"l\"\nsources = [\"l.c\"]\n{COMMAND}"
        ),
    );
    project.file("deps/lib/l.c", "int l(void) { return VALUE + MORE; }\n");
    project.file("deps/lib/value", "1").file("deps/lib/flags", "-DMORE=10");
    assert_eq!(printed(&project), "11");
    project.file("deps/lib/value", "2");
    assert_eq!(printed(&project), "12");
    project.file("deps/lib/flags", "-DMORE=20");
    assert_eq!(printed(&project), "22");
    assert_eq!(project.checkout().build().built(), [""; 0]);
}

#[test]
fn braces_that_are_none_stay() {
    let keys = "trace-args = [\"-DFIRST={{a}}\", \"-DSECOND={1, 2}\"]\ndefines = [\"THIRD={a}\"]";
    let project = Project::new(&executable(keys));
    let text = "#include <stdio.h>\nint main(void) {\n    int a = 3;\n    int f[] = FIRST, s[] = SECOND, t[] = THIRD;\n    \
                printf(\"%d\\n\", f[0] + s[1] + t[0]);\n    return 0;\n}\n";
    project.file("main.c", text);
    assert_eq!(printed(&project), "8");
}

#[test]
fn bad_placeholders_point_at_the_manifest() {
    for (argument, said) in [
        ("{out}", "`{out}` has a placeholder of commands"),
        ("-I{tmp}", "`-I{tmp}` has a placeholder of commands"),
        ("-I{nowhere}", "there is no target `nowhere`"),
        ("{x:o}", "targets need each other in a cycle"),
    ] {
        for key in ["trace-args", "c-args", "weak-args"] {
            let project = Project::new(&executable(&format!("{key} = [\"{argument}\"]")));
            project.file("main.c", MAIN);
            project.larder(&["build"]).ends_with(2).says(said);
        }
    }
}
