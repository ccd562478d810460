//! The trees that a build is about: where its sources and its outputs are.

use std::{
    fs,
    path::{Path, PathBuf},
};

use larder_project::{
    ninja::{Graph, canonical},
    path::PortablePath,
    place::Place,
};

use memchr::memmem;

use crate::{action::Piece, grounds::SYSTEM};

/// What the build directory is called in records.
pub const BUILD: &str = "build";

/// What the source directory is called in records.
const SOURCE: &str = "source";

/// The directories of a build. Their paths stand in commands, and are no part of what is the same elsewhere.
#[derive(Debug)]
pub struct Roots {
    build: PathBuf,
    source: Option<PathBuf>,
    /// The paths of both, the longest first.
    texts: Vec<Text>,
}

/// The path of a directory, as it stands in commands.
#[derive(Debug)]
struct Text {
    path: String,
    /// Its name in records.
    name: PortablePath,
    finder: memmem::Finder<'static>,
}

impl Text {
    fn new(directory: &Path, name: &str) -> Self {
        let path = directory.to_string_lossy().into_owned();
        let finder = memmem::Finder::new(&path).into_owned();
        Self { path, name: PortablePath::recorded(name), finder }
    }
}

impl Roots {
    /// Finds the directories of the build of `graph`. CMake and Meson leave word of where the sources are; a build may
    /// take others from beside or above that.
    pub fn find(graph: &Graph) -> Self {
        let build = &*graph.directory;
        let said = of_cmake(build).or_else(|| of_meson(build));
        let said = said.filter(|source| source.is_absolute() && source.parent().is_some());
        let all = above(graph, said.as_deref()).filter(|all| !is_wide(all, build));
        let source = all.or(said).filter(|source| source != build);
        let mut texts = vec![Text::new(build, "")];
        texts.extend(source.as_ref().map(|source| Text::new(source, &format!("@{SOURCE}/"))));
        texts.sort_by_key(|text| std::cmp::Reverse(text.path.len()));
        Self { build: build.to_owned(), source, texts }
    }

    /// Returns the places of the directories.
    pub fn places(&self) -> Vec<Place> {
        let source = self.source.iter().map(|source| Place::new(&self.build, SOURCE, source));
        [Place::in_place(BUILD, &self.build)].into_iter().chain(source).collect()
    }

    /// Returns the paths of the directories.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(|text| text.path.as_str())
    }

    /// Returns `text` in pieces: paths of the directories are pieces of their own.
    pub fn pieces(&self, text: &str) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((at, length, name)) = self.first(rest) {
            if at > 0 {
                pieces.push(Piece::Text(rest[..at].to_owned()));
            }
            pieces.push(Piece::Absolute(name.clone()));
            rest = &rest[at + length..];
        }
        if !rest.is_empty() || pieces.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        pieces
    }

    /// Returns `text` with names for the paths of the directories.
    pub fn portable(&self, text: &str) -> String {
        let mut portable = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((at, length, name)) = self.first(rest) {
            portable.push_str(&rest[..at]);
            portable.push_str(match name.as_str() {
                "" => "@build",
                name => name.trim_end_matches('/'),
            });
            rest = &rest[at + length..];
        }
        portable.push_str(rest);
        portable
    }

    /// Returns where the first path of a directory begins, how long it is, and what it is called.
    fn first(&self, text: &str) -> Option<(usize, usize, &PortablePath)> {
        let ends = |end: usize| {
            let next = text.as_bytes().get(end);
            next.is_none_or(|byte| !(byte.is_ascii_alphanumeric() || b"_-.+~".contains(byte)))
        };
        let found = self.texts.iter().filter_map(|Text { path, name, finder }| {
            let at = finder.find_iter(text.as_bytes()).find(|at| ends(at + path.len()))?;
            Some((at, path.len(), name))
        });
        // Of two that begin at one place, the longer.
        found.min_by_key(|(at, length, _)| (*at, std::cmp::Reverse(*length)))
    }
}

