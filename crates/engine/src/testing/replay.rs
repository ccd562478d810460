//! Results of tests that count again: what they depended on, and what they printed.

use std::{fs, path::Path};

use larder_project::path::RootPath;
use larder_trace::{BuildTrace, Content, ContentHash, MTime, atomic};
use serde::{Deserialize, Serialize};

use super::Attempt;
use crate::{
    action::{Action, Program, RunsIn, Variable},
    builds::{CommandBuild, Machine, Owner},
    process::Limits,
    toolchain::{LIST_LIBRARIES, is_dynamic, is_static, listed_libraries},
};

/// A result as it is kept in `.larder/tests`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    schema_version: u32,
    /// The hash of all that it depended on.
    key: String,
    #[serde(flatten)]
    attempt: Attempt,
}

const VERSION: u32 = 1;

/// Returns the hash of all that decides how a test ends: what it runs, with the libraries of the system that
/// it loads, its arguments, inputs and environment, and how it is run. None where that cannot be told.
pub(super) fn key(
    owner: &Owner,
    action: &Action,
    inputs: &BuildTrace,
    command: &CommandBuild,
    programs: &[RootPath],
) -> Option<ContentHash> {
    let sandboxed = if owner.cx.sandbox.is_some() { "yes" } else { "no" };
    let trace = BuildTrace::nil("test")
        .mix(BuildTrace::leaf("action".to_owned(), action.digest(), MTime::NONE))
        .mix(command.depends_on.clone())
        .mix(inputs.clone())
        .mix(BuildTrace::text("sandboxed", sandboxed))
        .mix(match command.machine {
            Machine::Here => libraries(owner, action)?,
            Machine::Other { program, .. } => {
                loads_none(&owner.cx.absolute(programs.get(program)?))?
            }
        });
    Some(trace.hash())
}

/// The libraries of a program for another machine, if it loads none: which ones it would load is known only
/// to what runs it.
fn loads_none(program: &Path) -> Option<BuildTrace> {
    is_static(program).then(|| BuildTrace::nil("libraries"))
}

/// The libraries that a built program loads, by content. The dynamic loader lists them in the place of running
/// the program, where the test would run: programs on `PATH` are known without.
fn libraries(owner: &Owner, action: &Action) -> Option<BuildTrace> {
    let cx = &owner.cx;
    let mut trace = BuildTrace::nil("libraries");
    let Program::File(program) = &action.program else { return Some(trace) };
    let path = cx.absolute(&cx.places.find(&owner.place, program).ok()?);
    if !is_dynamic(&path) {
        return Some(trace);
    }
    let (name, value) = LIST_LIBRARIES;
    let mut environment = action.environment.clone();
    environment.insert(name.to_owned(), Variable::Text(value.to_owned()));
    let question = Action {
        arguments: Vec::new(),
        environment,
        limits: Limits::default(),
        runs_in: RunsIn::Scratch,
        ..action.clone()
    };
    let staging = cx.staging(false).ok()?;
    let answer = cx.executor.execute(&question, &owner.bench(staging.path())).ok()?;
    if !answer.exit.success() {
        return None;
    }
    for library in listed_libraries(&answer.printed) {
        let name = library.to_string_lossy().into_owned();
        let hashed = cx.index.file(cx.places.of_absolute(&name).as_str(), Content::Binary).ok()?;
        trace = trace.mix(BuildTrace::leaf(name, hashed.hash, MTime::NONE));
    }
    Some(trace)
}

/// Returns the result of a test that passed, if it was kept under this key.
pub(super) fn find(file: &Path, key: ContentHash) -> Option<Attempt> {
    let record: Record = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
    let fits = record.schema_version == VERSION && record.key == key.to_string();
    Some(record.attempt).filter(|attempt| fits && attempt.failure.is_none())
}

/// Keeps a result. Without it, the test runs again.
pub(super) fn keep(file: &Path, key: ContentHash, attempt: &Attempt) {
    let record = Record { schema_version: VERSION, key: key.to_string(), attempt: attempt.clone() };
    let Ok(text) = serde_json::to_vec(&record) else { return };
    let written = file.parent().map_or(Ok(()), fs::create_dir_all);
    if let Err(error) = written.and_then(|()| atomic::write(file, &text)) {
        tracing::debug!("cannot keep {}: {error}", file.display());
    }
}
