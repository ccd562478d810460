//! Libraries and executables.

use std::sync::Arc;

use larder_project::{
    path::{BuildPath, RootPath},
    setting::Format,
};
use larder_trace::{BuildTrace, Level};

use super::{
    Owner, SearchPath, ToolUse, TracedArgument,
    compile::{optimises_when_linking, working_directory},
    start_single,
};
use crate::{
    action::{Action, Argument, Discovery, Output, Piece, text},
    artifact::Artifact,
    context::Context,
    event::Event,
    job::{Built, Failed, Job, collect},
    linker::dynlib_name,
    step::{Inputs, Step, Work},
};

/// How archives are made.
#[derive(Debug, Clone)]
pub struct Archive {
    /// The archiver.
    pub archiver: ToolUse,
    /// The trace of all that the archive depends on besides its members.
    pub depends_on: BuildTrace,
}

/// How something is linked.
#[derive(Debug, Clone)]
pub struct Link {
    /// The compiler that calls the linker.
    pub linker: ToolUse,
    /// Whether the linker writes a list of the files that it read, when asked.
    pub writes_depfile: bool,
    /// Where libraries are looked for.
    pub search: SearchPath,
    /// Arguments before the inputs that are not traced, unless whoever gives them has them traced in
    /// `depends_on`.
    pub weak_args: Vec<Argument>,
    /// Arguments before the inputs that are traced.
    pub trace_args: Vec<String>,
    /// Arguments after the inputs, such as `-lm`.
    pub link_args: Vec<TracedArgument>,
    /// Arguments after all others that are not traced.
    pub last_args: Vec<Argument>,
    /// The trace of all that the result depends on besides its inputs and traced arguments.
    pub depends_on: BuildTrace,
    /// The kind of the result.
    pub kind: LinkKind,
    /// The format of the result.
    pub format: Format,
    /// The file that is linked in the place of a shared library, where there is one: it says what the library
    /// offers.
    pub import: Option<BuildPath>,
}

/// The kind of what is linked, and how its inputs count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LinkKind {
    /// An executable.
    #[default]
    Executable,
    /// A shared library.
    Shared,
    /// A shared library with the whole of its inputs in it, needed or not.
    SharedWhole,
}

impl Archive {
    /// Returns the action that archives objects. The archive holds no times and no owners, so the same
    /// objects give the same bytes.
    pub(crate) fn action(&self, step: &Step, cx: &Context, inputs: Inputs<'_>) -> Action {
        // GNU and LLVM archivers know `D`; others leave times out by themselves or not at all.
        let flags = if cfg!(target_os = "linux") { "rcsD" } else { "rcs" };
        let mut arguments = vec![text(flags), vec![Piece::Output(0)]];
        arguments.extend(
            inputs.artifacts.iter().map(|object| vec![Piece::Path(step.portable(cx, object))]),
        );
        let action = step.action(cx, inputs, &self.archiver, arguments);
        Action { response_file: Some(self.archiver.arguments.len()), ..action }
    }
}

impl Link {
    /// The arguments that make it what it is.
    fn flags(&self, file: &BuildPath) -> Vec<String> {
        let mut flags = Vec::new();
        if self.kind != LinkKind::Executable {
            flags.push("-shared".to_owned());
            flags.extend(shared_name(file, self.format));
        }
        if self.format == Format::Pe {
            // The same inputs, the same bytes: no time of day in them.
            flags.push("-Wl,--no-insert-timestamp".to_owned());
            if self.kind != LinkKind::Executable {
                // Nor a number made of where it is written.
                flags.push("-Wl,--disable-auto-image-base".to_owned());
            }
        }
        flags
    }

