//! Edges: what the names of every entry mean, and what follows from that for others.

use std::collections::HashSet;

use super::{
    Argument, Command, Declared, Directory, DirectoryAt, Form, Input, Kind, Plan, Runs, Source,
    SystemLibrary, TargetId, Test, ToolArgument, Wrong, declare::Entry, links::LinkOrder,
    target::each_once,
};
use crate::{
    diagnostic::{Diagnostic, Located},
    manifest::{Compiled, Exports},
    name::Facet,
    setting::{BuiltFor, Format},
};
use names::Names;

mod names;
mod sources;

/// An entry with its names resolved, but without what its libraries bring.
enum Resolved {
    Compiled(Own),
    Command(Command),
    /// With its template.
    Config(Option<Input>, Own),
}

/// Everything that a library or an executable names itself.
pub(super) struct Own {
    pub libraries: Vec<TargetId>,
    pub sources: Vec<Located<Source>>,
    pub includes: Vec<Directory>,
    pub private_includes: Vec<Directory>,
    pub system_includes: Vec<Directory>,
    pub inputs: Vec<Input>,
    /// Compiler arguments with placeholders in them.
    pub filled_args: Vec<ToolArgument>,
    /// Linker arguments for itself and its users.
    pub link_args: Vec<ToolArgument>,
    /// Linker arguments for itself.
    pub private_link_args: Vec<ToolArgument>,
    /// Linker arguments for itself that are not traced.
    pub weak_link_args: Vec<ToolArgument>,
    /// Libraries of the system, for itself and its users.
    pub system: Vec<SystemLibrary>,
    /// How it is run, if it is a test; without what it loads.
    pub test: Option<Test>,
}

impl Own {
    /// The targets that make headers which its own sources and its users' may read.
    fn makers_of_headers(&self) -> impl Iterator<Item = TargetId> {
        let includes = self.includes.iter().chain(&self.system_includes);
        self.inputs.iter().filter_map(Input::target).chain(makers_of(includes))
    }
}

/// The targets that make some of `directories`.
fn makers_of<'d>(
    directories: impl Iterator<Item = &'d Directory>,
) -> impl Iterator<Item = TargetId> {
    directories.filter_map(|directory| match directory.at {
        DirectoryAt::Output { made, .. } => Some(made.target),
        DirectoryAt::Package(_) | DirectoryAt::Build(_) => None,
    })
}

impl Plan {
    /// Fills in all edges. Without errors, libraries may still need each other in a cycle. Of a side with
    /// errors, targets are left alone.
    pub(super) fn connect(&mut self, entries: &[Entry], wrong: &mut Wrong) -> Runs {
        let mut resolved = Vec::with_capacity(entries.len());
        for entry in entries {
            let errors = wrong.of_mut(self.side(entry.package));
            resolved.push(self.resolve_entry(entry, errors));
        }
        let mut own = Vec::with_capacity(entries.len());
        for (entry, resolved) in entries.iter().zip(resolved) {
            own.push(match resolved {
                _ if !wrong.of(self.side(entry.package)).is_empty() => None,
                Resolved::Compiled(found) => {
                    self.set_libraries(entry, &found.libraries);
                    Some(found)
                }
                Resolved::Command(command) => {
                    for id in entry.ids() {
                        self.targets[id.index()].kind = Kind::Command(command.clone());
                    }
                    None
                }
                Resolved::Config(template, own) => {
                    self.set_config(entry, template, own);
                    None
                }
            });
        }
        let on_host = |id: &TargetId| self.side(self.target(*id).package) == BuiltFor::Host;
        let mut targets =
            self.targets.iter().filter(|one| self.side(one.package) == BuiltFor::Target);
        let crosses = self.workspace.cross.is_some();
        let runs = match crosses && targets.any(|target| target.needs().iter().any(on_host)) {
            true => Runs::Tools,
            false => Runs::Nothing,
        };
        if wrong.target.is_empty() {
            self.connect_libraries(entries, own);
            self.connect_loads();
        }
        runs
    }

