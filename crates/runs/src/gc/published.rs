//! Which documentation universes the published pages lead to.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::error::{Context, Result};
use crate::file;
use crate::name::HashName;

/// The universes that the blessed pages under `html_dir/p` link to, and those that the pages of these
/// link to in turn: whatever a reader can reach.
///
/// A link is, in any file or in the target of a symbolic link, the text `u/<universe>/`, or the name of
/// a universe that is there between two slashes (pages of a universe link to others by `../<universe>/`).
/// Symbolic links are read, never followed.
///
/// # Errors
/// [`crate::Error::Io`] when a page cannot be read: what it links to would be lost.
pub fn collect_referenced_universes(html_dir: &Path) -> Result<BTreeSet<String>> {
    let universes = html_dir.join("u");
    let present: HashSet<Vec<u8>> =
        file::names(&universes)?.into_iter().map(String::into_bytes).collect();
    let mut referenced = BTreeSet::new();
    scan_tree(&html_dir.join("p"), &present, &mut referenced)?;
    let mut unseen: Vec<String> = referenced.iter().cloned().collect();
    while let Some(universe) = unseen.pop() {
        let mut found = BTreeSet::new();
        scan_tree(&universes.join(&universe), &present, &mut found)?;
        unseen.extend(found.into_iter().filter(|name| referenced.insert(name.clone())));
    }
    Ok(referenced)
}

fn scan_tree(path: &Path, present: &HashSet<Vec<u8>>, found: &mut BTreeSet<String>) -> Result<()> {
    let meta = match fs::symlink_metadata(path) {
        // A page replaced while the tree is read: its successor is of a run that tells what it refers to.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        other => other.context("read", path)?,
    };
    if meta.is_symlink() {
        let target = fs::read_link(path).context("read", path)?;
        let mut target = target.as_os_str().as_bytes().to_vec();
        target.insert(0, b'/');
        target.push(b'/');
        scan(&target, present, found);
    } else if meta.is_dir() {
        for entry in fs::read_dir(path).context("list", path)? {
            scan_tree(&entry.context("list", path)?.path(), present, found)?;
        }
    } else if meta.is_file() {
        match fs::read(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            other => scan(&other.context("read", path)?, present, found),
        }
    }
    Ok(())
}

fn scan(content: &[u8], present: &HashSet<Vec<u8>>, found: &mut BTreeSet<String>) {
    let mut segments = content.split(|byte| *byte == b'/');
    let (Some(mut before), Some(mut segment)) = (segments.next(), segments.next()) else {
        return;
    };
    // The last segment has no slash after it and is none.
    for after in segments {
        let in_universes = matches!(before, [b'u'] | [.., b'"' | b'\'' | b'=' | b'(' | b' ', b'u']);
        if (in_universes || present.contains(segment))
            && let Ok(name) = std::str::from_utf8(segment)
            && name.parse::<HashName>().is_ok()
        {
            found.insert(name.to_owned());
        }
        (before, segment) = (segment, after);
    }
}
