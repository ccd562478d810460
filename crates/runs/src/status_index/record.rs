//! The content of the index.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::Category;
use crate::name::run_order;
use crate::result::{Outcome, Stage, Status};

/// The content of `status.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct StatusIndex {
    /// The version of this form: 3.
    pub schema_version: u32,
    /// When it last changed: RFC 3339, UTC.
    pub generated: String,
    /// The newest run that a history has; `None` when there are no histories.
    pub run_id: Option<String>,
    /// The newest full run that a history has.
    pub full_run: Option<String>,
    /// The run that changes are relative to, for packages that the newest full run covered: the last full run
    /// before that came to its end; `None` when there was none.
    pub since: Option<String>,
    /// The newest full run of the whole set, where it has not come to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfinished: Option<Unfinished>,
    /// The full runs that were taken for unfinished.
    #[serde(default)]
    pub unfinished_runs: BTreeSet<String>,
    /// Numbers of packages.
    pub numbers: Numbers,
    /// Builds that count first, one a package at most; or, where a package has no blessed build, its missing
    /// solution.
    pub blessed: Totals,
    /// All other builds and missing solutions.
    pub other: Totals,
    /// Results of the stage test.
    pub tests: Totals,
    /// Results of the stage doc.
    pub docs: Totals,
    /// Results that broke or recovered, blessed ones first, then by package.
    pub changes: Vec<Change>,
    /// Packages that no full run before the newest had that came to its end, though one told of the set.
    pub new_packages: Vec<String>,
    /// Packages that the newest full run was the first to leave out, and those whose history is gone.
    pub vanished_packages: Vec<String>,
    /// History lines that could not be read.
    pub broken_lines: u64,
    /// Every package that has a history, by name.
    pub packages: BTreeMap<String, PackageStatus>,
}

/// A full run of the whole set that has not come to its end: what it did not reach stands as before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Unfinished {
    /// The run.
    pub run_id: String,
    /// `running`, `interrupted` or `died`.
    pub state: String,
    /// How many packages it did not reach, of those that it was asked for and those of the runs before.
    pub packages_not_reached: u64,
    /// How many of these have no results from before, either.
    #[serde(default)]
    pub packages_unknown: u64,
}

impl Unfinished {
    /// How far it came, for people: "2 packages it has not reached stand as before".
    pub fn in_words(&self) -> String {
        let standing = self.packages_not_reached.saturating_sub(self.packages_unknown);
        let packages = |count: u64| match count {
            1 => "1 package".to_owned(),
            _ => format!("{count} packages"),
        };
        let stand = if standing == 1 { "stands" } else { "stand" };
        match (standing, self.packages_unknown) {
            (0, 0) => "it has reached every package".to_owned(),
            (_, 0) => format!("{} it has not reached {stand} as before", packages(standing)),
            (0, _) => format!(
                "nothing is known of {} it has not reached",
                packages(self.packages_unknown)
            ),
            (_, unknown) => format!(
                "of what it has not reached, {} {stand} as before, and nothing is known of {}",
                packages(standing),
                packages(unknown)
            ),
        }
    }
}

/// Numbers of packages, by what they are. Those that have left the set are in no sum but their own.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Numbers {
    /// Worked, failed, blocked, unsolved and unknown ones together.
    pub packages: u64,
    /// Those that work.
    pub worked_packages: u64,
    /// Those that fail themselves.
    pub failed_packages: u64,
    /// Those that were not tried because something they need failed.
    pub blocked_packages: u64,
    /// Those for which no versions fit together.
    pub unsolved_packages: u64,
    /// Those of which only tests, documentation or comparisons are known.
    pub unknown_packages: u64,
    /// Those that have left the set.
    pub dropped_packages: u64,
}

impl Numbers {
    /// How many packages stand how: the parts of `packages`.
    pub fn by_state(&self) -> [(Option<Outcome>, u64); 5] {
        [
            (Some(Outcome::Worked), self.worked_packages),
            (Some(Outcome::Failed), self.failed_packages),
            (Some(Outcome::Blocked), self.blocked_packages),
            (Some(Outcome::Unsolved), self.unsolved_packages),
            (None, self.unknown_packages),
        ]
    }

    pub(super) fn add(&mut self, package: &PackageStatus) {
        if package.dropped_by.is_some() {
            self.dropped_packages += 1;
            return;
        }
        self.packages += 1;
        match package.state {
            Some(Outcome::Worked) => self.worked_packages += 1,
            Some(Outcome::Failed) => self.failed_packages += 1,
            Some(Outcome::Blocked) => self.blocked_packages += 1,
            Some(Outcome::Unsolved) => self.unsolved_packages += 1,
            None => self.unknown_packages += 1,
        }
    }
}

/// How many results ended how.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// All of them.
    pub total: u64,
    /// By status.
    pub by_status: BTreeMap<Status, u64>,
    /// By category.
    pub by_category: BTreeMap<Category, u64>,
}

impl Totals {
    pub(super) fn add(&mut self, Ending(status, category): &Ending, count: u64) {
        self.total += count;
        *self.by_status.entry(*status).or_default() += count;
        *self.by_category.entry(category.clone()).or_default() += count;
    }

    /// How many worked.
    pub fn worked(&self) -> u64 {
        self.by_status.get(&Status::Success).copied().unwrap_or(0)
    }
}

/// A result that broke or recovered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// `<name>.<version>`.
    pub package: String,
    /// The stage; build where a solution went missing or came back.
    pub stage: Stage,
    /// The build as it is now; empty where there is no solution, or was none with a compiler whose build is not blessed.
    pub build_hash: String,
    /// The compiler's package; empty when unknown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub compiler: String,
    /// Whether it is the package's blessed build, or what stands in its place; those are compared whatever
    /// their hash, all others only with the same hash.
    pub blessed: bool,
    /// The status before.
    pub from_status: Status,
    /// The status now.
    pub to_status: Status,
    /// The category now.
    pub category: Category,
}

