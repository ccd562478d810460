//! Environments of Python, made once, with what is installed from PyPI.

use std::{path::PathBuf, process::Command};

use crate::installed::{once, succeed};

/// The `bin` directory of an environment called `name` that has `packages`. `None`, which is said, where
/// they cannot be installed; in CI (`$CI` is set) the test fails.
pub fn environment(name: &str, packages: &[&str]) -> Option<PathBuf> {
    let directory = once(name, &packages.join("\n"), |directory| {
        succeed(Command::new("python3").args(["-m", "venv", "--clear"]).arg(directory))?;
        let mut install = Command::new(directory.join("bin/python"));
        succeed(install.args(["-m", "pip", "install", "--quiet"]).args(packages))
    })?;
    Some(directory.join("bin"))
}
