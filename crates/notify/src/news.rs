//! How things stand and what happened lately: all that a digest is made of, as plain data.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use larder_runs::Category;
use larder_runs::result::{Stage, Status};
use larder_runs::status_index::{Ending, StatusIndex};

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
    /// Subjects that work and did not before.
    pub mended: BTreeSet<Subject>,
    /// Blessed builds that work.
    pub working: BTreeSet<Subject>,
    /// Packages that are new.
    pub new_packages: Vec<String>,
    /// Packages that are gone.
    pub gone_packages: Vec<String>,
    /// Stages that work and fail by turns: a line each.
    pub flaky: Vec<String>,
}

/// The subject of a piece of news.
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
    /// The subject.
    pub subject: Subject,
    /// The kind of failure.
    pub category: Category,
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
    /// The subject of a result. That there is no solution is said of the build.
    fn new(package: &str, stage: Stage, build: &str, blessed: bool) -> Subject {
        let stage = if stage == Stage::Solve { Stage::Build } else { stage };
        let build = (!blessed).then(|| build.to_owned());
        Subject { package: package.to_owned(), stage, build }
    }

    /// The name that people use: the package, and the stage where it is not the build.
    pub(crate) fn title(&self) -> String {
        match self.stage {
            Stage::Build => self.package.clone(),
            stage => format!("{} ({stage})", self.package),
        }
    }
}

impl From<&StatusIndex> for News {
    fn from(index: &StatusIndex) -> News {
        let roots = index.roots();
        // What several block is counted once, under the one that blocks most.
        let mut root_of: BTreeMap<&str, &str> = BTreeMap::new();
        for root in &roots.roots {
            for blocked in root.blocked.iter().filter(|blocked| **blocked != root.package) {
                root_of.entry(blocked).or_insert(&root.package);
            }
        }
        let root = |package: &str| root_of.get(package).map(|root| (*root).to_owned());
        let failing = index.failures().into_iter().map(|(package, failing)| Failure {
            subject: Subject::new(package, failing.stage, &failing.build_hash, failing.blessed),
            category: failing.category.clone(),
            error: failing.error.clone(),
            root: failing.is_blocked().then(|| root(package)).flatten(),
            since: failing.since_run.clone(),
        });
        let changed = |recovery: bool| {
            let changes = index.changes.iter().filter(move |c| c.is_recovery() == recovery);
            changes.map(|c| Subject::new(&c.package, c.stage, &c.build_hash, c.blessed)).collect()
        };
        let flaky = index.flaky().map(|(name, flaky)| {
            format!("{name} ({}: {} of {} failed)", flaky.stage, flaky.failures, flaky.results)
        });
        News {
            run: index.run_id.clone().unwrap_or_else(|| "(no run)".to_owned()),
            since: index.since.clone().unwrap_or_default(),
            worked_packages: index.numbers.worked_packages,
            packages: index.numbers.packages,
            failing: failing.collect(),
            broken: changed(false),
            mended: changed(true),
            working: working(index),
            new_packages: index.new_packages.clone(),
            gone_packages: index.vanished_packages.clone(),
            flaky: flaky.collect(),
        }
    }
}

/// Every blessed result that is a success.
fn working(index: &StatusIndex) -> BTreeSet<Subject> {
    let works = |ending: &Option<Ending>| {
        ending.as_ref().is_some_and(|Ending(status, _)| *status == Status::Success)
    };
    let mut working = BTreeSet::new();
    for (name, package) in index.standing() {
        for (stage, ending) in [
            (Stage::Build, &package.blessed),
            (Stage::Test, &package.test.blessed),
            (Stage::Doc, &package.doc.blessed),
        ] {
            if works(ending) {
                working.insert(Subject::new(name, stage, "", true));
            }
        }
    }
    working
}

/// Who keeps a package: addresses, by `<name>` or by `<name>.<version>`, which counts first.
pub type Maintainers = BTreeMap<String, Vec<String>>;

/// The addresses of those who keep a package.
pub(crate) fn keepers<'a>(maintainers: &'a Maintainers, package: &str) -> &'a [String] {
    let name = package.split_once('.').map_or(package, |(name, _)| name);
    maintainers.get(package).or_else(|| maintainers.get(name)).map_or(&[], Vec::as_slice)
}
