//! `--sandbox`: a command sees what the manifest declares, its tools and a directory for temporary
//! files; it writes only there, has no network, and reaches neither the home directory nor the rest
//! of the environment.
//!
//! This module decides what each command sees; [`kernel`] has it enforced by Landlock and
//! [`calls`] by seccomp, with nothing to set up and no privilege to have. When a command was refused
//! something, [`refusals`] tells which line of the manifest would declare it.

#[cfg(target_os = "linux")]
mod calls;
#[cfg(target_os = "linux")]
mod kernel;
#[cfg(not(target_os = "linux"))]
#[path = "sandbox/elsewhere.rs"]
mod kernel;
mod refusals;
mod statements;
mod tools;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
};

use larder_project::diagnostic::Diagnostic;
use larder_trace::describe_io;

pub use self::kernel::Access;
use self::{
    kernel::{Calls, Rule},
    tools::{Installation, Visible},
};

use crate::environment::Environment;

pub use self::refusals::{Declaration, Refused, declarations};

/// Permissions besides what the manifest declares: for whoever builds to give, never for
/// the manifest.
#[derive(Debug, Clone, Default)]
pub struct Permissions {
    /// Files, and directories with all that is below them.
    pub read: Vec<PathBuf>,
    /// Environment variables that a command's `pass-env` may name.
    pub environment: Vec<String>,
    /// The environment of whoever builds. Its `PATH` and `LEAN_SYSROOT` lead to the tools that commands
    /// may run, and its `HOME` to what they may not see.
    pub surroundings: Arc<Environment>,
}

/// Why there is no sandbox.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The kernel cannot keep commands from files.
    #[error(
        "--sandbox needs Linux 6.2 or later with Landlock (version 3), but {0}; nothing was \
         built: build on another machine, or without --sandbox if you trust every package"
    )]
    NoLandlock(String),
    /// The kernel has it and does not play along.
    #[error("the kernel refuses to make a sandbox: {0}")]
    Kernel(String),
    /// There is no thread for it to be made on.
    #[error("cannot start a thread that makes a sandbox: {}", describe_io(.0))]
    Thread(std::io::Error),
    /// Something that was allowed is not there.
    #[error("--allow-read {}: {}", path.display(), larder_trace::describe_io(source))]
    Permission {
        /// The path.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
}

/// The packages whose commands are to be confined.
#[derive(Default)]
pub struct Packages {
    /// Their names and directories, absolute, the root first. Declared files are inside these.
    pub directories: Vec<(String, PathBuf)>,
    /// Where targets are declared, to point at when a command is refused something; may be empty.
    pub declarations: Vec<Declaration>,
}

/// How the commands of one build are confined.
pub struct Sandbox {
    calls: Calls,
    /// Seen by every command.
    common: Vec<Visible>,
    /// The packages' directories, as canonical paths. Declared files are looked for inside these only.
    packages: Vec<(PathBuf, Rule)>,
    /// Where tools are, besides the system's directories.
    installations: Vec<Installation>,
    home: Option<PathBuf>,
    environment: Vec<String>,
    declarations: Vec<Declaration>,
}

/// The files that a command is to see, besides those that every command sees. All paths are absolute;
/// what is not there is not seen.
#[derive(Clone, Copy)]
pub struct Wants<'a> {
    /// Its program; seen with the installation that it belongs to.
    pub program: &'a Path,
    /// Further programs, likewise.
    pub tools: &'a [PathBuf],
    /// Files of packages, and directories with all that is in them.
    pub read: &'a [PathBuf],
    /// Directories of packages whose names it may list.
    pub list: &'a [PathBuf],
    /// Files of the system. Those that are not for everybody to read, or lie in the home directory, stay
    /// hidden: a manifest may name any path.
    pub system: &'a [PathBuf],
    /// The directory that it may write to.
    pub staging: &'a Path,
    /// Files and directories of packages that it may write to besides, and whether it may read there.
    pub written: &'a [(PathBuf, Access)],
    /// Whether it sees all programs that are on `PATH`: nobody knows which it runs.
    pub installed: bool,
}

/// All that one command sees.
pub struct View {
    rules: Vec<Rule>,
    /// Files and directories that it may read, or write.
    paths: Vec<PathBuf>,
}

/// Environment variables that tell nothing of whoever builds.
const HARMLESS: &[&str] = &["SOURCE_DATE_EPOCH"];

impl Sandbox {
    /// For commands of `packages`, after trying that the kernel enforces it.
    ///
    /// # Errors
    /// When the kernel lacks something, and when a permitted path is not there.
    pub fn new(packages: Packages, permissions: &Permissions) -> Result<Self, SandboxError> {
        let calls = Calls::new()?;
        kernel::probe(&calls)?;
        kernel::keep_descriptors();
        let home = home(&permissions.surroundings).and_then(|home| home.canonicalize().ok());
        let mut common = tools::system();
        for path in &permissions.read {
            let failed = |source| SandboxError::Permission { path: path.clone(), source };
            common.push(Visible::new(path, Access::Read).map_err(failed)?);
        }
        let directories = packages.directories.iter().filter_map(|(_, directory)| {
            let directory = directory.canonicalize().ok()?;
            let rule = Rule::new(&directory, Access::Read).ok()?;
            Some((directory, rule))
        });
        Ok(Self {
            calls,
            common,
            packages: directories.collect(),
            installations: tools::installed(&permissions.surroundings, home.as_deref()),
            home,
            environment: permissions.environment.clone(),
            declarations: packages.declarations,
        })
    }

