//! The objects of one commit in one file, from which it can be checked out without its repository.
//!
//! The file is a pack as Git makes them, version 2: the commit, its trees and its files' contents in
//! the order in which the tree lists them, none as a difference to another and none compressed. What is
//! stored compresses it anyway, and so the same commit makes the same bytes, wherever it was fetched.

use std::{
    fs::{self, File},
    io::{self, Seek, Write},
    path::Path,
};

use super::{
    Commit, GitError, Origin, check_out, difference, finish, prepare,
    run::{Streams, run, run_with},
};

/// Writes the objects of `commit`, which `checkout` has, to `to`, a file that is empty. Only what proves
/// whole is written with success: the commit is checked out of the file, and must be what is in
/// `checkout`.
///
/// # Errors
/// When `checkout` lacks an object, or was changed by hand.
pub fn take_objects(checkout: &Path, commit: &Commit, to: &File) -> Result<(), GitError> {
    let name = &*checkout.to_string_lossy();
    let (scratch, failed) = scratch()?;
    let directory = &scratch.path().join("checkout");
    prepare(name, commit, directory)?;
    // A repository that is ours, with the objects of one that may be somebody else's: of that, no setting
    // counts.
    let alternates = directory.join(".git/objects/info/alternates");
    let objects = checkout.join(".git/objects");
    fs::create_dir_all(directory.join(".git/objects/info"))
        .and_then(|()| fs::write(&alternates, format!("{}\n", objects.display())))
        .map_err(&failed)?;
    let list = ["rev-list", "--objects", "--no-object-names", "--no-walk", commit.as_str(), "--"];
    let list = run("list the objects of", name, Some(directory), &list)?;
    let mut input = tempfile::tempfile_in(scratch.path()).map_err(&failed)?;
    input.write_all(list.as_bytes()).and_then(|()| input.rewind()).map_err(&failed)?;
    let streams = Streams { input: Some(&input), output: Some(to) };
    run_with(&streams, "take the objects of", name, Some(directory), PACK)?;
    fs::remove_file(&alternates).map_err(&failed)?;
    unpack(to, name, commit, directory)?;
    finish(name, commit, directory)?;
    match difference(name, checkout, &directory.join(".git"))? {
        Some(file) => Err(GitError::Changed { path: checkout.to_owned(), file }),
        None => Ok(()),
    }
}

/// Nothing that a user may set counts: the bytes follow from the objects.
const PACK: &[&str] = &[
    "-c",
    "pack.packSizeLimit=0",
    "-c",
    "core.bigFileThreshold=512m",
    "pack-objects",
    "--stdout",
    "-q",
    "--threads=1",
    "--window=0",
    "--compression=0",
    "--no-reuse-delta",
    "--no-reuse-object",
];

/// Puts the objects in `file` into the repository in `directory`, each under the name that Git computes
/// from its content.
pub(super) fn unpack(
    file: &File,
    name: &str,
    commit: &Commit,
    directory: &Path,
) -> Result<(), GitError> {
    let shallow = directory.join(".git/shallow");
    let mut input = file;
    // The commits before it are not there, and nobody misses them.
    fs::write(&shallow, format!("{commit}\n"))
        .and_then(|()| input.rewind())
        .map_err(|source| GitError::Io { path: shallow, source })?;
    let streams = Streams { input: Some(file), output: None };
    run_with(&streams, "unpack", name, Some(directory), &["index-pack", "--stdin"]).map(drop)
}

/// Makes sure that `commit` can be checked out of `file`, by doing so. `name` is whose it is, for people.
///
/// # Errors
/// As [`check_out`].
pub fn check_objects(file: &File, name: &str, commit: &Commit) -> Result<(), GitError> {
    let (scratch, _) = scratch()?;
    check_out(Origin::Objects { file, name }, commit, &scratch.path().join("checkout"))
}

/// A directory that is gone in the end, and for `map_err` the error that names it.
fn scratch() -> Result<(tempfile::TempDir, impl Fn(io::Error) -> GitError), GitError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| GitError::Io { path: path.clone(), source }
    };
    let scratch = tempfile::tempdir().map_err(failed(&std::env::temp_dir()))?;
    let failed = failed(scratch.path());
    Ok((scratch, failed))
}
