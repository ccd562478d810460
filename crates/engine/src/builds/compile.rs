//! Object files.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use larder_project::path::{BuildPath, PackagePath, PortablePath};
use larder_trace::{BuildTrace, Content, Walk};

use super::{Included, Owner, ToolUse, TracedArgument, inputs::unreadable, start_single};
use crate::{
    action::{Action, Argument, Discovery, Output, Piece, Variable, text},
    artifact::Artifact,
    context::Context,
    event::Status,
    job::{Built, Failed, Flow, Job, settle},
    step::{Inputs, Step, Work},
};

/// How sources of one kind are compiled; shared by all objects of a target.
#[derive(Debug, Clone)]
pub struct Compile {
    /// The compiler.
    pub compiler: ToolUse,
    /// The options that it takes.
    pub dialect: Dialect,
    /// Arguments that are not traced.
    pub weak_args: Vec<Argument>,
    /// A header that every source includes first.
    pub included: Option<Included>,
    /// Arguments that are traced.
    pub trace_args: Vec<TracedArgument>,
    /// Arguments after all others. Whoever gives them sees to it that they are part of what objects
    /// depend on.
    pub last_args: Vec<Argument>,
    /// Where headers are looked for.
    pub search: SearchPath,
    /// The trace of all that objects depend on besides their sources.
    pub(super) depends_on: Arc<BuildTrace>,
}

/// The options that a compiler or assembler takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Those of GCC and Clang, for depfiles, colours and path maps.
    Gcc,
    /// Those of NASM. It lists what it reads when it is asked for nothing else: with an object, it leaves
    /// some of it out.
    Nasm,
    /// Those of GNU as.
    GnuAs,
    /// Unknown: it is called with the arguments given and nothing else.
    Other,
}

impl Dialect {
    /// Whether the tool tells which files it read.
    pub fn tells(self) -> bool {
        self != Self::Other
    }
}

/// Where a compiler or linker looks for files. Texts are portable names of directories as records of
/// searches have them: none ends in `/`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SearchPath {
    /// The directories of packages that the manifest names; each ends in `/`.
    pub own: Vec<PortablePath>,
    /// All directories, in the order of the search.
    pub directories: Vec<String>,
    /// Those among them that are the tool's own.
    pub system: Vec<String>,
    /// Names that arguments ask for in each of them.
    pub names: Vec<String>,
}

impl Compile {
    /// Compiles with `compiler`; objects depend on `depends_on`, such as the compiler's identity and
    /// the platform, and on `trace_args`.
    pub fn new(
        compiler: ToolUse,
        dialect: Dialect,
        weak_args: Vec<Argument>,
        trace_args: Vec<TracedArgument>,
        depends_on: BuildTrace,
    ) -> Self {
        let traced: Vec<&str> = trace_args.iter().map(|said| said.traced.as_str()).collect();
        let arguments = BuildTrace::list("arguments", &traced);
        let depends_on = Arc::new(depends_on.mix(arguments));
        Self {
            compiler,
            dialect,
            weak_args,
            included: None,
            trace_args,
            last_args: Vec::new(),
            search: SearchPath::default(),
            depends_on,
        }
    }

    /// The same with a header that every source includes first.
    #[must_use]
    pub fn including(self, included: Included) -> Self {
        // Compilers say more or less in debug information of what they have read in that form.
        let form = included.form.map_or(String::new(), |form| format!(" precompiled by {form:?}"));
        let trace = BuildTrace::text("included", format!("{}{form}", included.header));
        let depends_on = Arc::new((*self.depends_on).clone().mix(trace));
        Self { included: Some(included), depends_on, ..self }
    }

    /// The arguments that the manifest and the environment ask for, in order.
    pub(crate) fn given(&self) -> impl Iterator<Item = Argument> {
        let header = self.included.iter().flat_map(Included::as_it_is);
        header.chain(self.given_without_header())
    }

    /// The same without the header that is included first.
    pub(super) fn given_without_header(&self) -> impl Iterator<Item = Argument> {
        let traced = self.trace_args.iter().map(|said| said.argument.clone());
        self.weak_args.iter().cloned().chain(traced).chain(self.last_args.iter().cloned())
    }

