//! Collections remove what nothing refers to, and nothing else.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, SystemTime};

use common::{full, rerun, result, start};
use larder_runs::DataDir;
use larder_runs::build_lock::{Purpose, acquire};
use larder_runs::gc::{
    Options, References, collect_referenced_universes, current_references, gc_all, gc_layers,
    gc_revisions, gc_runs, gc_universes, publish_references,
};
use larder_runs::name::HashName;
use larder_runs::result::RunKind;
use larder_runs::run_log::{Ending, Plan, Run, Scope, run_ids};
use larder_runs::status_index::generate;
use larder_runs::time::Clock;

fn hashes(names: &[&str]) -> BTreeSet<HashName> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

fn file(path: &Path, content: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn options() -> Options {
    Options { dry_run: false, keep_runs: 100 }
}

#[test]
fn layers_without_a_reference_go() {
    let root = tempfile::tempdir().unwrap();
    for layer in ["kept", "unused", ".gc-earlier", ".staging"] {
        file(&root.path().join(layer).join("lib/a"), &"x".repeat(5000));
    }
    let dry = gc_layers(root.path(), &hashes(&["kept", "elsewhere"]), true).unwrap();
    assert_eq!(names(root.path()).len(), 4);
    let done = gc_layers(root.path(), &hashes(&["kept", "elsewhere"]), false).unwrap();
    assert_eq!(dry, done);
    assert_eq!((done.removed, done.kept), (vec!["earlier".to_owned(), "unused".to_owned()], 1));
    assert!(done.bytes >= 2 * 8192, "{}", done.bytes);
    assert_eq!(names(root.path()), [".staging", "kept"]);
    assert!(
        gc_layers(&root.path().join("missing"), &hashes(&[]), false).unwrap().removed.is_empty()
    );
}

#[test]
fn universes_that_published_pages_lead_to_stay() {
    let root = tempfile::tempdir().unwrap();
    let html = root.path();
    file(&html.join("p/fmt/0.9.0/index.html"), r#"<a href="../../../u/linked/fmt/0.9.0/">"#);
    fs::create_dir_all(html.join("p/zlib")).unwrap();
    symlink("../../u/pointed/zlib/1.3", html.join("p/zlib/1.3")).unwrap();
    file(&html.join("u/linked/fmt/0.9.0/index.html"), r#"<a href="../../../indirect/a/1/">"#);
    for universe in ["pointed", "indirect", "unlinked", "running"] {
        file(
            &html.join("u").join(universe).join("a/1/index.html"),
            r#"<a href="/u/unlinked/">"#.trim_start_matches('<'),
        );
    }
    file(&html.join("u/pointed/a/1/index.html"), "no links");
    file(&html.join("u/indirect/a/1/index.html"), "no links");
    file(&html.join("u/unlinked/a/1/index.html"), r#"<a href="/u/unlinked/">"#);

    assert_eq!(
        collect_referenced_universes(html).unwrap().into_iter().collect::<Vec<_>>(),
        ["indirect", "linked", "pointed"]
    );
    let done = gc_universes(html, &hashes(&["running"]), false).unwrap();
    assert_eq!((done.removed, done.kept), (vec!["unlinked".to_owned()], 4));
    assert!(collect_referenced_universes(&html.join("missing")).unwrap().is_empty());
}

#[test]
fn what_runs_refer_to_stays() {
    let root = tempfile::tempdir().unwrap();
    let data = DataDir::new(root.path());
    for layer in ["one", "two", "three", "four", "building"] {
        file(&data.layers().join(layer).join("a"), "a");
    }
    let skipped = gc_all(&data, &options()).unwrap().layers;
    assert!(
        skipped.skipped.is_some() && skipped.removed.is_empty(),
        "nothing is known: nothing goes"
    );

    let publish = |layers: &[&str]| told(&data, RunKind::Full, Scope::All, layers);
    let running = publish(&["one"]);
    publish(&["four"]).finish(Ending::Complete).unwrap();
    publish(&["two"]).finish(Ending::Complete).unwrap();
    drop(publish(&["three"]));
    let _building = acquire(&data.locks(), Purpose::Build, "building", |_| {}).unwrap();

    // The running one's, the newest finished one's, and the one's that died last.
    assert_eq!(
        current_references(&data).unwrap().unwrap().layers,
        hashes(&["one", "two", "three"])
    );
    let report = gc_all(&data, &options()).unwrap();
    assert_eq!(
        (report.layers.removed.as_slice(), report.layers.kept),
        (&["four".to_owned()][..], 4)
    );
    assert!(report.is_complete());

    fs::write(running.dir().join("references.json"), "{").unwrap();
    let error = gc_all(&data, &options()).unwrap_err().to_string();
    assert!(error.contains("references.json"), "rather none than a wrong one: {error}");
}

/// A run that has told what its solutions refer to.
fn told(data: &DataDir, kind: RunKind, scope: Scope, layers: &[&str]) -> Run {
    let run = Run::start(data, Plan::new(kind, scope, Vec::new()), Clock::system()).unwrap();
    let references = References { layers: hashes(layers), ..References::default() };
    publish_references(data, &run, &references).unwrap();
    run
}

#[test]
fn a_run_of_one_package_takes_no_layer_from_the_full_run() {
    let root = tempfile::tempdir().unwrap();
    let data = DataDir::new(root.path());
    let layers: Vec<String> = (0..100).map(|number| format!("layer{number}")).collect();
    let layers: Vec<&str> = layers.iter().map(String::as_str).collect();
    for layer in &layers {
        file(&data.layers().join(layer).join("a"), "a");
    }
    let finish = |kind, scope, layers: &[&str]| {
        told(&data, kind, scope, layers).finish(Ending::Complete).unwrap();
    };
    let one = || Scope::Packages(vec!["fmt".to_owned()]);
    finish(RunKind::Compare, Scope::All, &layers[..10]);
    finish(RunKind::Full, Scope::All, &layers[10..60]);
    finish(RunKind::Full, one(), &layers[60..61]);
    finish(RunKind::Rerun, one(), &layers[61..62]);
    let report = gc_all(&data, &Options { dry_run: false, keep_runs: 1 }).unwrap();
    assert_eq!((report.layers.kept, report.layers.removed.len()), (62, 38));
    assert_eq!(report.runs.removed.len(), 0, "a run whose references count stays");
    // The next full run takes the place of the one before and of what was added to that.
    finish(RunKind::Full, Scope::All, &layers[20..40]);
    let report = gc_all(&data, &Options { dry_run: false, keep_runs: 1 }).unwrap();
    assert_eq!(report.layers.kept, 30, "20 of the full run, 10 of the comparison");
    assert_eq!(report.runs.kept, 2);
}

#[test]
fn old_runs_go_but_not_running_ones() {
    let root = tempfile::tempdir().unwrap();
    let data = DataDir::new(root.path());
    let start = || {
        let plan = Plan::new(RunKind::Rerun, Scope::All, Vec::new());
        Run::start(&data, plan, Clock::system()).unwrap()
    };
    let running = start();
    for _ in 0..4 {
        start().finish(Ending::Complete).unwrap();
    }
    let done = gc_runs(&data, 2, false).unwrap();
    assert_eq!((done.removed.len(), done.kept), (2, 3));
    assert!(run_ids(&data.runs()).unwrap().contains(running.id()));
    assert_eq!(gc_runs(&data, 0, false).unwrap().removed.len(), 1, "the newest always stays");
}

#[test]
fn a_full_run_that_died_stays_as_long_as_it_decides_what_stands() {
    let root = tempfile::tempdir().unwrap();
    let data = DataDir::new(root.path());
    let both = [("a.1", "a", "success", true), ("a.1", "b", "timeout", false)];
    full(&data, "2026-03-01-120000", &both);
    full(&data, "2026-03-02-120000", &both);
    let run = start(&data, "2026-03-03-120000", RunKind::Full, Scope::All);
    run.record(result("2026-03-03-120000", "a.1", "a", "success", true)).unwrap();
    drop(run);
    for later in ["2026-03-04-120000", "2026-03-05-120000"] {
        rerun(&data, later, &[("a.1", "a", "success", true)]);
    }
    let stands = || {
        let index = generate(&data, None).unwrap();
        (index.other, index.unfinished.map(|run| run.run_id))
    };
    let before = stands();
    assert_eq!((before.0.total, before.1.as_deref()), (1, Some("2026-03-03-120000")));
    gc_runs(&data, 1, false).unwrap();
    assert_eq!(stands(), before);
    // After two full runs that finished it says nothing any more.
    full(&data, "2026-03-06-120000", &both);
    full(&data, "2026-03-07-120000", &both);
    gc_runs(&data, 1, false).unwrap();
    assert!(!data.runs().join("2026-03-03-120000").exists());
    assert_eq!(generate(&data, None).unwrap().other.total, 1);
}

#[test]
fn what_cannot_be_removed_does_not_keep_the_rest() {
    let root = tempfile::tempdir().unwrap();
    for layer in ["a", "b"] {
        file(&root.path().join(layer).join("x"), "x");
    }
    // A name that cannot be renamed to: its place is taken by something that cannot be removed.
    let status = std::process::Command::new("chattr").arg("+i").arg(root.path().join("a")).status();
    if !status.is_ok_and(|status| status.success()) {
        eprintln!("skipped: chattr +i is not possible here");
        return;
    }
    let done = gc_layers(root.path(), &hashes(&[]), false);
    std::process::Command::new("chattr").arg("-i").arg(root.path().join("a")).status().unwrap();
    let done = done.unwrap();
    assert_eq!((done.removed.as_slice(), done.failed.len()), (&["b".to_owned()][..], 1));
}

#[test]
fn unfinished_files_go_when_they_are_old() {
    let root = tempfile::tempdir().unwrap();
    let data = DataDir::new(root.path());
    let old = data.packages().join("fmt.0.9.0/.history.jsonl.1.0.tmp");
    let young = data.root().join(".status.json.1.0.tmp");
    for path in [&old, &young] {
        file(path, "half");
    }
    let yesterday = std::time::SystemTime::now() - std::time::Duration::from_secs(2 * 24 * 60 * 60);
    fs::File::options().write(true).open(&old).unwrap().set_modified(yesterday).unwrap();
    assert_eq!(gc_all(&data, &options()).unwrap().leftovers.removed.len(), 1);
    assert!(young.exists() && !old.exists());
}

#[test]
fn revisions_go_that_nobody_has_used_for_a_week() {
    let root = tempfile::tempdir().unwrap();
    let data = DataDir::new(root.path());
    assert_eq!(gc_revisions(&data, false).unwrap().kept, 0, "there is none");
    let day = Duration::from_secs(24 * 60 * 60);
    for (name, days) in [("a", 1), ("b", 6), ("c", 8)] {
        file(&data.revisions().join(name).join("larder-set.toml"), "");
        let used = SystemTime::now() - day * days;
        fs::File::open(data.revisions().join(name)).unwrap().set_modified(used).unwrap();
    }
    file(&data.revisions().join("lock"), "");
    let dry = gc_revisions(&data, true).unwrap();
    let done = gc_revisions(&data, false).unwrap();
    assert_eq!(dry, done);
    assert_eq!((done.removed, done.kept), (vec!["c".to_owned()], 2));
    assert_eq!(names(&data.revisions()), ["a", "b", "lock"]);
}
