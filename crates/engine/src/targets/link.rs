//! Libraries and executables.

use larder_project::{
    path::BuildPath,
    plan::{self, Declared, Form, Kind, Linked, TargetId},
    setting::Format,
    workspace::Package,
};

use larder_trace::BuildTrace;

use super::{
    Maker, TargetJob,
    files::{Reads, all_of_package, flatten},
    no_tool,
};
use crate::{
    artifact::Artifact,
    builds::{
        Archive, Link, LinkKind, Owner, SearchPath, ToolUse, TracedArgument, build_exe,
        build_shared_lib_and_import, build_static_lib, nth, single,
    },
    job::Built,
    search::LinkArguments,
    toolchain::Role,
};

impl Maker<'_> {
    /// A library of headers makes nothing; it is there when what its users read is.
    pub(super) fn headers(
        &mut self,
        id: TargetId,
        headers: &plan::Headers,
        owner: &Owner,
    ) -> Option<TargetJob> {
        let package = self.plan.target(id).package;
        self.check_headers(id)?;
        let known = self.errors.len();
        let mut groups = Vec::new();
        for input in &headers.inputs {
            groups.extend(self.input(package, input, owner).map(|(job, _)| job));
        }
        for read in &headers.reads {
            groups.extend(self.job(*read).map(|job| job.outputs.clone()));
        }
        let nothing = |_: &Built<Vec<Artifact>>| {
            Ok(Built { value: Vec::new(), trace: BuildTrace::nil("outputs") })
        };
        let outputs = flatten(self.cx, groups).map(nothing);
        (self.errors.len() == known).then_some(TargetJob { count: 0, outputs })
    }

    /// Makes sure that the headers of a library are there; says which are not.
    pub(super) fn check_headers(&mut self, id: TargetId) -> Option<()> {
        let target = self.plan.target(id);
        let Declared::Library(index) = target.declared else { return Some(()) };
        let package = self.package(target.package);
        let headers = package.manifest.libraries[index].headers.iter();
        let found: Vec<_> = headers.map(|pattern| self.expand(target.package, pattern)).collect();
        found.into_iter().all(|found| found.is_some()).then_some(())
    }

    pub(super) fn archive(
        &mut self,
        id: TargetId,
        archive: &plan::Archive,
        owner: Owner,
    ) -> Option<TargetJob> {
        let package = self.package(self.plan.target(id).package);
        let objects = self.job(archive.objects)?.outputs.clone();
        self.cxx[id.index()] = self.cxx[archive.objects.index()];
        let (toolchain, directory) = (&package.manifest.toolchain, &package.place.directory);
        let found = self.tools_of(&package).archiver(toolchain, directory);
        let archiver = self.check(found.map_err(|error| no_tool(&package, &error)))?;
        let build = Archive {
            archiver: ToolUse {
                arguments: self.first_of_archiver(&package).arguments().collect(),
                ..ToolUse::new(archiver.path.clone(), &archiver.trace)
            },
            depends_on: self.made_by("archive", &package, archiver.trace.clone()),
        };
        Some(TargetJob::single(&build_static_lib(owner, archive.file.clone(), &objects, build)))
    }

    pub(super) fn linked(
        &mut self,
        id: TargetId,
        linked: &Linked,
        owner: Owner,
    ) -> Option<TargetJob> {
        let package_id = self.plan.target(id).package;
        let package = self.package(package_id);
        let mut inputs = vec![self.job(linked.objects)?.outputs.clone()];
        let mut trace_args = Vec::new();
        let mut cxx = self.cxx[linked.objects.index()];
        for &library in &linked.libraries {
            let target = self.plan.target(library);
            let of = self.package(target.package);
            let mut outputs = self.job(library)?.outputs.clone();
            let mut is_loaded = false;
            if let Kind::Linked(Linked { form: Form::SharedLibrary, import, .. }) = &target.kind {
                is_loaded = package.platform.format() != Format::Pe;
                // Who is linked with it needs to know only what it offers.
                if import.is_some() {
                    outputs = single(&nth(&outputs, 1));
                }
            }
            inputs.push(match target.package == package_id {
                true => outputs,
                false => all_of_package(&outputs, &of.place.name),
            });
            cxx |= self.cxx[library.index()];
            if is_loaded {
                let flag = run_path(&package, &of);
                if !trace_args.contains(&flag) {
                    trace_args.push(flag);
                }
            }
        }
        self.cxx[id.index()] = cxx;
        let file = match self.wanted[id.index()] {
            true => self.to_install(linked, package.platform.format(), &mut trace_args),
            // It may be a tool of the build.
            false => linked.file.clone(),
        };
        let known = self.errors.len();
        let link_args = self.said(&package, &linked.link_args);
        let weak_args = self.said(&package, &linked.weak_link_args);
        let of_system = self.uses_for_linking(&package, &linked.system)?;
        let said = || link_args.iter().chain(&of_system.arguments).chain(&weak_args);
        let role = if cxx { Role::Cxx } else { Role::Cc };
        let exports = self.exports(id, &owner)?;
        let asked_for = self.flags_of(&package);
        let flags = self.flags(&package, asked_for.linking_as(role));
        let of_manifest = trace_args.iter().cloned();
        let here = of_manifest.clone().chain(said().map(|said| said.here.clone()));
        let asked: Vec<String> = flags.here().chain(here).collect();
        let (compiler, identity) = self.compiler(&package, role, &asked)?;
        let first = self.first(&package, &compiler.first);
        let portable = of_manifest.chain(said().map(|said| said.portable.clone()));
        let given: Vec<String> = first.portable().chain(flags.portable()).chain(portable).collect();
        let every = !compiler.linker.dependency_file;
        let reads = if every { Reads::Untold } else { Reads::Told };
        let mut declared = Vec::new();
        for input in &linked.inputs {
            declared.extend(self.ready(package_id, input, reads, &owner));
        }
        if self.errors.len() > known {
            return None;
        }
        let arguments = linked.link_args.iter().chain(&linked.weak_link_args);
        declared.extend(exports.iter().map(|(script, _)| single(script)));
        declared.extend(self.needs_of(package_id, arguments.clone()));
        declared.extend(self.files_of_arguments(package_id, arguments, every, &owner));
        declared.extend(self.files_of_flags(package_id, asked_for.linking_as(role), every, &owner));
        let link = Link {
            linker: ToolUse {
                arguments: first.arguments().collect(),
                ..ToolUse::new(compiler.path.clone(), &identity)
            },
            writes_depfile: compiler.linker.dependency_file,
            search: search_path(&given),
            weak_args: flags.arguments().collect(),
            trace_args,
            link_args: link_args
                .into_iter()
                .map(|said| TracedArgument { argument: said.argument, traced: said.traced })
                .chain(exports.iter().flat_map(|(_, arguments)| arguments.clone()))
                .collect(),
            last_args: of_system
                .arguments()
                .chain(weak_args.into_iter().map(|said| said.argument))
                .collect(),
            depends_on: self
                .made_by("link", &package, identity)
                .mix_all(of_system.traces.iter().cloned())
                .mix_all(flags.traces),
            kind: LinkKind::Executable,
            format: package.platform.format(),
            import: linked.import.clone(),
        };
        let after = (!declared.is_empty()).then(|| flatten(self.cx, declared));
        Some(match linked.form {
            Form::Executable => {
                TargetJob::single(&build_exe(owner, file, inputs, after.as_ref(), link))
            }
            Form::SharedLibrary => TargetJob {
                count: 1 + usize::from(link.import.is_some()),
                outputs: build_shared_lib_and_import(owner, file, inputs, after.as_ref(), link),
            },
        })
    }
}

