use std::collections::BTreeSet;

use larder_runs::result::{BuildRef, Origin, Stage, StageResult};
use larder_runs::run_log::{Ending, Plan, Run};
use larder_runs::status_index::generate;
use larder_runs::time::Clock;
use larder_runs::{Category, DataDir};

use super::*;
use crate::news::{Build, News, Subject};
use crate::told::Heard;

const R1: &str = "2026-03-01-120000";
const R2: &str = "2026-03-02-120000";
const R3: &str = "2026-03-03-120000";

fn subject(package: &str, build: Option<&str>) -> Subject {
    Subject {
        package: package.into(),
        stage: Stage::Build,
        build: build.map(|hash| Build::Hash(hash.into())),
    }
}

fn failure(package: &str, since: &str, root: Option<&str>) -> Failure {
    let category = if root.is_some() { "dependency_failure" } else { "build_failure" };
    Failure {
        subject: subject(package, None),
        category: category.into(),
        error: root.is_none().then(|| "Error: {run} \u{1b}[31mUnbound\u{202e} module".into()),
        root: root.map(Into::into),
        since: since.into(),
    }
}

fn news(run: &str, failing: Vec<Failure>, working: &[&str]) -> News {
    let broken = failing.iter().filter(|f| f.since == run).map(|f| f.subject.clone()).collect();
    News {
        run: run.into(),
        since: R1.into(),
        worked_packages: working.len() as u64,
        packages: (working.len() + failing.len()) as u64,
        failing,
        broken,
        working: working.iter().map(|package| subject(package, None)).collect(),
        ..News::default()
    }
}

fn said(news: &News, heard: Option<&Heard>) -> Option<Message> {
    digest(&Tidings::unheard(news, heard, |_| true), DEFAULT_TEMPLATE, 3)
        .map(|message| message.fit())
}

