//! The graph of targets: what there is to build, and in which order.
//!
//! Targets are dense ids into one vector. The graph is made from manifests alone, without touching
//! sources or outputs; only what a build asks for is looked at on disk.

pub mod language;
pub mod target;

use std::{collections::HashMap, fmt, ops::Range, sync::Arc};

use crate::{
    diagnostic::{Diagnostic, Diagnostics, Located, suggest},
    glob::is_inside,
    manifest::{Compiled, Template, Word},
    name::{Facet, TargetName},
    workspace::{Package, Workspace},
};

/// A target, as an index into [`Plan::targets`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetId(u32);

impl TargetId {
    /// The index.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Which entry of the manifest a target comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Declared {
    /// `[[library]]`, by index.
    Library(usize),
    /// `[[executable]]`, by index.
    Executable(usize),
    /// `[[command]]`, by index.
    Command(usize),
}

/// Something that can be built.
#[derive(Debug)]
pub struct Target {
    /// The package, as an index into [`Workspace::packages`].
    pub package: usize,
    /// Where it is declared.
    pub declared: Declared,
    /// The name in the manifest.
    pub name: String,
    /// What of it; commands have no facets.
    pub facet: Option<Facet>,
    /// How it is shown and asked for: with its package, unless that is the root.
    pub label: Arc<str>,
    /// What must be built before, in the order in which it was declared.
    pub needs: Vec<TargetId>,
    /// For something linked: the libraries named in its `libraries`.
    pub links: Vec<TargetId>,
    /// For objects: whether a shared library will hold them.
    pub position_independent: bool,
}

/// All targets of a workspace.
#[derive(Debug)]
pub struct Plan {
    /// The packages.
    pub workspace: Workspace,
    /// The targets; see [`TargetId`].
    pub targets: Vec<Target>,
    /// Targets by package and name.
    by_name: HashMap<(usize, String), Vec<TargetId>>,
    /// By package and path in its build directory: the target, and which of its outputs.
    by_output: HashMap<(usize, String), (TargetId, usize)>,
}

impl Plan {
    /// Makes the graph of a workspace.
    ///
    /// # Errors
    /// Names that name nothing, targets that share a name or an output, and cycles.
    pub fn new(workspace: Workspace) -> Result<Self, Diagnostics> {
        let mut plan = Self {
            workspace,
            targets: Vec::new(),
            by_name: HashMap::new(),
            by_output: HashMap::new(),
        };
        let mut errors = Vec::new();
        for package in 0..plan.workspace.packages.len() {
            plan.declare(package, &mut errors);
        }
        plan.tell_objects_apart();
        plan.claim_outputs(&mut errors);
        for id in plan.ids() {
            plan.connect(id, &mut errors);
        }
        for (index, package) in plan.workspace.packages.iter().enumerate() {
            for name in package.manifest.package.default_targets.iter().flatten() {
                if let Err(diagnostic) = plan.resolve(index, name) {
                    errors.push(diagnostic.at(&package.manifest.source, name.span.clone()));
                }
            }
        }
        if errors.is_empty() {
            errors.extend(plan.cycle());
        }
        if !errors.is_empty() {
            return Err(Diagnostics(errors));
        }
        plan.need_what_is_linked();
        plan.mark_position_independent();
        Ok(plan)
    }

    /// The target with this id.
    pub fn target(&self, id: TargetId) -> &Target {
        &self.targets[id.index()]
    }

    /// The package of a target.
    pub fn package_of(&self, target: &Target) -> &Arc<Package> {
        &self.workspace.packages[target.package]
    }

    /// What libraries and executables have in common, of a target that is one.
    pub fn compiled(&self, target: &Target) -> Option<&Compiled> {
        let manifest = &self.package_of(target).manifest;
        match target.declared {
            Declared::Library(index) => Some(&manifest.libraries[index].compiled),
            Declared::Executable(index) => Some(&manifest.executables[index].compiled),
            Declared::Command(_) => None,
        }
    }

