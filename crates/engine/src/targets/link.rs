//! Libraries and executables.

use larder_project::{
    plan::{self, Form, Kind, Linked, TargetId},
    workspace::Package,
};

use super::{
    Maker, TargetJob,
    files::{all_of_package, flatten},
    no_tool,
};
use crate::{
    builds::{
        Archive, Link, LinkKind, Owner, SearchPath, ToolUse, build_exe, build_shared_lib,
        build_static_lib,
    },
    search::LinkArguments,
    toolchain::Role,
};

impl Maker<'_> {
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
        let found = self.tools.archiver(toolchain, directory);
        let archiver = self.check(found.map_err(|error| no_tool(&package, &error)))?;
        let build = Archive {
            archiver: ToolUse {
                arguments: self.first_arguments(&package, Role::Ar).arguments().collect(),
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
            let outputs = &self.job(library)?.outputs;
            inputs.push(match target.package == package_id {
                true => outputs.clone(),
                false => all_of_package(outputs, &of.place.name),
            });
            cxx |= self.cxx[library.index()];
            if matches!(&target.kind, Kind::Linked(linked) if linked.form == Form::SharedLibrary) {
                let flag = run_path(&package, &of);
                if !trace_args.contains(&flag) {
                    trace_args.push(flag);
                }
            }
        }
        self.cxx[id.index()] = cxx;
        let link_args: Vec<String> =
            linked.link_args.iter().map(|argument| argument.text.value.clone()).collect();
        let of_manifest = [&trace_args[..], &link_args].concat();
        let role = if cxx { Role::Cxx } else { Role::Cc };
        let first = self.first_arguments(&package, role);
        let flags = self.flags(&package, self.flags.linking());
        let asked: Vec<String> = flags.here().chain(of_manifest.iter().cloned()).collect();
        let (compiler, identity) = self.compiler(&package, role, &asked)?;
        let given: Vec<String> =
            first.portable().chain(flags.portable()).chain(of_manifest).collect();
        let known = self.errors.len();
        let mut declared = Vec::new();
        for input in &linked.inputs {
            declared.extend(self.input(package_id, input, &owner).map(|(job, _)| job));
        }
        if self.errors.len() > known {
            return None;
        }
        let every = !compiler.linker.dependency_file;
        declared.extend(self.named_files(package_id, &link_args, every, &owner));
        declared.extend(self.files_of_flags(package_id, self.flags.linking(), every, &owner));
        let link = Link {
            linker: ToolUse {
                arguments: first.arguments().collect(),
                ..ToolUse::new(compiler.path.clone(), &identity)
            },
            writes_depfile: compiler.linker.dependency_file,
            search: search_path(&given),
            weak_args: flags.arguments().collect(),
            trace_args,
            link_args,
            depends_on: self.made_by("link", &package, identity).mix_all(flags.traces),
            kind: LinkKind::Executable,
        };
        let after = (!declared.is_empty()).then(|| flatten(self.cx, declared));
        let build = match linked.form {
            Form::SharedLibrary => build_shared_lib,
            Form::Executable => build_exe,
        };
        Some(TargetJob::single(&build(owner, linked.file.clone(), inputs, after.as_ref(), link)))
    }
}

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
    let origin = if cfg!(target_os = "macos") { "@loader_path" } else { "$ORIGIN" };
    format!("-Wl,-rpath,{origin}{way}")
}
