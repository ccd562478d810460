//! A package on disk, and larder run on it.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Child, Command},
    time::SystemTime,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    events::Built,
    files::{self, copy_tree, modified, remove_tree, walk},
    processes::spawn,
    run::{Run, larder, run},
};

/// The beginning of most manifests. Without the store, what is out of date is built, never restored.
pub const PACKAGE: &str = "[package]\nname = \"p\"\nartifact-cache = false\n";

/// The beginning of manifests of packages that use the store.
pub const CACHED: &str = "[package]\nname = \"p\"\n";

/// A package in a temporary directory, which is removed with it.
pub struct Project {
    temporary: TempDir,
    /// The package's directory.
    pub root: PathBuf,
    /// The store.
    pub cache: PathBuf,
}

impl Project {
    /// A package with [`PACKAGE`] and `manifest`.
    pub fn new(manifest: &str) -> Self {
        Self::with_manifest(&format!("{PACKAGE}{manifest}"))
    }

    /// A package with this manifest and nothing else.
    pub fn with_manifest(manifest: &str) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let root = temporary.path().canonicalize().unwrap().join("p");
        fs::create_dir(&root).unwrap();
        let cache = temporary.path().join("cache");
        let project = Self { temporary, root, cache };
        project.file("larder.toml", manifest);
        project
    }

    /// A directory with these files, each with its text, and no manifest.
    pub fn bare(files: &[(&str, &str)]) -> Self {
        let project = Self::with_manifest("");
        project.remove("larder.toml");
        for (path, text) in files {
            project.file(path, text);
        }
        project
    }

    /// A package with [`CACHED`] and `manifest`: what was built once is restored.
    pub fn cached(manifest: &str) -> Self {
        Self::with_manifest(&format!("{CACHED}{manifest}"))
    }

    /// A second checkout of the package as it is now, elsewhere, with nothing built and the same store.
    pub fn checkout(&self) -> Self {
        let copy = Self { cache: self.cache.clone(), ..Self::new("") };
        fs::remove_dir_all(&copy.root).unwrap();
        copy_tree(&self.root, &copy.root);
        copy.forget();
        copy
    }

    /// The same on a machine with a store of its own.
    pub fn elsewhere(&self) -> Self {
        let copy = self.checkout();
        Self { cache: copy.temporary.path().join("cache"), ..copy }
    }

    /// Removes everything that was built, and what larder knows of it.
    pub fn forget(&self) {
        remove_tree(&self.path(".larder"));
    }

    /// Replaces a text that stands in a file.
    #[track_caller]
    pub fn replace(&self, path: &str, from: &str, to: &str) {
        let text = self.read(path);
        assert!(text.contains(from), "`{from}` is not in {path}");
        self.file(path, text.replace(from, to));
    }

    /// A path in the package.
    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// Writes a file; directories are made.
    pub fn file(&self, path: &str, content: impl AsRef<[u8]>) -> &Self {
        files::write(&self.path(path), content);
        self
    }

    /// Writes an executable script for `sh`.
    pub fn script(&self, path: &str, content: &str) -> &Self {
        files::script(&self.path(path), content);
        self
    }

    /// The text of a file.
    pub fn read(&self, path: &str) -> String {
        String::from_utf8(fs::read(self.path(path)).unwrap()).unwrap()
    }

    /// The record in a trace file, without how long the work took.
    pub fn record(&self, path: &str) -> Value {
        let mut record: Value = serde_json::from_str(&self.read(path)).unwrap();
        record.as_object_mut().unwrap().remove("milliseconds");
        record
    }

    /// Removes a file.
    pub fn remove(&self, path: &str) {
        fs::remove_file(self.path(path)).unwrap();
    }

    /// An output of the build directory.
    pub fn output(&self, path: &str) -> PathBuf {
        self.path(".larder/build").join(path)
    }

    /// larder in the package, not run yet.
    pub fn command(&self, arguments: &[&str]) -> Command {
        larder(&self.root, &self.cache, arguments)
    }

    /// Runs larder in the package to its end.
    pub fn larder(&self, arguments: &[&str]) -> Run {
        run(self.command(arguments))
    }

    /// Starts larder in the package; what it prints is kept for whoever waits for it.
    pub fn start(&self, arguments: &[&str]) -> Child {
        spawn(self.command(arguments))
    }

    /// Builds the package's defaults, which has to succeed, and tells what became of each output.
    pub fn build(&self) -> Built {
        self.build_with(&[])
    }

    /// The same with arguments.
    pub fn build_with(&self, arguments: &[&str]) -> Built {
        Built::of(&self.larder(&[&["build", "--json"], arguments].concat()).ok())
    }

    /// The bytes of every output, without larder's own files. A file that cannot be executed is
    /// told from one that can.
    pub fn outputs(&self) -> BTreeMap<String, Vec<u8>> {
        let mut found = BTreeMap::new();
        walk(&self.path(".larder/build"), &mut |path, file| {
            if !path.ends_with(".trace") && !path.ends_with(".hash") {
                let executable = file.metadata().unwrap().permissions().mode() & 0o111 != 0;
                let mark = if executable { "*" } else { "" };
                found.insert(format!("{path}{mark}"), fs::read(file).unwrap());
            }
        });
        found
    }

    /// The dep hash of every finished trace file, by path.
    pub fn dep_hashes(&self) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        walk(&self.path(".larder/build"), &mut |path, file| {
            let trace = || serde_json::from_slice::<Value>(&fs::read(file).unwrap()).ok();
            if path.ends_with(".trace")
                && let Some(hash) = trace().and_then(|t| Some(t["depHash"].as_str()?.to_owned()))
            {
                found.insert(path.to_owned(), hash);
            }
        });
        found
    }

    /// Everything below `.larder`, by path: content and modification time.
    pub fn state(&self) -> BTreeMap<String, (Vec<u8>, SystemTime)> {
        let mut found = BTreeMap::new();
        walk(&self.path(".larder"), &mut |path, file| {
            found.insert(path.to_owned(), (fs::read(file).unwrap(), modified(file)));
        });
        found
    }

    /// `text` with the package's directory named `[DIR]`, and without counts such as `[1/2] `, which
    /// depend on how far the build had been planned.
    pub fn redact(&self, text: &str) -> String {
        let count = |text: &str| text.chars().all(|c| c.is_ascii_digit() || c == '/');
        let plain = |line| match str::strip_prefix(line, "[").and_then(|rest| rest.split_once("] "))
        {
            Some((inside, rest)) if count(inside) => rest,
            _ => line,
        };
        let text: Vec<&str> = text.split('\n').map(plain).collect();
        text.join("\n")
            .replace(self.root.to_str().unwrap(), "[DIR]")
            .replace(self.root.parent().unwrap().to_str().unwrap(), "[TMP]")
    }
}