    fn declare(&mut self, index: usize, errors: &mut Vec<Diagnostic>) {
        let package = self.workspace.packages[index].clone();
        let mut kinds: HashMap<&str, Vec<&str>> = HashMap::new();
        for (kind, name, facets, declared) in declarations(&package) {
            let known = kinds.entry(name).or_default();
            // A library and an executable may share a name, as `liblua.a` and `lua` do.
            let clash =
                |other: &&&str| **other == kind || **other == "command" || kind == "command";
            if let Some(other) = known.iter().find(clash) {
                let message = format!("there is already a {other} called `{}`", **name);
                errors
                    .push(Diagnostic::new(message).at(&package.manifest.source, name.span.clone()));
                continue;
            }
            known.push(kind);
            for facet in facets {
                let full = TargetName {
                    package: (!package.is_root).then(|| package.place.name.clone()),
                    target: Some(name.value.clone()),
                    facet,
                };
                let id = TargetId(self.targets.len() as u32);
                self.by_name.entry((index, name.value.clone())).or_default().push(id);
                self.targets.push(Target {
                    package: index,
                    declared,
                    name: name.value.clone(),
                    facet,
                    label: full.to_string().into(),
                    needs: Vec::new(),
                    links: Vec::new(),
                    position_independent: false,
                });
            }
        }
    }

    /// Finds what a target needs.
    fn connect(&mut self, id: TargetId, errors: &mut Vec<Diagnostic>) {
        let target = self.target(id);
        let package = self.package_of(target).clone();
        let (index, declared, facet) = (target.package, target.declared, target.facet);
        let mut needs = Vec::new();
        let mut links = Vec::new();
        let resolver = Resolver { plan: self, package: index };
        if let Declared::Command(command) = declared {
            let command = &package.manifest.commands[command];
            for template in &command.inputs {
                needs.extend(resolver.inputs(template, errors));
            }
            for template in &command.run {
                needs.extend(resolver.holes(template, errors));
            }
        } else if let Some(compiled) = self.compiled(target) {
            match resolver.libraries(compiled) {
                Ok(found) => links = found,
                Err(found) if facet == Some(Facet::O) => errors.extend(found),
                // The same mistake was reported for the objects.
                Err(_) => {}
            }
            if facet == Some(Facet::O) {
                for template in compiled.sources.iter().chain(&compiled.inputs) {
                    needs.extend(resolver.inputs(template, errors));
                }
                for template in &compiled.includes {
                    needs.extend(resolver.holes(template, errors));
                }
                needs.extend(links.iter().flat_map(|&library| resolver.public_inputs(library)));
            } else {
                needs.extend(
                    self.find(index, &self.target(id).name, Some(Facet::O))
                        .filter(|&o| self.target(o).declared == declared),
                );
                if facet != Some(Facet::Static) {
                    needs.extend(&links);
                }
            }
        }
        needs.dedup();
        let target = &mut self.targets[id.index()];
        target.needs = needs;
        target.links = links;
    }

    /// The targets of a package called `name`, those of one facet or all.
    fn find(
        &self,
        package: usize,
        name: &str,
        facet: Option<Facet>,
    ) -> impl Iterator<Item = TargetId> {
        let ids = self.by_name.get(&(package, name.to_owned())).map_or(&[][..], Vec::as_slice);
        ids.iter().copied().filter(move |&id| facet.is_none() || self.target(id).facet == facet)
    }

    /// The targets that `name` means in `package`. A name without a facet means everything that is
    /// linked or run, objects only where they are asked for.
    ///
    /// # Errors
    /// What to say when there is none.
    pub fn resolve(&self, package: usize, name: &TargetName) -> Result<Vec<TargetId>, Diagnostic> {
        let package = match &name.package {
            None => package,
            Some(other) => self.workspace.package_named(other).ok_or_else(|| {
                let names =
                    self.workspace.packages.iter().map(|package| package.place.name.as_str());
                let diagnostic = Diagnostic::new(format!("there is no package `{other}` here"));
                match suggest(other, names) {
                    Some(known) => diagnostic.help(format!("did you mean `{known}`?")),
                    None => diagnostic.help("packages are named in [dependencies]"),
                }
            })?,
        };
        let Some(target) = &name.target else { return Ok(self.defaults(package)) };
        let found: Vec<TargetId> = self
            .find(package, target, name.facet)
            .filter(|&id| name.facet.is_some() || self.target(id).facet != Some(Facet::O))
            .collect();
        if !found.is_empty() {
            return Ok(found);
        }
        let package_name = &self.workspace.packages[package].place.name;
        if let (Some(facet), Some(_)) = (name.facet, self.find(package, target, None).next()) {
            let facet = facet.as_str();
            let facets = self.find(package, target, None).filter_map(|id| self.target(id).facet);
            let facets: Vec<&str> = facets.map(Facet::as_str).collect();
            let message =
                format!("the target `{target}` of `{package_name}` has no facet `{facet}`");
            return Err(Diagnostic::new(message).help(match facets.is_empty() {
                true => "it is a command, which has none".to_owned(),
                false => format!("it has {}", facets.join(", ")),
            }));
        }
        let names = self.targets.iter().filter(|target| target.package == package);
        let message = format!("there is no target `{target}` in the package `{package_name}`");
        Err(match suggest(target, names.map(|target| target.name.as_str())) {
            Some(known) => Diagnostic::new(message).help(format!("did you mean `{known}`?")),
            None => Diagnostic::new(message).help("`larder graph` lists the targets"),
        })
    }

