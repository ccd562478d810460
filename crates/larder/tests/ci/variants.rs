//! Results that differ by a matrix or by build arguments have keys that do.

use std::fs;

use larder_testkit::{files::write, run::run};
use serde_json::Value;

use super::Project;

impl Project {
    fn key_with(&self, arguments: &[&str]) -> String {
        let (code, out, err) = run(self.larder(&["ci", "key"]).args(arguments)).parts();
        assert_eq!(code, 0, "{err}");
        out.trim().to_owned()
    }

    fn plan_with(&self, arguments: &[&str]) -> Value {
        let (code, out, err) = run(self.larder(&["ci", "plan", "--json"]).args(arguments)).parts();
        assert_eq!(code, 0, "{err}");
        serde_json::from_str(&out).unwrap()
    }

    fn refused(&self, arguments: &[&str], words: &str) {
        let (code, out, err) = run(self.larder(&["ci"]).args(arguments)).parts();
        assert_eq!((code, out.as_str()), (2, ""), "{err}");
        assert!(err.contains(words), "{words}: {err}");
    }

    /// Adds lines to a job of the manifest.
    fn amend(&self, job: &str, lines: &str) {
        let manifest = self.root.join("larder.toml");
        let text = fs::read_to_string(&manifest).unwrap();
        let head = format!("[ci.jobs.{job}]\n");
        write(&manifest, text.replace(&head, &format!("{head}{lines}")).as_bytes());
    }
}

#[test]
fn the_values_of_a_matrix_are_part_of_every_key() {
    let project = Project::new();
    let job = |values: &[&str]| project.key_with(&[&["--job", "test"], values].concat());
    let plain = job(&[]);
    let one = job(&["--matrix", "os=ubuntu", "--matrix", "cc=gcc"]);
    assert_eq!(job(&["--matrix", "cc=gcc", "--matrix", "os=ubuntu"]), one);
    let all = [
        plain,
        one,
        job(&["--matrix", "os=ubuntu"]),
        job(&["--matrix", "os=debian", "--matrix", "cc=gcc"]),
        job(&["--matrix", "os=gcc", "--matrix", "cc=ubuntu"]),
    ];
    for (at, key) in all.iter().enumerate() {
        assert!(!all[..at].contains(key));
        // What is nearest has the same values.
        assert!(!all[..at].iter().any(|other| other[..21] == key[..21]));
    }
    assert_ne!(project.key_with(&[]), project.key_with(&["--matrix", "os=a"]));

    let plan = project.plan_with(&["--matrix", "os=ubuntu"]);
    assert_eq!(plan["jobs"].as_array().unwrap().len(), 3);
    for planned in plan["jobs"].as_array().unwrap() {
        assert_eq!(planned["matrix"]["os"], "ubuntu");
        let name = planned["name"].as_str().unwrap();
        assert_eq!(planned["key"], project.key_with(&["--job", name, "--matrix", "os=ubuntu"]));
    }
    assert!(project.plan_with(&[])["jobs"][0].get("matrix").is_none());

    for (wrong, words) in [
        ("os", "has no value"),
        ("os=", "has no value"),
        ("=a", "is not a name"),
        ("o s=a", "is not a name"),
    ] {
        project.refused(&["key", "--matrix", wrong], words);
    }
    project.refused(&["plan", "--matrix", "os=a", "--matrix", "os=b"], "two values for `os`");
}

