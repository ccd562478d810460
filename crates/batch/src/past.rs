//! The results of earlier runs: what need not be done again, and how long things take.

use std::{collections::HashMap, time::Duration};

use larder_runs::{
    Category, DataDir, history,
    name::{HashName, PackageName},
    result::{Entry, Origin, RunKind, Stage, StageResult},
};

use crate::schedule::Expected;

/// The last results of the packages of a run, before it began.
#[derive(Debug, Clone, Default)]
pub struct Past {
    /// The last result of each stage of each build, oldest first, by package.
    latest: HashMap<PackageName, Vec<Entry>>,
}

impl Past {
    /// Reads what counts in the histories of `packages` for a run of this kind. What a comparison tried counts for
    /// comparisons only: it says nothing of how a package stands.
    ///
    /// # Errors
    /// When one is there and cannot be read.
    pub fn read(
        data: &DataDir,
        packages: &[PackageName],
        kind: RunKind,
    ) -> larder_runs::Result<Past> {
        let counts = |entry: &Entry| kind == RunKind::Compare || entry.kind != RunKind::Compare;
        let latest = history::read_latest_of(&data.packages(), packages, counts)?;
        Ok(Past { latest: packages.iter().cloned().zip(latest).collect() })
    }

    /// The newest result of a stage of a package that depended on just the same, by one of these hashes: whoever does it
    /// again does it in vain. Weather, and what was not tried, is no such result.
    pub fn result(
        &self,
        package: &PackageName,
        stage: Stage,
        dep_hashes: &[HashName],
    ) -> Option<&Entry> {
        let same = |entry: &&Entry| {
            let result = &entry.result;
            result.stage == stage
                && result.dep_hash.as_ref().is_some_and(|hash| dep_hashes.contains(hash))
                && result.origin != Origin::Skipped
        };
        let newest = self.of(package).iter().rev().find(same)?;
        says_something(&newest.result).then_some(newest)
    }

    /// The dep hash of the documentation that was published last in the place of that which `like` is a result of: its package's, where
    /// that is blessed, else its universe's.
    pub fn published(&self, like: &StageResult) -> Option<&HashName> {
        let same = |entry: &&Entry| {
            let result = &entry.result;
            let place = |result: &StageResult| match result.blessed {
                true => None,
                false => Some((result.universe.clone(), result.compiler.clone())),
            };
            result.stage == Stage::Doc && result.is_success() && place(result) == place(like)
        };
        self.of(&like.package).iter().rev().find(same)?.result.dep_hash.as_ref()
    }

    /// The newest result of a stage of a package with a compiler.
    pub fn last(
        &self,
        package: &PackageName,
        stage: Stage,
        compiler: &PackageName,
    ) -> Option<&Entry> {
        let of = |entry: &&Entry| {
            entry.result.stage == stage && entry.result.compiler.as_ref() == Some(compiler)
        };
        self.of(package).iter().rev().find(of)
    }

    fn of(&self, package: &PackageName) -> &[Entry] {
        self.latest.get(package).map_or(&[], Vec::as_slice)
    }
}

/// Whether a result says something of the package, and will be the same tomorrow.
pub fn says_something(result: &StageResult) -> bool {
    let tried = result.origin != Origin::Skipped;
    tried && !result.category.is_weather() && result.category != Category::DependencyFailure
}

/// What a stage of a package took when it was last done, with whatever compiler; nothing where that is not known.
///
/// # Errors
/// When its history is there and cannot be read.
pub fn expected(
    data: &DataDir,
    package: &PackageName,
    stage: Stage,
) -> larder_runs::Result<Expected> {
    let history = history::read(&data.packages(), package)?;
    let done = |entry: &&Entry| entry.result.stage == stage && entry.result.origin == Origin::Built;
    let last = history.entries.iter().rev().filter(done).map(|entry| &entry.result);
    let of = |known: fn(&StageResult) -> Option<u64>| last.clone().find_map(known);
    Ok(Expected {
        time: Duration::from_millis(of(|result| result.wall_ms).unwrap_or_default()),
        memory: of(|result| result.peak_memory_bytes).unwrap_or_default(),
    })
}
