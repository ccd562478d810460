//! Git repositories and packages made for a test.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::files::write_all;

/// Runs `git` in `directory` with no configuration but its own, and returns what it printed.
pub fn git(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .current_dir(directory)
        .args(arguments)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .envs([("GIT_AUTHOR_NAME", "A"), ("GIT_AUTHOR_EMAIL", "a@example.org")])
        .envs([("GIT_COMMITTER_NAME", "A"), ("GIT_COMMITTER_EMAIL", "a@example.org")])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "git {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A repository with a package in it: one library of one source.
#[derive(Debug)]
pub struct Repository {
    /// Its work tree.
    pub path: PathBuf,
    /// The package, its library and the library's function.
    pub name: String,
}

impl Repository {
    /// Makes `directory/NAME`, whose manifest ends in `more`.
    pub fn new(directory: &Path, name: &str, more: &str) -> Self {
        let path = directory.join(name);
        fs::create_dir_all(&path).unwrap();
        git(&path, &["init", "--quiet", "--initial-branch=main"]);
        let repository = Self { path, name: name.to_owned() };
        repository.manifest(more);
        repository.commit(1);
        repository
    }

    /// Writes the manifest, with `more` at its end.
    pub fn manifest(&self, more: &str) {
        let name = &self.name;
        let text = format!(
            "[package]\nname = \"{name}\"\n[[library]]\nname = \"{name}\"\nsources = [\"{name}.c\"]\nincludes = [\".\"]\n{more}\n"
        );
        write_all(&self.path, &[("larder.toml", &text)]);
    }

    /// Commits a source that returns `value`; returns the commit.
    pub fn commit(&self, value: u32) -> String {
        let name = &self.name;
        let source = format!("int {name}(void) {{ return {value}; }}\n");
        let header = format!("int {name}(void);\n");
        write_all(&self.path, &[(&format!("{name}.c"), &source), (&format!("{name}.h"), &header)]);
        self.commit_all()
    }

    /// Commits whatever is there; returns the commit.
    pub fn commit_all(&self) -> String {
        git(&self.path, &["add", "--all"]);
        git(&self.path, &["commit", "--quiet", "--allow-empty", "--message=change"]);
        self.head()
    }

    /// The newest commit.
    pub fn head(&self) -> String {
        git(&self.path, &["rev-parse", "HEAD"])
    }

    /// Its path as a `file://` URL.
    pub fn url(&self) -> String {
        format!("file://{}", self.path.display())
    }
}

/// A package that prints the sum of what its dependencies' functions return.
pub fn app(directory: &Path, dependencies: &[(&str, &str)]) -> PathBuf {
    let path = directory.to_owned();
    let list = |text: fn(&str) -> String| -> String {
        dependencies.iter().map(|(name, _)| text(name)).collect()
    };
    let table: String =
        dependencies.iter().map(|(name, value)| format!("{name} = {value}\n")).collect();
    let libraries = list(|name| format!("\"{name}/{name}\", "));
    let manifest = format!(
        "[package]\nname = \"app\"\n[dependencies]\n{table}\n[[executable]]\nname = \"app\"\n\
         sources = [\"main.c\"]\nlibraries = [{libraries}]\n"
    );
    let main = format!(
        "#include <stdio.h>\n{}int main(void) {{ printf(\"%d\\n\", 0{}); return 0; }}\n",
        list(|name| format!("#include <{name}.h>\n")),
        list(|name| format!(" + {name}()")),
    );
    write_all(&path, &[("larder.toml", &manifest), ("main.c", &main)]);
    path
}
