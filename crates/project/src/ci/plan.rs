//! Which jobs have to run: the key of each, and whether its result is known.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use super::{
    key::{Image, Ingredients, Keyed, Keys},
    variant::{self, ArgumentValue, Matrix},
};
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
    /// The values of the matrix that its key is for.
    #[serde(skip_serializing_if = "Matrix::is_empty")]
    pub matrix: Matrix,
    /// For how long its result counts, such as `30d`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// Why nobody could tell, or why a result that was there counts no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Whether the tools of this machine count for the job `only` or one that it needs, or for any job.
pub fn uses_tools(keys: &Keys, only: Option<&str>) -> bool {
    needs_first(jobs(keys), only).iter().any(|job| job.toolchain)
}

/// Returns the key of the job called `name`.
///
/// # Errors
/// When there is no such job, when it has a matrix and its values are not given, and everything
/// wrong with what its key is made from.
pub fn job_key(keys: &Keys, name: &str) -> Result<Keyed, Diagnostics> {
    let job = find_job(keys, name)?;
    if let Some(open) = open_name(job, keys.matrix()) {
        let message = format!("job `{name}` runs for each `{open}` of its matrix");
        let values: Vec<&str> = job.values(open).collect();
        let help = format!("say which: --matrix {open}=VALUE, one of {}", values.join(", "));
        return Err(Diagnostic::new(message).help(help).into());
    }
    JobKeys::new(keys).of(job, keys.matrix())
}

/// Returns all jobs, or the one called `only`, sorted by name, each with its key and what `probe`
/// says of it. All are asked for at once. Jobs with a matrix whose values are not given are left out.
///
/// # Errors
/// Everything wrong with what the keys are made from. That nobody can tell whether a result is there
/// is no error: the job then runs.
pub fn plan_of(
    keys: &Keys,
    only: Option<&str>,
    probe: impl Fn(&str) -> Probe + Sync,
) -> Result<Vec<PlannedJob>, Diagnostics> {
    let mut chosen = Vec::new();
    match only {
        Some(name) => chosen.push((find_job(keys, name)?, job_key(keys, name)?)),
        None => {
            let mut made = JobKeys::new(keys);
            let mut errors = Vec::new();
            for job in jobs(keys).iter().filter(|job| open_name(job, keys.matrix()).is_none()) {
                match made.of(job, keys.matrix()) {
                    Ok(keyed) => chosen.push((job, keyed)),
                    Err(Diagnostics(found)) => errors.extend(found),
                }
            }
            if !errors.is_empty() {
                // What a job that others need has wrong is wrong with them too.
                let mut said = HashSet::new();
                errors.retain(|error| said.insert(error.to_string()));
                return Err(Diagnostics(errors));
            }
        }
    }
    let probes = parallel::map(&chosen, PROBES, |(_, keyed)| probe(&keyed.key));
    let planned = chosen.into_iter().zip(probes).map(|((job, keyed), probe)| PlannedJob {
        name: job.name.value.clone(),
        key: keyed.key,
        skip: probe == Probe::Hit,
        probe: probe.as_str(),
        near: keyed.near,
        needs: job.needs.iter().map(|need| need.value.clone()).collect(),
        matrix: keys.matrix().clone(),
        expires: job.expires.as_ref().map(ToString::to_string),
        reason: probe.reason().map(str::to_owned),
    });
    Ok(planned.collect())
}

/// [`plan_of`] all jobs.
///
/// # Errors
/// As there.
pub fn plan(
    keys: &Keys,
    probe: impl Fn(&str) -> Probe + Sync,
) -> Result<Vec<PlannedJob>, Diagnostics> {
    plan_of(keys, None, probe)
}

/// The jobs that a plan of all leaves out, each with a name of its matrix that has no value.
pub fn left_out(keys: &Keys) -> Vec<(&str, &str)> {
    let all = jobs(keys).iter();
    all.filter_map(|job| Some((job.name.as_str(), open_name(job, keys.matrix())?))).collect()
}

fn jobs(keys: &Keys) -> &[CiJob] {
    keys.manifest().map_or(&[][..], |manifest| &manifest.ci.jobs)
}

fn find_job<'k>(keys: &'k Keys, name: &str) -> Result<&'k CiJob, Diagnostic> {
    jobs(keys).iter().find(|job| *job.name == name).ok_or_else(|| {
        let message = format!("there is no job `{name}` under [ci.jobs]");
        match suggest(name, jobs(keys).iter().map(|job| job.name.as_str())) {
            Some(known) => Diagnostic::new(message).help(format!("did you mean `{known}`?")),
            None => Diagnostic::new(message),
        }
    })
}

/// A name of the job's matrix for which `matrix` has none of its values.
fn open_name<'j>(job: &'j CiJob, matrix: &Matrix) -> Option<&'j str> {
    let is_given = |name: &str| {
        matrix.get(name).is_some_and(|given| job.values(name).any(|value| value == given))
    };
    job.matrix.keys().map(String::as_str).find(|name| !is_given(name))
}

/// The keys of jobs, each made once for each choice of the matrix's values.
struct JobKeys<'k> {
    keys: &'k Keys,
    made: HashMap<(String, Matrix), Result<Keyed, Diagnostics>>,
}

impl<'k> JobKeys<'k> {
    fn new(keys: &'k Keys) -> Self {
        Self { keys, made: HashMap::new() }
    }

    /// The key of `job`, after those of what it needs. No job needs itself: the manifest was checked
    /// for that.
    fn of(&mut self, job: &CiJob, matrix: &Matrix) -> Result<Keyed, Diagnostics> {
        let known = (job.name.value.clone(), matrix.clone());
        if let Some(made) = self.made.get(&known) {
            return made.clone();
        }
        let made = self.make(job, matrix);
        self.made.insert(known, made.clone());
        made
    }

    fn make(&mut self, job: &CiJob, matrix: &Matrix) -> Result<Keyed, Diagnostics> {
        let keys = self.keys;
        let mut needs = Vec::new();
        for need in &job.needs {
            // That it is there was checked with the manifest.
            let Some(needed) = jobs(keys).iter().find(|job| job.name.value == need.value) else {
                continue;
            };
            let values = needed.matrix.keys().map(|name| (name.as_str(), needed.values(name)));
            let values = values.map(|(name, values)| (name, values.collect()));
            for matrix in variant::combinations(values, matrix) {
                needs.push((need.value.clone(), self.of(needed, &matrix)?.key));
            }
        }
        let below = |path: &str| keys.root().join(path);
        let given = job
            .build_args
            .iter()
            .map(|(name, value)| (name.clone(), ArgumentValue::Given(value.clone())));
        let passed = job.pass_build_args.iter();
        let passed = passed.map(|name| (name.value.clone(), keys.passed(name)));
        let ingredients = Ingredients {
            inputs: job.inputs.clone(),
            exclude: job.exclude.clone(),
            image: job.context.as_ref().map(|context| Image {
                context: below(context),
                containerfile: job.containerfile.as_ref().map(|path| below(path)),
            }),
            build_args: given.chain(passed).collect(),
            toolchain: job.toolchain,
            needs,
        };
        let Some(manifest) = keys.manifest() else {
            return Err(Diagnostic::new("the manifest was not read").failed().into());
        };
        keys.named(&job.name, &ingredients, matrix, &manifest.source).map_err(
            |Diagnostics(found)| {
                let named = |error: Diagnostic| Diagnostic {
                    message: format!("job `{}`: {}", *job.name, error.message),
                    ..error
                };
                Diagnostics(found.into_iter().map(named).collect())
            },
        )
    }
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
