//! Files that targets read: globs, and what other targets make.

use std::{collections::BTreeMap, path::Path};

use std::collections::HashSet;

use larder_project::{
    diagnostic::{Diagnostic, Located},
    glob::{GlobError, Globber, is_pattern},
    packages::missing_submodule,
    path::PackagePath,
    plan::{Files, Input, Kind, Made, PackageId, TargetId, ToolArgument},
    setting::BuiltFor,
};
use larder_trace::BuildTrace;

use super::{Maker, named::named};
use crate::{
    artifact::Artifact,
    builds::{Owner, as_text, input_dir, input_file, nth},
    context::Context,
    flags::Words,
    job::{Built, Failed, Flow, Job, collect},
};

/// Whether a tool tells which files it read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reads {
    /// It does.
    Told,
    /// It does not: all that it may read counts.
    Untold,
}

/// Some jobs of a kind, and how many artifacts they give together.
#[derive(Default)]
pub(super) struct Group {
    pub jobs: Vec<Job<Vec<Artifact>>>,
    pub count: usize,
}

impl Group {
    /// Adds a job. Returns the positions of its artifacts.
    pub fn add(&mut self, job: Job<Vec<Artifact>>, count: usize) -> std::ops::Range<usize> {
        let start = self.count;
        self.jobs.push(job);
        self.count += count;
        start..self.count
    }
}

