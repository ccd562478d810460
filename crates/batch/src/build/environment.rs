//! The environment in which packages are built: that of nobody.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

use larder_engine::{environment::Environment, sandbox::is_system};
use larder_project::manifest::Toolchain;

use super::BuildTask;

/// Where libraries are in a prefix, and where they are described.
const LIBRARIES: &[&str] = &["lib", "lib64"];
const DESCRIPTIONS: &[&str] = &["lib/pkgconfig", "lib64/pkgconfig", "share/pkgconfig"];

/// Variables that lead to the layers that a package is built with. Its direct needs come first.
pub fn of_layers(task: &BuildTask, system: &Environment) -> BTreeMap<String, OsString> {
    let (direct, others): (Vec<_>, Vec<_>) = task.needs.iter().partition(|need| need.direct);
    let prefixes: Vec<&Path> =
        direct.iter().chain(&others).map(|need| need.layer.directory.as_path()).collect();
    let below = |names: &[&str]| -> Vec<PathBuf> {
        let all = prefixes.iter().flat_map(|prefix| names.iter().map(|name| prefix.join(name)));
        all.filter(|path| path.is_dir()).collect()
    };
    let mut path = below(&["bin"]);
    path.extend(system.directories().filter(|directory| is_system_tools(directory)));
    let lists = [
        ("PATH", path),
        ("PKG_CONFIG_PATH", below(DESCRIPTIONS)),
        ("CMAKE_PREFIX_PATH", prefixes.iter().map(|prefix| prefix.to_path_buf()).collect()),
    ];
    let joined = lists.into_iter().filter_map(|(name, list)| Some((name, joined(&list)?)));
    joined.map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The libraries of layers, for programs that are tested.
pub fn libraries(prefixes: &[PathBuf]) -> Option<OsString> {
    let all = prefixes.iter().flat_map(|prefix| LIBRARIES.iter().map(|name| prefix.join(name)));
    joined(&all.filter(|path| path.is_dir()).collect::<Vec<_>>())
}

fn joined(paths: &[PathBuf]) -> Option<OsString> {
    let joined = std::env::join_paths(paths).ok()?;
    (!joined.is_empty()).then_some(joined)
}

/// Whether a directory of `PATH` belongs to the system, and not to whoever builds.
fn is_system_tools(directory: &Path) -> bool {
    directory.canonicalize().is_ok_and(|directory| is_system(&directory))
}

/// The compilers, as variables name them.
pub fn compilers(toolchain: &Toolchain) -> [(&'static str, Option<&str>); 3] {
    let Toolchain { cc, cxx, ar, .. } = toolchain;
    [
        ("CC", Some(cc.as_deref().unwrap_or("cc"))),
        ("CXX", Some(cxx.as_deref().unwrap_or("c++"))),
        ("AR", ar.as_deref()),
    ]
}

/// Returns whether a compiler takes the options of GCC and Clang, by its name.
pub fn is_usual(compiler: &str) -> bool {
    let name = Path::new(compiler).file_name().and_then(OsStr::to_str).unwrap_or_default();
    let is_version = |part: &str| part.chars().all(|c| c.is_ascii_digit() || c == '.');
    let name = name.rsplit('-').find(|part| !is_version(part)).unwrap_or_default();
    ["cc", "c++", "gcc", "g++", "clang", "clang++"].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compilers_are_known_by_their_names() {
        for name in
            ["cc", "gcc-12", "/opt/llvm/bin/clang++", "x86_64-linux-gnu-g++-13", "clang-14.0"]
        {
            assert!(is_usual(name), "{name}");
        }
        for name in ["tcc", "icx", "zig", "", "gcc-wrapper"] {
            assert!(!is_usual(name), "{name}");
        }
    }
}
