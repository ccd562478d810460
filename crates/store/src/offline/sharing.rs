//! An offline store is for everybody: who made it lets all read it, who names it finds it there.

use std::{
    fs::{self, File, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::Path,
};

use super::{Bake, index, is_baked};
use crate::StoreError;

/// Checks that the directory which somebody names as an offline store can be one: that it is named from
/// the root, is there, has something in it and can be read.
///
/// # Errors
/// When it cannot.
pub fn check(directory: &Path) -> Result<(), StoreError> {
    let wrong = |reason: String| StoreError::Offline { path: directory.to_owned(), reason };
    if !directory.is_absolute() {
        return Err(wrong("the path is relative; begin it with a slash".to_owned()));
    }
    let unreadable = |error: io::Error| {
        wrong(match error.kind() {
            io::ErrorKind::NotFound => "there is no such directory".to_owned(),
            io::ErrorKind::NotADirectory => "it is not a directory".to_owned(),
            io::ErrorKind::PermissionDenied => "you may not read all of it".to_owned(),
            _ => format!("it cannot be read: {error}"),
        })
    };
    let mut entries = fs::read_dir(directory).map_err(unreadable)?;
    if entries.next().is_none() {
        return Err(wrong("there is nothing in it; `larder cache bake` fills one".to_owned()));
    }
    if !is_baked(directory) {
        return Ok(());
    }
    // A damaged index counts as absent, and is said when it is used; a closed one never opens.
    let bakes = match index::read(directory) {
        Err(StoreError::Io { source, .. }) => return Err(unreadable(source)),
        read => read.unwrap_or_default(),
    };
    for pack in bakes.iter().flat_map(Bake::packs) {
        match File::open(index::pack(directory, pack)) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Err(unreadable(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Makes a directory and those above it that are missing, which all may read.
pub fn create_directory(directory: &Path) -> Result<(), StoreError> {
    if directory.as_os_str().is_empty() || directory.is_dir() {
        return Ok(());
    }
    if let Some(parent) = directory.parent() {
        create_directory(parent)?;
    }
    match fs::create_dir(directory) {
        // Another has just made it.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => made.map_err(StoreError::io("create", directory))?,
    }
    let_all_read(directory)
}

/// Lets all read a file or directory, whatever the umask was when it was made.
pub fn let_all_read(path: &Path) -> Result<(), StoreError> {
    let failed = || StoreError::io("let others read", path);
    let metadata = fs::metadata(path).map_err(failed())?;
    let mode = metadata.permissions().mode() & 0o7777;
    let wanted = mode | if metadata.is_dir() { 0o555 } else { 0o444 };
    if mode == wanted {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(wanted)).map_err(failed())
}
