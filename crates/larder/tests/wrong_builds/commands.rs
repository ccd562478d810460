//! Commands: their paths, their tools, and whatever else decides what they write.

use std::fs;

use larder_testkit::{
    events::Built,
    project::Project,
    run::{larder, run},
    tools::path_with,
};

use crate::support::made;

/// A command `c` that runs `script` with `{out}` as its first argument.
fn command(script: &str, more: &str) -> Project {
    Project::cached(&format!(
        "[[command]]\nname = \"c\"\noutputs = [\"c\"]\nrun = [\"sh\", \"-c\", '{script}', \"sh\", \"{{out}}\"]\n{more}\n"
    ))
}

/// Returns what the command writes, with a `bin` of the package first on `PATH`.
#[track_caller]
fn written(project: &Project) -> String {
    let mut command = project.command(&["build", "--json"]);
    command.env("PATH", path_with(&project.path("bin")));
    Built::of(&run(command).ok());
    fs::read_to_string(project.output("c")).unwrap()
}

#[test]
fn a_declared_tool_is_traced_by_content() {
    let project = command("tool > $1", "tools = [\"tool\"]");
    project.script("bin/tool", "echo one\n");
    assert_eq!(written(&project), "one\n");
    project.script("bin/tool", "echo two\n");
    assert_eq!(written(&project), "two\n");
    let other = project.checkout();
    other.script("bin/tool", "echo three\n");
    assert_eq!(written(&other), "three\n");
    project.script("bin/tool", "echo one\n");
    assert_eq!(written(&project), "one\n");
}

#[test]
fn a_declared_tool_that_is_not_there_is_traced_as_absent_or_refused() {
    let project = command("tool > $1 || echo none > $1", "tools = [\"tool\"]");
    project.file("bin/empty", "");
    let mut build = project.command(&["build"]);
    build.env("PATH", path_with(&project.path("bin")));
    let first = run(build);
    if first.code != Some(0) {
        assert!(first.stderr.contains("`tool`"), "{}", first.stderr);
    }
    project.script("bin/tool", "echo one\n");
    assert_eq!(written(&project), "one\n");
}

#[test]
fn a_declared_file_of_the_system_is_traced() {
    let system = tempfile::tempdir().unwrap();
    let file = system.path().join("conf");
    let project = command(
        &format!("cat {} > $1", file.display()),
        &format!("system-files = [\"{}\"]", file.display()),
    );
    fs::write(&file, "one\n").unwrap();
    assert_eq!(made(&project, "c"), "one\n");
    fs::write(&file, "two\n").unwrap();
    assert_eq!(made(&project, "c"), "two\n");
    let other = project.checkout();
    fs::write(&file, "three\n").unwrap();
    assert_eq!(made(&other, "c"), "three\n");
    assert_eq!(made(&project, "c"), "three\n");
    assert_eq!(project.build().built(), [""; 0]);
}

#[test]
fn the_output_of_a_probe_is_traced() {
    let project = command("tool > $1", "probes = [[\"tool\", \"--version\"]]");
    let data = tempfile::tempdir().unwrap();
    let version = data.path().join("version");
    project.script("bin/tool", &format!("cat {}\n", version.display()));
    fs::write(&version, "one\n").unwrap();
    assert_eq!(written(&project), "one\n");
    fs::write(&version, "two\n").unwrap();
    assert_eq!(written(&project), "two\n");
    fs::write(&version, "three\n").unwrap();
    assert_eq!(written(&project.checkout()), "three\n");
    assert_eq!(written(&project), "three\n");
}

#[test]
fn a_command_that_always_runs_runs_always() {
    let data = tempfile::tempdir().unwrap();
    let state = data.path().join("state");
    let project = command(&format!("cat {} > $1", state.display()), "always = true");
    for value in ["one\n", "two\n", "two\n"] {
        fs::write(&state, value).unwrap();
        assert_eq!(project.build().built(), ["c"]);
        assert_eq!(fs::read_to_string(project.output("c")).unwrap(), value);
    }
    // Not from the store either.
    project.forget();
    fs::write(&state, "three\n").unwrap();
    assert_eq!(made(&project, "c"), "three\n");
}

#[test]
fn what_a_command_that_always_runs_did_not_change_builds_nothing() {
    let project = command("echo same > $1", "always = true");
    let more = "[[command]]\nname = \"d\"\ninputs = [\"{c}\"]\noutputs = [\"d\"]\nrun = [\"cp\", \"{in}\", \"{out}\"]\n";
    project.file("larder.toml", project.read("larder.toml") + more);
    assert_eq!(project.build().built(), ["c", "d"]);
    assert_eq!(project.build().built(), ["c"]);
}

const PLACES: &str = r#"
[[command]]
name = "places"
outputs = ["one", "dir/two", "tree/"]
run = ["sh", "-c", 'out=$1; one=$2; two=$3; tree=$4; outdir=$5; tmp=$6; build=$7; printf "%s\n" "$@" > "$one"; : > "$two"; : > "$tree/a"', "sh", "{out}", "{outs}", "{outdir}", "{tmp}", "{build}"]

