//! Hunts in a world that is made up: what a package is at each point is a catalogue, and what comes of a state follows
//! from what is in it.

use std::convert::Infallible;

use super::*;
use crate::{
    catalogue::{Catalogue, PackageVersion},
    graph::Surroundings,
    hashes,
    solve::{Solved, Solver},
    testing::{catalogue, package},
};

type Judge = Box<dyn FnMut(&State, Stage) -> Came>;

/// A world of catalogues.
struct Fake {
    points: Vec<(Catalogue, HashName)>,
    recorded: BTreeMap<HashName, Vec<Came>>,
    judge: Judge,
    suspected: bool,
    /// The attempts that were made, and how many of these were made again.
    tried: usize,
    again: usize,
}

fn name(text: &str) -> HashName {
    hashes::name(&hashes::Fields::of("test").text(text).finish())
}

impl Fake {
    fn new(points: Vec<Catalogue>, judge: impl FnMut(&State, Stage) -> Came + 'static) -> Fake {
        let points = points.into_iter().map(|point| (point, name("cc"))).collect();
        let judge = Box::new(judge);
        let recorded = BTreeMap::new();
        Fake { points, recorded, judge, suspected: false, tried: 0, again: 0 }
    }

    /// The same, which has a record of both ends.
    fn with_ends(mut self) -> Fake {
        for end in [0, self.points.len() - 1] {
            if let Candidate::State(state) = self.at(end).unwrap() {
                let came = (self.judge)(&state, Stage::Build);
                self.recorded.insert(state.hash.clone(), vec![came]);
            }
        }
        self
    }

    fn hunt(&mut self) -> Hunted {
        let points = self.points.len();
        Hunt::new(self, points, "test").run().unwrap()
    }
}

impl World for Fake {
    type Error = Infallible;

    fn at(&mut self, point: usize) -> Result<Candidate, Infallible> {
        let (catalogue, identity) = &self.points[point];
        let Some(target) = catalogue.versions("app").next() else {
            return Ok(Candidate::Nothing("there is no app".to_owned()));
        };
        let around =
            Surroundings { identities: vec![identity.clone()], platform: "test".to_owned() };
        let solver = Solver { kept: None, remember: false, threads: 1, stop: &|| false };
        let solutions = solver.solve(catalogue, [target]);
        Ok(match solutions.iter().next().unwrap() {
            Solved::Found(solution) => {
                Candidate::State(Box::new(State::of(catalogue, &around, solution).unwrap()))
            }
            Solved::NoSolution { explanation, .. } => {
                Candidate::Unsolved(catalogue.get(target).id.clone(), explanation.clone())
            }
        })
    }

    fn label(&self, point: usize) -> String {
        format!("point {point}")
    }

    fn recorded(&mut self, state: &State) -> Result<Vec<Came>, Infallible> {
        Ok(self.recorded.get(&state.hash).cloned().unwrap_or_default())
    }

    fn attempt(
        &mut self,
        state: &State,
        stage: Stage,
        again: bool,
        _: &Told<'_>,
    ) -> Result<Came, Infallible> {
        self.tried += 1;
        self.again += usize::from(again);
        Ok((self.judge)(state, stage))
    }

    fn is_suspected(&self, _: Stage) -> bool {
        self.suspected
    }
}

fn failing(state: &State, category: Category) -> Came {
    let stage = if category == Category::TestFailure { Stage::Test } else { Stage::Build };
    Came::Failed(Failing {
        package: state.target().id.clone(),
        build_hash: Some(state.hash.clone()),
        stage,
        category,
        error: None,
        roots: Vec::new(),
        run_id: None,
        log: None,
    })
}

/// What comes of a package that fails where something is so.
fn fails_if(bad: impl Fn(&State) -> bool + 'static) -> impl FnMut(&State, Stage) -> Came {
    move |state, stage| match bad(state) {
        true => failing(state, Category::BuildFailure),
        false => Came::Worked(stage),
    }
}

