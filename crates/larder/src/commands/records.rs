//! What the commands that read run data have in common: how runs and packages are asked for, and shown.

use std::str::FromStr;

use larder_runs::name::{PackageName, RunId};
use larder_runs::run_log::{self, RunRecord};
use larder_runs::{DataDir, history, time};
use serde_json::json;

use super::App;
use crate::table::age;

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
    /// The run, or `None` when there is none, which has been said.
    pub fn find(&self, app: &App, data: &DataDir) -> larder_runs::Result<Option<RunRecord>> {
        let runs = data.runs();
        let mut ids = run_log::run_ids(&runs)?;
        let id = match self {
            Which::Latest => ids.pop(),
            Which::Id(id) => Some(id.clone()),
        };
        let run = id.as_ref().map_or(Ok(None), |id| run_log::read_run(&runs, id))?;
        if run.is_none() {
            let what = id.as_ref().map_or("no run yet".to_owned(), |id| format!("no run {id}"));
            let near = id.and_then(|id| nearest(id.as_str(), ids.iter().map(RunId::as_str)));
            let hint = near.map_or(String::new(), |near| format!(": did you mean {near}?"));
            app.ui.error(&format!("there is {what} in {}{hint}", runs.display()));
            app.ui.status("`larder runs` lists them");
        }
        Ok(run)
    }
}

/// A package as it is asked for.
#[derive(Clone)]
pub enum Named {
    /// This version.
    Version(PackageName),
    /// Every version of this name.
    Name(String),
}

impl FromStr for Named {
    type Err = larder_runs::Error;
    fn from_str(text: &str) -> Result<Named, larder_runs::Error> {
        match text.parse() {
            Ok(package) => Ok(Named::Version(package)),
            Err(error) => match format!("{text}.0").parse::<PackageName>() {
                Ok(package) if package.name() == text => Ok(Named::Name(text.to_owned())),
                _ => Err(error),
            },
        }
    }
}

/// The packages with a history that are asked for. None when there are none, which has been said.
///
/// # Errors
/// When the packages cannot be listed.
pub fn known_packages(
    app: &App,
    data: &DataDir,
    wanted: &Named,
) -> larder_runs::Result<Vec<PackageName>> {
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
    app.ui.error(&format!("there is no history of {text}"));
    if !versions.is_empty() {
        let known: Vec<&str> = versions.iter().map(PackageName::as_str).collect();
        app.ui.status(&format!("there are {}", known.join(", ")));
    } else if let Some(near) = nearest(name, all.iter().map(PackageName::name)) {
        app.ui.status(&format!("did you mean {near}?"));
    }
    Ok(Vec::new())
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
