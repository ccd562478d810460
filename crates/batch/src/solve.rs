//! Which versions are built together: one solution per package version and compiler.
//!
//! A **solution** for a package version is one version of each package that it needs, directly or not: each satisfies
//! all requirements of the others, can be read, is for the compiler, and none needs itself, not even through others.
//!
//! Of all solutions the **newest** is taken, level by level: first the target's direct needs in the order of their
//! names, each the newest version with which there still is a solution; then what the versions chosen so far need
//! besides, in the order of their names, likewise; and so on. Newer is what [`larder_runs::version`] says. So what is chosen
//! depends on nothing but the target, the compiler and the versions of the set.
//!
//! Where there is no solution, PubGrub says why, in sentences.

mod cache;
pub(crate) mod explain;
mod key;
mod network;
mod provider;
mod search;
#[cfg(test)]
mod tests;

use std::{
    path::Path,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use larder_project::parallel;
use larder_runs::name::{HashName, PackageName};

use crate::{
    catalogue::{Catalogue, CompilerId, VersionId},
    hashes,
};
use cache::{Cache, Kept};
use key::Keys;
use network::{Network, Reason};

/// One consistent choice of versions for a package version and a compiler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Solution {
    /// The package version that it is for.
    pub target: VersionId,
    /// The compiler that it is for.
    pub compiler: CompilerId,
    /// The target and all that it needs, directly or not: sorted, one version of a package.
    pub chosen: Vec<VersionId>,
    /// The hash of the choice: of the names and versions, and of the compiler's name.
    pub hash: HashName,
}

/// What came of solving for a package version and a compiler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Solved {
    /// There is a solution.
    Found(Solution),
    /// There is none.
    NoSolution {
        /// The package version.
        target: VersionId,
        /// The compiler.
        compiler: CompilerId,
        /// Why there is none, for people: sentences, one a line.
        explanation: String,
    },
}

impl Solved {
    /// The package version and the compiler that it is for.
    pub fn of(&self) -> (VersionId, CompilerId) {
        match self {
            Self::Found(solution) => (solution.target, solution.compiler),
            Self::NoSolution { target, compiler, .. } => (*target, *compiler),
        }
    }
}

/// What came of solving for many, sorted by package version, then by compiler.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Solutions {
    solved: Vec<Solved>,
    /// How many of them were known from earlier runs.
    pub known: usize,
    /// How often PubGrub was asked for the others.
    pub asked: usize,
}

impl Solutions {
    /// Those that were found otherwise.
    pub(crate) fn of(mut found: Vec<Solution>) -> Self {
        found.sort_by_key(|solution| (solution.target, solution.compiler));
        let solved = found.into_iter().map(Solved::Found).collect();
        Self { solved, ..Self::default() }
    }

    /// All of them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Solved> {
        self.solved.iter()
    }

    /// All that were found.
    pub fn found(&self) -> impl Iterator<Item = &Solution> {
        self.solved.iter().filter_map(|solved| match solved {
            Solved::Found(solution) => Some(solution),
            Solved::NoSolution { .. } => None,
        })
    }

    /// What came of one; `None` where it was not asked for.
    pub fn get(&self, target: VersionId, compiler: CompilerId) -> Option<&Solved> {
        let found = self.solved.binary_search_by_key(&(target, compiler), Solved::of);
        found.ok().map(|index| &self.solved[index])
    }
}

/// How solutions are looked for.
#[derive(Clone, Copy)]
pub struct Solver<'s> {
    /// The directory where solutions of earlier runs are kept (`DATA/solutions`); none are kept, when absent.
    pub kept: Option<&'s Path>,
    /// Whether new ones are put there.
    pub remember: bool,
    /// How many threads work on it.
    pub threads: usize,
    /// Whether to give up. What is not solved by then is not in the solutions.
    pub stop: &'s (dyn Fn() -> bool + Sync),
}

/// What came of a target: the chosen versions, or why there are none.
type Came = Result<Vec<VersionId>, String>;

