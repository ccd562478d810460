//! A machine with a package that depends on packages from Git, and an offline store.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use larder_testkit::{
    files::{set_mode, write_all},
    git::{Repository, app, git},
    machine,
    run::larder,
};
use larder_trace::ContentHash;
use serde_json::Value;

use super::support::*;

/// A machine with a package `app`, which needs `foo` from Git, which needs `base` from Git. The program
/// prints 41.
pub struct Scene {
    pub machine: machine::Machine,
    pub foo: Repository,
    pub base: Repository,
}

impl Scene {
    /// One whose `app` is checked in at `work/app`, with its lock file.
    pub fn new() -> Self {
        let machine = machine::Machine::new();
        let there = machine.path("repositories");
        let base = Repository::new(&there, "base", "");
        let more = format!(
            "libraries = [\"base/base\"]\n[dependencies]\nbase = {{ git = \"{}\" }}",
            base.url()
        );
        let upper = Repository::new(&there, "foo", &more);
        write_all(
            &upper.path,
            &[
                ("foo.c", "int base(void);\nint foo(void) { return base() + 40; }\n"),
                ("tools/run.sh", "#!/bin/sh\n"),
                ("names/ä b.txt", "\n"),
            ],
        );
        std::os::unix::fs::symlink("../foo.h", upper.path.join("tools/foo.h")).unwrap();
        set_mode(&upper.path.join("tools/run.sh"), 0o755);
        upper.commit_all();
        let scene = Self { machine, foo: upper, base };
        let upper = format!("{{ git = \"{}\" }}", scene.foo.url());
        let app = app(&scene.path("work/app"), &[("foo", &upper)]);
        run(scene.larder("work", &["graph"])).ok();
        write_all(&app, &[(".gitignore", ".larder\n")]);
        git(&app, &["init", "--quiet", "--initial-branch=main"]);
        git(&app, &["add", "--all"]);
        git(&app, &["commit", "--quiet", "--message=app"]);
        scene
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.machine.path(name)
    }

    /// The commit that `package` is pinned to.
    pub fn pinned(&self, package: &str) -> String {
        let lock = fs::read_to_string(self.path("work/app/larder.lock")).unwrap();
        let entry =
            lock.split("[[package]]").find(|entry| entry.contains(&format!("\"{package}\"")));
        entry.unwrap().split('"').rev().nth(1).unwrap().to_owned()
    }

    pub fn offline(&self) -> PathBuf {
        self.path("offline")
    }

    /// larder in the package below the directory of `who`, with a home and a store of their own.
    pub fn larder(&self, who: &str, arguments: &[&str]) -> Command {
        let root = self.path(who);
        let mut command = larder(&root.join("app"), &root.join("store"), arguments);
        command.env("HOME", &root).env("LARDER_CONFIG", self.path("config.toml"));
        command
    }

    /// The same with the offline store behind it.
    pub fn with_store(&self, who: &str, arguments: &[&str]) -> Command {
        let mut command = self.larder(who, arguments);
        command.env("LARDER_OFFLINE_STORE", self.offline());
        command
    }

    pub fn bake_into(&self, who: &str, directory: &Path) -> Run {
        let directory = directory.to_str().unwrap();
        run(self.larder(who, &["cache", "bake", directory, "--dependencies", "--locked"]))
    }

    pub fn bake(&self) -> Run {
        self.bake_into("work", &self.offline()).ok()
    }

    pub fn verify(&self, code: i32) -> Run {
        run(self.larder("work", &["cache", "verify", self.offline().to_str().unwrap()]))
            .ends_with(code)
    }

    /// A fresh clone of the package for somebody.
    pub fn clone(&self, who: &str) -> PathBuf {
        let root = self.path(who);
        fs::create_dir_all(&root).unwrap();
        git(&root, &["clone", "--quiet", self.path("work/app").to_str().unwrap(), "app"]);
        root.join("app")
    }

    /// Takes away where the dependencies came from.
    pub fn unplug(&self) {
        fs::rename(self.path("repositories"), self.path("elsewhere")).unwrap();
    }

    pub fn plug_in(&self) {
        fs::rename(self.path("elsewhere"), self.path("repositories")).unwrap();
    }

    /// A build of somebody's clone that must succeed; all of the dependencies comes from the store.
    pub fn restored(&self, who: &str, command: Command) -> Built {
        let said = run(command).ok();
        let program = self.path(who).join("app/.larder/build/app");
        assert_eq!(Command::new(program).output().unwrap().stdout, b"41\n");
        let built = Built::of(&said);
        assert!(built.complaints.is_empty(), "{:?}", built.complaints);
        assert_eq!(built.built(), ["app", "obj/app/main.c.o"], "{built:?}");
        assert_eq!(built.with("restored").len(), 4, "{built:?}");
        built
    }

    pub fn index(&self) -> Value {
        let text = fs::read(self.offline().join("offline.json")).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    /// Changes what was baked as somebody would who knows the format.
    pub fn edit_index(&self, edit: impl FnOnce(&mut Vec<Value>)) {
        let mut index = self.index();
        edit(index["bakes"].as_array_mut().unwrap());
        let bakes = index["bakes"].to_string();
        let checksum = ContentHash::of_bytes(bakes.as_bytes());
        let text =
            format!("{{\"schemaVersion\":\"1\",\"checksum\":\"{checksum}\",\"bakes\":{bakes}}}\n");
        fs::write(self.offline().join("offline.json"), text).unwrap();
    }

    /// The pack with the checkout of a package.
    pub fn checkout(&self, package: &str) -> PathBuf {
        let index = self.index();
        let checkouts = index["bakes"][0]["checkouts"].as_array().unwrap();
        let one = checkouts.iter().find(|one| one["package"] == package).unwrap();
        self.offline().join("packs").join(format!("{}.pack", one["pack"].as_str().unwrap()))
    }
}
