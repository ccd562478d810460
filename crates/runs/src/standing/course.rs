//! Since when, and how often in a row, something has failed.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{Past, View};
use crate::history::Streak;
use crate::result::{RunKind, Stage};

/// The rows of failures that have not ended: of each build, and of a package's blessed builds together.
pub(crate) struct Courses<'p>(BTreeMap<(Stage, Option<Cow<'p, str>>), Row<'p>>);

/// A row of failures.
#[derive(Clone)]
pub(crate) struct Row<'p> {
    /// When the first one was.
    pub since: Cow<'p, str>,
    /// In which run.
    pub since_run: Cow<'p, str>,
    /// How many runs it has.
    pub times: u64,
}

impl<'p> Courses<'p> {
    pub(super) fn of(past: &'p Past<'_>) -> Courses<'p> {
        let mut courses = Courses(BTreeMap::new());
        for streak in past.checkpoint.iter().flat_map(|checkpoint| &checkpoint.streaks) {
            let row = Row {
                since: streak.since.as_str().into(),
                since_run: streak.since_run.as_str().into(),
                times: streak.times,
            };
            courses.0.insert((streak.stage, streak.build_hash.as_deref().map(Cow::from)), row);
        }
        for run in past.runs().filter(|run| run.kind() != RunKind::Compare) {
            let last = run.last();
            let counted = last.iter().filter(|(_, view)| !view.folded);
            let mut first: BTreeMap<Stage, &'p View<'_>> = BTreeMap::new();
            for (key, view) in counted {
                match key.stage {
                    // Without a solution there is no blessed build; one with another compiler replaces it.
                    Stage::Solve if !view.success => {
                        first.insert(Stage::Build, view);
                    }
                    Stage::Solve => continue,
                    stage if view.blessed => {
                        first.insert(stage, view);
                    }
                    _ => {}
                }
                courses.push((key.stage, Some(Cow::from(key.build))), view);
            }
            for (stage, view) in first {
                courses.push((stage, None), view);
            }
        }
        courses
    }

    fn push(&mut self, key: (Stage, Option<Cow<'p, str>>), view: &'p View<'_>) {
        if view.success {
            self.0.remove(&key);
            return;
        }
        let first = Row { since: (&*view.ts).into(), since_run: (&*view.run).into(), times: 0 };
        self.0.entry(key).or_insert(first).times += 1;
    }

    /// The row that a failing result ends: of the package's blessed builds where it is blessed, else of
    /// its own build.
    pub fn row(&self, stage: Stage, build: &str, blessed: bool) -> Option<&Row<'p>> {
        let key = (stage, (!blessed).then(|| Cow::from(build.to_owned())));
        self.0.get(&key)
    }

    pub(super) fn streaks(&self) -> Vec<Streak> {
        let streak = |((stage, build), row): (&(Stage, Option<Cow<'_, str>>), &Row<'_>)| Streak {
            stage: *stage,
            build_hash: build.as_ref().map(ToString::to_string),
            since: row.since.to_string(),
            since_run: row.since_run.to_string(),
            times: row.times,
        };
        self.0.iter().map(streak).collect()
    }
}
