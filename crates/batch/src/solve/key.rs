//! What a solution was made from, as a hash: all versions of all packages that could have been chosen, with what
//! they need and which compilers they are for.
//!
//! It is made without solving: what a package could bring in is hashed once for all that need it. Packages that can
//! need each other in a circle share one hash.

use std::collections::HashMap;

use larder_trace::ContentHash;

use crate::{
    catalogue::{Catalogue, CompilerId, PackageVersion, VersionId},
    hashes::Fields,
};

/// The keys of a catalogue's solutions.
pub(super) struct Keys<'c> {
    catalogue: &'c Catalogue,
    /// By name: the hash of the package and all that it could bring in.
    reach: HashMap<&'c str, ContentHash>,
}

impl<'c> Keys<'c> {
    pub fn new(catalogue: &'c Catalogue) -> Self {
        Self { catalogue, reach: Reach::of(catalogue) }
    }

    /// The key of the solution for a package version and a compiler.
    pub fn key(&self, target: VersionId, compiler: CompilerId) -> ContentHash {
        let version = self.catalogue.get(target);
        let mut fields = Fields::of("solution key");
        fields.text(self.catalogue.compiler(compiler).name.as_str());
        own(&mut fields, version);
        for name in version.needs.keys() {
            match self.reach.get(name.as_str()) {
                Some(hash) => fields.hash(hash),
                None => fields.text("not in the set"),
            };
        }
        fields.finish()
    }
}

/// Adds what a package version says itself.
fn own(fields: &mut Fields, version: &PackageVersion) {
    fields.text(version.id.as_str());
    fields.number(version.needs.len() as u64);
    for (name, required) in &version.needs {
        fields.text(name).text(&required.to_string());
    }
    match &version.compilers {
        None => fields.text("all"),
        Some(compilers) => fields.texts(compilers.iter().map(|compiler| compiler.as_str())),
    };
    match &version.fault {
        None => fields.text(""),
        // It is in explanations.
        Some(fault) => fields.text(&fault.diagnostics.to_string()),
    };
}

/// Strongly connected components of names by what any of their versions needs, by Tarjan's way, without recursion.
#[derive(Default)]
struct Reach<'c> {
    found: HashMap<&'c str, Found>,
    stack: Vec<&'c str>,
    hashes: HashMap<&'c str, ContentHash>,
}

#[derive(Clone, Copy)]
struct Found {
    index: usize,
    lowest: usize,
    on_stack: bool,
}

/// A package on the way, and what it needs, of which so much has been looked at.
struct Step<'c> {
    name: &'c str,
    needs: Vec<&'c str>,
    next: usize,
}

impl<'c> Reach<'c> {
    fn of(catalogue: &'c Catalogue) -> HashMap<&'c str, ContentHash> {
        let mut reach = Self::default();
        for name in catalogue.names() {
            if !reach.found.contains_key(name) {
                reach.follow(catalogue, name);
            }
        }
        reach.hashes
    }

    fn follow(&mut self, catalogue: &'c Catalogue, start: &'c str) {
        let mut way = vec![self.enter(catalogue, start)];
        while let Some(step) = way.last_mut() {
            let name = step.name;
            if let Some(&need) = step.needs.get(step.next) {
                step.next += 1;
                match self.found.get(need) {
                    None => way.push(self.enter(catalogue, need)),
                    Some(other) if other.on_stack => self.lower(name, other.index),
                    Some(_) => {}
                }
                continue;
            }
            way.pop();
            let Found { index, lowest, .. } = self.found[name];
            if index == lowest {
                self.close(catalogue, name);
            }
            if let Some(above) = way.last() {
                self.lower(above.name, lowest);
            }
        }
    }

    fn enter(&mut self, catalogue: &'c Catalogue, name: &'c str) -> Step<'c> {
        let index = self.found.len();
        self.found.insert(name, Found { index, lowest: index, on_stack: true });
        self.stack.push(name);
        Step { name, needs: needs(catalogue, name), next: 0 }
    }

    fn lower(&mut self, name: &'c str, lowest: usize) {
        if let Some(found) = self.found.get_mut(name) {
            found.lowest = found.lowest.min(lowest);
        }
    }

    /// Hashes a component, of which `first` was come to first: all that is needed from it has a hash.
    fn close(&mut self, catalogue: &'c Catalogue, first: &'c str) {
        let start = self.stack.iter().rposition(|name| *name == first).unwrap_or(0);
        let mut members = self.stack.split_off(start);
        members.sort_unstable();
        let mut fields = Fields::of("reach");
        let mut beyond: Vec<ContentHash> = Vec::new();
        for name in &members {
            for id in catalogue.versions(name) {
                own(&mut fields, catalogue.get(id));
            }
            beyond.extend(needs(catalogue, name).iter().filter_map(|need| self.hashes.get(need)));
        }
        beyond.sort_unstable();
        beyond.dedup();
        beyond.iter().for_each(|hash| {
            fields.hash(hash);
        });
        let hash = fields.finish();
        for name in members {
            self.hashes.insert(name, hash);
            if let Some(found) = self.found.get_mut(name) {
                found.on_stack = false;
            }
        }
    }
}

/// The packages of the set that any version of a package needs, sorted.
fn needs<'c>(catalogue: &'c Catalogue, name: &str) -> Vec<&'c str> {
    let versions = catalogue.versions(name).map(|id| catalogue.get(id));
    let needs = versions.flat_map(|version| version.needs.keys().map(String::as_str));
    let mut needs: Vec<&str> = needs.filter(|need| catalogue.versions(need).len() > 0).collect();
    needs.sort_unstable();
    needs.dedup();
    needs
}
