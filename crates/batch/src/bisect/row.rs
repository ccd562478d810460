//! The row of points that is searched: revisions of the set, oldest first, and compilers.

use larder_project::{
    diagnostic::{Diagnostic, Diagnostics},
    git::{self, Commit},
};
use larder_runs::{
    DataDir, history,
    name::{Named, PackageName},
    result::{Entry, Outcome, RunKind, Stage},
    run_log,
};

use super::outcome::{CommitInfo, Point};
use crate::revision::Repository;

/// The ends of a search, as they were asked for.
#[derive(Debug, Clone, Default)]
pub struct Ends {
    /// The revision at which the package works.
    pub good: Option<String>,
    /// The revision at which it fails: the set as it is now, when absent.
    pub bad: Option<String>,
}

/// All results of a package, in all its versions or the one that is asked for, oldest first.
///
/// # Errors
/// When a history cannot be read.
pub fn results(data: &DataDir, package: &Named) -> larder_runs::Result<Vec<Entry>> {
    let known = history::packages(&data.packages())?;
    let asked = known.into_iter().filter(|known| package.is(known));
    let mut entries = Vec::new();
    for package in asked {
        entries.extend(history::read(&data.packages(), &package)?.entries);
    }
    // Times of one machine; where they are the same, the order of each history stays.
    entries.sort_by_key(|entry| entry.result.end);
    Ok(entries)
}

/// The newest failure of a package itself that says something, of what counts for its standing.
pub fn last_failure(entries: &[Entry]) -> Option<&Entry> {
    let mut newest = entries.iter().rev().filter(|entry| counts(entry));
    newest.find(|entry| entry.result.outcome() != Outcome::Worked)
}

/// Whether a result says something of the package as the set has it.
fn counts(entry: &Entry) -> bool {
    entry.kind != RunKind::Compare
        && entry.result.stage != Stage::Doc
        && !entry.result.category.is_weather()
}

/// The revision of the last good result with a compiler: the newest before the last failure.
///
/// # Errors
/// When there is none.
pub fn last_good(
    data: &DataDir,
    entries: &[Entry],
    package: &Named,
    compiler: &PackageName,
) -> Result<Commit, Diagnostics> {
    let of = |entry: &&Entry| entry.result.compiler.as_ref() == Some(compiler);
    let failure = entries
        .iter()
        .rev()
        .filter(of)
        .find(|entry| counts(entry) && entry.result.outcome() != Outcome::Worked);
    let stage = match failure.map(|entry| entry.result.stage) {
        Some(Stage::Test) => Stage::Test,
        _ => Stage::Build,
    };
    let until = failure.map(|entry| entry.result.end);
    let good = entries.iter().rev().filter(of).filter(|entry| {
        counts(entry)
            && entry.result.stage == stage
            && entry.result.is_success()
            && until.is_none_or(|until| entry.result.end <= until)
    });
    let revision = |entry: &Entry| {
        let run = run_log::read_run(&data.runs(), &entry.run).ok()??;
        let revision = run.info?.plan.set_revision?;
        // Behind the commit stands whether the set differed from it.
        revision.split('+').next()?.parse::<Commit>().ok()
    };
    let mut good = good.filter_map(revision);
    good.next().ok_or_else(|| {
        Diagnostic::new(format!(
            "no run has recorded a revision at which {package} works with {compiler}"
        ))
        .help(
            "say one with --good REV; `larder batch` records the revision of a set that is in Git",
        )
        .into()
    })
}

/// A point without a revision: the set as it is.
pub fn now(compiler: &PackageName) -> Point {
    Point { commit: None, compiler: compiler.clone() }
}

/// The point of one revision.
///
/// # Errors
/// When Git cannot tell of it.
pub fn at(
    repository: &Repository,
    commit: &Commit,
    compiler: &PackageName,
) -> Result<Point, Diagnostics> {
    let entry = repository.tree().entry(commit).map_err(failed)?;
    let gone = || Diagnostic::new(format!("there is no commit {commit}")).into();
    entry.map(|entry| point(entry, compiler)).ok_or_else(gone)
}

fn point(entry: git::Entry, compiler: &PackageName) -> Point {
    Point {
        commit: Some(CommitInfo {
            commit: entry.commit.to_string(),
            subject: entry.subject,
            author: entry.author,
            date: entry.date,
        }),
        compiler: compiler.clone(),
    }
}

fn failed(error: git::GitError) -> Diagnostics {
    Diagnostic::new(error.to_string()).failed().into()
}

/// The points from one revision to another with a compiler: the first of them, then each that changed something of the
/// set, then the last. Where `until` is absent, the last is the set as it is now.
///
/// # Errors
/// When one does not lead to the other, or Git cannot tell.
pub fn points(
    repository: &Repository,
    data: &DataDir,
    after: &Commit,
    until: Option<&Commit>,
    compiler: &PackageName,
) -> Result<Vec<Point>, Diagnostics> {
    let tree = repository.tree();
    let end = match until {
        Some(until) => until.clone(),
        None => repository.commit("HEAD")?,
    };
    if !tree.leads_to(after, &end) {
        let (after, end) = (after.short(), end.short());
        return Err(Diagnostic::new(format!(
            "the revision {after} is not in the history of {end}"
        ))
        .help("say with --good a revision from before the breakage, on the same branch")
        .into());
    }
    let first = at(repository, after, compiler)?;
    let between = tree.log(after, &end, repository.below()).map_err(failed)?;
    let between = between.into_iter().map(|entry| point(entry, compiler));
    let mut points: Vec<Point> = std::iter::once(first).chain(between).collect();
    let changed =
        until.is_none() && repository.current(data).is_none_or(|current| current != end.as_str());
    if changed || points.len() == 1 {
        points.push(match until {
            None => now(compiler),
            Some(_) => points[0].clone(),
        });
    }
    Ok(points)
}
