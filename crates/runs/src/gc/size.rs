//! How much space removing a tree gives back.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The bytes on the disk that removing `path` frees: a file counts when all its links are inside. What
/// cannot be read counts nothing.
pub(super) fn freed_by(path: &Path) -> u64 {
    let mut linked = HashMap::new();
    let mut bytes = 0;
    add(path, &mut bytes, &mut linked);
    bytes
}

/// `linked`: the links seen so far of each file that has several.
fn add(path: &Path, bytes: &mut u64, linked: &mut HashMap<(u64, u64), u64>) {
    let Ok(meta) = fs::symlink_metadata(path) else {
        return;
    };
    let allocated = meta.blocks() * 512;
    if meta.is_dir() {
        *bytes += allocated;
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            add(&entry.path(), bytes, linked);
        }
    } else if meta.nlink() <= 1 {
        *bytes += allocated;
    } else {
        let links = linked.entry((meta.dev(), meta.ino())).or_insert(0);
        *links += 1;
        if *links == meta.nlink() {
            *bytes += allocated;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_linked_from_outside_frees_nothing() {
        let root = tempfile::tempdir().unwrap();
        let layer = root.path().join("layer");
        fs::create_dir(&layer).unwrap();
        fs::write(layer.join("a"), vec![1; 8192]).unwrap();
        let inside = freed_by(&layer);
        fs::hard_link(layer.join("a"), layer.join("b")).unwrap();
        assert_eq!(freed_by(&layer), inside);
        fs::hard_link(layer.join("a"), root.path().join("outside")).unwrap();
        assert_eq!(inside - freed_by(&layer), 8192);
    }
}
