//! The outcome of a run: every number is derived from its results, and parts sum to their whole.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Ending, Run, SCHEMA_VERSION};
use crate::Category;
use crate::error::{Error, Result};
use crate::name::RunId;
use crate::result::{BuildRef, Entry, Origin, Outcome, RunKind, Stage, StageResult};
use crate::time::{format_time, parse_time, seconds_between};

/// A run that has ended in order: the content of `summary.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", from = "AnySummary")]
pub struct Summary {
    /// The version of this form.
    pub schema_version: u32,
    /// The run.
    pub run_id: RunId,
    /// Its kind.
    pub kind: RunKind,
    /// When it started: RFC 3339, UTC.
    pub start: String,
    /// When it ended: RFC 3339, UTC.
    pub end: String,
    /// Whether it was told to stop before it had done all it set out to do.
    pub interrupted: bool,
    /// Packages.
    pub packages: Packages,
    /// Builds.
    pub builds: Builds,
    /// Results of each stage, the last attempt of each.
    pub stages: BTreeMap<Stage, Stages>,
    /// How many results were recorded, attempts before the last included.
    pub results: u64,
    /// The failures and their reasons; packages that were blocked are only counted.
    pub failures: Vec<Failure>,
}

/// Numbers of packages. Each is one of worked, failed, blocked, unsolved and unreached, by its blessed
/// build, or the worst of its builds where none is blessed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
#[cfg_attr(feature = "schema", schemars(rename = "PackageCounts"))]
pub struct Packages {
    /// All that were asked for or have a result.
    pub total: u64,
    /// Those that were asked for.
    pub requested: u64,
    /// Those that work.
    pub worked: u64,
    /// Those that fail themselves.
    pub failed: u64,
    /// Those that were not tried because something they need failed.
    pub blocked: u64,
    /// Those for which no versions fit together.
    pub unsolved: u64,
    /// Those that were asked for and have no result.
    pub unreached: u64,
}

impl Packages {
    /// How many packages ended how: the parts of `total`.
    pub fn by_state(&self) -> [(Option<Outcome>, u64); 5] {
        [
            (Some(Outcome::Worked), self.worked),
            (Some(Outcome::Failed), self.failed),
            (Some(Outcome::Blocked), self.blocked),
            (Some(Outcome::Unsolved), self.unsolved),
            (None, self.unreached),
        ]
    }
}

/// Numbers of builds: of packages' versions in a universe with a compiler. By what came of them, and by where
/// that comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
#[cfg_attr(feature = "schema", schemars(rename = "BuildCounts"))]
pub struct Builds {
    /// All of them.
    pub total: u64,
    /// Those that work.
    pub worked: u64,
    /// Those that fail themselves.
    pub failed: u64,
    /// Those that were not tried because something they need failed.
    pub blocked: u64,
    /// Built in this run.
    pub built: u64,
    /// There already.
    pub cached: u64,
    /// From a store or a service.
    pub restored: u64,
    /// Not tried.
    pub skipped: u64,
}

/// Numbers of results of one stage.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
#[cfg_attr(feature = "schema", schemars(rename = "StageCounts"))]
pub struct Stages {
    /// All of them.
    pub total: u64,
    /// Those that worked.
    pub worked: u64,
    /// Those that failed, unsolved ones included.
    pub failed: u64,
    /// Those that were blocked.
    pub blocked: u64,
    /// All, by category.
    pub by_category: BTreeMap<Category, u64>,
}

/// One stage of one package that failed itself in a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// The package and its build.
    #[serde(flatten)]
    pub build: BuildRef,
    /// The stage.
    #[serde(default = "build_stage")]
    pub stage: Stage,
    /// The kind of failure.
    pub category: Category,
    /// The line of the log that says what went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How many packages of the run it, perhaps with others, blocks.
    #[serde(default)]
    pub blocked_packages: u64,
}

fn build_stage() -> Stage {
    Stage::Build
}

