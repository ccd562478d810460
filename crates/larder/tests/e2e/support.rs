//! A machine with a store of its own, and work trees of a small C package on it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use larder_store::{Store, verify};
use larder_trace::ContentHash;
use serde_json::Value;
use tempfile::TempDir;

use crate::common::{KEY, hash};

/// Objects and a static library that nobody asks for by default; an executable, a directory with an
/// executable and an empty file and directory in it, and two files of the same content that are.
const MANIFEST: &str = r#"
[package]
name = "demo"
version = "1.0.0"
default-targets = ["demo", "site"]

[toolchain]
cc = "gcc"

[[library]]
name = "util"
sources = ["src/util/*.c"]
includes = ["include"]

[[executable]]
name = "demo"
sources = ["src/main.c"]
libraries = ["util"]

[[command]]
name = "site"
inputs = ["doc/page.txt", "doc/site.sh"]
outputs = ["site/", "stamp", "twin.txt"]
run = ["sh", "doc/site.sh", "{outdir}"]
"#;

const SITE: &str = r#"set -e
mkdir -p "$1/site/sub" "$1/site/hollow"
cp doc/page.txt "$1/site/page.txt"
cp doc/page.txt "$1/twin.txt"
: > "$1/site/empty"
: > "$1/stamp"
printf '#!/bin/sh\necho run\n' > "$1/site/sub/run.sh"
chmod +x "$1/site/sub/run.sh"
"#;

/// The outputs that a default build of the package leaves, seen from the build directory.
pub const ASKED: [&str; 6] =
    ["demo", "site/empty", "site/page.txt", "site/sub/run.sh", "stamp", "twin.txt"];

/// The warning that one of its sources gives.
pub const WARNING: &str = "mind the gap";

/// A store and a configuration.
pub struct Machine {
    dir: TempDir,
}

