//! Headers that are compiled once and included first by many sources.
//!
//! A precompiled header only saves time. What is made with it is what would be made without it, so its bytes, which
//! differ from one time to the next, count for nothing: the headers that went into it do. It is made when a source that
//! needs it has to be compiled, and it is in no store.

use std::sync::Arc;

use larder_project::{
    path::{BuildPath, PortablePath},
    plan::Language,
};
use larder_trace::{BuildTrace, Content};

use super::{Compile, Owner, start_single};
use crate::{
    action::{Action, Argument, Discovery, Output, Piece, text},
    artifact::Artifact,
    context::Context,
    job::{Built, Job, collect},
    step::{Inputs, Step, Work},
};

/// A header that every source includes before everything else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Included {
    /// The header, as records of the package call it.
    pub header: PortablePath,
    /// C or C++.
    pub language: Language,
    /// Where it is precompiled to.
    pub file: BuildPath,
    /// How the compiler takes that; `None` where the header is read as it is.
    pub form: Option<PrecompiledForm>,
}

/// How a compiler takes precompiled headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrecompiledForm {
    /// As GCC: beside a header that is named.
    Gcc,
    /// As Clang: by its own name.
    Clang,
}

/// How a header is compiled.
#[derive(Debug, Clone)]
pub struct Precompile {
    /// How the sources are that include it.
    pub compile: Arc<Compile>,
}

impl Included {
    /// The arguments that include the header as it is.
    pub(super) fn as_it_is(&self) -> [Argument; 2] {
        [text("-include"), vec![Piece::Path(self.header.clone())]]
    }

    /// The arguments that include it as it was compiled to `file`.
    pub(super) fn as_compiled(&self, file: PortablePath) -> Vec<Argument> {
        match self.form {
            Some(PrecompiledForm::Clang) => vec![text("-include-pch"), vec![Piece::Path(file)]],
            _ => {
                let beside = file.as_str().strip_suffix(".gch").unwrap_or(file.as_str());
                let beside = vec![Piece::Path(PortablePath::recorded(beside))];
                vec![text("-Winvalid-pch"), text("-include"), beside]
            }
        }
    }
}

impl Compile {
    /// The action with the header that is included first among what it may read, and what it was compiled to as
    /// that is now.
    pub(super) fn seeing_header(
        &self,
        step: &Step,
        cx: &Context,
        precompiled: Option<&Artifact>,
        mut action: Action,
    ) -> Action {
        if let Some(Included { header, .. }) = &self.included {
            let hash = |path: &str, content| Some(cx.index.file(path, content).ok()?.hash);
            let source = cx.places.find(&step.place, header).ok();
            let source = source.and_then(|at| hash(at.as_str(), Content::of_source(at.as_str())));
            action.inputs.extend(source.map(|hash| (header.clone(), hash)));
            let compiled = precompiled.and_then(|file| {
                Some((step.portable(cx, file), hash(file.path.as_str(), Content::Binary)?))
            });
            action.inputs.extend(compiled);
        }
        action
    }
}

impl Precompile {
    /// Returns the action that compiles the header.
    pub(crate) fn action(&self, step: &Step, cx: &Context, inputs: Inputs<'_>) -> Action {
        let compile = &self.compile;
        let mut arguments = vec![text("-o"), vec![Piece::Output(0)]];
        if let Some(included) = &compile.included {
            let is_cxx = included.language == Language::Cxx;
            // It is included by nothing else, as it will be by sources.
            arguments.extend(included.as_it_is());
            arguments.extend([text("-x"), text(if is_cxx { "c++-header" } else { "c-header" })]);
            arguments.push(text("/dev/null"));
            if included.form == Some(PrecompiledForm::Clang) {
                // Whether headers have changed is known by their content.
                arguments.extend([text("-Xclang"), text("-fno-pch-timestamp")]);
            }
        }
        arguments.extend([text("-MD"), text("-MF"), vec![Piece::Depfile]]);
        arguments.push(text("-fdiagnostics-color=always"));
        arguments.extend(compile.given_without_header());
        let searched = compile.search.own.clone();
        let action = step.action(cx, inputs, &compile.compiler, arguments);
        let response_file = Some(compile.compiler.arguments.len());
        let action = Action { searched, discovery: Discovery::Compiler, response_file, ..action };
        compile.seeing_header(step, cx, None, action)
    }
}

/// Compiles the header that sources include first to `file` of the build directory, once one of them has to be
/// compiled, after `after`. Nothing that it makes is traced.
pub fn build_precompiled(
    owner: Owner,
    file: BuildPath,
    precompile: Precompile,
    after: Option<&Job<Vec<Artifact>>>,
) -> Job<Artifact> {
    let scheduler = owner.cx.scheduler.clone();
    collect(&scheduler, after.cloned()).flow(move |after| {
        let prefix = (*precompile.compile.depends_on).clone();
        let mut prefix = prefix.mix(BuildTrace::text("header", file.as_str()));
        if let Some(trace) = after.trace.parts().first() {
            prefix = prefix.mix((**trace).clone().named("prerequisites"));
        }
        let work = Work::Precompile(Box::new(precompile));
        let mut step = owner.step(Output::file(file), prefix, work);
        step.prerequisites = after.value.concat();
        let nothing = Built { value: Vec::new(), trace: BuildTrace::nil("inputs") };
        start_single(step, &owner.cx, (&nothing).into())
    })
}
