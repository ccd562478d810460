//! Programs that a test needs and a machine may lack.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

/// Where a program is that must be on `PATH`.
#[track_caller]
pub fn which(program: &str) -> PathBuf {
    find(program).unwrap_or_else(|| panic!("{program} is not on PATH"))
}

fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).map(|directory| directory.join(program)).find(|file| file.is_file())
}

/// Whether a program is there. Where it is not, the test is to end: see [`skip`].
#[track_caller]
pub fn require(program: &str) -> bool {
    find(program).is_some() || skip(&format!("{program} is not installed"))
}

/// False, for a test that is to end here for this reason. It is printed; where `CI` is set, nothing is
/// skipped, and the test fails.
#[track_caller]
pub fn skip(reason: &str) -> bool {
    assert!(env::var_os("CI").is_none(), "{reason}");
    eprintln!("skipped: {reason}");
    false
}

/// `PATH` with a directory in front.
pub fn path_with(directory: &Path) -> String {
    format!("{}:{}", directory.display(), env::var("PATH").unwrap())
}

/// Runs a program on a file, which must succeed, and returns its standard output.
#[track_caller]
pub fn said(program: &str, arguments: &[&str], file: &Path) -> String {
    let output = Command::new(program).args(arguments).arg(file).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}
