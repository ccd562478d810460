//! Environments of Python, made under `target` once, with what is installed from PyPI.

use std::{
    env,
    fs::{self, File},
    path::PathBuf,
    process::Command,
};

use crate::tools::skip;

/// The `bin` directory of an environment called `name` that has `packages`. `None`, which is said, where
/// they cannot be installed; in CI (`$CI` is set) the test fails.
pub fn environment(name: &str, packages: &[&str]) -> Option<PathBuf> {
    let test = env::current_exe().unwrap();
    let directory = test.ancestors().nth(3).unwrap().join("tmp").join(name);
    fs::create_dir_all(directory.parent().unwrap()).unwrap();
    let lock = File::create(directory.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    // Written when all is there, with what that is.
    let (done, wanted) = (directory.join("installed"), packages.join("\n"));
    if fs::read_to_string(&done).is_ok_and(|there| there == wanted) {
        return Some(directory.join("bin"));
    }
    let run = |command: &mut Command| {
        let output = command.output().map_err(|error| error.to_string())?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(()) } else { Err(said) }
    };
    let made = run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&directory))
        .and_then(|()| {
            let mut install = Command::new(directory.join("bin/python"));
            run(install.args(["-m", "pip", "install", "--quiet"]).args(packages))
        });
    if let Err(reason) = made {
        skip(&format!("{name} cannot be installed: {reason}"));
        return None;
    }
    fs::write(done, wanted).unwrap();
    Some(directory.join("bin"))
}
