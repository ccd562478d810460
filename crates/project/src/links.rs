//! Symbolic links that sources from elsewhere bring.

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
};

/// The first link below `root` that leads out of it, whatever it passes through, and where it leads. A link is
/// inside when it first goes up by less than it is deep and then only down: its own directory is a real one,
/// and every link on its way down is inside as well. What Git keeps at the top is not looked at.
///
/// # Errors
/// The directory that cannot be read, and why.
pub(crate) fn leading_out(root: &Path) -> Result<Option<(String, String)>, (PathBuf, io::Error)> {
    search(root, &mut PathBuf::new())
}

fn search(
    root: &Path,
    below: &mut PathBuf,
) -> Result<Option<(String, String)>, (PathBuf, io::Error)> {
    let directory = root.join(&below);
    let failed = |error| (directory.clone(), error);
    for entry in fs::read_dir(&directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let kind = entry.file_type().map_err(failed)?;
        if below.as_os_str().is_empty() && entry.file_name() == ".git" {
            continue;
        }
        if kind.is_symlink() {
            let target = fs::read_link(entry.path()).map_err(failed)?;
            if !is_inside(&target, below.components().count()) {
                let link = below.join(entry.file_name()).display().to_string();
                return Ok(Some((link, target.display().to_string())));
            }
        } else if kind.is_dir() {
            below.push(entry.file_name());
            let found = search(root, below)?;
            below.pop();
            if found.is_some() {
                return Ok(found);
            }
        }
    }
    Ok(None)
}

fn is_inside(target: &Path, depth: usize) -> bool {
    let mut up = 0;
    let mut down = false;
    for part in target.components() {
        match part {
            Component::ParentDir if !down => up += 1,
            Component::CurDir => {}
            Component::Normal(_) => down = true,
            _ => return false,
        }
    }
    up <= depth
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_inside_and_outside() {
        for (target, depth, inside) in [
            ("a", 0, true),
            ("../a", 1, true),
            ("..", 1, true),
            ("./../a/b", 2, true),
            ("../a", 0, false),
            ("../../a", 1, false),
            ("/etc/passwd", 3, false),
            // Where `a` is a link itself, its parent may be anywhere.
            ("a/../b", 1, false),
        ] {
            assert_eq!(is_inside(Path::new(target), depth), inside, "{target} {depth}");
        }
    }
}
