//! The status index: where packages stand, what is news, and that the incremental way leads to the same place.

mod common;

use std::fs;
use std::time::{Duration, SystemTime};

use common::{full, package, rerun, result, start};
use jiff::Timestamp;
use larder_runs::history::{self, compact};
use larder_runs::result::{Outcome, RunKind, Stage, StageResult, Status};
use larder_runs::run_log::{Ending, Plan, Run, Scope};
use larder_runs::status_index::{FILE, StatusIndex, compare, current_since, generate, read, write};
use larder_runs::{Category, DataDir};
use proptest::prelude::*;

const R1: &str = "2026-03-01-120000";
const R2: &str = "2026-03-02-120000";
const R3: &str = "2026-03-03-120000";
const R4: &str = "2026-03-04-120000";
const R5: &str = "2026-03-05-120000";

struct Ecosystem {
    _root: tempfile::TempDir,
    data: DataDir,
}

fn ecosystem() -> Ecosystem {
    let root = tempfile::tempdir().unwrap();
    Ecosystem { data: DataDir::new(root.path()), _root: root }
}

impl Ecosystem {
    fn index(&self) -> StatusIndex {
        let index = generate(&self.data, None).unwrap();
        check_sums(&index);
        index
    }

    /// The packages of the changes, with what they became.
    fn news(&self) -> Vec<(String, Status)> {
        let changes = self.index().changes.into_iter();
        changes.map(|change| (change.package, change.to_status)).collect()
    }

    fn since(&self, run: &str) -> StatusIndex {
        let mut index = self.index();
        compare(&self.data, &mut index, run.to_owned()).unwrap();
        let at_once = current_since(&self.data, run.to_owned()).unwrap();
        assert_eq!(content(at_once.clone()).changes, index.changes);
        fs::remove_file(self.data.root().join(FILE)).unwrap_or_default();
        assert_eq!(current_since(&self.data, run.to_owned()).unwrap().changes, index.changes);
        index
    }

    /// A run that records these results and then neither finishes nor lives on.
    fn died(&self, run: &str, results: &[StageResult]) {
        let run = start(&self.data, run, RunKind::Full, Scope::All);
        results.iter().for_each(|result| drop(run.record(result.clone()).unwrap()));
    }
}

/// Parts sum to their whole, whatever is counted.
fn check_sums(index: &StatusIndex) {
    let n = &index.numbers;
    let parts = n.worked_packages + n.failed_packages + n.blocked_packages;
    assert_eq!(n.packages, parts + n.unsolved_packages + n.unknown_packages);
    assert_eq!(n.packages + n.dropped_packages, index.packages.len() as u64);
    for totals in [&index.blessed, &index.other, &index.tests, &index.docs] {
        assert_eq!(totals.total, totals.by_status.values().sum::<u64>());
        assert_eq!(totals.total, totals.by_category.values().sum::<u64>());
    }
    let counted = [&index.blessed, &index.other, &index.tests, &index.docs];
    let failing: u64 = counted.iter().map(|totals| totals.total - totals.worked()).sum();
    assert_eq!(failing, index.failures().len() as u64);
    let roots = index.roots();
    assert_eq!(roots.failing_builds, failing);
    assert_eq!(roots.own_builds + roots.blocked_builds, failing);
    let alone: u64 = roots.roots.iter().map(|root| root.unblocks_packages).sum();
    assert_eq!(roots.blocked_packages, alone + roots.shared_packages);
    let grouped: u64 = roots.groups().iter().map(|group| group.unblocks_packages).sum();
    assert_eq!(grouped, alone);
}

/// An index without when and from which files it was made.
fn content(mut index: StatusIndex) -> StatusIndex {
    index.distrust();
    index.generated.clear();
    index
}

#[test]
fn a_build_that_the_newest_full_run_no_longer_has_counts_nowhere() {
    let e = ecosystem();
    full(&e.data, R1, &[("a.1", "old", "success", true), ("a.1", "other", "build_failure", false)]);
    full(&e.data, R2, &[("a.1", "new", "success", true)]);
    let index = e.index();
    assert_eq!((index.blessed.total, index.other.total), (1, 0));
    assert!(index.failures().is_empty());
    let entries = history::read(&e.data.packages(), &package("a.1")).unwrap().entries;
    assert_eq!(entries.len(), 3, "history shows all");
}

