//! A result: what came of one stage of one package, in one attempt.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};

use crate::Category;
use crate::name::{HashName, PackageName};
use crate::time::milliseconds;

mod check;
mod entry;
mod words;

pub(crate) use check::is_word;
pub use entry::Entry;
pub(crate) use entry::stage_of;
pub use words::{Origin, Outcome, RunKind, Stage, Status};

/// The version of a line of a history and of a run's results. Lines without one are of the first.
pub const SCHEMA_VERSION: u32 = 2;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct Exit {
    /// Its exit code, unless a signal ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// The signal that ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// Whether it was stopped because it took too long.
    #[serde(skip_serializing_if = "is_false")]
    pub timed_out: bool,
    /// Whether it was stopped because memory ran out.
    #[serde(skip_serializing_if = "is_false")]
    pub out_of_memory: bool,
    /// Whether it was stopped because its log had grown to its limit.
    #[serde(skip_serializing_if = "is_false")]
    pub log_limit: bool,
}

/// A build of a package, or where there was no solution the package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct BuildRef {
    /// `<name>.<version>`.
    pub package: PackageName,
    /// Its build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_hash: Option<HashName>,
}

/// A log that has been kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct LogFile {
    /// Where, relative to the run's directory.
    pub path: String,
    /// Its size, in bytes.
    pub bytes: u64,
    /// The line that says what went wrong, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// Where that line begins, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// Whether it ends because it had grown to its limit.
    #[serde(default, skip_serializing_if = "is_false")]
    pub cut: bool,
}

/// The result of one stage of one package, in one attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct StageResult {
    /// `<name>.<version>`.
    #[serde(default = "unknown_package")]
    pub package: PackageName,
    /// The stage.
    #[serde(default = "build")]
    pub stage: Stage,
    /// The compiler's package.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub compiler: Option<PackageName>,
    /// The hash of its resolved dependency closure.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub universe: Option<HashName>,
    /// The hash of the solution that it is part of.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub solution: Option<HashName>,
    /// Which build; none where there was no solution.
    #[serde(
        default,
        alias = "build_hash",
        deserialize_with = "lenient",
        skip_serializing_if = "Option::is_none"
    )]
    pub build_hash: Option<HashName>,
    /// The hash of everything that the stage depended on.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub dep_hash: Option<HashName>,
    /// Whether this is the build of its package version that counts first.
    #[serde(default, skip_serializing_if = "is_false")]
    pub blessed: bool,
    /// Whether it worked.
    #[serde(deserialize_with = "status")]
    pub status: Status,
    /// The kind of result.
    pub category: Category,
    /// The rule that decided on the category.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Where the result comes from.
    #[serde(default = "built")]
    pub origin: Origin,
    /// The how manieth try in this run, from 1.
    #[serde(default = "first", skip_serializing_if = "is_first")]
    pub attempt: u32,
    /// How its process ended; none where there was no process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<Exit>,
    /// When it started.
    #[serde(default, with = "milliseconds")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub start: Timestamp,
    /// When it ended; `ts` in files.
    #[serde(rename = "ts", with = "milliseconds")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub end: Timestamp,
    /// How long it took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wall_ms: Option<u64>,
    /// The processor time that it took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ms: Option<u64>,
    /// How long it was ready and waited for its turn, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queued_ms: Option<u64>,
    /// The most memory that it held at once, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
    /// The machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// How many jobs it was allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jobs: Option<u32>,
    /// The platform that it was built for, such as `x86_64-linux`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// The line of the log that says what went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Its log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<LogFile>,
    /// The direct dependencies whose failure kept it from being tried.
    #[serde(
        default,
        alias = "failedDep",
        alias = "failed_dep",
        deserialize_with = "dependencies",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub failed_dependencies: Vec<BuildRef>,
    /// The failures behind those, which no other failure explains.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub root_failures: Vec<BuildRef>,
}

impl StageResult {
    /// A stage that worked, from `start` to `end`; everything that is not given is unknown.
    pub fn success(package: PackageName, stage: Stage, start: Timestamp, end: Timestamp) -> Self {
        StageResult {
            package,
            stage,
            compiler: None,
            universe: None,
            solution: None,
            build_hash: None,
            dep_hash: None,
            blessed: false,
            status: Status::Success,
            category: Category::Success,
            rule: None,
            origin: Origin::Built,
            attempt: 1,
            exit: None,
            start,
            end,
            wall_ms: None,
            cpu_ms: None,
            queued_ms: None,
            peak_memory_bytes: None,
            host: None,
            jobs: None,
            platform: None,
            error: None,
            log: None,
            failed_dependencies: Vec::new(),
            root_failures: Vec::new(),
        }
    }

    /// The same stage as one that failed.
    pub fn failed(self, category: Category, error: Option<String>) -> Self {
        StageResult { status: Status::Failure, category, error, ..self }
    }

    /// The build that it is about.
    pub fn build(&self) -> BuildRef {
        BuildRef { package: self.package.clone(), build_hash: self.build_hash.clone() }
    }

    /// Whether it worked.
    pub fn is_success(&self) -> bool {
        self.status == Status::Success
    }

    /// Its meaning for the package.
    pub fn outcome(&self) -> Outcome {
        Outcome::of(self.stage, self.is_success(), &self.category)
    }
}

fn unknown_package() -> PackageName {
    PackageName::unknown()
}

fn build() -> Stage {
    Stage::Build
}

fn built() -> Origin {
    Origin::Built
}

fn first() -> u32 {
    1
}

fn is_first(attempt: &u32) -> bool {
    *attempt == 1
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// Anything but success is a failure.
fn status<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Status, D::Error> {
    let word = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
    Ok(if word == Status::Success.name() { Status::Success } else { Status::Failure })
}

/// A name that follows its grammar, or none: other programs leave names empty.
fn lenient<'de, D: Deserializer<'de>, T: std::str::FromStr>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let text = Option::<std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
    Ok(text.and_then(|text| text.parse().ok()))
}

/// A list of builds, or as in lines of the first version the name of one package.
fn dependencies<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<BuildRef>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        List(Vec<BuildRef>),
        Name(Option<String>),
    }
    Ok(match Form::deserialize(deserializer)? {
        Form::List(list) => list,
        Form::Name(name) => {
            let package = name.and_then(|name| name.parse().ok());
            package.map(|package| BuildRef { package, build_hash: None }).into_iter().collect()
        }
    })
}
