//! `examples/ecosystem`: what a batch of it must come to.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::cargo;

/// The example's name, and that of its directory.
pub const NAME: &str = "ecosystem";

/// Packages that together have all that is special in the example, and take little time.
const SOME: &[&str] = &[
    "leveldb",
    "libogg",
    "libvorbis",
    "lua-cjson",
    "lua-lpeg",
    "luck",
    "lz4",
    "pigz",
    "pngcheck",
    "xxhash",
    "yajl",
    "zlib",
];

/// Which packages are built.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Packages {
    /// All of them.
    All,
    /// A few that have all that is special.
    Some,
}

/// Where the example is.
pub fn directory() -> PathBuf {
    cargo::root().join("examples").join(NAME)
}

/// Builds packages of the example, and sees that what is to work works, and that nothing else does.
///
/// # Errors
/// The first that is otherwise.
pub fn check(larder: &Path, packages: Packages) -> Result<()> {
    let mut command = Command::new(larder);
    command
        .current_dir(directory())
        .args(["batch", "--json"])
        .args(if packages == Packages::Some { SOME } else { &[] })
        .env("LARDER_CACHE_DIR", cargo::target().join("examples/store"))
        .stderr(Stdio::inherit());
    let output = command.output().context("cannot run larder")?;
    ensure!(output.status.code() == Some(1), "larder batch ended with {}", output.status);
    let results = Results::read(&String::from_utf8_lossy(&output.stdout))?;
    results.check()?;
    let all = results.packages().len();
    ensure!(packages == Packages::Some || all >= 25, "there are only {all} packages");
    Ok(())
}

/// The last result of each stage of each build: by package, compiler, build hash and stage.
pub struct Results(BTreeMap<[String; 4], Value>);

impl Results {
    /// Reads the events of `larder batch --json`.
    ///
    /// # Errors
    /// Where a line is no JSON.
    pub fn read(events: &str) -> Result<Self> {
        let mut results = BTreeMap::new();
        for line in events.lines() {
            let event: Value = serde_json::from_str(line).context("an event is no JSON")?;
            if event["event"] == "result" {
                let key = ["package", "compiler", "buildHash", "stage"];
                let key = key.map(|key| event[key].as_str().unwrap_or_default().to_owned());
                results.insert(key, event);
            }
        }
        Ok(Self(results))
    }

    /// The names of all packages that have a result.
    pub fn packages(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.0.keys().map(|[package, ..]| package.as_str()).collect();
        names.dedup();
        names
    }

    /// Sees that the results are those of the example as it is.
    ///
    /// # Errors
    /// The first that is not.
    pub fn check(&self) -> Result<()> {
        for ([package, compiler, _, stage], result) in &self.0 {
            let category = result["category"].as_str().unwrap_or_default();
            let wanted = wanted(package, compiler, stage);
            if !wanted.contains(&category) {
                let error = result["error"].as_str().unwrap_or_default();
                bail!(
                    "{stage} of {package} with {compiler} came to {category}, not to {}: {error}",
                    wanted.join(" or ")
                );
            }
        }
        for (package, compiler, stage) in [
            ("snappy.1.1.9", "gcc.12", "build"),
            ("leveldb.1.23", "gcc.12", "build"),
            ("leveldb.1.23", "clang.14", "test"),
            ("lua-cjson.2.1.0", "gcc.12", "solve"),
            ("luck.1.0", "clang.14", "test"),
            ("zlib.1.2.13", "gcc.12", "test"),
            ("zlib.1.3.1", "clang.14", "test"),
        ] {
            let is_it =
                |[of, with, _, at]: &&[String; 4]| of == package && with == compiler && at == stage;
            ensure!(
                self.0.keys().any(|key| is_it(&key)),
                "there is no {stage} of {package} with {compiler}"
            );
        }
        Ok(())
    }
}

/// What a stage of a package must come to: one of these categories.
fn wanted(package: &str, compiler: &str, stage: &str) -> &'static [&'static str] {
    match (package, compiler, stage) {
        ("snappy.1.1.9", "gcc.12", _) => &["build_failure"],
        ("leveldb.1.23", "gcc.12", _) => &["dependency_failure"],
        ("lua-cjson.2.1.0", _, _) => &["no_solution"],
        ("luck.1.0", _, "test") => &["success", "test_failure"],
        _ => &["success"],
    }
}
