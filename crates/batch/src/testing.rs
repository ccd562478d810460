//! Catalogues for tests, written down in a few words.

use std::{collections::BTreeMap, path::PathBuf};

use larder_project::{diagnostic::Diagnostic, manifest::Toolchain, set::Limits};
use larder_runs::name::PackageName;

use crate::{
    catalogue::{Catalogue, Compiler, Docs, Fault, PackageVersion, Recipe, Sources},
    graph::{Builds, Surroundings},
    hashes,
    solve::{Solutions, Solver},
};

/// A package version that needs what `needs` says: `NAME REQUIREMENT`; `for COMPILER` says with what it is built.
pub fn package(id: &str, needs: &[&str]) -> PackageVersion {
    let id: PackageName = id.parse().unwrap();
    let split = |need: &&str| {
        let (name, rest) = need.split_once(' ').unwrap_or((need, "*"));
        (name.to_owned(), rest.to_owned())
    };
    let (compilers, needs): (Vec<_>, Vec<_>) =
        needs.iter().map(split).partition(|(name, _)| name == "for");
    let compilers: Vec<PackageName> =
        compilers.into_iter().map(|(_, compiler)| compiler.parse().unwrap()).collect();
    let digest = hashes::Fields::of("test").text(id.as_str()).finish();
    PackageVersion {
        name: id.name().to_owned(),
        version: id.version().to_owned(),
        sources: Sources {
            directory: PathBuf::from(format!("/set/{id}")),
            overlay: None,
            hash: digest,
        },
        recipe: Recipe::Manifest,
        docs: Docs::default(),
        needs: needs
            .into_iter()
            .map(|(name, text)| (name, text.parse().unwrap()))
            .collect::<BTreeMap<_, _>>(),
        compilers: (!compilers.is_empty()).then_some(compilers),
        limits: Limits::default(),
        digest: hashes::name(&digest),
        fault: None,
        id,
    }
}

/// The same, as one that cannot be read.
pub fn broken(package: PackageVersion) -> PackageVersion {
    let message = format!("unknown key `sorces` in {}", package.name);
    let diagnostics = Diagnostic::new(message).into();
    PackageVersion { needs: BTreeMap::new(), fault: Some(Fault { diagnostics }), ..package }
}

/// A catalogue of these packages and compilers.
pub fn catalogue(versions: Vec<PackageVersion>, compilers: &[&str]) -> Catalogue {
    let compiler =
        |name: &&str| Compiler { name: name.parse().unwrap(), toolchain: Toolchain::default() };
    Catalogue::of(versions, compilers.iter().map(compiler).collect()).unwrap()
}

/// The solutions for all packages of a catalogue.
pub fn solutions(catalogue: &Catalogue) -> Solutions {
    let solver = Solver { kept: None, remember: false, threads: 1, stop: &|| false };
    solver.solve(catalogue, catalogue.iter().map(|(id, _)| id))
}

/// The builds of all packages of a catalogue.
pub fn builds(catalogue: &Catalogue) -> Builds {
    let identities = catalogue
        .compilers()
        .map(|(_, compiler)| format!("id-of-{}", compiler.name.name()).parse().unwrap());
    let around =
        Surroundings { identities: identities.collect(), platform: "x86_64-linux".to_owned() };
    Builds::new(catalogue, &solutions(catalogue), &around)
}

/// A small generator of numbers (SplitMix64), so that a seed says all.
pub struct Dice(u64);

impl Dice {
    /// One that begins with this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    /// Whether something happens that does in so many of a hundred cases.
    pub fn falls_below(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}
