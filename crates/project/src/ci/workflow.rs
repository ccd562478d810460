//! Workflows for services of continuous integration, written from the jobs of a manifest.
//!
//! All have the same shape: keys are made before any code of the project runs; a job whose result is
//! known is skipped; one job at the end, which runs none of the project's code and alone holds the
//! key to the service, says what is done. Whoever comes from a fork never gets there.

mod github;
mod gitlab;

use std::str::FromStr;

use super::variant::{Matrix, combinations};
use crate::{
    diagnostic::{Diagnostic, Diagnostics},
    manifest::{CiJob, Document},
};

/// The service that a workflow is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forge {
    /// GitHub Actions.
    GitHub,
    /// GitLab CI/CD.
    GitLab,
}

/// Why a text names no [`Forge`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("workflows are for `github` or `gitlab`")]
pub struct ParseForgeError;

impl FromStr for Forge {
    type Err = ParseForgeError;

    fn from_str(text: &str) -> Result<Self, ParseForgeError> {
        match text {
            "github" => Ok(Self::GitHub),
            "gitlab" => Ok(Self::GitLab),
            _ => Err(ParseForgeError),
        }
    }
}

impl Forge {
    /// The file that the service reads, relative to the repository.
    pub fn path(self) -> &'static str {
        match self {
            Self::GitHub => ".github/workflows/larder.yml",
            Self::GitLab => ".gitlab-ci.yml",
        }
    }

    /// Returns the workflow for the jobs of `manifest`: YAML, the same for the same jobs.
    ///
    /// # Errors
    /// When there are no jobs, and for each that a workflow of this kind cannot have.
    pub fn workflow(self, manifest: &Document) -> Result<String, Diagnostics> {
        let jobs = &manifest.ci.jobs;
        if jobs.is_empty() {
            let help = "add a job: [ci.jobs.build] inputs = [\"src\"]";
            return Err(Diagnostic::new("there are no jobs under [ci.jobs]").help(help).into());
        }
        let wrong: Vec<Diagnostic> = jobs
            .iter()
            .filter_map(|job| {
                let (message, help) = refused(job)?;
                let message = format!("job `{}` {message}", *job.name);
                Some(
                    Diagnostic::new(message).help(help).at(&manifest.source, job.name.span.clone()),
                )
            })
            .collect();
        if !wrong.is_empty() {
            return Err(Diagnostics(wrong));
        }
        Ok(match self {
            Self::GitHub => github::workflow(jobs),
            Self::GitLab => gitlab::workflow(jobs),
        })
    }
}

/// Why a job cannot be in a workflow, and what to do.
fn refused(job: &CiJob) -> Option<(&'static str, &'static str)> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._:/+@-".contains(c);
    let mut values = job.matrix.keys().flat_map(|name| job.values(name));
    if job.name.starts_with("larder-") {
        Some((
            "has a name that a workflow needs for itself",
            "names of its own start with `larder-`",
        ))
    } else if job.context.is_some() && !job.matrix.is_empty() {
        Some(("makes an image and has a matrix", "make one job for each image"))
    } else if !values.all(|value| value.chars().all(is_plain)) {
        let help = "use letters, digits and `._:/+@-`: the values become parts of shell commands";
        Some(("has a matrix with values that a workflow cannot pass on", help))
    } else {
        None
    }
}

/// The commands that a job runs, where its manifest names none.
const COMMANDS: [&str; 2] = ["larder build --locked", "larder test --locked"];

/// The shell commands of a job that makes no image.
fn commands(job: &CiJob) -> Vec<&str> {
    match job.run.is_empty() {
        true => COMMANDS.to_vec(),
        false => job.run.iter().map(|line| line.as_str()).collect(),
    }
}

/// The first job of an image that `job` needs: the one that it runs in.
fn image_of<'j>(job: &CiJob, jobs: &'j [CiJob]) -> Option<&'j CiJob> {
    let needed = |image: &&CiJob| job.needs.iter().any(|need| need.value == image.name.value);
    jobs.iter().filter(|job| job.context.is_some()).find(needed)
}

/// The options of `buildah build` for the image of `job`, but for its tag.
fn image_options(job: &CiJob) -> String {
    let mut options = String::new();
    if let Some(recipe) = &job.containerfile {
        options.push_str(&format!("--file {} ", shell(recipe)));
    }
    for (name, value) in &job.build_args {
        options.push_str(&format!("--build-arg {} ", shell(&format!("{name}={value}"))));
    }
    for name in &job.pass_build_args {
        options.push_str(&format!("--build-arg {} ", shell(name)));
    }
    options
}

/// The choices of a job's matrix, one without any where it has none.
fn choices(job: &CiJob) -> impl Iterator<Item = Matrix> {
    let values = job.matrix.keys().map(|name| (name.as_str(), job.values(name).collect()));
    combinations(values, &Matrix::new()).into_iter()
}

/// ` --expires AGE`, where the job has one.
fn expires(job: &CiJob) -> String {
    job.expires
        .as_ref()
        .map(|age| format!(" --expires {}", shell(&age.to_string())))
        .unwrap_or_default()
}

/// A word of a shell command.
fn shell(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._:/+@=,-".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

/// A string of YAML: as it is where it can be nothing else, else in quotes, as in JSON.
fn yaml(text: &str) -> String {
    let is_command = text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.contains(' ');
    let means_more = [": ", " #"].iter().any(|mark| text.contains(mark))
        || text.ends_with([':', ' '])
        || text.contains(char::is_control);
    match is_command && !means_more {
        true => text.to_owned(),
        false => serde_json::Value::from(text).to_string(),
    }
}

/// Lines of text, each with its own indentation.
#[derive(Default)]
struct Lines(String);

impl Lines {
    /// Adds the lines of `block`, `depth` levels deeper than they are.
    fn add(&mut self, depth: usize, block: &str) {
        for line in block.lines() {
            match line.is_empty() {
                true => self.0.push('\n'),
                false => self.0.push_str(&format!("{}{line}\n", "  ".repeat(depth))),
            }
        }
    }
}
