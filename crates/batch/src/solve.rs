//! Which versions are built together: one solution per package version and compiler.

use larder_runs::name::HashName;

use crate::catalogue::{CompilerId, VersionId};

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
}

impl Solutions {
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