    fn resolve_entry(&self, entry: &Entry, errors: &mut Vec<Diagnostic>) -> Resolved {
        let package = self.package(entry.package);
        let mut names = Names { plan: self, package: entry.package, errors };
        let manifest = &package.manifest;
        match entry.declared {
            Declared::Library(index) => {
                let library = &manifest.libraries[index];
                let mut own = names.compiled(&library.compiled);
                // The engine says that Windows knows none.
                let is_known = package.platform.format() != Format::Pe;
                if let Some(Exports::Script(script)) =
                    library.shared.exports.as_ref().filter(|_| is_known)
                {
                    own.private_link_args.extend(names.version_script(script));
                }
                Resolved::Compiled(own)
            }
            Declared::Executable(index) => {
                let executable = &manifest.executables[index];
                let mut own = names.compiled(&executable.compiled);
                let arguments = executable.test_args.iter().map(|word| names.argument(word));
                own.test = executable.test.then(|| Test {
                    arguments: arguments.collect(),
                    timeout: executable.timeout,
                    loads: Vec::new(),
                });
                Resolved::Compiled(own)
            }
            Declared::Command(index) => {
                let mut command = super::declare::unconnected_command(&manifest.commands[index]);
                names.command(&manifest.commands[index], &mut command);
                Resolved::Command(command)
            }
            Declared::Config(index) => {
                let config = &manifest.configs[index];
                let template =
                    config.template.iter().flat_map(|input| names.input(input, false, &[]));
                Resolved::Config(template.last(), names.compiled(&config.compiled))
            }
        }
    }

    /// Fills in what checks are compiled with. They are linked with no library.
    fn set_config(&mut self, entry: &Entry, found: Option<Input>, own: Own) {
        let mut reads: Vec<TargetId> = own.makers_of_headers().collect();
        reads.extend(makers_of(own.private_includes.iter()));
        for id in entry.ids() {
            let Kind::Config(config) = &mut self.targets[id.index()].kind else { continue };
            let compiled = &config.declared.compiled;
            let checks = &mut config.checks;
            checks.includes = each_place(own.private_includes.iter().chain(&own.includes));
            checks.system_includes = each_place(own.system_includes.iter());
            checks.inputs = own.inputs.clone();
            checks.reads = each_once(reads.clone());
            checks.weak_args = compiled.lists.weak_args.clone();
            checks.filled_args = own.filled_args.clone();
            checks.system = own.system.clone();
            checks.arguments = compiled.arguments.clone();
            config.template = found.clone();
        }
    }

    fn set_libraries(&mut self, entry: &Entry, libraries: &[TargetId]) {
        for id in entry.ids() {
            match &mut self.targets[id.index()].kind {
                Kind::Headers(headers) => headers.libraries = libraries.to_vec(),
                Kind::Archive(archive) => archive.libraries = libraries.to_vec(),
                Kind::Linked(linked) => linked.direct_libraries = libraries.to_vec(),
                Kind::Objects(_) | Kind::Command(_) | Kind::Config(_) => {}
            }
        }
    }

    /// Fills in what libraries and executables are made from, with what their libraries bring.
    fn connect_libraries(&mut self, entries: &[Entry], mut own: Vec<Option<Own>>) {
        let mut entry_of = vec![0; self.targets.len()];
        for (index, entry) in entries.iter().enumerate() {
            entry.ids().for_each(|id| entry_of[id.index()] = index);
        }
        let mut orders = LinkOrder::new(self);
        let orders: Vec<Vec<TargetId>> = own
            .iter()
            .map(|own| own.as_ref().map_or(Vec::new(), |own| orders.of(&own.libraries)))
            .collect();
        for (index, (entry, order)) in entries.iter().zip(orders).enumerate() {
            let Some(this) = &own[index] else { continue };
            let libraries = || order.iter().map(|id| entry_of[id.index()]);
            let group = || {
                std::iter::once(index)
                    .chain(libraries())
                    .filter_map(|other| Some((&entries[other], own[other].as_ref()?)))
            };
            let public = || group().flat_map(|(_, own)| &own.includes);
            let includes = each_place(this.private_includes.iter().chain(public()));
            let is_private =
                |it: &&Directory| this.includes.iter().all(|own| own.place() != it.place());
            let private_includes = each_place(this.private_includes.iter().filter(is_private));
            let system_includes = each_place(group().flat_map(|(_, own)| &own.system_includes));
            let mut reads: Vec<TargetId> = self.makers_beside_sources(&this.sources).collect();
            reads.extend(makers_of(this.private_includes.iter()));
            let (mut link_args, mut inputs) = (Vec::new(), Vec::new());
            let mut system: Vec<SystemLibrary> = Vec::new();
            for (other, own) in group() {
                reads.extend(own.makers_of_headers());
                link_args.extend(own.link_args.iter().cloned());
                let is_itself = other.ids().eq(entry.ids());
                if is_itself {
                    link_args.extend(own.private_link_args.iter().cloned());
                }
                // Of another target, only what its arguments may have the linker read counts.
                if !own.link_args.is_empty() || is_itself {
                    inputs.extend(own.inputs.iter().cloned());
                }
                for library in &own.system {
                    if !system.iter().any(|known| *known.module == *library.module) {
                        system.push(library.clone());
                    }
                }
            }
            let Some(mut compiled) = self.compiled_of(entry).cloned() else { continue };
            let used = libraries().filter_map(|other| self.compiled_of(&entries[other]));
            let defines = used.flat_map(|library| &library.lists.public_defines);
            compiled.arguments.define_before(defines.map(|define| define.as_str()));
            let Some(this) = own[index].as_mut() else { continue };
            let (sources, test) = (std::mem::take(&mut this.sources), this.test.take());
            let own_inputs = this.inputs.clone();
            let weak_link_args = this.weak_link_args.clone();
            let filled_args = this.filled_args.clone();
            let directories = (includes, private_includes, system_includes);
            let mut made = Some((sources, directories, each_once(reads), own_inputs));
            let mut test = test;
            for id in entry.ids() {
                match &mut self.targets[id.index()].kind {
                    Kind::Objects(objects) => {
                        let Some((sources, directories, reads, inputs)) = made.take() else {
                            continue;
                        };
                        objects.sources = sources;
                        (objects.includes, objects.private_includes, objects.system_includes) =
                            directories;
                        objects.reads = reads;
                        objects.inputs = inputs;
                        objects.exclude = compiled.lists.exclude.clone();
                        objects.weak_args = compiled.lists.weak_args.clone();
                        objects.arguments = compiled.arguments.clone();
                        objects.source_args = compiled.lists.source_args.clone();
                        objects.system = system.clone();
                        objects.precompiled = compiled.lists.precompiled.clone();
                        objects.filled_args = filled_args.clone();
                    }
                    Kind::Headers(headers) => {
                        let Some((_, _, reads, inputs)) = made.take() else { continue };
                        (headers.reads, headers.inputs) = (reads, inputs);
                    }
                    Kind::Linked(linked) => {
                        linked.libraries = order.clone();
                        linked.link_args = link_args.clone();
                        linked.weak_link_args = weak_link_args.clone();
                        linked.system = system.clone();
                        linked.inputs = inputs.clone();
                        linked.test = test.take();
                    }
                    Kind::Archive(_) | Kind::Command(_) | Kind::Config(_) => {}
                }
            }
        }
    }