#[test]
fn a_package_that_left_the_set_is_dropped() {
    let e = ecosystem();
    full(&e.data, R1, &[("a.1", "a", "success", true), ("gone.1", "g", "build_failure", true)]);
    full(&e.data, R2, &[("a.1", "a", "success", true)]);
    let index = e.index();
    assert_eq!((index.numbers.packages, index.numbers.dropped_packages), (1, 1));
    assert_eq!(index.packages["gone.1"].dropped_by.as_deref(), Some(R2));
    assert!(index.failures().is_empty());
    assert_eq!(index.vanished_packages, ["gone.1"]);
    full(&e.data, R3, &[("a.1", "a", "success", true)]);
    assert!(e.index().vanished_packages.is_empty(), "that is no news any more");
    assert_eq!(e.since(R1).vanished_packages, ["gone.1"]);
    // A run of one package drops nothing.
    rerun(&e.data, R4, &[("a.1", "a", "success", true)]);
    let one = Scope::Packages(vec!["gone".into()]);
    let run = start(&e.data, R5, RunKind::Full, one);
    run.record(result(R5, "gone.1", "g", "success", true)).unwrap();
    run.finish(Ending::Complete).unwrap();
    assert_eq!(e.index().numbers.dropped_packages, 0, "and it can come back");
}

#[test]
fn without_a_solution_a_package_does_not_work() {
    let e = ecosystem();
    full(&e.data, R1, &[("a.1", "a", "success", true), ("b.1", "b", "success", false)]);
    let none = [("a.1", "", "no_solution", false), ("b.1", "", "no_solution", false)];
    full(&e.data, R2, &none);
    let index = e.index();
    assert_eq!(index.packages["a.1"].state, Some(Outcome::Unsolved));
    assert_eq!((index.blessed.worked(), index.numbers.unsolved_packages), (0, 2));
    let broken = |name: &str| (name.to_owned(), Status::Failure);
    assert_eq!(e.news(), [broken("a.1"), broken("b.1")]);
    full(&e.data, R3, &none);
    assert!(e.news().is_empty());
    let failing = &e.index().packages["a.1"].failures[0];
    assert_eq!((failing.since_run.as_str(), failing.times), (R2, 2));
    full(&e.data, R4, &[("a.1", "a", "success", true), ("b.1", "", "no_solution", false)]);
    assert_eq!(e.news(), [("a.1".to_owned(), Status::Success)]);
}

#[test]
fn a_solution_that_is_lost_with_one_compiler_is_a_breakage_of_its_own() {
    let e = ecosystem();
    let with = |run: &str, hash: &str, compiler: &str, blessed: bool| {
        let category = if hash.is_empty() { "no_solution" } else { "success" };
        let compiler = Some(package(compiler));
        StageResult { compiler, ..result(run, "b.1", hash, category, blessed) }
    };
    let run = |id: &str, clang: &str, gcc: &str| {
        let run = start(&e.data, id, RunKind::Full, Scope::All);
        run.record(with(id, clang, "clang.14", false)).unwrap();
        run.record(with(id, gcc, "gcc.12", !gcc.is_empty())).unwrap();
        run.finish(Ending::Complete).unwrap();
        let changes = e.index().changes.into_iter();
        let told = changes.map(|it| (it.blessed, it.compiler, it.to_status));
        told.collect::<Vec<_>>()
    };
    let (clang, gcc) = ("clang.14".to_owned(), "gcc.12".to_owned());
    let (lost, back) = (Status::Failure, Status::Success);
    assert_eq!(run(R1, "c", "g"), []);
    assert_eq!(run(R2, "", "g"), [(false, clang.clone(), lost)]);
    assert_eq!(run(R3, "", "g"), []);
    assert_eq!(run(R4, "c2", "g"), [(false, clang.clone(), back)]);
    assert_eq!(run(R5, "", ""), [(true, clang, lost), (false, gcc.clone(), lost)]);
    let failures = &e.index().packages["b.1"].failures;
    let told: Vec<_> = failures.iter().map(|it| (it.blessed, it.compiler.as_str())).collect();
    assert_eq!(told, [(true, "clang.14"), (false, "gcc.12")]);
    let last = run("2026-03-06-120000", "c3", "g2");
    assert_eq!(last, [(true, gcc.clone(), back), (false, gcc, back)]);
}