    /// What a package's `default-targets` name, or everything in it but tests' commands.
    pub fn defaults(&self, package: usize) -> Vec<TargetId> {
        let manifest = &self.workspace.packages[package].manifest;
        match &manifest.package.default_targets {
            // `Plan::new` has resolved them once, so they do.
            Some(names) => names
                .iter()
                .flat_map(|name| self.resolve(package, name).unwrap_or_default())
                .collect(),
            None => self
                .ids()
                .filter(|&id| {
                    let target = self.target(id);
                    let is_bare_test = || match target.declared {
                        Declared::Command(index) => manifest.commands[index].outputs.is_empty(),
                        _ => false,
                    };
                    target.package == package && target.facet != Some(Facet::O) && !is_bare_test()
                })
                .collect(),
        }
    }

    /// All targets.
    pub fn ids(&self) -> impl Iterator<Item = TargetId> + use<> {
        (0..self.targets.len() as u32).map(TargetId)
    }

    /// Everything that `roots` need, themselves included, in an order that has needs first.
    pub fn closure(&self, roots: &[TargetId]) -> Vec<TargetId> {
        let mut order = Vec::new();
        let mut seen = vec![false; self.targets.len()];
        // Depth first without recursion: a chain may be as long as a manifest.
        let mut stack: Vec<(TargetId, bool)> = roots.iter().rev().map(|&id| (id, false)).collect();
        while let Some((id, leaving)) = stack.pop() {
            if leaving {
                order.push(id);
            } else if !std::mem::replace(&mut seen[id.index()], true) {
                stack.push((id, true));
                stack.extend(self.target(id).needs.iter().rev().map(|&need| (need, false)));
            }
        }
        order
    }

    /// The libraries that linking `id` pulls in, each before those it needs itself.
    pub fn link_order(&self, id: TargetId) -> Vec<TargetId> {
        let mut order = Vec::new();
        let mut seen = vec![false; self.targets.len()];
        let links = |id: TargetId| self.target(id).links.iter().rev().map(|&link| (link, false));
        let mut stack: Vec<(TargetId, bool)> = links(id).collect();
        while let Some((id, leaving)) = stack.pop() {
            if leaving {
                order.push(id);
            } else if !std::mem::replace(&mut seen[id.index()], true) {
                stack.push((id, true));
                stack.extend(links(id));
            }
        }
        order.reverse();
        order
    }

    /// What is linked needs all libraries on its command line, those that its libraries need as well:
    /// a static library is made without them.
    fn need_what_is_linked(&mut self) {
        for id in self.ids() {
            if matches!(self.target(id).facet, Some(Facet::Exe | Facet::Shared)) {
                let mut needs = self.link_order(id);
                needs.retain(|need| !self.target(id).needs.contains(need));
                self.targets[id.index()].needs.extend(needs);
            }
        }
    }

    /// Objects that end up in a shared library are compiled for that.
    fn mark_position_independent(&mut self) {
        let shared: Vec<TargetId> =
            self.ids().filter(|&id| self.target(id).facet == Some(Facet::Shared)).collect();
        for id in self.closure(&shared) {
            self.targets[id.index()].position_independent = true;
        }
    }

