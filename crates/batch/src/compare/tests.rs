//! Two hundred packages, tried in order and by turns as a run does it, without a process.

use std::collections::HashMap;

use larder_runs::{
    Category,
    comparison::{Judged, Outcome, SideName, Subject, Verdict},
    name::RunId,
    result::{BuildRef, Entry, Origin, RunKind, Stage, StageResult},
    time::Clock,
};

use super::{
    evidence::{attempt, judge, trial},
    pairs::{Pair, Place},
    trial::{Attempt, ENOUGH, Next, Side},
};
use crate::{
    graph::BuildId,
    schedule::{Need, Schedule, Task},
    testing::Dice,
};

/// What a package is in truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Works,
    Regressed,
    Fixed,
    Broken,
    /// It fails in so many of a hundred attempts.
    Flaky(u64),
}

/// Ten regressions, ten that are fixed, twenty broken before, thirty flaky at 5 to 50 %, and the rest.
fn kind(package: usize) -> Kind {
    match package {
        60..70 => Kind::Regressed,
        70..80 => Kind::Fixed,
        80..100 => Kind::Broken,
        100..130 => Kind::Flaky(5 + (package as u64 - 100) * 45 / 29),
        _ => Kind::Works,
    }
}

const PACKAGES: usize = 200;

/// How many of a hundred attempts the machine or the network spoils.
const FAULTS: u64 = 5;

struct World {
    dice: Dice,
    /// Of each build, its results; those of the two sides of a package are beside each other.
    recorded: Vec<Vec<Entry>>,
}

impl World {
    /// One attempt of a build.
    fn try_it(&mut self, build: usize) -> StageResult {
        let (package, candidate) = (build / 2, build % 2 == 1);
        let fails = match kind(package) {
            Kind::Works => false,
            Kind::Regressed => candidate,
            Kind::Fixed => !candidate,
            Kind::Broken => true,
            Kind::Flaky(percent) => self.dice.falls_below(percent),
        };
        let category = match (self.dice.falls_below(FAULTS), fails) {
            (true, _) if self.dice.falls_below(50) => Category::Network,
            (true, _) => Category::DiskFull,
            (false, true) => Category::BuildFailure,
            (false, false) => Category::Success,
        };
        self.record(build, category, Vec::new())
    }

    fn record(&mut self, build: usize, category: Category, roots: Vec<BuildRef>) -> StageResult {
        let now = Clock::system().now();
        let entries = &mut self.recorded[build];
        let name = format!("p{}.1.0", build / 2).parse().unwrap();
        let result = StageResult {
            build_hash: Some(format!("b{build}").parse().unwrap()),
            dep_hash: Some(format!("d{build}").parse().unwrap()),
            attempt: entries.len() as u32 + 1,
            ..StageResult::success(name, Stage::Build, now, now)
        };
        let result = match category {
            Category::Success => result,
            Category::DependencyFailure => StageResult {
                dep_hash: None,
                origin: Origin::Skipped,
                failed_dependencies: roots.clone(),
                root_failures: roots,
                ..result.failed(Category::DependencyFailure, None)
            },
            category => result.failed(category, None),
        };
        entries.push(Entry::new(run(), RunKind::Compare, result.clone()));
        result
    }
}

fn run() -> RunId {
    "2026-03-01-120000".parse().unwrap()
}

/// The packages that one needs: steady ones, and for the last also whatever there is.
fn needs(package: usize, dice: &mut Dice) -> Vec<usize> {
    let among = match package {
        0 => return Vec::new(),
        1..60 => package,
        60..150 => 60,
        _ => package,
    };
    (0..dice.below(3)).map(|_| dice.below(among as u64) as usize).collect()
}

