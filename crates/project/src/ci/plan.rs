//! Which jobs have to run: the key of each, and whether its result is known.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use super::key::{Image, Ingredients, Keyed, Keys};
use crate::{
    diagnostic::{Diagnostic, Diagnostics, suggest},
    manifest::CiJob,
    parallel,
};

/// How many keys are asked for at once.
const PROBES: usize = 16;

/// A service's answer about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// The result is there.
    Hit,
    /// It is not.
    Miss,
    /// It was, and counts no more; why.
    Lapsed(String),
    /// Nobody can tell; why.
    Unknown(String),
}

impl Probe {
    /// `hit`, `miss` or `unknown`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss | Self::Lapsed(_) => "miss",
            Self::Unknown(_) => "unknown",
        }
    }

    /// Why it is no plain hit or miss.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Lapsed(reason) | Self::Unknown(reason) => Some(reason),
            Self::Hit | Self::Miss => None,
        }
    }
}

/// One job of a plan.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedJob {
    /// Its name.
    pub name: String,
    /// Its key.
    pub key: String,
    /// `hit`, `miss` or `unknown`.
    pub probe: &'static str,
    /// Whether it need not run: its exact result is there.
    pub skip: bool,
    /// Beginnings of keys of similar results, the most similar first: what a cache may restore from.
    pub near: Vec<String>,
    /// The jobs that it needs.
    pub needs: Vec<String>,
    /// For how long its result counts, such as `30d`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// Why nobody could tell, or why a result that was there counts no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Whether the tools of this machine count for the job `only` or one that it needs, or for any job.
pub fn uses_tools(keys: &Keys, only: Option<&str>) -> bool {
    let jobs = keys.manifest().map_or(&[][..], |manifest| &manifest.ci.jobs);
    needs_first(jobs, only).iter().any(|job| job.toolchain)
}

/// Returns the key of the job called `name`.
///
/// # Errors
/// When there is no such job, and everything wrong with what its key is made from.
pub fn job_key(keys: &Keys, name: &str) -> Result<Keyed, Diagnostics> {
    let jobs = keys.manifest().map_or(&[][..], |manifest| &manifest.ci.jobs);
    if !jobs.iter().any(|job| *job.name == name) {
        let message = format!("there is no job `{name}` under [ci.jobs]");
        let known = suggest(name, jobs.iter().map(|job| job.name.as_str()));
        return Err(match known {
            Some(known) => Diagnostic::new(message).help(format!("did you mean `{known}`?")).into(),
            None => Diagnostic::new(message).into(),
        });
    }
    let mut all = all_keys(keys, Some(name))?;
    // It is among the jobs, so it has a key.
    all.remove(name).ok_or_else(|| Diagnostic::new(format!("job `{name}` has no key")).into())
}

/// Returns all jobs, sorted by name, each with its key and what `probe` says of it.
/// All are asked for at once.
///
/// # Errors
/// Everything wrong with what the keys are made from. That nobody can tell whether a result is there
/// is no error: the job then runs.
pub fn plan(
    keys: &Keys,
    probe: impl Fn(&str) -> Probe + Sync,
) -> Result<Vec<PlannedJob>, Diagnostics> {
    let mut keyed = all_keys(keys, None)?;
    let jobs = keys.manifest().map_or(&[][..], |manifest| &manifest.ci.jobs);
    let jobs: Vec<(&CiJob, Keyed)> =
        jobs.iter().filter_map(|job| Some((job, keyed.remove(job.name.as_str())?))).collect();
    let probes = parallel::map(&jobs, PROBES, |(_, keyed)| probe(&keyed.key));
    let planned = jobs.into_iter().zip(probes).map(|((job, keyed), probe)| PlannedJob {
        name: job.name.value.clone(),
        key: keyed.key,
        skip: probe == Probe::Hit,
        probe: probe.as_str(),
        near: keyed.near,
        needs: job.needs.iter().map(|need| need.value.clone()).collect(),
        expires: job.expires.as_ref().map(ToString::to_string),
        reason: probe.reason().map(str::to_owned),
    });
    Ok(planned.collect())
}

/// The keys of all jobs, or of `only` and what it needs.
fn all_keys(keys: &Keys, only: Option<&str>) -> Result<HashMap<String, Keyed>, Diagnostics> {
    let Some(manifest) = keys.manifest() else { return Ok(HashMap::new()) };
    let mut found: HashMap<String, Keyed> = HashMap::new();
    let mut errors = Vec::new();
    for job in needs_first(&manifest.ci.jobs, only) {
        let needs = job
            .needs
            .iter()
            .filter_map(|need| Some((need.value.clone(), found.get(need.as_str())?.key.clone())));
        let below = |path: &str| keys.root().join(path);
        let ingredients = Ingredients {
            inputs: job.inputs.clone(),
            exclude: job.exclude.clone(),
            image: job.context.as_ref().map(|context| Image {
                context: below(context),
                containerfile: job.containerfile.as_ref().map(|path| below(path)),
            }),
            toolchain: job.toolchain,
            needs: needs.collect(),
        };
        match keys.named(&job.name, &ingredients, &manifest.source) {
            Ok(keyed) => {
                found.insert(job.name.value.clone(), keyed);
            }
            Err(found) => errors.extend(found.0),
        }
    }
    if errors.is_empty() { Ok(found) } else { Err(Diagnostics(errors)) }
}

/// All jobs, or `only` and what it needs, each after what it needs. No job needs itself: the
/// manifest was checked for that.
fn needs_first<'j>(jobs: &'j [CiJob], only: Option<&str>) -> Vec<&'j CiJob> {
    let named = |name: &str| jobs.iter().find(|job| *job.name == name);
    let mut stack: Vec<(&CiJob, bool)> = match only {
        Some(name) => named(name).map(|job| (job, false)).into_iter().collect(),
        None => jobs.iter().rev().map(|job| (job, false)).collect(),
    };
    let mut entered = HashSet::new();
    let mut order = Vec::new();
    while let Some((job, leaving)) = stack.pop() {
        if leaving {
            order.push(job);
        } else if entered.insert(job.name.as_str()) {
            stack.push((job, true));
            stack.extend(job.needs.iter().filter_map(|need| Some((named(need)?, false))));
        }
    }
    order
}

/// The plan as outputs of a step of GitHub Actions: for every job `JOB-key`, `JOB-skip` (`true` or
/// `false`) and `JOB-near` (one beginning of a key a line, as `restore-keys` wants them), and `plan`,
/// which is all of it as JSON.
pub fn github_outputs(jobs: &[PlannedJob]) -> String {
    let mut text = String::new();
    for PlannedJob { name, key, skip, near, .. } in jobs {
        text.push_str(&format!("{name}-key={key}\n{name}-skip={skip}\n"));
        // Keys have no character that could end the block.
        text.push_str(&format!("{name}-near<<END_OF_KEYS\n"));
        near.iter().for_each(|near| text.push_str(&format!("{near}\n")));
        text.push_str("END_OF_KEYS\n");
    }
    text.push_str(&format!("plan={}\n", json(jobs)));
    text
}

/// The plan as JSON: `{"schemaVersion":1,"jobs":[…]}`.
pub fn json(jobs: &[PlannedJob]) -> serde_json::Value {
    serde_json::json!({ "schemaVersion": 1, "jobs": jobs })
}
