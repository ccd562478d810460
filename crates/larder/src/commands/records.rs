//! Common parts of the commands that read run data: how runs and packages are asked for, and shown.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use larder_runs::name::{Named, PackageName, RunId};
use larder_runs::result::Stage;
use larder_runs::run_log::{self, RunRecord};
use larder_runs::status_index::Failing;
use larder_runs::{DataDir, history, time};
use serde_json::json;

use super::here;
use crate::exit::Failure;
use crate::table::age;

/// The option that says where the data of the ecosystem are.
#[derive(Args, Default)]
pub struct Data {
    /// The data directory; else $LARDER_DATA_DIR, else .larder/data beside larder-set.toml
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

impl Data {
    /// The data directory, which need not be there yet.
    ///
    /// # Errors
    /// When none is given or found.
    pub fn find(&self) -> Result<DataDir, Failure> {
        DataDir::find(self.data_dir.as_deref(), here()).ok_or_else(|| {
            Failure::wrong(
                "no data directory: give --data-dir DIR, set LARDER_DATA_DIR, or work beside \
                 larder-set.toml",
            )
        })
    }

    /// The data directory, which is there.
    ///
    /// # Errors
    /// When none is given, found or there.
    pub fn open(&self) -> Result<DataDir, Failure> {
        let data = self.find()?;
        if !data.root().is_dir() {
            let root = data.root().display();
            return Err(Failure::wrong(format!(
                "there is no data directory {root}: `larder batch` makes one"
            )));
        }
        Ok(data)
    }

    /// The same where it was given, else what `before` says: `--data-dir` may stand before or after the
    /// action of a command.
    pub fn or<'a>(&'a self, before: &'a Data) -> &'a Data {
        if self.data_dir.is_some() { self } else { before }
    }
}

/// A run as it is asked for.
#[derive(Clone)]
pub enum Which {
    /// The newest.
    Latest,
    /// This one.
    Id(RunId),
}

impl FromStr for Which {
    type Err = String;
    fn from_str(text: &str) -> Result<Which, String> {
        match text {
            "latest" => Ok(Which::Latest),
            _ => text.parse().map(Which::Id).map_err(|error: larder_runs::Error| {
                let hint = if nearest(text, ["latest"]).is_some() {
                    "; did you mean latest?"
                } else {
                    "; or latest"
                };
                format!("{error}{hint}")
            }),
        }
    }
}

impl Which {
    /// The run, which there has to be.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn find(&self, data: &DataDir) -> Result<RunRecord, Failure> {
        let runs = data.runs();
        let mut ids = run_log::run_ids(&runs)?;
        let id = match self {
            Which::Latest => ids.pop(),
            Which::Id(id) => Some(id.clone()),
        };
        let run = id.as_ref().map_or(Ok(None), |id| run_log::read_run(&runs, id))?;
        run.ok_or_else(|| {
            let which = id.as_ref().map_or("no run yet".to_owned(), |id| format!("no run {id}"));
            let near = id.and_then(|id| nearest(id.as_str(), ids.iter().map(RunId::as_str)));
            let near = near.map_or(String::new(), |near| format!(": did you mean {near}?"));
            Failure::failed(format!("there is {which} in {}{near}", runs.display()))
                .hint("`larder runs` lists them")
        })
    }
}

/// The packages with a history that are asked for: at least one.
///
/// # Errors
/// When there are none, or packages cannot be listed.
pub fn known_packages(data: &DataDir, wanted: &Named) -> Result<Vec<PackageName>, Failure> {
    let (text, name) = match wanted {
        Named::Version(package) => {
            if history::exists(&data.packages(), package)? {
                return Ok(vec![package.clone()]);
            }
            (package.as_str(), package.name())
        }
        Named::Name(name) => (name.as_str(), name.as_str()),
    };
    let all = history::packages(&data.packages())?;
    let versions: Vec<PackageName> =
        all.iter().filter(|package| package.name() == name).cloned().collect();
    if !versions.is_empty() && matches!(wanted, Named::Name(_)) {
        return Ok(versions);
    }
    let failure = Failure::failed(format!("there is no history of {text}"));
    if !versions.is_empty() {
        let known: Vec<&str> = versions.iter().map(PackageName::as_str).collect();
        return Err(failure.hint(format!("there are {}", known.join(", "))));
    }
    Err(match nearest(name, all.iter().map(PackageName::name)) {
        Some(near) => failure.hint(format!("did you mean {near}?")),
        None => failure,
    })
}

/// The one of several words that another was meant to be, where one is near enough.
pub fn nearest<'w>(word: &str, known: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let near = |known: &&str| strsim::damerau_levenshtein(word, known);
    let best = known.into_iter().min_by_key(near)?;
    (near(&best) <= word.len().div_ceil(3)).then_some(best)
}

/// A record as an event: an object with its kind.
pub fn event(kind: &str, record: &impl serde::Serialize) -> serde_json::Value {
    let mut object = json!(record);
    object["event"] = kind.into();
    object
}

/// How long ago a time of the data was, for people; empty when it cannot be read.
pub fn ago(text: &str) -> String {
    let since = time::parse_time(text).map(|since| time::seconds_between(since, time::now()));
    since.map_or(String::new(), age)
}

/// The first characters of a hash: enough for people.
pub fn short(hash: &str) -> String {
    hash.chars().take(12).collect()
}

/// A number of things: `1 package`, `2 packages`.
pub fn plural(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// The category of a failure, with its stage where that does not go without saying.
pub fn failure_kind(failing: &Failing) -> String {
    match failing.stage {
        Stage::Solve | Stage::Build => failing.category.to_string(),
        stage => format!("{stage}: {}", failing.category),
    }
}
