//! Builds of solutions, and which of them are blessed.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::{
    catalogue::PackageVersion,
    testing::{builds, catalogue, package, solutions},
};

/// Each build in words: the package version, its closure, the compiler; `*` where it is blessed.
fn words(catalogue: &Catalogue, builds: &Builds) -> BTreeSet<String> {
    let name = |id: &BuildId| catalogue.get(builds.get(*id).package).id.to_string();
    let word = |(id, build): (BuildId, &Build)| {
        let closure: BTreeSet<String> = build.closure.iter().map(name).collect();
        let closure: Vec<String> = closure.into_iter().collect();
        let (compiler, star) =
            (&catalogue.compiler(build.compiler).name, if build.blessed { "*" } else { "" });
        format!("{} [{}] {compiler}{star}", name(&id), closure.join(" "))
    };
    builds.iter().map(word).collect()
}

fn built(versions: Vec<PackageVersion>, compilers: &[&str]) -> BTreeSet<String> {
    let catalogue = catalogue(versions, compilers);
    words(&catalogue, &builds(&catalogue))
}

#[test]
fn equal_builds_of_two_solutions_are_one() {
    let versions = vec![
        package("app.1", &["png"]),
        package("old.1", &["png", "zlib <1.3"]),
        package("png.1.6", &["zlib"]),
        package("zlib.1.3.0", &[]),
        package("zlib.1.2.0", &[]),
    ];
    let built = built(versions, &["gcc.12"]);
    let expected = [
        "app.1 [png.1.6 zlib.1.3.0] gcc.12*",
        "old.1 [png.1.6 zlib.1.2.0] gcc.12*",
        "png.1.6 [zlib.1.2.0] gcc.12",
        "png.1.6 [zlib.1.3.0] gcc.12*",
        "zlib.1.2.0 [] gcc.12*",
        "zlib.1.3.0 [] gcc.12*",
    ];
    assert_eq!(built.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}

#[test]
fn the_newest_dependencies_are_blessed_then_the_first_compiler() {
    let versions = vec![
        package("png.1", &["zlib"]),
        package("zlib.2", &["for clang.14"]),
        package("zlib.1", &[]),
    ];
    let both = built(versions, &["gcc.12", "clang.14"]);
    assert!(both.contains("png.1 [zlib.2] clang.14*"), "{both:?}");
    assert!(both.contains("png.1 [zlib.1] gcc.12"), "{both:?}");
    assert!(both.contains("zlib.1 [] gcc.12*"), "{both:?}");
    let turned = built(vec![package("a.1", &[])], &["clang.14", "gcc.12"]);
    assert!(turned.contains("a.1 [] clang.14*"), "{turned:?}");
}

/// Direct needs count before what they need, whatever it is called.
#[test]
fn blessings_go_level_by_level() {
    let versions = vec![
        package("app.1", &["z"]),
        package("z.2", &["for clang.14"]),
        package("z.1", &["a"]),
        package("a.1", &[]),
    ];
    let built = built(versions, &["gcc.12", "clang.14"]);
    assert!(built.contains("app.1 [z.2] clang.14*"), "{built:?}");
    assert!(built.contains("app.1 [a.1 z.1] gcc.12"), "{built:?}");
}

/// A set in which each package needs some that come after it.
fn set() -> impl Strategy<Value = Vec<PackageVersion>> {
    let required = prop_oneof![3 => Just("*"), 2 => Just("1"), 1 => Just("2"), 1 => Just("<2")];
    let version = (prop::collection::vec((0..4_usize, required), 0..4), 0..8_u8);
    prop::collection::vec(prop::collection::vec(version, 1..4), 2..7).prop_map(|packages| {
        let count = packages.len();
        let mut all = Vec::new();
        for (name, versions) in packages.into_iter().enumerate() {
            for (number, (needs, fate)) in versions.into_iter().enumerate() {
                let needs = needs.into_iter().map(|(step, required)| (name + 1 + step, required));
                let needs: BTreeMap<usize, &str> =
                    needs.filter(|(need, _)| *need < count).collect();
                let mut words: Vec<String> =
                    needs.iter().map(|(need, required)| format!("p{need} {required}")).collect();
                if fate == 0 {
                    words.push("for clang.14".to_owned());
                }
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                all.push(package(&format!("p{name}.{number}.0.0"), &words));
            }
        }
        all
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn each_build_is_there_once_after_its_needs(versions in set()) {
        let catalogue = catalogue(versions, &["gcc.12", "clang.14"]);
        let (solutions, builds) = (solutions(&catalogue), builds(&catalogue));
        let mut hashes = BTreeSet::new();
        let mut expected = BTreeSet::new();
        for (id, build) in builds.iter() {
            prop_assert!(hashes.insert(build.hash.as_str()), "twice");
            prop_assert!(build.closure.iter().chain(&build.needs).all(|need| *need < id));
            let needs: Vec<&str> =
                build.needs.iter().map(|it| catalogue.get(builds.get(*it).package).name.as_str()).collect();
            let declared: Vec<&str> = catalogue.get(build.package).needs.keys().map(String::as_str).collect();
            prop_assert_eq!(needs, declared);
            let below = build.needs.iter().flat_map(|it| builds.get(*it).closure.iter().copied().chain([*it]));
            let below: BTreeSet<BuildId> = below.collect();
            prop_assert!(build.closure.iter().copied().eq(below));
            prop_assert!(build.closure.iter().all(|it| builds.get(*it).compiler == build.compiler));
            for need in &build.needs {
                prop_assert!(builds.dependents(*need).contains(&id));
            }
        }
        let links: usize = builds.iter().map(|(id, _)| builds.dependents(id).len()).sum();
        prop_assert_eq!(links, builds.iter().map(|(_, build)| build.needs.len()).sum::<usize>());
        // By the definition: each chosen version, with what is chosen of what it needs, and so on.
        for solution in solutions.found() {
            for version in &solution.chosen {
                let mut below = BTreeSet::new();
                let mut open = vec![*version];
                while let Some(next) = open.pop() {
                    let needs = &catalogue.get(next).needs;
                    let chosen = solution.chosen.iter().copied();
                    let chosen = chosen.filter(|id| needs.contains_key(&catalogue.get(*id).name));
                    open.extend(chosen.filter(|id| below.insert(*id)));
                }
                expected.insert((*version, solution.compiler, below));
            }
        }
        let found: BTreeSet<_> = builds.iter().map(|(_, build)| {
            let below = build.closure.iter().map(|id| builds.get(*id).package).collect();
            (build.package, build.compiler, below)
        }).collect();
        prop_assert_eq!(found, expected);
        prop_assert_eq!(builds.len(), hashes.len());
        // One of each package version that has builds is blessed.
        let packages: BTreeSet<VersionId> = builds.iter().map(|(_, build)| build.package).collect();
        let blessed: Vec<VersionId> =
            builds.iter().filter(|(_, build)| build.blessed).map(|(_, build)| build.package).collect();
        prop_assert_eq!(blessed.len(), packages.len());
        prop_assert_eq!(blessed.into_iter().collect::<BTreeSet<_>>(), packages);
    }

    /// The builds of two sides, of which one has another version of some packages.
    #[test]
    fn the_builds_of_two_sides_are_one_list(versions in set(), changed: u8) {
        let compilers = ["gcc.12", "clang.14"];
        let mut others = versions.clone();
        for version in others.iter_mut().skip(usize::from(changed) % 5).step_by(3) {
            version.digest = hashes::name(&hashes::Fields::of("other").text(&version.name).finish());
        }
        let (mut base, candidate) = (catalogue(versions, &compilers), catalogue(others, &compilers));
        let sides = [builds(&base), builds(&candidate)];
        let whole = [words(&base, &sides[0]), words(&candidate, &sides[1])];
        let shift = base.join(candidate);
        let names = [0, 1].map(|side: usize| (0..sides[side].len()).collect::<Vec<_>>());
        let Joined { builds, base: to_base, candidate: to_candidate } =
            Joined::new([&sides[0], &sides[1]], &names, shift);
        let mut all = BTreeSet::new();
        for (id, build) in builds.iter() {
            prop_assert!(all.insert(build.hash.clone()), "twice");
            prop_assert!(build.closure.iter().chain(&build.needs).all(|need| *need < id));
            prop_assert!(build.closure.is_sorted());
        }
        let expected: BTreeSet<HashName> =
            sides.iter().flat_map(|side| side.iter()).map(|(_, build)| build.hash.clone()).collect();
        prop_assert_eq!(all, expected);
        for (side, places) in [(&sides[0], &to_base), (&sides[1], &to_candidate)] {
            for (id, build) in side.iter() {
                let joined = builds.get(places[id.index()]);
                let hashes = |of: &Builds, ids: &[BuildId]| -> BTreeSet<HashName> {
                    ids.iter().map(|id| of.get(*id).hash.clone()).collect()
                };
                prop_assert_eq!(&joined.hash, &build.hash);
                prop_assert_eq!(hashes(&builds, &joined.needs), hashes(side, &build.needs));
                prop_assert_eq!(hashes(&builds, &joined.closure), hashes(side, &build.closure));
                prop_assert!(joined.blessed || !build.blessed);
            }
        }
        let words = words(&base, &builds);
        for word in whole.iter().flatten() {
            prop_assert!(words.contains(word) || words.contains(&format!("{word}*")), "{word}");
        }
    }

    #[test]
    fn the_order_of_packages_changes_nothing(versions in set(), seed: u64) {
        let mut shuffled = versions.clone();
        shuffled.sort_by_key(|version| {
            hashes::Fields::of("shuffle").number(seed).text(version.id.as_str()).finish()
        });
        let compilers = ["gcc.12", "clang.14"];
        prop_assert_eq!(builds(&catalogue(versions, &compilers)), builds(&catalogue(shuffled, &compilers)));
    }

    /// A package version that nothing in a closure has to do with changes neither hashes nor the blessing.
    #[test]
    fn what_is_unrelated_changes_neither_hashes_nor_blessings(versions in set()) {
        let compilers = ["gcc.12", "clang.14"];
        let kept = |catalogue: &Catalogue| -> BTreeMap<String, bool> {
            let builds = builds(catalogue);
            let of = builds.iter().filter(|(_, build)| catalogue.get(build.package).name != "a-new");
            of.map(|(_, build)| (build.hash.to_string(), build.blessed)).collect()
        };
        let mut more = versions.clone();
        more.push(package("a-new.1", &[]));
        prop_assert_eq!(kept(&catalogue(versions, &compilers)), kept(&catalogue(more, &compilers)));
    }
}

#[test]
fn a_hash_has_all_that_decides_a_build() {
    let versions = vec![package("a.1", &["b"]), package("b.1", &[])];
    let catalogue = catalogue(versions, &["gcc.12"]);
    let made = |identity: &str, platform: &str| {
        let around = Surroundings {
            identities: vec![identity.parse().unwrap()],
            platform: platform.to_owned(),
        };
        let builds = Builds::new(&catalogue, &solutions(&catalogue), &around);
        builds.iter().map(|(_, build)| build.hash.to_string()).collect::<BTreeSet<_>>()
    };
    let all = [made("1", "x86_64"), made("2", "x86_64"), made("1", "aarch64")];
    assert_eq!(all.iter().flatten().collect::<BTreeSet<_>>().len(), 6);
    assert_eq!(made("1", "x86_64"), all[0]);
}
