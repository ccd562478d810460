//! Where files may be that records name.
//!
//! A mapping may have been made by anybody, and a build directory copied from anywhere. What they name as
//! an input is looked at only if it is a regular file of a bearable size, and what mappings name only
//! where a build of the target would find inputs: in packages, in the system's directories, in those of
//! the tool, and where the manifest has it search. Links are followed before that is asked.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use larder_project::{path::RootPath, place::Place, workspace::LARDER_DIR};

/// Where a record comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// A trace file of the build directory: the build may have read any file.
    BuildDirectory,
    /// The store, and so perhaps a service.
    Store,
}

/// Larger files are not read because a record names them, in bytes.
const LARGEST: u64 = 4 << 30;

/// A record that would have more names looked for in directories than this is not believed.
const MOST_LOOKS: usize = 100_000_000;

/// The system's programs, libraries and headers. The store of Nix and that of Guix hold nothing else
/// either.
pub(crate) const SYSTEM: &[&str] =
    &["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store"];

/// The same, as macOS has it.
const MACOS: &[&str] = &["/System", "/Library", "/Applications"];

/// What is there is made up when it is read, and may have no end.
const KERNEL: &[&str] = &["/dev", "/proc", "/sys"];

/// Files there are in memory, and as good as any.
const MEMORY: &str = "/dev/shm";

/// It counts as an empty file, and compilers are told to include it.
const NULL: &str = "/dev/null";

/// A file that a record names, as it is here.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Standing {
    /// It is in a package or in one of the system's directories.
    Inside,
    /// It is a regular file somewhere else: there, without links.
    Elsewhere(Arc<Path>),
    /// It is not to be looked at.
    Refused,
}

/// The directories in which every record may name files, and what is known of those named so far.
#[derive(Debug)]
pub(crate) struct Grounds {
    directories: Vec<PathBuf>,
    known: Mutex<HashMap<RootPath, Standing>>,
    said: AtomicBool,
}

impl Grounds {
    /// The grounds of a build of the packages at `places`, the first of them at `root`.
    pub fn new(root: &Path, places: &[Place]) -> Self {
        let own = places.iter().map(|place| place.directory.clone());
        let built = places.iter().map(|place| root.join(place.build_directory().as_str()));
        let built = built.chain([root.join(LARDER_DIR)]);
        let system = SYSTEM.iter().chain(MACOS).map(PathBuf::from);
        let all = own.chain(built).chain(system);
        let directories = all.filter_map(|directory| directory.canonicalize().ok()).collect();
        Self { directories, known: Mutex::default(), said: AtomicBool::new(false) }
    }

    /// Whether the file `path`, which is at `absolute`, may be read because a record from `source` names
    /// it; false as well when it is not there. `more` are directories where that record may name files.
    pub fn hold_file(
        &self,
        path: &RootPath,
        absolute: &Path,
        source: Source,
        more: impl FnOnce() -> Vec<Arc<Path>>,
    ) -> bool {
        match self.standing(path, absolute) {
            None | Some(Standing::Refused) => false,
            Some(Standing::Inside) => true,
            Some(Standing::Elsewhere(_)) if source == Source::BuildDirectory => true,
            Some(Standing::Elsewhere(real)) => {
                let held = more().iter().any(|directory| real.starts_with(directory));
                if !held {
                    self.say(&real, "is neither in a package nor where its target looks for files");
                }
                held
            }
        }
    }

    /// Whether the directory that is at `real`, without links, may be searched because a record from
    /// `source` names it.
    pub fn hold_directory(
        &self,
        real: &Path,
        source: Source,
        more: impl FnOnce() -> Vec<Arc<Path>>,
    ) -> bool {
        let held = self.is_inside(real)
            || !is_made_up(real)
                && (source == Source::BuildDirectory
                    || more().iter().any(|directory| real.starts_with(directory)));
        if !held {
            self.say(real, "is a directory in which its target does not look for files");
        }
        held
    }

    /// Whether a record may have `names` looked for in `directories`, so many of each.
    pub fn hold_search(&self, directories: usize, names: usize) -> bool {
        let held = directories.saturating_mul(names) <= MOST_LOOKS;
        if !held {
            self.say(Path::new(""), "has too much searched for");
        }
        held
    }

    /// `None` for a file that is not there, which may change while the build goes on.
    fn standing(&self, path: &RootPath, absolute: &Path) -> Option<Standing> {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(standing) = known().get(path) {
            return Some(standing.clone());
        }
        let standing = self.look(absolute)?;
        known().insert(path.clone(), standing.clone());
        Some(standing)
    }

    fn look(&self, absolute: &Path) -> Option<Standing> {
        let real = absolute.canonicalize().ok()?;
        let found = real.symlink_metadata().ok()?;
        if real == Path::new(NULL) {
            return Some(Standing::Inside);
        }
        let refused = |why: &str| {
            self.say(&real, why);
            Some(Standing::Refused)
        };
        if !found.is_file() {
            return refused("is no regular file");
        }
        if found.len() > LARGEST {
            return refused("is too large");
        }
        if self.is_inside(&real) {
            return Some(Standing::Inside);
        }
        if is_made_up(&real) {
            return refused("is no file on a disk");
        }
        Some(Standing::Elsewhere(real.into()))
    }