impl Maker<'_> {
    /// The job of some files that a target of `seen_from` needs, and how many artifacts it gives.
    pub(super) fn input(
        &mut self,
        seen_from: PackageId,
        input: &Input,
        owner: &Owner,
    ) -> Option<(Job<Vec<Artifact>>, usize)> {
        let (job, count) = match &input.files {
            Files::Outputs(id) => self.outputs(seen_from, *id)?,
            Files::Output(made) => (self.output(seen_from, *made)?, 1),
            Files::Pattern(pattern) => {
                let pattern = Located { value: pattern.clone(), span: input.span.clone() };
                let mut paths = self.expand(input.package, &pattern)?;
                self.leave_out(input, &mut paths)?;
                let place = self.package(input.package).place.clone();
                let owner = Owner { place: place.clone(), ..owner.clone() };
                let count = paths.len();
                let jobs = paths.into_iter().map(|path| {
                    let job = match place.directory.join(path.as_str()).is_dir() {
                        true => input_dir(&owner, path, input.text),
                        false => input_file(&owner, path, input.text),
                    };
                    if input.package == seen_from { job } else { of_package(&job, &place.name) }
                });
                return Some((collect(&self.cx.scheduler, jobs), count));
            }
        };
        if !input.text {
            return Some((job, count));
        }
        let cx = self.cx.clone();
        Some((job.flow(move |made| as_text(&cx, made)), count))
    }

    /// The job of some files that must be there before a tool runs which tells `reads`.
    pub(super) fn ready(
        &mut self,
        seen_from: PackageId,
        input: &Input,
        reads: Reads,
        owner: &Owner,
    ) -> Option<Job<Vec<Artifact>>> {
        let (job, _) = self.input(seen_from, input, owner)?;
        Some(match input.target() {
            Some(target) => self.counting(target, reads, job),
            None => job,
        })
    }

    /// What a target makes, as it counts for a tool that does not have to read it. What a stamp or a config makes is
    /// there, and counts where the tool tells that it read it.
    pub(super) fn counting(
        &self,
        target: TargetId,
        reads: Reads,
        job: Job<Vec<Artifact>>,
    ) -> Job<Vec<Artifact>> {
        let counts_where_read = match &self.plan.target(target).kind {
            Kind::Command(command) => command.stamp,
            Kind::Config(_) => true,
            _ => false,
        };
        if !counts_where_read || reads == Reads::Untold {
            return job;
        }
        job.map(|built| Ok(Built { value: built.value.clone(), trace: BuildTrace::nil("outputs") }))
    }

    /// Leaves out what the exclusions of an input match.
    fn leave_out(&mut self, input: &Input, paths: &mut Vec<PackagePath>) -> Option<()> {
        let mut excluded = HashSet::new();
        for pattern in &input.exclude {
            excluded.extend(self.expand(input.package, pattern)?);
        }
        if excluded.is_empty() {
            return Some(());
        }
        paths.retain(|path| !excluded.contains(path));
        let inside = |path: &PackagePath| {
            let below = format!("{path}/");
            excluded.iter().find(|excluded| excluded.as_str().starts_with(&below))
        };
        let wrong = match paths.iter().find_map(|path| Some((path, inside(path)?))) {
            Some((directory, file)) => Diagnostic::new(format!(
                "`{file}` cannot be left out: `{directory}` is an input as a whole"
            ))
            .help(format!("write \"{directory}/**\" for the files in it")),
            None if paths.is_empty() => {
                Diagnostic::new("everything that this matches is left out by `exclude`")
            }
            None => return Some(()),
        };
        let source = &self.package(input.package).manifest.source;
        self.errors.push(wrong.at(source, input.span.clone()));
        None
    }

    /// All outputs of a target, named as seen from a package, and how many they are.
    pub(super) fn outputs(
        &self,
        seen_from: PackageId,
        id: TargetId,
    ) -> Option<(Job<Vec<Artifact>>, usize)> {
        let target = self.plan.target(id);
        let job = self.job(id)?;
        let reader = &self.package(seen_from).place;
        let prefix = self.package(target.package).place.portable(reader, true, "");
        let renamed = job.outputs.map(move |built| {
            let parts = built.trace.parts().iter();
            let parts =
                parts.map(|part| (**part).clone().named(format!("{prefix}{}", part.name())));
            let trace = BuildTrace::nil("outputs").mix_all(parts);
            Ok(Built { value: built.value.clone(), trace })
        });
        Some((renamed, job.count))
    }

    /// One output of a target, named as seen from a package.
    pub(super) fn output(&self, seen_from: PackageId, made: Made) -> Option<Job<Vec<Artifact>>> {
        let (all, _) = self.outputs(seen_from, made.target)?;
        Some(all.map(move |built| {
            let one = built.value.get(made.position).zip(built.trace.parts().get(made.position));
            let (value, part) = one.ok_or(Failed)?;
            let trace = BuildTrace::nil("outputs").mix(part.clone());
            Ok(Built { value: vec![value.clone()], trace })
        }))
    }

    /// The files that a pattern of a package's manifest matches, at least one.
    pub(super) fn expand(
        &mut self,
        id: PackageId,
        pattern: &Located<String>,
    ) -> Option<Vec<PackagePath>> {
        let package = self.package(id);
        let directory = &package.place.directory;
        let index = &self.cx.index;
        let globber = self.globbers.entry(id).or_insert_with(|| {
            Globber::new(directory.clone()).remembering(index, package.place.clone())
        });
        let found = match globber.expand(pattern) {
            Err(error) => Err(match &error {
                GlobError::Outside(_) | GlobError::LinkOutside(_) => {
                    Diagnostic::new(error.to_string()).help(
                        "a package is built from its own files: copy it in, or make its directory a package and depend on that",
                    )
                }
                _ => Diagnostic::new(error.to_string()),
            }),
            Ok(found) if found.is_empty() => {
                Err(Diagnostic::new(format!("`{}` matches no file", **pattern))
                    .help(where_paths_start("patterns", directory, pattern)))
            }
            Ok(found) if !is_pattern(pattern) && !directory.join(found[0].as_str()).exists() => {
                Err(Diagnostic::new(format!("there is no file `{}`", found[0]))
                    .help(where_paths_start("paths", directory, pattern)))
            }
            Ok(found) => Ok(found),
        };
        let at = |wrong: Diagnostic| wrong.at(&package.manifest.source, pattern.span.clone());
        self.check(found.map_err(at))
    }
}

/// The advice for a path or pattern that leads to nothing.
fn where_paths_start(what: &str, directory: &Path, pattern: &str) -> String {
    match missing_submodule(directory, pattern) {
        Some(path) => format!(
            "{path} is a Git submodule that is not there: submodules = true at the dependency fetches it"
        ),
        None if pattern.starts_with('{') => {
            "only files of the package can be named here; generated headers are installed from include directories in {build}".to_owned()
        }
        None => format!("{what} start in {}", directory.display()),
    }
}

impl Maker<'_> {
    /// The job of files of a package that arguments name and that no depfile tells of; `None` when there
    /// are none. Where the tool writes no depfile at all, `every` file that is named counts.
    pub(super) fn named_files(
        &self,
        package: PackageId,
        arguments: &[String],
        every: bool,
        owner: &Owner,
    ) -> Option<Job<Vec<Artifact>>> {
        let place = &self.package(package).place;
        let names = named(&place.directory, arguments, every);
        let jobs: Vec<_> = names.into_iter().map(|name| input_file(owner, name, false)).collect();
        (!jobs.is_empty()).then(|| collect(&self.cx.scheduler, jobs))
    }
}

