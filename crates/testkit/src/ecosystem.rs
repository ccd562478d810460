//! Package sets as large as an ecosystem, made up, the same each time.

use std::{collections::BTreeMap, path::Path};

use fastrand::Rng;

use crate::files::write;

/// A version of a package that is made up.
#[derive(Debug, Clone)]
pub struct Version {
    /// The package's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it needs: requirements by name.
    pub needs: BTreeMap<String, String>,
}

/// The versions that each package has.
const VERSIONS: [&str; 3] = ["1.0.3", "1.4.0", "2.1.0"];

/// Which packages are basic: so many of the first are needed by many.
const BASIC: usize = 60;

/// Returns three versions of each of so many packages. A package needs up to eight others before it: mostly basic ones,
/// the more basic the more often, else such that stand near. Most requirements admit all later versions; some
/// hold to one major version, so that the newest of everything does not always fit together.
pub fn ecosystem(packages: usize) -> Vec<Version> {
    let mut random = Rng::with_seed(packages as u64);
    let mut all = Vec::with_capacity(packages * VERSIONS.len());
    for number in 0..packages {
        let needed: Vec<usize> =
            (0..count(&mut random)).filter_map(|_| near(&mut random, number)).collect();
        for (age, version) in VERSIONS.iter().enumerate() {
            let mut required = |need: &usize| {
                let required = match (random.u8(0..100), age) {
                    (0..40, _) => "*",
                    (40..60, _) => ">=1.0",
                    (60..75, _) => ">=1.2",
                    (75..92, 2) => "^2",
                    (75..90, _) => "^1",
                    (92..95, _) => "~1.4",
                    (95..97, _) => "<1.4",
                    _ => ">=1.0, <3",
                };
                (name(*need), required.to_owned())
            };
            let needs = needed.iter().map(&mut required).collect();
            all.push(Version { name: name(number), version: (*version).to_owned(), needs });
        }
    }
    all
}

fn name(number: usize) -> String {
    format!("pkg-{number:04}")
}

fn count(random: &mut Rng) -> usize {
    (0..8).take_while(|_| random.u8(0..100) < 70).count()
}

fn near(random: &mut Rng, number: usize) -> Option<usize> {
    let basic = number.min(BASIC);
    match random.u8(0..100) {
        _ if number == 0 => None,
        // The square is small more often than large.
        0..70 => Some((basic as f64 * random.f64().powi(2)) as usize),
        _ => Some(number - 1 - random.usize(0..number.min(200))),
    }
}

/// Writes a set of these packages: `larder-set.toml`, and a directory with a manifest and a source for each version.
pub fn write_set(root: &Path, versions: &[Version]) {
    let set = "[set]\npackages = [\"packages/*\"]\n\n[compiler.\"gcc.12\"]\ncc = \"gcc\"\ncxx = \"g++\"\n";
    write(&root.join("larder-set.toml"), set);
    for Version { name, version, needs } in versions {
        let directory = root.join("packages").join(format!("{name}-{version}"));
        let mut manifest =
            format!("[package]\nname = \"{name}\"\nversion = \"{version}\"\n\n[dependencies]\n");
        for (name, required) in needs {
            manifest += &format!("{name} = \"{required}\"\n");
        }
        manifest += &format!("\n[[library]]\nname = \"{name}\"\nsources = [\"{name}.c\"]\n");
        write(&directory.join("larder.toml"), &manifest);
        write(&directory.join(format!("{name}.c")), "int answer(void) { return 42; }\n");
    }
}
