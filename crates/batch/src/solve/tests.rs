//! The solver against brute force, its explanations, and what it remembers.

mod brute;

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::{
    catalogue::PackageVersion,
    testing::{broken, catalogue, package},
};

fn solve(catalogue: &Catalogue, kept: Option<&Path>) -> Solutions {
    let solver = Solver { kept, remember: true, threads: 2, stop: &|| false };
    solver.solve(catalogue, catalogue.iter().map(|(id, _)| id))
}

/// The choice for a package version, in words.
fn chosen(catalogue: &Catalogue, solved: &Solved) -> Result<Vec<String>, String> {
    match solved {
        Solved::Found(solution) => {
            Ok(solution.chosen.iter().map(|id| catalogue.get(*id).id.to_string()).collect())
        }
        Solved::NoSolution { explanation, .. } => Err(explanation.clone()),
    }
}

/// What comes of solving for `target` with the first compiler.
fn solved(versions: Vec<PackageVersion>, target: &str) -> Result<Vec<String>, String> {
    let catalogue = catalogue(versions, &["gcc.12", "clang.14"]);
    let target = catalogue.find(&target.parse().unwrap()).unwrap();
    let solutions = solve(&catalogue, None);
    chosen(&catalogue, solutions.get(target, CompilerId(0)).unwrap())
}

#[test]
fn the_newest_versions_are_chosen_that_fit() {
    let versions = vec![
        package("app.1.0", &["png 1", "zlib"]),
        package("png.1.6", &["zlib 1.3"]),
        package("png.1.5", &["zlib 1"]),
        package("zlib.1.3.1", &[]),
        package("zlib.1.2.13", &[]),
        package("zlib.2.0-rc1", &[]),
        package("zlib.2.0", &["for clang.14"]),
    ];
    // zlib 2.0 is for another compiler, and neither version of png takes 2.0-rc1.
    assert_eq!(solved(versions, "app.1.0").unwrap(), ["app.1.0", "png.1.6", "zlib.1.3.1"]);
}

/// What is needed by name first is newest first: `a` before `b`, and both before what they need.
#[test]
fn what_is_needed_directly_comes_first_then_names() {
    let versions = vec![
        package("app.1", &["b", "a"]),
        package("a.2", &["z =1.0.0", "b <2"]),
        package("a.1", &[]),
        package("b.2", &[]),
        package("b.1", &[]),
        package("z.2", &[]),
        package("z.1", &[]),
    ];
    assert_eq!(solved(versions, "app.1").unwrap(), ["a.2", "app.1", "b.1", "z.1"]);
}

#[test]
fn a_choice_that_would_need_itself_is_none() {
    let versions = vec![
        package("app.1", &["a"]),
        package("a.2", &["b"]),
        package("b.2", &["c"]),
        package("c.2", &["a"]),
        package("c.1", &[]),
        package("a.1", &[]),
    ];
    assert_eq!(solved(versions.clone(), "app.1").unwrap(), ["a.2", "app.1", "b.2", "c.1"]);
    let without = |id: &str| {
        versions.iter().filter(|version| version.id.as_str() != id).cloned().collect::<Vec<_>>()
    };
    assert_eq!(solved(without("c.1"), "app.1").unwrap(), ["a.1", "app.1"]);
}

