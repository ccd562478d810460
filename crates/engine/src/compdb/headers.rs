//! Entries of headers: each with the command of a source that includes it.

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    path::{Path, PathBuf},
    rc::Rc,
};

use larder_project::{path::PortablePath, plan::Language};
use larder_trace::{TraceFile, read_trace_file};

use super::{
    Entry, Unit,
    includes::{Include, Includes},
};
use crate::context::Context;

/// A source that includes a header.
struct Includer<'u> {
    unit: &'u Unit,
    /// Whether the header is of another package.
    foreign: bool,
    /// What the source includes before it.
    before: Vec<Include>,
}

/// Returns the entries of all headers that sources of the workspace include, and of those beside them and
/// in their include directories that nobody includes. The system's have none.
pub fn entries(cx: &Context, units: &[&Unit]) -> Vec<Entry> {
    let mut includes = Includes::default();
    let mut found: BTreeMap<Rc<Path>, Includer<'_>> = BTreeMap::new();
    let mut left: BTreeMap<PathBuf, &Unit> = BTreeMap::new();
    let mut looked: HashSet<(PathBuf, bool)> = HashSet::new();
    for unit in units.iter().filter(|unit| unit.language != Language::Plain) {
        let Some(source) = unit.absolute(cx, &unit.source) else { continue };
        let directories = unit.directories(cx);
        unit.note(cx, &source, &directories, &mut includes, &mut found);
        let beside = source.parent().map(|beside| (beside.to_owned(), false));
        let all = directories.into_iter().map(|directory| (directory, true));
        for place in all.chain(beside).filter(|place| is_own(cx, &place.0)) {
            if looked.insert(place.clone()) {
                list(&place.0, place.1, &mut |header| _ = left.entry(header).or_insert(unit));
            }
        }
    }
    let sources: HashSet<PathBuf> =
        units.iter().filter_map(|unit| unit.absolute(cx, &unit.source)).collect();
    let included =
        found.iter().filter(|(header, _)| is_header(header) && !sources.contains(&***header));
    let mut all: Vec<Entry> = included
        .map(|(header, includer)| {
            includer.unit.header_entry(cx, header.to_path_buf(), &includer.before(cx))
        })
        .collect();
    let rest = left.into_iter().filter(|(header, _)| !found.contains_key(&**header));
    all.extend(rest.map(|(header, unit)| unit.header_entry(cx, header, &[])));
    all
}

impl Unit {
    /// The directories of the workspace that it looks for headers in: absolute.
    fn directories(&self, cx: &Context) -> Vec<PathBuf> {
        let names = self.compile.search.directories.iter();
        let paths = names.filter_map(|name| self.absolute(cx, &PortablePath::recorded(name)));
        paths.filter(|path| is_own(cx, path)).collect()
    }

    /// Notes the headers that its source includes, where it is a better one to have them from: of the same
    /// package, with fewer others before.
    fn note<'u>(
        &'u self,
        cx: &Context,
        source: &Path,
        directories: &[PathBuf],
        includes: &mut Includes,
        found: &mut BTreeMap<Rc<Path>, Includer<'u>>,
    ) {
        let mut seen = HashSet::new();
        let direct = includes.of(source, directories);
        for (number, include) in direct.iter().enumerate() {
            let Some(file) = &include.file else { continue };
            for header in includes.all_of(file, directories) {
                if !is_own(cx, &header) || !seen.insert(header.clone()) {
                    continue;
                }
                let foreign = !header.starts_with(&self.place.directory);
                let better = found
                    .get(&header)
                    .is_none_or(|known| (foreign, number) < (known.foreign, known.before.len()));
                if better {
                    let before = direct[..number].to_vec();
                    found.insert(header, Includer { unit: self, foreign, before });
                }
            }
        }
    }
}

impl Includer<'_> {
    /// The headers that the source has seen before, as arguments name them. Where a build has recorded what it
    /// read, what conditions hide is known; else those of the system are left out.
    fn before(&self, cx: &Context) -> Vec<String> {
        if self.before.is_empty() {
            return Vec::new();
        }
        let trace = cx.absolute(&self.unit.place.trace_path(&self.unit.object));
        let read: Option<Vec<PathBuf>> = match read_trace_file(&trace) {
            TraceFile::Finished(record) => {
                let paths = record.outputs.discovered.iter();
                let paths = paths.map(|input| PortablePath::recorded(&input.path));
                Some(paths.filter_map(|path| self.unit.absolute(cx, &path)).collect())
            }
            _ => None,
        };
        let name = |include: &Include| match (&include.file, &read) {
            (Some(file), Some(read)) => {
                let is_read = |path: &PathBuf| {
                    path == &**file || path.canonicalize().is_ok_and(|path| path == **file)
                };
                read.iter().any(is_read).then(|| file.to_string_lossy().into_owned())
            }
            (Some(file), None) => Some(file.to_string_lossy().into_owned()),
            (None, Some(read)) => {
                read.iter().any(|path| path.ends_with(&include.name)).then(|| include.name.clone())
            }
            (None, None) => None,
        };
        self.before.iter().filter_map(name).collect()
    }
}

/// Whether a path is in the workspace: in a package or a build directory.
fn is_own(cx: &Context, path: &Path) -> bool {
    cx.places.directories().any(|directory| path.starts_with(directory))
}

fn is_header(path: &Path) -> bool {
    const EXTENSIONS: [&str; 6] = ["h", "hh", "hpp", "hxx", "h++", "H"];
    path.extension().is_some_and(|extension| EXTENSIONS.iter().any(|known| extension == *known))
}

/// Finds the headers in a directory, and below it if `deep`. What starts with a dot is not looked at.
fn list(directory: &Path, deep: bool, found: &mut dyn FnMut(PathBuf)) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() && deep {
            list(&entry.path(), true, found);
        } else if kind.is_file() && is_header(&entry.path()) {
            found(entry.path());
        }
    }
}
