//! Files and directories: writing, damaging, copying and comparing them.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
    time::SystemTime,
};

/// Writes a file; directories are made.
pub fn write(path: &Path, content: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Writes files below `directory`, given by path and content.
pub fn write_all(directory: &Path, files: &[(&str, &str)]) {
    for (path, content) in files {
        write(&directory.join(path), content);
    }
}

/// Writes an executable script for `sh`.
pub fn script(path: &Path, content: &str) {
    write(path, format!("#!/bin/sh\n{content}"));
    set_mode(path, 0o755);
}

/// Replaces a file by one with this content, whoever else has a name for the old one.
pub fn replace(path: &Path, content: &[u8]) {
    fs::remove_file(path).unwrap();
    fs::write(path, content).unwrap();
}

/// Writes a file in place, and then gives it the modification time it had.
pub fn write_keeping_time(path: &Path, content: &[u8]) {
    let modified = modified(path);
    fs::write(path, content).unwrap();
    set_modified(path, modified);
}

/// Puts another file in the place of one, with the same modification time, as `cp -p` and `tar` do.
pub fn replace_keeping_time(path: &Path, content: &[u8]) {
    let other = path.with_extension("other");
    fs::write(&other, content).unwrap();
    set_modified(&other, modified(path));
    fs::rename(other, path).unwrap();
}

/// When a file was last written to.
pub fn modified(path: &Path) -> SystemTime {
    fs::metadata(path).unwrap().modified().unwrap()
}

/// Sets when a file was last written to.
pub fn set_modified(path: &Path, time: SystemTime) {
    fs::File::options().append(true).open(path).unwrap().set_modified(time).unwrap();
}

/// Sets the permission bits.
pub fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// The permission bits.
pub fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Takes away or gives back every permission to write, for a directory and all that is in it.
pub fn set_read_only(directory: &Path, read_only: bool) {
    for (name, (mode, ..)) in tree(directory) {
        let mode = if read_only { mode & !0o222 } else { mode | 0o200 };
        set_mode(&directory.join(name), mode);
    }
    set_mode(directory, if read_only { 0o555 } else { 0o755 });
}

/// Copies a directory with what it holds, links as links, times kept by `cp -a`.
pub fn copy_tree(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(status.success());
}

/// Removes a directory with what it holds, if it is there.
pub fn remove_tree(directory: &Path) {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        removed => removed.unwrap(),
    }
}

/// Calls `visit` with everything below `directory` that is no directory: its path from there, and as it
/// can be opened.
pub fn walk(directory: &Path, visit: &mut dyn FnMut(&str, &Path)) {
    walk_below(directory, "", visit);
}

fn walk_below(directory: &Path, below: &str, visit: &mut dyn FnMut(&str, &Path)) {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        entries => entries.unwrap(),
    };
    for entry in entries {
        let entry = entry.unwrap();
        let path = format!("{below}{}", entry.file_name().to_string_lossy());
        if entry.file_type().unwrap().is_dir() {
            walk_below(&entry.path(), &format!("{path}/"), visit);
        } else {
            visit(&path, &entry.path());
        }
    }
}

/// Every file below `directory`, sorted.
pub fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    walk(directory, &mut |_, path| found.push(path.to_owned()));
    found.sort();
    found
}

/// The names in a directory, sorted.
pub fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Every file and directory below `directory`, with what its owner could have changed: mode, modification
/// time in nanoseconds, content.
pub fn tree(directory: &Path) -> BTreeMap<PathBuf, (u32, i64, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(next) = directories.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            let content = if metadata.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
            if metadata.is_dir() {
                directories.push(path.clone());
            }
            let time = metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec();
            let name = path.strip_prefix(directory).unwrap().to_owned();
            found.insert(name, (metadata.mode(), time, content));
        }
    }
    found
}

/// Every file and directory below `directory`: names and contents only.
pub fn contents(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    tree(directory).into_iter().map(|(name, (.., content))| (name, content)).collect()
}
