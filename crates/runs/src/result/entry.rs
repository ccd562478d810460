//! A result as a line.

use serde::{Deserialize, Serialize};

use super::{Origin, RunKind, SCHEMA_VERSION, Stage, StageResult, first};
use crate::Category;
use crate::name::{PackageName, RunId};

/// A result as it stands in a package's history and in a run's results: one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// The version of the line's form: [`SCHEMA_VERSION`] for what is written.
    #[serde(default = "first")]
    pub schema_version: u32,
    /// The run.
    pub run: RunId,
    /// The kind of that run.
    #[serde(default = "full")]
    pub kind: RunKind,
    /// The result.
    #[serde(flatten)]
    pub result: StageResult,
}

impl Entry {
    /// The entry of a result in a run.
    pub fn new(run: RunId, kind: RunKind, result: StageResult) -> Entry {
        Entry { schema_version: SCHEMA_VERSION, run, kind, result }
    }

    /// Reads a line of the history of `package`, whose directory says that it is its own. `None` when it
    /// is no entry. Fills in what lines of the first version do not say.
    pub(crate) fn parse(line: &[u8], package: Option<&PackageName>) -> Option<Entry> {
        let mut entry: Entry = serde_json::from_str(std::str::from_utf8(line).ok()?).ok()?;
        let result = &mut entry.result;
        if let Some(package) = package {
            result.package = package.clone();
        }
        if entry.schema_version < 2 {
            result.stage = stage_of(&result.category);
            result.start = result.end;
            if result.category == Category::DependencyFailure {
                result.origin = Origin::Skipped;
            }
        }
        Some(entry)
    }
}

/// The stage that an entry of the first version is of, by its category.
pub(crate) fn stage_of(category: &Category) -> Stage {
    match category {
        Category::NoSolution => Stage::Solve,
        Category::DocCompileFailure | Category::DocLinkFailure => Stage::Doc,
        Category::TestFailure => Stage::Test,
        _ => Stage::Build,
    }
}

fn full() -> RunKind {
    RunKind::Full
}