    /// Returns the action that compiles: `COMPILER -c -o OBJECT SOURCE … WEAK… TRACE…`.
    /// With `precompiled`, the header that is included first is read as it was compiled.
    pub(crate) fn action(
        &self,
        step: &Step,
        cx: &Context,
        inputs: Inputs<'_>,
        precompiled: Option<&Artifact>,
    ) -> Action {
        let source =
            inputs.artifacts.iter().map(|source| vec![Piece::Path(step.portable(cx, source))]);
        let output = [text("-o"), vec![Piece::Output(0)]];
        let mut environment = BTreeMap::new();
        let mut arguments = match self.dialect {
            Dialect::Gcc | Dialect::Other => [text("-c")].into_iter().chain(output).chain(source),
            Dialect::Nasm | Dialect::GnuAs => {
                return self.assembling(step, cx, inputs, output.into_iter().chain(source));
            }
        }
        .collect::<Vec<_>>();
        if self.dialect == Dialect::Gcc {
            arguments.extend([text("-MD"), text("-MF"), vec![Piece::Depfile]]);
            // Recorded with what it says; whoever shows that takes colours out where none are wanted.
            arguments.push(text("-fdiagnostics-color=always"));
            let traced = self.trace_args.iter().map(|said| &said.traced);
            if optimises_when_linking(traced, &self.last_args) {
                // Random names in the object come from what decides it.
                let hash = step.dep_hash(inputs);
                arguments.push(text(format!("-frandom-seed={hash}")));
                environment.extend([working_directory()]);
                arguments.push(text(format!("-ffile-prefix-map={HERE}=@{}", step.place.name)));
            }
        }
        match (&self.included, precompiled) {
            (Some(included), Some(file)) => {
                arguments.extend(included.as_compiled(step.portable(cx, file)));
                arguments.extend(self.given_without_header());
            }
            _ => arguments.extend(self.given()),
        }
        let discovery =
            if self.dialect == Dialect::Gcc { Discovery::Compiler } else { Discovery::None };
        let searched = self.search.own.clone();
        let action = step.action(cx, inputs, &self.compiler, arguments);
        let response_file = Some(self.compiler.arguments.len());
        let action = Action { searched, discovery, environment, response_file, ..action };
        self.seeing_header(step, cx, precompiled, action)
    }
}

impl Compile {
    /// Returns the action that lists what a compile reads, as a compiler of the dialect of GCC does it.
    pub(crate) fn reading(&self, step: &Step, cx: &Context, inputs: Inputs<'_>) -> Action {
        let mut arguments = vec![text("-M"), text("-MF"), vec![Piece::Depfile]];
        let sources = inputs.artifacts.iter();
        arguments.extend(sources.map(|source| vec![Piece::Path(step.portable(cx, source))]));
        arguments.extend(self.given());
        let action = step.action(cx, inputs, &self.compiler, arguments);
        let response_file = Some(self.compiler.arguments.len());
        let searched = self.search.own.clone();
        let (discovery, outputs) = (Discovery::Headers, Vec::new());
        Action { searched, discovery, outputs, response_file, ..action }
    }
}

/// The directory that a process of Linux runs in, by a name that holds for each of them.
const HERE: &str = "/proc/self/cwd";

/// Names the directory that a compiler runs in the same everywhere. GCC writes it into what is for link time
/// optimisation, and into what comes of that, and no path map changes it.
pub(super) fn working_directory() -> (String, Variable) {
    ("PWD".to_owned(), Variable::Text(HERE.to_owned()))
}

/// Whether objects are optimised when they are linked, by arguments that are traced, and those that come last.
pub(super) fn optimises_when_linking<'a>(
    traced: impl IntoIterator<Item = &'a String>,
    last: &'a [Argument],
) -> bool {
    let last = last.iter().filter_map(|argument| match argument.first()? {
        Piece::Text(text) => Some(text),
        _ => None,
    });
    traced.into_iter().chain(last).any(|argument| argument.starts_with("-flto"))
}

