//! From the lines of one history to where the package stands.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Change, Count, Ending, Failing, Flaky, PackageStatus};
use crate::classify::{DEPENDENCY_FAILURE, SUCCESS};
use crate::history;
use crate::name::run_order;

/// How many results [`PackageStatus::recent`] shows.
const RECENT: usize = 20;

/// A [`history::Entry`] that borrows from its line: what the index needs of 200,000 of them at once.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct View<'a> {
    #[serde(borrow)]
    ts: Cow<'a, str>,
    #[serde(borrow)]
    run: Cow<'a, str>,
    #[serde(borrow, alias = "build_hash")]
    build_hash: Cow<'a, str>,
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(borrow)]
    category: Cow<'a, str>,
    #[serde(borrow, default)]
    compiler: Cow<'a, str>,
    #[serde(default)]
    blessed: bool,
    #[serde(default)]
    error: Option<Cow<'a, str>>,
    #[serde(default, alias = "failed_dep")]
    failed_dep: Option<Cow<'a, str>>,
    #[serde(default, alias = "failed_dep_hash", rename = "failedDepHash")]
    _failed_dep_hash: Option<Cow<'a, str>>,
}

impl View<'_> {
    fn is_success(&self) -> bool {
        self.status == SUCCESS
    }
}

/// The course of one build, or of a package's blessed builds, up to its last entry.
struct Course<'v> {
    last: &'v View<'v>,
    /// The first entry of the failures it ends with; meaningless while `times` is 0.
    failing_since: &'v View<'v>,
    /// How many failures it ends with.
    times: u64,
    transitions: u64,
    /// The last result that was not a dependency's.
    own: Option<bool>,
}

impl<'v> Course<'v> {
    fn start(view: &'v View<'v>) -> Course<'v> {
        let mut course =
            Course { last: view, failing_since: view, times: 0, transitions: 0, own: None };
        course.push(view);
        course
    }

    fn push(&mut self, view: &'v View<'v>) {
        let success = view.is_success();
        if success {
            self.times = 0;
        } else {
            if self.times == 0 {
                self.failing_since = view;
            }
            self.times += 1;
        }
        if view.category != DEPENDENCY_FAILURE {
            self.transitions += u64::from(self.own == Some(!success));
            self.own = Some(success);
        }
        self.last = view;
    }

    fn failing(&self, blessed: bool) -> Option<Failing> {
        let last = self.last;
        (self.times > 0).then(|| Failing {
            build_hash: last.build_hash.to_string(),
            blessed,
            category: last.category.to_string(),
            compiler: last.compiler.to_string(),
            error: last.error.as_deref().map(str::to_owned),
            failed_dep: last.failed_dep.as_deref().map(str::to_owned),
            since: self.failing_since.ts.to_string(),
            since_run: self.failing_since.run.to_string(),
            times: self.times,
        })
    }
}

/// Where a package stands after some of its entries.
#[derive(Default)]
struct Standing<'v> {
    blessed: Option<Course<'v>>,
    builds: BTreeMap<&'v str, Course<'v>>,
}

impl<'v> Standing<'v> {
    fn after(views: impl Iterator<Item = &'v View<'v>>) -> Standing<'v> {
        let mut standing = Standing::default();
        for view in views {
            if view.blessed {
                match &mut standing.blessed {
                    Some(course) => course.push(view),
                    None => standing.blessed = Some(Course::start(view)),
                }
            }
            standing
                .builds
                .entry(&view.build_hash)
                .and_modify(|c| c.push(view))
                .or_insert_with(|| Course::start(view));
        }
        standing
    }

    /// The builds that count and are not blessed.
    fn others(&self) -> impl Iterator<Item = &Course<'v>> {
        self.builds.values().filter(|course| !course.last.blessed)
    }

    /// What differs from an earlier standing of the same package.
    fn changes_from(&self, before: &Standing<'_>, package: &str) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut compare = |now: &View<'_>, then: &View<'_>, blessed| {
            if now.is_success() != then.is_success() {
                changes.push(Change {
                    package: package.to_owned(),
                    build_hash: now.build_hash.to_string(),
                    blessed,
                    from_status: then.status.to_string(),
                    to_status: now.status.to_string(),
                    category: now.category.to_string(),
                });
            }
        };
        if let (Some(now), Some(then)) = (&self.blessed, &before.blessed) {
            compare(now.last, then.last, true);
        }
        for now in self.others() {
            if let Some(then) = before.builds.get(&*now.last.build_hash) {
                compare(now.last, then.last, false);
            }
        }
        changes
    }
}

