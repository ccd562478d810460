//! Where tools are: the system's directories, and installations elsewhere.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::kernel::{Access, Rule};
use crate::{environment::Environment, grounds::SYSTEM};

/// What the loader and common libraries of the system are configured by, and its devices.
const CONFIGURATION: &[&str] = &[
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/ld.so.preload",
    "/etc/localtime",
    "/etc/ssl/openssl.cnf",
    // How much work to do at once.
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/sys/devices/system/cpu",
    "/dev/random",
    "/dev/urandom",
];

/// All of the system that tools may read.
fn readable() -> impl Iterator<Item = &'static &'static str> {
    SYSTEM.iter().chain(CONFIGURATION)
}

const DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/full"];

/// The parts of an installation below its prefix. Not all of it: in `~/.local` and `~/.cargo`
/// there are secrets beside the programs.
const PARTS: &[&str] = &[
    "bin",
    "include",
    "lib",
    "lib32",
    "lib64",
    "libexec",
    // Of a Python environment; of rustup and elan.
    "pyvenv.cfg",
    "settings.toml",
    "toolchains",
    // Of pyenv, rbenv, nodenv and asdf, which keep several versions of a tool behind one name.
    "installs",
    "plugins",
    "shims",
    "version",
    "versions",
];

/// A file or directory that is visible, and how.
pub struct Visible {
    pub path: PathBuf,
    pub rule: Rule,
}

impl Visible {
    pub fn new(path: &Path, access: Access) -> io::Result<Self> {
        Ok(Self { path: path.canonicalize()?, rule: Rule::new(path, access)? })
    }
}

/// The files that every command sees.
pub fn system() -> Vec<Visible> {
    let read = readable().map(|path| (path, Access::Read));
    let devices = DEVICES.iter().map(|path| (path, Access::Device));
    // What a system does not have is not missed.
    let mut found: Vec<Visible> = read
        .chain(devices)
        .filter_map(|(path, access)| Visible::new(Path::new(path), access).ok())
        .collect();
    found.sort_by(|a, b| a.path.cmp(&b.path));
    // On most systems /bin and /lib are links into /usr.
    found.dedup_by(|later, kept| later.path.starts_with(&kept.path));
    found
}

/// Whether `path` belongs to the system: every command sees it anyway.
pub fn is_system(path: &Path) -> bool {
    readable().any(|system| path.starts_with(system))
}

/// A place where programs were installed with what belongs to them.
pub struct Installation {
    prefix: PathBuf,
    pub parts: Vec<Visible>,
}

impl Installation {
    /// The installation that `program` belongs to: `PREFIX/bin/PROGRAM`, or `PREFIX/shims/PROGRAM`.
    pub fn of(program: &Path, home: Option<&Path>) -> Option<Self> {
        let directory = program.parent()?;
        if !directory.ends_with("bin") && !directory.ends_with("shims") {
            return None;
        }
        let prefix = directory.parent()?;
        // A `bin` of the user's own, among everything else that is the user's.
        let everything = prefix.parent().is_none() || home.is_some_and(|h| h.starts_with(prefix));
        (!everything).then(|| Self::at(prefix, home))
    }

    fn at(prefix: &Path, home: Option<&Path>) -> Self {
        let private = home.is_some_and(|home| prefix.starts_with(home));
        let mut names: Vec<PathBuf> = PARTS.iter().map(PathBuf::from).collect();
        names.extend((!private).then(|| "share".into()));
        // A cross compiler's own, such as `aarch64-none-elf`.
        let entries = fs::read_dir(prefix).into_iter().flatten().flatten();
        names.extend(entries.map(|entry| PathBuf::from(entry.file_name())).filter(|name| {
            let name = name.to_string_lossy();
            name.matches('-').count() >= 2 && !name.starts_with('.')
        }));
        let parts = names.iter().map(|name| prefix.join(name));
        let parts = parts.filter_map(|path| Visible::new(&path, Access::Read).ok()).collect();
        Self { prefix: prefix.to_owned(), parts }
    }

    /// Whether `program` is in it.
    pub fn has(&self, program: &Path) -> bool {
        program.starts_with(&self.prefix)
    }
}

/// The installations that `PATH` and `LEAN_SYSROOT` lead to, outside the system's directories.
pub fn installed(environment: &Environment, home: Option<&Path>) -> Vec<Installation> {
    let on_path = environment
        .directories()
        .filter(|directory| directory.is_absolute() && !is_system(directory));
    let mut found: Vec<Installation> = on_path
        .flat_map(|directory| {
            let program = directory.join("program");
            let resolved = directory.canonicalize().ok().map(|found| found.join("program"));
            [Some(program), resolved]
        })
        .flatten()
        .filter_map(|program| Installation::of(&program, home))
        .collect();
    let lean = environment.get("LEAN_SYSROOT").map(PathBuf::from).filter(|path| path.is_absolute());
    found.extend(lean.map(|prefix| Installation::at(&prefix, home)));
    found.sort_by(|a, b| a.prefix.cmp(&b.prefix));
    found.dedup_by(|later, kept| later.prefix == kept.prefix);
    found
}