    fn is_inside(&self, real: &Path) -> bool {
        self.directories.iter().any(|directory| real.starts_with(directory))
    }

    /// Says once at info what is not believed, and of the rest the details only.
    fn say(&self, path: &Path, why: &str) {
        let message = format!(
            "a record of an earlier build is not believed: what it names {why} ({})",
            path.display()
        );
        match self.said.swap(true, Ordering::Relaxed) {
            false => tracing::info!("{message}"),
            true => tracing::debug!("{message}"),
        }
    }
}

/// Whether what is at `real` is made up by the kernel.
fn is_made_up(real: &Path) -> bool {
    KERNEL.iter().any(|directory| real.starts_with(directory)) && !real.starts_with(MEMORY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        fs::{self, File},
        os::unix::fs::symlink,
    };

    use larder_project::place::Places;

    /// A package at `p`, with files beside it.
    struct Ground {
        place: tempfile::TempDir,
        grounds: Grounds,
    }

    impl Ground {
        fn new() -> Self {
            Self::at(tempfile::tempdir().unwrap())
        }

        fn at(place: tempfile::TempDir) -> Self {
            let root = place.path().join("p");
            for directory in ["p/src", "p/inc", "p/.larder/build", "beside"] {
                fs::create_dir_all(place.path().join(directory)).unwrap();
            }
            let grounds = Grounds::new(&root, &[Place::new(&root, "p", &root)]);
            Self { place, grounds }
        }

        fn holds(&self, path: &str, source: Source, more: &[&str]) -> bool {
            let root = self.place.path().join("p");
            let places = Places::new(root.clone(), Vec::new());
            let path = places.of_absolute(&root.join(path).to_string_lossy());
            let more = || {
                let real = |path: &&str| self.place.path().join(path).canonicalize().unwrap();
                more.iter().map(real).map(Arc::from).collect()
            };
            self.grounds.hold_file(&path, &root.join(path.as_str()), source, more)
        }

        fn file(&self, path: &str) {
            fs::write(self.place.path().join(path), path).unwrap();
        }
    }

    const SOURCES: [Source; 2] = [Source::BuildDirectory, Source::Store];

    #[test]
    fn files_of_packages_and_of_the_system_are_looked_at() {
        let ground = Ground::new();
        ground.file("p/inc/a.h");
        ground.file("p/.larder/build/made.h");
        let (root, system) = (ground.place.path().join("p"), "/usr/bin/env");
        symlink("../inc", root.join("src/inc")).unwrap();
        for path in ["inc/a.h", "src/inc/a.h", ".larder/build/made.h", system, NULL] {
            SOURCES.iter().for_each(|&source| assert!(ground.holds(path, source, &[]), "{path}"));
        }
    }

    #[test]
    fn files_in_memory_are_files() {
        // Not every system has it.
        let Ok(place) = tempfile::tempdir_in(MEMORY) else { return };
        let ground = Ground::at(place);
        ground.file("p/inc/a.h");
        ground.file("beside/b.h");
        assert!(ground.holds("inc/a.h", Source::Store, &[]));
        assert!(ground.holds("../beside/b.h", Source::Store, &["beside"]));
    }

    #[test]
    fn what_has_no_end_or_makes_wait_is_not_looked_at_whoever_names_it() {
        let ground = Ground::new();
        let root = ground.place.path().join("p");
        rustix::fs::mkfifoat(rustix::fs::CWD, root.join("pipe"), rustix::fs::Mode::RWXU).unwrap();
        File::create(root.join("huge")).unwrap().set_len(LARGEST + 1).unwrap();
        symlink("/dev/zero", root.join("zero")).unwrap();
        symlink("/proc/self/status", root.join("status")).unwrap();
        let kernel = ["/dev/zero", "/proc/kmsg", "/proc/kcore", "/proc/self/environ"];
        let own = ["pipe", "huge", "zero", "status", "gone", "src"];
        for path in kernel.iter().chain(&own) {
            for source in SOURCES {
                assert!(!ground.holds(path, source, &["p", "beside"]), "{path}");
            }
        }
    }

    #[test]
    fn mappings_name_no_file_outside_of_where_the_target_searches() {
        let ground = Ground::new();
        ground.file("beside/b.h");
        symlink("../../beside", ground.place.path().join("p/src/out")).unwrap();
        for path in ["../beside/b.h", "src/out/b.h", "inc/../../beside/b.h"] {
            assert!(!ground.holds(path, Source::Store, &[]), "{path}");
            assert!(ground.holds(path, Source::Store, &["beside"]), "{path}");
            assert!(ground.holds(path, Source::BuildDirectory, &[]), "{path}");
        }
        assert!(!ground.holds("../../../../../../../../etc/passwd", Source::Store, &[]));
        let real = ground.place.path().join("beside").canonicalize().unwrap();
        let more = |directories: &'static [&'static str]| {
            move || directories.iter().map(|it| Arc::from(Path::new(*it))).collect()
        };
        assert!(!ground.grounds.hold_directory(&real, Source::Store, more(&[])));
        assert!(ground.grounds.hold_directory(&real, Source::Store, more(&["/"])));
        assert!(ground.grounds.hold_directory(&real, Source::BuildDirectory, more(&[])));
        for source in SOURCES {
            assert!(!ground.grounds.hold_directory(Path::new("/proc/self"), source, more(&["/"])));
        }
    }
}
