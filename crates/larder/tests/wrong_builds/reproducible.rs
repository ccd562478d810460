//! The same inputs give the same bytes and the same keys.

use larder_testkit::{events::Built, project::Project, run::run, tools::path_with};

use crate::support::prints;

#[test]
fn objects_for_link_time_optimisation_are_the_same_every_time() {
    let project = Project::new(
        r#"
[[library]]
name = "a"
sources = ["a.c", "b.c"]
trace-args = ["-flto", "-O2"]

[[executable]]
name = "x"
sources = ["main.c"]
libraries = ["a"]
trace-args = ["-flto", "-O2"]
link-args = ["-flto", "-O2"]
"#,
    );
    project.file("a.c", "static int n;\nint a(void) { return n++; }\n");
    project.file("b.c", "static int n;\nint b(void) { return n--; }\n");
    project.file("main.c", prints("int a(void);\nint b(void);", "a() + b()"));
    project.build();
    let first = project.outputs();
    let elsewhere = project.checkout();
    elsewhere.build();
    project.forget();
    project.build();
    for again in [elsewhere.outputs(), project.outputs()] {
        for (path, bytes) in &first {
            assert!(again[path] == *bytes, "{path} differs");
        }
    }
}

#[test]
fn a_platform_independent_package_does_not_depend_on_the_programs_of_the_machine() {
    let project = Project::cached(
        "platform-independent = true\n[[command]]\nname = \"c\"\ninputs = [\"in\"]\noutputs = [\"c\"]\nrun = [\"generate\", \"in\", \"{out}\"]\n",
    );
    project.file("in", "in\n");
    let machine = |name: &str| {
        let bin = format!("{name}/bin");
        project.script(
            &format!("{bin}/generate"),
            &format!("# that of {name}\ncat \"$1\" > \"$2\"\n"),
        );
        path_with(&project.path(&bin))
    };
    let paths = [machine("one"), machine("two")];
    let build = |project: &Project, path: &str| {
        let mut command = project.command(&["build", "--json"]);
        command.env("PATH", path);
        Built::of(&run(command).ok())
    };
    build(&project, &paths[0]);
    let hashes = project.dep_hashes();
    let other = project.checkout();
    assert!(build(&other, &paths[1]).with("restored") == ["c"]);
    assert_eq!(other.dep_hashes(), hashes);
}