impl Summary {
    /// Whether every package works, and no test or documentation failed.
    pub fn is_good(&self) -> bool {
        let failed = self.stages.values().any(|stage| stage.failed > 0);
        self.packages.worked == self.packages.total && !failed
    }

    /// How long the run took, in seconds; 0 when its clock was set back.
    pub fn seconds(&self) -> u64 {
        match (parse_time(&self.start), parse_time(&self.end)) {
            (Some(start), Some(end)) => seconds_between(start, end),
            _ => 0,
        }
    }

    /// Derives the summary of a run from its results.
    pub(super) fn derive(run: &Run, ending: Ending, entries: &[Entry]) -> Summary {
        let last: Vec<&StageResult> =
            last_attempts(entries).into_iter().map(|entry| &entry.result).collect();
        let mut summary = Summary {
            schema_version: SCHEMA_VERSION,
            run_id: run.id.clone(),
            kind: run.plan.kind,
            start: format_time(run.start),
            end: format_time(run.clock.now()),
            interrupted: ending == Ending::Interrupted,
            packages: packages(run, &last),
            builds: Builds::default(),
            stages: BTreeMap::new(),
            results: entries.len() as u64,
            failures: failures(&last),
        };
        for result in &last {
            summary.stages.entry(result.stage).or_default().add(result);
            if result.stage == Stage::Build {
                summary.builds.add(result);
            }
        }
        summary
    }

    /// Checks that parts sum to their whole.
    pub(super) fn check(&self) -> Result<()> {
        let (packages, builds) = (&self.packages, &self.builds);
        let by_outcome = [
            packages.worked,
            packages.failed,
            packages.blocked,
            packages.unsolved,
            packages.unreached,
        ];
        let mut sums = vec![
            ("packages", packages.total, by_outcome.iter().sum()),
            ("builds", builds.total, builds.worked + builds.failed + builds.blocked),
            (
                "builds by origin",
                builds.total,
                builds.built + builds.cached + builds.restored + builds.skipped,
            ),
            ("builds", builds.total, self.stages.get(&Stage::Build).map_or(0, |stage| stage.total)),
        ];
        for (stage, numbers) in &self.stages {
            let parts = numbers.worked + numbers.failed + numbers.blocked;
            sums.push((stage.name(), numbers.total, parts));
            sums.push((stage.name(), numbers.total, numbers.by_category.values().sum()));
        }
        let failed: u64 = self.stages.values().map(|stage| stage.failed).sum();
        sums.push(("failures", self.failures.len() as u64, failed));
        for (what, whole, parts) in sums {
            if whole != parts {
                let reason = format!("{what} are {whole}, their parts {parts}");
                return Err(Error::Sums { run: self.run_id.clone(), reason });
            }
        }
        Ok(())
    }
}

/// Of several attempts at a stage of a build, the last; by package, stage and build. Where there is no build, because
/// there is no solution, the compilers are told apart.
pub fn last_attempts(entries: &[Entry]) -> Vec<&Entry> {
    let mut last = BTreeMap::new();
    for entry in entries {
        let result = &entry.result;
        let compiler = result.compiler.as_ref().filter(|_| result.build_hash.is_none());
        last.insert((&result.package, result.stage, &result.build_hash, compiler), entry);
    }
    last.into_values().collect()
}

fn packages(run: &Run, last: &[&StageResult]) -> Packages {
    let targets: BTreeSet<_> = run.plan.targets.iter().collect();
    let mut packages = Packages { requested: targets.len() as u64, ..Packages::default() };
    let mut with_result = BTreeSet::new();
    for results in last.chunk_by(|a, b| a.package == b.package) {
        let built = |result: &&&StageResult| matches!(result.stage, Stage::Solve | Stage::Build);
        let any_built = results.iter().any(|result| built(&result));
        let solved = |result: &StageResult| result.stage == Stage::Solve && result.is_success();
        let counted =
            results.iter().filter(|result| (built(result) || !any_built) && !solved(result));
        let Some(verdict) = Outcome::verdict(counted.map(|r| (r.blessed, r.outcome()))) else {
            continue;
        };
        with_result.extend(results.first().map(|result| &result.package));
        packages.total += 1;
        match verdict {
            Outcome::Worked => packages.worked += 1,
            Outcome::Failed => packages.failed += 1,
            Outcome::Blocked => packages.blocked += 1,
            Outcome::Unsolved => packages.unsolved += 1,
        }
    }
    packages.unreached = targets.difference(&with_result).count() as u64;
    packages.total += packages.unreached;
    packages
}

