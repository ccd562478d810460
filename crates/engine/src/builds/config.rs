//! Files made from the answers of a compiler, from values and from templates.

mod header;
mod template;

use std::{collections::BTreeMap, fs, path::PathBuf};

use larder_project::{
    manifest::config::{TemplateSyntax, Value},
    path::BuildPath,
};
use larder_trace::{BuildTrace, describe_io};

use super::{Owner, start_single};
use crate::{
    action::Output,
    artifact::Artifact,
    job::{Job, collect},
    step::Work,
};

/// Changes with every change in how files are made, so that those of earlier larders are made again.
const EDITION: &str = "1";

/// A file to be made from answers and values.
#[derive(Debug, Clone)]
pub struct Config {
    /// The names of the answers, in the order of the inputs.
    pub answers: Vec<Answered>,
    /// What is known without asking, by name.
    pub values: BTreeMap<String, Value>,
    /// How the template reads, which is the last input; a header is made where there is none.
    pub template: Option<Notation>,
    /// The file's path in the build directory.
    pub file: BuildPath,
}

/// The name of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// What it defines.
    pub define: String,
    /// Whether no is 0, rather than not defined.
    pub zero: bool,
}

/// How a template reads.
#[derive(Debug, Clone)]
pub struct Notation {
    /// The template, for people.
    pub name: String,
    /// Its syntax.
    pub syntax: TemplateSyntax,
    /// Whether `${NAME}` stands for a value too; where nobody says so, it does in CMake's syntax.
    pub braces: Option<bool>,
}

impl Config {
    /// The trace of all that the file depends on besides answers and the template.
    fn depends_on(&self) -> BuildTrace {
        let answers: Vec<String> = self
            .answers
            .iter()
            .map(|answer| format!("{}{}", answer.define, if answer.zero { " or 0" } else { "" }))
            .collect();
        let values: Vec<String> = self
            .values
            .iter()
            .map(|(name, value)| match value {
                Value::Boolean(value) => format!("{name} is {value}"),
                Value::Number(value) => format!("{name} = {value}"),
                Value::Text(value) => format!("{name}: {value}"),
            })
            .collect();
        let trace = BuildTrace::nil("config")
            .mix(BuildTrace::text("edition", EDITION))
            .mix(BuildTrace::text("output", self.file.as_str()))
            .mix(BuildTrace::list("answers", &answers))
            .mix(BuildTrace::list("values", &values));
        match &self.template {
            Some(Notation { syntax, braces, .. }) => {
                let braces = match (braces, syntax) {
                    (Some(braces), _) => braces.to_string(),
                    (None, TemplateSyntax::CMake | TemplateSyntax::Recognised) => {
                        "as CMake".to_owned()
                    }
                    (None, TemplateSyntax::Autoconf | TemplateSyntax::Meson) => false.to_string(),
                };
                trace.mix(BuildTrace::text("template", format!("{syntax:?} {braces}")))
            }
            None => trace,
        }
    }

    /// Returns the file's text, from the files that hold the answers and the template.
    fn make(&self, inputs: &[PathBuf]) -> Result<String, String> {
        let read = |path: &PathBuf| {
            let bytes = fs::read(path)
                .map_err(|error| format!("{}: {}", path.display(), describe_io(&error)))?;
            String::from_utf8(bytes).map_err(|_| format!("{} is not UTF-8", path.display()))
        };
        let mut values: Vec<(&str, Value)> = Vec::new();
        for (answer, path) in self.answers.iter().zip(inputs) {
            values.push((&answer.define, value_of(read(path)?.trim_end(), answer.zero)));
        }
        values.extend(self.values.iter().map(|(name, value)| (name.as_str(), value.clone())));
        let Some(notation) = &self.template else { return Ok(header::header(&self.file, &values)) };
        let template = inputs.last().ok_or("it has no template")?;
        let values: BTreeMap<&str, Value> = values.into_iter().collect();
        template::filled(&read(template)?, notation, &values)
    }
}

/// The value that an answer stands for.
fn value_of(answer: &str, zero: bool) -> Value {
    match answer {
        "yes" if zero => Value::Number(1),
        "no" if zero => Value::Number(0),
        "yes" => Value::Boolean(true),
        "no" => Value::Boolean(false),
        // A size is a number; one that does not fit is no size.
        size => size.parse().map_or(Value::Boolean(false), Value::Number),
    }
}

/// Makes a file from answers and a template.
pub fn build_config(
    owner: Owner,
    answers: Vec<Job<Artifact>>,
    template: Option<Job<Artifact>>,
    config: Config,
) -> Job<Artifact> {
    owner.cx.expect(1);
    collect(&owner.cx.scheduler.clone(), answers.into_iter().chain(template)).flow(move |inputs| {
        let (output, prefix) = (Output::file(config.file.clone()), config.depends_on());
        let work = Work::Text(Box::new(move |inputs| config.make(inputs)));
        start_single(owner.step(output, prefix, work), &owner.cx, inputs.into())
    })
}
