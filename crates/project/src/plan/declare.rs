//! The list of targets, with nothing resolved yet.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
};

use super::{
    Archive, Command, Config, Declared, Form, Headers, Kind, Linked, Objects, PackageId, Plan,
    Program, Target, TargetId, Wrong,
};
use crate::{
    diagnostic::{Diagnostic, Located},
    name::{Facet, TargetName},
    path::BuildPath,
    setting::BuiltFor,
    workspace::Package,
};

/// An entry of a manifest and the targets that it declares, which are next to each other. Objects are
/// the first of a library's or executable's.
pub(super) struct Entry {
    pub package: PackageId,
    pub declared: Declared,
    /// Indices of targets.
    pub targets: Range<u32>,
}

impl Entry {
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = TargetId> + use<> {
        self.targets.clone().map(TargetId)
    }
}

/// Follows the name of what is built for the host, where it is shown.
const HOST: &str = " (host)";

impl Plan {
    /// Adds all targets.
    pub(super) fn declare(&mut self, errors: &mut Wrong) -> Vec<Entry> {
        let mut entries = Vec::new();
        for package in self.package_ids() {
            let side = self.side(package);
            self.declare_package(package, &mut entries, errors.of_mut(side));
        }
        self.tell_objects_apart();
        self.name_tools();
        entries
    }

    /// Has the tools of the build, which are made for the host only, mean the same for what is built for the
    /// target.
    fn name_tools(&mut self) {
        let tools: Vec<TargetId> = self.ids().filter(|&id| self.is_tool(id)).collect();
        for id in tools {
            let target = &self.targets[id.index()];
            let of_target = self.workspace.package_named(&self.package_of(target).place.name);
            let name = target.name.clone();
            if let Some(package) = of_target.filter(|index| *index != target.package.index()) {
                self.by_name[package].entry(name).or_default().push(id);
            }
        }
    }

    /// Whether a target is an executable that is a tool of the build, as it is made.
    pub(super) fn is_tool(&self, id: TargetId) -> bool {
        let target = self.target(id);
        match target.declared {
            Declared::Executable(index) => self.package_of(target).manifest.executables[index].host,
            _ => false,
        }
    }

    fn declare_package(
        &mut self,
        id: PackageId,
        entries: &mut Vec<Entry>,
        errors: &mut Vec<Diagnostic>,
    ) {
        let package = self.package(id).clone();
        let mut kinds: HashMap<&str, Vec<&str>> = HashMap::new();
        let crosses = self.workspace.cross.is_some();
        for (kind, name, facets, declared) in declarations(&package, crosses) {
            let known = kinds.entry(name).or_default();
            // A library and an executable may share a name, as `liblua.a` and `lua` do.
            let clash = |other: &&&str| **other == kind || alone(other) || alone(kind);
            if let Some(other) = known.iter().find(clash) {
                let message = format!("there is already a {other} called `{}`", **name);
                errors
                    .push(Diagnostic::new(message).at(&package.manifest.source, name.span.clone()));
                continue;
            }
            known.push(kind);
            let first = self.targets.len() as u32;
            for facet in facets {
                let full = TargetName {
                    package: (!package.is_root).then(|| package.place.name.clone()),
                    target: Some(name.value.clone()),
                    facet,
                };
                let mut label = full.to_string();
                if package.place.built_for == BuiltFor::Host {
                    label.push_str(HOST);
                }
                let target = TargetId(self.targets.len() as u32);
                self.by_name[id.index()].entry(name.value.clone()).or_default().push(target);
                self.targets.push(Target {
                    package: id,
                    declared,
                    name: name.value.clone(),
                    label: label.into(),
                    kind: unconnected(&package, declared, name, facet, TargetId(first)),
                });
            }
            let targets = first..self.targets.len() as u32;
            entries.push(Entry { package: id, declared, targets });
        }
    }

    /// The objects of a library and of an executable of one name: `lua:o` asks for both, but each is
    /// shown as what it is.
    fn tell_objects_apart(&mut self) {
        for ids in self.by_name.iter().flat_map(HashMap::values) {
            let is_object = |id: &&TargetId| self.targets[id.index()].facet() == Some(Facet::O);
            let objects: Vec<TargetId> = ids.iter().filter(is_object).copied().collect();
            if objects.len() < 2 {
                continue;
            }
            for id in objects {
                let target = &mut self.targets[id.index()];
                let kind = match target.declared {
                    Declared::Library(_) => "library",
                    _ => "executable",
                };
                target.label = format!("{} ({kind})", target.label).into();
            }
        }
    }
}

