//! What several tests need: entries, and processes that run this test binary again.

#![allow(dead_code)]

use std::env;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use larder_runs::history::Entry;
use larder_runs::name::PackageName;

pub fn package(name: &str) -> PackageName {
    name.parse().unwrap()
}

/// An entry of run `run` for build `hash`; `category` `success` for one that worked.
pub fn entry(run: &str, hash: &str, category: &str, blessed: bool) -> Entry {
    let success = category == "success";
    Entry {
        ts: format!("{}T{}:{}:{}Z", &run[..10], &run[11..13], &run[13..15], &run[15..17]),
        run: run.to_owned(),
        build_hash: hash.to_owned(),
        status: if success { "success" } else { "failure" }.to_owned(),
        category: category.to_owned(),
        compiler: "ocaml-base-compiler.5.2.0".to_owned(),
        blessed,
        error: (!success).then(|| "Error: Unbound module Foo".to_owned()),
        ..Entry::default()
    }
}

const ROLE: &str = "LARDER_RUNS_TEST_ROLE";
const DIRECTORY: &str = "LARDER_RUNS_TEST_DIRECTORY";

/// Starts this test binary again, to run only the test `name`, which finds its work with [`role`].
pub fn child(name: &str, role: &str, directory: &Path) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]);
    command.env(ROLE, role).env(DIRECTORY, directory).stdin(Stdio::null());
    command
}

/// In a process started by [`child`]: its role and directory.
pub fn role() -> Option<(String, std::path::PathBuf)> {
    Some((env::var(ROLE).ok()?, env::var_os(DIRECTORY)?.into()))
}

/// A child that is killed and waited for whatever becomes of the test.
pub struct Killed(pub Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
