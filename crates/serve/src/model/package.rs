//! A package version: how it stands, and how it came to that.

use std::collections::{BTreeMap, HashSet};

use larder_runs::{
    history,
    name::{HashName, PackageName, RunId},
    result::{Entry, Origin, RunKind, Stage, Status},
    status_index::{Failing, PackageStatus},
    version,
};
use schemars::JsonSchema;
use serde::Serialize;

use super::{NoPage, Result, changed::Changed, deciding};
use crate::site::{Person, RunFacts, View};

/// How many results a timeline has, the newest.
const TIMELINE: usize = 200;

/// A result counts as slower when it took so much longer than those before, in hundredths.
const SLOWER: u64 = 150;

/// What takes less is not looked at, in milliseconds: small times vary.
const NOTABLE: u64 = 1_000;

/// A package version.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Package {
    /// `<name>.<version>`.
    pub package: PackageName,
    /// How it stands; `None` where its history has no results.
    pub status: Option<PackageStatus>,
    /// All versions of its name in the set, itself included: newest first.
    pub versions: Vec<String>,
    /// Those who maintain it.
    pub maintainers: Vec<String>,
    /// The last result of each stage of each build, newest first.
    pub builds: Vec<Entry>,
    /// Its results, newest first: at most 200.
    pub timeline: Vec<Entry>,
    /// How many results its history has.
    pub results: usize,
    /// What its blessed build needs directly.
    pub needs: Vec<Neighbour>,
    /// What needs that directly.
    pub users: Vec<Neighbour>,
    /// How its failures began.
    pub first_failures: Vec<FirstFailure>,
    /// How many packages it alone blocks.
    pub unblocks_packages: u64,
    /// Stages that take much longer than they did.
    pub slower: Vec<Slower>,
    /// The path of its documentation, where some is published.
    pub documentation: Option<String>,
    /// Lines of its history that could not be read.
    pub broken_lines: u64,
}

/// A package beside another.
#[derive(Debug, Clone, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Neighbour {
    /// Its name and version.
    pub package: String,
    /// How it stands.
    pub state: Option<larder_runs::result::Outcome>,
}

/// The run in which a failure began, and what was other than in the run before.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FirstFailure {
    /// The stage.
    pub stage: Stage,
    /// The compiler's package; empty when unknown.
    pub compiler: String,
    /// The run in which it failed first.
    pub run: String,
    /// The last run in which it worked.
    pub worked_in: Option<String>,
    /// Whether the build is another than the one that worked: what it is made from has changed.
    pub other_build: Option<bool>,
    /// Whether its dependencies are others than those that it worked with.
    pub other_universe: Option<bool>,
    /// What is other in another build; `None` where run data cannot say.
    pub changed: Option<Changed>,
    /// The revisions of the set: of the run in which it worked, and of the one in which it failed.
    pub revisions: Option<[String; 2]>,
    /// Compilers that only one of the runs had.
    pub other_compilers: Vec<String>,
}

/// A stage that takes much longer than it did.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Slower {
    /// The stage.
    pub stage: Stage,
    /// The compiler's package; empty when unknown.
    pub compiler: String,
    /// The run.
    pub run: String,
    /// How long it took, in milliseconds.
    pub wall_ms: u64,
    /// The median of those before, in milliseconds.
    pub median_ms: u64,
}

