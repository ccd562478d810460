//! What the index holds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The content of `status.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusIndex {
    /// The version of this form: 1.
    pub schema_version: u32,
    /// When it last changed: RFC 3339, UTC.
    pub generated: String,
    /// The newest run it takes in; `None` when there are no histories.
    pub run_id: Option<String>,
    /// The run that `changes` and `new_packages` are relative to; `None` when there was none before.
    pub since: Option<String>,
    /// Blessed builds.
    pub blessed: Totals,
    /// All other builds.
    pub other: Totals,
    /// Builds that broke or recovered, blessed ones first, then by package.
    pub changes: Vec<Change>,
    /// Packages whose first entry is newer than `since`.
    pub new_packages: Vec<String>,
    /// Packages that the previous index had and that have no history any more.
    pub vanished_packages: Vec<String>,
    /// History lines that could not be read.
    pub broken_lines: u64,
    /// Every package, by name.
    pub packages: BTreeMap<String, PackageStatus>,
}

/// How many builds ended how.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// All of them.
    pub total: u64,
    /// By status, such as `success`.
    pub by_status: BTreeMap<String, u64>,
    /// By category, such as `build_failure`.
    pub by_category: BTreeMap<String, u64>,
}

impl Totals {
    pub(super) fn add(&mut self, status: &str, category: &str, count: u64) {
        self.total += count;
        add(&mut self.by_status, status, count);
        add(&mut self.by_category, category, count);
    }

    /// How many ended with this status.
    pub fn status(&self, status: &str) -> u64 {
        self.by_status.get(status).copied().unwrap_or(0)
    }
}

fn add(counts: &mut BTreeMap<String, u64>, key: &str, count: u64) {
    match counts.get_mut(key) {
        Some(sum) => *sum += count,
        None => {
            counts.insert(key.to_owned(), count);
        }
    }
}

/// A build that broke or recovered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// `<name>.<version>`.
    pub package: String,
    /// The build as it is now.
    pub build_hash: String,
    /// Whether it is the package's blessed build; those are compared whatever their hash, all others
    /// only with the same hash.
    pub blessed: bool,
    /// The status before.
    pub from_status: String,
    /// The status now.
    pub to_status: String,
    /// The category now.
    pub category: String,
}

impl Change {
    /// Whether it works now and did not before.
    pub fn is_recovery(&self) -> bool {
        self.to_status == crate::classify::SUCCESS
    }
}

/// Where one package stands.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PackageStatus {
    /// How its blessed build ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blessed: Option<Ending>,
    /// How many other builds ended how.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Count>,
    /// The builds that fail now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<Failing>,
    /// The builds that went back and forth.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flaky: Vec<Flaky>,
    /// The last results, at most 20, oldest first: `+` worked, `-` failed. Of the blessed builds where
    /// the package has any, of all builds where not.
    pub recent: String,
    /// The run of the oldest entry.
    pub first_run: String,
    /// The newest run before `last_run`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_run: Option<String>,
    /// The newest run.
    pub last_run: String,
    /// What changed from `previous_run` to `last_run`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    /// Lines that could not be read.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub broken_lines: u64,
    /// The history this was derived from; `None` when that was too young to tell a later change by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) file: Option<FileKey>,
}

impl PackageStatus {
    /// Whether there is no readable entry.
    pub(super) fn is_empty(&self) -> bool {
        self.last_run.is_empty()
    }
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// How a build ended: the status, such as `success`, and the category. In JSON an array of the two,
/// because there are thousands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending(pub String, pub String);

/// How many builds ended in one way: status, category, count. In JSON an array of the three.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count(pub String, pub String, pub u64);

/// A build that fails now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failing {
    /// Which build.
    pub build_hash: String,
    /// Whether it is the package's blessed build.
    pub blessed: bool,
    /// The kind of failure.
    pub category: String,
    /// The compiler's package.
    pub compiler: String,
    /// The line of the log that says what went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The dependency whose failure caused this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_dep: Option<String>,
    /// When it failed first without having worked since: RFC 3339, UTC. For a blessed build the
    /// package's blessed builds before it count.
    pub since: String,
    /// In which run that was.
    pub since_run: String,
    /// How many times in a row it has failed.
    pub times: u64,
}

/// A build that works and fails by turns, with one hash: so nothing it depends on changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Flaky {
    /// Which build.
    pub build_hash: String,
    /// How often a result differed from the one before; at least 2. Failures of a dependency do not count.
    pub transitions: u64,
}

/// By what a changed history is known: size in bytes, modification time in nanoseconds, inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileKey(pub u64, pub i64, pub u64);

impl StatusIndex {
    /// Every failing build with its package, blessed ones first.
    pub fn failures(&self) -> Vec<(&str, &Failing)> {
        let mut failures: Vec<_> = self
            .packages
            .iter()
            .flat_map(|(name, p)| p.failures.iter().map(move |f| (name.as_str(), f)))
            .collect();
        failures.sort_by_key(|(_, failing)| !failing.blessed);
        failures
    }

    /// Every flaky build with its package.
    pub fn flaky(&self) -> impl Iterator<Item = (&str, &Flaky)> {
        self.packages
            .iter()
            .flat_map(|(name, p)| p.flaky.iter().map(move |flaky| (name.as_str(), flaky)))
    }

    /// Makes the next [`super::generate`] read every history again.
    pub fn distrust(&mut self) {
        for package in self.packages.values_mut() {
            package.file = None;
        }
    }
}