    /// The objects of a library and of an executable of one name: `lua:o` asks for both, but each is
    /// shown as what it is.
    fn tell_objects_apart(&mut self) {
        for ids in self.by_name.values() {
            let is_object = |id: &&TargetId| self.targets[id.index()].facet == Some(Facet::O);
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

    /// Finds out which target makes which output.
    fn claim_outputs(&mut self, errors: &mut Vec<Diagnostic>) {
        let mut claims = Claims::default();
        for id in self.ids() {
            let target = &self.targets[id.index()];
            let package = &self.workspace.packages[target.package];
            let at = |diagnostic: Diagnostic, span: &Range<usize>| {
                diagnostic.at(&package.manifest.source, span.clone())
            };
            for (position, (output, span)) in self.outputs_of(target).into_iter().enumerate() {
                let plain = is_inside(&output)
                    && output.split('/').all(|part| !part.is_empty() && part != ".");
                if !plain {
                    let message = format!("the output `{output}` is outside the build directory");
                    let help = "outputs are paths below it, without `.` and `..`";
                    errors.push(at(Diagnostic::new(message).help(help), &span));
                    continue;
                }
                if let Some((other, theirs)) = claims.claim(package.place.output(&output), id) {
                    let other = self.target(other);
                    let theirs = theirs.strip_prefix(&package.place.build_prefix);
                    let diagnostic = clash(target, other, &output, theirs.unwrap_or(&output));
                    errors.push(at(diagnostic, &span));
                    continue;
                }
                if target.facet != Some(Facet::O) {
                    self.by_output.insert((target.package, output), (id, position));
                }
            }
        }
    }

    /// What a target makes in its package's build directory, and where that is declared. Objects count
    /// as the directory they are in.
    fn outputs_of(&self, target: &Target) -> Vec<(String, Range<usize>)> {
        match target.declared {
            Declared::Command(index) => {
                let outputs = self.package_of(target).manifest.commands[index].outputs.iter();
                outputs.map(|o| (o.trim_end_matches('/').to_owned(), o.span.clone())).collect()
            }
            _ => {
                let name = output_name(target).unwrap_or_else(|| object_directory(target));
                vec![(name, self.span_of(target))]
            }
        }
    }

    /// The target of a package that makes `path` in its build directory, and which of its outputs
    /// that is.
    ///
    /// # Errors
    /// What to say when there is none.
    pub fn maker_of(&self, package: usize, path: &str) -> Result<(TargetId, usize), Diagnostic> {
        let key = (package, path.trim_end_matches('/').to_owned());
        self.by_output.get(&key).copied().ok_or_else(|| {
            let message =
                format!("no target of this package makes `{path}` in the build directory");
            let outputs = self.by_output.keys().filter(|(owner, _)| *owner == package);
            Diagnostic::new(message).help(match suggest(path, outputs.map(|(_, path)| &**path)) {
                Some(known) => format!("did you mean {{build}}/{known}?"),
                None => "name it among the `outputs` of the [[command]] that writes it".to_owned(),
            })
        })
    }

    /// A cycle, when there is one, as the path around it. Libraries that are linked with each other
    /// count, though a static one could be made before those it is linked with.
    fn cycle(&self) -> Option<Diagnostic> {
        let needs = |id: TargetId| {
            let target = self.target(id);
            target.needs.iter().chain(&target.links).copied()
        };
        // Kahn: what cannot be ordered is on a cycle or needs one.
        let mut waits: Vec<usize> = self.ids().map(|id| needs(id).count()).collect();
        let mut users = vec![Vec::new(); self.targets.len()];
        for id in self.ids() {
            for need in needs(id) {
                users[need.index()].push(id);
            }
        }
        let mut ready: Vec<TargetId> = self.ids().filter(|id| waits[id.index()] == 0).collect();
        while let Some(id) = ready.pop() {
            for user in &users[id.index()] {
                waits[user.index()] -= 1;
                if waits[user.index()] == 0 {
                    ready.push(*user);
                }
            }
        }
        let mut at = self.ids().find(|id| waits[id.index()] > 0)?;
        let mut path = Vec::new();
        let mut seen = vec![false; self.targets.len()];
        while !std::mem::replace(&mut seen[at.index()], true) {
            path.push(at);
            at = needs(at).find(|need| waits[need.index()] > 0)?;
        }
        let start = path.iter().position(|id| *id == at)?;
        let mut steps = path[start..].to_vec();
        steps.push(steps[0]);
        // A library's objects and the library are one step for people.
        steps.dedup_by_key(|id| (self.target(*id).package, self.target(*id).declared));
        if let [only] = steps[..] {
            steps.push(only);
        }
        let label = |id: &TargetId| self.target(*id).label.split(':').next().unwrap_or_default();
        let labels: Vec<&str> = steps.iter().map(label).collect();
        // Of a cycle as long as a manifest, the ends are enough.
        const SHOWN: usize = 10;
        let way = match labels.len() {
            length if length > 2 * SHOWN + 1 => format!(
                "{} -> ({} more) -> {}",
                labels[..SHOWN].join(" -> "),
                length - 2 * SHOWN,
                labels[length - SHOWN..].join(" -> ")
            ),
            _ => labels.join(" -> "),
        };
        let target = self.target(at);
        let package = self.package_of(target);
        let message = format!("targets need each other in a cycle: {way}");
        let help = "take one of these steps out: what two targets both need can be a third";
        let diagnostic = Diagnostic::new(message).help(help);
        Some(diagnostic.at(&package.manifest.source, self.span_of(target)))
    }

    /// Where a target's name stands in its manifest.
    fn span_of(&self, target: &Target) -> std::ops::Range<usize> {
        let name = match target.declared {
            Declared::Command(index) => &self.package_of(target).manifest.commands[index].name,
            Declared::Library(_) | Declared::Executable(_) => match self.compiled(target) {
                Some(compiled) => &compiled.name,
                None => return 0..0,
            },
        };
        name.span.clone()
    }
}

/// What a library or executable's facet is called in the build directory; objects have many names.
pub fn output_name(target: &Target) -> Option<String> {
    match target.facet? {
        Facet::Static => Some(format!("lib{}.a", target.name)),
        Facet::Shared => Some(format!("lib{}{}", target.name, std::env::consts::DLL_SUFFIX)),
        Facet::Exe => Some(target.name.clone()),
        Facet::O => None,
    }
}

/// Where the objects of a library or executable are, in the build directory.
pub fn object_directory(target: &Target) -> String {
    match target.declared {
        Declared::Library(_) => format!("obj/lib{}", target.name),
        _ => format!("obj/{}", target.name),
    }
}

/// Which path from the root belongs to which target.
#[derive(Default)]
struct Claims {
    owners: HashMap<String, TargetId>,
    /// Every directory that something claimed is in, with one of these things.
    parents: HashMap<String, String>,
}

impl Claims {
    /// Gives `path` to `id`, unless another has it, has something in it, or has what it is in: then
    /// tells who that is and what it has.
    fn claim(&mut self, path: String, id: TargetId) -> Option<(TargetId, String)> {
        let around = path.match_indices('/').map(|(at, _)| &path[..at]);
        let above = around.clone().find(|parent| self.owners.contains_key(*parent));
        let taken = match above {
            Some(parent) => Some(parent.to_owned()),
            None if self.owners.contains_key(&path) => Some(path.clone()),
            // What larder keeps beside outputs.
            None => [".trace", ".hash"].into_iter().find_map(|extension| {
                let stem = path.strip_suffix(extension).map(str::to_owned);
                let beside = [&path, extension].concat();
                stem.into_iter().chain([beside]).find(|other| self.owners.contains_key(other))
            }),
        };
        let taken = taken.or_else(|| self.parents.get(&path).cloned());
        if let Some(taken) = taken {
            return Some((self.owners[&taken], taken));
        }
        for parent in around {
            if !self.parents.contains_key(parent) {
                self.parents.insert(parent.to_owned(), path.clone());
            }
        }
        self.owners.insert(path, id);
        None
    }
}

/// Two targets cannot both have what they make.
fn clash(target: &Target, other: &Target, output: &str, theirs: &str) -> Diagnostic {
    let (mine, other) = (&target.label, &other.label);
    let (short, long) =
        if output.len() < theirs.len() { (output, theirs) } else { (theirs, output) };
    let (message, help) = if short == long {
        (format!("`{other}` and `{mine}` have one output, `{output}`"), "rename one of them")
    } else if long[short.len()..].starts_with('.') {
        let message = format!(
            "the output `{output}` of `{mine}` and `{theirs}` of `{other}`: in `{long}` larder keeps its own record of `{short}`"
        );
        (message, "rename one of them")
    } else {
        let message = format!(
            "the output `{long}` is inside `{short}`, and `{other}` and `{mine}` each make one of them"
        );
        (message, "a directory belongs to one target with everything in it: rename one of them")
    };
    Diagnostic::new(message).help(help)
}

type Declaration<'p> = (&'static str, &'p Located<String>, Vec<Option<Facet>>, Declared);

fn declarations(package: &Package) -> Vec<Declaration<'_>> {
    let manifest = &package.manifest;
    let libraries = manifest.libraries.iter().enumerate().map(|(index, library)| {
        let mut facets = vec![Some(Facet::O)];
        facets.extend(library.is_static.then_some(Some(Facet::Static)));
        facets.extend(library.is_shared.then_some(Some(Facet::Shared)));
        ("library", &library.compiled.name, facets, Declared::Library(index))
    });
    let executables = manifest.executables.iter().enumerate().map(|(index, executable)| {
        let facets = vec![Some(Facet::O), Some(Facet::Exe)];
        ("executable", &executable.compiled.name, facets, Declared::Executable(index))
    });
    let commands =
        manifest.commands.iter().enumerate().map(|(index, command)| {
            ("command", &command.name, vec![None], Declared::Command(index))
        });
    libraries.chain(executables).chain(commands).collect()
}

/// Resolves names that stand in one package's manifest.
struct Resolver<'p> {
    plan: &'p Plan,
    package: usize,
}

