//! A server beside everything that writes the data.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
};

use larder_testkit::{
    server::Server,
    set::{Package, Set},
    wait::wait_until,
};

use super::client::{Client, broken_set};

/// Runs are made, histories compacted and runs collected while many read: nobody sees an error of the server.
#[test]
fn readers_see_no_error_while_data_are_written_compacted_and_collected() {
    const READERS: usize = 50;
    let set = broken_set();
    let server = Server::of(&set);
    let first = set.last_run();
    let (over, asked) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        for reader in 0..READERS {
            let (server, over, asked, first) = (&server, &over, &asked, &first);
            scope.spawn(move || {
                let run = format!("/runs/{first}");
                let paths = [
                    "/",
                    "/packages",
                    "/packages/root.1.0",
                    "/runs",
                    &run,
                    "/api/overview",
                    "/api/packages/leaf.1.0",
                    "/locks",
                    "/metrics",
                    "/feed.atom",
                ];
                let mut at = reader;
                while !over.load(Ordering::Relaxed) {
                    let path = paths[at % paths.len()];
                    let answer = server.get(path);
                    // A run may be collected.
                    let gone = path == run && answer.status == 404;
                    assert!(answer.status == 200 || gone, "{path}: {answer:?}");
                    asked.fetch_add(1, Ordering::Relaxed);
                    at += 1;
                }
            });
        }
        let write = || {
            for state in ["good", "bad", "good", "worse"] {
                // It leaves nothing of what was until now: the last word is that of a run.
                set.larder(&["gc", "--keep-runs", "2", "--history-days", "0"]).ok();
                set.file("sources/root.1.0/state", state);
                set.larder(&["batch"]).ends_with(1);
            }
        };
        let written = std::panic::catch_unwind(std::panic::AssertUnwindSafe(write));
        over.store(true, Ordering::Relaxed);
        written.unwrap();
    });
    assert!(asked.load(Ordering::Relaxed) > READERS as u64);
    // A page may be some seconds behind.
    wait_until("the server shows the last run", || {
        let numbers = server.get("/api/overview").ok().json()["numbers"].clone();
        numbers["packages"] == 5 && numbers["failedPackages"] == 1
    });
}

/// A run is followed while it goes on: what it works on, its log as it grows, and its end.
#[test]
fn a_run_is_followed_to_its_end() {
    use std::io::{BufRead, BufReader, Write};
    let set = Set::new(&[
        Package::new("bad.1.0").line("echo 'bad.c:1:1: error: no'; exit 1"),
        Package::new("slow.1.0")
            .line("echo begun; while [ -e README ] && [ ! -e go ]; do sleep 0.05; done; echo over"),
    ]);
    std::fs::create_dir_all(set.data.root()).unwrap();
    let server = Server::of(&set);
    let mut batch = larder_testkit::processes::spawn(set.command(&["batch", "--no-sandbox", "-q"]));
    let working = |overview: &serde_json::Value| {
        let live = &overview["running"][0];
        live["packages"][0]["log"].is_string() && live["failures"][0].is_object()
    };
    let overview = loop {
        let overview = server.get("/api/overview").ok().json();
        if working(&overview) {
            break overview;
        }
    };
    let live = &overview["running"][0];
    assert_eq!(live["packages"][0]["package"], "slow.1.0");
    assert_eq!(live["failures"][0]["package"], "bad.1.0");
    let run = live["runId"].as_str().unwrap();
    let log = live["packages"][0]["log"].as_str().unwrap();
    let follow = |path: &str| {
        let mut stream = server.connect();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).unwrap();
        BufReader::new(stream)
    };
    let mut lines = follow(&format!("/runs/{run}/{log}.html"));
    let mut events = follow(&format!("/runs/{run}/events"));
    let until = |reader: &mut BufReader<_>, what: &str| {
        let mut line = String::new();
        while !line.contains(what) {
            line.clear();
            assert!(reader.read_line(&mut line).unwrap() > 0, "it ended before {what}");
        }
    };
    until(&mut lines, "begun</span>");
    until(&mut events, "event: progress");
    until(&mut events, "bad.c:1:1: error: no");
    let page = server.get(&format!("/runs/{run}")).ok();
    assert!(
        page.text().contains(&format!("data-events=\"/runs/{run}/events\"")),
        "{}",
        page.text()
    );
    // The build waits in its work directory.
    let work = set.data.root().join("work");
    let go = loop {
        let found = larder_testkit::files::files(&work);
        if let Some(beside) = found.iter().find(|path| path.ends_with("README")) {
            break beside.with_file_name("go");
        }
    };
    std::fs::write(go, "").unwrap();
    until(&mut lines, "over</span>");
    until(&mut lines, "</html>");
    until(&mut events, "event: ended");
    assert_eq!(batch.wait().unwrap().code(), Some(1));
    let page = server.get(&format!("/runs/{run}")).ok();
    assert!(!page.text().contains("data-events"), "it is over: {}", page.text());
}

