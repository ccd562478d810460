//! Entries of headers: each with the command of a source that includes it.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fs,
    path::{Path, PathBuf},
    rc::Rc,
};

use larder_project::{path::PortablePath, plan::Language};
use larder_trace::{TraceFile, read_trace_file};

use super::{
    Entry, Unit,
    includes::{Directive, Include, Includes},
};
use crate::context::Context;

/// A source that includes a header.
struct Includer<'u> {
    unit: &'u Unit,
    /// Whether the header is of another package.
    foreign: bool,
    /// What the source, and the headers by way of which it comes to this one, say before it.
    before: Vec<Directive>,
}

/// Returns the entries of all headers that sources of the workspace include, and of those that nobody includes and
/// that lie beside a source or a header which is included, or directly in an include directory. The
/// system's have none. The directories that were looked into are added to `looked_into`.
pub fn entries(cx: &Context, units: &[Unit], looked_into: &mut BTreeSet<PathBuf>) -> Vec<Entry> {
    let mut includes = Includes::default();
    let mut found: BTreeMap<Rc<Path>, Includer<'_>> = BTreeMap::new();
    let mut left: BTreeMap<PathBuf, &Unit> = BTreeMap::new();
    let mut looked: HashSet<(PathBuf, bool)> = HashSet::new();
    let mut known: HashSet<PathBuf> = HashSet::new();
    for unit in units.iter().filter(|unit| unit.language != Language::Plain) {
        let Some(source) = unit.absolute(cx, &unit.source) else { continue };
        let directories = unit.directories(cx);
        let mut walk = Walk { cx, unit, directories: &directories, includes: &mut includes };
        walk.note(&source, &mut Vec::new(), &mut HashSet::new(), &mut found);
        let beside = source.parent().map(|beside| (beside.to_owned(), false));
        let all = directories.into_iter().map(|directory| (directory, true));
        for place in all.chain(beside).filter(|place| is_own(cx, &place.0)) {
            if looked.insert(place.clone()) {
                let mut note = |header| _ = left.entry(header).or_insert(unit);
                list(&place.0, place.1, looked_into, &mut note);
                known.insert(place.0);
            }
        }
    }
    looked_into.extend(includes.looked_into());
    known.extend(found.keys().filter_map(|header| header.parent()).map(Path::to_owned));
    let sources: HashSet<PathBuf> =
        units.iter().filter_map(|unit| unit.absolute(cx, &unit.source)).collect();
    let included =
        found.iter().filter(|(header, _)| is_header(header) && !sources.contains(&***header));
    let mut all: Vec<Entry> = included
        .map(|(header, includer)| {
            let before = includer.before(cx, header, &mut includes);
            includer.unit.header_entry(cx, header.to_path_buf(), before)
        })
        .collect();
    // Those in directories of which nothing is used are for other systems.
    let is_used = |header: &Path| header.parent().is_some_and(|beside| known.contains(beside));
    let rest = left.into_iter().filter(|(header, _)| !found.contains_key(&**header));
    let rest = rest.filter(|(header, _)| is_used(header));
    all.extend(rest.map(|(header, unit)| unit.header_entry(cx, header, Vec::new())));
    all
}

impl Unit {
    /// The directories of the workspace that it looks for headers in: absolute.
    fn directories(&self, cx: &Context) -> Vec<PathBuf> {
        let names = self.compile.search.directories.iter();
        let paths = names.filter_map(|name| self.absolute(cx, &PortablePath::recorded(name)));
        paths.filter(|path| is_own(cx, path)).collect()
    }
}

/// A way through all that one source includes, in the order in which a compiler reads it.
struct Walk<'w, 'u> {
    cx: &'w Context,
    unit: &'u Unit,
    directories: &'w [PathBuf],
    includes: &'w mut Includes,
}

impl<'u> Walk<'_, 'u> {
    /// Notes the headers that a file includes, where its source is a better one to have them from: of the same
    /// package, with less before. `way` has the files that lead here, each with how far it has been read.
    fn note(
        &mut self,
        file: &Path,
        way: &mut Vec<(Rc<Path>, usize)>,
        seen: &mut HashSet<Rc<Path>>,
        found: &mut BTreeMap<Rc<Path>, Includer<'u>>,
    ) {
        for (number, directive) in self.includes.of(file, self.directories).into_iter().enumerate()
        {
            let Directive::Include(Include { file: Some(header), .. }) = directive else {
                continue;
            };
            if !is_own(self.cx, &header) || !seen.insert(header.clone()) {
                continue;
            }
            way.push((file.into(), number));
            let foreign = !header.starts_with(&self.unit.place.directory);
            let length: usize = way.iter().map(|(_, number)| number).sum();
            let better = found
                .get(&header)
                .is_none_or(|known| (foreign, length) < (known.foreign, known.before.len()));
            if better {
                let before = way.iter().flat_map(|(file, number)| {
                    let mut all = self.includes.of(file, self.directories);
                    all.truncate(*number);
                    all
                });
                let before = before.collect();
                found.insert(header.clone(), Includer { unit: self.unit, foreign, before });
            }
            self.note(&header, way, seen, found);
            way.pop();
        }
    }
}

impl Includer<'_> {
    /// The arguments for all that comes before the header `header`: macros that it or what it includes asks for, and
    /// what is included. Where a build has recorded what it read, what conditions hide is known; else those of
    /// the system are left out.
    fn before(&self, cx: &Context, header: &Rc<Path>, includes: &mut Includes) -> Vec<String> {
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
        let directories = self.unit.directories(cx);
        let texts: Vec<Vec<u8>> =
            match self.before.iter().any(|it| matches!(it, Directive::Define(_))) {
                true => includes
                    .all_of(header, &directories)
                    .iter()
                    .filter_map(|it| fs::read(it).ok())
                    .collect(),
                false => Vec::new(),
            };
        let is_asked = |name: &str| texts.iter().any(|text| has_word(text, name));
        let mut arguments = Vec::new();
        for directive in &self.before {
            match directive {
                Directive::Define(definition) => {
                    let asked = definition.split('=').next().is_some_and(is_asked);
                    arguments.extend(asked.then(|| format!("-D{definition}")));
                }
                Directive::Include(include) => {
                    if let Some(name) = name(include) {
                        arguments.extend(["-include".to_owned(), name]);
                    }
                }
            }
        }
        arguments
    }
}

/// Whether a name stands in a text, and not as a part of another one.
fn has_word(text: &[u8], name: &str) -> bool {
    let is_part = |c: &u8| c.is_ascii_alphanumeric() || *c == b'_';
    text.split(|c| !is_part(c)).any(|word| word == name.as_bytes())
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
fn list(
    directory: &Path,
    deep: bool,
    looked_into: &mut BTreeSet<PathBuf>,
    found: &mut dyn FnMut(PathBuf),
) {
    looked_into.insert(directory.to_owned());
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() && deep {
            list(&entry.path(), true, looked_into, found);
        } else if kind.is_file() && is_header(&entry.path()) {
            found(entry.path());
        }
    }
}
