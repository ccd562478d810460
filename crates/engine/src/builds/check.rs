//! Questions to a compiler that are answered by trying: is there a header, a function, a type.

mod program;

use std::sync::Arc;

use larder_project::path::BuildPath;
use larder_trace::BuildTrace;

pub(crate) use program::{declares, function, header, size, size_in, type_of};

use super::{Owner, SearchPath, ToolUse, start_single};
use crate::{
    action::{Action, Argument, Discovery, Output, Piece, text},
    artifact::Artifact,
    context::Context,
    job::{Built, Flow, Job, collect},
    step::{Inputs, Step, Work},
};

/// A question to a compiler, put as a program that it is to compile.
#[derive(Debug, Clone)]
pub struct Check {
    /// The question, for people: `function strlcpy`.
    pub what: String,
    /// The kind of answer.
    pub answer: Answer,
    /// The program.
    pub program: Program,
    /// The compiler and its arguments.
    pub asked: Arc<Asked>,
    /// Arguments for the linker, where the program is to be linked as well.
    pub link_args: Option<Vec<String>>,
    /// Where headers and libraries are looked for.
    pub search: SearchPath,
}

/// The kinds of answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// `yes` or `no`.
    Works,
    /// A number of bytes, or `no`.
    Size,
    /// `yes`; anything else is a failure, since then nothing can be asked.
    Must,
}

/// The program of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// The only input.
    Input,
    /// This text.
    Text(String),
}

/// A compiler that is asked, and how. All checks of a target have it in common.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The compiler.
    pub compiler: ToolUse,
    /// Whether it compiles C++.
    pub cxx: bool,
    /// Include directories, as arguments: their names are part of `depends_on`.
    pub includes: Vec<Argument>,
    /// Arguments, traced.
    pub trace_args: Vec<String>,
    /// Whether the linker writes a list of the files that it read, when asked.
    pub writes_depfile: bool,
    /// The trace of all that answers depend on besides programs and arguments.
    pub depends_on: BuildTrace,
}

impl Check {
    /// Returns the action that tries. What the program is made to lies where the answer is to be.
    pub(crate) fn action(&self, step: &Step, cx: &Context, inputs: Inputs<'_>) -> Action {
        let mut arguments = Vec::new();
        if self.link_args.is_none() {
            arguments.push(text("-c"));
        }
        arguments.extend([text("-o"), vec![Piece::Output(0)]]);
        arguments.extend([text("-MD"), text("-MF"), vec![Piece::Depfile]]);
        self.compile_with(step, cx, inputs, &mut arguments);
        if self.answer == Answer::Size {
            // The object is read, not linked.
            arguments.push(text("-fno-lto"));
        }
        let mut discovery = Discovery::Compiler;
        if let Some(link_args) = &self.link_args {
            if self.asked.writes_depfile {
                discovery = Discovery::CompilerAndLinker;
                arguments.push(text("-Xlinker"));
                let option = Piece::Text("--dependency-file=".to_owned());
                arguments.push(vec![option, Piece::LinkerDepfile]);
            }
            arguments.extend(link_args.iter().map(text));
        }
        self.whole(step, cx, inputs, arguments, discovery)
    }

    /// Returns the action that lists the headers which decided that the program does not compile: those
    /// that are read, and those that are not there.
    pub(crate) fn listing(&self, step: &Step, cx: &Context, inputs: Inputs<'_>) -> Action {
        let mut arguments = vec![text("-M"), text("-MG"), text("-MF"), vec![Piece::Depfile]];
        self.compile_with(step, cx, inputs, &mut arguments);
        self.whole(step, cx, inputs, arguments, Discovery::Headers)
    }

    fn compile_with(
        &self,
        step: &Step,
        cx: &Context,
        inputs: Inputs<'_>,
        arguments: &mut Vec<Argument>,
    ) {
        match &self.program {
            Program::Text(program) => arguments.push(vec![Piece::File {
                name: (if self.asked.cxx { "check.cc" } else { "check.c" }).to_owned(),
                text: program.clone(),
            }]),
            Program::Input => arguments.extend(
                inputs.artifacts.iter().map(|source| vec![Piece::Path(step.portable(cx, source))]),
            ),
        }
        arguments.extend(self.asked.includes.iter().cloned());
        arguments.extend(self.asked.trace_args.iter().map(text));
    }

    fn whole(
        &self,
        step: &Step,
        cx: &Context,
        inputs: Inputs<'_>,
        arguments: Vec<Argument>,
        discovery: Discovery,
    ) -> Action {
        let action = step.action(cx, inputs, &self.asked.compiler, arguments);
        let searched = self.search.own.clone();
        Action { searched, discovery, response_file: true, ..action }
    }

    /// The trace of all that the answer depends on besides an input.
    fn depends_on(&self, output: &BuildPath) -> BuildTrace {
        let trace = self
            .asked
            .depends_on
            .clone()
            .mix(BuildTrace::text("output", output.as_str()))
            .mix(BuildTrace::list("arguments", &self.asked.trace_args));
        let trace = match &self.program {
            Program::Text(program) => trace.mix(BuildTrace::text("program", program.as_str())),
            Program::Input => trace,
        };
        match &self.link_args {
            Some(arguments) => trace.mix(BuildTrace::list("linked", arguments)),
            None => trace,
        }
    }
}

/// Has a check answered in the file `output` of the build directory, after `ready`, such as another check,
/// and `after`, what its program may read. Its program is `source`, where it is not a text.
pub fn build_answer(
    owner: Owner,
    output: BuildPath,
    source: Option<Job<Artifact>>,
    ready: Option<&Job<Artifact>>,
    after: Option<&Job<Vec<Artifact>>>,
    check: Check,
) -> Job<Artifact> {
    owner.cx.expect(1);
    let scheduler = owner.cx.scheduler.clone();
    let source = collect(&scheduler, source);
    let ready = collect(&scheduler, ready.cloned());
    let after = collect(&scheduler, after.cloned());
    source.flow(move |source| {
        let source = Built { value: source.value.clone(), trace: source.trace.clone() };
        Flow::Continued(ready.flow(move |_| {
            Flow::Continued(after.flow(move |after| {
                let mut prefix = check.depends_on(&output);
                if let Some(trace) = after.trace.parts().first() {
                    prefix = prefix.mix((**trace).clone().named("prerequisites"));
                }
                let work = Work::Check(Box::new(check));
                let mut step = owner.step(Output::file(output), prefix, work);
                step.prerequisites = after.value.concat();
                start_single(step, &owner.cx, (&source).into())
            }))
        }))
    })
}
