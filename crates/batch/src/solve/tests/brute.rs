//! Solving by trying everything.

use std::collections::{BTreeMap, BTreeSet};

use larder_project::version::Answer;

use crate::catalogue::{Catalogue, CompilerId, VersionId};

/// The newest solution for a package version, as the documentation of the solver defines it.
pub fn newest(
    catalogue: &Catalogue,
    target: VersionId,
    compiler: CompilerId,
) -> Option<Vec<VersionId>> {
    let mut brute = Brute { catalogue, compiler, found: BTreeSet::new() };
    let name = catalogue.get(target).name.clone();
    if brute.can_be_chosen(target) {
        brute.extend(&mut BTreeMap::from([(name, target)]));
    }
    brute.newest(target)
}

/// All solutions for a target, by trying everything: as the chosen version of each package.
struct Brute<'c> {
    catalogue: &'c Catalogue,
    compiler: CompilerId,
    found: BTreeSet<BTreeMap<String, VersionId>>,
}

impl Brute<'_> {
    fn can_be_chosen(&self, id: VersionId) -> bool {
        self.catalogue.get(id).fault.is_none() && self.catalogue.is_for(id, self.compiler)
    }

    /// Chooses a version for the first package that is needed and not chosen, in all ways.
    fn extend(&mut self, choice: &mut BTreeMap<String, VersionId>) {
        let needs = |id: &VersionId| self.catalogue.get(*id).needs.iter();
        let mut all = choice.values().flat_map(needs);
        let open = all.find(|(name, _)| !choice.contains_key(*name)).map(|(name, _)| name.clone());
        let Some(name) = open else {
            if self.fits(choice) {
                self.found.insert(choice.clone());
            }
            return;
        };
        for id in self.catalogue.versions(&name) {
            if !self.can_be_chosen(id) {
                continue;
            }
            choice.insert(name.clone(), id);
            self.extend(choice);
            choice.remove(&name);
        }
    }

    /// Whether all requirements are met and nothing needs itself.
    fn fits(&self, choice: &BTreeMap<String, VersionId>) -> bool {
        let met = choice.values().all(|id| {
            self.catalogue.get(*id).needs.iter().all(|(name, required)| {
                let version = &self.catalogue.get(choice[name]).version;
                required.admits(version) == Answer::Satisfied
            })
        });
        // What needs nothing that is left goes, until nothing goes.
        let mut left: BTreeSet<&str> = choice.keys().map(String::as_str).collect();
        loop {
            let free = left.iter().copied().find(|name| {
                let needs = &self.catalogue.get(choice[*name]).needs;
                needs.keys().all(|need| !left.contains(need.as_str()))
            });
            match free {
                Some(free) => _ = left.remove(free),
                None => return met && left.is_empty(),
            }
        }
    }

    /// The newest of all solutions, as the module's documentation has it.
    fn newest(&self, target: VersionId) -> Option<Vec<VersionId>> {
        let mut left: Vec<&BTreeMap<String, VersionId>> = self.found.iter().collect();
        let mut settled = vec![target];
        let mut level = vec![target];
        while !level.is_empty() {
            let needs = level.iter().flat_map(|id| self.catalogue.get(*id).needs.keys());
            let names: BTreeSet<String> = needs
                .filter(|name| settled.iter().all(|id| self.catalogue.get(*id).name != **name))
                .cloned()
                .collect();
            level = Vec::new();
            for name in names {
                let newest = left.iter().map(|choice| choice[&name]).min()?;
                left.retain(|choice| choice[&name] == newest);
                level.push(newest);
                settled.push(newest);
            }
        }
        settled.sort();
        (!left.is_empty()).then_some(settled)
    }
}
