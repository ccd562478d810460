//! `[ci.jobs.NAME]`: what a job of continuous integration depends on.

use std::collections::BTreeMap;

use toml::de::DeValue;

use crate::{
    age::Age,
    ci::variant::{Pair, is_variable},
    diagnostic::{Located, suggest},
    glob::is_inside,
    table::Fields,
};

/// `[ci]`
#[derive(Debug, Clone, Default)]
pub struct Ci {
    /// Files and directories outside the package that links in it lead to: absolute, or relative to
    /// the package. Everything in them counts for every key.
    pub outside: Vec<Located<String>>,
    /// `[ci.jobs]`, sorted by name.
    pub jobs: Vec<CiJob>,
}

/// `[ci.jobs.NAME]`
#[derive(Debug, Clone)]
pub struct CiJob {
    /// Its name: a letter or `_`, then letters, digits, `_` and `-`; at most 40 of them, so that it
    /// can begin a key and a name of an output in GitHub Actions.
    pub name: Located<String>,
    /// Globs of files and directories of the package.
    pub inputs: Vec<Located<String>>,
    /// Globs of files and directories that `inputs` matches and that are left out.
    pub exclude: Vec<Located<String>>,
    /// Jobs whose results it uses.
    pub needs: Vec<Located<String>>,
    /// The build context of the image that it runs in, relative to the package.
    pub context: Option<Located<String>>,
    /// The image's recipe, relative to the package; the context's own, when absent.
    pub containerfile: Option<Located<String>>,
    /// The image's build arguments.
    pub build_args: BTreeMap<String, String>,
    /// The image's build arguments whose values are the environment's.
    pub pass_build_args: Vec<Located<String>>,
    /// The shell commands that a workflow runs for it, one a line.
    pub run: Vec<Located<String>>,
    /// Names and the values that each may have: the job runs for every choice of them.
    pub matrix: BTreeMap<String, Vec<Located<String>>>,
    /// Whether the tools of the machine that computes the key count.
    pub toolchain: bool,
    /// For how long its result counts; for ever, when absent.
    pub expires: Option<Age>,
}

impl CiJob {
    /// The values that `name` may have in its matrix.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.matrix.get(name).into_iter().flatten().map(|value| value.as_str())
    }
}

/// The table `[ci]`.
pub(super) fn ci(mut fields: Fields<'_, '_>) -> Ci {
    let outside = fields.strings("outside").unwrap_or_default();
    for path in outside.iter().filter(|path| path.is_empty()) {
        fields.errors.push(path.span.clone(), "an empty path", None);
    }
    let mut jobs = fields.table("jobs").map(named_jobs).unwrap_or_default();
    fields.finish();
    jobs.sort_by(|a, b| a.name.value.cmp(&b.name.value));
    Ci { outside, jobs }
}

fn named_jobs(mut fields: Fields<'_, '_>) -> Vec<CiJob> {
    let found = fields.for_each_table("job", job);
    check_needs(&found, &mut fields);
    found
}

fn job(name: Located<String>, mut fields: Fields<'_, '_>) -> Option<CiJob> {
    fields.what = format!("job `{}`", *name);
    if !is_job_name(&name) {
        let help = "a letter or `_`, then letters, digits, `_` and `-`, at most 40 of them";
        let message = format!("`{}` cannot name a job", *name);
        fields.errors.push(name.span.clone(), message, Some(help.to_owned()));
    }
    let job = CiJob {
        name,
        inputs: fields.strings("inputs").unwrap_or_default(),
        exclude: fields.strings("exclude").unwrap_or_default(),
        needs: fields.strings("needs").unwrap_or_default(),
        context: fields.string("context"),
        containerfile: fields.string("containerfile"),
        build_args: fields.table("build-args").map(build_args).unwrap_or_default(),
        pass_build_args: fields.strings("pass-build-args").unwrap_or_default(),
        run: fields.strings("run").unwrap_or_default(),
        matrix: fields.table("matrix").map(matrix).unwrap_or_default(),
        toolchain: fields.boolean("toolchain").unwrap_or(true),
        expires: expires(&mut fields),
    };
    let paths = job.inputs.iter().chain(&job.exclude).chain(&job.context).chain(&job.containerfile);
    for path in paths {
        if !is_inside(path) || path.is_empty() {
            let message = format!("`{}` is outside the package", **path);
            fields.errors.push(path.span.clone(), message, None);
        }
    }
    let (span, what) = (fields.span.clone(), fields.what.clone());
    if job.inputs.is_empty() && job.context.is_none() {
        let help = "add inputs = [\"src/**\"], or context = \"DIR\" for a job that makes an image";
        fields.errors.push(span.clone(), format!("{what} depends on nothing"), Some(help.into()));
    }
    let of_image = [
        ("a containerfile", job.containerfile.is_some()),
        ("build arguments", !(job.build_args.is_empty() && job.pass_build_args.is_empty())),
    ];
    for (has, _) in of_image.iter().filter(|(_, has)| *has && job.context.is_none()) {
        let help = Some("add context = \"DIR\"".to_owned());
        fields.errors.push(span.clone(), format!("{what} has {has} and no context"), help);
    }
    if job.context.is_some() && !job.run.is_empty() {
        let message = format!("{what} makes an image and runs commands");
        fields.errors.push(span.clone(), message, Some("make a second job that needs it".into()));
    }
    for line in job.run.iter().filter(|line| line.contains(char::is_control) || line.is_empty()) {
        fields.errors.push(line.span.clone(), "a command is one line of text", None);
    }
    for name in &job.pass_build_args {
        if !is_variable(name) {
            let message = format!("`{}` cannot name a build argument", **name);
            fields.errors.push(name.span.clone(), message, None);
        } else if job.build_args.contains_key(name.as_str()) {
            let message = format!("the build argument `{}` has a value already", **name);
            fields.errors.push(name.span.clone(), message, None);
        }
    }
    fields.finish();
    Some(job)
}

