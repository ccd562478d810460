//! Sources in directories that commands make: which they are is known when the command has run.

use std::{collections::HashMap, io, sync::Arc, time::Instant};

use larder_project::{
    glob,
    path::BuildPath,
    place::Place,
    plan::{Kind, Language, Made, Objects, PackageId},
    workspace::Package,
};
use larder_trace::{Content, MTime, TraceFile, read_trace_file};

use super::{Maker, compile::directory_of};
use crate::{
    artifact::{Artifact, Form},
    builds::{Compile, ObjectSource, Owner, SourceOf, build_objects, unreadable},
    context::Context,
    job::{Flow, Job},
};

/// A directory that a command makes, and which of the files in it are sources.
pub(super) struct Generated<'s> {
    pub made: Made,
    /// A pattern that starts in the directory.
    pub pattern: &'s str,
    /// The language of all sources that match, where the pattern tells it.
    pub language: Option<Language>,
}

impl Maker<'_> {
    /// The job of the objects of all sources in a directory that a command makes.
    pub(super) fn generated(
        &mut self,
        id: PackageId,
        objects: &Objects,
        generated: &Generated<'_>,
        after: Option<&Job<Vec<Artifact>>>,
        owner: &Owner,
    ) -> Option<Job<Vec<Artifact>>> {
        let made = generated.made;
        let package: Arc<Package> = self.package(id);
        let target = self.plan.target(made.target);
        let Kind::Command(command) = &target.kind else { return None };
        let of = command.outputs.get(made.position)?.path.clone();
        let record = command.outputs.first()?.path.clone();
        let place = self.package(target.package).place.clone();
        let languages =
            generated.language.map_or(Language::ALL.to_vec(), |language| vec![language]);
        let toolchain = package.manifest.toolchain.clone();
        let known = |language: &Language| *language != Language::Asm || toolchain.asm.is_some();
        let mut modes: HashMap<Language, Arc<Compile>> = HashMap::new();
        for language in languages.into_iter().filter(known) {
            let mut compile = self.compile(&package, objects, language, &[])?;
            // Sources include what was generated beside them.
            compile.search.own.push(directory_of(&place, &package.place, of.as_str()));
            modes.insert(language, Arc::new(compile));
        }
        let directory = self.output(id, made)?;
        let prefix = place.portable(&package.place, true, "");
        let (owner, objects, after) = (owner.clone(), objects.clone(), after.cloned());
        let pattern = generated.pattern.to_owned();
        Some(directory.flow(move |directory| {
            let (cx, started) = (owner.cx.clone(), Instant::now());
            let Some(whole) = directory.value.first() else {
                return Flow::Ended(Err(crate::job::Failed));
            };
            let files = match files_in(&cx, &place, &record, &of, whole) {
                Ok(files) => files,
                Err(error) => return unreadable(&owner, of.as_str(), &error, started),
            };
            let sources = files.into_iter().filter_map(|(path, value)| {
                let inside = path.as_str().strip_prefix(of.as_str())?.trim_start_matches('/');
                let matches = glob::matches(&pattern, inside);
                let compile =
                    modes.get(&Language::with(&toolchain, inside)?).filter(|_| matches)?.clone();
                let trace = value.trace(format!("{prefix}{path}"));
                let source = SourceOf::Made(Job::done(&cx.scheduler, value, trace));
                let object = objects.object_of_output(&path);
                Some(ObjectSource { source, object, compile, precompiled: None })
            });
            let sources: Vec<ObjectSource> = sources.collect();
            if sources.is_empty() {
                let error = io::Error::other("there is no source in it");
                return unreadable(&owner, of.as_str(), &error, started);
            }
            Flow::Continued(build_objects(owner, sources, after.as_ref()))
        }))
    }
}

/// The files in the directory `of` that a step made whose first output is `record`, sorted.
fn files_in(
    cx: &Context,
    place: &Place,
    record: &BuildPath,
    of: &BuildPath,
    whole: &Artifact,
) -> io::Result<Vec<(BuildPath, Artifact)>> {
    let mut found = Vec::new();
    if let Some(elided) = &whole.elided {
        // What was left in the store is known from the record of it.
        let trace_file = cx.absolute(&place.trace_path(record));
        let TraceFile::Finished(read) = read_trace_file(&trace_file) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let inside =
            |path: &str| path.strip_prefix(of.as_str()).is_some_and(|p| p.starts_with('/'));
        for file in read.outputs.outputs.iter().filter(|file| inside(&file.path)) {
            let path = BuildPath::new(&file.path).map_err(io::Error::other)?;
            let artifact = Artifact {
                path: place.build_path(&path),
                hash: file.hash,
                mtime: MTime::NONE,
                form: Form::File(Content::Binary),
                elided: Some(elided.clone()),
            };
            found.push((path, artifact));
        }
    } else {
        for path in crate::step::files_below(&cx.absolute(&place.build_path(of)), of.as_str()) {
            let path = BuildPath::new(&path).map_err(io::Error::other)?;
            let from_root = place.build_path(&path);
            let hashed = cx.index.file(from_root.as_str(), Content::Binary)?;
            found.push((path, Artifact::on_disk(from_root, &hashed, Content::Binary)));
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(found)
}
