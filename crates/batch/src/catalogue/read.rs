//! Reading all packages of a set, many at a time.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use larder_project::{
    dependencies::Resolution,
    diagnostic::{Diagnostic, Diagnostics, SourceText},
    manifest::{self, Document},
    parallel,
    set::{Entry, EntryRecipe, PackageSet, obtain},
};
use larder_runs::{
    name::{HashName, PackageName},
    version,
};
use larder_trace::{Content, ContentHash, StatIndex, describe_io};

use super::{
    Catalogue, Compiler, Docs, Fault, PackageVersion, Recipe,
    find::directories,
    sources::{Sources, tree_hash},
    summary::{Known, Summary, guess},
};
use crate::hashes::{self, Fields};

/// How packages are read.
#[derive(Debug, Clone, Copy)]
pub struct Reading<'r> {
    /// How sources from elsewhere are found and fetched.
    pub resolution: &'r Resolution,
    /// The directory of the data (`DATA`), for what is remembered of files and manifests.
    pub data: &'r Path,
    /// How many packages are read at a time.
    pub threads: usize,
    /// Whether what was learned of files and manifests is written into the data.
    pub remember: bool,
}

/// The file in `DATA` with the status and hash of each source file.
pub(super) const INDEX: &str = "sources.index";

/// The file in `DATA` with what manifests say.
pub(super) const MANIFESTS: &str = "manifests";

impl Catalogue {
    /// Reads all packages of the set whose directory is `root`.
    ///
    /// # Errors
    /// What is wrong with the set as a whole: nothing is in it, directories that it names have no manifest, two
    /// directories have the same package version. What is wrong with one package is in the catalogue.
    pub fn read(set: &PackageSet, root: &Path, reading: &Reading<'_>) -> Result<Self, Diagnostics> {
        let unusable = |error: io::Error| {
            Diagnostic::new(format!("cannot enter {}: {}", root.display(), describe_io(&error)))
        };
        let root = root.canonicalize().map_err(unusable)?;
        let mut obtained = obtain(set, &root, reading.resolution)?;
        let mut found = directories(set, &root).map_err(Diagnostics)?;
        for sources in obtained.values().flatten() {
            // What the set file says of a directory counts.
            let below = sources.strip_prefix(&root).ok().and_then(Path::to_str);
            below.map(|below| found.remove(below));
        }
        if found.is_empty() && obtained.is_empty() {
            let file = set.source.path.display();
            let help = "add packages = [\"packages/*\"] to [set], or a [package.\"NAME.VERSION\"]";
            return Err(Diagnostic::new(format!("{file} has no packages")).help(help).into());
        }
        let index = StatIndex::open(&root, &reading.data.join(INDEX), false).map_err(unusable)?;
        let manifests = reading.data.join(MANIFESTS);
        let known = Known::read(&manifests);
        let system = system(set)?;
        let reader =
            Reader { set, system, root: &root, index: &index, known: &known, directories: &found };
        let found: Vec<&String> = found.iter().collect();
        let mut versions = parallel::map(&found, reading.threads, |below| reader.package(below));
        let entries: Vec<(&String, &Entry, Result<PathBuf, Diagnostic>)> = set
            .entries
            .iter()
            .filter_map(|(name, entry)| Some((name, entry, obtained.remove(name)?)))
            .collect();
        versions.extend(parallel::map(&entries, reading.threads, |(name, entry, sources)| {
            reader.entry(name, entry, sources)
        }));
        if reading.remember {
            known.write(&manifests);
            if let Err(error) = index.save() {
                tracing::info!("cannot write {}: {error}", reading.data.join(INDEX).display());
            }
        }
        let versions = versions.into_iter().collect::<Result<Vec<_>, _>>();
        let compilers = set.compilers_as_listed().into_iter().filter_map(|(name, compiler)| {
            Some(Compiler { name: name.parse().ok()?, toolchain: compiler.toolchain.clone() })
        });
        Self::of(versions?, compilers.collect())
    }

    /// Puts package versions in their order.
    ///
    /// # Errors
    /// Package versions that are there twice, each with both directories.
    pub fn of(
        mut versions: Vec<PackageVersion>,
        compilers: Vec<Compiler>,
    ) -> Result<Self, Diagnostics> {
        versions.sort_by(|a, b| {
            let by_name = a.name.cmp(&b.name);
            let newest_first = || version::compare(&b.version, &a.version);
            by_name
                .then_with(newest_first)
                .then_with(|| a.sources.directory.cmp(&b.sources.directory))
        });
        let twice = versions.windows(2).filter(|pair| pair[0].id == pair[1].id);
        let twice: Vec<Diagnostic> = twice
            .map(|pair| {
                let (one, other) =
                    (pair[0].sources.directory.display(), pair[1].sources.directory.display());
                Diagnostic::new(format!("{} is there twice: {one} and {other}", pair[0].id))
                    .help("give one of them another version, or leave it out of the set")
            })
            .collect();
        if !twice.is_empty() {
            return Err(Diagnostics(twice));
        }
        let mut names: BTreeMap<String, std::ops::Range<u32>> = BTreeMap::new();
        for (place, version) in (0_u32..).zip(&versions) {
            match names.get_mut(&version.name) {
                Some(range) => range.end = place + 1,
                None => _ = names.insert(version.name.clone(), place..place + 1),
            }
        }
        Ok(Self { versions, names, compilers })
    }
}

