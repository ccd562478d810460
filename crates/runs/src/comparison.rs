//! The record of a comparison of two sides: `DATA/runs/ID/compare.json`.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::Category;
use crate::file;
use crate::name::{HashName, PackageName, RunId};
use crate::result::BuildRef;

/// The version of the file's form.
pub const SCHEMA_VERSION: u32 = 1;

/// The file's name in the run's directory.
pub const FILE: &str = "compare.json";

/// Which side it is, for people and programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum SideName {
    /// A compiler of the set.
    Compiler {
        /// Its name.
        name: PackageName,
    },
    /// A revision of the set.
    Revision {
        /// As it was asked for.
        name: String,
        /// The commit.
        commit: String,
    },
    /// The set as it is.
    Set,
    /// The set with checkouts in the place of packages.
    #[serde(rename_all = "camelCase")]
    WhatIf {
        /// Which and where.
        replaced: Vec<Replaced>,
    },
}

/// A package in whose place a checkout is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Replaced {
    /// The package version.
    pub package: PackageName,
    /// The checkout.
    pub path: PathBuf,
}

impl std::fmt::Display for SideName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SideName::Compiler { name } => write!(f, "{name}"),
            SideName::Revision { name, commit } => match commit.get(..12) {
                Some(short) if short != name => write!(f, "{name} ({short})"),
                _ => f.write_str(name),
            },
            SideName::Set => f.write_str("the set"),
            SideName::WhatIf { replaced } => {
                f.write_str("the set with ")?;
                for (number, Replaced { package, path }) in replaced.iter().enumerate() {
                    let and = if number == 0 { "" } else { " and " };
                    write!(f, "{and}{package} from {}", path.display())?;
                }
                Ok(())
            }
        }
    }
}

/// What a comparison found out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The run.
    pub run_id: RunId,
    /// What was.
    pub base: SideName,
    /// What is to be.
    pub candidate: SideName,
    /// How many of each verdict.
    pub counts: Counts,
    /// What both sides have: regressions first, then what is fixed, flaky, unknown, broken before, and the same.
    pub packages: Vec<Judged>,
    /// What only the candidate has.
    pub added: Vec<Subject>,
    /// What only the base has.
    pub removed: Vec<Subject>,
}

/// Numbers of package versions, with each compiler unless the sides are compilers. `total` is the sum of all but those that
/// only one side has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Those that both sides have.
    pub total: usize,
    /// Those that work no more.
    pub regressed: usize,
    /// Those that work now.
    pub fixed: usize,
    /// Those that work now and then.
    pub flaky: usize,
    /// Those of which nothing can be said.
    pub unknown: usize,
    /// Those that worked on neither side.
    pub broken_before: usize,
    /// Those that work on both sides, or are the same on both.
    pub same: usize,
    /// Those that only the candidate has.
    pub added: usize,
    /// Those that only the base has.
    pub removed: usize,
}

/// A package version on both sides, judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Judged {
    /// Which it is.
    #[serde(flatten)]
    pub subject: Subject,
    /// The verdict.
    pub verdict: Verdict,
    /// Before.
    pub base: Shown,
    /// After.
    pub candidate: Shown,
}

/// What a side has shown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    /// The build; none where there is no solution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_hash: Option<HashName>,
    /// The hash of all that the build depended on, where it was tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dep_hash: Option<HashName>,
    /// How many attempts worked, and how many failed.
    #[serde(flatten)]
    pub evidence: Evidence,
    /// The kind of the last failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<Category>,
    /// The line that says what went wrong in it, or why there is no solution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Its log, from the run's directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// The failures that kept it from being tried.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roots: Vec<BuildRef>,
}

/// What a verdict is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    /// The package version.
    pub package: PackageName,
    /// The compiler; none where the sides are compilers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compiler: Option<PackageName>,
}

/// The attempts of a side that say something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// How many worked.
    pub worked: u32,
    /// How many failed.
    pub failed: u32,
}

/// What a change does to a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It always worked before, and always fails now or has no solution.
    Regressed,
    /// It always failed before or had no solution, and always works now.
    Fixed,
    /// It works on both sides.
    Same,
    /// It works on neither side.
    BrokenBefore,
    /// It sometimes works and sometimes fails, on one side at least.
    Flaky,
    /// A side could not be tried.
    Unknown,
}

impl Verdict {
    /// Every verdict: the sooner, the more it matters.
    pub const ALL: [Verdict; 6] = [
        Verdict::Regressed,
        Verdict::Fixed,
        Verdict::Flaky,
        Verdict::Unknown,
        Verdict::BrokenBefore,
        Verdict::Same,
    ];

    /// How much it matters: the smaller, the more.
    pub fn rank(self) -> usize {
        Verdict::ALL.iter().position(|it| *it == self).unwrap_or(Verdict::ALL.len())
    }

    /// The word for it in files.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::BrokenBefore => "broken-before",
            verdict => verdict.words(),
        }
    }

    /// The verdict in words.
    pub fn words(self) -> &'static str {
        match self {
            Verdict::Regressed => "regressed",
            Verdict::Fixed => "fixed",
            Verdict::Same => "same",
            Verdict::BrokenBefore => "broken before",
            Verdict::Flaky => "flaky",
            Verdict::Unknown => "unknown",
        }
    }
}

impl Outcome {
    /// Puts what was found out together.
    pub fn new(
        run_id: RunId,
        [base, candidate]: [SideName; 2],
        mut packages: Vec<Judged>,
        added: Vec<Subject>,
        removed: Vec<Subject>,
    ) -> Self {
        packages.sort_by(|a, b| {
            let key = |it: &Judged| (it.verdict.rank(), it.subject.clone());
            key(a).cmp(&key(b))
        });
        let count = |verdict| packages.iter().filter(|it| it.verdict == verdict).count();
        let counts = Counts {
            total: packages.len(),
            regressed: count(Verdict::Regressed),
            fixed: count(Verdict::Fixed),
            flaky: count(Verdict::Flaky),
            unknown: count(Verdict::Unknown),
            broken_before: count(Verdict::BrokenBefore),
            same: count(Verdict::Same),
            added: added.len(),
            removed: removed.len(),
        };
        let schema_version = SCHEMA_VERSION;
        Self { schema_version, run_id, base, candidate, counts, packages, added, removed }
    }
}

/// Reads the record of a comparison in a run's directory. `None` where the run was none, or has not come to its end.
pub fn read(run_dir: &Path) -> Option<Outcome> {
    file::read_json(&run_dir.join(FILE))
        .filter(|outcome: &Outcome| outcome.schema_version == SCHEMA_VERSION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_has_the_name_that_files_have() {
        for verdict in Verdict::ALL {
            assert_eq!(serde_json::to_value(verdict).unwrap(), verdict.name());
        }
    }
}
