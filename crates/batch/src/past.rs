//! The results of earlier runs: what need not be done again, and how long things take.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use larder_runs::{
    Category, DataDir, history,
    name::{HashName, PackageName, RunId},
    result::{Entry, Origin, RunKind, Stage, StageResult},
};

use crate::schedule::Expected;

/// The last results of packages. A history is read when it is first asked for: most packages of most runs are not.
#[derive(Debug)]
pub struct Past {
    packages: PathBuf,
    kind: RunKind,
    run: Option<RunId>,
    /// The last result of each stage of each build, oldest first, of the packages that were asked for.
    latest: Mutex<HashMap<PackageName, Arc<[Entry]>>>,
}

impl Past {
    /// What counts for a run of this kind. What a comparison tried counts for comparisons only: it says nothing of how
    /// a package stands. Nor does what `run` has recorded as there already, which is no past of its own.
    pub fn new(data: &DataDir, kind: RunKind, run: Option<&RunId>) -> Past {
        Past { packages: data.packages(), kind, run: run.cloned(), latest: Mutex::default() }
    }

    /// The newest result of a stage of a package that depended on just the same, by one of these hashes: whoever does it
    /// again does it in vain. Weather, and what was not tried, is no such result.
    ///
    /// # Errors
    /// When its history is there and cannot be read. So for all of these.
    pub fn result(
        &self,
        package: &PackageName,
        stage: Stage,
        dep_hashes: &[HashName],
    ) -> larder_runs::Result<Option<Entry>> {
        let same = |entry: &&Entry| {
            let result = &entry.result;
            result.stage == stage
                && result.dep_hash.as_ref().is_some_and(|hash| dep_hashes.contains(hash))
                && result.origin != Origin::Skipped
        };
        let latest = self.of(package)?;
        let newest = latest.iter().rev().find(same);
        Ok(newest.filter(|newest| says_something(&newest.result)).cloned())
    }

    /// The dep hash of a package's documentation that was published last: of the blessed build, or of the one in this universe with this
    /// compiler.
    pub fn published(
        &self,
        package: &PackageName,
        own: Option<(&HashName, &PackageName)>,
    ) -> larder_runs::Result<Option<HashName>> {
        let same = |entry: &&Entry| {
            let result = &entry.result;
            let of = (result.universe.as_ref(), result.compiler.as_ref());
            let same_place = match own {
                None => result.blessed,
                Some((universe, compiler)) => {
                    !result.blessed && of == (Some(universe), Some(compiler))
                }
            };
            result.stage == Stage::Doc && result.is_success() && same_place
        };
        let latest = self.of(package)?;
        Ok(latest.iter().rev().find(same).and_then(|last| last.result.dep_hash.clone()))
    }

    /// The newest result of a stage of a package with a compiler.
    pub fn last(
        &self,
        package: &PackageName,
        stage: Stage,
        compiler: &PackageName,
    ) -> larder_runs::Result<Option<Entry>> {
        let of = |entry: &&Entry| {
            entry.result.stage == stage && entry.result.compiler.as_ref() == Some(compiler)
        };
        Ok(self.of(package)?.iter().rev().find(of).cloned())
    }

    fn of(&self, package: &PackageName) -> larder_runs::Result<Arc<[Entry]>> {
        let known = || self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(latest) = known().get(package) {
            return Ok(latest.clone());
        }
        let counts = |entry: &Entry| {
            let is_there = entry.result.origin == Origin::Cached && entry.result.is_success();
            let by_itself = is_there && self.run.as_ref() == Some(&entry.run);
            !by_itself && (self.kind == RunKind::Compare || entry.kind != RunKind::Compare)
        };
        let latest = history::read_latest_that(&self.packages, package, counts)?;
        // Whoever was first is believed, so that all see the same.
        Ok(known().entry(package.clone()).or_insert_with(|| latest.into()).clone())
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
