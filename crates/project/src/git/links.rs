//! Symbolic links that a commit brings.

use std::{
    fs,
    path::{Component, Path, PathBuf},
};

use super::GitError;

/// Refuses links that lead out of `root`, whatever they pass through. A link is inside when it
/// first goes up by less than it is deep and then only down: its own directory is a real one, and
/// every link on its way down is inside as well.
pub(super) fn check_links(subject: &str, root: &Path, below: &mut PathBuf) -> Result<(), GitError> {
    let directory = root.join(&below);
    let failed = |source| GitError::Io { path: directory.clone(), source };
    for entry in fs::read_dir(&directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let kind = entry.file_type().map_err(failed)?;
        if below.as_os_str().is_empty() && entry.file_name() == ".git" {
            continue;
        }
        if kind.is_symlink() {
            let target = fs::read_link(entry.path()).map_err(failed)?;
            if !is_inside(&target, below.components().count()) {
                return Err(GitError::LinkOutside {
                    url: subject.to_owned(),
                    link: below.join(entry.file_name()).display().to_string(),
                    target: target.display().to_string(),
                });
            }
        } else if kind.is_dir() {
            below.push(entry.file_name());
            check_links(subject, root, below)?;
            below.pop();
        }
    }
    Ok(())
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