/// The same package with other content.
fn edited(package: PackageVersion, edit: usize) -> PackageVersion {
    let digest = name(&format!("{} {edit}", package.id));
    PackageVersion { digest, ..package }
}

/// A set in which the application needs four packages, two of them by others, each edited so often.
fn edits(edits: [usize; 6]) -> Catalogue {
    let packages = [
        package("app.1.0", &["png", "zip"]),
        package("png.1.0", &["zlib", "math"]),
        package("zip.1.0", &["zlib", "bytes"]),
        package("zlib.1.0", &[]),
        package("math.1.0", &[]),
        package("bytes.1.0", &[]),
    ];
    let packages = packages.into_iter().zip(edits).map(|(package, edit)| edited(package, edit));
    catalogue(packages.collect(), &["cc.1"])
}

const NAMES: [&str; 6] = ["app", "png", "zip", "zlib", "math", "bytes"];

/// A small generator of numbers (SplitMix64), so that a seed says all.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}

/// Breaks one of 256 changes, so many of them at each point, and looks for it.
fn seeded(seed: u64, at_once: usize) {
    let mut dice = Dice(seed);
    let mut now = [0; 6];
    let mut points = vec![edits(now)];
    // Each change is the next edit of some package; those of one point are of different ones.
    let mut changes = Vec::new();
    for _ in 0..256 / at_once {
        let first = dice.below(6);
        for other in 0..at_once {
            let changed = (first + other) % 6;
            now[changed] += 1;
            changes.push((changed, now[changed], points.len()));
        }
        points.push(edits(now));
    }
    let (broken, edit, point) = changes[dice.below(256)];
    let bad: BTreeSet<HashName> = (edit..=now[broken])
        .map(|edit| edited(package(&format!("{}.1.0", NAMES[broken]), &[]), edit).digest)
        .collect();
    let judge = fails_if(move |state| {
        state.versions.get(NAMES[broken]).is_some_and(|version| bad.contains(&version.digest))
    });
    let mut world = Fake::new(points, judge).with_ends();
    let hunted = world.hunt();
    let Found::Change { after, until, changes, together_with, good, bad } = hunted.found else {
        panic!("seed {seed}: {:?}", hunted.found);
    };
    assert_eq!((after, until), (point - 1, point), "seed {seed}");
    assert_eq!(changes.len(), 1, "seed {seed}");
    assert_eq!((changes[0].name.as_str(), together_with), (NAMES[broken], vec![]), "seed {seed}");
    assert!(world.tried <= 9, "seed {seed}: {} attempts", world.tried);
    assert!(good.worked > 0 && bad.failed > 0 && bad.worked == 0, "{good:?} {bad:?}");
    let new = hunted.attempts.iter().filter(|attempt| attempt.is_new()).count();
    assert_eq!(new, world.tried);
}

#[test]
fn fifty_breakages_in_256_steps_take_nine_attempts_each() {
    for seed in 0..50 {
        seeded(seed, 1);
        seeded(seed, 4);
    }
}

/// What a hunt found, in short.
fn said(hunted: &Hunted) -> String {
    let list =
        |changes: &[Change]| changes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match &hunted.found {
        Found::Change { after, until, changes, together_with, .. } => {
            let with = if together_with.is_empty() { "" } else { " together with " };
            format!("{after}..{until}: {}{with}{}", list(changes), list(together_with))
        }
        Found::Works => "works".to_owned(),
        Found::BrokenBefore => "broken before".to_owned(),
        Found::Flaky { at } => format!("flaky: {at}"),
        Found::Unknown { reason } => format!("unknown: {reason}"),
    }
}

fn zlib(version: &str) -> Vec<PackageVersion> {
    vec![
        package("app.1.0", &["zlib", "png"]),
        package("png.1.0", &["zlib"]),
        package(&format!("zlib.{version}"), &[]),
    ]
}

fn has(name: &'static str, version: &'static str) -> impl Fn(&State) -> bool + Clone {
    move |state| state.versions.get(name).is_some_and(|it| it.version == version)
}