/// The key `build-args`: values by name.
fn build_args(mut fields: Fields<'_, '_>) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (name, value) in std::mem::take(&mut fields.entries) {
        let (span, name) = (name.span(), name.into_inner().into_owned());
        if !is_variable(&name) {
            let message = format!("`{name}` cannot name a build argument");
            fields.errors.push(span, message, None);
        } else if let Some(value) = fields.expect_string(value) {
            found.insert(name, value.value);
        }
    }
    found
}

/// The key `matrix`: lists of values by name.
fn matrix(mut fields: Fields<'_, '_>) -> BTreeMap<String, Vec<Located<String>>> {
    let mut found = BTreeMap::new();
    for (name, value) in std::mem::take(&mut fields.entries) {
        let (span, name) = (name.span(), name.into_inner().into_owned());
        if !is_variable(&name) {
            let message = format!("`{name}` cannot name a part of a matrix");
            fields.errors.push(span, message, None);
            continue;
        }
        let DeValue::Array(values) = value.get_ref() else {
            fields.wrong(&value, "an array of strings");
            continue;
        };
        let values: Vec<_> =
            values.iter().filter_map(|value| fields.expect_string(value.clone())).collect();
        for value in &values {
            if let Err(error) = format!("{name}={}", **value).parse::<Pair>() {
                fields.errors.push(value.span.clone(), error.to_string(), None);
            }
        }
        if values.is_empty() {
            fields.errors.push(span, format!("`{name}` has no values"), None);
        }
        found.insert(name, values);
    }
    found
}

fn expires(fields: &mut Fields<'_, '_>) -> Option<Age> {
    let text = fields.string("expires")?;
    match text.parse::<Age>() {
        Ok(age) if !age.duration().is_zero() => Some(age),
        Ok(_) => {
            fields.errors.push(text.span, "a result that expires at once is none", None);
            None
        }
        Err(error) => {
            fields.errors.push(text.span, error.to_string(), None);
            None
        }
    }
}

fn is_job_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
        && name.len() <= 40
}

/// Every job that is needed is there, and none needs itself.
fn check_needs(jobs: &[CiJob], fields: &mut Fields<'_, '_>) {
    let position = |name: &str| jobs.iter().position(|job| *job.name == name);
    for job in jobs {
        for need in &job.needs {
            if position(need).is_none() {
                let message = format!("there is no job `{}`", **need);
                let known = suggest(need, jobs.iter().map(|job| job.name.as_str()));
                let help = known.map(|known| format!("did you mean `{known}`?"));
                fields.errors.push(need.span.clone(), message, help);
            }
        }
    }
    // Jobs whose needs are all settled, until there are no more of them: the others need themselves.
    let mut settled = vec![false; jobs.len()];
    loop {
        let ready = jobs.iter().enumerate().find(|(index, job)| {
            let mut needs = job.needs.iter().filter_map(|need| position(need));
            !settled[*index] && needs.all(|need| settled[need])
        });
        let Some((index, _)) = ready else { break };
        settled[index] = true;
    }
    if let Some(job) =
        jobs.iter().zip(&settled).find_map(|(job, settled)| (!settled).then_some(job))
    {
        let message = format!("job `{}` needs itself, by way of what it needs", *job.name);
        fields.errors.push(job.name.span.clone(), message, None);
    }
}
