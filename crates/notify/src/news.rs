//! How things stand and what happened lately: all that a digest is made of, as plain data.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use larder_runs::Category;
use larder_runs::result::{Stage, Status};
use larder_runs::status_index::{Change, Ending, StatusIndex};

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
    /// Which build; none for the package's blessed build, or the missing solution in its place.
    pub build: Option<Build>,
}

/// A build that is not the blessed one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Build {
    /// The one with this hash.
    Hash(String),
    /// The one with this compiler, for which there is, or was, no solution.
    Unsolved(String),
}

impl fmt::Display for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Build::Hash(name) | Build::Unsolved(name)) = self;
        f.write_str(name)
    }
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
    fn of_build(package: &str, stage: Stage, hash: &str, compiler: &str) -> Subject {
        let build = match hash {
            "" => Build::Unsolved(compiler.to_owned()),
            _ => Build::Hash(hash.to_owned()),
        };
        Subject { build: Some(build), ..Subject::blessed(package, stage) }
    }

    /// The subject of a result of the blessed build, or of what stands in its place.
    fn blessed(package: &str, stage: Stage) -> Subject {
        let stage = if stage == Stage::Solve { Stage::Build } else { stage };
        Subject { package: package.to_owned(), stage, build: None }
    }

    /// The name that people use: the package, and the stage where it is not the build.
    pub(crate) fn title(&self) -> String {
        match (self.stage, &self.build) {
            (_, Some(Build::Unsolved(compiler))) if !compiler.is_empty() => {
                format!("{} with {compiler}", self.package)
            }
            (Stage::Build, _) => self.package.clone(),
            (stage, _) => format!("{} ({stage})", self.package),
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
            subject: match failing.blessed {
                true => Subject::blessed(package, failing.stage),
                false => Subject::of_build(
                    package,
                    failing.stage,
                    &failing.build_hash,
                    &failing.compiler,
                ),
            },
            category: failing.category.clone(),
            error: failing.error.clone(),
            root: failing.is_blocked().then(|| root(package)).flatten(),
            since: failing.since_run.clone(),
        });
        let changed = |recovery: bool| {
            let changes = index.changes.iter().filter(move |c| c.is_recovery() == recovery);
            let subject = |c: &Change| match c.blessed {
                true => Subject::blessed(&c.package, c.stage),
                false => Subject::of_build(&c.package, c.stage, &c.build_hash, &c.compiler),
            };
            changes.map(subject).collect()
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
                working.insert(Subject::blessed(name, stage));
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