impl Maker<'_> {
    /// The same for files of the root package that variables of the environment name, for a target of
    /// `seen_from`.
    pub(super) fn files_of_flags<'w>(
        &self,
        seen_from: PackageId,
        variables: impl IntoIterator<Item = &'w Words>,
        every: bool,
        owner: &Owner,
    ) -> Option<Job<Vec<Artifact>>> {
        let id = match self.plan.side(seen_from) {
            BuiltFor::Target => PackageId::ROOT,
            BuiltFor::Host => self.plan.on_host(PackageId::ROOT),
        };
        let words: Vec<String> = self.flags(&self.package(id), variables).portable().collect();
        self.files_named_by(id, seen_from, &words, every, owner)
    }

    /// The same for files that arguments of manifests name, each of the package that says it.
    pub(super) fn files_of_arguments<'w>(
        &self,
        seen_from: PackageId,
        arguments: impl IntoIterator<Item = &'w ToolArgument>,
        every: bool,
        owner: &Owner,
    ) -> Vec<Job<Vec<Artifact>>> {
        let mut by_package: BTreeMap<PackageId, Vec<String>> = BTreeMap::new();
        for argument in arguments {
            by_package.entry(argument.package).or_default().push(argument.plain());
        }
        let files = |(by, texts): (PackageId, Vec<String>)| {
            self.files_named_by(by, seen_from, &texts, every, owner)
        };
        by_package.into_iter().filter_map(files).collect()
    }

    fn files_named_by(
        &self,
        by: PackageId,
        seen_from: PackageId,
        texts: &[String],
        every: bool,
        owner: &Owner,
    ) -> Option<Job<Vec<Artifact>>> {
        let place = self.package(by).place.clone();
        let there = Owner { place: place.clone(), ..owner.clone() };
        let files = self.named_files(by, texts, every, &there)?;
        Some(if by == seen_from { files } else { all_of_package(&files, &place.name) })
    }

    /// The outputs that arguments of manifests name.
    pub(super) fn needs_of<'w>(
        &self,
        seen_from: PackageId,
        arguments: impl IntoIterator<Item = &'w ToolArgument>,
    ) -> Vec<Job<Vec<Artifact>>> {
        let targets = arguments.into_iter().flat_map(|argument| argument.argument.targets());
        let mut seen = Vec::new();
        for target in targets {
            if !seen.contains(&target) {
                seen.push(target);
            }
        }
        seen.into_iter().filter_map(|id| Some(self.outputs(seen_from, id)?.0)).collect()
    }
}

/// An artifact of another package, named with that.
pub(super) fn of_package(job: &Job<Artifact>, package: &str) -> Job<Artifact> {
    let package = package.to_owned();
    job.map(move |built| {
        let name = format!("@{package}/{}", built.trace.name());
        Ok(Built { value: built.value.clone(), trace: built.trace.clone().named(name) })
    })
}

/// The same for some artifacts.
pub(super) fn all_of_package(outputs: &Job<Vec<Artifact>>, package: &str) -> Job<Vec<Artifact>> {
    let package = package.to_owned();
    outputs.map(move |built| {
        let parts = built.trace.parts().iter();
        let parts = parts.map(|part| (**part).clone().named(format!("@{package}/{}", part.name())));
        let trace = BuildTrace::nil("outputs").mix_all(parts);
        Ok(Built { value: built.value.clone(), trace })
    })
}

/// Several groups of artifacts as one, with the traces of all in one list.
pub(super) fn flatten(cx: &Context, groups: Vec<Job<Vec<Artifact>>>) -> Job<Vec<Artifact>> {
    collect(&cx.scheduler, groups).flow(|groups| {
        let parts = groups.trace.parts().iter().flat_map(|group| group.parts().to_vec());
        let trace = BuildTrace::nil("inputs").mix_all(parts);
        Flow::Ended(Ok(Built { value: groups.value.concat(), trace }))
    })
}

/// The first of some artifacts.
pub(super) fn first(all: &Job<Vec<Artifact>>) -> Job<Artifact> {
    nth(all, 0)
}
