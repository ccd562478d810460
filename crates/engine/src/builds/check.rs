//! Questions to a compiler that are answered by trying: is there a header, a function, a type.

mod program;

use std::sync::Arc;

use larder_project::path::BuildPath;
use larder_trace::BuildTrace;

pub(crate) use program::{declares, function, header, size, size_in, type_of};

use super::{Compile, Owner, SearchPath, start_single};
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
    /// Whether no warning counts.
    pub without_warnings: bool,
    /// How it is compiled.
    pub compile: Arc<Compile>,
    /// How it is linked, where it is.
    pub link: Option<Linking>,
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
    /// A text.
    Text {
        /// The name of the file that holds it for a while; its extension tells the language.
        name: &'static str,
        /// All that is in it.
        text: String,
    },
}

/// How the program of a check is linked.
#[derive(Debug, Clone)]
pub struct Linking {
    /// Arguments before the program: their traces are part of `depends_on`.
    pub first_args: Vec<Argument>,
    /// Arguments after it, traced.
    pub link_args: Vec<String>,
    /// Arguments after all others: their traces are part of `depends_on`.
    pub last_args: Vec<Argument>,
    /// Whether the linker writes a list of the files that it read, when asked.
    pub writes_depfile: bool,
    /// The trace of all that the answer depends on besides `link_args` and how it is compiled.
    pub depends_on: BuildTrace,
}

impl Check {
    /// Returns the action that tries. What the program is made to lies where the answer is to be.
    pub(crate) fn action(&self, step: &Step, cx: &Context, inputs: Inputs<'_>) -> Action {
        let mut arguments = Vec::new();
        if self.link.is_none() {
            arguments.push(text("-c"));
        }
        arguments.extend([text("-o"), vec![Piece::Output(0)]]);
        arguments.extend([text("-MD"), text("-MF"), vec![Piece::Depfile]]);
        arguments.extend(self.link.iter().flat_map(|link| link.first_args.iter().cloned()));
        self.compile_with(step, cx, inputs, &mut arguments);
        if self.answer == Answer::Size {
            // The object is read, not linked.
            arguments.push(text("-fno-lto"));
        }
        let mut discovery = Discovery::Compiler;
        if let Some(link) = &self.link {
            if link.writes_depfile {
                discovery = Discovery::CompilerAndLinker;
                arguments.push(text("-Xlinker"));
                let option = Piece::Text("--dependency-file=".to_owned());
                arguments.push(vec![option, Piece::LinkerDepfile]);
            }
            arguments.extend(link.link_args.iter().map(text));
            arguments.extend(link.last_args.iter().cloned());
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

    /// Returns the action that links although functions are missing, so that the linker says what it
    /// read; none where it never says so.
    pub(crate) fn relinking(
        &self,
        step: &Step,
        cx: &Context,
        inputs: Inputs<'_>,
    ) -> Option<Action> {
        let mut action = self.action(step, cx, inputs);
        let tells = action.discovery == Discovery::CompilerAndLinker;
        action.arguments.push(text("-Wl,--unresolved-symbols=ignore-all"));
        tells.then_some(action)
    }

    fn compile_with(
        &self,
        step: &Step,
        cx: &Context,
        inputs: Inputs<'_>,
        arguments: &mut Vec<Argument>,
    ) {
        match &self.program {
            Program::Text { name, text } => {
                arguments.push(vec![Piece::File { name: (*name).to_owned(), text: text.clone() }]);
            }
            Program::Input => arguments.extend(
                inputs.artifacts.iter().map(|source| vec![Piece::Path(step.portable(cx, source))]),
            ),
        }
        arguments.extend(self.compile.given());
        if self.without_warnings {
            arguments.push(text("-w"));
        }
    }

    fn whole(
        &self,
        step: &Step,
        cx: &Context,
        inputs: Inputs<'_>,
        arguments: Vec<Argument>,
        discovery: Discovery,
    ) -> Action {
        let compiler = &self.compile.compiler;
        let action = step.action(cx, inputs, compiler, arguments);
        let response_file = Some(compiler.arguments.len());
        Action { searched: self.search.own.clone(), discovery, response_file, ..action }
    }

    /// The trace of all that the answer in `output` depends on besides an input.
    fn depends_on(&self, output: &BuildPath) -> BuildTrace {
        let mut trace = BuildTrace::nil("check")
            .mix((*self.compile.depends_on).clone())
            .mix(BuildTrace::text("answer", format!("{output} {:?}", self.answer)));
        if self.without_warnings {
            trace = trace.mix(BuildTrace::text("warnings", "none"));
        }
        if let Program::Text { text, .. } = &self.program {
            trace = trace.mix(BuildTrace::text("program", text.as_str()));
        }
        if let Some(link) = &self.link {
            trace = trace
                .mix(link.depends_on.clone())
                .mix(BuildTrace::list("link arguments", &link.link_args));
        }
        trace
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
    ready.flow(move |_| {
        Flow::Continued(source.flow(move |source| {
            let source = Built { value: source.value.clone(), trace: source.trace.clone() };
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
