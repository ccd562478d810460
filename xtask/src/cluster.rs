//! Examples, built by a server of the Remote Execution API: they have the bytes of those built here.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use larder_testkit::{
    clusters::{Casd, Workers},
    files::walk,
};
use tempfile::TempDir;

use crate::cargo;

/// A server, and a copy of all examples that it builds.
pub struct Cluster {
    server: Casd,
    directory: TempDir,
}

impl Cluster {
    /// Starts a server. None where it cannot be had, outside of CI.
    ///
    /// The copy is inside of this repository, for an example may ask Git which commit it is built from.
    ///
    /// # Errors
    /// The examples cannot be copied.
    pub fn start() -> Result<Option<Self>> {
        let Some(server) = Casd::start(Workers::Same) else { return Ok(None) };
        let target = cargo::root().join("target");
        fs::create_dir_all(&target)?;
        let directory = tempfile::Builder::new().prefix("examples-").tempdir_in(target)?;
        copy(&cargo::root().join("examples"), &directory.path().join("examples"))?;
        Ok(Some(Self { server, directory }))
    }

    /// Builds an example there twice, and compares what came of it with what was built here.
    ///
    /// # Errors
    /// A build failed, an output is another one, or something was made again.
    pub fn check(&self, larder: &Path, name: &str) -> Result<()> {
        let example = self.directory.path().join("examples").join(name);
        let build = |store: &str| -> Result<String> {
            let mut command = Command::new(larder);
            command.current_dir(&example).args(["build", "--remote", &self.server.url()]);
            command.env("LARDER_CACHE_DIR", self.directory.path().join(store).join(name));
            let output = command.output()?;
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            if !output.status.success() {
                bail!("the build by a server fails:\n{said}");
            }
            Ok(said.lines().last().unwrap_or_default().to_owned())
        };
        let first = build("first")?;
        let here = outputs(&cargo::root().join("examples").join(name))?;
        same(&here, &outputs(&example)?).context("built by a server")?;
        fs::remove_dir_all(example.join(".larder"))?;
        let second = build("second")?;
        same(&here, &outputs(&example)?).context("found on a server")?;
        eprintln!("by a server: {first}; again: {second}");
        if second.contains("remotely") && !second.contains("known remotely") {
            bail!("what a server had made was made again");
        }
        Ok(())
    }
}

/// Copies a directory, but for what was built in it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path())?, target)?;
        } else if kind.is_dir() && entry.file_name() != ".larder" {
            copy(&entry.path(), &target)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// The outputs of a package, by their paths.
fn outputs(package: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let build = package.join(".larder/build");
    let mut found = BTreeMap::new();
    if build.is_dir() {
        walk(&build, &mut |path, file| {
            if ![".trace", ".hash"].iter().any(|end| path.ends_with(end)) {
                found.insert(path.to_owned(), file.to_owned());
            }
        });
    }
    Ok(found)
}

/// Sees that both sides have made the same. What one has left in its store is not compared.
fn same(here: &BTreeMap<String, PathBuf>, there: &BTreeMap<String, PathBuf>) -> Result<()> {
    let both = here.iter().filter_map(|(path, file)| Some((path, file, there.get(path)?)));
    let mut compared = 0;
    for (path, one, other) in both {
        if fs::read(one)? != fs::read(other)? {
            bail!("{path} is not the same");
        }
        compared += 1;
    }
    if compared == 0 {
        bail!("there is nothing to compare");
    }
    Ok(())
}