#[test]
fn roots_come_first_and_what_they_block_is_a_number() {
    let mut failing = vec![failure("old.1", R1, None)];
    failing.extend((0..9).map(|n| failure(&format!("user{n}.1"), R2, Some("fmt.1"))));
    failing.extend((0..2).map(|n| failure(&format!("other{n}.1"), R2, Some("old.1"))));
    failing.extend(["fmt.1", "z1.1", "z2.1", "z3.1"].map(|name| failure(name, R2, None)));
    failing.push(Failure { subject: subject("a.1", Some("h")), ..failure("a.1", R2, None) });
    let mut news = news(R2, failing, &["b.1"]);
    news.mended = BTreeSet::from([subject("b.1", None)]);
    news.new_packages = vec!["new.1".into()];
    let message = said(&news, None).unwrap();
    insta::assert_snapshot!(message.subject, @"larder 2026-03-02-120000: 4 broken, 11 blocked, 1 working again, 1 of 18 work");
    insta::assert_snapshot!(message.body, @r"
    Broken (4):
      fmt.1: build_failure: Error: {run} Unbound� module (blocks 9)
      z1.1: build_failure: Error: {run} Unbound� module
      z2.1: build_failure: Error: {run} Unbound� module
      … and 1 more

    Blocked by what broke before (1):
      old.1 blocks 2 more

    Working again (1):
      b.1

    Broken, not blessed (1):
      a.1: build_failure: Error: {run} Unbound� module

    New packages (1):
      new.1

    Compared with 2026-03-01-120000.
    ");
    let tidings = Tidings::all(&news);
    assert_eq!(
        digest(&tidings, "{run} {broken}{x} {", 0).unwrap().subject,
        format!("{R2} Broken (4):\n  … and 4 more\n{{x}} {{")
    );
}

#[test]
fn the_same_news_is_said_once() {
    let mut heard = Heard::default();
    let broken =
        news(R2, vec![failure("fmt.1", R2, None), failure("lwt.1", R2, Some("fmt.1"))], &[]);
    assert!(said(&broken, None).is_some());
    heard.note(&broken, |_| true);
    assert_eq!(said(&broken, Some(&heard)), None);
    // Another run of the same: nothing changed, whatever the run compares with.
    let still = News { run: R3.into(), ..broken.clone() };
    assert_eq!(said(&still, Some(&heard)), None);
    // One more is news, the others are not.
    let failing =
        vec![broken.failing[0].clone(), broken.failing[1].clone(), failure("zlib.1", R3, None)];
    let more = news(R3, failing, &[]);
    let message = said(&more, Some(&heard)).unwrap();
    assert!(message.body.contains("zlib.1") && !message.body.contains("fmt.1"), "{}", message.body);
    // What breaks again has broken anew.
    let again = news(R3, vec![failure("fmt.1", R3, None)], &[]);
    assert!(said(&again, Some(&heard)).unwrap().body.contains("fmt.1"));
}

#[test]
fn news_that_nobody_was_told_in_time_is_not_lost() {
    let mut heard = Heard::default();
    heard.note(&news(R1, vec![], &["fmt.1", "lwt.1"]), |_| true);
    // It broke in a run of which nothing was said, and the next run changed nothing.
    let later =
        News { broken: BTreeSet::new(), ..news(R3, vec![failure("fmt.1", R2, None)], &["lwt.1"]) };
    assert!(said(&later, Some(&heard)).unwrap().body.contains("fmt.1: build_failure"));
    heard.note(&later, |_| true);
    // And so with what works again.
    let mended = news("2026-03-09-120000", vec![], &["fmt.1", "lwt.1"]);
    let message = said(&mended, Some(&heard)).unwrap();
    assert!(message.subject.contains("0 broken, 1 working again"), "{}", message.subject);
    heard.note(&mended, |_| true);
    assert_eq!(said(&mended, Some(&heard)), None);
}

#[test]
fn who_hears_for_the_first_time_hears_what_changed_and_no_old_stories() {
    let news = news(R2, vec![failure("old.1", R1, None), failure("fmt.1", R2, None)], &[]);
    let body = said(&news, None).unwrap().body;
    assert!(body.contains("fmt.1") && !body.contains("old.1"), "{body}");
    let mut heard = Heard::default();
    heard.note(&news, |_| true);
    assert_eq!(said(&news, Some(&heard)), None);
}

#[test]
fn what_a_root_had_blocked_works_again_as_a_number() {
    let mut heard = Heard::default();
    let failing = ["a.1", "b.1"].map(|name| failure(name, R2, Some("fmt.1")));
    heard.note(
        &news(R2, [failing.to_vec(), vec![failure("fmt.1", R2, None)]].concat(), &[]),
        |_| true,
    );
    let body = said(&news(R3, vec![], &["a.1", "b.1", "fmt.1"]), Some(&heard)).unwrap().body;
    assert!(body.contains("  fmt.1 and 2 that it had blocked\n"), "{body}");
    let body =
        said(&news(R3, vec![failure("fmt.1", R2, None)], &["a.1"]), Some(&heard)).unwrap().body;
    assert!(body.contains("  1 that fmt.1 had blocked\n"), "{body}");
}

/// Records a full run: packages, categories, and what blocks them.
fn full(data: &DataDir, run: &str, results: &[(&str, Category, Option<&str>)]) {
    let time = format!("{}T12:00:00Z", &run[..10]).parse().unwrap();
    let run = Run::start(data, Plan::default(), Clock::new(move || time)).unwrap();
    for (name, category, blocker) in results {
        let mut result = StageResult::success(name.parse().unwrap(), Stage::Build, time, time);
        result.build_hash = Some("h".parse().unwrap());
        result.blessed = true;
        if *category != Category::Success {
            result = result.failed(category.clone(), None);
        }
        if let Some(blocker) = blocker {
            result.origin = Origin::Skipped;
            let build_hash = Some("h".parse().unwrap());
            result.failed_dependencies =
                vec![BuildRef { package: blocker.parse().unwrap(), build_hash }];
        }
        run.record(result).unwrap();
    }
    run.finish(Ending::Complete).unwrap();
}

#[test]
fn the_status_index_makes_news_with_roots() {
    let root = tempfile::tempdir().unwrap();
    let data = DataDir::new(root.path());
    let fine = ["zlib.1", "png.1", "gtk.1", "fine.1"].map(|name| (name, Category::Success, None));
    full(&data, R1, &fine);
    let blocked = || Category::DependencyFailure;
    full(
        &data,
        R2,
        &[
            ("zlib.1", Category::BuildFailure, None),
            ("png.1", blocked(), Some("zlib.1")),
            ("gtk.1", blocked(), Some("png.1")),
            ("fine.1", Category::Success, None),
        ],
    );
    let news = News::from(&generate(&data, None).unwrap());
    let roots: Vec<_> =
        news.failing.iter().map(|f| (f.subject.package.as_str(), f.root.as_deref())).collect();
    assert_eq!(roots, [("gtk.1", Some("zlib.1")), ("png.1", Some("zlib.1")), ("zlib.1", None)]);
    assert_eq!((news.broken.len(), news.working.len()), (3, 1));
    let message = said(&news, None).unwrap();
    assert!(
        message.subject.ends_with("1 broken, 2 blocked, 0 working again, 1 of 4 work"),
        "{}",
        message.subject
    );

    let quiet = tempfile::tempdir().unwrap();
    let data = DataDir::new(quiet.path());
    for run in [R1, R2] {
        full(&data, run, &[("a.1", Category::Timeout, None)]);
    }
    assert_eq!(said(&News::from(&generate(&data, None).unwrap()), None), None);
}

/// What a full run with these results of `b.1` says to somebody who has heard this: of each compiler, the build's hash, or none without a solution.
fn after_run(
    data: &DataDir,
    id: &str,
    builds: [Option<&str>; 2],
    heard: Option<&Heard>,
) -> (News, String) {
    let time = larder_runs::time::parse_time(&format!("{}T12:00:00Z", &id[..10])).unwrap();
    let plan =
        Plan::new(larder_runs::result::RunKind::Full, larder_runs::run_log::Scope::All, vec![]);
    let run = Run::start(data, plan, Clock::new(move || time)).unwrap();
    for (compiler, build) in ["clang.14", "gcc.12"].into_iter().zip(builds) {
        let stage = if build.is_some() { Stage::Build } else { Stage::Solve };
        let mut result = StageResult::success("b.1".parse().unwrap(), stage, time, time);
        result.compiler = Some(compiler.parse().unwrap());
        result.build_hash = build.map(|hash| hash.parse().unwrap());
        result.blessed = build.is_some() && compiler == "gcc.12";
        let result = match build {
            Some(_) => result,
            None => result.failed(Category::NoSolution, Some("needs a".to_owned())),
        };
        run.record(result).unwrap();
    }
    run.finish(Ending::Complete).unwrap();
    let news = News::from(&generate(data, None).unwrap());
    let said = said(&news, heard).map_or(String::new(), |said| said.subject + "\n" + &said.body);
    (news, said)
}

#[test]
fn a_lost_solution_is_a_breakage_to_everybody() {
    let root = tempfile::tempdir().unwrap();
    let data = DataDir::new(root.path());
    let mut heard = Heard::default();
    let (news, _) = after_run(&data, R1, [Some("c"), Some("g")], None);
    heard.note(&news, |_| true);
    let (news, first) = after_run(&data, R2, [None, None], None);
    let told = "larder 2026-03-02-120000: 1 broken, 0 working again, 0 of 1 work
Broken (1):
  b.1: no_solution: needs a

Broken, not blessed (1):
  b.1 with gcc.12: no_solution: needs a

Compared with 2026-03-01-120000.
";
    assert_eq!(first, told);
    assert_eq!(said(&news, Some(&heard)).map(|it| it.subject + "\n" + &it.body).unwrap(), told);
    heard.note(&news, |_| true);
    assert!(said(&news, Some(&heard)).is_none(), "it has been said");
    let (_, mended) = after_run(&data, R3, [Some("c2"), Some("g2")], Some(&heard));
    assert!(mended.contains("Working again (1):\n  b.1\n"), "{mended}");
    assert!(mended.contains("Working again, not blessed (1):\n  b.1 with gcc.12\n"), "{mended}");
}