impl Package {
    /// A package version of which there is a history.
    ///
    /// # Errors
    /// [`NoPage::Missing`] where there is none.
    pub fn of(view: &View<'_>, package: &PackageName) -> Result<Self> {
        let status = view.snapshot.status.packages.get(package.as_str());
        let packages = view.ecosystem.data.packages();
        if status.is_none() && !history::exists(&packages, package)? {
            let name = package.name();
            let others = versions(view, name);
            let help = match &others[..] {
                [] => String::new(),
                others => format!("; there is {}", others.join(", ")),
            };
            return Err(NoPage::Missing(format!("no run had {package}{help}")));
        }
        let history = history::read(&packages, package)?;
        let results = history.entries.len();
        let broken_lines = history.broken;
        let mut entries = history.entries;
        let slower = slower(&entries);
        let first_failures = first_failures(view, status, &entries);
        entries.reverse();
        let neighbours =
            |names: &[String]| names.iter().map(|name| neighbour(view, name)).collect();
        let needs = &view.snapshot.needs;
        Ok(Self {
            status: status.cloned(),
            versions: versions(view, package.name()),
            maintainers: people(&view.ecosystem.people.of(package.as_str())),
            builds: latest(&entries),
            timeline: entries.into_iter().take(TIMELINE).collect(),
            results,
            needs: neighbours(needs.of(package.as_str())),
            users: neighbours(needs.users_of(package.as_str())),
            first_failures,
            unblocks_packages: view.snapshot.unblocks(package.as_str()),
            slower,
            documentation: view.documentation(package),
            broken_lines: broken_lines as u64,
            package: package.clone(),
        })
    }
}

/// The names of people in addresses of pages.
fn people(people: &[Person]) -> Vec<String> {
    people.iter().map(|person| person.slug.clone()).collect()
}

fn neighbour(view: &View<'_>, name: &str) -> Neighbour {
    let status = view.snapshot.status.packages.get(name);
    Neighbour { package: name.to_owned(), state: status.and_then(|status| status.state) }
}

/// The versions of a package in the set, newest first.
fn versions(view: &View<'_>, name: &str) -> Vec<String> {
    let first = format!("{name}.");
    let from = view.snapshot.status.packages.range(first.clone()..);
    let own = from.map(|(package, _)| package).take_while(|package| package.starts_with(&first));
    let is_version = |package: &&String| {
        package.parse::<PackageName>().is_ok_and(|package| package.name() == name)
    };
    let mut versions: Vec<String> = own.filter(is_version).cloned().collect();
    versions.sort_by(|one, other| version::compare_packages(other, one));
    versions
}

/// Of entries from the newest to the oldest, the last of each stage of each build.
fn latest(entries: &[Entry]) -> Vec<Entry> {
    let mut seen: HashSet<(Stage, Option<&HashName>)> = HashSet::new();
    let mut latest = Vec::new();
    for entry in entries {
        if seen.insert((entry.result.stage, entry.result.build_hash.as_ref())) {
            latest.push(entry.clone());
        }
    }
    latest
}

/// How the failures of a package began.
fn first_failures(
    view: &View<'_>,
    status: Option<&PackageStatus>,
    entries: &[Entry],
) -> Vec<FirstFailure> {
    let own = status.into_iter().flat_map(|status| &status.failures);
    let own = own.filter(|failing| !failing.is_blocked());
    own.map(|failing| first_failure(view, failing, entries)).collect()
}

fn first_failure(view: &View<'_>, failing: &Failing, entries: &[Entry]) -> FirstFailure {
    let course = course(failing, entries);
    // A blessed build goes on from those before it, and the status knows since when. Of others it knows a build by its name, which each
    // edit changes.
    let since = course.iter().position(|entry| entry.run.as_str() == failing.since_run);
    let streak = course.iter().rposition(|entry| entry.result.is_success()).map_or(0, |at| at + 1);
    let start = if failing.blessed { since.unwrap_or(streak) } else { streak };
    let first = course.get(start).copied();
    let worked = course[..start.min(course.len())].iter().rfind(|it| it.result.is_success());
    let worked = worked.copied();
    let since_run = first.map_or(&*failing.since_run, |first| first.run.as_str());
    let both = first.zip(worked);
    let run = |id: &str| -> Option<&RunFacts> {
        view.snapshot.runs.iter().find(|run| run.run_id.as_str() == id).map(|run| &**run)
    };
    let runs = worked.and_then(|worked| run(worked.run.as_str())).zip(run(since_run));
    let revisions =
        runs.and_then(|(then, now)| Some([then.set_revision.clone()?, now.set_revision.clone()?]));
    let other_compilers = runs.map_or(Vec::new(), |(then, now)| {
        let only = |a: &RunFacts, b: &RunFacts| -> Vec<String> {
            let only = a.compilers.iter().filter(|it| !b.compilers.contains(it));
            only.map(ToString::to_string).collect()
        };
        [only(then, now), only(now, then)].concat()
    });
    let other_build = both.map(|(now, then)| now.result.build_hash != then.result.build_hash);
    FirstFailure {
        stage: failing.stage,
        compiler: failing.compiler.clone(),
        run: since_run.to_owned(),
        worked_in: worked.map(|entry| entry.run.to_string()),
        other_build,
        other_universe: both.map(|(a, b)| a.result.universe != b.result.universe),
        changed: both.and_then(|(now, then)| changed(view, then, now)),
        revisions,
        other_compilers,
    }
}