#[test]
fn the_end_of_a_run_leaves_an_index_that_a_next_run_does_not_spoil() {
    let e = ecosystem();
    full(&e.data, R1, &[("a.1", "a", "success", true), ("b.1", "b", "success", true)]);
    let path = e.data.packages().join("a.1").join("history.jsonl");
    // So old that its time tells of every later change.
    let old = SystemTime::now() - Duration::from_secs(60);
    fs::File::options().append(true).open(&path).unwrap().set_modified(old).unwrap();
    full(&e.data, R2, &[("b.1", "b", "build_failure", true)]);
    let index = read(e.data.root()).expect("the run has written it");
    assert_eq!(content(index.clone()), content(e.index()));
    let (text, modified) = (fs::read(&path).unwrap(), fs::metadata(&path).unwrap().modified());

    // Were the history of a.1 read again, the index would show its other category.
    let other = String::from_utf8(text.clone()).unwrap().replace("fmt", "FMT");
    let other = other
        .replace("\"success\",\"category\":\"success\"", "\"failure\",\"category\":\"timeout\"");
    let padded = format!("{:<width$}\n", other.trim_end(), width = text.len() - 1);
    assert_eq!(padded.len(), text.len());
    fs::write(&path, &padded).unwrap();
    let file = fs::File::options().append(true).open(&path).unwrap();
    file.set_modified(modified.unwrap()).unwrap();
    let trusted = |index: &StatusIndex| {
        generate(&e.data, Some(index.clone())).unwrap().packages["a.1"].failures.is_empty()
    };
    assert!(trusted(&index));
    // A run that goes on, and has nothing of a.1 yet, says nothing of it; neither does one that died.
    let run = start(&e.data, R3, RunKind::Full, Scope::All);
    run.record(result(R3, "b.1", "b", "success", true)).unwrap();
    assert!(trusted(&index));
    drop(run);
    assert!(trusted(&index));
    // What is taken for unfinished decides only over what it may have reached.
    let mut other = index.clone();
    other.unfinished_runs.insert(R1.to_owned());
    assert!(!trusted(&other));
}

#[test]
fn an_interrupted_run_leaves_what_it_did_not_reach() {
    let e = ecosystem();
    let all = [
        ("a.1", "a", "success", true),
        ("b.1", "b", "success", true),
        ("b.1", "b2", "timeout", false),
    ];
    full(&e.data, R1, &all);
    full(&e.data, R2, &all);
    e.died(R3, &[result(R3, "b.1", "bb", "build_failure", true)]);
    let index = e.index();
    let (a, b) = (&index.packages["a.1"], &index.packages["b.1"]);
    assert_eq!((a.state, a.dropped_by.as_ref()), (Some(Outcome::Worked), None));
    assert_eq!(b.state, Some(Outcome::Failed));
    assert_eq!(b.others.len(), 1, "what it did not reach of b stays");
    let unfinished = index.unfinished.unwrap();
    assert_eq!(
        (unfinished.run_id.as_str(), unfinished.state.as_str(), unfinished.packages_not_reached),
        (R3, "died", 1)
    );
    assert_eq!(e.news(), [("b.1".to_owned(), Status::Failure)]);

    // Told to stop, a run says no more than one that was killed; one that goes on, neither.
    let run = start(&e.data, R4, RunKind::Full, Scope::All);
    run.record(result(R4, "a.1", "a", "success", true)).unwrap();
    assert_eq!(e.index().unfinished.unwrap().state, "running");
    let old = e.index();
    run.finish(Ending::Interrupted).unwrap();
    let index = generate(&e.data, Some(old)).unwrap();
    assert_eq!(index.unfinished.unwrap().state, "interrupted");
    assert_eq!(index.packages["b.1"].others.len(), 1);
}

#[test]
fn what_a_first_run_was_asked_for_and_did_not_reach_is_counted() {
    let e = ecosystem();
    let targets = ["a.1", "b.1", "c.1"].map(package).to_vec();
    let plan = Plan::new(RunKind::Full, Scope::All, targets);
    let run = Run::start(&e.data, plan, common::clock(R1)).unwrap();
    run.record(result(R1, "a.1", "a", "success", true)).unwrap();
    let counted = || {
        let unfinished = e.index().unfinished.unwrap();
        (unfinished.state, unfinished.packages_not_reached, unfinished.packages_unknown)
    };
    assert_eq!(counted(), ("running".to_owned(), 2, 2));
    run.finish(Ending::Interrupted).unwrap();
    assert_eq!(counted(), ("interrupted".to_owned(), 2, 2));
    e.died(R2, &[result(R2, "b.1", "b", "success", true)]);
    assert_eq!(counted(), ("died".to_owned(), 1, 0), "that run did not say what it was about");
}