#[test]
fn an_explanation_names_packages_versions_and_requirements() {
    let mut said = String::new();
    let mut explain = |title: &str, versions: Vec<PackageVersion>, target: &str| {
        let explanation = solved(versions, target).unwrap_err();
        said += &format!("# {title}\n{explanation}\n\n");
    };
    explain(
        "two requirements",
        vec![
            package("app.1.0", &["png ^1.6", "zlib <1.3"]),
            package("png.1.6.40", &["zlib >=1.3"]),
            package("png.1.6.39", &["zlib >=1.3"]),
            package("zlib.1.3.1", &[]),
            package("zlib.1.2.13", &[]),
        ],
        "app.1.0",
    );
    explain("no such package", vec![package("app.1.0", &["zlb 1"])], "app.1.0");
    explain(
        "no such version",
        vec![package("app.1.0", &["ssl 3"]), package("ssl.1.0.2k", &[]), package("ssl.1.1", &[])],
        "app.1.0",
    );
    explain(
        "for another compiler",
        vec![package("app.1.0", &["jit 1"]), package("jit.1.2", &["for clang.14"])],
        "app.1.0",
    );
    explain(
        "broken",
        vec![package("app.1.0", &["zlib"]), broken(package("zlib.1.3", &[]))],
        "app.1.0",
    );
    explain("broken itself", vec![broken(package("zlib.1.3", &[]))], "zlib.1.3");
    explain(
        "needs itself",
        vec![package("app.1.0", &["zlib"]), package("zlib.1.3", &["zlib"])],
        "app.1.0",
    );
    explain("is what needs itself", vec![package("zlib.1.3", &["zlib"])], "zlib.1.3");
    explain("a circle of two", vec![package("a.1", &["b"]), package("b.1", &["a"])], "a.1");
    explain(
        "a circle of three below",
        vec![
            package("app.1", &["a"]),
            package("a.1", &["b"]),
            package("b.1", &["c"]),
            package("c.1", &["a"]),
        ],
        "app.1",
    );
    explain(
        "further down",
        vec![
            package("app.1", &["gui 2", "net"]),
            package("gui.2.1", &["font 1", "png"]),
            package("gui.2.0", &["font 1"]),
            package("font.1.0", &["zlib 1"]),
            package("png.1.6", &["zlib 1"]),
            package("net.3", &["tls 3"]),
            package("net.2", &["tls 2"]),
            package("tls.3.0", &["zlib 2"]),
            package("tls.2.0", &["zlib 2"]),
            package("zlib.2.0", &[]),
            package("zlib.1.3", &[]),
        ],
        "app.1",
    );
    insta::assert_snapshot!(said);
}

#[test]
fn a_package_that_is_not_for_a_compiler_is_not_asked_for_with_it() {
    let catalogue = catalogue(vec![package("jit.1", &["for clang.14"])], &["gcc.12", "clang.14"]);
    let solutions = solve(&catalogue, None);
    let of: Vec<_> = solutions.iter().map(Solved::of).collect();
    assert_eq!(of, [(VersionId(0), CompilerId(1))]);
}