    /// The view of a command that sees what it `wants`, as far as it may.
    ///
    /// # Errors
    /// When there is no such staging directory.
    pub fn view(&self, wants: &Wants<'_>) -> std::io::Result<View> {
        let mut view = View { rules: Vec::new(), paths: Vec::new() };
        view.show(&Visible::new(wants.staging, Access::Write)?);
        self.common.iter().for_each(|visible| view.show(visible));
        self.show_program(wants.program, &mut view);
        wants.tools.iter().for_each(|tool| self.show_program(tool, &mut view));
        for path in wants.read {
            if let Some(rule) = self.declared(path, Access::Read) {
                view.rules.push(rule);
                view.paths.push(path.clone());
            }
        }
        for (path, access) in wants.written {
            let Some(rule) = self.declared(path, *access) else { continue };
            view.rules.push(rule);
            if *access == Access::Write {
                view.paths.push(path.clone());
            }
        }
        if wants.installed {
            let parts = self.installations.iter().flat_map(|found| &found.parts);
            parts.for_each(|part| view.show(part));
        }
        let listed = wants.list.iter().filter_map(|path| self.declared(path, Access::List));
        view.rules.extend(listed);
        let system = wants.system.iter().filter(|path| self.is_everybodys(path));
        system.filter_map(|path| Visible::new(path, Access::Read).ok()).for_each(|f| view.show(&f));
        Ok(view)
    }

    /// The view of tools that larder itself asks who they are: all that is on `PATH`, and `others`.
    /// They write in `temporary` only.
    ///
    /// # Errors
    /// When there is no such temporary directory.
    pub fn view_of_tools(
        &self,
        others: &[&Path],
        temporary: Option<&Path>,
    ) -> std::io::Result<View> {
        let mut view = View { rules: Vec::new(), paths: Vec::new() };
        if let Some(temporary) = temporary {
            view.show(&Visible::new(temporary, Access::Write)?);
        }
        self.common.iter().for_each(|visible| view.show(visible));
        self.installations.iter().flat_map(|found| &found.parts).for_each(|part| view.show(part));
        others.iter().for_each(|tool| self.show_program(tool, &mut view));
        Ok(view)
    }

    /// Does `work`, and whatever that starts, with nothing but `view` to see.
    ///
    /// # Errors
    /// When the kernel does not enforce that; then nothing was done.
    pub fn confined<T: Send>(
        &self,
        view: &View,
        work: impl FnOnce() -> T + Send,
    ) -> Result<T, SandboxError> {
        kernel::confined(&view.rules, &self.calls, work)
    }

    /// Whether commands may have the environment variable `name`.
    pub fn permits(&self, name: &str) -> bool {
        HARMLESS.contains(&name) || self.environment.iter().any(|permitted| permitted == name)
    }

    /// The message for when `target` asks for a variable that it may not have.
    pub fn withholds(&self, target: &str, name: &str) -> String {
        let message = format!("`{target}` asks for the environment variable {name}");
        let help = format!(
            "a sandboxed command gets none that might reveal a secret; to let it have this one, \
             build with --allow-env {name}"
        );
        self.at(target, Diagnostic::new(message).help(help)).to_string()
    }

    /// A package's file, unless a symbolic link leads out of all packages: what a manifest may declare
    /// is its package's own.
    fn declared(&self, path: &Path, access: Access) -> Option<Rule> {
        self.inside(path, access).or_else(|| self.inside(&path.canonicalize().ok()?, access))
    }

    fn inside(&self, path: &Path, access: Access) -> Option<Rule> {
        let (tree, local) = self
            .packages
            .iter()
            .filter_map(|(directory, tree)| Some((tree, path.strip_prefix(directory).ok()?)))
            .min_by_key(|(_, local)| local.as_os_str().len())?;
        Rule::inside(tree, local, access).ok()
    }

    /// Whether a file holds nothing that is the user's own.
    fn is_everybodys(&self, path: &Path) -> bool {
        use std::os::unix::fs::PermissionsExt;
        let Ok(path) = path.canonicalize() else { return false };
        let readable =
            path.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o4 != 0);
        readable && !self.home.as_deref().is_some_and(|home| path.starts_with(home))
    }

    fn show_program(&self, program: &Path, view: &mut View) {
        if self.packages.iter().any(|(directory, _)| program.starts_with(directory)) {
            if let Some(rule) = self.declared(program, Access::Read) {
                view.rules.push(rule);
                view.paths.push(program.to_owned());
            }
            return;
        }
        // A program may be a link into the installation that it belongs to.
        let resolved = program.canonicalize().unwrap_or_else(|_| program.to_owned());
        for path in [program, &resolved] {
            if tools::is_system(path) {
                continue;
            }
            Visible::new(path, Access::Read).iter().for_each(|file| view.show(file));
            let known = self.installations.iter().filter(|found| found.has(path));
            known.flat_map(|found| &found.parts).for_each(|part| view.show(part));
            // A manifest may name any path; in the home directory, only what is on PATH is a tool.
            if !self.home.as_deref().is_some_and(|home| path.starts_with(home))
                && let Some(found) = Installation::of(path, self.home.as_deref())
            {
                found.parts.iter().for_each(|part| view.show(part));
            }
        }
    }
}

impl View {
    fn show(&mut self, visible: &Visible) {
        self.rules.push(visible.rule.clone());
        self.paths.push(visible.path.clone());
    }
}

/// The home directory: `HOME`, else what the system's list of users has.
fn home(surroundings: &Environment) -> Option<PathBuf> {
    let named = surroundings.get("HOME").filter(|home| !home.is_empty());
    named.map(PathBuf::from).or_else(std::env::home_dir)
}

/// The environment of a sandboxed command: programs look for a home where they may write.
pub fn without_home(environment: &mut [(String, OsString)], temporary: &Path) {
    for (_, value) in environment.iter_mut().filter(|(name, _)| name == "HOME") {
        *value = temporary.into();
    }
}
