//! Packages on disk, and larder run on them.

#![allow(dead_code, reason = "not every test uses everything")]

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

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
        match fs::remove_dir_all(self.path(".larder")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed.unwrap(),
        }
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
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    /// Writes an executable script.
    pub fn script(&self, path: &str, content: &str) -> &Self {
        self.file(path, format!("#!/bin/sh\n{content}"));
        fs::set_permissions(self.path(path), fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    pub fn read(&self, path: &str) -> String {
        String::from_utf8(fs::read(self.path(path)).unwrap()).unwrap()
    }

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
        walk(&self.path(".larder/build"), "", &mut |path, file| {
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
        walk(&self.path(".larder/build"), "", &mut |path, file| {
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
    pub fn state(&self) -> BTreeMap<String, (Vec<u8>, std::time::SystemTime)> {
        let mut found = BTreeMap::new();
        walk(&self.path(".larder"), "", &mut |path, file| {
            let modified = file.metadata().unwrap().modified().unwrap();
            found.insert(path.to_owned(), (fs::read(file).unwrap(), modified));
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

/// larder in `directory`, with a store of its own and nothing of the caller's environment that could
/// change what it does.
pub fn larder(directory: &Path, cache: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
    command.args(arguments).current_dir(directory).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("LARDER_") || text.starts_with("LEAN_") || text == "NO_COLOR" {
            command.env_remove(name);
        }
    }
    command.env("LARDER_CACHE_DIR", cache);
    command
}

/// `inner` run by another program, which comes with its arguments and takes a command after them.
pub fn under(program: &[&str], inner: &Command) -> Command {
    let mut outer = Command::new(program[0]);
    outer.args(&program[1..]).arg(inner.get_program()).args(inner.get_args()).stdin(Stdio::null());
    outer.current_dir(inner.get_current_dir().unwrap());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    outer
}

/// Runs a command to its end; one that takes a minute hangs.
pub fn run(mut command: Command) -> Run {
    let started = Instant::now();
    let output = command.output().unwrap();
    assert!(started.elapsed() < Duration::from_secs(120), "{command:?} took too long");
    Run {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// How a run of larder ended and what it printed.
#[derive(Debug)]
pub struct Run {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    #[track_caller]
    pub fn ends_with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        for panicked in ["panicked at", "RUST_BACKTRACE"] {
            assert!(!self.stderr.contains(panicked), "{}", self.stderr);
        }
        self
    }

    #[track_caller]
    pub fn ok(self) -> Self {
        self.ends_with(0)
    }

    /// It must have said this on standard error.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "`{text}` is not in:\n{}", self.stderr);
        self
    }

    /// The events of `--json`.
    #[track_caller]
    pub fn events(&self) -> Vec<Value> {
        self.stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .collect()
    }
}

/// Each output, and how its step ended.
#[derive(Debug)]
pub struct Built {
    pub by_status: BTreeMap<String, Vec<String>>,
}

impl Built {
    #[track_caller]
    pub fn of(run: &Run) -> Self {
        let mut by_status: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for event in run.events().iter().filter(|event| event["event"] == "ended") {
            let status = event["status"].as_str().unwrap().to_owned();
            by_status.entry(status).or_default().push(event["output"].as_str().unwrap().to_owned());
        }
        by_status.values_mut().for_each(|outputs| outputs.sort());
        Self { by_status }
    }

    /// The outputs with this status, sorted.
    pub fn with(&self, status: &str) -> Vec<&str> {
        self.by_status.get(status).into_iter().flatten().map(String::as_str).collect()
    }

    /// Returns the outputs that were built, sorted.
    pub fn built(&self) -> Vec<&str> {
        self.with("built")
    }
}

/// Calls `visit` with every file below `directory`.
pub fn walk(directory: &Path, below: &str, visit: &mut dyn FnMut(&str, &Path)) {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        entries => entries.unwrap(),
    };
    for entry in entries {
        let entry = entry.unwrap();
        let path = format!("{below}{}", entry.file_name().to_string_lossy());
        if entry.file_type().unwrap().is_dir() {
            walk(&entry.path(), &format!("{path}/"), visit);
        } else {
            visit(&path, &entry.path());
        }
    }
}

/// Waits until `holds`, which it has to within half a minute.
#[track_caller]
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Copies a directory with what it holds, links as links, times kept by `cp -a`.
pub fn copy_tree(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(status.success());
}
