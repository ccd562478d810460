//! From one history to the package's part of the index.

use std::collections::{BTreeMap, BTreeSet};

use super::record::{Change, Count, Ending, Failing, PackageStatus, StageStatus};
use crate::Category;
use crate::result::{Outcome, Stage, Status};
use crate::standing::{self, Counted, Difference, Key, Past, Standing, View};

/// How many results [`PackageStatus::recent`] shows.
const RECENT: usize = 20;

/// Where a package stands by the content of its history; empty when that has no readable entry.
/// `unfinished` are the full runs that did not come to their end; the changes since a run come with it.
pub(super) fn derive(
    package: &str,
    content: &[u8],
    unfinished: &BTreeSet<String>,
    since: Option<&str>,
) -> PackageStatus {
    let past = Past::parse(content);
    let broken_lines = past.broken_lines;
    let (Some(first_run), Some(last_run)) = (past.first_run(), past.runs().next_back()) else {
        return PackageStatus { broken_lines, ..PackageStatus::default() };
    };
    let is_whole = |run: &str| !unfinished.contains(run);
    let (now, before) = past.standings(is_whole);
    let changes = before.map_or(Vec::new(), |before| now.differences(&before));
    let of_build = stage_status(&now, Stage::Build);
    PackageStatus {
        state: now.verdict(),
        blessed: of_build.blessed,
        others: of_build.others,
        test: stage_status(&now, Stage::Test),
        doc: stage_status(&now, Stage::Doc),
        failures: failures(&past, &now),
        flaky: standing::flaky(&past),
        recent: past.recent(RECENT),
        first_run: first_run.to_owned(),
        full_run: past.full_run().map(str::to_owned),
        previous_run: past.baseline(is_whole).map(str::to_owned),
        last_run: last_run.id().to_owned(),
        dropped_by: None,
        changes: changes.into_iter().map(|difference| change(package, difference)).collect(),
        broken_lines,
        file: None,
        since_asked: since.map(|since| changes_in(package, &past, since, unfinished)),
    }
}

/// The changes in a package after run `since`, by the content of its history.
pub(super) fn changes_since(
    package: &str,
    content: &[u8],
    since: &str,
    unfinished: &BTreeSet<String>,
) -> Vec<Change> {
    changes_in(package, &Past::parse(content), since, unfinished)
}

fn changes_in(
    package: &str,
    past: &Past<'_>,
    since: &str,
    unfinished: &BTreeSet<String>,
) -> Vec<Change> {
    let (now, before) = past.standings_since(since, |run| !unfinished.contains(run));
    now.differences(&before).into_iter().map(|difference| change(package, difference)).collect()
}

fn change(package: &str, difference: Difference) -> Change {
    let status = |success: bool| if success { Status::Success } else { Status::Failure };
    Change {
        package: package.to_owned(),
        stage: difference.stage,
        build_hash: difference.build_hash,
        compiler: difference.compiler,
        blessed: difference.blessed,
        from_status: status(difference.from),
        to_status: status(difference.to),
        category: difference.category,
    }
}

fn ending(view: &View<'_>) -> Ending {
    let status = if view.success { Status::Success } else { Status::Failure };
    Ending(status, Category::from(&*view.category))
}

/// The results of a stage: the one that counts first, and how many others ended how. Missing solutions are
/// among those of the stage build.
fn stage_status(standing: &Standing<'_, '_>, stage: Stage) -> StageStatus {
    let first = standing.first(stage);
    let of_stage =
        |key: &Key<'_>| key.stage == stage || (stage == Stage::Build && key.stage == Stage::Solve);
    let is_first =
        |counted: &Counted<'_, '_>| first.is_some_and(|first| std::ptr::eq(first, counted.view));
    let mut others: BTreeMap<Ending, u64> = BTreeMap::new();
    for (_, counted) in
        standing.results().filter(|(key, counted)| of_stage(key) && !is_first(counted))
    {
        *others.entry(ending(counted.view)).or_default() += 1;
    }
    let others = others.into_iter();
    StageStatus {
        blessed: first.map(ending),
        others: others.map(|(Ending(status, category), n)| Count(status, category, n)).collect(),
    }
}

/// The results that are failures now, the one that counts first before the others.
fn failures(past: &Past<'_>, standing: &Standing<'_, '_>) -> Vec<Failing> {
    let failing = || standing.results().filter(|(_, counted)| !counted.view.success);
    if failing().next().is_none() {
        return Vec::new();
    }
    let courses = past.courses();
    let mut failures: Vec<Failing> = failing()
        .map(|(key, counted)| {
            let view = counted.view;
            // Without a blessed build the missing solution stands in its place.
            let first = counted.blessed
                || (key.stage == Stage::Solve
                    && standing.first(Stage::Build).is_some_and(|first| std::ptr::eq(first, view)));
            let lane = if key.stage == Stage::Solve { Stage::Build } else { key.stage };
            let row = match first {
                true => courses.row(lane, key.build, true),
                false => courses.row(key.stage, key.build, false),
            };
            Failing {
                stage: key.stage,
                build_hash: view.build_hash.to_string(),
                blessed: first,
                category: Category::from(&*view.category),
                compiler: view.compiler.to_string(),
                error: view.error.as_deref().map(str::to_owned),
                failed_dep: view.failed_dependency().map(str::to_owned),
                roots: match view.outcome() {
                    Outcome::Blocked => view.roots().map(str::to_owned).collect(),
                    _ => Vec::new(),
                },
                since: row.map_or(&*view.ts, |row| &row.since).to_owned(),
                since_run: row.map_or(&*view.run, |row| &row.since_run).to_owned(),
                times: row.map_or(1, |row| row.times),
            }
        })
        .collect();
    failures.sort_by_key(|failing| !failing.blessed);
    failures
}
