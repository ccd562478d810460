//! A machine with a package and the package it depends on.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

/// How many steps a build of the package takes: two objects, a library, an executable.
pub const STEPS: u64 = 5;

pub struct Machine {
    dir: TempDir,
}

impl Machine {
    pub fn new() -> Self {
        let dir = TempDir::new().unwrap();
        // Others are to read what is in it.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let machine = Self { dir };
        machine.packages("work");
        machine
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The offline store, as most tests call it.
    pub fn offline(&self) -> PathBuf {
        self.path("offline")
    }

    /// Writes both packages below the directory `name`.
    pub fn packages(&self, name: &str) {
        let root = self.path(name);
        write(
            &root.join("greeting/larder.toml"),
            "[package]\nname = \"greeting\"\nversion = \"1\"\n\n\
             [[library]]\nname = \"greeting\"\nsources = [\"*.c\"]\nincludes = [\".\"]\n",
        );
        write(&root.join("greeting/greeting.h"), "const char *greeting(void);\n");
        write(
            &root.join("greeting/greeting.c"),
            "#include \"greeting.h\"\nconst char *greeting(void) { return \"hello\"; }\n",
        );
        write(
            &root.join("app/larder.toml"),
            "[package]\nname = \"app\"\nversion = \"1\"\n\n\
             [dependencies]\ngreeting = { path = \"../greeting\" }\n\n\
             [[executable]]\nname = \"app\"\nsources = [\"src/*.c\"]\n\
             libraries = [\"greeting/greeting\"]\n",
        );
        write(
            &root.join("app/src/main.c"),
            "#include <stdio.h>\n#include \"greeting.h\"\n#include \"who.h\"\n\
             int main(void) { printf(\"%s, %s\\n\", greeting(), who()); return 0; }\n",
        );
        write(&root.join("app/src/who.h"), "const char *who(void);\n");
        write(&root.join("app/src/who.c"), "const char *who(void) { return \"world\"; }\n");
    }

    pub fn configure(&self, service: &str) {
        let config = format!(
            "[cache]\ndefault-service = \"team\"\n[[cache.service]]\nname = \"team\"\n{service}\n"
        );
        fs::write(self.path("config.toml"), config).unwrap();
    }

    /// larder in the package below `name`, with no store but its own.
    pub fn larder_in(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("larder"));
        command.args(arguments);
        self.environment(&mut command, name);
        command
    }

    pub fn environment(&self, command: &mut Command, name: &str) {
        let path = std::env::var_os("PATH").unwrap();
        command
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.path(name))
            .env("LARDER_CACHE_DIR", self.path(name).join("store"))
            .env("LARDER_CONFIG", self.path("config.toml"))
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CEILING_DIRECTORIES", self.dir.path())
            .current_dir(self.path(name).join("app"))
            .stdin(Stdio::null());
    }

    pub fn larder(&self, arguments: &[&str]) -> Command {
        self.larder_in("work", arguments)
    }

    /// Bakes the offline store.
    pub fn bake(&self) -> Said {
        let offline = self.offline();
        run(self.larder(&["cache", "bake", offline.to_str().unwrap()])).succeeded()
    }

    /// A machine whose packages are new and whose store is empty, with the offline store behind it:
    /// what building them comes to. The executable is run.
    pub fn build_elsewhere(&self, name: &str, arguments: &[&str]) -> Built {
        self.packages(name);
        let mut command = self.larder_in(name, &["--json", "build"]);
        command.args(arguments).env("LARDER_OFFLINE_STORE", self.offline());
        self.built(name, command)
    }

    pub fn built(&self, name: &str, command: Command) -> Built {
        let said = run(command).succeeded();
        let program = self.path(name).join("app/.larder/build/app");
        let ran = Command::new(program).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&ran.stdout), "hello, world\n");
        Built::of(&said)
    }
}

/// How steps ended, and what was said beside.
#[derive(Debug)]
pub struct Built {
    pub built: u64,
    pub restored: u64,
    pub notes: Vec<String>,
}

impl Built {
    pub fn of(said: &Said) -> Self {
        let events = said.events();
        let count = |status: &str| {
            let ended = events.iter().filter(|event| event["event"] == "ended");
            ended.filter(|event| event["status"] == status).count() as u64
        };
        for event in &events {
            let bad = ["warning", "error"].iter().any(|level| event["level"] == *level);
            assert!(!bad && event["event"] != "error", "a miss is no more than a miss: {event}");
        }
        let notes = events.iter().filter(|event| event["event"] == "note");
        let notes = notes.map(|event| event["message"].as_str().unwrap().to_owned()).collect();
        Self { built: count("built"), restored: count("restored"), notes }
    }

    /// That everything came from a cache, and nothing was worth saying.
    pub fn all_restored(&self) {
        assert_eq!((self.built, self.notes.len()), (0, 0), "{self:?}");
        assert!(self.restored > 0, "{self:?}");
    }

    /// That everything was built, and that it was said once why.
    pub fn all_built_because(&self, words: &[&str]) {
        assert_eq!((self.built, self.restored), (STEPS, 0), "{self:?}");
        self.said_once(words);
    }

    pub fn said_once(&self, words: &[&str]) {
        let said = self.notes.iter().filter(|note| words.iter().all(|word| note.contains(word)));
        assert_eq!(said.count(), 1, "{words:?} in {:?}", self.notes);
        assert_eq!(self.notes.len(), 1, "{:?}", self.notes);
    }
}

/// Everything that a command said, and its exit code.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Said {
    pub fn succeeded(self) -> Self {
        self.failed(0)
    }

    pub fn failed(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.err);
        self
    }

    pub fn events(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub fn mentions(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.err.contains(word) || self.out.contains(word), "no {word:?} in {self:?}");
        }
        self
    }
}

pub fn run(mut command: Command) -> Said {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Said { code: status.code(), out: text(stdout), err: text(stderr) }
}

pub fn write(path: &Path, content: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Every file and directory below `directory`, with what its owner could have changed.
pub fn tree(directory: &Path) -> BTreeMap<PathBuf, (u32, i64, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(next) = directories.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            let content = if metadata.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
            if metadata.is_dir() {
                directories.push(path.clone());
            }
            let times = metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec();
            let name = path.strip_prefix(directory).unwrap().to_owned();
            found.insert(name, (metadata.mode(), times, content));
        }
    }
    found
}

/// Only names and contents.
pub fn contents(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    tree(directory).into_iter().map(|(name, (_, _, content))| (name, content)).collect()
}

/// Takes away or gives back every permission to write.
pub fn set_read_only(directory: &Path, read_only: bool) {
    let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
    for (name, (mode, ..)) in tree(directory) {
        let mode = if read_only { mode & !0o222 } else { mode | 0o200 };
        set(&directory.join(name), mode).unwrap();
    }
    set(directory, if read_only { 0o555 } else { 0o755 }).unwrap();
}