/// A set of few packages with few versions, of which each needs some others.
fn set() -> impl Strategy<Value = Vec<PackageVersion>> {
    let required = prop_oneof![
        3 => Just("*"), 2 => Just("1"), 2 => Just("2"), 1 => Just("<2"), 1 => Just(">=1.1"), 1 => Just("3"),
        1 => Just("=1.0.0")
    ];
    // Mostly upwards, so that there are solutions, but now and then a circle.
    let need = (0..6_usize, 0..20_u8, required);
    let version = (prop::collection::vec(need, 0..4), 0..12_u8);
    prop::collection::vec(prop::collection::vec(version, 0..4), 1..6).prop_map(|packages| {
        let names = ["a", "b", "c", "d", "e", "f"];
        let numbers = ["1.0.0", "1.1.0", "2.0.0", "2.1.0"];
        let mut all = Vec::new();
        for (name, versions) in packages.into_iter().enumerate() {
            for (number, (needs, fate)) in versions.into_iter().enumerate() {
                let mut own: BTreeMap<&str, &str> = BTreeMap::new();
                for (need, any, required) in needs {
                    let need = if any == 0 { need } else { (name + 1 + need % 3).min(5) };
                    own.insert(names[need], required);
                }
                let mut words: Vec<String> =
                    own.iter().map(|(name, required)| format!("{name} {required}")).collect();
                if fate == 1 {
                    words.push("for clang.14".to_owned());
                }
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                let version = package(&format!("{}.{}", names[name], numbers[number]), &words);
                all.push(if fate == 0 { broken(version) } else { version });
            }
        }
        all
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn there_is_a_solution_exactly_where_brute_force_finds_one_and_it_is_the_newest(versions in set()) {
        let catalogue = catalogue(versions, &["gcc.12", "clang.14"]);
        let solutions = solve(&catalogue, None);
        for solved in solutions.iter() {
            let (target, compiler) = solved.of();
            match (solved, brute::newest(&catalogue, target, compiler)) {
                (Solved::Found(solution), newest) => {
                    prop_assert_eq!(Some(&solution.chosen), newest.as_ref());
                }
                (Solved::NoSolution { explanation, .. }, newest) => {
                    prop_assert_eq!(newest, None, "{}", explanation);
                    prop_assert!(!explanation.is_empty());
                }
            }
        }
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn what_is_remembered_is_what_would_be_found(versions in set(), others in set()) {
        let directory = tempfile::tempdir().unwrap();
        let compilers = ["gcc.12", "clang.14"];
        let (one, other) = (catalogue(versions, &compilers), catalogue(others, &compilers));
        for catalogue in [&one, &other, &one] {
            let with = solve(catalogue, Some(directory.path()));
            let without = solve(catalogue, None);
            prop_assert!(with.iter().eq(without.iter()));
        }
        let again = solve(&one, Some(directory.path()));
        prop_assert_eq!(again.known, again.iter().len());
    }

    #[test]
    fn the_order_of_packages_is_of_no_account(versions in set(), seed: u64) {
        let compilers = ["gcc.12", "clang.14"];
        let mut shuffled = versions.clone();
        // Any permutation will do.
        shuffled.sort_by_key(|version| {
            hashes::Fields::of("shuffle").number(seed).text(version.id.as_str()).finish()
        });
        let (one, other) = (catalogue(versions, &compilers), catalogue(shuffled, &compilers));
        let (one, other) = (solve(&one, None), solve(&other, None));
        prop_assert!(one.iter().eq(other.iter()));
    }
}

#[test]
fn damaged_memory_is_none() {
    let directory = tempfile::tempdir().unwrap();
    let catalogue = catalogue(vec![package("app.1", &["a"]), package("a.1", &[])], &["gcc.12"]);
    let kept = Some(directory.path());
    assert_eq!(solve(&catalogue, kept).known, 0);
    let first = solve(&catalogue, kept);
    assert_eq!(first.known, 2);
    let file = directory.path().join("solved");
    let whole = std::fs::read(&file).unwrap();
    let changed = {
        let mut changed = whole.clone();
        let at = changed.len() - 10;
        changed[at] ^= 1;
        changed
    };
    let half = whole[..whole.len() / 2].to_vec();
    for damaged in [changed, half, Vec::new(), b"{}".to_vec()] {
        std::fs::write(&file, damaged).unwrap();
        let again = solve(&catalogue, kept);
        assert_eq!(again.known, 0);
        assert!(again.iter().eq(first.iter()));
        assert_eq!(std::fs::read(&file).unwrap(), whole, "it is whole again");
    }
}

#[test]
fn only_what_could_have_been_chosen_counts() {
    let directory = tempfile::tempdir().unwrap();
    let kept = Some(directory.path());
    let base = vec![
        package("app.1", &["a"]),
        package("a.1", &["b"]),
        package("b.1", &[]),
        package("other.1", &[]),
    ];
    solve(&catalogue(base.clone(), &["gcc.12"]), kept);
    let known = |more: PackageVersion| {
        let mut versions = base.clone();
        versions.push(more);
        let catalogue = catalogue(versions, &["gcc.12"]);
        solve(&catalogue, kept).known
    };
    // Of five, those that are new or could have it are solved anew.
    assert_eq!(known(package("other.2", &[])), 4);
    assert_eq!(known(package("b.2", &[])), 2, "`b.1` and `other.1` have nothing to do with it");
    assert_eq!(known(package("unrelated.1", &["app"])), 4);
}

/// Work is counted here; `cargo xtask bench solve` takes the time.
#[test]
fn a_large_set_costs_few_questions_and_none_the_second_time() {
    let versions = larder_testkit::ecosystem::ecosystem(250);
    let versions = versions.into_iter().map(|it| {
        let needs: Vec<String> =
            it.needs.iter().map(|(name, required)| format!("{name} {required}")).collect();
        let needs: Vec<&str> = needs.iter().map(String::as_str).collect();
        package(&format!("{}.{}", it.name, it.version), &needs)
    });
    let catalogue = catalogue(versions.collect(), &["gcc.12"]);
    let directory = tempfile::tempdir().unwrap();
    let first = solve(&catalogue, Some(directory.path()));
    let count = first.iter().len();
    assert_eq!(count, 750);
    let found = first.found().count();
    assert!(found > count * 3 / 4 && found < count, "{found} of {count} have a solution");
    assert!(first.asked < count * 3, "{} questions", first.asked);
    let again = solve(&catalogue, Some(directory.path()));
    assert_eq!((again.known, again.asked), (count, 0));
    assert!(again.iter().eq(first.iter()));
}

#[test]
fn what_is_not_solved_when_it_is_stopped_is_no_failure() {
    let directory = tempfile::tempdir().unwrap();
    let catalogue = catalogue(vec![package("app.1", &["a"]), package("a.1", &[])], &["gcc.12"]);
    let stopped =
        Solver { kept: Some(directory.path()), remember: true, threads: 2, stop: &|| true };
    let solutions = stopped.solve(&catalogue, catalogue.iter().map(|(id, _)| id));
    assert_eq!(solutions.iter().len(), 0);
    assert_eq!(solve(&catalogue, Some(directory.path())).known, 0);
}