impl Solver<'_> {
    /// Solves for each of `targets` with each compiler that it is for. A target that cannot be read has no
    /// solution, with what is wrong as the explanation.
    pub fn solve(
        &self,
        catalogue: &Catalogue,
        targets: impl IntoIterator<Item = VersionId>,
    ) -> Solutions {
        let mut asked: Vec<(VersionId, CompilerId)> = Vec::new();
        for target in targets {
            let compilers = catalogue.compilers().map(|(compiler, _)| compiler);
            let compilers = compilers.filter(|compiler| catalogue.is_for(target, *compiler));
            asked.extend(compilers.map(|compiler| (target, compiler)));
        }
        asked.sort_unstable();
        asked.dedup();
        let cache = self.kept.map(Cache::read).unwrap_or_default();
        let find = |name: &String| catalogue.find(&name.parse::<PackageName>().ok()?);
        let ids: Vec<Option<VersionId>> = cache.names().iter().map(find).collect();
        let keys = Keys::new(catalogue);
        // Which takes a while, and is of no use where all is known.
        let network = OnceLock::new();
        let questions = AtomicUsize::new(0);
        let came = parallel::map(&asked, self.threads, |(target, compiler)| {
            let key = keys.key(*target, *compiler);
            if let Some(known) = known(&ids, cache.get(&key)) {
                return Some((key, known, true));
            }
            let network = network.get_or_init(|| Network::new(catalogue));
            self.solve_one(network, *target, *compiler, &questions).map(|came| (key, came, false))
        });
        let came: Vec<_> = asked.into_iter().zip(came).collect();
        let known = came.iter().flat_map(|(_, came)| came).filter(|(_, _, known)| *known).count();
        let solved = || came.iter().filter_map(|(_, came)| came.as_ref());
        if let Some(directory) = self.kept.filter(|_| self.remember)
            && solved().count() > known
        {
            let kept = solved().map(|(key, came, _)| (*key, names(catalogue, came)));
            cache.write(directory, kept);
        }
        let solved = came.into_iter().filter_map(|((target, compiler), came)| {
            let (_, came, _) = came?;
            Some(match came {
                Ok(chosen) => Solved::Found(solution(catalogue, target, compiler, chosen)),
                Err(explanation) => Solved::NoSolution { target, compiler, explanation },
            })
        });
        Solutions { solved: solved.collect(), known, asked: questions.into_inner() }
    }

    /// Solves for one; `None` where it was stopped.
    fn solve_one(
        &self,
        network: &Network<'_>,
        target: VersionId,
        compiler: CompilerId,
        questions: &AtomicUsize,
    ) -> Option<Came> {
        if (self.stop)() {
            return None;
        }
        let version = network.catalogue.get(target);
        match network.reason(target, compiler) {
            Some(Reason::Fault) => {
                let fault = version.fault.as_ref().map(|fault| fault.diagnostics.to_string());
                return Some(Err(fault.unwrap_or_default()));
            }
            Some(reason) => {
                let why = explain::reason(network, target, compiler, reason);
                return Some(Err(format!("{} {} {why}.", version.name, version.version)));
            }
            None => {}
        }
        let found = search::newest(network, target, compiler, self.stop).ok()?;
        questions.fetch_add(found.asked, Ordering::Relaxed);
        match found.came {
            Ok(chosen) => Some(Ok(chosen)),
            Err(unsolvable) => Some(Err(explain::explain(network, target, compiler, &unsolvable))),
        }
    }
}

/// What came of a target in an earlier run, where that is of use; `ids` are those of the names that it speaks of.
fn known(ids: &[Option<VersionId>], kept: Option<&Kept>) -> Option<Came> {
    match kept? {
        Kept::Explanation(explanation) => Some(Err(explanation.clone())),
        Kept::Chosen(places) => {
            let chosen = places.iter().map(|place| *ids.get(*place as usize)?);
            let mut chosen = chosen.collect::<Option<Vec<_>>>()?;
            chosen.sort_unstable();
            Some(Ok(chosen))
        }
    }
}

/// What came of a target, in words that mean the same in any catalogue.
fn names<'c>(catalogue: &'c Catalogue, came: &'c Came) -> Result<Vec<&'c str>, &'c str> {
    match came {
        Ok(chosen) => Ok(chosen.iter().map(|id| catalogue.get(*id).id.as_str()).collect()),
        Err(explanation) => Err(explanation),
    }
}

/// A choice of versions as a solution.
pub(crate) fn solution(
    catalogue: &Catalogue,
    target: VersionId,
    compiler: CompilerId,
    chosen: Vec<VersionId>,
) -> Solution {
    let name = |id: VersionId| catalogue.get(id).id.as_str();
    let hash = hashes::solution(
        name(target),
        catalogue.compiler(compiler).name.as_str(),
        chosen.iter().map(|id| name(*id)),
    );
    Solution { target, compiler, chosen, hash: hashes::name(&hash) }
}
