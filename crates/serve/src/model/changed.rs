//! What a build is made from that is other than it was.
//!
//! The graph of a run has who needs whom, the digest of each package's own sources and of how it is built, and the hashes of the
//! compilers' tools. The name of a build is made from these, so what is the same in all of them is the same build.

use std::collections::{BTreeMap, BTreeSet};

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
    /// Whether its own sources are others, or how it is built.
    pub itself: bool,
    /// Whether the compiler's tools are others, or the platform.
    pub tools: bool,
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
    /// Whether it is the same version, and its own sources are others, or how it is built.
    pub itself: bool,
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
        let names: BTreeSet<&str> = old.keys().chain(new.keys()).copied().collect();
        let needs = names.into_iter().filter_map(|name| {
            let (was, is) = (old.get(name), new.get(name));
            if was.map(|it| &it.build_hash) == is.map(|it| &it.build_hash) {
                return None;
            }
            let itself = was
                .zip(is)
                .is_some_and(|(was, is)| was.package == is.package && was.digest != is.digest);
            let [before, now] = [was, is].map(|it| it.map(|it| it.package.clone()));
            Some(ChangedNeed { before, now, itself })
        });
        let needs = needs.collect();
        let itself = was.build.digest != is.build.digest;
        Some(Self { itself, tools: was.tools() != is.tools(), needs })
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

    /// The hash of its compiler's tools and of the platform.
    fn tools(&self) -> Option<&'g HashName> {
        self.graph.tools.get(&self.build.compiler)
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