/// First attempts in one schedule, then trials, then verdicts: as a run does it.
fn compare(seed: u64) -> (Vec<Judged>, World) {
    let mut dice = Dice::new(seed);
    let mut tasks = Vec::new();
    for package in 0..PACKAGES {
        let needs = needs(package, &mut dice);
        for side in 0..2 {
            let needs = needs.iter().map(|need| Need::required(2 * need + side)).collect();
            tasks.push(Task { needs, ..Task::default() });
        }
    }
    let mut world = World { dice, recorded: vec![Vec::new(); tasks.len()] };
    let mut schedule = Schedule::new(tasks);
    while let Some(build) = schedule.start_next() {
        // As often as a run tries what the weather spoils.
        let mut result = world.try_it(build);
        for _ in 1..3 {
            if attempt(&result) == Attempt::Weather {
                result = world.try_it(build);
            }
        }
        for blocked in schedule.end(build, result.is_success()) {
            let root = |root: &usize| BuildRef {
                package: format!("p{}.1.0", root / 2).parse().unwrap(),
                build_hash: Some(format!("b{root}").parse().unwrap()),
            };
            let roots = blocked.roots.iter().map(root).collect();
            world.record(blocked.task, Category::DependencyFailure, roots);
        }
    }
    let judged = (0..PACKAGES).map(|package| {
        let builds = [2 * package, 2 * package + 1];
        let place = |build: usize| Place::Build(BuildId(build as u32));
        let package = format!("p{package}.1.0").parse().unwrap();
        let subject = Subject { package, compiler: None };
        let pair = Pair { subject, base: place(builds[0]), candidate: place(builds[1]) };
        let entries = |world: &World| builds.map(|build| world.recorded[build].clone());
        let [base, candidate] = entries(&world);
        let mut trial = trial(&pair, &base, &candidate).unwrap();
        while let Next::Try(side) = trial.next() {
            let result = world.try_it(builds[usize::from(side == Side::Candidate)]);
            trial.note(side, attempt(&result));
        }
        let [base, candidate] = entries(&world);
        judge(&pair, Some(&trial), &base, &candidate)
    });
    let judged = judged.collect();
    (judged, world)
}

#[test]
fn no_verdict_is_false_and_no_regression_is_missed() {
    let mut verdicts: HashMap<Verdict, usize> = HashMap::new();
    for seed in 0..20 {
        let (judged, world) = compare(seed);
        for (package, judged) in judged.iter().enumerate() {
            let blocked = |build: usize| {
                world.recorded[build].iter().any(|it| it.result.origin == Origin::Skipped)
            };
            let is_blocked = blocked(2 * package) || blocked(2 * package + 1);
            let right = match (judged.verdict, kind(package)) {
                // Only what needs any package may be blocked.
                (Verdict::Unknown, _) => is_blocked && package >= 150,
                (Verdict::Same, Kind::Works) => true,
                (Verdict::Regressed, Kind::Regressed) => true,
                (Verdict::Fixed, Kind::Fixed) => true,
                (Verdict::BrokenBefore, Kind::Broken) => true,
                // It may have happened to work on both sides.
                (Verdict::Flaky | Verdict::Same, Kind::Flaky(_)) => true,
                _ => false,
            };
            assert!(right, "seed {seed}: package {package} is said to be {:?}", judged.verdict);
            *verdicts.entry(judged.verdict).or_default() += 1;
            for (side, shown) in [&judged.base, &judged.candidate].into_iter().enumerate() {
                let of = |wanted| {
                    let entries = world.recorded[2 * package + side].iter();
                    entries.filter(|entry| attempt(&entry.result) == wanted).count() as u32
                };
                let evidence = shown.evidence;
                assert_eq!(
                    (evidence.worked, evidence.failed),
                    (of(Attempt::Worked), of(Attempt::Failed))
                );
                let certain = matches!(
                    judged.verdict,
                    Verdict::Regressed | Verdict::Fixed | Verdict::BrokenBefore
                );
                assert!(!certain || evidence.worked.max(evidence.failed) == ENOUGH, "{judged:?}");
                assert_eq!(is_blocked && judged.verdict == Verdict::Unknown, {
                    judged.verdict == Verdict::Unknown
                });
                assert_eq!(!shown.roots.is_empty(), blocked(2 * package + side));
            }
        }
        let names = [SideName::Set, SideName::Set];
        let outcome = Outcome::new(run(), names, judged, Vec::new(), Vec::new());
        let counts = outcome.counts;
        let sum = counts.regressed + counts.fixed + counts.flaky;
        let sum = sum + counts.unknown + counts.broken_before + counts.same;
        assert_eq!((counts.total, sum), (PACKAGES, PACKAGES));
        assert!(outcome.packages.is_sorted_by_key(|it| it.verdict != Verdict::Regressed));
    }
    assert_eq!(verdicts[&Verdict::Regressed], 20 * 10);
    assert_eq!(verdicts[&Verdict::Fixed], 20 * 10);
    assert_eq!(verdicts[&Verdict::BrokenBefore], 20 * 20);
    assert!(verdicts[&Verdict::Flaky] > 20 * 10, "{verdicts:?}");
    assert!(verdicts[&Verdict::Unknown] > 0, "{verdicts:?}");
}
