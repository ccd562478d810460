//! What a build is made from that is other than it was.
//!
//! Run data have who needs whom of each run, and the names of builds, which are made from what is in them: a build's own
//! sources and how it is built, those of all that it needs (its universe), and the compiler's tools and the platform.
//! What these tell is said, and nothing else.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use larder_runs::{
    graph::{BuildGraph, Node},
    name::{HashName, PackageName},
};
use schemars::JsonSchema;
use serde::Serialize;

/// What is other than it was.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Changed {
    /// Whether its own sources are others, or how it is built; `None` where run data cannot tell.
    pub itself: Option<bool>,
    /// Whether the compiler's tools are others, or the platform; `None` where run data cannot tell.
    pub tools: Option<bool>,
    /// What it needs, directly or not, that is not as it was, by name.
    pub needs: Vec<ChangedNeed>,
}

/// A package that is needed, and is not as it was.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangedNeed {
    /// The version that was; none where it was not needed.
    pub before: Option<PackageName>,
    /// The version that is; none where it is needed no more.
    pub now: Option<PackageName>,
    /// Of the same version in another build, whether its own sources are others, or how it is built; `None` where run
    /// data cannot tell.
    pub itself: Option<bool>,
}

impl Changed {
    /// What a build is made from, beside another one of the same package version with the same compiler. `None` where the
    /// graphs do not have them.
    pub fn between(
        before: (&BuildGraph, &HashName),
        now: (&BuildGraph, &HashName),
    ) -> Option<Self> {
        let (was, is) = (Part::of(before)?, Part::of(now)?);
        let [old, new] = [&was, &is].map(Part::needs);
        let tools = tools(&was, &is, [&old, &new]);
        let names: BTreeSet<&str> = old.keys().chain(new.keys()).copied().collect();
        let needs = names.into_iter().filter_map(|name| {
            let (was, is) = (old.get(name), new.get(name));
            let (before, now) = (was.map(|it| &it.package), is.map(|it| &it.package));
            let itself = match (was, is) {
                (Some(was), Some(is)) if was.build_hash == is.build_hash => return None,
                (Some(was), Some(is)) if was.package == is.package => itself(was, is, tools),
                _ => None,
            };
            Some(ChangedNeed { before: before.cloned(), now: now.cloned(), itself })
        });
        let needs = needs.collect();
        Some(Self { itself: itself(was.build, is.build, tools), tools, needs })
    }
}

/// A build in its graph.
struct Part<'g> {
    graph: &'g BuildGraph,
    build: &'g Node,
}

impl<'g> Part<'g> {
    fn of((graph, hash): (&'g BuildGraph, &HashName)) -> Option<Self> {
        let build = graph.builds.iter().find(|node| node.build_hash == *hash)?;
        Some(Self { graph, build })
    }

    /// All that it needs, directly or not, by name: a build needs one version of each.
    fn needs(&self) -> BTreeMap<&'g str, &'g Node> {
        let mut found = BTreeMap::new();
        let mut left: Vec<u32> = self.build.needs.clone();
        while let Some(next) = left.pop() {
            let Some(node) = self.graph.builds.get(next as usize) else { continue };
            if found.insert(node.package.name(), node).is_none() {
                left.extend(&node.needs);
            }
        }
        found
    }
}

/// Whether the compiler's tools are others, or the platform: they are in the name of each build with that compiler.
fn tools(was: &Part<'_>, is: &Part<'_>, needs: [&BTreeMap<&str, &Node>; 2]) -> Option<bool> {
    let with = |part: &Part<'_>| -> HashSet<HashName> {
        let builds = part.graph.builds.iter().filter(|it| it.compiler == part.build.compiler);
        builds.map(|it| it.build_hash.clone()).collect()
    };
    if !with(was).is_disjoint(&with(is)) {
        return Some(false);
    }
    // With the same universe, all that is needed has the same sources: nothing else can make other builds of it.
    let [old, new] = needs;
    let rebuilt = || {
        old.iter().any(|(name, it)| new.get(name).is_some_and(|is| is.build_hash != it.build_hash))
    };
    (was.build.universe == is.build.universe && rebuilt()).then_some(true)
}

/// Whether a package version has other sources than in another build, or is built otherwise.
fn itself(was: &Node, is: &Node, tools: Option<bool>) -> Option<bool> {
    if was.build_hash == is.build_hash {
        return Some(false);
    }
    // With the same needs and the same tools, nothing else can make another build of it.
    (was.universe == is.universe && tools == Some(false)).then_some(true)
}