fn parse(content: &[u8]) -> (Vec<View<'_>>, u64) {
    let mut broken = 0;
    let views = history::lines(content).filter_map(|line| {
        let view = history::parse(line);
        broken += u64::from(view.is_none());
        view
    });
    (views.collect(), broken)
}

/// Where a package stands by the content of its history; empty when that has no readable entry.
pub(super) fn derive(package: &str, content: &[u8]) -> PackageStatus {
    let (views, broken_lines) = parse(content);
    let Some(runs) = Runs::of(&views) else {
        return PackageStatus::default();
    };
    let now = Standing::after(views.iter());
    let before = Standing::after(views.iter().filter(|view| view.run != runs.last));
    let mut failures: Vec<_> =
        now.blessed.iter().filter_map(|course| course.failing(true)).collect();
    failures.extend(now.others().filter_map(|course| course.failing(false)));
    PackageStatus {
        blessed: now.blessed.as_ref().map(|course| ending(course.last)),
        others: count(now.others()),
        failures,
        flaky: flaky(&now),
        recent: recent(&views),
        first_run: runs.first.to_owned(),
        previous_run: runs.previous.map(str::to_owned),
        last_run: runs.last.to_owned(),
        changes: now.changes_from(&before, package),
        broken_lines,
        file: None,
    }
}

/// What changed in a package after run `since`, by the content of its history.
pub(super) fn changes_since(package: &str, content: &[u8], since: &str) -> Vec<Change> {
    let (views, _) = parse(content);
    let before = Standing::after(views.iter().filter(|view| run_order(&view.run, since).is_le()));
    Standing::after(views.iter()).changes_from(&before, package)
}

/// The first and the last two runs of a history.
struct Runs<'v> {
    first: &'v str,
    previous: Option<&'v str>,
    last: &'v str,
}

impl<'v> Runs<'v> {
    fn of(views: &'v [View<'v>]) -> Option<Runs<'v>> {
        let run = &*views.first()?.run;
        let mut runs = Runs { first: run, previous: None, last: run };
        for view in views {
            let run = &*view.run;
            if run == runs.last {
            } else if run_order(run, runs.last).is_gt() {
                runs.previous = Some(std::mem::replace(&mut runs.last, run));
            } else {
                if runs.previous.is_none_or(|previous| run_order(run, previous).is_gt()) {
                    runs.previous = Some(run);
                }
                if run_order(run, runs.first).is_lt() {
                    runs.first = run;
                }
            }
        }
        Some(runs)
    }
}

fn ending(view: &View<'_>) -> Ending {
    Ending(view.status.to_string(), view.category.to_string())
}

fn count<'c, 'v: 'c>(courses: impl Iterator<Item = &'c Course<'v>>) -> Vec<Count> {
    let mut counts = BTreeMap::new();
    for course in courses {
        *counts.entry((&*course.last.status, &*course.last.category)).or_insert(0) += 1;
    }
    let counts = counts.into_iter();
    counts.map(|((status, category), count)| Count(status.into(), category.into(), count)).collect()
}

fn flaky(standing: &Standing<'_>) -> Vec<Flaky> {
    let flaky = standing.builds.values().filter(|course| course.transitions >= 2);
    flaky
        .map(|c| Flaky { build_hash: c.last.build_hash.to_string(), transitions: c.transitions })
        .collect()
}

fn recent(views: &[View<'_>]) -> String {
    let any_blessed = views.iter().any(|view| view.blessed);
    let shown = views.iter().rev().filter(|view| view.blessed || !any_blessed).take(RECENT);
    let mut results: Vec<char> =
        shown.map(|view| if view.is_success() { '+' } else { '-' }).collect();
    results.reverse();
    results.into_iter().collect()
}
