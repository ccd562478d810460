//! From the lines of one history to where its package stands.
//!
//! The runs of a history are taken in their order. A full run that finished says everything: which builds
//! a package has, and how each stage of each ended. What it does not have is superseded. One that was
//! interrupted, or is still going on, replaces what it reached and leaves the rest. A rerun, and a run of
//! what a revision changed, replace the builds that they have in common with that, and the blessed one. A
//! comparison says nothing.

mod course;
mod flaky;
mod view;

use std::collections::BTreeMap;

use crate::Category;
use crate::history::{self, Checkpoint, Streak};
use crate::name::run_order;
use crate::result::{Outcome, RunKind, Stage};

use course::Courses;
pub(crate) use flaky::flaky;
pub(crate) use view::View;

/// The readable lines of a history, by run.
pub(crate) struct Past<'v> {
    /// By the order of the runs; within a run as they were appended.
    views: Vec<View<'v>>,
    /// The checkpoint that compactions left.
    pub checkpoint: Option<Checkpoint>,
    /// Lines that could not be read.
    pub broken_lines: u64,
}

/// The entries of one run.
#[derive(Clone, Copy)]
pub(crate) struct RunEntries<'p, 'v>(&'p [View<'v>]);

impl<'p, 'v> RunEntries<'p, 'v> {
    /// The run's id.
    pub fn id(self) -> &'p str {
        self.0.first().map_or("", |view| &view.run)
    }

    /// Its kind.
    pub fn kind(self) -> RunKind {
        self.0.first().map_or(RunKind::Full, |view| view.kind)
    }

    /// Its entries, in the order in which they were appended.
    pub fn entries(self) -> impl Iterator<Item = &'p View<'v>> {
        self.0.iter()
    }

    /// The last result of each stage of each build, sorted.
    fn last(self) -> Vec<(Key<'p>, &'p View<'v>)> {
        let mut last: Vec<_> = self.0.iter().rev().map(|view| (Key::of(view), view)).collect();
        last.sort_by_key(|(key, _)| *key);
        last.dedup_by_key(|(key, _)| *key);
        last
    }

    /// The verdict of the run on the package: see [`Outcome::verdict`].
    fn verdict(self) -> Option<Outcome> {
        let last = self.last();
        let built = |key: &Key<'_>| matches!(key.stage, Stage::Solve | Stage::Build);
        let any_built = last.iter().any(|(key, _)| built(key));
        Outcome::verdict(
            last.iter()
                .filter(|(key, view)| {
                    (built(key) || !any_built) && !(key.stage == Stage::Solve && view.success)
                })
                .map(|(_, view)| (view.blessed, view.outcome())),
        )
    }
}

