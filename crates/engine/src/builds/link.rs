//! Libraries and executables.

use std::path::PathBuf;

use larder_trace::{BuildTrace, Level};

use super::{Owner, run_single};
use crate::{
    action::Action,
    artifact::{Artifact, Output},
    event::Event,
    job::{Built, Failed, Job, collect},
};

/// How archives are made.
#[derive(Debug, Clone)]
pub struct Archive {
    /// The archiver, absolute.
    pub archiver: PathBuf,
    /// What the archive depends on besides its members.
    pub depends_on: BuildTrace,
}

/// How something is linked.
#[derive(Debug, Clone)]
pub struct Link {
    /// The compiler that calls the linker, absolute.
    pub linker: PathBuf,
    /// Arguments before the inputs that are not traced.
    pub weak_args: Vec<String>,
    /// Arguments before the inputs that are traced.
    pub trace_args: Vec<String>,
    /// Arguments after the inputs, such as `-lm`: traced.
    pub link_args: Vec<String>,
    /// What the result depends on besides its inputs and traced arguments.
    pub depends_on: BuildTrace,
}

/// Archives objects into the static library `file` of the build directory (Lake's `buildStaticLib`;
/// with Lean's archiver, `buildStaticLib` of a Lean package). The archive holds no times and no
/// owners, so the same objects give the same bytes.
pub fn build_static_lib(
    owner: Owner,
    file: impl Into<String>,
    objects: impl IntoIterator<Item = Job<Artifact>>,
    archive: Archive,
) -> Job<Artifact> {
    let output = Output::file(file);
    owner.cx.expect(1);
    collect(&owner.cx.scheduler.clone(), objects).map(move |objects| {
        let Archive { archiver, depends_on } = archive;
        let work = move |action: &mut Action<'_>| {
            let target = action.staged(&action.step.outputs[0])?;
            // GNU and LLVM archivers know `D`; others leave times out by themselves or not at all.
            let flags = if cfg!(target_os = "linux") { "rcsD" } else { "rcs" };
            let mut arguments = vec![flags.to_owned(), action.argument(&target)];
            arguments.extend(action.inputs.iter().map(|object| action.artifact(object)));
            action.run_tool(&archiver, arguments)
        };
        let step = owner.step(vec![output], depends_on, Box::new(work));
        run_single(step, &owner.cx, objects.into())
    })
}

/// Links objects and libraries into the shared library `file` (Lake's `buildSharedLib`;
/// `buildLeanSharedLib` with `leanc`).
pub fn build_shared_lib(
    owner: Owner,
    file: impl Into<String>,
    inputs: impl IntoIterator<Item = Job<Artifact>>,
    link: Link,
) -> Job<Artifact> {
    let file = file.into();
    let mut flags = vec!["-shared".to_owned()];
    flags.extend(shared_name(&file));
    linked(owner, file, inputs, link, flags, [None, None])
}

/// Links the whole of a static library into the shared library `file` (Lake's
/// `buildLeanSharedLibOfStatic`).
pub fn build_shared_lib_of_static(
    owner: Owner,
    file: impl Into<String>,
    static_lib: &Job<Artifact>,
    link: Link,
) -> Job<Artifact> {
    let file = file.into();
    let mut flags = vec!["-shared".to_owned()];
    flags.extend(shared_name(&file));
    let whole = if cfg!(target_os = "macos") {
        [Some("-Wl,-all_load"), None]
    } else {
        [Some("-Wl,--whole-archive"), Some("-Wl,--no-whole-archive")]
    };
    linked(owner, file, [static_lib.clone()], link, flags, whole)
}

/// Links objects and libraries into the executable `file` (Lake's `buildExe`; `buildLeanExe` with
/// `leanc`).
pub fn build_exe(
    owner: Owner,
    file: impl Into<String>,
    inputs: impl IntoIterator<Item = Job<Artifact>>,
    link: Link,
) -> Job<Artifact> {
    linked(owner, file.into(), inputs, link, Vec::new(), [None, None])
}

/// The name that whoever is linked with a shared library looks for when it starts.
fn shared_name(file: &str) -> Option<String> {
    let name = file.rsplit('/').next()?;
    cfg!(target_os = "linux").then(|| format!("-Wl,-soname,{name}"))
}

fn linked(
    owner: Owner,
    file: String,
    inputs: impl IntoIterator<Item = Job<Artifact>>,
    link: Link,
    flags: Vec<String>,
    around: [Option<&'static str>; 2],
) -> Job<Artifact> {
    owner.cx.expect(1);
    collect(&owner.cx.scheduler.clone(), inputs).map(move |inputs| {
        let traced = [&flags[..], &link.trace_args, &link.link_args].concat();
        let prefix = link.depends_on.clone().mix(BuildTrace::list("arguments", &traced));
        let work = move |action: &mut Action<'_>| {
            let target = action.staged(&action.step.outputs[0])?;
            let mut arguments = flags.clone();
            arguments.extend(["-o".to_owned(), action.argument(&target)]);
            arguments.extend_from_slice(&link.weak_args);
            arguments.extend_from_slice(&link.trace_args);
            arguments.extend(around[0].map(str::to_owned));
            arguments.extend(action.inputs.iter().map(|input| action.artifact(input)));
            arguments.extend(around[1].map(str::to_owned));
            arguments.extend_from_slice(&link.link_args);
            action.run_tool(&link.linker, arguments)
        };
        let step = owner.step(vec![Output::file(file)], prefix, Box::new(work));
        run_single(step, &owner.cx, inputs.into())
    })
}

/// A shared library as a linker names it (Lake's `Dynlib`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dynlib {
    /// Where it is, from the root.
    pub path: String,
    /// Its name without `lib` and extension, as `-l` takes it.
    pub name: String,
}

/// The name and path of a shared library (Lake's `computeDynlibOfShared`). On Unix its file name must
/// start with `lib`, since that is what `-l` looks for; another name is an error.
pub fn compute_dynlib_of_shared(owner: &Owner, shared: &Job<Artifact>) -> Job<Dynlib> {
    let cx = owner.cx.clone();
    shared.map(move |shared| {
        let path = shared.value.path.to_string();
        let stem = path.rsplit('/').next().and_then(|name| name.split('.').next()).unwrap_or("");
        match stem.strip_prefix("lib").filter(|name| !name.is_empty()) {
            Some(name) => {
                let value = Dynlib { name: name.to_owned(), path };
                Ok(Built { value, trace: shared.trace.clone() })
            }
            None => {
                let message = format!(
                    "the shared library {path} cannot be linked by name: `lib` must come first"
                );
                cx.report(&Event::Note { level: Level::Error, message: &message });
                Err(Failed)
            }
        }
    })
}
