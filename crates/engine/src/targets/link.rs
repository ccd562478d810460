//! Libraries and executables.

use super::{Checked, Maker, TargetJob, wrong};
use crate::{
    builds::{Archive, Link, Owner, build_exe, build_shared_lib, build_static_lib},
    job::Built,
    toolchain::Role,
};
use larder_project::{
    name::Facet,
    plan::{Kind, Target},
    workspace::Package,
};

impl Maker<'_> {
    pub(super) fn linked(
        &mut self,
        target: &Target,
        package: &Package,
        owner: Owner,
    ) -> Checked<TargetJob> {
        let plan = self.plan;
        let objects_id = match &target.kind {
            Kind::Archive(archive) => archive.objects,
            Kind::Linked(linked) => linked.objects,
            Kind::Objects(_) | Kind::Command(_) => return Err(wrong("nothing to link")),
        };
        let file = target.file().unwrap_or_default().to_owned();
        let Some(TargetJob::Objects(objects)) = self.job(objects_id).cloned() else {
            return Err(wrong(&format!("`{}` has no objects", target.label)));
        };
        let Kind::Linked(linked) = &target.kind else {
            let tool = self.tool(package, Role::Ar)?;
            let depends_on = self.made_by("archive", package, &tool);
            let archive = Archive { archiver: tool.path.clone(), depends_on };
            return Ok(TargetJob::Single(build_static_lib(owner, file, objects, archive)));
        };
        let mut inputs = objects;
        let link_args =
            linked.link_args.iter().map(|argument| argument.text.value.clone()).collect();
        let mut trace_args = Vec::new();
        let mut cxx = self.cxx[objects_id.index()];
        for &library in &linked.libraries {
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
            cxx |= linked.needs().iter().any(|need| self.cxx[need.index()]);
            if linked.facet() == Some(Facet::Shared) {
                let flag = run_path(package, linked_package);
                if !trace_args.contains(&flag) {
                    trace_args.push(flag);
                }
            }
        }
        let tool = self.tool(package, if cxx { Role::Cxx } else { Role::Cc })?;
        let depends_on = self.made_by("link", package, &tool);
        let linker = tool.path.clone();
        let link = Link { linker, weak_args: Vec::new(), trace_args, link_args, depends_on };
        Ok(TargetJob::Single(match target.facet() {
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