impl<'v> Past<'v> {
    /// Reads a history.
    pub fn parse(content: &'v [u8]) -> Past<'v> {
        let mut past = Past { views: Vec::new(), checkpoint: None, broken_lines: 0 };
        for line in history::lines(content) {
            if let Some(view) = View::parse(line) {
                past.views.push(view);
            } else if let Some(checkpoint) = Checkpoint::parse(line) {
                past.checkpoint = Some(checkpoint);
                past.views.iter_mut().for_each(|view| view.folded = true);
            } else {
                past.broken_lines += 1;
            }
        }
        past.views.sort_by(|a, b| run_order(&a.run, &b.run));
        past
    }

    /// Keeps only some entries.
    pub fn retain(&mut self, keep: impl Fn(&View<'v>) -> bool) {
        self.views.retain(keep);
    }

    /// Its runs, oldest first.
    pub fn runs(&self) -> impl DoubleEndedIterator<Item = RunEntries<'_, 'v>> {
        self.views.chunk_by(|a, b| a.run == b.run).map(RunEntries)
    }

    /// The first run that the history ever had.
    pub fn first_run(&self) -> Option<&str> {
        let first = self.views.first().map(|view| &*view.run);
        let compacted = self.checkpoint.as_ref().map(|checkpoint| checkpoint.first_run.as_str());
        first.into_iter().chain(compacted).min_by(|a, b| run_order(a, b))
    }

    /// The rows of failures that have not ended.
    pub fn streaks(&self) -> Vec<Streak> {
        Courses::of(self).streaks()
    }

    /// The rows of failures, as [`Courses`].
    pub fn courses(&self) -> Courses<'_> {
        Courses::of(self)
    }

    /// Up to `count` results, oldest first, one a run: `+` where the package worked, `-` where not.
    pub fn recent(&self, count: usize) -> String {
        let runs = self.runs().rev().filter(|run| run.kind() != RunKind::Compare);
        let verdicts = runs.filter_map(RunEntries::verdict).take(count);
        let mut recent: Vec<char> =
            verdicts.map(|verdict| if verdict == Outcome::Worked { '+' } else { '-' }).collect();
        recent.reverse();
        recent.into_iter().collect()
    }

    /// Where the package stands after all of its runs, and where it stood after its baseline.
    /// `is_whole` says whether a full run came to its end.
    pub fn standings(
        &self,
        is_whole: impl Fn(&str) -> bool,
    ) -> (Standing<'_, 'v>, Option<Standing<'_, 'v>>) {
        let number = self.baseline(&is_whole).map(|baseline| {
            self.runs().take_while(|run| run_order(run.id(), baseline).is_lt()).count()
        });
        self.standings_after(number, is_whole)
    }

    /// The newest full run.
    pub fn full_run(&self) -> Option<&str> {
        self.full_runs().next()
    }

    /// The run that changes are relative to: the last full run before the newest one that came to its end. One that did not
    /// may have been started again since, and what it found is news still.
    pub fn baseline(&self, is_whole: impl Fn(&str) -> bool) -> Option<&str> {
        self.full_runs().skip(1).find(|run| is_whole(run))
    }

    /// The full runs, newest first.
    pub fn full_runs(&self) -> impl Iterator<Item = &str> {
        self.runs().rev().filter(|run| run.kind() == RunKind::Full).map(RunEntries::id)
    }

    /// Where the package stands after all of its runs, and where it stood after those up to run `since`.
    pub fn standings_since(
        &self,
        since: &str,
        is_whole: impl Fn(&str) -> bool,
    ) -> (Standing<'_, 'v>, Standing<'_, 'v>) {
        let until = self.runs().take_while(|run| run_order(run.id(), since).is_le()).count();
        let (now, before) = self.standings_after(until.checked_sub(1), is_whole);
        (now, before.unwrap_or_default())
    }

    /// Where the package stands after all of its runs, and after the one with this number.
    fn standings_after(
        &self,
        number: Option<usize>,
        is_whole: impl Fn(&str) -> bool,
    ) -> (Standing<'_, 'v>, Option<Standing<'_, 'v>>) {
        let runs: Vec<RunEntries<'_, 'v>> = self.runs().collect();
        let whole = |run: &RunEntries<'_, '_>| run.kind() == RunKind::Full && is_whole(run.id());
        let stood_after = |count: usize| {
            let runs = runs.get(..count).unwrap_or_default();
            // A full run that came to its end says everything: those before it do not matter.
            let first = runs.iter().rposition(whole).unwrap_or(0);
            let mut standing = Standing::default();
            for run in runs.iter().skip(first) {
                standing.apply(*run, &is_whole);
            }
            standing
        };
        (stood_after(runs.len()), number.map(|number| stood_after(number + 1)))
    }
}

/// The subject of a result, within a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key<'p> {
    /// The stage.
    pub stage: Stage,
    /// The build hash; for a solve the compiler.
    pub build: &'p str,
}

impl<'p> Key<'p> {
    fn of(view: &'p View<'_>) -> Key<'p> {
        let stage = view.stage();
        Key { stage, build: if stage == Stage::Solve { &view.compiler } else { &view.build_hash } }
    }
}

/// A result that counts.
#[derive(Clone, Copy)]
pub(crate) struct Counted<'p, 'v> {
    /// The result.
    pub view: &'p View<'v>,
    /// Whether it is that of the blessed build, now.
    pub blessed: bool,
}