#[test]
fn a_run_that_ends_settles_what_it_superseded() {
    let e = ecosystem();
    full(&e.data, R1, &[("a.1", "a", "success", true), ("a.1", "b", "timeout", false)]);
    let run = start(&e.data, R2, RunKind::Full, Scope::All);
    run.record(result(R2, "a.1", "a", "success", true)).unwrap();
    let during = e.index();
    assert_eq!(during.other.total, 1, "it may yet come");
    run.finish(Ending::Complete).unwrap();
    let after = generate(&e.data, Some(during)).unwrap();
    assert_eq!(after.other.total, 0, "the history is the same, the run is not");
    assert_eq!(content(after), content(e.index()));
}

fn of_stage(stage: Stage, run: &str, category: &str) -> StageResult {
    StageResult { stage, ..result(run, "a.1", "a", category, true) }
}

#[test]
fn stages_stand_apart() {
    let e = ecosystem();
    for id in [R1, R2, R3] {
        let run = start(&e.data, id, RunKind::Full, Scope::All);
        run.record(result(id, "a.1", "a", "success", true)).unwrap();
        run.record(of_stage(Stage::Doc, id, "doc_link_failure")).unwrap();
        run.record(of_stage(Stage::Test, id, "test_failure")).unwrap();
        run.finish(Ending::Complete).unwrap();
    }
    let index = e.index();
    assert_eq!((index.blessed.worked(), index.blessed.total), (1, 1));
    assert_eq!((index.docs.worked(), index.docs.total), (0, 1));
    assert_eq!((index.tests.worked(), index.tests.total), (0, 1));
    let a = &index.packages["a.1"];
    assert_eq!((a.state, a.recent.as_str()), (Some(Outcome::Worked), "+++"));
    assert!(a.flaky.is_empty(), "that is not flaky");
    let failing: Vec<_> = a.failures.iter().map(|f| (f.stage, f.times)).collect();
    assert_eq!(failing, [(Stage::Test, 3), (Stage::Doc, 3)]);
    let run = start(&e.data, R4, RunKind::Full, Scope::All);
    run.record(result(R4, "a.1", "a", "success", true)).unwrap();
    run.record(of_stage(Stage::Doc, R4, "success")).unwrap();
    run.finish(Ending::Complete).unwrap();
    let changes = e.index().changes;
    assert_eq!((changes.len(), changes[0].stage), (1, Stage::Doc));
}

#[test]
fn a_rerun_neither_erases_the_news_nor_moves_the_baseline() {
    let e = ecosystem();
    full(&e.data, R1, &[("a.1", "a", "success", true), ("b.1", "b", "build_failure", true)]);
    full(&e.data, R2, &[("a.1", "a", "network", true), ("b.1", "b", "success", true)]);
    let news = e.news();
    assert_eq!(news, [("a.1".to_owned(), Status::Failure), ("b.1".to_owned(), Status::Success)]);
    rerun(&e.data, R3, &[("a.1", "a", "network", true)]);
    assert_eq!(e.news(), news);
    assert_eq!(e.index().since.as_deref(), Some(R1));
    let one = start(&e.data, "2026-03-03-130000", RunKind::Full, Scope::Packages(vec!["b".into()]));
    one.record(result(R3, "b.1", "b", "success", true)).unwrap();
    one.finish(Ending::Complete).unwrap();
    assert_eq!(e.news(), [("a.1".to_owned(), Status::Failure)], "b was covered again, a was not");
    rerun(&e.data, R4, &[("a.1", "a", "success", true)]);
    assert!(e.news().is_empty(), "mended since");
    assert_eq!(e.index().packages["a.1"].state, Some(Outcome::Worked));
    // A comparison says nothing of the status.
    let compared = start(&e.data, R5, RunKind::Compare, Scope::All);
    compared.record(result(R5, "a.1", "a", "build_failure", true)).unwrap();
    compared.finish(Ending::Complete).unwrap();
    assert_eq!(e.index().packages["a.1"].state, Some(Outcome::Worked));
}

