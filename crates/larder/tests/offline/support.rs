//! A machine with a package and the package it depends on.

use std::{path::PathBuf, process::Command};

pub use larder_testkit::{
    events::Built,
    files::{contents, set_read_only, tree, write},
    run::{Run, run},
};
use larder_testkit::{machine, run::larder};

/// How many steps a build of the package takes: two objects, a library, an executable.
pub const STEPS: usize = 5;

/// A machine with work trees of the package.
pub struct Machine(machine::Machine);

impl Machine {
    /// One with the package in `work`.
    pub fn new() -> Self {
        let machine = Self(machine::Machine::new());
        machine.packages("work");
        machine
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path(name)
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
        self.0.configure(service);
    }

    /// larder in the package below `name`, with no store but its own.
    pub fn larder_in(&self, name: &str, arguments: &[&str]) -> Command {
        let root = self.path(name);
        let mut command = larder(&root.join("app"), &root.join("store"), arguments);
        command.env("HOME", &root).env("LARDER_CONFIG", self.path("config.toml"));
        command.env("GIT_CEILING_DIRECTORIES", self.path(""));
        command
    }

    pub fn larder(&self, arguments: &[&str]) -> Command {
        self.larder_in("work", arguments)
    }

    /// Bakes the offline store.
    pub fn bake(&self) -> Run {
        run(self.larder(&["cache", "bake", self.offline().to_str().unwrap()])).ok()
    }

    /// A machine whose packages are new and whose store is empty, with the offline store behind it:
    /// what building them comes to. The executable is run.
    pub fn build_elsewhere(&self, name: &str, arguments: &[&str]) -> Built {
        self.packages(name);
        let mut command = self.larder_in(name, &["--json", "build"]);
        command.args(arguments).env("LARDER_OFFLINE_STORE", self.offline());
        self.built(name, command)
    }

    /// Runs a command that builds the package below `name`, which must succeed, and tells how each output
    /// ended. A miss is no more than a miss.
    pub fn built(&self, name: &str, command: Command) -> Built {
        let said = run(command).ok();
        let program = self.path(name).join("app/.larder/build/app");
        let ran = Command::new(program).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&ran.stdout), "hello, world\n");
        let built = Built::of(&said);
        assert!(built.complaints.is_empty(), "{:?}", built.complaints);
        built
    }
}

/// The ends that a build with an offline store may have.
pub trait Expect {
    /// Everything came from a cache, and nothing was worth saying.
    fn all_restored(&self);

    /// Everything was built, and it was said once why.
    fn all_built_because(&self, words: &[&str]);

    /// These words were said, and nothing else.
    fn said_once(&self, words: &[&str]);
}

impl Expect for Built {
    #[track_caller]
    fn all_restored(&self) {
        assert_eq!((self.built().len(), self.notes.len()), (0, 0), "{self:?}");
        assert!(!self.with("restored").is_empty(), "{self:?}");
    }

    #[track_caller]
    fn all_built_because(&self, words: &[&str]) {
        assert_eq!((self.built().len(), self.with("restored").len()), (STEPS, 0), "{self:?}");
        self.said_once(words);
    }

    #[track_caller]
    fn said_once(&self, words: &[&str]) {
        let said = self.notes.iter().filter(|note| words.iter().all(|word| note.contains(word)));
        assert_eq!(said.count(), 1, "{words:?} in {:?}", self.notes);
        assert_eq!(self.notes.len(), 1, "{:?}", self.notes);
    }
}
