//! How things stand and what happened lately: all that a digest is made of, as plain data.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use larder_runs::classify::{DEPENDENCY_FAILURE, SUCCESS, Stage};
use larder_runs::status_index::{Failing, StatusIndex};

/// How an ecosystem stands, and what changed.
#[derive(Debug, Clone, Default)]
pub struct News {
    /// The newest run.
    pub run: String,
    /// The run that changes are relative to; empty when there was none before.
    pub since: String,
    /// How many packages work.
    pub worked_packages: u64,
    /// How many packages there are.
    pub packages: u64,
    /// Everything that fails.
    pub failing: Vec<Failure>,
    /// Of what fails, that which did not before.
    pub broken: BTreeSet<Subject>,
    /// What works and did not before.
    pub mended: BTreeSet<Subject>,
    /// Blessed builds that work.
    pub working: BTreeSet<Subject>,
    /// Packages that are new.
    pub new_packages: Vec<String>,
    /// Packages that are gone.
    pub gone_packages: Vec<String>,
    /// What works and fails by turns: a line each.
    pub flaky: Vec<String>,
}

/// What a piece of news is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    /// `<name>.<version>`.
    pub package: String,
    /// The stage.
    pub stage: Stage,
    /// The build's hash; none for the package's blessed build, whatever its hash.
    pub build: Option<String>,
}

/// Something that fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What.
    pub subject: Subject,
    /// The kind of failure.
    pub category: String,
    /// The line that tells why.
    pub error: Option<String>,
    /// The package whose failure is behind this one; none for a root failure.
    pub root: Option<String>,
    /// In which run it failed first without having worked since.
    pub since: String,
}

impl fmt::Display for Subject {
    /// In one word or several: unique, and fit to be a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.package, self.stage)?;
        self.build.iter().try_for_each(|build| write!(f, " {build}"))
    }
}

impl Subject {
    /// What people call it: the package, and the stage where it is not the build.
    pub(crate) fn title(&self) -> String {
        match self.stage {
            Stage::Build | Stage::Solve => self.package.clone(),
            stage => format!("{} ({stage})", self.package),
        }
    }
}

impl From<&StatusIndex> for News {
    fn from(index: &StatusIndex) -> News {
        let subject = |package: &str, build: &str, blessed: bool| Subject {
            package: package.to_owned(),
            stage: Stage::Build,
            build: (!blessed).then(|| build.to_owned()),
        };
        let changed = |recovery: bool| {
            let changes = index.changes.iter().filter(move |c| c.is_recovery() == recovery);
            changes.map(|c| subject(&c.package, &c.build_hash, c.blessed)).collect()
        };
        let failing = index.failures().into_iter().map(|(package, failing)| Failure {
            subject: subject(package, &failing.build_hash, failing.blessed),
            category: failing.category.to_string(),
            error: failing.error.clone(),
            root: root(index, failing),
            since: failing.since_run.clone(),
        });
        let works = |package: &larder_runs::status_index::PackageStatus| {
            package.blessed.as_ref().is_some_and(|ending| ending.0 == SUCCESS)
        };
        News {
            run: index.run_id.clone().unwrap_or_default(),
            since: index.since.clone().unwrap_or_default(),
            worked_packages: index.blessed.status(SUCCESS),
            packages: index.blessed.total,
            failing: failing.collect(),
            broken: changed(false),
            mended: changed(true),
            working: index
                .packages
                .iter()
                .filter(|(_, package)| works(package))
                .map(|(name, _)| subject(name, "", true))
                .collect(),
            new_packages: index.new_packages.clone(),
            gone_packages: index.vanished_packages.clone(),
            flaky: index
                .flaky()
                .map(|(name, flaky)| format!("{name} ({} times)", flaky.transitions))
                .collect(),
        }
    }
}

/// The package at the beginning of a cascade: the failed dependency that did not fail because of another.
fn root(index: &StatusIndex, failing: &Failing) -> Option<String> {
    let mut root = None;
    let mut next =
        failing.failed_dep.as_deref().filter(|_| failing.category == *DEPENDENCY_FAILURE);
    let mut seen = BTreeSet::new();
    while let Some(package) = next.filter(|package| seen.insert(*package)) {
        root = Some(package);
        let failures = index.packages.get(package).map(|found| found.failures.as_slice());
        let blocked =
            failures.and_then(|found| found.first()).filter(|f| f.category == *DEPENDENCY_FAILURE);
        next = blocked.and_then(|failing| failing.failed_dep.as_deref());
    }
    root.map(str::to_owned)
}

/// Who keeps a package: addresses, by `<name>` or by `<name>.<version>`, which counts first.
pub type Maintainers = BTreeMap<String, Vec<String>>;

/// The addresses of those who keep a package.
pub(crate) fn keepers<'a>(maintainers: &'a Maintainers, package: &str) -> &'a [String] {
    let name = package.split_once('.').map_or(package, |(name, _)| name);
    maintainers.get(package).or_else(|| maintainers.get(name)).map_or(&[], Vec::as_slice)
}