/// Of two compilers that build a package at the same time, each has a log of its own.
#[test]
fn each_build_of_a_package_that_goes_on_has_its_own_log() {
    let line = "while test -e README; do sleep 0.05; done";
    let set = Set::new(&[Package::new("slow.1.0").line(line)]);
    set.append("[compiler.\"other.1\"]\ncc = \"cc\"\ncxx = \"c++\"\n");
    std::fs::create_dir_all(set.data.root()).unwrap();
    let server = Server::of(&set);
    let mut batch = larder_testkit::processes::spawn(set.command(&["batch", "-q", "-j", "2"]));
    let both = loop {
        let live = server.get("/api/overview").ok().json()["running"][0].clone();
        let packages = live["packages"].as_array().cloned().unwrap_or_default();
        if packages.len() == 2 && packages.iter().all(|it| it["log"].is_string()) {
            break packages;
        }
    };
    batch.kill().unwrap();
    batch.wait().unwrap();
    assert_ne!(both[0]["log"], both[1]["log"]);
    let mut compilers: Vec<&str> = both.iter().map(|it| it["compiler"].as_str().unwrap()).collect();
    compilers.sort_unstable();
    assert_eq!(compilers, ["cc.1", "other.1"]);
    // Of a run that never was there is nothing to follow.
    assert_eq!(server.get("/runs/2020-01-01-000000/events").status, 404);
}

/// While a full run goes on, a feed tells what broke in the run before with the same name as then.
#[test]
fn what_a_running_run_has_not_come_to_is_no_news_of_it() {
    let fails = "test ! -e bad || { e=error; echo \"a.c:1:1: $e: bad\"; exit 1; }";
    let set = Set::new(&[
        Package::new("slow.1.0").line("while test -e wait; do sleep 0.05; done"),
        Package::new("worse.1.0").needs("slow", "1").line(fails),
    ]);
    set.larder(&["batch"]).ok();
    set.file("sources/worse.1.0/bad", "");
    set.larder(&["batch"]).ends_with(1);
    let server = Server::of(&set);
    let entries = || -> Vec<String> {
        let feed = server.get("/feed.atom").ok().text().to_owned();
        let entries = feed.split("<entry>").skip(1);
        let dates = |entry: &str| entry.split_once("<link").unwrap().0.to_owned();
        entries.map(dates).collect()
    };
    let before = entries();
    assert_eq!(before.len(), 1, "{before:?}");
    set.file("sources/slow.1.0/wait", "");
    let mut batch = larder_testkit::processes::spawn(set.command(&["batch", "-q"]));
    let live = || server.get("/api/overview").ok().json()["running"][0]["packages"][0].clone();
    while live()["log"].is_null() {}
    assert_eq!(entries(), before);
    batch.kill().unwrap();
    batch.wait().unwrap();
}

/// A run whose process is killed has died, and says so, though no file has changed.
#[test]
fn a_killed_run_is_shown_as_dead() {
    let set =
        Set::new(&[Package::new("slow.1.0").line("while test -e README; do sleep 0.05; done")]);
    std::fs::create_dir_all(set.data.root()).unwrap();
    let server = Server::of(&set);
    let mut batch = larder_testkit::processes::spawn(set.command(&["batch", "-q"]));
    let state = || server.get("/api/runs").ok().json()["runs"][0]["state"].clone();
    while state() != "running" {}
    while server.get("/api/overview").ok().json()["running"][0]["packages"][0]["log"].is_null() {}
    batch.kill().unwrap();
    batch.wait().unwrap();
    while state() != "died" {}
    let run = set.last_run();
    let page = server.get(&format!("/runs/{run}")).ok();
    assert!(page.text().contains("ended without a word"), "{}", page.text());
    let logs = set.data.runs().join(&run).join("logs/slow.1.0");
    let log = std::fs::read_dir(logs).unwrap().next().unwrap().unwrap().file_name();
    let page = server.get(&format!("/runs/{run}/logs/slow.1.0/{}.html", log.display())).ok();
    assert!(page.text().contains("its run ended before there was one"), "{}", page.text());
    assert!(server.get("/api/overview").ok().json()["running"].as_array().unwrap().is_empty());
}
