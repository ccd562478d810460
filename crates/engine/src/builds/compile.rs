//! Object files.

use std::{path::PathBuf, sync::Arc};

use larder_trace::BuildTrace;

use super::{Owner, run_single};
use crate::{
    action::{Action, ActionError},
    artifact::{Artifact, Output},
    depfile,
    job::{Built, Job},
};

/// How sources of one kind are compiled; shared by all objects of a target.
#[derive(Debug, Clone)]
pub struct Compile {
    /// The compiler, absolute.
    pub compiler: PathBuf,
    /// Whether it takes the options of GCC and Clang for depfiles, colours and path maps. Any other
    /// compiler is called with the arguments given and nothing else.
    pub gnu_like: bool,
    /// Arguments that are not traced.
    pub weak_args: Vec<String>,
    /// Arguments that are traced.
    pub trace_args: Vec<String>,
    /// The directories that headers are read from, absolute: what a sandboxed compiler sees.
    pub includes: Vec<PathBuf>,
    /// What objects depend on besides their sources: `trace_args`, and what [`Self::new`] was given.
    depends_on: Arc<BuildTrace>,
}

impl Compile {
    /// Compiles with `compiler`; objects depend on `depends_on`, such as the compiler's identity and
    /// the platform, and on `trace_args`.
    pub fn new(
        compiler: PathBuf,
        gnu_like: bool,
        weak_args: Vec<String>,
        trace_args: Vec<String>,
        depends_on: BuildTrace,
    ) -> Self {
        let arguments = BuildTrace::list("arguments", &trace_args);
        let depends_on = Arc::new(depends_on.mix(arguments));
        let includes = Vec::new();
        Self { compiler, gnu_like, weak_args, trace_args, includes, depends_on }
    }
}

/// Compiles a source to the object file `o_file` of the build directory (Lake's `buildO`):
/// `COMPILER -c -o O_FILE SOURCE WEAK… TRACE…`.
///
/// Weak arguments are not traced: paths such as `-I` that differ between machines go there. The
/// headers that the compiler read are traced by content, from its depfile. Lake's `buildLeanO` is
/// this with `leanc`.
pub fn build_o(
    owner: Owner,
    o_file: impl Into<String>,
    source: &Job<Artifact>,
    compile: Arc<Compile>,
    after: Option<&Job<Vec<Artifact>>>,
) -> Job<Artifact> {
    let output = Output::file(o_file);
    owner.cx.expect(1);
    let build = move |source: &Built<Artifact>, prerequisites: Option<Built<Vec<Artifact>>>| {
        let prefix = match &prerequisites {
            None => compile.depends_on.clone(),
            Some(after) => Arc::new((*compile.depends_on).clone().mix(after.trace.clone())),
        };
        let cx = owner.cx.clone();
        let work = move |action: &mut Action<'_>| {
            let needed = prerequisites.iter().flat_map(|after| &after.value);
            action.visible.extend(needed.map(|artifact| action.cx.absolute(&artifact.path)));
            run_compiler(action, &compile)
        };
        let step = owner.step(vec![output], prefix, Box::new(work));
        run_single(step, &cx, source.into())
    };
    match after {
        None => source.map(move |source| build(source, None)),
        // What must be there before anything is compiled, such as generated headers, is traced too:
        // only the depfile of a finished build tells whether it was needed.
        Some(after) => {
            let source = source.clone();
            after.bind(move |after| {
                let trace = after.trace.clone().named("prerequisites");
                let after = Built { value: after.value.clone(), trace };
                source.map(move |source| build(source, Some(after)))
            })
        }
    }
}

fn run_compiler(action: &mut Action<'_>, compile: &Compile) -> Result<(), ActionError> {
    action.visible.extend_from_slice(&compile.includes);
    let object = action.staged(&action.step.outputs[0])?;
    let source = action.artifact(&action.inputs[0]);
    let depfile = action.staging.join("depfile.d");
    let mut arguments = vec!["-c".into(), "-o".into(), action.argument(&object), source];
    if compile.gnu_like {
        arguments.extend(["-MD".into(), "-MF".into(), action.argument(&depfile)]);
        if action.cx.options.color {
            arguments.push("-fdiagnostics-color=always".into());
        }
    }
    arguments.extend_from_slice(&compile.weak_args);
    arguments.extend_from_slice(&compile.trace_args);
    action.run_tool(&compile.compiler, arguments)?;
    // A compiler writes none for an assembly file that is not preprocessed.
    if compile.gnu_like
        && depfile.symlink_metadata().is_ok_and(|found| found.is_file())
        && let Ok(bytes) = std::fs::read(&depfile)
    {
        let text = String::from_utf8(bytes).map_err(|error| {
            let said = String::from_utf8_lossy(error.as_bytes());
            let names = depfile::parse(&said);
            let name = names.iter().find(|name| name.contains(char::REPLACEMENT_CHARACTER));
            let name = name.map_or("a header", String::as_str);
            ActionError::Failed(format!("it includes {name}, whose name is not UTF-8; rename it"))
        })?;
        action.discovered = depfile::parse(&text);
    }
    Ok(())
}