/// How a stage of a package came out with a compiler, run by run from the oldest: of several builds in a run, the blessed one where that is
/// what fails, else the one that decides.
fn course<'e>(failing: &Failing, entries: &'e [Entry]) -> Vec<&'e Entry> {
    let of_stage = entries.iter().filter(|entry| {
        entry.result.stage == failing.stage
            && entry.kind != RunKind::Compare
            && entry.result.compiler.as_ref().map_or("", |it| it.as_str()) == failing.compiler
    });
    let mut runs: BTreeMap<&RunId, BTreeMap<Option<&HashName>, &'e Entry>> = BTreeMap::new();
    for entry in of_stage {
        let builds = runs.entry(&entry.run).or_default();
        // The last attempt counts.
        builds.insert(entry.result.build_hash.as_ref(), entry);
    }
    let decides = |builds: BTreeMap<_, &'e Entry>| {
        let blessed = builds.values().find(|it| failing.blessed && it.result.blessed).copied();
        blessed.or_else(|| deciding(builds.into_values()))
    };
    runs.into_values().filter_map(decides).collect()
}

/// What a build that fails is made from, beside one that worked; `None` where it is the same build, or run data have it no
/// more.
fn changed(view: &View<'_>, then: &Entry, now: &Entry) -> Option<Changed> {
    let hashes = [then, now].map(|entry| entry.result.build_hash.as_ref());
    let [Some(was), Some(is)] = hashes else { return None };
    if was == is {
        return None;
    }
    let graph = |entry: &Entry| view.snapshot.graph(&view.ecosystem.data, &entry.run);
    let (before, after) = (graph(then)?, graph(now)?);
    Changed::between((&before, was), (&after, is))
}

/// The stages whose last result took much longer than those before, of entries from the oldest to the newest.
fn slower(entries: &[Entry]) -> Vec<Slower> {
    let mut times: BTreeMap<(Stage, &str), Vec<(&Entry, u64)>> = BTreeMap::new();
    for entry in entries {
        let result = &entry.result;
        if let (Origin::Built, Status::Success, Some(wall)) =
            (result.origin, result.status, result.wall_ms)
        {
            let compiler = result.compiler.as_ref().map_or("", |it| it.as_str());
            times.entry((result.stage, compiler)).or_default().push((entry, wall));
        }
    }
    let slower = times.into_iter().filter_map(|((stage, compiler), times)| {
        let (&(last, wall_ms), before) = times.split_last()?;
        let mut before: Vec<u64> = before.iter().map(|(_, wall)| *wall).collect();
        before.sort_unstable();
        let median_ms = *before.get(before.len() / 2)?;
        let is_slower = wall_ms >= NOTABLE && wall_ms * 100 >= median_ms * SLOWER;
        let (compiler, run) = (compiler.to_owned(), last.run.to_string());
        is_slower.then_some(Slower { stage, compiler, run, wall_ms, median_ms })
    });
    slower.collect()
}