impl Maker<'_> {
    /// The file that is linked, with its run paths. What is linked to be installed and would not find its
    /// libraries there is another file.
    fn to_install(
        &self,
        linked: &Linked,
        format: Format,
        run_paths: &mut Vec<String>,
    ) -> BuildPath {
        let Some(way) = self.cx.run_path.get() else { return linked.file.clone() };
        let wanted = match linked.form {
            Form::Executable => run_path_option(format, &format!("/{way}")),
            // Libraries are beside each other.
            Form::SharedLibrary => run_path_option(format, ""),
        };
        if run_paths.is_empty() || *run_paths == [wanted.clone()] {
            return linked.file.clone();
        }
        *run_paths = vec![wanted];
        let path = BuildPath::new(&format!("{INSTALLED}/{}", linked.file));
        path.unwrap_or_else(|_| linked.file.clone())
    }
}

/// The directory in the build directory of what is linked to be installed.
const INSTALLED: &str = ".install";

/// Where a linker looks for libraries, besides its own directories.
fn search_path(arguments: &[String]) -> SearchPath {
    let found = LinkArguments::parse(arguments);
    let names = found.names();
    let directories = found.directories.into_iter();
    let directories = directories.map(|path| path.trim_end_matches('/').to_owned()).collect();
    SearchPath { own: Vec::new(), directories, system: Vec::new(), names }
}

/// Tells the loader where a shared library lies, seen from what is linked with it.
fn run_path(package: &Package, library: &Package) -> String {
    let name = &library.place.name;
    let way = match (package.is_root, library.is_root) {
        _ if package.place.name == *name => String::new(),
        (true, _) => format!("/@{name}"),
        (false, true) => "/..".to_owned(),
        (false, false) => format!("/../@{name}"),
    };
    run_path_option(package.platform.format(), &way)
}

fn run_path_option(format: Format, way: &str) -> String {
    let origin = if format == Format::MachO { "@loader_path" } else { "$ORIGIN" };
    format!("-Wl,-rpath,{origin}{way}")
}
