//! Where a step's work looked for inputs, and whether it would find the same again.

use std::path::PathBuf;

use larder_project::path::PortablePath;
use larder_trace::{Content, DiscoveredInput, Outputs, Searched};

use super::{Inputs, Step, Work};
use crate::{
    builds::{CheckProgram, SearchPath},
    context::Context,
    grounds::Source,
    search::{ANY, Asked, Outcome, Search, includers, names_of},
};

impl Work {
    /// Returns where the work looks for inputs, and whether they include each other.
    pub(super) fn search_path(&self) -> Option<(&SearchPath, bool)> {
        match self {
            Self::Compile(compile) if compile.dialect.tells() => Some((&compile.search, true)),
            Self::Precompile(header) => Some((&header.compile.search, true)),
            Self::Link(link) => Some((&link.search, false)),
            Self::Shell(shell) => Some((shell.search.as_ref()?, shell.includes)),
            Self::Check(check) => Some((&check.search, true)),
            _ => None,
        }
        .filter(|(search, _)| !search.directories.is_empty())
    }
}

impl Step {
    /// Returns where the work looked for inputs, with what else could have been found there.
    pub(super) fn searched(
        &self,
        cx: &Context,
        inputs: Inputs<'_>,
        discovered: &[DiscoveredInput],
        looked_for: &[String],
    ) -> Option<Searched> {
        let (path, includes) = self.work.search_path()?;
        let source = self.source(cx, inputs);
        let found: Vec<&str> = discovered.iter().map(|input| input.path.as_str()).collect();
        let mut names = path.names.clone();
        if includes {
            let own = found.iter().copied().filter(|path| !path.starts_with('/'));
            let mut asked = Asked::default();
            for path in own.map(PortablePath::recorded).chain([source.clone()]) {
                let Ok(path) = cx.places.find(&self.place, &path) else { continue };
                let more = cx.asked(&path);
                asked.probed.extend(more.probed.iter().cloned());
                asked.included.extend(more.included.iter().cloned());
            }
            asked.included.extend(path.names.iter().cloned());
            if let Work::Check(check) = &self.work {
                if let CheckProgram::Text { text, .. } = &check.program {
                    asked.scan(text.as_bytes());
                }
                // The headers of the system are where answers come from. What they compute is theirs.
                for path in found.iter().filter(|path| is_header_of_system(path)) {
                    let path = cx.places.find(&self.place, &PortablePath::recorded(path)).ok()?;
                    let more = cx.asked(&path);
                    asked.probed.extend(more.probed.iter().filter(|name| *name != ANY).cloned());
                }
                // Each of them decides the answer where it is not there.
                asked.probed.append(&mut asked.included);
                asked.probed.extend(looked_for.iter().cloned());
            }
            let search = Search {
                directories: &path.directories,
                includers: &[],
                names: &[],
                discovered: &found,
            };
            let locate = |path: &str| self.directory(cx, path);
            names = names_of(&asked, &search, source.as_str(), &path.system, &cx.listings, &locate);
        }
        if self.work.in_place().is_some() {
            // Outputs appear in the directories that are searched.
            names.retain(|name| name != ANY);
        }
        let directories = path.directories.clone();
        let mut searched =
            Searched { directories, names, found: larder_trace::ContentHash::of_bytes(b"") };
        searched.found = self.search(cx, &searched, &source, &found)?.found;
        Some(searched)
    }

    /// Whether a search for inputs would still find what it found when `record`, from `source`, was made.
    pub(super) fn finds_the_same(
        &self,
        cx: &Context,
        inputs: Inputs<'_>,
        searched: &Searched,
        record: &Outputs,
        source: Source,
    ) -> bool {
        self.may_search(cx, searched, record, source)
            && self
                .look_again(cx, inputs, searched, record)
                .is_some_and(|now| now.found == searched.found)
    }

    /// Returns what a recorded search comes to now.
    pub(super) fn look_again(
        &self,
        cx: &Context,
        inputs: Inputs<'_>,
        searched: &Searched,
        record: &Outputs,
    ) -> Option<Outcome> {
        let source = self.source(cx, inputs);
        let found: Vec<&str> = record.discovered.iter().map(|input| input.path.as_str()).collect();
        self.search(cx, searched, &source, &found)
    }

    /// The file that the work begins to read with; for the program of a check that is in no file, the
    /// package's directory, in which it is compiled.
    fn source(&self, cx: &Context, inputs: Inputs<'_>) -> PortablePath {
        let first = inputs.artifacts.first();
        first.map_or_else(|| PortablePath::recorded(""), |source| self.portable(cx, source))
    }

    fn search(
        &self,
        cx: &Context,
        searched: &Searched,
        source: &PortablePath,
        discovered: &[&str],
    ) -> Option<Outcome> {
        let (path, includes) = self.work.search_path()?;
        let includers = match includes {
            true => includers("", source.as_str(), discovered, &path.system),
            false => Vec::new(),
        };
        let search = Search {
            directories: &searched.directories,
            includers: &includers,
            names: &searched.names,
            discovered: if includes { discovered } else { &[] },
        };
        // What was left in the store was there when it was read.
        let left = discovered.iter().filter(|path| self.is_left(cx, path));
        let left: Vec<String> = left
            .filter_map(|path| {
                let found = cx.places.find(&self.place, &PortablePath::recorded(path)).ok()?;
                Some(cx.absolute(&found).to_string_lossy().into_owned())
            })
            .collect();
        Some(search.look(&cx.listings, &|path| self.directory(cx, path), &left))
    }

    /// Returns where a directory is: absolute.
    pub(super) fn directory(&self, cx: &Context, portable: &str) -> Option<PathBuf> {
        let whole = match portable {
            "" => String::new(),
            name => format!("{name}/"),
        };
        let found = cx.places.find(&self.place, &PortablePath::recorded(&whole)).ok()?;
        let path = cx.places.absolute(&found);
        // Without the final slash.
        Some(path.components().as_path().to_owned())
    }
}

/// Whether a file that was read is a header outside of the packages, by its name.
fn is_header_of_system(path: &str) -> bool {
    path.starts_with('/') && Content::of_source(path) == Content::Text
}
