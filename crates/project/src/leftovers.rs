//! Files that a larder that was killed leaves behind. Nothing of it is ever taken for finished; it takes
//! space.

use std::{fs, path::Path};

/// Removes files on their way to some name from the `.larder` directory `larder`. To be called while holding
/// the build lock, which says that they are gone.
pub fn remove(larder: &Path) {
    remove_temporaries(larder, false);
    remove_temporaries(&larder.join("build"), true);
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