#[test]
fn new_packages_are_those_that_no_full_run_had() {
    let e = ecosystem();
    full(&e.data, R1, &[("a.1", "a", "success", true)]);
    assert!(e.index().new_packages.is_empty(), "in the first run everything would be");
    full(&e.data, R2, &[("a.1", "a", "success", true), ("new.1", "n", "success", true)]);
    assert_eq!(e.index().new_packages, ["new.1"]);
    rerun(&e.data, R3, &[("a.1", "a", "success", true)]);
    assert_eq!(e.index().new_packages, ["new.1"]);
    assert!(e.since(R2).new_packages.is_empty());
    // What has become old has gone, and is still not new.
    let now: Timestamp = "2027-03-04T12:00:00Z".parse().unwrap();
    for name in ["a.1", "new.1"] {
        compact(&e.data.packages(), &package(name), 0, now).unwrap();
    }
    let later = "2027-03-05-120000";
    full(&e.data, later, &[("a.1", "a", "success", true), ("new.1", "n", "success", true)]);
    assert!(e.since(R2).new_packages.is_empty());
    assert_eq!(e.since(R1).new_packages, ["new.1"]);
    assert!(e.index().new_packages.is_empty());
}

#[test]
fn changes_are_relative_to_a_full_run_that_ended() {
    let e = ecosystem();
    let works = |name| (name, "h", "success", true);
    full(&e.data, R1, &[works("a.1"), works("s.1")]);
    e.died(R2, &[result(R2, "a.1", "h", "build_failure", true)]);
    let broken = [("a.1".to_owned(), Status::Failure)];
    assert_eq!(e.news(), broken);
    assert!(e.index().new_packages.is_empty(), "what a run did not reach is not new");
    // Begun again, it says the same of `a` as if it had not died.
    full(&e.data, R3, &[("a.1", "h", "build_failure", true), works("s.1")]);
    assert_eq!(e.news(), broken);
    assert_eq!(e.index().since.as_deref(), Some(R1));
    assert!(e.index().new_packages.is_empty());
    let later: Timestamp = "2026-04-01T12:00:00Z".parse().unwrap();
    compact(&e.data.packages(), &package("a.1"), 7, later).unwrap();
    assert_eq!(e.news(), broken, "what is compared stays, however old");
    full(&e.data, R4, &[("a.1", "h", "build_failure", true), works("s.1")]);
    assert!(e.news().is_empty());
}

#[test]
fn what_a_run_died_over_is_new_once_more_and_the_rest_is_not() {
    let e = ecosystem();
    let works = |name| (name, "h", "success", true);
    e.died(R1, &[result(R1, "a.1", "h", "success", true)]);
    full(&e.data, R2, &[works("a.1"), works("b.1")]);
    let index = e.index();
    assert_eq!((index.since, index.new_packages), (None, vec![]), "no run before told of the set");
    assert!(e.since(R1).new_packages.is_empty(), "nor is it new since that run");
    e.died(R3, &[result(R3, "n.1", "h", "success", true)]);
    let index = e.index();
    assert_eq!((index.since.as_deref(), index.new_packages), (Some(R2), vec!["n.1".to_owned()]));
    full(&e.data, R4, &[works("a.1"), works("b.1"), works("n.1")]);
    assert_eq!(e.index().new_packages, ["n.1"]);
}

#[test]
fn a_run_of_some_packages_makes_no_others_new() {
    let e = ecosystem();
    let works = |name| (name, "h", "success", true);
    let one = start(&e.data, R1, RunKind::Full, Scope::Packages(vec!["a".into()]));
    one.record(result(R1, "a.1", "h", "success", true)).unwrap();
    one.finish(Ending::Complete).unwrap();
    full(&e.data, R2, &[works("a.1"), works("b.1")]);
    assert!(e.index().new_packages.is_empty());
    assert!(e.since(R1).new_packages.is_empty());
}

#[test]
fn failures_have_a_beginning() {
    let e = ecosystem();
    full(&e.data, R1, &[("a.1", "h1", "success", true)]);
    full(&e.data, R2, &[("a.1", "h2", "build_failure", true)]);
    full(&e.data, R3, &[("a.1", "h3", "timeout", true)]);
    let index = e.index();
    let failures = index.failures();
    assert_eq!(failures.len(), 1);
    assert_eq!((failures[0].1.since_run.as_str(), failures[0].1.times), (R2, 2));
    assert_eq!(index.packages["a.1"].recent, "+--");
}

