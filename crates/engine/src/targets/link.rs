//! Libraries and executables.

use super::{Checked, Maker, TargetJob, no_tool, wrong};
use crate::{
    builds::{Archive, Link, Owner, build_exe, build_shared_lib, build_static_lib},
    job::Built,
    toolchain::Role,
};
use larder_project::{
    name::Facet,
    plan::{Target, TargetId, output_name},
    workspace::Package,
};

impl Maker<'_> {
    pub(super) fn linked(
        &mut self,
        id: TargetId,
        target: &Target,
        package: &Package,
        owner: Owner,
    ) -> Checked<TargetJob> {
        let plan = self.plan;
        let compiled = plan.compiled(target).ok_or_else(|| wrong("nothing to link"))?;
        let file = output_name(target).ok_or_else(|| wrong("nothing to link"))?;
        let Some(objects_id) = target.needs.iter().copied().find(|need| {
            let need = plan.target(*need);
            need.facet == Some(Facet::O)
                && need.declared == target.declared
                && need.package == target.package
        }) else {
            return Err(wrong("its objects are not known"));
        };
        let Some(TargetJob::Objects(objects)) = self.job(objects_id).cloned() else {
            return Err(wrong(&format!("`{}` has no objects", target.label)));
        };
        if target.facet == Some(Facet::Static) {
            let (toolchain, directory) = (&package.manifest.toolchain, &package.place.directory);
            let archiver = self.tools.archiver(toolchain, directory);
            let archiver = archiver.map_err(|error| no_tool(package, &error))?;
            let depends_on = self.made_by("archive", package, &archiver.trace);
            let archive = Archive { archiver: archiver.path.clone(), depends_on };
            return Ok(TargetJob::Single(build_static_lib(owner, file, objects, archive)));
        }
        let mut inputs = objects;
        let mut link_args = compiled.link_args.clone();
        let mut trace_args = Vec::new();
        let mut cxx = self.cxx[objects_id.index()];
        for library in plan.link_order(id) {
            let linked = plan.target(library);
            let linked_package = plan.package_of(linked);
            let Some(TargetJob::Single(job)) = self.job(library) else {
                return Err(wrong(&format!("`{}` was not built", linked.label)));
            };
            inputs.push(match linked.package == target.package {
                true => job.clone(),
                false => {
                    let owner = linked_package.place.name.clone();
                    job.map(move |built| {
                        let name = format!("@{owner}/{}", built.trace.name());
                        Ok(Built {
                            value: built.value.clone(),
                            trace: built.trace.clone().named(name),
                        })
                    })
                }
            });
            if let Some(compiled) = plan.compiled(linked) {
                link_args.extend(compiled.link_args.iter().cloned());
            }
            cxx |= linked.needs.iter().any(|need| self.cxx[need.index()]);
            if linked.facet == Some(Facet::Shared) {
                let flag = run_path(package, linked_package);
                if !trace_args.contains(&flag) {
                    trace_args.push(flag);
                }
            }
        }
        let role = if cxx { Role::Cxx } else { Role::Cc };
        let compiler = self.compiler(package, role, &[&trace_args[..], &link_args].concat())?;
        let depends_on = self.made_by("link", package, &compiler.trace);
        let linker = compiler.path.clone();
        let link = Link { linker, weak_args: Vec::new(), trace_args, link_args, depends_on };
        Ok(TargetJob::Single(match target.facet {
            Some(Facet::Shared) => build_shared_lib(owner, file, inputs, link),
            _ => build_exe(owner, file, inputs, link),
        }))
    }
}

/// Tells the loader where a shared library lies, seen from what is linked with it.
fn run_path(package: &Package, library: &Package) -> String {
    let (from, to) = (&package.place.build_prefix, &library.place.build_prefix);
    let way = match (package.is_root, library.is_root) {
        _ if from == to => String::new(),
        (true, _) => format!("/{}", &to[from.len()..]),
        (false, true) => "/..".to_owned(),
        (false, false) => format!("/../@{}", library.place.name),
    };
    let origin = if cfg!(target_os = "macos") { "@loader_path" } else { "$ORIGIN" };
    format!("-Wl,-rpath,{origin}{}", way.trim_end_matches('/'))
}
