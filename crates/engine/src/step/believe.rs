//! What a record of this step names, looked at as far as it may be.

use std::{path::Path, sync::Arc};

use larder_project::path::PortablePath;
use larder_trace::{Content, Hashed, Outputs, Searched};

use super::{Inputs, Step, Work};
use crate::{builds::ToolUse, context::Context, grounds::Source};

impl Work {
    /// Returns the tool that does the work, where one does.
    fn tool(&self) -> Option<&ToolUse> {
        match self {
            Self::Compile(compile) => Some(&compile.compiler),
            Self::Precompile(header) => Some(&header.compile.compiler),
            Self::Link(link) => Some(&link.linker),
            Self::Shell(shell) => shell.installation.as_ref(),
            Self::Check(check) => Some(&check.compile.compiler),
            _ => None,
        }
    }
}

impl Step {
    /// Returns an input that a record from `source` names, as it is now; `None` when it is not there or
    /// not to be looked at.
    pub(super) fn recorded_input(
        &self,
        cx: &Context,
        path: &str,
        source: Source,
    ) -> Option<Hashed> {
        let path = cx.places.find(&self.place, &PortablePath::recorded(path)).ok()?;
        let more = || self.searches(cx);
        cx.grounds.hold_file(&path, &cx.absolute(&path), source, more).then_some(())?;
        cx.index.file(path.as_str(), Content::of_source(path.as_str())).ok()
    }

    /// Whether the inputs that `record` names are what they were when it was made, and a search for
    /// them would find the same.
    pub(super) fn has_the_same_inputs(
        &self,
        cx: &Context,
        inputs: Inputs<'_>,
        record: &Outputs,
        source: Source,
    ) -> bool {
        record.discovered.iter().all(|input| {
            if self.is_left(cx, &input.path) {
                return true;
            }
            let now = self.recorded_input(cx, &input.path, source);
            now.is_some_and(|now| now.hash == input.hash)
        }) && record
            .searched
            .as_ref()
            .is_none_or(|searched| self.finds_the_same(cx, inputs, searched, record, source))
    }

    /// Whether a discovered file is one that had to be there first and was left in the store, by itself or in a
    /// directory: the dep hash, under which the record is, holds its content.
    pub(super) fn is_left(&self, cx: &Context, path: &str) -> bool {
        let mut left = self.prerequisites.iter().filter(|needed| needed.elided.is_some());
        left.any(|needed| {
            let inside = path.strip_prefix(self.portable(cx, needed).as_str());
            inside.is_some_and(|inside| inside.is_empty() || inside.starts_with('/'))
        })
    }

    /// Whether everything that `record`, from `source`, names may be looked at, as far as it is there.
    pub(super) fn is_believed(&self, cx: &Context, record: &Outputs, source: Source) -> bool {
        let held = |path: &str| {
            let Ok(path) = cx.places.find(&self.place, &PortablePath::recorded(path)) else {
                return false;
            };
            let absolute = cx.absolute(&path);
            !absolute.exists()
                || cx.grounds.hold_file(&path, &absolute, source, || self.searches(cx))
        };
        record.discovered.iter().all(|input| held(&input.path))
            && record
                .searched
                .as_ref()
                .is_none_or(|searched| self.may_search(cx, searched, record, source))
    }

    /// Whether the directories that a record from `source` searched may be searched again.
    pub(super) fn may_search(
        &self,
        cx: &Context,
        searched: &Searched,
        record: &Outputs,
        source: Source,
    ) -> bool {
        let Some((own, _)) = self.work.search_path() else { return true };
        // Files that include others make a directory each.
        let directories = searched.directories.len() + record.discovered.len();
        let names = searched.names.len() + record.discovered.len();
        if !cx.grounds.hold_search(directories, names) {
            return false;
        }
        own.directories == searched.directories
            || searched.directories.iter().all(|directory| {
                let absolute = self.directory(cx, directory);
                // One that is not there has nothing to be found in.
                let real = absolute.and_then(|absolute| cx.listings.real(&absolute));
                let held =
                    |real: &Path| cx.grounds.hold_directory(real, source, || self.searches(cx));
                real.as_deref().is_none_or(held)
            })
    }

    /// Returns where the step's work looks for files by itself, without links: the directories that it
    /// is told to search, and the installation of its tool.
    fn searches(&self, cx: &Context) -> Vec<Arc<Path>> {
        let told = self.work.search_path().map(|(path, _)| &path.directories);
        let told = told.into_iter().flatten().filter_map(|path| self.directory(cx, path));
        let home = cx.session.settings.environment.get("HOME").map(Path::new);
        let installed = self.work.tool().and_then(|tool| {
            let real = tool.path.canonicalize().ok()?;
            let prefix = real.parent()?.parent()?;
            // What holds everything is no installation.
            let all =
                prefix.parent().is_none() || home.is_some_and(|home| home.starts_with(prefix));
            (!all).then(|| prefix.to_owned())
        });
        told.chain(installed).filter_map(|directory| cx.listings.real(&directory)).collect()
    }
}
