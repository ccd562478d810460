//! What tests need of other registries than cargo's, installed below `target` once.

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use crate::tools::skip;

/// The directory called `name` in which `install` has put what is `wanted`. `None`, which is said, where it
/// cannot; in CI (`$CI` is set) the test fails.
pub fn once(
    name: &str,
    wanted: &str,
    install: impl FnOnce(&Path) -> Result<(), String>,
) -> Option<PathBuf> {
    let program = env::current_exe().unwrap();
    // Tests lie in `target/PROFILE/deps`, and the project's chores beside that.
    let above = program.parent().unwrap();
    let profile = if above.ends_with("deps") { above.parent().unwrap() } else { above };
    let directory = profile.parent().unwrap().join("tmp").join(name);
    fs::create_dir_all(directory.parent().unwrap()).unwrap();
    let lock = File::create(directory.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    // Written when all is there, with what that is.
    let done = directory.join("installed");
    if fs::read_to_string(&done).is_ok_and(|there| there == wanted) {
        return Some(directory);
    }
    if let Err(reason) = install(&directory) {
        skip(&format!("{name} cannot be installed: {reason}"));
        return None;
    }
    fs::write(done, wanted).unwrap();
    Some(directory)
}

/// The directory of a package from npm, which runs nothing when it is installed.
pub fn from_npm(name: &str, version: &str) -> Option<PathBuf> {
    let wanted = format!("{name}@{version}");
    let directory = once(name, &wanted, |directory| {
        fs::create_dir_all(directory).map_err(|error| error.to_string())?;
        let mut npm = Command::new("npm");
        npm.args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix"]);
        succeed(npm.arg(directory).arg(&wanted))
    })?;
    Some(directory.join("node_modules").join(name))
}

/// Runs a command, which fails with what it said.
pub(crate) fn succeed(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(said) }
}
