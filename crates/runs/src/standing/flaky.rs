//! Stages that work and fail by turns.

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};

use super::{Past, View};
use crate::Category;
use crate::result::{Outcome, RunKind, Stage};
use crate::status_index::Flaky;
use crate::time::{parse_time, seconds_between};

/// How many results back, and how many days before the newest, turns count.
const RESULTS: usize = 20;
const DAYS: u64 = 30;

/// The stages of a package that work and fail by turns with a compiler, within the last 20 results and the
/// last 30 days of its history.
///
/// Results that say nothing of the package do not count: a dependency's failure, the weather, a comparison. A
/// turn between two results of one build is a sign, since nothing had changed in between; turns between
/// builds may be a breakage and its repair, so it takes three of those.
pub(crate) fn flaky(past: &Past<'_>) -> Vec<Flaky> {
    let counted = || past.views.iter().filter(|view| counts(view));
    if counted().all(|view| view.success) || counted().all(|view| !view.success) {
        return Vec::new();
    }
    let mut lanes: BTreeMap<(Stage, &str), Vec<&View<'_>>> = BTreeMap::new();
    for run in past.runs().filter(|run| run.kind() != RunKind::Compare) {
        let mut of_run: BTreeMap<(Stage, &str), Vec<&View<'_>>> = BTreeMap::new();
        for view in run.entries().filter(|view| counts(view)) {
            of_run.entry((view.stage(), &view.compiler)).or_default().push(view);
        }
        for (lane, views) in of_run {
            lanes.entry(lane).or_default().extend(one_build(views));
        }
    }
    let newest = LazyCell::new(|| past.views.iter().filter_map(|view| parse_time(&view.ts)).max());
    lanes
        .into_iter()
        .filter_map(|((stage, compiler), views)| {
            let window = views.get(views.len().saturating_sub(RESULTS)..).unwrap_or_default();
            let turns = |window: &[&View<'_>]| {
                window
                    .windows(2)
                    .filter(|pair| matches!(pair, [a, b] if a.success != b.success))
                    .count()
            };
            // Times are parsed only where it matters.
            if turns(window) < 2 {
                return None;
            }
            let young = |view: &&&View<'_>| match (parse_time(&view.ts), *newest) {
                (Some(time), Some(newest)) => seconds_between(time, newest) <= DAYS * 24 * 60 * 60,
                _ => true,
            };
            let window: Vec<&View<'_>> = window.iter().filter(young).copied().collect();
            let transitions = turns(&window);
            let unchanged = window.windows(2).any(|pair| {
                matches!(pair, [a, b] if a.success != b.success && a.build_hash == b.build_hash)
            });
            let last = window.last()?;
            (transitions >= 3 || (transitions == 2 && unchanged)).then(|| Flaky {
                stage,
                compiler: compiler.to_owned(),
                build_hash: last.build_hash.to_string(),
                transitions: transitions as u64,
                results: window.len() as u64,
                failures: window.iter().filter(|view| !view.success).count() as u64,
            })
        })
        .collect()
}

fn counts(view: &View<'_>) -> bool {
    let weather = || Category::from(&*view.category).is_weather();
    view.kind != RunKind::Compare
        && view.stage() != Stage::Solve
        && (view.success || (view.outcome() != Outcome::Blocked && !weather()))
}

/// The results of the one build that stands for a compiler in a run: the blessed one, or the only one.
fn one_build<'p, 'v>(views: Vec<&'p View<'v>>) -> Vec<&'p View<'v>> {
    let blessed: Vec<_> = views.iter().filter(|view| view.blessed).copied().collect();
    if !blessed.is_empty() {
        return blessed;
    }
    let builds: BTreeSet<&str> = views.iter().map(|view| &*view.build_hash).collect();
    if builds.len() == 1 { views } else { Vec::new() }
}
