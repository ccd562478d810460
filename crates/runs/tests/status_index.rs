//! The status index: totals, changes, flakiness, and that the incremental way leads to the same place.

mod common;

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use common::{entry, package};
use jiff::Timestamp;
use larder_runs::history::{self, append, compact};
use larder_runs::status_index::{FILE, StatusIndex, compare, generate, read, write};
use proptest::prelude::*;

const R1: &str = "2026-03-01-120000";
const R2: &str = "2026-03-02-120000";
const R3: &str = "2026-03-03-120000";

fn add(packages: &Path, name: &str, run: &str, hash: &str, category: &str, blessed: bool) {
    append(packages, &package(name), &entry(run, hash, category, blessed)).unwrap();
}

/// An index without when and from which files it was made.
fn content(mut index: StatusIndex) -> StatusIndex {
    index.distrust();
    index.generated.clear();
    index
}

#[test]
fn totals_count_the_last_result_of_each_build() {
    let root = tempfile::tempdir().unwrap();
    let packages = root.path();
    add(packages, "a.1", R1, "old", "build_failure", true);
    add(packages, "a.1", R2, "new", "success", true);
    add(packages, "a.1", R2, "other", "timeout", false);
    add(packages, "b.1", R2, "b", "dependency_failure", true);
    add(packages, "c.1", R1, "c", "success", false);
    add(packages, "c.1", R2, "c", "build_failure", false);
    fs::create_dir(packages.join("empty.1")).unwrap();
    fs::create_dir(packages.join("not a package")).unwrap();

    let index = generate(packages, Some(R2), None).unwrap();
    assert_eq!(index.since.as_deref(), Some(R1));
    insta::assert_json_snapshot!((&index.blessed, &index.other, &index.changes, &index.new_packages), @r#"
    [
      {
        "total": 2,
        "byStatus": {
          "failure": 1,
          "success": 1
        },
        "byCategory": {
          "dependency_failure": 1,
          "success": 1
        }
      },
      {
        "total": 2,
        "byStatus": {
          "failure": 2
        },
        "byCategory": {
          "build_failure": 1,
          "timeout": 1
        }
      },
      [
        {
          "package": "a.1",
          "buildHash": "new",
          "blessed": true,
          "fromStatus": "failure",
          "toStatus": "success",
          "category": "success"
        },
        {
          "package": "c.1",
          "buildHash": "c",
          "blessed": false,
          "fromStatus": "success",
          "toStatus": "failure",
          "category": "build_failure"
        }
      ],
      [
        "b.1"
      ]
    ]
    "#);
    let failing: Vec<_> = index
        .failures()
        .iter()
        .map(|(name, failing)| (*name, failing.blessed, failing.category.as_str()))
        .collect();
    assert_eq!(
        failing,
        [
            ("b.1", true, "dependency_failure"),
            ("a.1", false, "timeout"),
            ("c.1", false, "build_failure")
        ]
    );
    assert_eq!(index.packages["a.1"].recent, "-+");
}

#[test]
fn a_previous_index_tells_changes_new_and_vanished() {
    let root = tempfile::tempdir().unwrap();
    let packages = &root.path().join("packages");
    add(packages, "a.1", R1, "a", "success", true);
    add(packages, "gone.1", R1, "g", "success", true);
    let first = generate(packages, Some(R1), None).unwrap();
    assert!(first.changes.is_empty() && first.new_packages.is_empty() && first.since.is_none());

    add(packages, "a.1", R2, "a2", "build_failure", true);
    add(packages, "new.1", R2, "n", "success", true);
    fs::remove_dir_all(packages.join("gone.1")).unwrap();
    let second = generate(packages, Some(R2), Some(first)).unwrap();
    assert_eq!(second.changes.len(), 1);
    assert!(!second.changes[0].is_recovery());
    assert_eq!(second.new_packages, ["new.1"]);
    assert_eq!(second.vanished_packages, ["gone.1"]);

    // Generated again for the same run, it says the same.
    let again = generate(packages, Some(R2), Some(second.clone())).unwrap();
    assert_eq!(content(again), content(second.clone()));

    // A run later the news is old.
    add(packages, "a.1", R3, "a2", "success", true);
    let mut third = generate(packages, None, Some(second)).unwrap();
    assert_eq!((third.run_id.as_deref(), third.since.as_deref()), (Some(R3), Some(R2)));
    assert!(
        third.changes[0].is_recovery()
            && third.new_packages.is_empty()
            && third.vanished_packages.is_empty()
    );
    compare(packages, &mut third, R1.to_owned());
    assert!(third.changes.is_empty(), "broken and mended since: {:?}", third.changes);
    assert_eq!(third.new_packages, ["new.1"]);
}

#[test]
fn failures_have_a_beginning_and_flaky_builds_are_known() {
    let root = tempfile::tempdir().unwrap();
    let packages = root.path();
    for (run, hash, category) in
        [(R1, "h1", "success"), (R2, "h2", "build_failure"), (R3, "h3", "timeout")]
    {
        add(packages, "a.1", run, hash, category, true);
    }
    for (run, category) in [(R1, "success"), (R2, "network"), (R3, "success")] {
        add(packages, "flaky.1", run, "f", category, false);
    }
    // A dependency's failures say nothing about this build.
    for (run, category) in [(R1, "success"), (R2, "dependency_failure"), (R3, "success")] {
        add(packages, "steady.1", run, "s", category, false);
    }
    let index = generate(packages, None, None).unwrap();
    let failures = index.failures();
    assert_eq!(failures.len(), 1);
    assert_eq!((failures[0].1.since_run.as_str(), failures[0].1.times), (R2, 2));
    let flaky: Vec<_> = index.flaky().map(|(name, flaky)| (name, flaky.transitions)).collect();
    assert_eq!(flaky, [("flaky.1", 2)]);
}

#[test]
fn nothing_there_is_an_empty_index() {
    let root = tempfile::tempdir().unwrap();
    let index = generate(&root.path().join("missing"), None, None).unwrap();
    assert_eq!((index.blessed.total, index.other.total, index.run_id), (0, 0, None));
}

#[test]
fn an_index_is_written_once_and_read_back() {
    let root = tempfile::tempdir().unwrap();
    add(&root.path().join("packages"), "a.1", R1, "a", "timeout", true);
    let index = generate(&root.path().join("packages"), None, None).unwrap();
    assert!(write(root.path(), &index).unwrap());
    assert_eq!(read(root.path()).as_ref(), Some(&index));
    let later = StatusIndex { generated: "2999-01-01T00:00:00Z".into(), ..index };
    assert!(!write(root.path(), &later).unwrap(), "only the time differs");
    for content in ["", "{", "[]", r#"{"schemaVersion":2}"#] {
        fs::write(root.path().join(FILE), content).unwrap();
        assert_eq!(read(root.path()), None);
    }
}

#[test]
fn a_history_that_cannot_be_read_is_one_packages_failure() {
    let root = tempfile::tempdir().unwrap();
    add(root.path(), "a.1", R1, "a", "success", true);
    fs::create_dir_all(root.path().join("b.1/history.jsonl")).unwrap();
    fs::create_dir(root.path().join("c.1")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", root.path().join("c.1/history.jsonl")).unwrap();
    assert_eq!(generate(root.path(), None, None).unwrap().packages.len(), 1);
}

#[derive(Debug, Clone)]
enum Step {
    Append { package: usize, hash: usize, category: usize, blessed: bool },
    Garbage(usize),
    Compact { package: usize, days: u32 },
    Remove(usize),
    NextRun,
    Index,
}

fn step() -> impl Strategy<Value = Step> {
    let append = (0..4usize, 0..3usize, 0..3usize, any::<bool>()).prop_map(
        |(package, hash, category, blessed)| Step::Append { package, hash, category, blessed },
    );
    prop_oneof![
        8 => append,
        1 => (0..4usize).prop_map(Step::Garbage),
        1 => (0..4usize, 0..4u32).prop_map(|(package, days)| Step::Compact { package, days }),
        1 => (0..4usize).prop_map(Step::Remove),
        3 => Just(Step::NextRun),
        3 => Just(Step::Index),
    ]
}

const CATEGORIES: [&str; 3] = ["success", "build_failure", "dependency_failure"];

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// An index made from the one before equals one made from the histories alone.
    #[test]
    fn incremental_equals_from_scratch(steps in proptest::collection::vec(step(), 1..40)) {
        let root = tempfile::tempdir().unwrap();
        let packages = root.path();
        let name = |number: usize| package(&format!("p{number}.1"));
        let mut day = 1;
        let mut index: Option<StatusIndex> = None;
        for (number, step) in steps.into_iter().chain([Step::Index]).enumerate() {
            let changed = match step { Step::Append { package, .. } | Step::Garbage(package) | Step::Compact { package, .. } => Some(package), _ => None };
            match step {
                Step::Append { package, hash, category, blessed } => {
                    let run = format!("2026-03-{day:02}-120000");
                    append(packages, &name(package), &entry(&run, &format!("h{hash}"), CATEGORIES[category], blessed)).unwrap();
                }
                Step::Garbage(package) => {
                    let path = history::path(packages, &name(package));
                    if path.exists() {
                        let content = [fs::read(&path).unwrap(), b"{torn".to_vec()].concat();
                        fs::write(path, content).unwrap();
                    }
                }
                Step::Compact { package, days } => {
                    let now: Timestamp = format!("2026-03-{day:02}T13:00:00Z").parse().unwrap();
                    compact(packages, &name(package), days, now).unwrap();
                }
                Step::Remove(package) => drop(fs::remove_dir_all(packages.join(name(package).as_str()))),
                Step::NextRun => day = (day + 1).min(31),
                Step::Index => {
                    let mut scratch_from = index.clone();
                    scratch_from.iter_mut().for_each(StatusIndex::distrust);
                    let scratch = generate(packages, None, scratch_from).unwrap();
                    let incremental = generate(packages, None, index).unwrap();
                    index = Some(incremental.clone());
                    prop_assert_eq!(content(incremental), content(scratch));
                }
            }
            // Long enough ago to be trusted, and no two changes at one time: as on a machine slower than this.
            if let Some(package) = changed && let Ok(file) = fs::File::options().write(true).open(history::path(packages, &name(package))) {
                file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_001 + number as u64)).unwrap();
            }
        }
    }
}