#[test]
fn a_version_of_a_dependency_is_blamed() {
    let points = ["1.2", "1.2", "1.3", "1.3"].map(|it| catalogue(zlib(it), &["cc.1"])).to_vec();
    let mut world = Fake::new(points, fails_if(has("zlib", "1.3")));
    assert_eq!(said(&world.hunt()), "1..2: zlib 1.2 → 1.3");
    // Both ends, and each side twice more: of equal states one is tried.
    assert_eq!((world.tried, world.again), (6, 4));
}

#[test]
fn a_compiler_is_blamed() {
    let set = |compiler: &str| catalogue(zlib("1.2"), &[compiler]);
    let points = vec![set("gcc.12"), set("clang.14")];
    let mut world = Fake::new(points, fails_if(|state| state.compiler.name.name() == "clang"));
    assert_eq!(said(&world.hunt()), "0..1: the compiler gcc.12 → clang.14");
    // The same name, and other tools.
    let mut world = Fake::new(vec![set("cc.1"), set("cc.1")], |_, _| unreachable!());
    world.points[1].1 = name("other");
    world.judge = Box::new(fails_if(|state| state.identity == name("other")));
    assert_eq!(said(&world.hunt()), "0..1: the tools of the compiler cc.1");
}

/// Two points between which two dependencies and the application change.
fn three_changes() -> Vec<Catalogue> {
    let set = |zlib: &str, png: &str, app: &str| {
        let packages = vec![
            package(&format!("app.{app}"), &["zlib", "png"]),
            package(&format!("png.{png}"), &[]),
            package(&format!("zlib.{zlib}"), &[]),
        ];
        catalogue(packages, &["cc.1"])
    };
    vec![set("1.2", "1.5", "1.0"), set("1.3", "1.6", "1.1")]
}

#[test]
fn changes_that_break_only_together_are_named_together() {
    let (zlib, png) = (has("zlib", "1.3"), has("png", "1.6"));
    let mut world = Fake::new(three_changes(), fails_if(move |it| zlib(it) && png(it)));
    assert_eq!(said(&world.hunt()), "0..1: zlib 1.2 → 1.3 together with png 1.5 → 1.6");
    let (zlib, app) = (has("zlib", "1.3"), has("app", "1.1"));
    let mut world = Fake::new(three_changes(), fails_if(move |it| zlib(it) && app(it)));
    let found = said(&world.hunt());
    assert!(found.starts_with("0..1: app 1.0 → 1.1 together with "), "{found}");
    // One that breaks it alone is blamed alone.
    let mut world = Fake::new(three_changes(), fails_if(has("zlib", "1.3")));
    assert_eq!(said(&world.hunt()), "0..1: zlib 1.2 → 1.3");
}

#[test]
fn changes_that_nothing_lies_between_are_not_told_apart() {
    // Each of the new versions needs the other.
    let set = |zlib: &str, png: &str, needs: &str| {
        let packages = vec![
            package("app.1.0", &["zlib", "png"]),
            package(&format!("png.{png}"), &[needs]),
            package(&format!("zlib.{zlib}"), &[]),
        ];
        catalogue(packages, &["cc.1"])
    };
    let points = vec![set("1.2", "1.5", "zlib <1.3"), set("1.3", "1.6", "zlib ^1.3")];
    let mut world = Fake::new(points, fails_if(has("png", "1.6")));
    let hunted = world.hunt();
    assert_eq!(said(&hunted), "0..1: zlib 1.2 → 1.3, png 1.5 → 1.6");
    let reasons: Vec<&String> =
        hunted.attempts.iter().filter_map(|it| it.reason.as_ref()).collect();
    assert_eq!(reasons, ["zlib.1.3 does not do for png.1.5"]);
}

#[test]
fn what_comes_with_a_package_is_no_change_of_its_own() {
    let before = catalogue(vec![package("app.1.0", &["old"]), package("old.1.0", &[])], &["cc.1"]);
    let after = catalogue(
        vec![package("app.1.1", &["new"]), package("new.1.0", &["more"]), package("more.1.0", &[])],
        &["cc.1"],
    );
    let mut world = Fake::new(vec![before, after], fails_if(has("app", "1.1")));
    assert_eq!(said(&world.hunt()), "0..1: app 1.0 → 1.1");
}