impl Resolver<'_> {
    /// The targets that an entry of `sources` or `inputs` names.
    fn inputs(&self, template: &Located<Template>, errors: &mut Vec<Diagnostic>) -> Vec<TargetId> {
        let Some(path) = template.as_built() else { return self.holes(template, errors) };
        match self.plan.maker_of(self.package, path) {
            Ok((id, _)) => vec![id],
            Err(diagnostic) => {
                let source = &self.plan.workspace.packages[self.package].manifest.source;
                errors.push(diagnostic.at(source, template.span.clone()));
                Vec::new()
            }
        }
    }

    /// The targets that a text's placeholders name.
    fn holes(&self, template: &Located<Template>, errors: &mut Vec<Diagnostic>) -> Vec<TargetId> {
        let mut found = Vec::new();
        for hole in template.holes().filter(|hole| Word::built_in(hole).is_none()) {
            let resolved = hole
                .parse()
                .map_err(Diagnostic::new)
                .and_then(|name: TargetName| self.plan.resolve(self.package, &name));
            match resolved {
                Ok(ids) => found.extend(ids),
                Err(mut diagnostic) => {
                    let braces = format!("for the braces themselves, write {{{{{hole}}}}}");
                    diagnostic.help = Some(match diagnostic.help {
                        Some(help) => format!("{help} ({braces})"),
                        None => braces,
                    });
                    let source = &self.plan.workspace.packages[self.package].manifest.source;
                    errors.push(diagnostic.at(source, template.span.clone()));
                }
            }
        }
        found
    }

    /// The library targets that `libraries` names: the static one where there is one.
    fn libraries(&self, compiled: &Compiled) -> Result<Vec<TargetId>, Vec<Diagnostic>> {
        let mut found = Vec::new();
        let mut errors = Vec::new();
        for library in &compiled.libraries {
            match self.library(library) {
                Ok(id) => found.push(id),
                Err(diagnostic) => {
                    let source = &self.plan.workspace.packages[self.package].manifest.source;
                    errors.push(diagnostic.at(source, library.span.clone()));
                }
            }
        }
        if errors.is_empty() { Ok(found) } else { Err(errors) }
    }

    fn library(&self, text: &str) -> Result<TargetId, Diagnostic> {
        let name = match text.split_once('/') {
            Some((package, library)) => {
                format!("@{}/{library}", package.strip_prefix('@').unwrap_or(package))
            }
            None => text.to_owned(),
        };
        let name: TargetName = name.parse().map_err(Diagnostic::new)?;
        let ids = self.plan.resolve(self.package, &name)?;
        let is_library = |id: &&TargetId| {
            matches!(self.plan.target(**id).declared, Declared::Library(_))
                && self.plan.target(**id).facet != Some(Facet::O)
        };
        ids.iter().find(is_library).copied().ok_or_else(|| {
            Diagnostic::new(format!("`{text}` is not a library"))
                .help("`libraries` names [[library]] targets, or PACKAGE/LIBRARY of a dependency")
        })
    }

    /// What must be there before the headers of `library`, or of what it is linked with, are read.
    fn public_inputs(&self, library: TargetId) -> Vec<TargetId> {
        let mut found = Vec::new();
        let mut seen = vec![library];
        let mut next = 0;
        while let Some(&id) = seen.get(next) {
            next += 1;
            let target = self.plan.target(id);
            let resolver = Resolver { plan: self.plan, package: target.package };
            let Some(compiled) = self.plan.compiled(target) else { continue };
            // Mistakes are reported where the library itself is connected.
            let mut known = Vec::new();
            for template in &compiled.inputs {
                found.extend(resolver.inputs(template, &mut known));
            }
            for template in &compiled.includes {
                found.extend(resolver.holes(template, &mut known));
            }
            for link in resolver.libraries(compiled).unwrap_or_default() {
                if !seen.contains(&link) {
                    seen.push(link);
                }
            }
        }
        found
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label)
    }
}