/// The results of a package that count.
#[derive(Clone, Default)]
pub(crate) struct Standing<'p, 'v> {
    results: BTreeMap<Key<'p>, Counted<'p, 'v>>,
    /// Whether a full run has said which builds there are.
    covered: bool,
}

impl<'p, 'v> Standing<'p, 'v> {
    fn apply(&mut self, run: RunEntries<'p, 'v>, is_whole: impl Fn(&str) -> bool) {
        let full = run.kind() == RunKind::Full;
        if run.kind() == RunKind::Compare {
            return;
        }
        if full && is_whole(run.id()) {
            self.results.clear();
        }
        let last = run.last();
        for &(key, view) in &last {
            let known = self.results.contains_key(&key);
            // A build that is not in the last full run's solution counts only when it is blessed since, or takes the place
            // of one that is.
            if !(full || known || view.blessed || key.stage == Stage::Solve || !self.covered) {
                let Some(before) = self.predecessor(key, view, &last) else { continue };
                self.results.remove(&before);
            }
            self.supersede(key, view);
            self.insert(key, view);
        }
        self.covered |= full;
    }

    /// The result in whose place a newer one is: before and now, the package has one build alone with that compiler.
    fn predecessor(
        &self,
        key: Key<'p>,
        new: &View<'_>,
        run: &[(Key<'p>, &View<'_>)],
    ) -> Option<Key<'p>> {
        let same = |other: &Key<'_>, view: &View<'_>| {
            other.stage == key.stage && view.compiler == new.compiler
        };
        let now = run.iter().filter(|(other, view)| same(other, view)).count();
        let mut before = self.results.iter().filter(|(other, it)| same(other, it.view));
        let (first, more) = (before.next(), before.next());
        let alone = now == 1 && more.is_none() && !new.compiler.is_empty();
        first.filter(|_| alone).map(|(other, _)| *other)
    }

    /// Removes what a newer result of a run that does not say everything takes the place of.
    fn supersede(&mut self, key: Key<'_>, new: &View<'_>) {
        self.results.retain(|other, counted| {
            let same_compiler = counted.view.compiler == new.compiler;
            if key.stage == Stage::Solve {
                // Without a solution there is no build.
                new.success || !(same_compiler || new.compiler.is_empty())
            } else if other.stage == Stage::Solve {
                !same_compiler && !counted.view.compiler.is_empty()
            } else if other.build == key.build {
                // What was not built again was neither tested nor documented.
                key.stage != Stage::Build || new.success || other.stage == Stage::Build
            } else {
                !(new.blessed && counted.blessed && same_compiler && other.stage == key.stage)
            }
        });
    }

    fn insert(&mut self, key: Key<'p>, view: &'p View<'v>) {
        if key.stage == Stage::Solve && view.success {
            return;
        }
        if view.blessed {
            let others = self.results.iter_mut().filter(|(other, _)| other.stage == key.stage);
            others.for_each(|(_, counted)| counted.blessed = false);
        }
        self.results.insert(key, Counted { view, blessed: view.blessed });
    }

    /// All results, by stage and build.
    pub fn results(&self) -> impl Iterator<Item = (&Key<'p>, &Counted<'p, 'v>)> {
        self.results.iter()
    }

    /// The result of a stage that counts first: the blessed build's, or, of the stage build and without
    /// a blessed build, the missing solution.
    pub fn first(&self, stage: Stage) -> Option<&View<'v>> {
        let of = |stage: Stage| self.results.iter().filter(move |(key, _)| key.stage == stage);
        let blessed = of(stage).find(|(_, counted)| counted.blessed);
        let unsolved = || of(Stage::Solve).next().filter(|_| stage == Stage::Build);
        blessed.or_else(unsolved).map(|(_, counted)| counted.view)
    }

    /// The state of the package: see [`Outcome::verdict`]. `None` where it has neither builds nor failed solves.
    pub fn verdict(&self) -> Option<Outcome> {
        let built =
            self.results.iter().filter(|(key, _)| matches!(key.stage, Stage::Solve | Stage::Build));
        Outcome::verdict(built.map(|(_, counted)| (counted.blessed, counted.view.outcome())))
    }

    /// The stages that can differ: from before, now.
    pub fn differences(&self, before: &Standing<'_, '_>) -> Vec<Difference> {
        let mut differences = Vec::new();
        for stage in [Stage::Build, Stage::Test, Stage::Doc] {
            if let (Some(now), Some(then)) =
                (self.representative(stage, before), before.representative(stage, self))
                && now.success != then.success
            {
                differences.push(Difference::new(stage, true, now, then));
            }
        }
        let first = |key: &Key<'_>, counted: &Counted<'_, '_>| {
            self.first(key.stage).is_some_and(|first| std::ptr::eq(first, counted.view))
        };
        for (key, now) in self.results.iter().filter(|(key, _)| key.stage != Stage::Solve) {
            if let Some(then) = before.results.get(key)
                && !now.blessed
                && !first(key, now)
                && now.view.success != then.view.success
            {
                differences.push(Difference::new(key.stage, false, now.view, then.view));
            }
        }
        differences.extend(self.other_solutions(before));
        differences
    }

    /// The solutions, but for the one that counts first, that were lost or found since.
    fn other_solutions(&self, before: &Standing<'_, '_>) -> Vec<Difference> {
        let lost = self.unsolved_others().filter_map(|now| {
            let then = before.of_compiler(&now.compiler).filter(|then| then.success)?;
            Some(Difference::new(Stage::Build, false, now, then))
        });
        let found = before.unsolved_others().filter_map(|then| {
            let now = self.of_compiler(&then.compiler).filter(|now| now.success)?;
            let found = Difference::new(Stage::Build, false, now, then);
            Some(Difference { build_hash: String::new(), ..found })
        });
        lost.chain(found).collect()
    }

    /// The missing solutions, each with another compiler, that do not count first.
    fn unsolved_others(&self) -> impl Iterator<Item = &View<'v>> {
        let first = self.first(Stage::Build);
        let unsolved = self.results.iter().filter(|(key, _)| key.stage == Stage::Solve);
        let views = unsolved.map(|(_, counted)| counted.view);
        views.filter(move |view| !first.is_some_and(|first| std::ptr::eq(first, *view)))
    }

    /// The worst result of the builds with a compiler.
    fn of_compiler(&self, compiler: &str) -> Option<&View<'v>> {
        let builds = self.results.iter().filter(|(key, _)| key.stage == Stage::Build);
        let views = builds.map(|(_, counted)| counted.view);
        views.filter(|view| view.compiler == compiler).min_by_key(|view| view.success)
    }

    /// The result that is compared for the package: the first one; where only the other standing has
    /// a first one and either lacks a solution, the worst.
    fn representative(&self, stage: Stage, other: &Standing<'_, '_>) -> Option<&View<'v>> {
        let first = self.first(stage);
        let unsolved =
            |view: Option<&View<'_>>| view.is_some_and(|view| view.outcome() == Outcome::Unsolved);
        if first.is_some() || !unsolved(other.first(stage)) {
            return first;
        }
        let of_stage = self.results.iter().filter(|(key, _)| key.stage == stage);
        of_stage.map(|(_, counted)| counted.view).min_by_key(|view| view.success)
    }
}

/// A result that is not as it was.
pub(crate) struct Difference {
    pub stage: Stage,
    pub blessed: bool,
    pub build_hash: String,
    pub compiler: String,
    pub from: bool,
    pub to: bool,
    pub category: Category,
}

impl Difference {
    fn new(stage: Stage, blessed: bool, now: &View<'_>, then: &View<'_>) -> Difference {
        Difference {
            stage,
            blessed,
            build_hash: now.build_hash.to_string(),
            compiler: now.compiler.to_string(),
            from: then.success,
            to: now.success,
            category: Category::from(&*now.category),
        }
    }
}
