//! Root failures, to mend first: those that no other explains, and what each of them blocks.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::record::{Failing, PackageStatus, StatusIndex};
use crate::Category;
use crate::result::{Outcome, Stage};

/// The failures of an index by their roots. In builds, results of every stage counted: failing ones are own
/// failures and blocked ones; each blocked one counts under its only root, or as shared. In packages: each
/// that is blocked is unblocked by one root alone, or shared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Roots {
    /// Failing results: own and blocked ones together.
    pub failing_builds: u64,
    /// Those that fail themselves.
    pub own_builds: u64,
    /// Those that were not tried because something they need failed.
    pub blocked_builds: u64,
    /// Packages with a blocked build.
    pub blocked_packages: u64,
    /// Packages that more than one root blocks: mending one of them is not enough.
    pub shared_packages: u64,
    /// The packages that fail themselves, or whose failure blocked others, by how many packages each one
    /// alone blocks, most first.
    pub roots: Vec<Root>,
}

/// A package whose failure no other failure explains.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Root {
    /// `<name>.<version>`.
    pub package: String,
    /// How many packages it alone blocks: with it mended, all of their builds can be tried.
    pub unblocks_packages: u64,
    /// How many packages it blocks, alone or with others.
    pub blocks_packages: u64,
    /// The packages that it blocks, alone or with others.
    pub blocked: Vec<String>,
    /// Its own failures, blessed ones first; none unless it fails.
    pub failures: Vec<Failing>,
    /// How it stands now.
    pub state: RootState,
}

/// How a root stands now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum RootState {
    /// It fails.
    Failing,
    /// Its build works again, whatever its tests do: what it blocks only waits to be tried.
    Mended,
    /// The set has no result of it that says so.
    Unknown,
}

impl Root {
    /// The failure that counts first; `None` unless it fails.
    pub fn failure(&self) -> Option<&Failing> {
        self.failures.first()
    }
}

/// Roots that fail alike: of one category, with one error but for names and numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RootGroup<'r> {
    /// The kind of failure; `None` for those that do not fail.
    pub category: Option<&'r Category>,
    /// The error without names and numbers: see [`normalised`].
    pub error: String,
    /// How many packages its roots unblock in all, each mended alone.
    pub unblocks_packages: u64,
    /// Its roots, as in [`Roots::roots`].
    pub roots: Vec<&'r Root>,
}

impl StatusIndex {
    /// Its failures by their roots.
    pub fn roots(&self) -> Roots {
        let explained = Explained::of(self);
        let mut blocked: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let (mut own_builds, mut blocked_builds) = (0, 0);
        for (package, failing) in self.failures() {
            if failing.is_blocked() {
                blocked_builds += 1;
                blocked.entry(package).or_default().extend(explained.roots(package, failing));
            } else {
                own_builds += 1;
            }
        }
        let mut roots: BTreeMap<&str, Root> = BTreeMap::new();
        for (package, failures) in &explained.own {
            roots.insert(package, Root::new(package, failures));
        }
        let mut shared_packages = 0;
        for (package, by) in &blocked {
            shared_packages += u64::from(by.len() > 1);
            for root in by {
                let root = roots.entry(root).or_insert_with(|| Root::new(root, &[]));
                root.blocks_packages += 1;
                root.unblocks_packages += u64::from(by.len() == 1);
                root.blocked.push((*package).to_owned());
            }
        }
        // What needs a package needs its build, and neither its tests nor its documentation.
        let may_build = |root: &&mut Root| {
            let of_build = |failing: &Failing| !matches!(failing.stage, Stage::Test | Stage::Doc);
            let only_tests = !root.failures.is_empty() && !root.blocked.is_empty();
            (root.failures.is_empty() || only_tests) && !root.failures.iter().any(of_build)
        };
        for root in roots.values_mut().filter(may_build) {
            let works = |package: &PackageStatus| {
                package.dropped_by.is_none() && package.state == Some(Outcome::Worked)
            };
            if self.packages.get(&root.package).is_some_and(works) {
                root.state = RootState::Mended;
            }
        }
        let mut roots: Vec<Root> = roots.into_values().collect();
        roots.sort_by_key(|root| std::cmp::Reverse((root.unblocks_packages, root.blocks_packages)));
        Roots {
            failing_builds: own_builds + blocked_builds,
            own_builds,
            blocked_builds,
            blocked_packages: blocked.len() as u64,
            shared_packages,
            roots,
        }
    }
}

impl Root {
    fn new(package: &str, failures: &[&Failing]) -> Root {
        Root {
            package: package.to_owned(),
            unblocks_packages: 0,
            blocks_packages: 0,
            blocked: Vec::new(),
            failures: failures.iter().map(|failing| (*failing).clone()).collect(),
            state: if failures.is_empty() { RootState::Unknown } else { RootState::Failing },
        }
    }
}