[[command]]
name = "glued"
outputs = ["glued"]
run = ["sh", "-c", 'printf "%s\n" "$@" > "${1#--out=}"', "sh", "--out={out}", "--tmp={tmp}", "--build={build}", "--outdir={outdir}"]
"#;

#[test]
fn placeholders_are_absolute_in_every_package() {
    let project = Project::new(&format!("[dependencies]\ndep = {{ path = \"dep\" }}\n{PLACES}"));
    project.file("dep/larder.toml", format!("[package]\nname = \"dep\"\n{PLACES}"));
    project.build_with(&["places", "glued", "@dep/places", "@dep/glued"]);
    let lines = |path: &str| -> Vec<String> {
        let text = fs::read_to_string(project.output(path)).unwrap();
        text.lines().map(str::to_owned).collect()
    };
    for path in ["one", "@dep/one"] {
        let said = lines(path);
        assert_eq!(said.len(), 7, "{said:?}");
        assert!(said.iter().all(|place| place.starts_with('/')), "{path}: {said:?}");
    }
    for path in ["glued", "@dep/glued"] {
        let said = lines(path);
        assert_eq!(said.len(), 4, "{said:?}");
        assert!(said.iter().all(|place| place.contains("=/")), "{path}: {said:?}");
    }
    // Nor do they change what is traced.
    let root = project.path("dep");
    run(larder(&root, &project.cache, &["build"])).ok();
    let hash = |trace: &std::path::Path| {
        let text = fs::read(trace).unwrap();
        let trace: serde_json::Value = serde_json::from_slice(&text).unwrap();
        trace["depHash"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        hash(&root.join(".larder/build/one.trace")),
        hash(&project.output("@dep/one.trace"))
    );
}

const GENERATOR: &str = r#"
[[library]]
name = "inner"
kind = ["shared"]
sources = ["inner.c"]

[[library]]
name = "outer"
kind = ["shared"]
sources = ["outer.c"]
libraries = ["inner"]

[[executable]]
name = "generator"
sources = ["generator.c"]
libraries = ["outer"]

[[command]]
name = "c"
inputs = ["in"]
outputs = ["c"]
run = ["{generator}", "{out}", "{in}"]
"#;

#[test]
fn a_tool_of_the_package_is_traced_with_the_libraries_that_it_loads() {
    let project = Project::cached(GENERATOR);
    let package =
        |text: &str| text.replace("[package]\n", "[package]\ndefault-targets = [\"c\"]\n");
    project.file("larder.toml", package(&project.read("larder.toml")));
    project.file("inner.c", "int inner(void) { return 1; }\n");
    project.file("outer.c", "int inner(void);\nint outer(void) { return 10 + inner(); }\n");
    project.file("generator.c", "#include <stdio.h>\nint outer(void);\nint main(int count, char **arguments) { FILE *out = fopen(arguments[1], \"w\"); fprintf(out, \"%d\\n\", outer()); return fclose(out); }\n");
    project.file("in", "1\n");
    assert_eq!(made(&project, "c"), "11\n");
    project.replace("outer.c", "10", "20");
    assert_eq!(made(&project, "c"), "21\n", "the library");
    project.replace("inner.c", "1", "2");
    assert_eq!(made(&project, "c"), "22\n", "the library's library");
    let other = project.checkout();
    other.replace("inner.c", "2", "3");
    assert_eq!(made(&other, "c"), "23\n", "in another checkout");
    // The library that it loads is there when it runs.
    let third = project.checkout();
    third.file("in", "2\n");
    assert_eq!(made(&third, "c"), "22\n");
}

#[test]
fn no_build_is_for_everything_that_builds() {
    let project = Project::new("[[executable]]\nname = \"x\"\nsources = [\"x.c\"]\ntest = true\n");
    project.file("x.c", "int main(void) { return 0; }\n");
    let asks: [&[&str]; 3] =
        [&["query", "--no-build", "x"], &["test", "--no-build"], &["exec", "--no-build", "x"]];
    for arguments in asks {
        project.larder(arguments).ends_with(3);
        assert!(!project.output("x").exists(), "{arguments:?}");
    }
    project.build();
    for arguments in asks {
        project.larder(arguments).ok();
    }
    project.file("x.c", "int main(void) { return 1; }\n");
    for arguments in asks {
        project.larder(arguments).ends_with(3);
    }
}

#[test]
fn one_bad_pattern_hides_no_other() {
    let project = Project::new(
        r#"
[[library]]
name = "a"
sources = ["none/*.c", "nor/*.c"]
exclude = ["[bad"]

[[command]]
name = "c"
inputs = ["missing/*", "absent/*"]
outputs = ["c"]
run = ["touch", "{out}"]
"#,
    );
    let said = project.larder(&["build"]).stderr;
    for pattern in ["none/*.c", "nor/*.c", "[bad", "missing/*", "absent/*"] {
        assert!(said.contains(&format!("`{pattern}`")), "{pattern}: {said}");
    }
}