    /// Returns the action that links.
    pub(crate) fn action(&self, step: &Step, cx: &Context, inputs: Inputs<'_>) -> Action {
        let flags = self.flags(&step.first().path).into_iter();
        let mut arguments: Vec<Argument> = flags.map(text).collect();
        arguments.extend([text("-o"), vec![Piece::Output(0)]]);
        if self.import.is_some() {
            arguments.push(text("-Xlinker"));
            arguments.push(vec![Piece::Text("--out-implib=".to_owned()), Piece::Output(1)]);
        }
        if self.writes_depfile {
            // Not `-Wl,…`, where a comma in the path would end it.
            arguments.push(text("-Xlinker"));
            arguments.push(vec![Piece::Text("--dependency-file=".to_owned()), Piece::Depfile]);
        }
        arguments.extend(self.weak_args.iter().cloned());
        arguments.extend(self.trace_args.iter().map(text));
        let whole = (self.kind == LinkKind::SharedWhole).then_some(match self.format {
            Format::MachO => ["-Wl,-all_load", ""],
            Format::Elf | Format::Pe => ["-Wl,--whole-archive", "-Wl,--no-whole-archive"],
        });
        arguments.extend(whole.map(|[before, _]| text(before)));
        arguments.extend(
            inputs.artifacts.iter().map(|input| vec![Piece::Path(step.portable(cx, input))]),
        );
        arguments
            .extend(whole.filter(|[_, after]| !after.is_empty()).map(|[_, after]| text(after)));
        arguments.extend(self.link_args.iter().map(|said| said.argument.clone()));
        arguments.extend(self.last_args.iter().cloned());
        let discovery = if self.writes_depfile { Discovery::Linker } else { Discovery::None };
        let traced = self.link_args.iter().map(|said| &said.traced).chain(&self.trace_args);
        let optimises = optimises_when_linking(traced, &self.last_args);
        let environment = optimises.then(working_directory).into_iter().collect();
        let action = step.action(cx, inputs, &self.linker, arguments);
        let response_file = Some(self.linker.arguments.len());
        Action { discovery, environment, response_file, ..action }
    }
}

/// Archives objects into the static library `file` of the build directory (Lake's `buildStaticLib`;
/// with Lean's archiver, `buildStaticLib` of a Lean package).
pub fn build_static_lib(
    owner: Owner,
    file: BuildPath,
    objects: &Job<Vec<Artifact>>,
    archive: Archive,
) -> Job<Artifact> {
    owner.cx.expect(1);
    objects.flow(move |objects| {
        let prefix = archive.depends_on.clone().mix(BuildTrace::text("output", file.as_str()));
        let work = Work::Archive(Arc::new(archive));
        let step = owner.step(Output::file(file), prefix, work);
        start_single(step, &owner.cx, objects.into())
    })
}

/// Links objects and libraries into the shared library `file` (Lake's `buildSharedLib`;
/// `buildLeanSharedLib` with `leanc`), after what its arguments may name.
pub fn build_shared_lib(
    owner: Owner,
    file: BuildPath,
    inputs: impl IntoIterator<Item = Job<Vec<Artifact>>>,
    after: Option<&Job<Vec<Artifact>>>,
    link: Link,
) -> Job<Artifact> {
    let link = Link { import: None, ..link };
    first(&build_shared_lib_and_import(owner, file, inputs, after, link))
}

/// Links objects and libraries into the shared library `file`, after what its arguments may name, and the file
/// that is linked in its place, where `link` names one. Gives both.
pub fn build_shared_lib_and_import(
    owner: Owner,
    file: BuildPath,
    inputs: impl IntoIterator<Item = Job<Vec<Artifact>>>,
    after: Option<&Job<Vec<Artifact>>>,
    link: Link,
) -> Job<Vec<Artifact>> {
    linked(owner, file, inputs, after, Link { kind: LinkKind::Shared, ..link })
}

/// Links the whole of a static library into the shared library `file` (Lake's
/// `buildLeanSharedLibOfStatic`).
pub fn build_shared_lib_of_static(
    owner: Owner,
    file: BuildPath,
    static_lib: &Job<Artifact>,
    link: Link,
) -> Job<Artifact> {
    let link = Link { kind: LinkKind::SharedWhole, import: None, ..link };
    first(&linked(owner, file, [single(static_lib)], None, link))
}

/// Links objects and libraries into the executable `file` (Lake's `buildExe`; `buildLeanExe` with
/// `leanc`), after what its arguments may name.
pub fn build_exe(
    owner: Owner,
    file: BuildPath,
    inputs: impl IntoIterator<Item = Job<Vec<Artifact>>>,
    after: Option<&Job<Vec<Artifact>>>,
    link: Link,
) -> Job<Artifact> {
    first(&linked(
        owner,
        file,
        inputs,
        after,
        Link { kind: LinkKind::Executable, import: None, ..link },
    ))
}