/// Runs a package once a day with these builds and categories; says which stages are flaky.
fn turns(days: &[(&str, &str)]) -> Vec<(u64, u64, u64)> {
    let e = ecosystem();
    for (day, (hash, category)) in days.iter().enumerate() {
        let run = format!("2026-{:02}-{:02}-120000", 1 + day / 28, 1 + day % 28);
        full(&e.data, &run, &[("a.1", hash, category, true)]);
    }
    let index = e.index();
    index.flaky().map(|(_, flaky)| (flaky.transitions, flaky.failures, flaky.results)).collect()
}

#[test]
fn what_works_and_fails_by_turns_is_flaky() {
    let (good, bad) = ("success", "test_failure");
    assert_eq!(turns(&[("h", good), ("h", bad), ("h", good)]), [(2, 1, 3)]);
    let across = [("h1", good), ("h2", bad), ("h3", good), ("h4", bad)];
    assert_eq!(turns(&across), [(3, 2, 4)], "across build hashes");
    assert!(turns(&[("h1", good), ("h2", bad), ("h3", good)]).is_empty(), "broken and mended");
    for weather in ["network", "dependency_failure", "disk_full", "killed"] {
        let days = [("h", good), ("h", weather), ("h", good), ("h", weather)];
        assert!(turns(&days).is_empty(), "{weather}");
    }
    let mut days = vec![("h", good), ("h", bad), ("h", good)];
    days.extend([("h", good); 17]);
    assert_eq!(turns(&days), [(2, 1, 20)]);
    days.push(("h", good));
    days.push(("h", good));
    assert!(turns(&days).is_empty(), "it expires");
}

#[test]
fn nothing_there_is_an_empty_index() {
    let e = ecosystem();
    let index = generate(&DataDir::new(e.data.root().join("missing")), None).unwrap();
    assert_eq!((index.blessed.total, index.other.total, index.run_id), (0, 0, None));
}

#[test]
fn an_index_is_written_once_and_read_back() {
    let e = ecosystem();
    full(&e.data, R1, &[("a.1", "a", "timeout", true)]);
    let index = e.index();
    let root = e.data.root();
    fs::remove_file(root.join(FILE)).unwrap();
    assert!(write(root, &index).unwrap());
    assert_eq!(read(root).as_ref(), Some(&index));
    let later = StatusIndex { generated: "2999-01-01T00:00:00Z".into(), ..index };
    assert!(!write(root, &later).unwrap(), "only the time differs");
    for content in ["", "{", "[]", r#"{"schemaVersion":1}"#, r#"{"schemaVersion":4}"#] {
        fs::write(root.join(FILE), content).unwrap();
        assert_eq!(read(root), None);
    }
}