/// The directory that all sources of a graph are in, and `said`.
fn above(graph: &Graph, said: Option<&Path>) -> Option<PathBuf> {
    let mut all = said.map(Path::to_owned);
    for id in graph.edges().filter(|id| !graph.is_phony(*id)) {
        for node in graph.edge(id).explicit_inputs() {
            let node = graph.node(*node);
            if node.made_by.is_some() || !node.path.starts_with(['/', '.']) {
                continue;
            }
            // Most are inside what is known by then.
            let known = all.as_deref().and_then(Path::to_str);
            if known.and_then(|known| node.path.strip_prefix(known)?.strip_prefix('/')).is_some() {
                continue;
            }
            let path = graph.directory.join(&*node.path);
            let path = canonical(path.to_str()?).into_owned();
            let Some(directory) = Path::new(&path).parent() else { continue };
            if SYSTEM.iter().any(|system| directory.starts_with(system)) {
                continue;
            }
            match &mut all {
                None => all = Some(directory.to_owned()),
                Some(all) => while !directory.starts_with(&*all) && all.pop() {},
            }
        }
    }
    all
}

/// Whether a directory is too much to be the sources of one build: it is at the top of everything, or far above the
/// build directory.
fn is_wide(directory: &Path, build: &Path) -> bool {
    let above = build.ancestors().position(|above| above == directory);
    directory.components().count() < 3 || above.is_some_and(|levels| levels > 4)
}

/// The source directory, as CMake's cache has it.
fn of_cmake(build: &Path) -> Option<PathBuf> {
    let cache = fs::read_to_string(build.join("CMakeCache.txt")).ok()?;
    let line =
        cache.lines().find_map(|line| line.strip_prefix("CMAKE_HOME_DIRECTORY:INTERNAL="))?;
    Some(PathBuf::from(line.trim_end()))
}

/// The source directory, as Meson's introspection data have it.
fn of_meson(build: &Path) -> Option<PathBuf> {
    let text = fs::read(build.join("meson-info/meson-info.json")).ok()?;
    let info: serde_json::Value = serde_json::from_slice(&text).ok()?;
    Some(PathBuf::from(info["directories"]["source"].as_str()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_trees_have_names() {
        let place = tempfile::tempdir().unwrap();
        let source = place.path().join("p");
        let build = source.join("build");
        fs::create_dir_all(&build).unwrap();
        let cache = format!("X:STRING=1\nCMAKE_HOME_DIRECTORY:INTERNAL={}\n", source.display());
        fs::write(build.join("CMakeCache.txt"), cache).unwrap();
        let graph = Graph::of_text(&build, "").unwrap();
        let roots = Roots::find(&graph);
        let s = source.display();
        for (text, portable) in [
            (
                format!("cc -I{s}/inc -I{s}/build/gen -c {s}/a.c"),
                "cc -I@source/inc -I@build/gen -c @source/a.c",
            ),
            (format!("{s} {s}-other {s}.c {s}2"), "@source S-other S.c S2"),
            (format!("cd {s}/build && x {s}/building"), "cd @build && x @source/building"),
            ("none".to_owned(), "none"),
            (String::new(), ""),
        ] {
            assert_eq!(roots.portable(&text), portable.replace('S', &s.to_string()), "{text}");
        }
    }

    #[test]
    fn sources_beside_those_of_the_build_file_belong_to_the_tree() {
        let source = |build: &str, text: &str| {
            let rule = "rule r\n  command = c\n";
            let graph = Graph::of_text(Path::new(build), &format!("{rule}{text}")).unwrap();
            Roots::find(&graph).source.map(|path| path.display().to_string())
        };
        let found = |path: &str| Some(path.to_owned());
        let text =
            "build a: r /w/p/lib/a/a.c /usr/include/x.h\nbuild b: r /w/p/programs/b.c gen.c\n";
        assert_eq!(source("/w/p/out", text), found("/w/p"));
        assert_eq!(source("/w/p/out", "build a: r ../src/a.c\n"), found("/w/p/src"));
        assert_eq!(source("/w/p/out", "build a: r a.c\n"), None);
        assert_eq!(source("/w/p/out", "build a: r /w/a.c\nbuild b: r /x/b.c\n"), None);
    }
}