/// Writes the package to `directory`.
fn write_package(directory: &Path) {
    let write = |path: &str, text: &str| {
        let path = directory.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("larder.toml", MANIFEST);
    write(".gitignore", ".larder/\n");
    write("doc/page.txt", "a page\n");
    write("doc/site.sh", SITE);
    write("include/util.h", "#define UNIT 1\nint a(void);\nint b(void);\nint c(void);\n");
    for name in ["a", "b", "c"] {
        let warning = if name == "b" { format!("#warning \"{WARNING}\"\n") } else { String::new() };
        let text = format!("#include \"util.h\"\n{warning}int {name}(void) {{ return UNIT; }}\n");
        write(&format!("src/util/{name}.c"), &text);
    }
    let main = "#include <stdio.h>\n#include \"util.h\"\n\
                int main(void) { printf(\"%d\\n\", a() + b() + c()); return 0; }\n";
    write("src/main.c", main);
}

impl Machine {
    pub fn new() -> Self {
        Self { dir: TempDir::new().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A new work tree of the package.
    pub fn tree(&self, name: &str) -> PathBuf {
        let tree = self.path(name);
        write_package(&tree);
        tree
    }

    /// Configures the bucket behind `address` as the service.
    pub fn uses(&self, address: SocketAddr) {
        let config = format!(
            "[cache]\ndefault-service = \"team\"\n[[cache.service]]\nname = \"team\"\n\
             url = \"s3://bucket/prefix\"\nendpoint = \"http://{address}\"\ntimeout-seconds = 1\n"
        );
        fs::write(self.path("config.toml"), config).unwrap();
    }

    /// `larder` in `tree`, with nothing of this process's own environment that could matter.
    pub fn command(&self, tree: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("larder"));
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("LARDER_CACHE_DIR", self.path("store"))
            .env("LARDER_CONFIG", self.path("config.toml"))
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CEILING_DIRECTORIES", self.dir.path())
            .current_dir(tree)
            .args(arguments)
            .stdin(Stdio::null());
        command
    }

    /// [`command`](Self::command) with the key of the service.
    pub fn with_key(&self, tree: &Path, arguments: &[&str]) -> Command {
        let mut command = self.command(tree, arguments);
        command.env("LARDER_CACHE_KEY", format!("{}:{}", KEY.0, KEY.1));
        command
    }

    /// Runs `larder cache …` with the key; it must end with `code`.
    pub fn cache(&self, tree: &Path, code: i32, arguments: &[&str]) -> Said {
        let said = Said::of(&mut self.with_key(tree, &[&["cache"], arguments].concat()));
        assert_eq!(said.code, Some(code), "{arguments:?}: {}{}", said.out, said.err);
        said
    }

    /// Builds; it must succeed and have nothing to complain of but the package's own warning.
    pub fn build(&self, tree: &Path, arguments: &[&str]) -> Built {
        self.build_with(tree, arguments, &[])
    }

    /// [`build`](Self::build) with more environment.
    pub fn build_with(&self, tree: &Path, arguments: &[&str], more: &[(&str, &Path)]) -> Built {
        let mut command = self.with_key(tree, &[&["--json", "build", "-j2"], arguments].concat());
        command.envs(more.iter().copied());
        let said = Said::of(&mut command);
        assert_eq!(said.code, Some(0), "{arguments:?}: {}{}", said.out, said.err);
        assert_eq!(said.err, "");
        let built = Built::of(&said);
        assert!(built.complaints.is_empty(), "{arguments:?}: {:?}", built.complaints);
        built
    }

    pub fn store(&self) -> Store {
        Store::open(self.path("store")).unwrap()
    }

    /// Checks every file of the store by its content.
    pub fn nothing_wrong_in_store(&self) {
        let report = verify::verify(&self.store()).unwrap();
        assert!(report.corrupt.is_empty(), "{:?}", report.corrupt);
    }

    pub fn git(&self, tree: &Path, arguments: &[&str]) -> String {
        let mut command = Command::new("git");
        command
            .arg("-C")
            .arg(tree)
            .args(["-c", "user.name=t", "-c", "user.email=t@example.org"])
            .args(["-c", "protocol.file.allow=always"])
            .args(arguments)
            .env("GIT_CONFIG_GLOBAL", "/dev/null");
        let said = Said::of(&mut command);
        assert_eq!(said.code, Some(0), "{arguments:?}: {}", said.err);
        said.out.trim().to_owned()
    }

    /// Commits all of `tree`; its revision.
    pub fn commit(&self, tree: &Path) -> String {
        self.git(tree, &["init", "-q"]);
        self.git(tree, &["add", "."]);
        self.git(tree, &["commit", "-q", "-m", "all"]);
        self.git(tree, &["rev-parse", "HEAD"])
    }
}

/// Everything that a program printed, and its exit code.
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Said {
    pub fn of(command: &mut Command) -> Self {
        let Output { status, stdout, stderr } = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let (out, err) = (text(stdout), text(stderr));
        assert!(!out.contains(KEY.1) && !err.contains(KEY.1), "the key shows: {out}{err}");
        Self { code: status.code(), out, err }
    }
}

/// The events of a build.
#[derive(Debug, Default)]
pub struct Built {
    /// How each step ended, by its first output.
    pub steps: BTreeMap<String, String>,
    /// The output of the steps' commands, replayed or not.
    pub log: String,
    complaints: Vec<String>,
    /// Everything that it printed, for people who look into a failure.
    pub all: String,
}

impl Built {
    fn of(said: &Said) -> Self {
        let mut built = Self { all: said.out.clone(), ..Self::default() };
        for line in said.out.lines() {
            let event: Value = serde_json::from_str(line).unwrap();
            let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
            match event["event"].as_str() {
                Some("ended") => {
                    built.steps.insert(text("output"), text("status"));
                    for entry in event["log"].as_array().unwrap() {
                        built.log.push_str(entry["message"].as_str().unwrap());
                    }
                }
                Some("error") => built.complaints.push(line.to_owned()),
                Some("note") if matches!(&*text("level"), "warning" | "error") => {
                    built.complaints.push(line.to_owned());
                }
                _ => {}
            }
        }
        built
    }

    /// Whether every step ended like this.
    #[track_caller]
    pub fn all(&self, status: &str) {
        assert!(self.steps.values().all(|ended| ended == status), "{}", self.all);
        assert!(!self.steps.is_empty());
    }

    /// The outputs of steps that ended like this.
    pub fn ended(&self, status: &str) -> BTreeSet<&str> {
        let steps = self.steps.iter().filter(|(_, ended)| *ended == status);
        steps.map(|(output, _)| output.as_str()).collect()
    }
}

/// The outputs in a build directory: the hash of each, and whether it is executable. Empty directories
/// end in `/`.
pub type Outputs = BTreeMap<String, (ContentHash, bool)>;

pub fn build_directory(tree: &Path) -> PathBuf {
    tree.join(".larder/build")
}

/// Everything in the build directory of `tree` that is an output.
pub fn outputs(tree: &Path) -> Outputs {
    fn visit(root: &Path, directory: &Path, found: &mut Outputs) {
        let mut entries = 0;
        for entry in fs::read_dir(directory).into_iter().flatten() {
            entries += 1;
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                visit(root, &path, found);
            } else if !name.ends_with(".trace") && !name.ends_with(".hash") {
                let executable = path.metadata().unwrap().permissions().mode() & 0o111 != 0;
                found.insert(name, (hash(&fs::read(&path).unwrap()), executable));
            }
        }
        if entries == 0 && directory != root {
            let name = directory.strip_prefix(root).unwrap().to_str().unwrap();
            found.insert(format!("{name}/"), (hash(b""), false));
        }
    }
    let (root, mut found) = (build_directory(tree), Outputs::new());
    visit(&root, &root, &mut found);
    found
}

/// Those outputs that a default build was asked for.
pub fn asked(tree: &Path) -> Outputs {
    let mut found = outputs(tree);
    found.retain(|name, _| !name.ends_with(".o") && !name.ends_with(".a"));
    found
}

/// Deletes the build directory, and with `index` all else that larder knows of the tree.
pub fn forget(tree: &Path, index: bool) {
    let directory = if index { tree.join(".larder") } else { build_directory(tree) };
    _ = fs::remove_dir_all(directory);
}

/// Every regular file below `directory`.
pub fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let path = entry.unwrap().path();
        match path.symlink_metadata().unwrap().is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found.sort();
    found
}

/// Replaces a file by one with this content, whoever else has a name for the old one.
pub fn replace(path: &Path, content: &[u8]) {
    fs::remove_file(path).unwrap();
    fs::write(path, content).unwrap();
}

/// A small file system mounted for as long as this lives.
pub struct Mount(PathBuf);

impl Mount {
    /// `None`, with a word on standard error, where mounting is not permitted.
    pub fn tmpfs(directory: &Path, options: &str) -> Option<Self> {
        fs::create_dir_all(directory).unwrap();
        let mount = ["-t", "tmpfs", "-o", options, "tmpfs"];
        let status =
            Command::new("mount").args(mount).arg(directory).stderr(Stdio::null()).status();
        if !status.is_ok_and(|status| status.success()) {
            eprintln!("skipped: mounting is not permitted here");
            return None;
        }
        Some(Self(directory.to_owned()))
    }

    pub fn make_read_only(&self) {
        let status = Command::new("mount").args(["-o", "remount,ro"]).arg(&self.0).status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        _ = Command::new("umount").arg(&self.0).status();
    }
}
