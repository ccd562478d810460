//! Things that go: out of sight at once, and removed when nobody waits for that.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Collected, size};
use crate::error::{Context, Result};
use crate::file;

/// The prefix of the name of something that is being removed.
const DOOMED: &str = ".gc-";

/// Things that are out of sight and will be removed.
#[derive(Default)]
pub(super) struct Doomed {
    /// Where each is now, with the name it had.
    pub(super) paths: Vec<(PathBuf, String)>,
    pub(super) collected: Collected,
}

impl Doomed {
    pub(super) fn skipped(reason: &str) -> Doomed {
        Doomed {
            collected: Collected { skipped: Some(reason.to_owned()), ..Collected::default() },
            ..Doomed::default()
        }
    }

    pub(super) fn finish(mut self, dry_run: bool) -> Collected {
        for (path, name) in self.paths {
            self.collected.remove(&path, name, dry_run);
        }
        self.collected.removed.sort_unstable();
        self.collected
    }
}

impl Collected {
    pub(super) fn remove(&mut self, path: &Path, name: String, dry_run: bool) {
        let bytes = size::freed_by(path);
        match if dry_run { Ok(()) } else { file::remove_tree(path) } {
            Ok(()) => {
                self.removed.push(name);
                self.bytes += bytes;
            }
            Err(error) => self.failed.push(error.to_string()),
        }
    }
}

/// Puts out of sight every entry of a directory that is not to be kept, and takes up what an earlier
/// collection left. Other names with a dot are not entries: somebody is making them.
pub(super) fn sweep(
    directory: &Path,
    keep: impl Fn(&str) -> bool,
    dry_run: bool,
) -> Result<Doomed> {
    let mut doomed = Doomed::default();
    for name in file::names(directory)? {
        let path = directory.join(&name);
        if let Some(earlier) = name.strip_prefix(DOOMED) {
            doomed.paths.push((path, earlier.to_owned()));
        } else if name.starts_with('.') {
            continue;
        } else if keep(&name) {
            doomed.collected.kept += 1;
        } else if dry_run {
            doomed.paths.push((path, name));
        } else {
            let hidden = directory.join(format!("{DOOMED}{name}"));
            match file::remove_tree(&hidden)
                .and_then(|()| fs::rename(&path, &hidden).context("rename", &path))
            {
                Ok(()) => doomed.paths.push((hidden, name)),
                Err(error) => doomed.collected.failed.push(error.to_string()),
            }
        }
    }
    // A name that an earlier collection left may have been doomed again since: once is enough.
    doomed.paths.sort_unstable();
    doomed.paths.dedup_by(|a, b| a.0 == b.0);
    Ok(doomed)
}
