//! Any other command.

use std::{collections::BTreeMap, ops::Range, slice::SliceIndex, sync::Arc};

use larder_project::{
    path::PortablePath,
    place::Place,
    plan::{BuiltIn, Part},
};
use larder_trace::BuildTrace;

use super::{Owner, ToolUse};
use crate::{
    action::{Action, Argument, Discovery, Output, Piece, Program, RunsIn, Variable, text},
    artifact::Artifact,
    context::Context,
    executor::ExecuteError,
    job::{Built, Job, collect},
    step::{Inputs, Step, Work},
};

/// A part of a command's argument. Outputs of targets are some of its inputs, by position.
pub type Word = Part<Range<usize>>;

/// A command with what it depends on besides its inputs.
#[derive(Debug, Clone)]
pub struct CommandBuild {
    /// The program.
    pub program: CommandProgram,
    /// The arguments, each in parts.
    pub arguments: Vec<Vec<Word>>,
    /// Its environment besides the minimal one.
    pub environment: BTreeMap<String, Variable>,
    /// More of it, with values in parts: of a value with several, a blank stands between them.
    pub settings: BTreeMap<String, Vec<Word>>,
    /// How many of the inputs `{in}` stands for: the first so many.
    pub declared_inputs: usize,
    /// Further tools that it may run.
    pub tools: Vec<ToolUse>,
    /// Whether it is run in every build.
    pub always: bool,
    /// The trace of all that the outputs depend on besides the inputs: the arguments as written, the program, the
    /// environment.
    pub depends_on: BuildTrace,
    /// The directory that it runs in.
    pub runs_in: RunsIn,
    /// The machine whose programs it runs.
    pub machine: Machine,
}

/// The machine whose programs a command runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Machine {
    /// This one.
    Here,
    /// Another: the program is one of the inputs, by position.
    Other {
        /// The program.
        program: usize,
        /// What to do where it does not run here; none, where something runs it.
        advice: Option<String>,
    },
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

/// Runs a command that makes `output` and `others` from `inputs`.
pub fn build_command(
    owner: Owner,
    output: Output,
    others: Vec<Output>,
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
        let work = Work::Command(Box::new(command));
        let mut step = owner.step(output, depends_on, work);
        step.outputs.extend(others);
        step.always = always;
        Arc::new(step).start(&owner.cx, (&inputs).into())
    })
}

impl CommandBuild {
    /// Returns the action that runs it as the work of a step.
    pub(crate) fn action(
        &self,
        step: &Step,
        cx: &Context,
        inputs: Inputs<'_>,
    ) -> Result<Action, ExecuteError> {
        self.action_of(cx, &step.place, &step.outputs, inputs.artifacts)
    }

    /// Returns the action that runs it in a package, to make `outputs` from `inputs`.
    pub(crate) fn action_of(
        &self,
        cx: &Context,
        place: &Place,
        outputs: &[Output],
        inputs: &[Artifact],
    ) -> Result<Action, ExecuteError> {
        let names: Vec<PortablePath> =
            inputs.iter().map(|input| cx.places.portable(place, &input.path)).collect();
        let expand = |words: &[Word]| self.expand(words, place, outputs, &names);
        let program = match &self.program {
            CommandProgram::Tool(tool) => tool.program(cx),
            CommandProgram::Input(position) => Program::File(some(&names, *position)?.clone()),
            CommandProgram::Argument(words) => Program::Path(expand(words)?.concat()),
        };
        let mut arguments = Vec::with_capacity(self.arguments.len());
        for words in &self.arguments {
            arguments.extend(expand(words)?);
        }
        let mut environment = self.environment.clone();
        for (name, words) in &self.settings {
            let values = expand(words)?;
            let value = values.join(&Piece::Text(" ".to_owned()));
            environment.insert(name.clone(), Variable::Pieces(value));
        }
        let hashes = inputs.iter().map(|input| input.hash);
        Ok(Action {
            package: place.name.clone(),
            runs_in: self.runs_in,
            program,
            arguments,
            environment,
            inputs: names.iter().cloned().zip(hashes).collect(),
            searched: Vec::new(),
            may_read: Default::default(),
            tools: self.tools.iter().map(|tool| tool.program(cx)).collect(),
            outputs: outputs.to_vec(),
            discovery: Discovery::None,
            response_file: None,
            limits: Default::default(),
            in_place: None,
        })
    }

    /// Returns what one argument stands for: one argument, or as many as its only placeholder names.
    fn expand(
        &self,
        words: &[Word],
        place: &Place,
        outputs: &[Output],
        names: &[PortablePath],
    ) -> Result<Vec<Argument>, ExecuteError> {
        let declared = &names[..self.declared_inputs.min(names.len())];
        let path = |name: PortablePath| match self.runs_in {
            RunsIn::Package => vec![Piece::Path(name)],
            RunsIn::Scratch => vec![Piece::Absolute(name)],
        };
        let paths = |names: &[PortablePath]| names.iter().cloned().map(path).collect();
        let values = |word: &Word| {
            Ok(match word {
                Part::Text(literal) => vec![text(literal)],
                Part::Made(range) => paths(some(names, range.clone())?),
                Part::BuiltIn(built_in) => match built_in {
                    BuiltIn::Out => {
                        outputs.iter().take(1).map(|_| vec![Piece::Output(0)]).collect()
                    }
                    BuiltIn::Outs => (0..outputs.len()).map(|at| vec![Piece::Output(at)]).collect(),
                    BuiltIn::OutDir | BuiltIn::Tmp => vec![vec![Piece::OutputDirectory]],
                    BuiltIn::In => paths(declared),
                    BuiltIn::InList => vec![vec![Piece::List(declared.to_vec())]],
                    BuiltIn::Build => vec![vec![Piece::Absolute(place.portable(place, true, ""))]],
                    BuiltIn::Package => vec![path(place.portable(place, false, ""))],
                },
            })
        };
        if let [only] = words {
            return values(only);
        }
        let mut argument = Vec::new();
        for word in words {
            for (position, value) in values(word)?.into_iter().enumerate() {
                if position > 0 {
                    argument.extend(text(" "));
                }
                argument.extend(value);
            }
        }
        Ok(vec![argument])
    }
}

/// Returns one or several of a command's inputs.
fn some<I: SliceIndex<[PortablePath]>>(
    names: &[PortablePath],
    positions: I,
) -> Result<&I::Output, ExecuteError> {
    names.get(positions).ok_or_else(|| {
        ExecuteError::Failed("its command names an input that it does not have".to_owned())
    })
}
