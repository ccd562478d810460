//! Entries of headers: each with the command of a source that includes it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
    rc::Rc,
};

use larder_project::{path::PortablePath, plan::Language};
use larder_trace::{TraceFile, read_trace_file};

use super::{
    Entry, Unit,
    includes::{Directive, Include, Includes},
    way::{Passed, Read, Way},
};
use crate::context::Context;

/// Returns the entries of all headers that sources of the workspace include, and of those that nobody includes and
/// that lie in an include directory which others see, directly or beside a header which is included. The
/// system's have none. The directories that were looked into are added to `looked_into`.
pub fn entries(cx: &Context, units: &[&Unit], looked_into: &mut BTreeSet<PathBuf>) -> Vec<Entry> {
    let mut includes = Includes::default();
    let mut found: BTreeMap<Rc<Path>, Vec<Way<'_>>> = BTreeMap::new();
    let mut left: BTreeMap<PathBuf, &Unit> = BTreeMap::new();
    let mut known: HashSet<PathBuf> = HashSet::new();
    for unit in units.iter().filter(|unit| unit.language != Language::Plain) {
        let Some(source) = unit.absolute(cx, &unit.source) else { continue };
        let directories = unit.directories(cx);
        let mut walk = Walk { cx, unit, directories: &directories, includes: &mut includes };
        walk.note(source.as_path().into(), &mut Vec::new(), &mut HashSet::new(), &mut found);
        let public = unit.public.iter().filter_map(|directory| unit.absolute(cx, directory));
        for directory in public.filter(|directory| is_own(cx, directory)) {
            if known.insert(directory.clone()) {
                let mut note = |header| _ = left.entry(header).or_insert(unit);
                list(&directory, looked_into, &mut note);
            }
        }
    }
    looked_into.extend(includes.looked_into());
    known.extend(found.keys().filter_map(|header| header.parent()).map(Path::to_owned));
    let sources: HashSet<PathBuf> =
        units.iter().filter_map(|unit| unit.absolute(cx, &unit.source)).collect();
    let included =
        found.iter().filter(|(header, _)| is_header(header) && !sources.contains(&***header));
    let mut records: HashMap<PathBuf, Read> = HashMap::new();
    let mut all: Vec<Entry> = Vec::new();
    for (header, ways) in included {
        if let Some((way, read)) = best(cx, header, ways, &mut records) {
            let before = way.before(cx, header, &read, &mut includes);
            all.push(way.unit.header_entry(cx, header.to_path_buf(), before));
        }
    }
    // Those in directories of which nothing is used are for other systems.
    let is_used = |header: &Path| header.parent().is_some_and(|beside| known.contains(beside));
    let rest = left.into_iter().filter(|(header, _)| !found.contains_key(&**header));
    let rest = rest.filter(|(header, _)| is_used(header));
    all.extend(rest.map(|(header, unit)| unit.header_entry(cx, header, Vec::new())));
    all
}

impl Unit {
    /// The directories of the workspace that it looks for headers in: absolute.
    pub fn directories(&self, cx: &Context) -> Vec<PathBuf> {
        let names = self.compile.search.directories.iter();
        let paths = names.filter_map(|name| self.absolute(cx, &PortablePath::recorded(name)));
        paths.filter(|path| is_own(cx, path)).collect()
    }
}

/// A walk through all that one source includes, in the order in which a compiler reads it.
struct Walk<'w, 'u> {
    cx: &'w Context,
    unit: &'u Unit,
    directories: &'w [PathBuf],
    includes: &'w mut Includes,
}

impl<'u> Walk<'_, 'u> {
    /// Notes the headers that a file includes. `way` has the files that lead here, each with how far it has been read.
    fn note(
        &mut self,
        file: Rc<Path>,
        way: &mut Vec<Passed>,
        seen: &mut HashSet<Rc<Path>>,
        found: &mut BTreeMap<Rc<Path>, Vec<Way<'u>>>,
    ) {
        let directives = self.includes.of(&file, self.directories);
        for (number, directive) in directives.into_iter().enumerate() {
            let Directive::Include(Include { file: Some(header), late, .. }) = directive else {
                continue;
            };
            if !is_own(self.cx, &header) || !seen.insert(header.clone()) {
                continue;
            }
            way.push(Passed { file: file.clone(), number, late });
            let foreign = !header.starts_with(&self.unit.place.directory);
            let new = Way { unit: self.unit, foreign, files: way.clone() };
            found.entry(header.clone()).or_default().push(new);
            self.note(header, way, seen, found);
            way.pop();
        }
    }
}

/// The best way to a header: from a source of its own package, with the least before it, and by way of no header that
/// declares something before it. One that conditions hid from the compiler, as far as that is recorded, is none.
fn best<'w, 'u>(
    cx: &Context,
    header: &Path,
    ways: &'w [Way<'u>],
    records: &mut HashMap<PathBuf, Read>,
) -> Option<(&'w Way<'u>, Read)> {
    let mut sorted: Vec<&Way<'_>> = ways.iter().collect();
    sorted.sort_by_key(|way| (way.foreign, way.headers().any(|passed| passed.late), way.length()));
    sorted.into_iter().find_map(|way| {
        let trace = cx.absolute(&way.unit.place.trace_path(&way.unit.object));
        let read =
            records.entry(trace).or_insert_with_key(|trace| way.unit.read(cx, trace)).clone();
        let is_read = read.as_ref().is_none_or(|read| read.iter().any(|it| it == header));
        is_read.then_some((way, read))
    })
}

impl Unit {
    /// The files that its last build read, if it is recorded; those of the workspace without links.
    fn read(&self, cx: &Context, trace: &Path) -> Read {
        let TraceFile::Finished(record) = read_trace_file(trace) else { return None };
        let paths = record.outputs.discovered.iter();
        let paths = paths.map(|input| PortablePath::recorded(&input.path));
        let real = |path: PathBuf| match is_own(cx, &path) {
            true => path.canonicalize().unwrap_or(path),
            false => path,
        };
        Some(paths.filter_map(|path| self.absolute(cx, &path)).map(real).collect())
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

/// Finds the headers in a directory and below it. What starts with a dot is not looked at.
fn list(directory: &Path, looked_into: &mut BTreeSet<PathBuf>, found: &mut dyn FnMut(PathBuf)) {
    looked_into.insert(directory.to_owned());
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            list(&entry.path(), looked_into, found);
        } else if kind.is_file() && is_header(&entry.path()) {
            found(entry.path());
        }
    }
}
