//! A manifest as it is written.

use std::{collections::BTreeMap, path::Path};

use super::{
    Ci, Command, Compiled, Config, Dependency, Executable, FILE_NAME, Library, Manifest, Options,
    Package, Toolchain, Toolchains,
    condition::Condition,
    decode,
    keys::{Cases, Keys},
    profile::{Profiled, Profiles},
    read_text,
};
use crate::{
    diagnostic::{Diagnostics, SourceText},
    plan::Language,
    setting::Facts,
};

/// A manifest as it is written, checked as far as it can be by itself.
#[derive(Debug, Clone)]
pub struct Document {
    /// The file, to point into.
    pub source: SourceText,
    /// `[package]`
    pub package: Package,
    /// `[toolchain]`
    pub toolchain: Toolchain,
    /// `[dependencies]`
    pub dependencies: BTreeMap<String, Dependency>,
    /// `[ci]`
    pub ci: Ci,
    /// `[options]`
    pub options: Options,
    /// `[profile.NAME]`
    pub profiles: Profiles,
    /// `[target.TRIPLE]`
    pub toolchains: Toolchains,
    /// `[defaults]`
    pub(super) defaults: Cases,
    /// `[[library]]`
    pub(super) libraries: Vec<Part<Written<Library>>>,
    /// `[[executable]]`
    pub(super) executables: Vec<Part<Written<Executable>>>,
    /// `[[command]]`
    pub(super) commands: Vec<Part<Command>>,
    /// `[[config]]`
    pub(super) configs: Vec<Part<Written<Config>>>,
}

/// A part of the manifest that is there where a condition holds.
#[derive(Debug, Clone)]
pub(super) struct Part<T> {
    pub when: Option<Condition>,
    pub of: T,
}

/// A library or an executable, of which nothing but the name is settled yet, with its keys.
#[derive(Debug, Clone)]
pub(super) struct Written<T> {
    pub target: T,
    pub keys: Cases,
}

impl Document {
    /// Reads and checks the manifest of the package in `directory`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(directory: &Path) -> Result<Self, Diagnostics> {
        Self::parse(read_text(directory.join(FILE_NAME))?)
    }

    /// Checks a manifest's text.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(source: SourceText) -> Result<Self, Diagnostics> {
        decode::document(source)
    }

    /// Returns the manifest with plain lists for each target, and the parts that hold with `facts`. A profile
    /// that it does not define itself is that of the root package, whose profiles are `root`.
    pub fn settle(self, facts: &Facts, root: &Profiles) -> Manifest {
        let profile = facts.profile.as_deref().map(|name| match self.profiles.define(name) {
            true => self.profiles.resolve(name),
            false => {
                let Profiled { keys, names } = root.resolve(name);
                Profiled { keys: keys.for_any_package(), names }
            }
        });
        let profile = profile.unwrap_or_default();
        let holds = |condition: &Condition| condition.holds(facts, &profile.names);
        self.settle_where(&holds, &profile.keys)
    }

    /// Returns the manifest with all its parts, whether they hold or not.
    pub fn with_all_parts(self) -> Manifest {
        let profile = self.profiles.all();
        self.settle_where(&|_| true, &profile.keys)
    }

    /// Returns the languages whose compilers conditions are about, C before C++; none where no condition asks for a
    /// compiler. They are those of the package's sources and checks, whether the parts that name them hold or not, by
    /// the ends of their names. What may be in either is in both, and so is a package without any.
    pub fn asks_for_compilers(&self) -> Vec<Language> {
        if !self.asks_for_compiler() {
            return Vec::new();
        }
        let libraries = self.libraries.iter().map(|part| &part.of.keys);
        let targets = libraries.chain(self.executables.iter().map(|part| &part.of.keys));
        let sources = targets.flat_map(Cases::sources);
        let sources = sources.map(|source| Language::with(&self.toolchain, &source.text));
        let checks = self.configs.iter().map(|part| match part.of.target.cxx {
            true => Some(Language::Cxx),
            false => Some(Language::C),
        });
        let found: Vec<Option<Language>> = sources.chain(checks).collect();
        // A C compiler assembles, too, and links what an assembler made.
        let c = |of: &Option<Language>| *of != Some(Language::Cxx);
        let cxx = |of: &Option<Language>| matches!(of, None | Some(Language::Cxx));
        let none = found.is_empty();
        let c = (none || found.iter().any(c)).then_some(Language::C);
        let cxx = (none || found.iter().any(cxx)).then_some(Language::Cxx);
        c.into_iter().chain(cxx).collect()
    }

    fn asks_for_compiler(&self) -> bool {
        let libraries = self.libraries.iter().map(|part| (&part.when, Some(&part.of.keys)));
        let executables = self.executables.iter().map(|part| (&part.when, Some(&part.of.keys)));
        let commands = self.commands.iter().map(|part| (&part.when, None));
        let configs = self.configs.iter().map(|part| (&part.when, Some(&part.of.keys)));
        let parts = libraries.chain(executables).chain(commands).chain(configs);
        let parts = parts.chain([(&None, Some(&self.defaults))]);
        let mut conditions = parts.flat_map(|(when, keys)| {
            when.iter().chain(keys.into_iter().flat_map(Cases::conditions))
        });
        conditions.any(Condition::asks_for_compiler)
    }

    fn settle_where(self, holds: &dyn Fn(&Condition) -> bool, profile: &Keys) -> Manifest {
        let Self { source, package, toolchain, dependencies, ci, defaults, .. } = self;
        let defaults = defaults.holding(holds);
        let mut absent: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut is_there = |when: &Option<Condition>, name: &str| match when {
            Some(when) if !holds(when) => {
                absent.entry(name.to_owned()).or_default().push(when.to_string());
                false
            }
            _ => true,
        };
        let mut libraries = Vec::new();
        for Part { when, of: Written { target, keys } } in self.libraries {
            if is_there(&when, &target.compiled.name) {
                let compiled = settled(target.compiled, &defaults, keys.holding(holds), profile);
                libraries.push(Library { compiled, ..target });
            }
        }
        let mut executables = Vec::new();
        for Part { when, of: Written { target, keys } } in self.executables {
            if is_there(&when, &target.compiled.name) {
                let compiled = settled(target.compiled, &defaults, keys.holding(holds), profile);
                executables.push(Executable { compiled, ..target });
            }
        }
        let mut configs = Vec::new();
        let of_configs = defaults.clone().without_inputs();
        for Part { when, of: Written { target, keys } } in self.configs {
            if is_there(&when, &target.compiled.name) {
                let compiled = settled(target.compiled, &of_configs, keys.holding(holds), profile);
                configs.push(Config { compiled, ..target });
            }
        }
        let mut commands = self.commands;
        commands.retain(|part| is_there(&part.when, &part.of.name));
        let commands = commands.into_iter().map(|part| part.of).collect();
        Manifest {
            source,
            package,
            toolchain,
            dependencies,
            libraries,
            executables,
            commands,
            configs,
            ci,
            absent,
        }
    }
}

/// How a target is compiled: what the defaults say, then what it says itself, then the profile.
fn settled(named: Compiled, defaults: &Keys, own: Keys, profile: &Keys) -> Compiled {
    let mut keys = defaults.clone();
    keys.append(own);
    let arguments = keys.flags.arguments(&keys.lists.public_defines, &profile.flags);
    let mut profiled = profile.lists.clone();
    // Everything that is linked has them by itself.
    let linking = &mut profiled.linking;
    linking.private_link_args.splice(0..0, std::mem::take(&mut linking.link_args));
    keys.lists.append(profiled);
    Compiled { lists: keys.lists, arguments, ..named }
}