#[test]
fn a_history_that_cannot_be_read_is_one_packages_failure() {
    let e = ecosystem();
    full(&e.data, R1, &[("a.1", "a", "success", true)]);
    let packages = e.data.packages();
    fs::create_dir_all(packages.join("b.1/history.jsonl")).unwrap();
    fs::create_dir(packages.join("c.1")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", packages.join("c.1/history.jsonl")).unwrap();
    assert_eq!(e.index().packages.len(), 1);
}

#[test]
fn histories_of_the_first_version_stand_as_full_runs() {
    let e = ecosystem();
    let line = |run: &str, hash: &str, category: &str| {
        let status = if category == "success" { "success" } else { "failure" };
        format!(
            "{{\"ts\":\"{}T12:00:00Z\",\"run\":\"{run}\",\"buildHash\":\"{hash}\",\"status\":\"{status}\",\"category\":\"{category}\",\"compiler\":\"\",\"blessed\":true}}\n",
            &run[..10]
        )
    };
    for (name, lines) in [
        ("a.1", line(R1, "a", "success") + &line(R2, "a2", "build_failure")),
        ("b.1", line(R1, "b", "success")),
    ] {
        fs::create_dir_all(e.data.packages().join(name)).unwrap();
        fs::write(history::path(&e.data.packages(), &package(name)), lines).unwrap();
    }
    let index = e.index();
    assert_eq!((index.blessed.total, index.since.as_deref()), (2, Some(R1)));
    assert_eq!(index.changes.len(), 1);
    assert_eq!(index.numbers.dropped_packages, 0, "no run says that b has left the set");
}

/// A package graph: which packages each depends on, all of them before it, and which fail when tried.
#[derive(Debug, Clone)]
struct Graph(Vec<(Vec<usize>, bool)>);

impl Graph {
    /// Builds it as a batch would: whether each works, fails itself or is blocked, with `repaired` mended.
    fn outcomes(&self, repaired: Option<usize>) -> Vec<Outcome> {
        let mut outcomes: Vec<Outcome> = Vec::new();
        for (number, (on, fails)) in self.0.iter().enumerate() {
            let blocked = on.iter().any(|on| outcomes[*on] != Outcome::Worked);
            outcomes.push(match (blocked, *fails && repaired != Some(number)) {
                (true, _) => Outcome::Blocked,
                (false, true) => Outcome::Failed,
                (false, false) => Outcome::Worked,
            });
        }
        outcomes
    }

    /// Records a full run of it.
    fn record(&self, run: &Run) {
        let outcomes = self.outcomes(None);
        let name = |number: usize| format!("p{number}.1");
        for (number, (on, _)) in self.0.iter().enumerate() {
            let category = match outcomes[number] {
                Outcome::Worked => "success",
                Outcome::Blocked => "dependency_failure",
                _ => "build_failure",
            };
            let hash = format!("h{number}");
            let mut result = result(R1, &name(number), &hash, category, true);
            if outcomes[number] == Outcome::Blocked {
                let failed = on.iter().filter(|on| outcomes[**on] != Outcome::Worked);
                result.failed_dependencies = failed
                    .map(|on| {
                        common::result(R1, &name(*on), &format!("h{on}"), "success", true).build()
                    })
                    .collect();
            }
            run.record(result).unwrap();
        }
    }
}

fn graphs() -> impl Strategy<Value = Graph> {
    let package = (proptest::collection::vec(any::<proptest::sample::Index>(), 0..3), 0..4_u8);
    proptest::collection::vec(package, 1..14).prop_map(|packages| {
        let packages = packages.into_iter().enumerate().map(|(number, (on, fails))| {
            let mut on: Vec<usize> =
                on.iter().filter(|_| number > 0).map(|on| on.index(number.max(1))).collect();
            on.sort_unstable();
            on.dedup();
            (on, fails == 0)
        });
        let mut graph = Graph(packages.collect());
        // Whether a blocked package would fail itself, nobody knows until it is tried.
        let outcomes = graph.outcomes(None);
        for (number, (_, fails)) in graph.0.iter_mut().enumerate() {
            *fails = outcomes[number] == Outcome::Failed;
        }
        graph
    })
}

#[derive(Debug, Clone)]
enum Step {
    Record(u8, u8, &'static str, bool),
    Torn(u8),
    Remove(u8),
    Next(RunKind, bool),
    Generate,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let category = prop_oneof![
        Just("success"),
        Just("build_failure"),
        Just("dependency_failure"),
        Just("no_solution")
    ];
    let kind = prop_oneof![
        3 => Just(RunKind::Full),
        1 => Just(RunKind::Rerun),
        1 => Just(RunKind::Since),
        1 => Just(RunKind::Compare)
    ];
    let step = prop_oneof![
        8 => (0..4_u8, 0..3_u8, category, any::<bool>()).prop_map(|(p, h, c, b)| Step::Record(p, h, c, b)),
        1 => (0..4_u8).prop_map(Step::Torn),
        1 => (0..4_u8).prop_map(Step::Remove),
        3 => (kind, any::<bool>()).prop_map(|(kind, ends)| Step::Next(kind, ends)),
        3 => Just(Step::Generate),
    ];
    proptest::collection::vec(step, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Mending one package and building again unblocks exactly those that the index says, and all sums agree.
    #[test]
    fn roots_are_what_mending_them_shows(graph in graphs()) {
        let e = ecosystem();
        let run = start(&e.data, R1, RunKind::Full, Scope::All);
        graph.record(&run);
        let summary = run.finish(Ending::Complete).unwrap();
        let index = e.index();
        let roots = index.roots();
        let before = graph.outcomes(None);
        let failed = before.iter().filter(|outcome| **outcome == Outcome::Failed).count();
        prop_assert_eq!(roots.roots.len(), failed);
        prop_assert_eq!(summary.packages.failed, failed as u64);
        prop_assert_eq!(summary.packages.blocked, roots.blocked_packages);
        for root in &roots.roots {
            let number: usize = root.package[1..].strip_suffix(".1").unwrap().parse().unwrap();
            let after = graph.outcomes(Some(number));
            let unblocked = before.iter().zip(&after).filter(|(before, after)| **before == Outcome::Blocked && **after != Outcome::Blocked);
            prop_assert_eq!(root.unblocks_packages, unblocked.count() as u64, "{}", root.package);
        }
    }

    /// Whatever happened in between, an index made from an old one equals one made from nothing.
    #[test]
    fn the_incremental_index_equals_the_one_from_scratch(steps in steps()) {
        let e = ecosystem();
        let packages = e.data.packages();
        let name = |package: u8| format!("p{package}.1");
        let mut index: Option<StatusIndex> = None;
        let mut run: Option<Run> = None;
        let mut attempt = 0;
        for (number, step) in steps.into_iter().enumerate() {
            let mut changed = None;
            match step {
                Step::Record(package, hash, category, blessed) => {
                    attempt += 1;
                    let hash = if category == "no_solution" { String::new() } else { format!("h{hash}") };
                    let current = run.get_or_insert_with(|| start(&e.data, R1, RunKind::Full, Scope::All));
                    let blessed = blessed && !hash.is_empty();
                    current.record(StageResult { attempt, ..result(R1, &name(package), &hash, category, blessed) }).unwrap();
                    changed = Some(package);
                }
                Step::Torn(package) => {
                    let path = history::path(&packages, &common::package(&name(package)));
                    if path.exists() {
                        use std::io::Write;
                        fs::OpenOptions::new().append(true).open(path).unwrap().write_all(b"{\"torn").unwrap();
                        changed = Some(package);
                    }
                }
                Step::Remove(package) => drop(fs::remove_dir_all(packages.join(name(package)))),
                Step::Next(kind, ends) => {
                    if let Some(run) = run.take().filter(|_| ends) {
                        run.finish(Ending::Complete).unwrap();
                    }
                    run = Some(start(&e.data, R1, kind, Scope::All));
                }
                Step::Generate => {
                    let incremental = generate(&e.data, index).unwrap();
                    let mut scratch = generate(&e.data, None).unwrap();
                    check_sums(&scratch);
                    // Only an old index tells which histories vanished.
                    scratch.vanished_packages = incremental.vanished_packages.clone();
                    index = Some(incremental.clone());
                    prop_assert_eq!(content(incremental), content(scratch));
                }
            }
            // Long enough ago to be trusted, and no two changes at one time: as on a machine slower than this.
            if let Some(package) = changed && let Ok(file) = fs::File::options().write(true).open(history::path(&packages, &common::package(&name(package)))) {
                file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_001 + number as u64)).unwrap();
            }
        }
    }
}

#[test]
fn what_is_blocked_by_what_was_mended_since_is_told() {
    let e = ecosystem();
    let blocked = |name: &str| {
        let mut blocked = result(R1, name, "b", "dependency_failure", true);
        blocked.failed_dependencies = vec![result(R1, "a.1", "a", "success", true).build()];
        blocked
    };
    let run = start(&e.data, R1, RunKind::Full, Scope::All);
    run.record(result(R1, "a.1", "a", "network", true)).unwrap();
    run.record(blocked("b.1")).unwrap();
    run.finish(Ending::Complete).unwrap();
    rerun(&e.data, R2, &[("a.1", "a", "success", true)]);
    let roots = e.index().roots();
    let root = &roots.roots[0];
    assert_eq!((root.package.as_str(), root.unblocks_packages), ("a.1", 1));
    assert_eq!(root.failure(), None);
    assert_eq!(roots.groups()[0].category, None);
}

#[test]
fn alike_failures_are_one_group() {
    let e = ecosystem();
    let run = start(&e.data, R1, RunKind::Full, Scope::All);
    for (name, error) in [
        ("a.1", "src/a.ml:1: Error: Unbound module Foo"),
        ("b.1", "lib/b.ml:22: Error: Unbound module Foo"),
        ("c.1", "c.ml:3: Error: Unbound module Bar"),
    ] {
        let failed = result(R1, name, "h", "build_failure", true);
        run.record(StageResult { error: Some(error.to_owned()), ..failed }).unwrap();
    }
    run.finish(Ending::Complete).unwrap();
    let roots = e.index().roots();
    let groups = roots.groups();
    assert_eq!((groups.len(), groups[0].roots.len()), (2, 2));
    assert_eq!(
        (groups[0].error.as_str(), groups[0].category),
        ("Error: Unbound module Foo", Some(&Category::BuildFailure))
    );
}
