//! A network as PubGrub asks for it.

use std::{cmp::Reverse, convert::Infallible, fmt};

use pubgrub::{Dependencies, DependencyProvider, PackageResolutionStatistics, Ranges, VersionSet};

use super::network::{Network, Reason};
use crate::catalogue::CompilerId;

/// What a version is chosen of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Node {
    /// A package, by the number of its name. Its versions are places, of which 0 is the newest.
    Package(u32),
    /// Something that keeps a [`Circle`] open, by its number. Its versions are places in the circle: the one chosen is
    /// that of a package that is not in it. Each package version of the circle does without its own place, so all of
    /// them at once are impossible, and nothing else is.
    Circle(u32),
}

/// Package versions that need each other in a circle, by names and places: they cannot be built.
pub(super) type Circle = Vec<(u32, u32)>;

/// A set of versions, by their places. What is between two places is no version, so a set with no place is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Versions(Ranges<u32>);

impl Versions {
    /// No version.
    pub fn none() -> Self {
        Self(Ranges::empty())
    }

    /// The places at which `chosen` says yes.
    pub fn of(chosen: impl Iterator<Item = bool>) -> Self {
        let places = (0_u32..).zip(chosen).filter(|(_, chosen)| *chosen);
        Self(
            places.fold(Ranges::empty(), |all, (place, _)| {
                all.union(&Ranges::between(place, place + 1))
            }),
        )
    }

    /// The places from `start` to before `end`.
    pub fn between(start: u32, end: u32) -> Self {
        Self(Ranges::between(start, end))
    }

    /// Whether it has no version.
    pub fn is_none(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it has the version at a place.
    pub fn has(&self, place: u32) -> bool {
        self.0.contains(&place)
    }

    /// The places of a package with `count` versions that are in the set, newest first.
    pub fn places(&self, count: u32) -> impl Iterator<Item = u32> {
        (0..count).filter(|place| self.0.contains(place))
    }
}

/// For debugging: what people read is made in `explain`.
impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// For debugging: what people read is made in `explain`.
impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// For debugging: what people read is made in `explain`.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl VersionSet for Versions {
    type V = u32;

    fn empty() -> Self {
        Self::none()
    }

    fn singleton(place: u32) -> Self {
        Self::between(place, place + 1)
    }

    fn complement(&self) -> Self {
        Self(self.0.complement())
    }

    fn intersection(&self, other: &Self) -> Self {
        Self(self.0.intersection(&other.0))
    }

    fn contains(&self, place: &u32) -> bool {
        self.0.contains(place)
    }

    fn full() -> Self {
        Self(Ranges::full())
    }

    fn union(&self, other: &Self) -> Self {
        Self(self.0.union(&other.0))
    }

    fn is_disjoint(&self, other: &Self) -> bool {
        self.0.is_disjoint(&other.0)
    }

    fn subset_of(&self, other: &Self) -> bool {
        self.0.subset_of(&other.0)
    }
}

/// What is asked of PubGrub: a solution for one package version and one compiler.
pub(super) struct Question<'q> {
    pub network: &'q Network<'q>,
    pub compiler: CompilerId,
    /// The package version that it is for, by name and place.
    pub target: (u32, u32),
    /// Versions to which packages are bound besides, by name.
    pub bound: Vec<(u32, Versions)>,
    /// The circles that are known to be closed by some choices.
    pub circles: Vec<Circle>,
    /// How often PubGrub was asked.
    pub asked: usize,
    /// Whether to give up.
    pub stop: &'q (dyn Fn() -> bool + Sync),
}

/// The asker has given up.
#[derive(Debug, thiserror::Error)]
#[error("stopped")]
pub(super) struct Stopped;

impl From<Infallible> for Stopped {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl DependencyProvider for Question<'_> {
    type P = Node;
    type V = u32;
    type VS = Versions;
    type Priority = (u32, bool, Reverse<usize>, Reverse<Node>);
    type M = Reason;
    type Err = Stopped;

    /// Packages with conflicts first, then the target's needs, then those with the least choice.
    fn prioritize(
        &self,
        node: &Node,
        range: &Versions,
        conflicts: &PackageResolutionStatistics,
    ) -> Self::Priority {
        let needs = self.network.needs(self.network.id(self.target.0, self.target.1));
        let (is_need, choice) = match *node {
            Node::Package(name) => {
                let is_need = needs.binary_search_by_key(&name, |(need, _)| *need).is_ok();
                (is_need, range.places(self.network.count(name)).count())
            }
            Node::Circle(_) => (false, usize::MAX),
        };
        (conflicts.conflict_count(), is_need, Reverse(choice), Reverse(*node))
    }

    /// The newest.
    fn choose_version(&self, node: &Node, range: &Versions) -> Result<Option<u32>, Stopped> {
        let count = match *node {
            Node::Package(name) => self.network.count(name),
            Node::Circle(number) => self.circles[number as usize].len() as u32,
        };
        Ok(range.places(count).next())
    }

    fn get_dependencies(
        &self,
        node: &Node,
        place: &u32,
    ) -> Result<Dependencies<Node, Versions, Reason>, Stopped> {
        let Node::Package(name) = *node else {
            return Ok(Dependencies::Available([].into_iter().collect()));
        };
        let chosen = (name, *place);
        let id = self.network.id(name, *place);
        if let Some(reason) = self.network.reason(id, self.compiler) {
            return Ok(Dependencies::Unavailable(reason));
        }
        let mut needs = self.network.needs(id).to_vec();
        if chosen == self.target {
            for (name, bound) in &self.bound {
                match needs.iter_mut().find(|(need, _)| need == name) {
                    Some((_, versions)) => *versions = versions.intersection(bound),
                    None => needs.push((*name, bound.clone())),
                }
            }
        }
        let needs = needs.into_iter().map(|(name, versions)| (Node::Package(name), versions));
        let circles = (0..).zip(&self.circles).filter_map(|(number, circle)| {
            let own = circle.iter().position(|member| *member == chosen)? as u32;
            let others = (0..circle.len() as u32).map(|place| place != own);
            Some((Node::Circle(number), Versions::of(others)))
        });
        Ok(Dependencies::Available(needs.chain(circles).collect()))
    }

    fn should_cancel(&self) -> Result<(), Stopped> {
        if (self.stop)() { Err(Stopped) } else { Ok(()) }
    }
}
