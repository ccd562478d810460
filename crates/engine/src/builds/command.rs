//! Any other command.

use std::{ffi::OsString, fs, path::PathBuf};

use larder_trace::BuildTrace;

use super::{Owner, run_step};
use crate::{
    action::{Action, ActionError},
    artifact::{Artifact, Output},
    job::{Job, collect},
};
use larder_project::manifest::Word;

/// A command with what it depends on besides its inputs.
#[derive(Debug, Clone)]
pub struct CommandBuild {
    /// The program, absolute; absent when the first argument names it by a placeholder.
    pub program: Option<PathBuf>,
    /// The arguments, each in parts; the program's own name first where `program` is absent.
    pub arguments: Vec<Vec<Word>>,
    /// Its environment besides the minimal one.
    pub environment: Vec<(String, OsString)>,
    /// The variables of that which come from larder's own environment, by name.
    pub passed: Vec<String>,
    /// How many of the inputs `{in}` stands for: the first so many.
    pub declared_inputs: usize,
    /// What the outputs depend on besides the inputs: the arguments as written, the program, the
    /// environment.
    pub depends_on: BuildTrace,
}

/// Runs a command that makes `outputs` from `inputs`.
pub fn build_command(
    owner: Owner,
    outputs: Vec<Output>,
    inputs: impl IntoIterator<Item = Job<Vec<Artifact>>>,
    command: CommandBuild,
) -> Job<Vec<Artifact>> {
    owner.cx.expect(1);
    let groups = collect(&owner.cx.scheduler.clone(), inputs);
    groups.map(move |groups| {
        let parts = groups.trace.parts().iter().flat_map(|group| group.parts().to_vec());
        let inputs = crate::job::Built {
            value: groups.value.concat(),
            trace: BuildTrace::nil("inputs").mix_all(parts),
        };
        let depends_on = command.depends_on.clone();
        let work = move |action: &mut Action<'_>| run_command(action, &command);
        let step = owner.step(outputs, depends_on, Box::new(work));
        run_step(step, &owner.cx, (&inputs).into())
    })
}

pub(crate) fn run_command(
    action: &mut Action<'_>,
    command: &CommandBuild,
) -> Result<(), ActionError> {
    for output in &action.step.outputs {
        action.staged(output)?;
    }
    if let Some(sandbox) = &action.cx.sandbox {
        let withheld = command.passed.iter().find(|name| !sandbox.permits(name));
        if let Some(name) = withheld {
            return Err(ActionError::Failed(sandbox.withholds(&action.step.target, name)));
        }
        // Patterns in a shell, and the modules of a script, are looked for by listing.
        let inputs = action.inputs.iter().map(|input| action.cx.absolute(&input.path));
        action.listed = inputs.filter_map(|path| Some(path.parent()?.to_owned())).collect();
        action.listed.dedup();
    }
    let mut arguments = Vec::with_capacity(command.arguments.len());
    for argument in &command.arguments {
        expand(action, command, argument, &mut arguments)?;
    }
    let program = match &command.program {
        Some(program) => program.clone(),
        None if arguments.is_empty() => {
            return Err(ActionError::Failed("its command stands for nothing".to_owned()));
        }
        None => action.step.place.directory.join(arguments.remove(0)),
    };
    action.run(&program, arguments, &command.environment)
}

/// Adds what one argument stands for: one word, or as many as its only placeholder names.
fn expand(
    action: &Action<'_>,
    command: &CommandBuild,
    words: &[Word],
    arguments: &mut Vec<String>,
) -> Result<(), ActionError> {
    if let [word] = words {
        arguments.extend(values(action, command, word)?);
        return Ok(());
    }
    let mut text = String::new();
    for word in words {
        text.push_str(&values(action, command, word)?.join(" "));
    }
    arguments.push(text);
    Ok(())
}

fn values(
    action: &Action<'_>,
    command: &CommandBuild,
    word: &Word,
) -> Result<Vec<String>, ActionError> {
    let staged = |output: &Output| action.argument(&action.staging.join(&output.path));
    let declared = || action.inputs.iter().take(command.declared_inputs);
    let directory = |path: &str| match action.argument(&action.cx.absolute(path)) {
        here if here.is_empty() => ".".to_owned(),
        there => there.trim_end_matches('/').to_owned(),
    };
    Ok(match word {
        Word::Literal(text) => vec![text.clone()],
        Word::Out => action.step.outputs.first().map(staged).into_iter().collect(),
        Word::Outs => action.step.outputs.iter().map(staged).collect(),
        Word::OutDir => vec![action.argument(action.staging)],
        Word::In => declared().map(|input| action.artifact(input)).collect(),
        Word::InList => {
            let list = action.staging.join("inputs.list");
            let text: String =
                declared().flat_map(|input| [action.artifact(input), "\n".to_owned()]).collect();
            fs::write(&list, text).map_err(|error| ActionError::io(&list, &error))?;
            vec![action.argument(&list)]
        }
        Word::Build => vec![directory(&action.step.place.build_prefix)],
        Word::Package => vec![directory(&action.step.place.prefix)],
        Word::Tmp => vec![action.argument(action.staging)],
        Word::Inputs(range) => {
            let inputs = action.inputs.get(range.clone()).unwrap_or_default();
            inputs.iter().map(|input| action.artifact(input)).collect()
        }
    })
}