impl Roots {
    /// The roots, those that fail alike together; the groups by how many packages they unblock.
    pub fn groups(&self) -> Vec<RootGroup<'_>> {
        let mut groups: BTreeMap<(Option<&Category>, String), RootGroup<'_>> = BTreeMap::new();
        for root in &self.roots {
            let category = root.failure().map(|failing| &failing.category);
            let error = root.failure().and_then(|failing| failing.error.as_deref());
            let error = normalised(error.unwrap_or_default());
            let group = groups.entry((category, error.clone())).or_insert_with(|| RootGroup {
                category,
                error,
                unblocks_packages: 0,
                roots: Vec::new(),
            });
            group.unblocks_packages += root.unblocks_packages;
            group.roots.push(root);
        }
        let mut groups: Vec<_> = groups.into_values().collect();
        groups.sort_by_key(|group| std::cmp::Reverse((group.unblocks_packages, group.roots.len())));
        groups
    }
}

/// The packages that fail themselves, and those that fail because of others.
struct Explained<'i> {
    own: BTreeMap<&'i str, Vec<&'i Failing>>,
    /// The failed dependencies of each blocked package.
    because: BTreeMap<&'i str, BTreeSet<&'i str>>,
}

impl<'i> Explained<'i> {
    fn of(index: &'i StatusIndex) -> Explained<'i> {
        let mut explained = Explained { own: BTreeMap::new(), because: BTreeMap::new() };
        for (package, failing) in index.failures() {
            match failing.is_blocked() {
                true => {
                    let because = explained.because.entry(package).or_default();
                    because.extend(failing.failed_dep.as_deref());
                }
                false => explained.own.entry(package).or_default().push(failing),
            }
        }
        explained
    }

    /// The packages behind a blocked build: as they were recorded, or else found along the failed
    /// dependencies. A build of which nothing is known has itself to blame.
    fn roots(&self, package: &'i str, failing: &'i Failing) -> BTreeSet<&'i str> {
        if !failing.roots.is_empty() {
            return failing.roots.iter().map(String::as_str).collect();
        }
        let mut roots = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut open: Vec<&str> = vec![failing.failed_dep.as_deref().unwrap_or(package)];
        while let Some(next) = open.pop() {
            if !seen.insert(next) {
                continue;
            }
            match self.because.get(next) {
                Some(because) if !self.own.contains_key(next) => open.extend(because),
                _ => _ = roots.insert(next),
            }
        }
        if roots.is_empty() {
            roots.insert(package);
        }
        roots
    }
}

/// An error without what differs from package to package: the place in front, directories, numbers and
/// hashes.
pub fn normalised(error: &str) -> String {
    let words = without_place(error).split_whitespace().map(|word| {
        let name = word.rsplit('/').next().unwrap_or(word);
        let mut normal = String::new();
        let mut digits = false;
        for c in if is_hash(name) { "#" } else { name }.chars() {
            if !c.is_ascii_digit() {
                normal.push(c);
            } else if !digits {
                normal.push('#');
            }
            digits = c.is_ascii_digit();
        }
        normal
    });
    words.collect::<Vec<_>>().join(" ")
}

/// An error without `path:line:column:` in front.
fn without_place(error: &str) -> &str {
    let place = |part: &str| {
        let number = !part.is_empty() && part.chars().all(|c| c.is_ascii_digit());
        number || (part.contains(['.', '/']) && !part.contains(' '))
    };
    let mut rest = error.trim();
    while let Some((_, after)) = rest.split_once(':').filter(|(part, _)| place(part)) {
        rest = after.trim_start();
    }
    rest
}

fn is_hash(word: &str) -> bool {
    word.len() >= 8
        && word.chars().all(|c| c.is_ascii_hexdigit())
        && word.chars().any(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_alike_but_for_places_and_numbers_are_one() {
        for (a, b) in [
            (
                "src/fmt.ml:12:3: Error: Unbound module Foo",
                "/build/x/lib/other.ml:7: Error: Unbound module Foo",
            ),
            ("error: expected 3 arguments, got 14", "error: expected 21 arguments, got 1"),
            (
                "cannot open /tmp/9f0c66d1/a.h: No such file",
                "cannot open /build/0a/a.h: No such file",
            ),
            ("missing layer 9f0c66d1a2b3", "missing layer 41d2e0aa7c11"),
        ] {
            assert_eq!(normalised(a), normalised(b));
        }
        assert_ne!(
            normalised("Error: Unbound module Foo"),
            normalised("Error: Unbound module Bar")
        );
    }
}