/// A source and the object made from it.
pub struct ObjectSource {
    /// The source.
    pub source: SourceOf,
    /// Where the object goes.
    pub object: BuildPath,
    /// How it is compiled.
    pub compile: Arc<Compile>,
    /// The header that is included first, compiled. It is there before, and does not count.
    pub precompiled: Option<Job<Artifact>>,
}

/// Where a source comes from.
#[derive(Clone)]
pub enum SourceOf {
    /// A file of the package.
    File(PackagePath),
    /// A file that another job makes.
    Made(Job<Artifact>),
}

/// Compiles a source to the object file `o_file` of the build directory (Lake's `buildO`):
/// `COMPILER -c -o O_FILE SOURCE WEAK… TRACE…`.
///
/// Weak arguments are not traced: paths such as `-I` that differ between machines go there. The
/// headers that the compiler read are traced by content, from its depfile. Lake's `buildLeanO` is
/// this with `leanc`.
pub fn build_o(
    owner: Owner,
    o_file: BuildPath,
    source: &Job<Artifact>,
    compile: Arc<Compile>,
    after: Option<&Job<Vec<Artifact>>>,
) -> Job<Artifact> {
    let source = SourceOf::Made(source.clone());
    let object = ObjectSource { source, object: o_file, compile, precompiled: None };
    build_objects(owner, vec![object], after).map(|built| {
        let (value, part) = built.value.first().zip(built.trace.parts().first()).ok_or(Failed)?;
        Ok(Built { value: value.clone(), trace: (**part).clone() })
    })
}

/// Compiles sources after `after`: what must be there before anything is compiled, such as generated
/// headers, is traced too, since only the depfile of a finished build tells whether it was needed.
///
/// An object that is up to date costs no job of its own: the objects of a target are looked at together, and only
/// those that are not known to be up to date go their own ways.
pub fn build_objects(
    owner: Owner,
    sources: Vec<ObjectSource>,
    after: Option<&Job<Vec<Artifact>>>,
) -> Job<Vec<Artifact>> {
    /// Few enough for all threads to have something to look at, many enough to be worth a task.
    const TOGETHER: usize = 64;
    owner.cx.expect(sources.len());
    let scheduler = owner.cx.scheduler.clone();
    let mut groups = Vec::with_capacity(sources.len() / TOGETHER + 1);
    let mut sources = sources.into_iter().peekable();
    while sources.peek().is_some() {
        let group: Vec<ObjectSource> = sources.by_ref().take(TOGETHER).collect();
        let owner = owner.clone();
        groups.push(match after {
            None => Job::spawn(&scheduler, move || start(&owner, group, None)),
            Some(after) => after.flow(move |after| {
                let trace = after.trace.clone().named("prerequisites");
                start(&owner, group, Some(Built { value: after.value.clone(), trace }))
            }),
        });
    }
    settle(&scheduler, groups).map(|groups| {
        let mut value = Vec::new();
        let mut trace = BuildTrace::nil("inputs");
        for group in &groups.value {
            let group = group.as_ref().map_err(|failed| *failed)?;
            for (object, artifact) in &group.value {
                trace = trace.mix(artifact.trace(object.as_str()));
                value.push(artifact.clone());
            }
        }
        Ok(Built { value, trace })
    })
}

/// Objects by their paths in the build directory. The job of a group of them has no trace: all are mixed in one.
type Group = Vec<(BuildPath, Artifact)>;