fn failures(last: &[&StageResult]) -> Vec<Failure> {
    let mut blocked: BTreeMap<&BuildRef, BTreeSet<_>> = BTreeMap::new();
    for result in last {
        for root in &result.root_failures {
            blocked.entry(root).or_default().insert(&result.package);
        }
    }
    let own = last
        .iter()
        .filter(|result| matches!(result.outcome(), Outcome::Failed | Outcome::Unsolved));
    own.map(|result| Failure {
        build: result.build(),
        stage: result.stage,
        category: result.category.clone(),
        error: result.error.clone(),
        blocked_packages: blocked.get(&result.build()).map_or(0, |packages| packages.len() as u64),
    })
    .collect()
}

impl Builds {
    fn add(&mut self, result: &StageResult) {
        self.total += 1;
        match result.outcome() {
            Outcome::Worked => self.worked += 1,
            Outcome::Failed | Outcome::Unsolved => self.failed += 1,
            Outcome::Blocked => self.blocked += 1,
        }
        match result.origin {
            Origin::Built => self.built += 1,
            Origin::Cached => self.cached += 1,
            Origin::Restored => self.restored += 1,
            Origin::Skipped => self.skipped += 1,
        }
    }
}

impl Stages {
    fn add(&mut self, result: &StageResult) {
        self.total += 1;
        match result.outcome() {
            Outcome::Worked => self.worked += 1,
            Outcome::Failed | Outcome::Unsolved => self.failed += 1,
            Outcome::Blocked => self.blocked += 1,
        }
        *self.by_category.entry(result.category.clone()).or_default() += 1;
    }
}

/// A summary as it stands in a file: of the first version, all numbers are of packages.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnySummary {
    #[serde(default = "super::first_version")]
    schema_version: u32,
    run_id: RunId,
    #[serde(default = "full")]
    kind: RunKind,
    start: String,
    end: String,
    #[serde(default)]
    interrupted: bool,
    #[serde(default)]
    packages: Packages,
    #[serde(default)]
    builds: Builds,
    #[serde(default)]
    stages: BTreeMap<Stage, Stages>,
    #[serde(default)]
    results: u64,
    #[serde(default)]
    failures: Vec<Failure>,
    #[serde(default)]
    requested: u64,
    #[serde(default)]
    solved: u64,
    #[serde(default)]
    built: u64,
    #[serde(default)]
    cached: u64,
    #[serde(default)]
    failed: u64,
    #[serde(default)]
    cascaded: u64,
}

fn full() -> RunKind {
    RunKind::Full
}

impl From<AnySummary> for Summary {
    fn from(any: AnySummary) -> Summary {
        let mut packages = any.packages;
        if any.schema_version < 2 {
            packages = Packages {
                total: 0,
                requested: any.requested,
                worked: any.built + any.cached,
                failed: any.failed,
                blocked: any.cascaded,
                unsolved: any.requested.saturating_sub(any.solved),
                unreached: 0,
            };
            packages.total =
                packages.worked + packages.failed + packages.blocked + packages.unsolved;
        }
        Summary {
            schema_version: any.schema_version,
            run_id: any.run_id,
            kind: any.kind,
            start: any.start,
            end: any.end,
            interrupted: any.interrupted,
            packages,
            builds: any.builds,
            stages: any.stages,
            results: any.results,
            failures: any.failures,
        }
    }
}