    fn compiled_of(&self, entry: &Entry) -> Option<&Compiled> {
        entry.ids().next().and_then(|id| self.compiled(self.target(id)))
    }

    /// The commands that make some of `sources` and something else, which these may read.
    fn makers_beside_sources(&self, sources: &[Located<Source>]) -> impl Iterator<Item = TargetId> {
        let makers = sources.iter().filter_map(|source| match &source.value {
            Source::Output { made, .. } => Some(made.target),
            Source::Files { .. } | Source::Object { .. } | Source::Directory { .. } => None,
        });
        makers.filter(|&id| match &self.target(id).kind {
            Kind::Command(command) => command
                .outputs
                .iter()
                .any(|output| super::Language::of(output.path.as_str()).is_none()),
            _ => true,
        })
    }

    /// Has commands and tests need all that executables they name load.
    fn connect_loads(&mut self) {
        for id in self.ids() {
            let mut named = Vec::new();
            match &self.target(id).kind {
                Kind::Command(command) => {
                    named.extend(command.program.targets());
                    named.extend(command.inputs.iter().filter_map(Input::target));
                    named.extend(command.words().flat_map(Argument::targets));
                }
                Kind::Linked(linked) => {
                    let Some(test) = &linked.test else { continue };
                    named.push(id);
                    named.extend(test.arguments.iter().flat_map(Argument::targets));
                }
                Kind::Objects(_) | Kind::Headers(_) | Kind::Archive(_) | Kind::Config(_) => {
                    continue;
                }
            }
            let loads = self.loaded_by(&named);
            match &mut self.targets[id.index()].kind {
                Kind::Command(command) => command.loads = loads,
                Kind::Linked(linked) => {
                    if let Some(test) = &mut linked.test {
                        test.loads = loads;
                    }
                }
                Kind::Objects(_) | Kind::Headers(_) | Kind::Archive(_) | Kind::Config(_) => {}
            }
        }
    }

    /// Returns the shared libraries that executables and shared libraries among `named` load,
    /// transitively, each once.
    pub fn loaded_by(&self, named: &[TargetId]) -> Vec<TargetId> {
        let loaded = named.iter().flat_map(|&id| match &self.target(id).kind {
            Kind::Linked(linked) => &linked.libraries[..],
            _ => &[],
        });
        let is_shared = |id: &TargetId| matches!(&self.target(*id).kind, Kind::Linked(linked) if linked.form == Form::SharedLibrary);
        each_once(loaded.copied().filter(is_shared).collect())
    }
}

/// The directories without repetitions, in the order of first mention.
fn each_place<'d>(directories: impl Iterator<Item = &'d Directory>) -> Vec<Directory> {
    let mut places = HashSet::new();
    directories.filter(|directory| places.insert(directory.place())).cloned().collect()
}
