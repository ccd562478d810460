//! Files that a larder that was killed leaves behind. Nothing of it is ever taken for finished; it takes
//! space.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::setting::is_build_directory;

/// Removes files on their way to some name from the `.larder` directory `larder`. To be called while holding
/// the build lock, which says that they are gone.
pub fn remove(larder: &Path) {
    remove_temporaries(larder, false);
    for directory in build_directories(larder) {
        remove_temporaries(&directory, true);
    }
}

/// The directories in the `.larder` directory `larder` that are built into.
pub(crate) fn build_directories(larder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(larder).into_iter().flatten().flatten();
    let built = entries.filter(|entry| entry.file_name().to_str().is_some_and(is_build_directory));
    built.map(|entry| entry.path()).collect()
}

fn remove_temporaries(directory: &Path, below: bool) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            if below {
                remove_temporaries(&path, true);
            }
        } else if larder_trace::atomic::is_temporary(&path) {
            let _ = fs::remove_file(path);
        }
    }
}