impl Change {
    /// Whether it works now and did not before.
    pub fn is_recovery(&self) -> bool {
        self.to_status == Status::Success
    }
}

/// How one stage of a package's builds ended.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct StageStatus {
    /// Of its blessed build.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blessed: Option<Ending>,
    /// How many other builds ended how.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Count>,
}

impl StageStatus {
    /// Whether it has no results.
    pub fn is_empty(&self) -> bool {
        self.blessed.is_none() && self.others.is_empty()
    }
}

/// Where one package stands.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PackageStatus {
    /// Its state, by its blessed build, or the worst of its builds where none is blessed; `None` where it has
    /// no builds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<Outcome>,
    /// How its blessed build ended; or, without one, its missing solution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blessed: Option<Ending>,
    /// How many other builds ended how.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Count>,
    /// Its tests.
    #[serde(default, skip_serializing_if = "StageStatus::is_empty")]
    pub test: StageStatus,
    /// Its documentation.
    #[serde(default, skip_serializing_if = "StageStatus::is_empty")]
    pub doc: StageStatus,
    /// The results that are failures now, blessed ones first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<Failing>,
    /// The stages that go back and forth.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flaky: Vec<Flaky>,
    /// The last results, at most 20, one a run, oldest first: `+` it worked, `-` it did not.
    pub recent: String,
    /// The first run that it ever was in.
    pub first_run: String,
    /// The newest full run that covered it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full_run: Option<String>,
    /// The last full run before that which came to its end: changes are relative to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_run: Option<String>,
    /// The newest run of any kind.
    pub last_run: String,
    /// The full run that no longer had it: it has left the set, and counts nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped_by: Option<String>,
    /// The changes since `previous_run`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    /// Lines that could not be read.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub broken_lines: u64,
    /// The history this was derived from; `None` when that was too young to tell a later change by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) file: Option<FileKey>,
    /// The changes since the run that is asked for, where the history had to be read anyway.
    #[serde(skip)]
    pub(super) since_asked: Option<Vec<Change>>,
}

impl PackageStatus {
    /// Whether there is no readable entry.
    pub(super) fn is_empty(&self) -> bool {
        self.last_run.is_empty()
    }

    /// Whether the history from which this was derived can have an entry of a full run.
    pub(super) fn may_have_been_in(&self, run: &str) -> bool {
        run_order(&self.first_run, run).is_le()
            && self.full_run.as_deref().is_some_and(|newest| run_order(run, newest).is_le())
    }
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// How a result ended: the status and the category. In JSON an array of the two, because there are
/// thousands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Ending(pub Status, pub Category);

/// How many results ended in one way: status, category, count. In JSON an array of the three.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Count(pub Status, pub Category, pub u64);

/// A result that is a failure now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Failing {
    /// The stage.
    pub stage: Stage,
    /// Which build; empty where there is no solution.
    pub build_hash: String,
    /// Whether it is the package's blessed build, or the missing solution that stands in its place.
    pub blessed: bool,
    /// The kind of failure.
    pub category: Category,
    /// The compiler's package; empty when unknown.
    pub compiler: String,
    /// The line of the log that says what went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The dependency whose failure kept it from being tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_dep: Option<String>,
    /// The packages behind that, as they were recorded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roots: Vec<String>,
    /// When it failed first without having worked since: RFC 3339, UTC. For a blessed build the
    /// package's blessed builds before it count.
    pub since: String,
    /// In which run that was.
    pub since_run: String,
    /// In how many runs in a row it has failed.
    pub times: u64,
}

impl Failing {
    /// Whether it was not tried because something it needs failed.
    pub fn is_blocked(&self) -> bool {
        self.category == Category::DependencyFailure
    }
}

/// A stage of a package that works and fails by turns with one compiler.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Flaky {
    /// The stage.
    pub stage: Stage,
    /// The compiler's package; empty when unknown.
    pub compiler: String,
    /// Its last build.
    pub build_hash: String,
    /// How often a result differed from the one before.
    pub transitions: u64,
    /// How many results were looked at.
    pub results: u64,
    /// How many of those were failures.
    pub failures: u64,
}

impl Flaky {
    /// The part of the results that were failures, from 0 to 1.
    pub fn rate(&self) -> f64 {
        self.failures as f64 / self.results.max(1) as f64
    }
}

/// By what a changed history is known: size in bytes, modification time in nanoseconds, inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct FileKey(pub u64, pub i64, pub u64);

impl StatusIndex {
    /// Every failing result of the set with its package, blessed ones first.
    pub fn failures(&self) -> Vec<(&str, &Failing)> {
        let mut failures: Vec<_> = self
            .standing()
            .flat_map(|(name, p)| p.failures.iter().map(move |f| (name, f)))
            .collect();
        failures.sort_by_key(|(_, failing)| !failing.blessed);
        failures
    }

    /// Every flaky stage of the set with its package.
    pub fn flaky(&self) -> impl Iterator<Item = (&str, &Flaky)> {
        self.standing().flat_map(|(name, p)| p.flaky.iter().map(move |flaky| (name, flaky)))
    }

    /// The packages of the set: all but those that have left it.
    pub fn standing(&self) -> impl Iterator<Item = (&str, &PackageStatus)> {
        let packages = self.packages.iter().filter(|(_, package)| package.dropped_by.is_none());
        packages.map(|(name, package)| (name.as_str(), package))
    }

    /// Makes the next [`super::generate`] read every history again.
    pub fn distrust(&mut self) {
        for package in self.packages.values_mut() {
            package.file = None;
        }
    }
}
