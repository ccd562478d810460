//! The outcome of a bisection: plain data, as it is kept and shown.

use larder_runs::{
    Category,
    name::{HashName, PackageName, RunId},
    result::{Entry, Stage},
};
use serde::Serialize;

use super::{
    search::Shown,
    state::{Change, Ground},
};
use crate::solve::explain::first_line;

/// The version of `bisect.json`.
pub const SCHEMA_VERSION: u32 = 1;

/// The file in a run's directory.
pub const FILE: &str = "bisect.json";

/// The outcome of a bisection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The run.
    pub run_id: RunId,
    /// The package as it was asked for.
    pub package: String,
    /// The points that were searched, oldest first.
    pub points: Vec<Point>,
    /// The failure of the bad end; none where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failing>,
    /// What was found.
    #[serde(flatten)]
    pub found: Found,
    /// All states that were looked at, in this order.
    pub attempts: Vec<Attempt>,
    /// How many of these were recorded before.
    pub recorded_attempts: u64,
    /// How many were tried now.
    pub new_attempts: u64,
    /// Commands that show it again.
    pub commands: Vec<String>,
}

/// A point of the row: a revision of the set with one of its compilers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Point {
    /// The commit; none of the set as it is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitInfo>,
    /// The compiler.
    pub compiler: PackageName,
}

/// A commit, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CommitInfo {
    /// Its name.
    pub commit: String,
    /// The first line of its message.
    pub subject: String,
    /// Who wrote it.
    pub author: String,
    /// When it was written, in RFC 3339.
    pub date: String,
}

/// What a bisection found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "found", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Found {
    /// It works before this change and fails with it.
    Change {
        /// The last point before it.
        after: usize,
        /// The first point with it.
        until: usize,
        /// The change. Several cannot be told apart: nothing between them can be tried. None where it is one that no
        /// versions fit together any more.
        changes: Vec<Change>,
        /// The changes between these points that it takes as well; alone, it breaks nothing.
        together_with: Vec<Change>,
        /// What is known of the state before it.
        good: Evidence,
        /// What is known of the state with it.
        bad: Evidence,
    },
    /// It does not fail at the bad end.
    Works,
    /// It fails at the good end already.
    BrokenBefore,
    /// It works and fails, though nothing has changed.
    Flaky {
        /// Where.
        at: String,
    },
    /// Nothing can be said.
    Unknown {
        /// Why.
        reason: String,
    },
}

/// The attempts of a state that say something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// How many worked.
    pub worked: u32,
    /// How many failed as the bad end does.
    pub failed: u32,
}

impl Evidence {
    /// How many there are.
    pub fn attempts(self) -> u32 {
        self.worked + self.failed
    }
}

/// A failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Failing {
    /// The package version.
    pub package: PackageName,
    /// The build; none where no versions fit together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build_hash: Option<HashName>,
    /// The stage.
    pub stage: Stage,
    /// The kind.
    pub category: Category,
    /// The line that says what went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The packages that it is because of, where it was not tried itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub roots: Vec<PackageName>,
    /// The run that has its log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<RunId>,
    /// Its log, in that run's directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
}

impl Failing {
    /// The failure that a result tells of.
    pub fn of(entry: &Entry) -> Failing {
        let result = &entry.result;
        Failing {
            package: result.package.clone(),
            build_hash: result.build_hash.clone(),
            stage: result.stage,
            category: result.category.clone(),
            error: result.error.clone(),
            roots: result.root_failures.iter().map(|root| root.package.clone()).collect(),
            run_id: Some(entry.run.clone()),
            log: result.log.as_ref().map(|log| log.path.clone()),
        }
    }

    /// The failure of a package that is not tried, because of others.
    pub fn blocked(package: PackageName, hash: HashName, roots: Vec<PackageName>) -> Failing {
        Failing {
            package,
            build_hash: Some(hash),
            stage: Stage::Build,
            category: Category::DependencyFailure,
            error: None,
            roots,
            run_id: None,
            log: None,
        }
    }

    /// The failure of a package for which no versions fit together.
    pub fn unsolved(package: PackageName, explanation: &str) -> Failing {
        Failing {
            package,
            build_hash: None,
            stage: Stage::Solve,
            category: Category::NoSolution,
            error: Some(first_line(explanation)),
            roots: Vec::new(),
            run_id: None,
            log: None,
        }
    }
}

/// What was seen of a state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// What was looked at, for people.
    pub label: String,
    /// The point, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub point: Option<usize>,
    /// The changes that it has, where it lies between two points.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    /// What it is of; none where there is nothing to build.
    #[serde(flatten)]
    pub ground: Option<Ground>,
    /// What it shows.
    pub shown: Sight,
    /// Its failure, if it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failing: Option<Failing>,
    /// Why nothing is known, where that is no failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether it was recorded before, and not tried now.
    pub recorded: bool,
}

impl Attempt {
    /// A state that cannot be tried.
    pub fn nothing(label: String, point: Option<usize>, reason: String) -> Attempt {
        Attempt {
            label,
            point,
            changes: Vec::new(),
            ground: None,
            shown: Sight::Nothing,
            failing: None,
            reason: Some(reason),
            recorded: false,
        }
    }

    /// Whether it fails, and in another way than the bad end.
    pub fn fails_otherwise(&self) -> bool {
        self.failing.is_some() && self.shown == Sight::Nothing
    }

    /// Whether something was built or tested for it now.
    pub fn is_new(&self) -> bool {
        self.ground.is_some() && !self.recorded
    }
}

/// What a state shows, as it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sight {
    /// It works.
    Works,
    /// It fails as the bad end does.
    Fails,
    /// Nothing: it cannot be tried, or fails in another way.
    Nothing,
}

impl From<Shown> for Sight {
    fn from(shown: Shown) -> Sight {
        match shown {
            Shown::Works => Sight::Works,
            Shown::Fails => Sight::Fails,
            Shown::Nothing => Sight::Nothing,
        }
    }
}