/// The hash of the files that say which state the machine is in; `None` where the set names none.
///
/// # Errors
/// Those that cannot be read.
pub(super) fn system(set: &PackageSet) -> Result<Option<ContentHash>, Diagnostics> {
    let mut fields = Fields::of("system");
    let mut errors = Vec::new();
    for path in &set.system {
        match fs::read(&path.value) {
            Ok(content) => _ = fields.text(path).hash(&ContentHash::of_bytes(&content)),
            Err(error) => errors.push(
                Diagnostic::new(format!("cannot read {}: {}", path.value, describe_io(&error)))
                    .at(&set.source, path.span.clone()),
            ),
        }
    }
    match errors.is_empty() {
        true => Ok((!set.system.is_empty()).then(|| fields.finish())),
        false => Err(Diagnostics(errors)),
    }
}

/// Reads packages of a set.
pub(super) struct Reader<'r> {
    pub set: &'r PackageSet,
    /// The hash of what the set says of the machine, if it does.
    pub system: Option<ContentHash>,
    pub root: &'r Path,
    pub index: &'r StatIndex,
    pub known: &'r Known,
    /// The directories of packages, from the root.
    pub directories: &'r BTreeSet<String>,
}

impl Reader<'_> {
    /// The package in a directory of the set.
    ///
    /// # Errors
    /// Where there is no way to say which package that is.
    pub fn package(&self, below: &str) -> Result<PackageVersion, Diagnostics> {
        let directory = self.root.join(below);
        let file = if below.is_empty() { String::new() } else { format!("{below}/") };
        let read = self.summary(&(file + manifest::FILE_NAME), &directory);
        let tree = self.tree_hash(&directory);
        let (id, needs, fault) = match read {
            Ok(summary) => (summary.id, summary.needs, None),
            Err((diagnostics, text)) => match guess(&text, &directory) {
                Some(id) => (id, BTreeMap::new(), Some(diagnostics)),
                None => return Err(diagnostics),
            },
        };
        let (sources, unreadable) = match tree {
            Ok(tree) => (Sources::new(directory, tree, None), None),
            Err(wrong) => (Sources::unreadable(directory), Some(wrong.into())),
        };
        let recipe = Recipe::Manifest;
        Ok(PackageVersion {
            name: id.name().to_owned(),
            version: id.version().to_owned(),
            id,
            digest: source_digest(&sources, &recipe, &Docs::default(), needs.keys()),
            sources,
            recipe,
            docs: Docs::default(),
            needs,
            compilers: None,
            limits: self.set.limits,
            fault: fault.or(unreadable).map(|diagnostics| Fault { diagnostics }),
        })
    }

    /// What a manifest says, else what is wrong with it and its text. The file is a path from the root; it counts for
    /// the package in `directory`.
    fn summary(&self, file: &str, directory: &Path) -> Result<Summary, (Diagnostics, String)> {
        let shown = self.set.source.path.parent().unwrap_or(Path::new("")).join(file);
        let unreadable = |error: io::Error| {
            let reason = describe_io(&error);
            let wrong = Diagnostic::new(format!("cannot read {}: {reason}", shown.display()));
            (Diagnostics(vec![wrong]), String::new())
        };
        let hash = self.index.file(file, Content::Binary).map_err(unreadable)?.hash;
        if let Some(summary) = self.known.get(&hash) {
            return Ok(summary);
        }
        let bytes = fs::read(self.root.join(file)).map_err(unreadable)?;
        let (summary, text, alone) = self.parse(&shown, bytes, directory, false)?;
        if alone && ContentHash::of_bytes(text.as_bytes()) == hash {
            self.known.learn(hash, &summary);
        }
        Ok(summary)
    }

    /// Returns what a manifest says, which lies in its package or is `kept` in the set for it; its text; and whether it
    /// would say the same anywhere.
    fn parse(
        &self,
        shown: &Path,
        bytes: Vec<u8>,
        directory: &Path,
        kept: bool,
    ) -> Result<(Summary, String, bool), (Diagnostics, String)> {
        let text = String::from_utf8(bytes).map_err(|error| {
            let message = format!("{} is not UTF-8 text", shown.display());
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            (Diagnostic::new(message).help("save it as UTF-8").into(), text)
        })?;
        let source = SourceText { path: shown.to_owned(), text: text.as_str().into() };
        let asked = std::cell::Cell::new(false);
        let in_set = |path: &Path| {
            asked.set(true);
            let real = directory.join(path).canonicalize().ok();
            let below =
                real.as_deref().and_then(|real| real.strip_prefix(self.root).ok()?.to_str());
            below.is_some_and(|below| self.directories.contains(below))
        };
        let summary =
            Document::parse(source).and_then(|document| Summary::of(&document, kept, &in_set));
        match summary {
            Ok(summary) => Ok((summary, text, !asked.get())),
            Err(diagnostics) => Err((diagnostics, text)),
        }
    }

    /// A package that the set file describes.
    pub fn entry(
        &self,
        name: &str,
        entry: &Entry,
        obtained: &Result<PathBuf, Diagnostic>,
    ) -> Result<PackageVersion, Diagnostics> {
        let id: PackageName = name.parse().map_err(|error: larder_runs::Error| {
            Diagnostic::new(error.to_string()).at(&self.set.source, entry.span.clone())
        })?;
        let mut faults = Vec::new();
        let directory = obtained.clone().unwrap_or_else(|_| self.root.to_owned());
        let tree = obtained.clone().and_then(|directory| self.tree_hash(&directory));
        let (mut needs, mut recipe) = (BTreeMap::new(), Recipe::Manifest);
        let mut kept = None;
        match &entry.recipe {
            EntryRecipe::Commands { dependencies, build, test } => {
                needs.clone_from(dependencies);
                recipe = Recipe::Commands { build: build.clone(), test: test.clone() };
            }
            EntryRecipe::Manifest { .. } if obtained.is_err() => {}
            EntryRecipe::Manifest { overlay } => {
                match self.manifest(&directory, overlay.as_deref()) {
                    Err(wrong) => faults.extend(wrong.0),
                    Ok((summary, hash)) => {
                        if summary.id != id {
                            faults.push(self.other_name(entry, &id, &summary.id));
                        }
                        needs = summary.needs;
                        kept = overlay.as_ref().map(|overlay| (self.root.join(overlay), hash));
                    }
                }
            }
        }
        let compilers = entry.compilers.as_ref().map(|compilers| {
            compilers.iter().filter_map(|compiler| compiler.value.parse().ok()).collect()
        });
        let sources = match tree {
            Ok(tree) => Sources::new(directory, tree, kept),
            Err(wrong) => {
                faults.push(wrong);
                Sources::unreadable(directory)
            }
        };
        let docs = Docs { lines: entry.docs.clone(), system: self.system };
        let fault = (!faults.is_empty()).then_some(Fault { diagnostics: Diagnostics(faults) });
        Ok(PackageVersion {
            name: id.name().to_owned(),
            version: id.version().to_owned(),
            id,
            digest: source_digest(&sources, &recipe, &docs, needs.keys()),
            sources,
            recipe,
            docs,
            needs,
            compilers,
            limits: entry.limits.over(self.set.limits),
            fault,
        })
    }

    /// The hash of the sources in a directory, which is below the root or in a directory of packages.
    fn tree_hash(&self, directory: &Path) -> Result<ContentHash, Diagnostic> {
        let below = directory.strip_prefix(self.root).unwrap_or(directory);
        let Some(below) = below.to_str() else {
            let message = format!("the path {} is not UTF-8", directory.display());
            return Err(Diagnostic::new(message).help("rename it"));
        };
        tree_hash(self.root, below, self.index)
            .map_err(|error| Diagnostic::new(error.to_string()).failed())
    }

    /// What the manifest of a package from elsewhere says, and its hash.
    fn manifest(
        &self,
        directory: &Path,
        overlay: Option<&str>,
    ) -> Result<(Summary, ContentHash), Diagnostics> {
        let (file, shown): (PathBuf, PathBuf) = match overlay {
            Some(overlay) => {
                let beside = self.set.source.path.parent().unwrap_or(Path::new(""));
                (self.root.join(overlay), beside.join(overlay))
            }
            None => (directory.join(manifest::FILE_NAME), directory.join(manifest::FILE_NAME)),
        };
        let bytes = fs::read(&file).map_err(|error| {
            let reason = describe_io(&error);
            Diagnostic::new(format!("cannot read the manifest {}: {reason}", shown.display()))
        })?;
        let hash = ContentHash::of_bytes(&bytes);
        let parsed = self.parse(&shown, bytes, directory, overlay.is_some());
        parsed.map(|(summary, ..)| (summary, hash)).map_err(|(wrong, _)| wrong)
    }

    fn other_name(&self, entry: &Entry, id: &PackageName, said: &PackageName) -> Diagnostic {
        let file = self.set.source.path.display();
        Diagnostic::new(format!("{file} calls it {id}, and its manifest {said}"))
            .help("let both say the same name and version")
            .at(&self.set.source, entry.span.clone())
    }
}

/// The hash of all that the set decides about a package: its sources, and how it is built. Which versions its
/// requirements admit is no part of it: what is chosen is in the universe.
fn source_digest<'n>(
    sources: &Sources,
    recipe: &Recipe,
    docs: &Docs,
    needs: impl ExactSizeIterator<Item = &'n String>,
) -> HashName {
    let mut fields = Fields::of("source");
    fields.hash(&sources.hash);
    match recipe {
        Recipe::Manifest => _ = fields.text("manifest"),
        Recipe::Commands { build, test } => {
            fields.text("commands").texts(needs.map(String::as_str));
            for lines in [build, test] {
                fields.texts(lines.iter().map(String::as_str));
            }
            // The engine traces what a larder package reads of the machine; of commands, nobody knows.
            docs.trace(&mut fields);
        }
    }
    hashes::name(&fields.finish())
}
