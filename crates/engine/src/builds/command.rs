//! Any other command.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use larder_project::place::Place;
use larder_trace::BuildTrace;

use super::{Owner, ToolUse};
use crate::{
    action::{Action, Argument, Discovery, Output, Piece, Program, Variable, text},
    artifact::Artifact,
    context::Context,
    job::{Built, Job, collect},
    step::{Inputs, Step, Work},
};

/// A part of a command's argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// Stands for itself.
    Text(String),
    /// The first output.
    Out,
    /// All outputs.
    Outs,
    /// The directory that outputs are written below, and whatever is needed for a while.
    OutDir,
    /// All declared inputs.
    In,
    /// A file that lists the declared inputs, one a line.
    InList,
    /// The package's build directory.
    Build,
    /// The package's directory.
    Package,
    /// Some of the inputs, by position: the outputs of other targets.
    Inputs(Range<usize>),
}

/// A command with what it depends on besides its inputs.
#[derive(Debug, Clone)]
pub struct CommandBuild {
    /// The program.
    pub program: CommandProgram,
    /// The arguments, each in parts.
    pub arguments: Vec<Vec<Word>>,
    /// Its environment besides the minimal one.
    pub environment: BTreeMap<String, Variable>,
    /// How many of the inputs `{in}` stands for: the first so many.
    pub declared_inputs: usize,
    /// Further tools that it may run.
    pub tools: Vec<ToolUse>,
    /// Whether it is run in every build.
    pub always: bool,
    /// The trace of all that the outputs depend on besides the inputs: the arguments as written, the program, the
    /// environment.
    pub depends_on: BuildTrace,
}

/// The program of a command.
#[derive(Debug, Clone)]
pub enum CommandProgram {
    /// A tool of this machine.
    Tool(ToolUse),
    /// One of the inputs, by position.
    Input(usize),
    /// A path put together from parts.
    Argument(Vec<Word>),
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
    groups.flow(move |groups| {
        let parts = groups.trace.parts().iter().flat_map(|group| group.parts().to_vec());
        let inputs =
            Built { value: groups.value.concat(), trace: BuildTrace::nil("inputs").mix_all(parts) };
        let (depends_on, always) = (command.depends_on.clone(), command.always);
        let mut step = owner.step(outputs, depends_on, Work::Command(Box::new(command)));
        step.always = always;
        Arc::new(step).start(&owner.cx, (&inputs).into())
    })
}

impl CommandBuild {
    /// Returns the action that runs it as the work of a step.
    pub(crate) fn action(&self, step: &Step, cx: &Context, inputs: Inputs<'_>) -> Action {
        self.action_of(cx, &step.place, &step.outputs, inputs.artifacts)
    }

    /// Returns the action that runs it in a package, to make `outputs` from `inputs`.
    pub(crate) fn action_of(
        &self,
        cx: &Context,
        place: &Place,
        outputs: &[Output],
        inputs: &[Artifact],
    ) -> Action {
        let names: Vec<String> =
            inputs.iter().map(|input| cx.places.portable(place, &input.path)).collect();
        let program = match &self.program {
            CommandProgram::Tool(tool) => tool.program(cx),
            CommandProgram::Input(position) => {
                // A position that no input has is a path that is not there.
                Program::File(names.get(*position).cloned().unwrap_or_default())
            }
            CommandProgram::Argument(words) => {
                Program::Path(self.expand(words, outputs, &names).into_iter().flatten().collect())
            }
        };
        let words = self.arguments.iter();
        let arguments = words.flat_map(|words| self.expand(words, outputs, &names)).collect();
        let hashes = inputs.iter().map(|input| input.hash);
        Action {
            package: place.name.clone(),
            program,
            arguments,
            environment: self.environment.clone(),
            inputs: names.iter().cloned().zip(hashes).collect(),
            searched: Vec::new(),
            tools: self.tools.iter().map(|tool| tool.program(cx)).collect(),
            outputs: outputs.to_vec(),
            discovery: Discovery::None,
            response_file: false,
            limits: Default::default(),
        }
    }

    /// Returns what one argument stands for: one argument, or as many as its only placeholder names.
    fn expand(&self, words: &[Word], outputs: &[Output], names: &[String]) -> Vec<Argument> {
        let mut all = words.iter().map(|word| self.values(word, outputs, names));
        if words.len() == 1 {
            return all.next().unwrap_or_default();
        }
        let mut argument = Vec::new();
        for values in all {
            for (position, value) in values.into_iter().enumerate() {
                if position > 0 {
                    argument.extend(text(" "));
                }
                argument.extend(value);
            }
        }
        vec![argument]
    }

    fn values(&self, word: &Word, outputs: &[Output], names: &[String]) -> Vec<Argument> {
        let declared = &names[..self.declared_inputs.min(names.len())];
        let path = |name: &String| vec![Piece::Path(name.clone())];
        let some = |range: &Range<usize>| names.get(range.clone()).unwrap_or_default();
        match word {
            Word::Text(literal) => vec![text(literal)],
            Word::Out => outputs.iter().take(1).map(|_| vec![Piece::Output(0)]).collect(),
            Word::Outs => {
                (0..outputs.len()).map(|position| vec![Piece::Output(position)]).collect()
            }
            Word::OutDir => vec![vec![Piece::OutputDirectory]],
            Word::In => declared.iter().map(path).collect(),
            Word::InList => vec![vec![Piece::List(declared.to_vec())]],
            Word::Build => vec![vec![Piece::Absolute("<build>/".to_owned())]],
            Word::Package => vec![vec![Piece::Path(String::new())]],
            Word::Inputs(range) => some(range).iter().map(path).collect(),
        }
    }
}
