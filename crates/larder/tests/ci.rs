//! `larder ci` as jobs call it.

#[path = "ci/history.rs"]
mod history;
#[path = "ci/results.rs"]
mod results;
#[path = "ci/variants.rs"]
mod variants;
#[path = "ci/workflows.rs"]
mod workflows;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use larder_testkit::{
    files::write_all,
    run::{larder_in, run},
};
use tempfile::TempDir;

/// A package with three jobs and a service in a directory.
struct Project {
    temp: TempDir,
    root: PathBuf,
}

impl Project {
    fn new() -> Self {
        let temp = TempDir::new().unwrap();
        let root = temp.path().join("app");
        let manifest = "[package]\nname = \"app\"\n\
            [ci.jobs.build]\ninputs = [\"src\"]\n\
            [ci.jobs.test]\ninputs = [\"tests\"]\nneeds = [\"build\"]\n\
            [ci.jobs.image]\ncontext = \".\"\ncontainerfile = \"ci/Containerfile\"\ntoolchain = false\n";
        write_all(
            &root,
            &[
                ("larder.toml", manifest),
                ("src/a.c", "int a;\n"),
                ("tests/t.c", "int t;\n"),
                ("ci/Containerfile", "FROM scratch\n"),
            ],
        );
        let service = temp.path().join("service");
        let config = format!(
            "[cache]\n[[cache.service]]\nname = \"dir\"\nurl = \"file://{}\"\n",
            service.display()
        );
        fs::create_dir(&service).unwrap();
        write_all(temp.path(), &[("config.toml", &config)]);
        Self { temp, root }
    }

    fn larder(&self, arguments: &[&str]) -> Command {
        let mut command = larder_in(&self.root);
        command.env("LARDER_CONFIG", self.temp.path().join("config.toml")).args(arguments);
        command
    }

    fn plan(&self) -> serde_json::Value {
        let (code, out, err) = run(self.larder(&["ci", "plan", "--json"])).parts();
        assert_eq!(code, 0, "{err}");
        serde_json::from_str(&out).unwrap()
    }

    fn skipped(&self) -> Vec<String> {
        let plan = self.plan();
        let jobs = plan["jobs"].as_array().unwrap().iter();
        let skipped = jobs.filter(|job| job["skip"] == true);
        skipped.map(|job| job["name"].as_str().unwrap().to_owned()).collect()
    }

    fn key(&self, job: &str) -> String {
        let (code, out, err) = run(self.larder(&["ci", "key", "--job", job])).parts();
        assert_eq!(code, 0, "{err}");
        out.trim().to_owned()
    }
}

#[test]
fn a_job_is_skipped_when_it_is_done_and_runs_again_when_an_input_changes() {
    let project = Project::new();
    assert_eq!(project.skipped(), [""; 0]);
    let key = project.key("build");
    let probe = || run(project.larder(&["ci", "probe", &key]));
    assert_eq!((probe().code, probe().stdout), (Some(1), "miss\n".to_owned()));
    let (code, _, err) = run(project.larder(&["ci", "done", &key])).parts();
    assert_eq!(code, 0, "{err}");
    assert_eq!((probe().code, probe().stdout), (Some(0), "hit\n".to_owned()));
    let mark = project.temp.path().join("service/keys").join(&key);
    let marked = fs::read_to_string(&mark).unwrap();
    assert_eq!(marked, format!("{{\"key\":\"{key}\",\"schemaVersion\":1}}\n"));
    let time = fs::metadata(&mark).unwrap().modified().unwrap();
    let (code, _, err) = run(project.larder(&["ci", "done", &key])).parts();
    assert_eq!((code, err.contains("already had")), (0, true), "{err}");
    assert_eq!(fs::metadata(&mark).unwrap().modified().unwrap(), time);

    assert_eq!(project.skipped(), ["build"]);
    // People see a table, and sums that add up; programs ask for JSON.
    let (code, out, err) = run(project.larder(&["ci", "plan"])).parts();
    assert_eq!(code, 0, "{err}");
    let line = |job: &str| out.lines().find(|line| line.starts_with(job)).unwrap_or_default();
    assert!(line("build").contains("skip  its result is there") && out.contains(&key), "{out}");
    assert!(line("test").contains("run   its result is not there"), "{out}");
    let jobs = out.lines().count() - 1;
    assert!(err.contains(&format!("1 to skip, {} to run", jobs - 1)), "{err}");
    write_all(&project.root, &[("src/a.c", "int b;\n")]);
    assert_eq!(project.skipped(), [""; 0]);
    write_all(&project.root, &[("src/a.c", "int a;\n")]);
    assert_eq!(project.skipped(), ["build"]);
    // Looking wrote nothing.
    assert!(!project.root.join(".larder").exists());
}

