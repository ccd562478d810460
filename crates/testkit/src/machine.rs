//! A machine: a store, a configuration, and whatever directories a test makes.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use larder_store::{Mappings, Store, verify};
use tempfile::TempDir;

use crate::{
    events::Built,
    files::{set_mode, write},
    run::{Run, larder, run},
};

/// The key that services want. Its second part is secret.
pub const KEY: (&str, &str) = ("AKIDEXAMPLE", "wJalrXUtnFEMI-secret");

/// A machine, which is gone with the test.
pub struct Machine {
    dir: TempDir,
}

impl Default for Machine {
    fn default() -> Self {
        Self::new()
    }
}

impl Machine {
    /// One with an empty store and no configuration. Others may look into its directory.
    pub fn new() -> Self {
        let dir = TempDir::new().unwrap();
        set_mode(dir.path(), 0o755);
        Self { dir }
    }

    /// A path on it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes the configuration: one service, `team`, with these keys.
    pub fn configure(&self, service: &str) {
        let head = "[cache]\ndefault-service = \"team\"\n[[cache.service]]\nname = \"team\"\n";
        write(&self.path("config.toml"), format!("{head}{service}\n"));
    }

    /// Configures the bucket behind `address` as the service.
    pub fn uses(&self, address: SocketAddr, timeout_seconds: u64) {
        self.configure(&format!(
            "url = \"s3://bucket/prefix\"\nendpoint = \"http://{address}\"\ntimeout-seconds = {timeout_seconds}"
        ));
    }

    /// larder in a directory of the machine.
    pub fn command(&self, directory: &Path, arguments: &[&str]) -> Command {
        let mut command = larder(directory, &self.path("store"), arguments);
        command.env("LARDER_CONFIG", self.path("config.toml"));
        command.env("GIT_CEILING_DIRECTORIES", self.dir.path());
        command
    }

    /// The same with the key of the service.
    pub fn with_key(&self, directory: &Path, arguments: &[&str]) -> Command {
        let mut command = self.command(directory, arguments);
        command.env("LARDER_CACHE_KEY", format!("{}:{}", KEY.0, KEY.1));
        command
    }

    /// Runs `larder cache …` with the key; it must end with `code`.
    #[track_caller]
    pub fn cache(&self, directory: &Path, code: i32, arguments: &[&str]) -> Run {
        run(self.with_key(directory, &[&["cache"], arguments].concat())).ends_with(code)
    }

    /// Builds with the key; it must succeed and have nothing to complain of.
    #[track_caller]
    pub fn build(&self, directory: &Path, arguments: &[&str]) -> Built {
        self.build_with(directory, arguments, &[])
    }

    /// [`build`](Self::build) with more environment.
    #[track_caller]
    pub fn build_with(
        &self,
        directory: &Path,
        arguments: &[&str],
        more: &[(&str, &Path)],
    ) -> Built {
        let mut command =
            self.with_key(directory, &[&["--json", "build", "-j2"], arguments].concat());
        let said = run(command.envs(more.iter().copied())).ok();
        assert_eq!(said.stderr, "");
        let built = Built::of(&said);
        assert!(built.complaints.is_empty(), "{arguments:?}: {:?}", built.complaints);
        built
    }

    /// The store.
    pub fn store(&self) -> Store {
        Store::open(self.path("store")).unwrap()
    }

    /// Checks every file of the store by its content.
    #[track_caller]
    pub fn nothing_wrong_in_store(&self) {
        let report = verify::verify(&self.store()).unwrap();
        assert!(report.corrupt.is_empty(), "{:?}", report.corrupt);
    }

    /// How many artifacts of `mappings` the store has; nothing in it is wrong.
    #[track_caller]
    pub fn holds(&self, mappings: &Mappings) -> usize {
        self.nothing_wrong_in_store();
        let store = self.store();
        mappings.artifacts().keys().filter(|hash| store.holds(hash)).count()
    }
}
