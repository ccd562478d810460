//! A package set in a temporary directory.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use larder_runs::{DataDir, history, result::Entry};
use tempfile::TempDir;

use crate::{
    files,
    git::{Repository, git},
    run::{Run, larder, run},
};

/// A set whose packages are built with the system's compiler.
pub struct Set {
    temporary: TempDir,
    /// The set's directory.
    pub root: PathBuf,
    /// Its run data.
    pub data: DataDir,
}

/// The compilers of most sets.
const COMPILERS: &str = "[compiler.\"cc.1\"]\ncc = \"cc\"\ncxx = \"c++\"\n\n";

impl Set {
    /// A set of packages that are described in the set file, one after the other.
    pub fn new(packages: &[Package]) -> Self {
        let set = Self::with_file("");
        set.write(packages);
        set
    }

    /// A set with this file after the compilers.
    pub fn with_file(text: &str) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let root = temporary.path().canonicalize().unwrap().join("set");
        fs::create_dir(&root).unwrap();
        let data = DataDir::new(root.join(".larder/data"));
        let set = Self { temporary, root, data };
        set.file("larder-set.toml", &format!("{COMPILERS}{text}"));
        set
    }

    /// Writes the set file, with these packages and no others.
    pub fn write(&self, packages: &[Package]) {
        let mut text = COMPILERS.to_owned();
        for package in packages {
            text += &package.text();
            let source = format!("sources/{}", package.name);
            if !self.root.join(&source).exists() {
                self.file(&format!("{source}/README"), package.name);
            }
        }
        self.file("larder-set.toml", &text);
    }

    /// Writes more of the set file, after its packages.
    pub fn append(&self, text: &str) {
        let path = self.root.join("larder-set.toml");
        let before = fs::read_to_string(&path).unwrap();
        fs::write(path, before + text).unwrap();
    }

    /// Writes a file of the set.
    pub fn file(&self, path: &str, text: &str) {
        files::write(&self.root.join(path), text);
    }

    /// Commits all of the set, with what larder keeps left out; returns the commit.
    pub fn commit(&self) -> String {
        if !self.root.join(".git").exists() {
            git(&self.root, &["init", "--quiet", "--initial-branch=main"]);
            self.file(".gitignore", ".larder\n");
        }
        Repository { path: self.root.clone(), name: String::new() }.commit_all()
    }

    /// larder in the set's directory, not run yet.
    pub fn command(&self, arguments: &[&str]) -> Command {
        larder(&self.root, &self.temporary.path().join("cache"), arguments)
    }

    /// Runs larder in the set's directory to its end.
    pub fn larder(&self, arguments: &[&str]) -> Run {
        run(self.command(arguments))
    }

    /// The last result of each stage of a package.
    pub fn latest(&self, package: &str) -> Vec<Entry> {
        history::read_latest(&self.data.packages(), &package.parse().unwrap()).unwrap()
    }

    /// The id of the newest run.
    pub fn last_run(&self) -> String {
        let ids = larder_runs::run_log::run_ids(&self.data.runs()).unwrap();
        ids.last().expect("there is a run").to_string()
    }

    /// The last result of a package, as `category origin`.
    pub fn last(&self, package: &str) -> String {
        let entries = history::read(&self.data.packages(), &package.parse().unwrap()).unwrap();
        let last = entries.entries.last().unwrap_or_else(|| panic!("{package} has no result"));
        format!("{} {}", last.result.category, last.result.origin.name())
    }

    /// How often the build lines of each package ran: they note it when they do.
    pub fn tried(&self) -> BTreeMap<String, usize> {
        let mut tried = BTreeMap::new();
        for line in fs::read_to_string(self.noted()).unwrap_or_default().lines() {
            *tried.entry(line.to_owned()).or_default() += 1;
        }
        tried
    }

    /// The file in which build lines note that they ran.
    pub fn noted(&self) -> PathBuf {
        self.temporary.path().join("noted")
    }

    /// A place outside of the set, which commands reach that are not confined.
    pub fn outside(&self) -> &Path {
        self.temporary.path()
    }

    /// The names of the layers that are there.
    pub fn layers(&self) -> Vec<String> {
        let Ok(found) = fs::read_dir(self.data.layers()) else { return Vec::new() };
        let names = found.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
        names.sort();
        names
    }
}

/// A package of the set file, built by lines for a shell.
#[derive(Clone)]
pub struct Package {
    name: &'static str,
    needs: Vec<(&'static str, &'static str)>,
    build: Vec<String>,
    test: Vec<String>,
    docs: Vec<String>,
}

impl Package {
    /// A package that installs a file with its name.
    pub fn new(name: &'static str) -> Self {
        let build = vec![
            "mkdir -p {prefix}/share".to_owned(),
            format!("echo {name} > {{prefix}}/share/it"),
        ];
        Self { name, needs: Vec::new(), build, test: Vec::new(), docs: Vec::new() }
    }

    /// The same with a need.
    pub fn needs(mut self, name: &'static str, requirement: &'static str) -> Self {
        self.build.push(format!("cat {{prefix:{name}}}/share/it"));
        self.needs.push((name, requirement));
        self
    }

    /// The same with another line.
    pub fn line(mut self, line: impl Into<String>) -> Self {
        self.build.push(line.into());
        self
    }

    /// The same with a line of a test.
    pub fn test(mut self, line: impl Into<String>) -> Self {
        self.test.push(line.into());
        self
    }

    /// The same with a line of documentation.
    pub fn docs(mut self, line: impl Into<String>) -> Self {
        self.docs.push(line.into());
        self
    }

    fn text(&self) -> String {
        let Self { name, needs, build, test, docs } = self;
        let needs: Vec<String> =
            needs.iter().map(|(name, requirement)| format!("{name} = {requirement:?}")).collect();
        let lines = |key: &str, lines: &[String]| match lines.is_empty() {
            true => String::new(),
            false => format!("{key} = {lines:?}\n"),
        };
        let after = lines("test", test) + &lines("docs", docs);
        format!(
            "[package.{name:?}]\nsource = {{ path = \"sources/{name}\" }}\n\
             dependencies = {{ {} }}\nbuild = {build:?}\n{after}\n",
            needs.join(", ")
        )
    }
}