#[test]
fn a_job_with_a_matrix_has_a_key_for_each_of_its_values_only() {
    let project = Project::new();
    project.amend("build", "matrix = { os = [\"ubuntu\", \"debian\"] }\ntoolchain = false\n");
    project.refused(&["key", "--job", "build"], "job `build` runs for each `os`");
    project.refused(&["key", "--job", "build", "--matrix", "os=arch"], "ubuntu, debian");
    let names = |arguments: &[&str]| -> Vec<String> {
        let plan = project.plan_with(arguments);
        let jobs = plan["jobs"].as_array().unwrap().iter();
        jobs.map(|job| job["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&[]), ["image", "test"]);
    run(project.larder(&["ci", "plan"])).ok().says("job `build` is left out");
    assert_eq!(names(&["--matrix", "os=debian"]), ["build", "image", "test"]);
    assert_eq!(names(&["--job", "build", "--matrix", "os=debian"]), ["build"]);
    let key = |os: &str| project.key_with(&["--job", "build", "--matrix", os]);
    assert_ne!(key("os=ubuntu"), key("os=debian"));
    // Whoever needs it needs all of it.
    let before = project.key_with(&["--job", "test"]);
    write(&project.root.join("src/a.c"), b"int b;\n");
    assert_ne!(project.key_with(&["--job", "test"]), before);

    for (lines, words) in [
        ("matrix = { os = [] }\n", "`os` has no values"),
        ("matrix = { os = \"a\" }\n", "an array of strings"),
        ("matrix = { os = [\"\"] }\n", "has no value"),
        ("matrix = { \"o s\" = [\"a\"] }\n", "cannot name a part of a matrix"),
    ] {
        let project = Project::new();
        project.amend("test", lines);
        project.refused(&["plan"], words);
    }
}

#[test]
fn build_arguments_are_part_of_an_image_s_tag() {
    let project = Project::new();
    let image = ["--context", ".", "--containerfile", "ci/Containerfile", "--no-toolchain"];
    let tag = |arguments: &[&str]| project.key_with(&[&image, arguments].concat());
    let one = tag(&["--build-arg", "BASE=gcc:14", "--build-arg", "N=1"]);
    assert_eq!(tag(&["--build-arg", "N=1", "--build-arg", "BASE=gcc:14"]), one);
    let others = [
        tag(&[]),
        tag(&["--build-arg", "BASE=gcc:15", "--build-arg", "N=1"]),
        tag(&["--build-arg", "BASE=gcc:14"]),
        tag(&["--build-arg", "BASE=gcc:14N=1"]),
        tag(&["--build-arg", "BASE=gcc:14", "--build-arg", "N="]),
        tag(&["--build-arg", "BASE=gcc:14", "--build-arg", "N"]),
    ];
    assert!(!others.contains(&one));
    project.refused(&["key", "--build-arg", "A=1"], "--context");
    let twice = ["key", "--context", ".", "--build-arg", "A=1", "--build-arg", "A"];
    project.refused(&twice, "two values for `A`");
    project.refused(&["key", "--context", ".", "--build-arg", "=1"], "is not a name");
}

#[test]
fn build_arguments_of_a_job_count_and_those_of_the_environment_are_not_shown() {
    let project = Project::new();
    let plain = project.key("image");
    project.amend("image", "build-args = { BASE = \"gcc:14\" }\npass-build-args = [\"REV\"]\n");
    let with = |rev: Option<&str>| {
        let mut command = project.larder(&["ci", "key", "--job", "image", "--explain", "--json"]);
        command.arg("-v").envs(rev.map(|rev| ("REV", rev)));
        let (code, out, err) = run(&mut command).parts();
        assert_eq!(code, 0, "{err}");
        if let Some(rev) = rev.filter(|rev| !rev.is_empty()) {
            assert!(!out.contains(rev) && !err.contains(rev), "{out}{err}");
        }
        assert!(out.contains("REV") && out.contains("gcc:14"), "{out}");
        let event: Value = serde_json::from_str(&out).unwrap();
        (event["key"].as_str().unwrap().to_owned(), event["near"][0].as_str().unwrap().to_owned())
    };
    let all = [with(None), with(Some("")), with(Some("hunter2")), with(Some("hunter3"))];
    for (at, (key, near)) in all.iter().enumerate() {
        assert_ne!(*key, plain);
        assert!(!all[..at].iter().any(|(other, beginning)| other == key || beginning == near));
    }
    // A plan says the same.
    let mut command = project.larder(&["ci", "plan", "--json", "--job", "image"]);
    let (_, out, _) = run(command.env("REV", "hunter2")).parts();
    let plan: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(plan["jobs"][0]["key"], all[2].0);

    for (lines, words) in [
        ("build-args = { \"A=B\" = \"1\" }\n", "cannot name a build argument"),
        ("build-args = { A = 1 }\n", "expected a string"),
        ("pass-build-args = [\"A B\"]\n", "cannot name a build argument"),
        ("build-args = { A = \"1\" }\npass-build-args = [\"A\"]\n", "has a value already"),
    ] {
        let project = Project::new();
        project.amend("image", lines);
        project.refused(&["plan"], words);
    }
    let project = Project::new();
    project.amend("build", "build-args = { A = \"1\" }\n");
    project.refused(&["plan"], "has build arguments and no context");
}

#[test]
fn what_is_wrong_with_a_job_names_it() {
    let project = Project::new();
    fs::remove_file(project.root.join("tests/t.c")).unwrap();
    project.refused(&["plan"], "job `test`: the input `tests` matches no file");
    let project = Project::new();
    fs::remove_file(project.root.join("ci/Containerfile")).unwrap();
    let (code, _, err) = run(project.larder(&["ci", "plan"])).parts();
    assert_eq!((code, err.contains("job `image`: cannot read")), (1, true), "{err}");
}
