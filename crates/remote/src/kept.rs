//! Files that stand beside the mappings files of a store, each named as that is but for its ending.

use std::{
    fs,
    path::{Path, PathBuf},
};

use larder_store::Layout;

/// How the name of a mappings file ends.
pub const MAPPINGS: &str = ".jsonl";

/// The file beside `file` whose name ends in `ending` instead. Names of revisions may have dots, so only
/// what follows the last one is replaced.
pub fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.file_stem().unwrap_or_default().to_owned();
    name.push(ending);
    file.with_file_name(name)
}

/// All files in the store at `layout` that stand beside mappings files and end so, sorted.
pub fn ending_in(layout: &Layout, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    find(&layout.revisions(), ending, &mut found);
    found.sort();
    found
}

fn find(directory: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            find(&path, ending, found);
        } else if beside(&path, ending) == path {
            found.push(path);
        }
    }
}