/// One artifact as a group of one.
pub(crate) fn single(one: &Job<Artifact>) -> Job<Vec<Artifact>> {
    one.map(|built| {
        let trace = BuildTrace::nil("outputs").mix(built.trace.clone());
        Ok(Built { value: vec![built.value.clone()], trace })
    })
}

/// The name that whoever is linked with a shared library looks for when it starts.
fn shared_name(file: &BuildPath, format: Format) -> Option<String> {
    let name = file.as_str().rsplit('/').next()?;
    (format == Format::Elf).then(|| format!("-Wl,-soname,{name}"))
}

/// The first of some artifacts.
fn first(all: &Job<Vec<Artifact>>) -> Job<Artifact> {
    nth(all, 0)
}

/// One of some artifacts, by position.
pub(crate) fn nth(all: &Job<Vec<Artifact>>, position: usize) -> Job<Artifact> {
    all.map(move |built| {
        let one = built.value.get(position).zip(built.trace.parts().get(position));
        let (value, part) = one.ok_or(Failed)?;
        Ok(Built { value: value.clone(), trace: (**part).clone() })
    })
}

fn linked(
    owner: Owner,
    file: BuildPath,
    inputs: impl IntoIterator<Item = Job<Vec<Artifact>>>,
    after: Option<&Job<Vec<Artifact>>>,
    link: Link,
) -> Job<Vec<Artifact>> {
    owner.cx.expect(1);
    let scheduler = owner.cx.scheduler.clone();
    let groups = inputs.into_iter().chain(after.cloned());
    let has_more = after.is_some();
    collect(&scheduler, groups).flow(move |groups| {
        let mut values = groups.value.as_slice();
        let mut traces = groups.trace.parts();
        let mut more = None;
        if has_more
            && let (Some((last, inputs)), Some((trace, parts))) =
                (values.split_last(), traces.split_last())
        {
            (values, traces) = (inputs, parts);
            more = Some((last.clone(), (**trace).clone().named("prerequisites")));
        }
        let parts = traces.iter().flat_map(|group| group.parts().to_vec());
        let inputs =
            Built { value: values.concat(), trace: BuildTrace::nil("inputs").mix_all(parts) };
        let mut traced = [&link.flags(&file)[..], &link.trace_args].concat();
        traced.extend(link.link_args.iter().map(|said| said.traced.clone()));
        let mut prefix = link
            .depends_on
            .clone()
            .mix(BuildTrace::text("output", file.as_str()))
            .mix(BuildTrace::list("arguments", &traced));
        if let Some(import) = &link.import {
            prefix = prefix.mix(BuildTrace::text("import", import.as_str()));
        }
        let mut prerequisites = Vec::new();
        if let Some((files, trace)) = more {
            prefix = prefix.mix(trace);
            prerequisites = files;
        }
        let import = link.import.clone().map(Output::file);
        let work = Work::Link(Arc::new(link));
        let mut step = owner.step(Output::file(file), prefix, work);
        step.outputs.extend(import);
        step.prerequisites = prerequisites;
        Arc::new(step).start(&owner.cx, (&inputs).into())
    })
}

/// A shared library as a linker names it (Lake's `Dynlib`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dynlib {
    /// Where it is.
    pub path: RootPath,
    /// Its name without `lib` and extension, as `-l` takes it.
    pub name: String,
}

/// The name and path of a shared library (Lake's `computeDynlibOfShared`). On Unix its file name must
/// start with `lib`, since that is what `-l` looks for; another name is an error.
pub fn compute_dynlib_of_shared(owner: &Owner, shared: &Job<Artifact>) -> Job<Dynlib> {
    let cx = owner.cx.clone();
    shared.map(move |shared| {
        let path = &shared.value.path;
        match dynlib_name(path.as_str()) {
            Some(name) => {
                let value = Dynlib { name: name.to_owned(), path: path.clone() };
                Ok(Built { value, trace: shared.trace.clone() })
            }
            None => {
                let message = format!(
                    "the shared library {path} cannot be linked by name: `lib` must come first in it"
                );
                cx.report(&Event::Note { level: Level::Error, message: &message });
                Err(Failed)
            }
        }
    })
}
