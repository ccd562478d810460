//! `larder ci` as jobs call it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use larder_testkit::{
    files::{write, write_all},
    run::{larder_in, run},
    services::{Manners, Web},
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

    /// The same project, which asks `server` from now on.
    fn asking(self, server: &Web) -> Self {
        let config = format!(
            "[cache]\n[[cache.service]]\nname = \"web\"\nurl = \"http://{}\"\n",
            server.address
        );
        write_all(self.temp.path(), &[("config.toml", &config)]);
        self
    }

    /// What `ci probe` prints on standard output and on standard error, and its exit code.
    fn probe(&self, key: &str) -> (i32, String, String) {
        let (code, out, err) = run(self.larder(&["ci", "probe", key])).parts();
        (code, out.trim().to_owned(), err)
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
    let (code, out, err) =
        run(project.larder(&["ci", "plan", "--github-output"]).env("GITHUB_OUTPUT", &file)).parts();
    assert_eq!(code, 0, "{err}");
    let plan: serde_json::Value = serde_json::from_str(&out).unwrap();
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

#[test]
fn a_server_that_answers_anything_to_everything_says_nothing() {
    for page in ["<html><body>Please log in</body></html>", "", "{}", &"x".repeat(1 << 20)] {
        let server = Web::start(Manners::CatchAll(page.into()));
        let project = Project::new().asking(&server);
        let key = project.key("build");
        let (code, out, err) = project.probe(&key);
        assert_eq!((code, out.as_str()), (2, "unknown"), "{err}");
        assert!(err.contains("no mark of this result") && err.contains("job `build`"), "{err}");
        let plan = project.plan();
        for job in plan["jobs"].as_array().unwrap() {
            assert_eq!((&job["probe"], &job["skip"]), (&"unknown".into(), &false.into()));
            assert!(job["reason"].as_str().unwrap().contains("no mark of this result"));
        }
        // It takes what is written, and keeps nothing.
        let (code, _, err) = run(project.larder(&["ci", "done", &key])).parts();
        assert_eq!((code, err.contains("after it was written")), (1, true), "{err}");
        let (code, _, err) = run(project.larder(&["ci", "undone", &key])).parts();
        assert_eq!((code, err.contains("still has it")), (1, true), "{err}");
    }
}

#[test]
fn only_a_mark_of_the_key_itself_is_a_hit_and_done_mends_what_is_none() {
    let project = Project::new();
    let key = project.key("build");
    let mark = project.temp.path().join("service/keys").join(&key);
    let other = project.key("test");
    let newer = format!("{{\"key\":\"{key}\",\"schemaVersion\":2}}");
    let foreign = format!("{{\"key\":\"{other}\",\"schemaVersion\":1}}");
    for (content, words) in [
        ("", "it is empty"),
        (&newer, "schema version 2"),
        (&foreign, "another key"),
        ("<html>", "not what"),
        (&" ".repeat(1 << 20), "larger than 4096 bytes"),
    ] {
        write(&mark, content.as_bytes());
        let (code, out, err) = project.probe(&key);
        assert_eq!((code, out.as_str(), err.contains(words)), (2, "unknown", true), "{err}");
        assert_eq!(project.skipped(), [""; 0]);
        let (code, _, err) = run(project.larder(&["ci", "done", &key])).parts();
        assert_eq!((code, err.contains("now has job `build`")), (0, true), "{err}");
        assert_eq!(project.probe(&key).1, "hit");
    }
}

#[test]
fn what_is_done_can_be_taken_back_wherever_it_is() {
    for manners in [Manners::Good, Manners::NoDelete, Manners::FalseDelete] {
        let server = Web::start(manners.clone());
        let project = Project::new().asking(&server);
        let key = project.key("build");
        let told = |command: &str| {
            let (code, out, err) = run(project.larder(&["ci", command, &key, "--json"])).parts();
            assert_eq!(code, 0, "{manners:?}: {err}");
            serde_json::from_str::<serde_json::Value>(&out).unwrap()
        };
        assert_eq!(told("undone")["had"], false);
        for _ in 0..2 {
            assert_eq!(told("done")["new"], true);
            assert_eq!(project.skipped(), ["build"]);
            assert_eq!(told("undone")["had"], true);
            let (code, out, err) = project.probe(&key);
            assert_eq!((code, out.as_str()), (1, "miss"), "{err}");
            assert_eq!(project.skipped(), [""; 0]);
            let is_gone = !server.objects.lock().unwrap().contains_key(&format!("keys/{key}"));
            assert_eq!(is_gone, matches!(manners, Manners::Good));
            assert_eq!(err.contains("taken back"), !is_gone, "{err}");
        }
    }
}

#[test]
fn a_result_that_expired_is_a_miss() {
    let project = Project::new();
    let key = project.key("build");
    let mark = project.temp.path().join("service/keys").join(&key);
    let expires = || {
        let mark: serde_json::Value = serde_json::from_slice(&fs::read(&mark).unwrap()).unwrap();
        mark["expires"].as_u64()
    };
    let done = |arguments: &[&str]| {
        let (code, _, err) = run(project.larder(&["ci", "done", &key]).args(arguments)).parts();
        assert_eq!(code, 0, "{err}");
        let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis() as u64;
        expires().map(|at| (at - since).div_ceil(86_400_000))
    };
    assert_eq!(done(&["--expires", "30d"]), Some(30));
    assert_eq!(project.probe(&key).1, "hit");
    // The last word counts.
    assert_eq!(done(&["--expires", "2w"]), Some(14));
    assert_eq!(done(&[]), None);

    let past = format!("{{\"expires\":1700000000000,\"key\":\"{key}\",\"schemaVersion\":1}}\n");
    write(&mark, past.as_bytes());
    let (code, out, err) = project.probe(&key);
    assert_eq!((code, out.as_str(), err.contains("expired")), (1, "miss", true), "{err}");
    let plan = project.plan();
    assert_eq!(
        (&plan["jobs"][0]["probe"], &plan["jobs"][0]["skip"]),
        (&"miss".into(), &false.into())
    );
    assert!(plan["jobs"][0]["reason"].as_str().unwrap().contains("expired"), "{plan}");
    assert_eq!(done(&["--expires", "1h"]), Some(1));
    assert_eq!(project.probe(&key).1, "hit");
    for wrong in ["0s", "soon", "-1d"] {
        let flag = format!("--expires={wrong}");
        let (code, _, err) = run(project.larder(&["ci", "done", &key, &flag])).parts();
        assert_eq!(code, 2, "{err}");
    }
}

#[test]
fn a_job_says_how_long_its_result_counts() {
    let project = Project::new();
    let manifest = project.root.join("larder.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    let with = |expires: &str| {
        let line = format!("[ci.jobs.build]\nexpires = {expires}\n");
        write(&manifest, text.replace("[ci.jobs.build]\n", &line).as_bytes());
    };
    with("\"30d\"");
    let key = project.key("build");
    assert_eq!(project.plan()["jobs"][0]["expires"], "30d");
    run(project.larder(&["ci", "done", &key])).ok();
    let mark = fs::read_to_string(project.temp.path().join("service/keys").join(&key)).unwrap();
    assert!(mark.contains("\"expires\":"), "{mark}");
    for (wrong, words) in
        [("\"30\"", "an age is"), ("\"0d\"", "expires at once"), ("30", "a string")]
    {
        with(wrong);
        let (code, _, err) = run(project.larder(&["ci", "plan"])).parts();
        assert_eq!((code, err.contains(words)), (2, true), "{err}");
    }
}
