//! What a larder package's manifest says that counts in a set.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use larder_project::{
    diagnostic::{Diagnostic, Diagnostics},
    glob::is_inside,
    manifest::{ArchiveSource, Dependency, DependencySource, Document},
    version::Requirement,
};
use larder_runs::name::PackageName;
use larder_trace::ContentHash;
use serde::{Deserialize, Serialize};

use crate::kept;

/// The version of the file's form, and of what is read from manifests.
const FORMAT: u32 = 1;

/// A package as its manifest names it, with what it needs of the set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Summary {
    pub id: PackageName,
    pub needs: BTreeMap<String, Requirement>,
}

impl Summary {
    /// Takes what counts in a set from a manifest, which lies in the package or is `kept` in the set for it. `in_set`
    /// says whether a dependency by path, which leads there from the package's directory, is a package of the set.
    ///
    /// # Errors
    /// Everything that keeps the package out of a set.
    pub fn of(
        document: &Document,
        kept: bool,
        in_set: &dyn Fn(&Path) -> bool,
    ) -> Result<Self, Diagnostics> {
        let mut wrong = Vec::new();
        let mut needs = BTreeMap::new();
        for (name, dependency) in &document.dependencies {
            wrong.extend(dependency.manifest.as_ref().filter(|_| kept).map(|path| {
                // It would be a file of no package, and in no package's digest.
                let message = format!("a manifest that the set keeps names another, `{}`", **path);
                Diagnostic::new(message)
                    .help(format!("make `{name}` a package of the set, and say its version here"))
                    .at(&document.source, path.span.clone())
            }));
            let (path, is_archive) = match &dependency.from {
                DependencySource::Version(required) => {
                    needs.insert(name.clone(), required.clone());
                    continue;
                }
                DependencySource::Path(path) => (path, false),
                DependencySource::Archive { from: ArchiveSource::Path(path), .. } => (path, true),
                _ => continue,
            };
            let in_set = !is_archive && in_set(Path::new(path));
            wrong.extend(wrong_path(document, name, dependency, path, in_set));
        }
        let (name, version) = (&document.package.name, &document.package.version);
        let at_name = |wrong: Diagnostic| wrong.at(&document.source, name.span.clone());
        let id = format!("{}.{version}", name.value).parse::<PackageName>();
        let id = match id {
            _ if version.is_empty() => {
                let message =
                    format!("`{}` has no version, and every package of a set has one", name.value);
                Err(at_name(Diagnostic::new(message).help("add version = \"1.0\" to [package]")))
            }
            Ok(id) if id.name() == name.value => Ok(id),
            Ok(_) => {
                let message = format!(
                    "`{}` has a dot, and no package of a set has one in its name",
                    name.value
                );
                Err(at_name(Diagnostic::new(message).help("write `-` or `_` instead")))
            }
            Err(error) => Err(at_name(Diagnostic::new(error.to_string()))),
        };
        match id {
            Ok(id) if wrong.is_empty() => Ok(Self { id, needs }),
            id => {
                wrong.extend(id.err());
                Err(Diagnostics(wrong))
            }
        }
    }
}

/// What is wrong with a dependency by path: a package of a set is built from a copy of its directory, with packages
/// of the set that were chosen for it.
fn wrong_path(
    document: &Document,
    name: &str,
    dependency: &Dependency,
    path: &str,
    in_set: bool,
) -> Option<Diagnostic> {
    let (message, help) = match (in_set, is_inside(path)) {
        (true, _) => {
            let message = format!("the dependency `{name}` at {path} is a package of the set");
            (message, format!("say which versions will do: {name} = \"1.2\", or \"*\""))
        }
        (false, false) => {
            let message = format!("the dependency `{name}` at {path} is outside the package");
            let help = "a package of a set is built from its own directory: make the dependency a package of the \
                        set, and say its version here";
            (message, help.to_owned())
        }
        (false, true) => return None,
    };
    Some(Diagnostic::new(message).help(help).at(&document.source, dependency.span.clone()))
}

/// Returns the name of a package whose manifest cannot be read: what it seems to say, else what its directory is
/// called, with `unknown` as the version.
pub(super) fn guess(text: &str, directory: &Path) -> Option<PackageName> {
    let value = |key: &str| {
        let lines = text.lines().map(str::trim);
        let of_package = lines.skip_while(|line| *line != "[package]").skip(1);
        let mut lines = of_package.take_while(|line| !line.starts_with('['));
        lines.find_map(|line| {
            let rest = line.strip_prefix(key)?.trim_start().strip_prefix('=')?;
            rest.trim_start().strip_prefix('"')?.split('"').next()
        })
    };
    let said = value("name").zip(value("version"));
    let said = said.and_then(|(name, version)| format!("{name}.{version}").parse().ok());
    let directory = directory.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let called = || directory.parse().or_else(|_| format!("{directory}.unknown").parse()).ok();
    said.or_else(called)
}

/// What manifests say, by their content: so that one is read only where it is new. Those that do not fit into a set are
/// not kept.
#[derive(Debug, Default)]
pub(super) struct Known {
    known: HashMap<ContentHash, Summary>,
    found: Mutex<Found>,
}

/// What this run found out about manifests.
#[derive(Debug, Default)]
struct Found {
    /// Those of the known that were of use.
    used: BTreeSet<ContentHash>,
    new: BTreeMap<ContentHash, Summary>,
}

#[derive(Serialize, Deserialize)]
struct File {
    format: u32,
    manifests: Vec<(ContentHash, PackageName, BTreeMap<String, String>)>,
}

impl Known {
    /// Reads what is kept at `path`.
    pub fn read(path: &Path) -> Self {
        let file = kept::read::<File>(path).filter(|file| file.format == FORMAT);
        let manifests = file.map(|file| file.manifests).unwrap_or_default();
        let summary = |(hash, id, needs): (ContentHash, PackageName, BTreeMap<String, String>)| {
            let parsed = |(name, required): (String, String)| Some((name, required.parse().ok()?));
            let needs = needs.into_iter().map(parsed).collect::<Option<_>>()?;
            Some((hash, Summary { id, needs }))
        };
        Self { known: manifests.into_iter().filter_map(summary).collect(), found: Mutex::default() }
    }

    /// What the manifest with this content says.
    pub fn get(&self, hash: &ContentHash) -> Option<Summary> {
        let summary = self.known.get(hash)?;
        self.found().used.insert(*hash);
        Some(summary.clone())
    }

    /// Takes note of what a manifest says.
    pub fn learn(&self, hash: ContentHash, summary: &Summary) {
        self.found().new.insert(hash, summary.clone());
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        // Every insertion is complete before the lock is released.
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what was of use in this run at `path`, where that is not what was read.
    pub fn write(&self, path: &Path) {
        let found = self.found();
        if found.new.is_empty() && found.used.len() == self.known.len() {
            return;
        }
        let old = found.used.iter().map(|hash| (hash, &self.known[hash]));
        let manifests = old.chain(&found.new).map(|(hash, summary)| {
            let needs = summary.needs.iter();
            let needs = needs.map(|(name, required)| (name.clone(), required.to_string()));
            (*hash, summary.id.clone(), needs.collect())
        });
        kept::write(path, &File { format: FORMAT, manifests: manifests.collect() });
    }
}
