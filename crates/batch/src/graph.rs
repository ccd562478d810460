//! What is built: each package version in one universe with one compiler, once.

use std::ops::Range;

use larder_runs::name::HashName;

use crate::catalogue::{CompilerId, VersionId};

/// A build's position among all: a build comes after all that it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BuildId(pub u32);

impl BuildId {
    /// The position.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A package version in one universe with one compiler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// The package version.
    pub package: VersionId,
    /// The compiler.
    pub compiler: CompilerId,
    /// The hash of its dependency closure.
    pub universe: HashName,
    /// The hash that names it and its layer.
    pub hash: HashName,
    /// The builds of its direct needs, in the order of their names.
    pub needs: Vec<BuildId>,
    /// The builds of all that it needs, directly or not, sorted: needs come before what needs them.
    pub closure: Vec<BuildId>,
    /// The first solution that has it.
    pub solution: HashName,
    /// Whether it is the one of its package version that counts first.
    pub blessed: bool,
}

/// All builds of some solutions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Builds {
    builds: Vec<Build>,
    /// The builds that need one directly: those of build `n` are `users[starts[n]..starts[n + 1]]`.
    users: Vec<BuildId>,
    starts: Vec<u32>,
}

impl Builds {
    /// A build.
    pub fn get(&self, id: BuildId) -> &Build {
        &self.builds[id.index()]
    }

    /// All builds with their ids: needs before what needs them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (BuildId, &Build)> {
        self.builds.iter().enumerate().map(|(index, build)| (BuildId(index as u32), build))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.builds.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.builds.is_empty()
    }

    /// The builds that need a build directly, sorted.
    pub fn dependents(&self, id: BuildId) -> &[BuildId] {
        let end = |index: usize| self.starts.get(index).map_or(0, |end| *end as usize);
        let range: Range<usize> = end(id.index())..end(id.index() + 1);
        &self.users[range]
    }
}