#[test]
fn another_failure_says_nothing() {
    let points = ["1", "2", "3", "4", "5"].map(|it| catalogue(zlib(it), &["cc.1"])).to_vec();
    let mut world =
        Fake::new(points, |state: &State, stage| match state.versions["zlib"].version.as_str() {
            "3" => failing(state, Category::MissingSystemPackage),
            "4" | "5" => failing(state, Category::BuildFailure),
            _ => Came::Worked(stage),
        });
    let hunted = world.hunt();
    assert_eq!(said(&hunted), "1..3: zlib 2 → 4");
    let other = hunted
        .attempts
        .iter()
        .find(|attempt| attempt.shown == super::super::outcome::Sight::Nothing);
    assert_eq!(other.unwrap().failing.as_ref().unwrap().category, Category::MissingSystemPackage);
}

#[test]
fn a_flaky_package_is_declared() {
    // It fails in half of all attempts, whatever it is made of.
    for (category, suspected, most) in [
        (Category::TestFailure, false, 4),
        (Category::BuildFailure, true, 4),
        (Category::BuildFailure, false, 25),
    ] {
        let mut blamed = 0;
        for seed in 0..400 {
            let mut dice = Dice(seed);
            let points = (0..9).map(|it| catalogue(zlib(&it.to_string()), &["cc.1"])).collect();
            let category = category.clone();
            let judge = move |state: &State, stage| match dice.below(2) {
                0 => failing(state, category.clone()),
                _ => Came::Worked(stage),
            };
            let mut world = Fake::new(points, judge);
            world.suspected = suspected;
            let hunted = world.hunt();
            blamed += u32::from(matches!(hunted.found, Found::Change { .. }));
        }
        assert!(blamed <= most, "{category}: {blamed} of 400");
    }

    // One that both worked and failed on the same is flaky before anything is tried.
    let points = ["1", "2"].map(|it| catalogue(zlib(it), &["cc.1"])).to_vec();
    let mut world = Fake::new(points, |_: &State, _| unreachable!());
    let Ok(Candidate::State(state)) = world.at(1) else { panic!() };
    let both = vec![Came::Worked(Stage::Build), failing(&state, Category::BuildFailure)];
    world.recorded.insert(state.hash.clone(), both);
    assert_eq!(said(&world.hunt()), "flaky: app.1.0");
}

#[test]
fn what_is_no_breakage_is_said() {
    let points = || ["1", "2", "3"].map(|it| catalogue(zlib(it), &["cc.1"])).to_vec();
    assert_eq!(said(&Fake::new(points(), fails_if(|_| false)).hunt()), "works");
    assert_eq!(said(&Fake::new(points(), fails_if(|_| true)).hunt()), "broken before");
    let rain = |_: &State, _| Came::Nothing("network".to_owned());
    assert_eq!(said(&Fake::new(points(), rain).hunt()), "unknown: point 2: network");
    let mut gone = points();
    gone[0] = catalogue(vec![package("zlib.1", &[])], &["cc.1"]);
    let found = said(&Fake::new(gone, fails_if(|_| true)).hunt());
    assert_eq!(found, "unknown: point 0: there is no app");
}

#[test]
fn a_missing_solution_is_looked_for_without_a_build() {
    let mut points = ["1", "1", "1", "2"].map(|it| catalogue(zlib(it), &["cc.1"])).to_vec();
    let picky = vec![package("app.1.0", &["zlib ^1"]), package("zlib.2.0", &[])];
    points[2] = catalogue(picky.clone(), &["cc.1"]);
    points[3] = catalogue(picky, &["cc.1"]);
    let mut world = Fake::new(points, |_: &State, _| unreachable!());
    let hunted = world.hunt();
    assert_eq!(said(&hunted), "1..2: ");
    assert_eq!(hunted.failure.unwrap().category, Category::NoSolution);
}
