//! The tools of this machine as inputs of an action: for workers that have others or none, and for which what they are
//! given is the whole system.
//!
//! A tool is a program, the files that make it what it is, and the libraries that they are loaded with, each where it is
//! here, with the links on the way: tools find one another by where they are.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    ffi::OsString,
    fs, io,
    path::{Component, Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use larder_engine::{executor::ToolPaths, toolchain::libraries_of};

use crate::{
    files::Files,
    tree::{File, Tree},
};

/// The programs of the system that the scripts of actions run, besides the tools.
const SCRIPTS: [&str; 4] = ["/bin/sh", "/usr/bin/env", "/bin/mkdir", "/usr/bin/sha256sum"];

/// How many links may lie on the way to a file.
const LINKS: usize = 40;

/// Files of this machine and the links on the way to them, by their absolute paths.
#[derive(Debug, Default)]
pub struct System {
    files: BTreeMap<PathBuf, File>,
    links: BTreeMap<PathBuf, String>,
}

impl System {
    /// Adds the file at an absolute path, as whoever opens it by that path finds it.
    ///
    /// # Errors
    /// It cannot be read, or it or a link on the way has no name in UTF-8.
    pub fn add(&mut self, path: &Path, files: &Files) -> io::Result<()> {
        let file = files.file(path)?;
        let place = self.follow(path)?;
        self.files.insert(place, file);
        Ok(())
    }

    /// Adds all of them to a tree.
    pub fn put_into(&self, tree: &mut Tree) {
        let below_root = |path: &Path| path.to_string_lossy().trim_start_matches('/').to_owned();
        for (path, file) in &self.files {
            tree.insert(&below_root(path), file.clone());
        }
        for (path, target) in &self.links {
            tree.link(&below_root(path), target.clone());
        }
    }

    /// Notes the links on the way to a file, and returns where it is without them.
    fn follow(&mut self, path: &Path) -> io::Result<PathBuf> {
        let bad = |reason: &str| io::Error::new(io::ErrorKind::InvalidInput, reason);
        if path.to_str().is_none() {
            return Err(bad("its name is not UTF-8"));
        }
        let names = |path: &Path| -> VecDeque<OsString> {
            path.components().map(|name| name.as_os_str().to_owned()).collect()
        };
        let (mut at, mut left) = (PathBuf::from("/"), names(path));
        let mut links = 0;
        while let Some(name) = left.pop_front() {
            match Path::new(&name).components().next() {
                Some(Component::Normal(name)) => {
                    let next = at.join(name);
                    let Ok(target) = fs::read_link(&next) else {
                        at = next;
                        continue;
                    };
                    links += 1;
                    if links > LINKS {
                        return Err(bad("there are too many links on the way"));
                    }
                    let text = relative(&target, &at).ok_or_else(|| bad("a link is not UTF-8"))?;
                    self.links.insert(next, text);
                    let rest = std::mem::replace(&mut left, names(&target));
                    left.extend(rest);
                }
                Some(Component::ParentDir) => _ = at.pop(),
                Some(Component::RootDir) => at = PathBuf::from("/"),
                _ => {}
            }
        }
        Ok(at)
    }
}

/// Returns the target of a link in `directory` as a path from there: servers need not take absolute ones.
fn relative(target: &Path, directory: &Path) -> Option<String> {
    let target = target.to_str()?;
    let Some(below_root) = target.strip_prefix('/') else { return Some(target.to_owned()) };
    let up = directory.components().filter(|name| matches!(name, Component::Normal(_))).count();
    Some(format!("{}{}", "../".repeat(up), below_root))
}

/// The tools that were asked for in one build, by their paths.
#[derive(Default)]
pub struct Toolchains(Mutex<HashMap<Vec<String>, Found>>);

type Found = Arc<OnceLock<Result<Arc<System>, String>>>;

impl Toolchains {
    /// Returns all that it takes to run `programs` where there is nothing. Each list is put together once.
    ///
    /// # Errors
    /// Says which file cannot be had.
    pub fn of(
        &self,
        programs: &[String],
        tools: &ToolPaths,
        files: &Files,
    ) -> Result<Arc<System>, String> {
        let found = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.entry(programs.to_vec()).or_default().clone()
        };
        found.get_or_init(|| gather(programs, tools, files).map(Arc::new)).clone()
    }
}

fn gather(programs: &[String], tools: &ToolPaths, files: &Files) -> Result<System, String> {
    let scripts = SCRIPTS.iter().map(PathBuf::from);
    let tools = programs.iter().flat_map(|program| tools.files(Path::new(program)));
    let mut system = System::default();
    for path in scripts.chain(tools.filter(|path| path.is_file())) {
        let failed = |error: io::Error| format!("{}: {error}", path.display());
        for file in libraries_of(&path).map_err(failed)?.iter().chain([&path]) {
            system.add(file, files).map_err(failed)?;
        }
    }
    Ok(system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_on_the_way_are_kept_and_lead_to_the_same_file() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("usr/bin")).unwrap();
        fs::write(root.join("usr/bin/tool-12"), "x").unwrap();
        for (link, target) in [
            ("bin", "usr/bin"),
            ("usr/bin/tool", "../../etc"),
            ("etc", root.join("usr/bin/tool-12").to_str().unwrap()),
        ] {
            std::os::unix::fs::symlink(target, root.join(link)).unwrap();
        }
        let mut system = System::default();
        system.add(&root.join("bin/../bin/tool"), &Files::default()).unwrap();
        assert_eq!(system.files.keys().collect::<Vec<_>>(), [&root.join("usr/bin/tool-12")]);
        let links: Vec<&Path> = system.links.keys().map(PathBuf::as_path).collect();
        assert_eq!(links, [root.join("bin"), root.join("etc"), root.join("usr/bin/tool")]);
        for (link, target) in &system.links {
            let there = link.parent().unwrap().join(target).canonicalize().unwrap();
            assert_eq!(there, link.canonicalize().unwrap(), "{target}");
        }
        assert!(system.add(&root.join("none"), &Files::default()).is_err());
        std::os::unix::fs::symlink("round", root.join("round")).unwrap();
        assert!(system.add(&root.join("round"), &Files::default()).is_err());
    }
}
