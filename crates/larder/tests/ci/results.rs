//! What a service says of a result, and what it is told.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use larder_testkit::{
    files::{write, write_all},
    machine::KEY,
    run::run,
    services::{Manners, S3, Web},
};

use super::Project;

impl Project {
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

#[test]
fn an_object_store_keeps_and_deletes_what_is_done() {
    let s3 = S3::start();
    let project = Project::new();
    let config = format!(
        "[cache]\n[[cache.service]]\nname = \"s3\"\nurl = \"s3://bucket/p\"\nendpoint = \"http://{}\"\n\
         region = \"us-east-1\"\n",
        s3.address
    );
    write_all(project.temp.path(), &[("config.toml", &config)]);
    let key = project.key("build");
    let told = |command: &str| {
        let mut command = project.larder(&["ci", command, &key]);
        run(command.env("LARDER_CACHE_KEY", format!("{}:{}", KEY.0, KEY.1))).code
    };
    for (command, code) in
        [("probe", 1), ("done", 0), ("probe", 0), ("undone", 0), ("probe", 1), ("undone", 0)]
    {
        assert_eq!(told(command), Some(code), "{command}");
    }
    assert!(s3.objects().is_empty(), "{:?}", s3.objects());
}

#[test]
fn a_service_that_never_answers_is_asked_by_the_first_jobs_only() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    thread::spawn(move || {
        let mut kept = Vec::new();
        for client in listener.incoming().flatten() {
            count.fetch_add(1, Ordering::Relaxed);
            kept.push(client);
        }
    });
    let project = Project::new();
    let jobs: String = (0..80)
        .map(|n| format!("[ci.jobs.j{n}]\ninputs = [\"src\"]\ntoolchain = false\n"))
        .collect();
    let manifest = format!("[package]\nname = \"app\"\n{jobs}");
    write(&project.root.join("larder.toml"), manifest.as_bytes());
    let config = format!(
        "[cache]\n[[cache.service]]\nname = \"mute\"\nurl = \"http://{address}\"\ntimeout-seconds = 1\n"
    );
    write_all(project.temp.path(), &[("config.toml", &config)]);
    let plan = project.plan();
    assert!(plan["jobs"].as_array().unwrap().iter().all(|job| job["probe"] == "unknown"));
    // As many as are asked for at once, and what these try again.
    let asked = asked.load(Ordering::Relaxed);
    assert!((1..40).contains(&asked), "{asked}");
}
