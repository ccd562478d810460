//! What may be chosen: a catalogue as the solver sees it, with numbers for names and requirements as sets of
//! versions.

use std::{collections::HashMap, iter::repeat_n};

use larder_project::version::Answer;

use super::provider::Versions;
use crate::catalogue::{Catalogue, CompilerId, VersionId};

/// The packages of a catalogue by number, and those that are needed and not in it.
pub(super) struct Network<'c> {
    pub catalogue: &'c Catalogue,
    names: Vec<&'c str>,
    /// By name: the first of its versions.
    first: Vec<u32>,
    /// By name: how many versions it has.
    count: Vec<u32>,
    /// By package version: the number of its name.
    named: Vec<u32>,
    /// By package version: the names it needs, with the versions that will do. Sorted by name.
    needs: Vec<Vec<(u32, Versions)>>,
}

/// Why a package version cannot be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// It cannot be read.
    Fault,
    /// It is not for the compiler.
    OtherCompiler,
    /// It needs itself.
    NeedsItself,
}

impl<'c> Network<'c> {
    pub fn new(catalogue: &'c Catalogue) -> Self {
        let names: Vec<&str> = catalogue.names().collect();
        let numbers: HashMap<&str, u32> = names.iter().copied().zip(0..).collect();
        let ranges = names.iter().map(|name| catalogue.versions(name));
        let (mut first, mut count): (Vec<u32>, Vec<u32>) = ranges
            .map(|mut versions| {
                let count = versions.len() as u32;
                (versions.next().map_or(0, |id| id.0), count)
            })
            .unzip();
        let named = count.iter().zip(0..).flat_map(|(count, name)| repeat_n(name, *count as usize));
        let named = named.collect();
        let mut needs_of = Vec::with_capacity(catalogue.len());
        let mut names = names;
        let mut unknown = HashMap::new();
        let mut known = HashMap::new();
        for (_, version) in catalogue.iter() {
            let needs = version.needs.iter().map(|(name, required)| {
                let Some(number) = numbers.get(name.as_str()) else {
                    let next = (numbers.len() + unknown.len()) as u32;
                    let number = *unknown.entry(name.as_str()).or_insert_with(|| {
                        names.push(name);
                        first.push(0);
                        count.push(0);
                        next
                    });
                    return (number, Versions::none());
                };
                // The same is required by many.
                let admitted = known.entry((*number, required.to_string())).or_insert_with(|| {
                    let versions = catalogue.versions(name);
                    let text = |id| catalogue.get(id).version.as_str();
                    Versions::of(versions.map(|id| required.admits(text(id)) == Answer::Satisfied))
                });
                (*number, admitted.clone())
            });
            let mut needs: Vec<(u32, Versions)> = needs.collect();
            needs.sort_by_key(|(name, _)| *name);
            needs_of.push(needs);
        }
        Self { catalogue, names, first, count, named, needs: needs_of }
    }

    /// The name of a number.
    pub fn name(&self, name: u32) -> &'c str {
        self.names[name as usize]
    }

    /// How many versions a package has.
    pub fn count(&self, name: u32) -> u32 {
        self.count[name as usize]
    }

    /// A package version by the number of its name and its place among the versions, of which 0 is the newest.
    pub fn id(&self, name: u32, place: u32) -> VersionId {
        VersionId(self.first[name as usize] + place)
    }

    /// The number of a package version's name, and its place.
    pub fn place(&self, id: VersionId) -> (u32, u32) {
        let name = self.named[id.index()];
        (name, id.0 - self.first[name as usize])
    }

    /// What a package version needs.
    pub fn needs(&self, id: VersionId) -> &[(u32, Versions)] {
        &self.needs[id.index()]
    }

    /// Why a package version cannot be chosen; `None` where it can.
    pub fn reason(&self, id: VersionId, compiler: CompilerId) -> Option<Reason> {
        let (name, _) = self.place(id);
        match self.catalogue.get(id) {
            version if version.fault.is_some() => Some(Reason::Fault),
            _ if !self.catalogue.is_for(id, compiler) => Some(Reason::OtherCompiler),
            _ if self.needs(id).iter().any(|(need, _)| *need == name) => Some(Reason::NeedsItself),
            _ => None,
        }
    }
}
