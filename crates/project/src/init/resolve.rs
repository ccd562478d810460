//! Where the headers are that files include.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    path::Path,
};

use super::{
    reading::{Include, Reading},
    system,
    tree::Tree,
};

/// The files of a package, read.
pub(super) struct Files<'t> {
    tree: &'t Tree,
    readings: HashMap<String, Reading>,
    /// Headers and sources by their last names.
    by_name: HashMap<String, Vec<String>>,
}

/// Where an include leads.
enum Found {
    /// To a file beside the one that includes it.
    Beside(String),
    /// To a file below a directory.
    Below(String, String),
    /// To nothing in the package.
    Nothing,
}

/// What some files need.
#[derive(Debug, Default)]
pub(super) struct Needs {
    /// Directories of headers.
    pub includes: Vec<String>,
    /// Arguments for the linker.
    pub link_args: Vec<String>,
    /// Sources that are included rather than compiled, and by which file.
    pub included: BTreeMap<String, String>,
    /// Headers in quotes that are nowhere, and the files that include them.
    pub missing: BTreeMap<String, String>,
    /// The framework that is needed and not there, and one of its headers.
    pub framework: Option<(&'static str, String)>,
}

/// Files larger than this, in bytes, are not read: they are data.
const LARGEST: u64 = 16 << 20;

impl<'t> Files<'t> {
    /// Reads all sources and headers of `tree`, the package in `directory`.
    pub fn read(directory: &Path, tree: &'t Tree) -> Self {
        let mut readings = HashMap::new();
        let mut by_name: HashMap<String, Vec<String>> = HashMap::new();
        for path in tree.headers.iter().chain(&tree.all_sources) {
            let name = path.rsplit('/').next().unwrap_or(path).to_owned();
            by_name.entry(name).or_default().push(path.clone());
            let file = directory.join(path);
            let is_small = fs::metadata(&file).is_ok_and(|metadata| metadata.len() <= LARGEST);
            let text = if is_small { fs::read(&file).unwrap_or_default() } else { Vec::new() };
            readings.insert(path.clone(), Reading::of(&String::from_utf8_lossy(&text)));
        }
        Self { tree, readings, by_name }
    }

    /// Whether a file defines `main`.
    pub fn has_main(&self, path: &str) -> bool {
        self.readings.get(path).is_some_and(|reading| reading.has_main)
    }

    /// Whether there is a header that is called like a source.
    pub fn has_header(&self, source: &str) -> bool {
        let name = source.rsplit('/').next().unwrap_or(source);
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        ["h", "hh", "hpp", "hxx"]
            .iter()
            .any(|end| self.by_name.contains_key(&format!("{stem}.{end}")))
    }

    /// What `files` need, and the headers that they include.
    pub fn needs<'f>(&self, files: impl IntoIterator<Item = &'f String>) -> Needs {
        let mut needs = Needs::default();
        let mut queue: Vec<String> = files.into_iter().cloned().collect();
        let mut seen: BTreeSet<String> = queue.iter().cloned().collect();
        while let Some(file) = queue.pop() {
            let Some(reading) = self.readings.get(&file) else { continue };
            for include in &reading.includes {
                let next = match self.find(&file, include, &needs.includes) {
                    Found::Beside(path) => path,
                    Found::Below(directory, path) => {
                        if !needs.includes.contains(&directory) {
                            needs.includes.push(directory);
                        }
                        path
                    }
                    Found::Nothing => {
                        self.miss(&file, include, &mut needs);
                        continue;
                    }
                };
                if self.tree.all_sources.contains(&next) && next != file {
                    needs.included.entry(next.clone()).or_insert_with(|| file.clone());
                }
                if seen.insert(next.clone()) {
                    queue.push(next);
                }
            }
        }
        needs.includes.sort();
        needs
    }

    fn miss(&self, file: &str, include: &Include, needs: &mut Needs) {
        if include.conditional {
            return;
        }
        if let Some(framework) = system::framework(&include.path) {
            needs.framework.get_or_insert((framework, include.path.clone()));
        }
        for argument in system::link_args(&include.path) {
            if !needs.link_args.iter().any(|known| known == argument) {
                needs.link_args.push((*argument).to_owned());
            }
        }
        if include.quoted && !system::is_standard(&include.path) && !system::has(&include.path) {
            needs.missing.entry(include.path.clone()).or_insert_with(|| file.to_owned());
        }
    }

    fn find(&self, file: &str, include: &Include, chosen: &[String]) -> Found {
        let is_here =
            |path: &str| self.tree.headers.contains(path) || self.tree.all_sources.contains(path);
        if include.quoted && !system::is_standard(&include.path) {
            let directory = file.rsplit_once('/').map_or("", |(directory, _)| directory);
            if let Some(path) = plain(&format!("{directory}/{}", include.path))
                && is_here(&path)
            {
                return Found::Beside(path);
            }
        } else if system::is_standard(&include.path) {
            return Found::Nothing;
        }
        let name = include.path.rsplit('/').next().unwrap_or(&include.path);
        let same_name = self.by_name.get(name).map_or(&[][..], Vec::as_slice);
        let directory_of = |path: &String| {
            let above = path.strip_suffix(&include.path)?;
            match above.strip_suffix('/') {
                Some(directory) => Some(directory.to_owned()),
                None => above.is_empty().then(|| ".".to_owned()),
            }
        };
        let candidates = same_name.iter().filter_map(|path| Some((directory_of(path)?, path)));
        let top = |path: &str| path.split('/').next().unwrap_or_default().to_owned();
        let best = candidates.min_by_key(|(directory, _)| {
            let last = directory.rsplit('/').next().unwrap_or_default();
            let is_usual = matches!(last, "include" | "includes" | "inc");
            let depth = directory.matches('/').count();
            let is_near = top(directory) == top(file);
            (!chosen.contains(directory), !is_usual, !is_near, depth, directory.clone())
        });
        best.map_or(Found::Nothing, |(directory, path)| Found::Below(directory, path.clone()))
    }
}

/// `path` without `.` and `..`; `None` where it leads out of the package.
pub(super) fn plain(path: &str) -> Option<String> {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop()?,
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}
