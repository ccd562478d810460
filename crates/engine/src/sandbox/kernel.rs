//! The part that the kernel enforces: Landlock for files, seccomp for everything that is no file.
//!
//! Both bind the calling thread and whatever it starts, for good. So a thread is made for every
//! command, binds itself, starts the command and ends; the rest of larder stays as free as it was.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
    sync::Arc,
    thread,
};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus,
    PathBeneath, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};

use super::SandboxError;
pub use super::calls::Calls;

/// The oldest Landlock that will do: before Linux 6.2 it let everybody truncate any file.
const REQUIRED: ABI = ABI::V3;

/// The newest Landlock whose rights this was tried with; used as far as the kernel knows them.
const WANTED: ABI = ABI::V6;

/// The things that may be done with a file, or with everything below a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// See which names there are.
    List,
    /// See names, read files and run them.
    Read,
    /// Read and write, as with `/dev/null`.
    Device,
    /// See names, and make, change and remove files without reading any.
    Make,
    /// Everything that the owner may do, except making devices and sockets.
    Write,
}

impl Access {
    fn flags(self, directory: bool) -> BitFlags<AccessFs> {
        let read = AccessFs::from_read(REQUIRED);
        let devices = AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::MakeSock;
        let flags = match self {
            Self::List => AccessFs::ReadDir.into(),
            Self::Read => read,
            Self::Device => AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::Truncate,
            Self::Make => {
                let reading = AccessFs::ReadFile | AccessFs::Execute;
                AccessFs::from_all(REQUIRED) & !devices & !reading
            }
            Self::Write => AccessFs::from_all(REQUIRED) & !devices,
        };
        if directory { flags } else { flags & AccessFs::from_file(REQUIRED) }
    }
}

/// A file or directory with what may be done with it. It stays the same one whatever becomes of the
/// path it was found by.
#[derive(Debug, Clone)]
pub struct Rule {
    file: Arc<OwnedFd>,
    flags: BitFlags<AccessFs>,
}

impl Rule {
    /// For whatever `path` leads to.
    ///
    /// # Errors
    /// When there is nothing.
    pub fn new(path: &Path, access: Access) -> io::Result<Self> {
        Self::of(rustix::fs::openat(CWD, path, OPEN, Mode::empty())?, access)
    }

    /// For what `path`, relative to `tree`, leads to without leaving it.
    ///
    /// # Errors
    /// When there is nothing, or when a symbolic link leads out of the tree.
    pub fn inside(tree: &Rule, path: &Path, access: Access) -> io::Result<Self> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let stay = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        Self::of(rustix::fs::openat2(&tree.file, path, OPEN, Mode::empty(), stay)?, access)
    }

    fn of(file: OwnedFd, access: Access) -> io::Result<Self> {
        let mode = rustix::fs::fstat(&file)?.st_mode;
        let directory = rustix::fs::FileType::from_raw_mode(mode).is_dir();
        Ok(Self { file: Arc::new(file), flags: access.flags(directory) })
    }
}

const OPEN: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

/// Keeps files that larder was started with, beyond its three standard ones, from what it starts: to
/// an open file no rule applies.
pub fn keep_descriptors() {
    close_fds::set_fds_cloexec_threadsafe(3, &[]);
}

/// Does `work` on a thread that may do only what `rules` say. What it starts is bound likewise, and
/// for as long as it lives.
///
/// # Errors
/// When the kernel does not enforce all of it; `work` is then not done.
pub fn confined<T: Send>(
    rules: &[Rule],
    calls: &Calls,
    work: impl FnOnce() -> T + Send,
) -> Result<T, SandboxError> {
    thread::scope(|scope| {
        let confined =
            thread::Builder::new().name("sandbox".to_owned()).spawn_scoped(scope, || {
                restrict(rules)?;
                calls.refuse()?;
                Ok(work())
            });
        let joined = confined.map_err(SandboxError::Thread)?.join();
        joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Binds the calling thread to `rules`.
fn restrict(rules: &[Rule]) -> Result<(), SandboxError> {
    let ruleset = || -> Result<_, RulesetError> {
        let mut created = Ruleset::default()
            .set_compatibility(CompatLevel::HardRequirement)
            .handle_access(AccessFs::from_all(REQUIRED))?
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(WANTED))?
            .handle_access(AccessNet::from_all(WANTED))?
            .scope(Scope::from_all(WANTED))?
            .create()?;
        for rule in rules.iter().filter(|rule| !rule.flags.is_empty()) {
            created = created.add_rule(PathBeneath::new(rule.file.as_fd(), rule.flags))?;
        }
        created.restrict_self()
    };
    match ruleset() {
        Ok(status) if status.ruleset != RulesetStatus::NotEnforced && status.no_new_privs => Ok(()),
        Ok(_) => Err(SandboxError::Kernel("Landlock did not enforce its rules".to_owned())),
        Err(error) => Err(SandboxError::Kernel(error.to_string())),
    }
}

/// Whether this kernel enforces all that is needed, tried on a thread made for it.
///
/// # Errors
/// When it lacks something.
pub fn probe(calls: &Calls) -> Result<(), SandboxError> {
    let status = || -> Result<LandlockStatus, RulesetError> {
        let ruleset = Ruleset::default().handle_access(AccessFs::from_all(REQUIRED))?.create()?;
        Ok(ruleset.restrict_self()?.landlock)
    };
    let tried = thread::Builder::new().spawn(status).map_err(SandboxError::Thread)?.join();
    let status = tried.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    match status.map_err(|error| SandboxError::Kernel(error.to_string()))? {
        LandlockStatus::Available { effective_abi, .. } if effective_abi >= REQUIRED => {
            confined(&[], calls, || ())
        }
        status => Err(SandboxError::NoLandlock(missing(status))),
    }
}

fn missing(status: LandlockStatus) -> String {
    match status {
        LandlockStatus::NotImplemented => {
            "this kernel has none, or a container forbids it".to_owned()
        }
        LandlockStatus::NotEnabled => {
            "this kernel has it switched off (add `landlock` to its `lsm=` parameter)".to_owned()
        }
        LandlockStatus::Available { effective_abi, .. } => {
            format!("this kernel has version {}", effective_abi as i32)
        }
    }
}