/// Returns the kind of a target, with all edges missing but that to its objects.
fn unconnected(
    package: &Package,
    declared: Declared,
    name: &str,
    facet: Option<Facet>,
    objects: TargetId,
) -> Kind {
    // A name is one component of a path.
    let path = |text: String| BuildPath(text.into());
    let linked = |form, file| {
        Kind::Linked(Linked {
            form,
            file: path(file),
            import: None,
            objects,
            libraries: Vec::new(),
            direct_libraries: Vec::new(),
            link_args: Vec::new(),
            weak_link_args: Vec::new(),
            system: Vec::new(),
            inputs: Vec::new(),
            test: None,
        })
    };
    match (facet, declared) {
        (Some(Facet::Static), _) => {
            let file = path(format!("lib{name}.a"));
            Kind::Archive(Archive { file, objects, libraries: Vec::new() })
        }
        (Some(Facet::Shared), _) => {
            let version = match declared {
                Declared::Library(index) => &package.manifest.libraries[index].shared.version,
                _ => &None,
            };
            let file = package.platform.shared_library(name, version.as_deref());
            let mut library = linked(Form::SharedLibrary, file);
            if let Kind::Linked(linked) = &mut library {
                linked.import = package.platform.import_library(name).map(path);
            }
            library
        }
        (Some(Facet::Exe), _) => linked(Form::Executable, package.platform.executable(name)),
        (None, Declared::Command(index)) => {
            Kind::Command(unconnected_command(&package.manifest.commands[index]))
        }
        (None, Declared::Library(_)) => {
            Kind::Headers(Headers { libraries: Vec::new(), inputs: Vec::new(), reads: Vec::new() })
        }
        (None, Declared::Config(index)) => Kind::Config(Box::new(Config {
            declared: package.manifest.configs[index].clone(),
            template: None,
            checks: Objects::none(path(format!("checks/{name}"))),
        })),
        (_, declared) => Kind::Objects(Objects::none(path(match declared {
            Declared::Library(_) => format!("obj/lib{name}"),
            _ => format!("obj/{name}"),
        }))),
    }
}

pub(super) fn unconnected_command(declared: &crate::manifest::Command) -> Command {
    let written = |word: &Located<crate::manifest::Template>| Located {
        value: word.text.clone(),
        span: word.span.clone(),
    };
    Command {
        inputs: Vec::new(),
        outputs: declared.outputs.iter().map(|output| output.value.clone()).collect(),
        program: Program::Tool(Located { value: String::new(), span: declared.name.span.clone() }),
        arguments: Vec::new(),
        run: declared.run.iter().map(written).collect(),
        loads: Vec::new(),
        env: BTreeMap::new(),
        pass_env: declared.pass_env.clone(),
        tools: declared.tools.clone(),
        system_files: declared.system_files.clone(),
        probes: declared.probes.clone(),
        always: declared.always || declared.stamp,
        stamp: declared.stamp,
        test: declared.test,
        timeout: declared.timeout,
    }
}

type Declaration<'p> = (&'static str, &'p Located<String>, Vec<Option<Facet>>, Declared);

fn declarations(package: &Package, crosses: bool) -> Vec<Declaration<'_>> {
    let manifest = &package.manifest;
    let libraries = manifest.libraries.iter().enumerate().map(|(index, library)| {
        let is_made = library.is_static || library.is_shared;
        let mut facets = vec![is_made.then_some(Facet::O)];
        facets.extend(library.is_static.then_some(Some(Facet::Static)));
        facets.extend(library.is_shared.then_some(Some(Facet::Shared)));
        ("library", &library.compiled.name, facets, Declared::Library(index))
    });
    let executables = manifest.executables.iter().enumerate().map(|(index, executable)| {
        let facets = vec![Some(Facet::O), Some(Facet::Exe)];
        ("executable", &executable.compiled.name, facets, Declared::Executable(index))
    });
    // Tools of the build are made for the host only.
    let is_made = |index: usize| {
        let for_target = crosses && package.place.built_for == BuiltFor::Target;
        !(for_target && manifest.executables[index].host)
    };
    let executables = executables.filter(move |(.., declared)| match declared {
        Declared::Executable(index) => is_made(*index),
        _ => true,
    });
    let commands =
        manifest.commands.iter().enumerate().map(|(index, command)| {
            ("command", &command.name, vec![None], Declared::Command(index))
        });
    let configs = manifest.configs.iter().enumerate().map(|(index, config)| {
        ("config", &config.compiled.name, vec![None], Declared::Config(index))
    });
    libraries.chain(executables).chain(commands).chain(configs).collect()
}

/// Whether targets of this kind share their name with none.
fn alone(kind: &str) -> bool {
    matches!(kind, "command" | "config")
}