#[test]
fn nobody_to_ask_is_no_failure_of_a_plan() {
    let project = Project::new();
    let key = project.key("build");
    run(project.larder(&["ci", "done", &key]));
    let unknown = |command: &mut Command, words: &str| {
        let (code, out, err) = run(command).parts();
        assert_eq!((code, out.as_str()), (2, "unknown\n"), "{err}");
        assert!(err.contains(words), "{words}: {err}");
    };
    let probe = ["ci", "probe", key.as_str()];
    unknown(project.larder(&probe).arg("--offline"), "forbid");
    unknown(project.larder(&probe).env("LARDER_OFFLINE", "1"), "forbid");
    unknown(project.larder(&probe).env("LARDER_CONFIG", "/nonexistent"), "no service");
    unknown(project.larder(&probe).args(["--service", "nobody"]), "no service is named");
    let (code, _, _) = run(project.larder(&["ci", "probe", "../../etc/passwd"])).parts();
    assert_eq!(code, 2);

    let (code, out, err) = run(project.larder(&["ci", "plan", "--offline"]).arg("--json")).parts();
    assert_eq!(code, 0, "{err}");
    let plan: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert!(plan["jobs"].as_array().unwrap().iter().all(|job| job["probe"] == "unknown"));
    assert_eq!(plan["jobs"][0]["skip"], false);
    let (code, _, _) = run(project.larder(&["ci", "plan", "--service", "nobody"])).parts();
    assert_eq!(code, 2);
}

#[test]
fn outputs_for_github_are_appended() {
    let project = Project::new();
    let file = project.temp.path().join("outputs");
    fs::write(&file, "earlier=1\n").unwrap();
    let (code, out, err) = run(project
        .larder(&["ci", "plan", "--json", "--github-output"])
        .env("GITHUB_OUTPUT", &file))
    .parts();
    assert_eq!(code, 0, "{err}");
    let mut plan: serde_json::Value = serde_json::from_str(&out).unwrap();
    plan.as_object_mut().unwrap().remove("event");
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("earlier=1\nbuild-key=build-"), "{text}");
    assert!(text.contains("\ntest-skip=false\n"), "{text}");
    let line = text.lines().last().unwrap().strip_prefix("plan=").unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(line).unwrap(), plan);
    let (code, _, err) = run(project.larder(&["ci", "plan", "--github-output"])).parts();
    assert_eq!((code, err.contains("GITHUB_OUTPUT is not set")), (2, true), "{err}");
    let elsewhere = project.temp.path().join("named");
    let flag = format!("--github-output={}", elsewhere.display());
    run(project.larder(&["ci", "plan", &flag])).ok();
    assert!(fs::read_to_string(elsewhere).unwrap().starts_with("build-key="));
}

#[test]
fn the_image_tag_is_the_same_elsewhere_and_changes_with_the_recipe() {
    let project = Project::new();
    let tag = |root: &Path| {
        let mut command = larder_in(root);
        command.args(["ci", "key", "--context", ".", "--containerfile", "ci/Containerfile"]);
        let (code, out, err) = run(&mut command).parts();
        assert_eq!(code, 0, "{err}");
        out.trim().to_owned()
    };
    let first = tag(&project.root);
    let moved = project.temp.path().join("moved");
    fs::rename(&project.root, &moved).unwrap();
    assert_eq!(tag(&moved), first);
    write_all(&moved, &[("ci/Containerfile", "FROM scratch\nRUN true\n")]);
    assert_ne!(tag(&moved), first);
}

#[test]
fn a_key_explains_itself() {
    let project = Project::new();
    let arguments = ["ci", "key", "--no-toolchain", "--input", "src", "--explain"];
    let (code, out, err) = run(project.larder(&arguments)).parts();
    assert_eq!((code, out.lines().count()), (0, 1), "{err}");
    let names: Vec<&str> =
        err.lines().map(|line| line.split("  ").find(|part| !part.is_empty()).unwrap()).collect();
    assert_eq!(
        names,
        [
            "key",
            "version",
            "environment",
            "platform",
            "larder.lock",
            "app",
            "larder.toml",
            "pinned",
            "required",
            "inputs",
            "src/a.c",
            "file",
        ]
    );
    let (_, json, _) = run(project.larder(&arguments).arg("--json")).parts();
    let event: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(event["key"], out.trim());
    assert_eq!(event["parts"][1]["name"], "environment");
}

#[test]
fn secrets_in_the_environment_count_and_are_not_shown() {
    let project = Project::new();
    write_all(
        &project.root,
        &[(
            "larder.toml",
            "[package]\nname = \"app\"\n[[command]]\nname = \"c\"\nrun = [\"true\"]\noutputs = [\"o\"]\npass-env = [\"TOKEN_X\"]\n",
        )],
    );
    let with = |value: &str| {
        let (code, out, err) =
            run(project.larder(&["ci", "key", "--explain", "-v"]).env("TOKEN_X", value)).parts();
        assert_eq!(code, 0, "{err}");
        assert!(!err.contains(value) && err.contains("TOKEN_X"), "{err}");
        out
    };
    assert_ne!(with("hunter2"), with("hunter3"));
}

#[test]
fn making_a_key_runs_nothing_of_the_package() {
    let project = Project::new();
    let mark = project.temp.path().join("ran");
    let manifest = "[package]\nname = \"app\"\n[toolchain]\ncc = \"./cc\"\n\
        [[command]]\nname = \"c\"\nrun = [\"./cc\"]\noutputs = [\"o\"]\n";
    let script = format!("#!/bin/sh\ntouch {}\n", mark.display());
    write_all(&project.root, &[("larder.toml", manifest), ("cc", &script)]);
    let mut mode = fs::metadata(project.root.join("cc")).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut mode, 0o755);
    fs::set_permissions(project.root.join("cc"), mode).unwrap();
    let key = || run(project.larder(&["ci", "key"])).parts();
    let (code, before, err) = key();
    assert_eq!((code, mark.exists()), (0, false), "{err}");
    write_all(&project.root, &[("cc", &format!("{script}true\n"))]);
    assert_ne!(key().1, before);
    assert!(!mark.exists());
}