/// Looks at a group of objects, and sends those on their way that are not known to be up to date.
fn start(
    owner: &Owner,
    sources: Vec<ObjectSource>,
    after: Option<Built<Vec<Artifact>>>,
) -> Flow<Group> {
    let cx = &owner.cx;
    let after = after.map(Arc::new);
    let mut prefixes: Vec<(Arc<Compile>, Arc<BuildTrace>)> = Vec::new();
    let mut found: Vec<(BuildPath, Option<Artifact>)> = Vec::with_capacity(sources.len());
    let mut waiting: Vec<Job<Artifact>> = Vec::new();
    // The objects of a group mostly lie beside each other, and so do their sources.
    let mut walk = cx.index.walk();
    for ObjectSource { source, object, compile, precompiled } in sources {
        let known = prefixes.iter().find(|(known, _)| Arc::ptr_eq(known, &compile));
        let prefix = known.map(|(_, prefix)| prefix.clone()).unwrap_or_else(|| {
            let prefix = match &after {
                None => compile.depends_on.clone(),
                Some(after) => Arc::new((*compile.depends_on).clone().mix(after.trace.clone())),
            };
            prefixes.push((compile.clone(), prefix.clone()));
            prefix
        });
        let quick = match &source {
            SourceOf::File(path) => up_to_date(owner, &mut walk, &prefix, path, &object),
            SourceOf::Made(_) => None,
        };
        if quick.is_none() {
            let prerequisites = after.as_ref().map_or(Vec::new(), |after| after.value.clone());
            let output = Output::file(object.clone());
            let mut step = owner.step(output, prefix, Work::Compile(compile));
            step.prerequisites = prerequisites;
            waiting.push(match precompiled {
                None => compile_one(owner, source, step),
                Some(header) => {
                    let owner = owner.clone();
                    header.flow(move |header| {
                        step.prerequisites.push(header.value.clone());
                        Flow::Continued(compile_one(&owner, source, step))
                    })
                }
            });
        }
        found.push((object, quick));
    }
    if waiting.is_empty() {
        return Flow::Ended(together(found, Vec::new()));
    }
    Flow::Continued(settle(&cx.scheduler, waiting).map(|finished| {
        let mut made = Vec::with_capacity(finished.value.len());
        for one in &finished.value {
            made.push(one.as_ref().map_err(|failed| *failed)?.value.clone());
        }
        together(found, made)
    }))
}

/// The objects of a group in order: those found, and between them those made.
fn together(
    found: Vec<(BuildPath, Option<Artifact>)>,
    made: Vec<Artifact>,
) -> Result<Built<Group>, Failed> {
    let mut made = made.into_iter();
    let mut value = Vec::with_capacity(found.len());
    for (object, known) in found {
        value.push((object, known.or_else(|| made.next()).ok_or(Failed)?));
    }
    Ok(Built { value, trace: BuildTrace::nil("objects") })
}

/// The object, if the stat index knows it to be up to date and there is nothing to tell of it.
fn up_to_date(
    owner: &Owner,
    walk: &mut Walk<'_>,
    prefix: &BuildTrace,
    path: &PackagePath,
    object: &BuildPath,
) -> Option<Artifact> {
    let cx = &owner.cx;
    let asks_for_all = cx.cache.collects() || cx.cache.uploads().is_some() || cx.wants_everything();
    if cx.options.check_traces || asks_for_all || cx.timeline().is_some() {
        return None;
    }
    let from_root = owner.place.package_path(path);
    let source = walk.file(from_root.as_str(), Content::Text).ok()?;
    let dep_hash = prefix.hash_with_leaf(path.as_str(), source.hash);
    let trace_path = owner.place.trace_path(object);
    let vouched = walk.vouch(trace_path.as_str(), dep_hash, false)?;
    if vouched.read_trace || !vouched.on_disk {
        return None;
    }
    let (_, hashed) = vouched.outputs().next()?;
    cx.count(Status::Replayed, 1);
    Some(Artifact::on_disk(owner.place.build_path(object), &hashed, Content::Binary))
}

/// A job that brings one object about.
fn compile_one(owner: &Owner, source: SourceOf, step: Step) -> Job<Artifact> {
    let cx = owner.cx.clone();
    match source {
        SourceOf::Made(job) => job.flow(move |source| start_single(step, &cx, source.into())),
        SourceOf::File(path) => {
            let owner = owner.clone();
            Job::spawn(&cx.scheduler.clone(), move || {
                let started = Instant::now();
                let from_root = owner.place.package_path(&path);
                match cx.index.file(from_root.as_str(), Content::Text) {
                    Err(error) => unreadable(&owner, path.as_str(), &error, started),
                    Ok(hashed) => {
                        let value = Artifact::on_disk(from_root, &hashed, Content::Text);
                        let source = Built { trace: value.trace(path.as_str()), value };
                        start_single(step, &cx, (&source).into())
                    }
                }
            })
        }
    }
}
