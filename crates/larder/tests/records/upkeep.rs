//! `locks`, `gc`.

use std::fs;

use larder_runs::build_lock::{Purpose, acquire};
use larder_runs::gc::{References, publish_references};
use larder_runs::result::RunKind;
use larder_runs::run_log::Scope;

use super::support::Ecosystem;

#[test]
fn locks_are_listed_and_only_stale_ones_removed() {
    let ecosystem = Ecosystem::new();
    let locks = ecosystem.data.locks();
    let _held = acquire(&locks, Purpose::Build, "fmt.0.9.0", |_| {}).unwrap();
    fs::write(locks.join("doc-zlib.1.3.1.lock"), "").unwrap();
    let stale = |events: Vec<serde_json::Value>| {
        events.iter().map(|event| event["stale"].as_bool().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(stale(ecosystem.events(&["locks"])), [false, true]);
    assert!(ecosystem.shown(&["locks", "--cleanup"]).contains("removed"));
    assert_eq!(stale(ecosystem.events(&["locks"])), [false]);
    assert!(ecosystem.shown(&["locks"]).contains(&format!("process {}", std::process::id())));
}

#[test]
fn gc_says_what_it_removes_and_what_it_frees() {
    let ecosystem = Ecosystem::new();
    let layer = |name: &str| {
        fs::create_dir_all(ecosystem.data.layers().join(name)).unwrap();
        fs::write(ecosystem.data.layers().join(name).join("a"), vec![1; 5000]).unwrap();
    };
    layer("kept");
    layer("unused");
    let run = ecosystem.start("2026-03-03", RunKind::Full, Scope::All);
    let layers = ["kept".parse().unwrap()].into();
    publish_references(&ecosystem.data, &run, &References { layers, ..References::default() })
        .unwrap();
    assert!(ecosystem.shown(&["gc", "--dry-run"]).contains("WOULD REMOVE"));
    assert!(ecosystem.data.layers().join("unused").exists());
    let events = ecosystem.events(&["gc", "--history-days", "30"]);
    assert_eq!(
        (events[0]["what"].as_str(), &events[0]["removed"]),
        (Some("layers"), &serde_json::json!(["unused"]))
    );
    assert!(events[0]["bytes"].as_u64().unwrap() >= 8192);
    assert!(
        ecosystem.data.layers().join("kept/a").exists()
            && !ecosystem.data.layers().join("unused").exists()
    );
}
