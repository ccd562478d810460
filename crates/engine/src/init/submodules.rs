//! Submodules of a package that were not fetched.

use std::{fs, path::Path};

use larder_project::init::Package;

/// Says which submodules of the package in `directory` are not there: what needs them cannot be in the manifest.
pub fn say(package: &mut Package, directory: &Path) {
    let text = fs::read_to_string(directory.join(".gitmodules")).unwrap_or_default();
    for path in paths(&text) {
        let is_there = fs::read_dir(directory.join(path)).is_ok_and(|mut it| it.next().is_some());
        if !is_there {
            package.leave_out(
                format!("the submodule {path}"),
                "it is not fetched: after `git submodule update --init`, remove larder.toml and run `larder init` again",
            );
        }
    }
}

/// The paths that a `.gitmodules` names.
fn paths(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().filter_map(|line| line.split_once('='));
    lines.filter(|(key, _)| key.trim() == "path").map(|(_, path)| path.trim())
}
