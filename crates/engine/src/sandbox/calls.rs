//! System calls that sandboxed commands are refused: the ways around files.

use std::{collections::BTreeMap, env::consts::ARCH};

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen::Dword, SeccompCmpOp,
    SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

use super::SandboxError;

/// Refused with `EPERM`.
const REFUSED: &[i64] = &[
    // Networks, and servers of this machine: the Docker daemon, the SSH agent, the session bus.
    libc::SYS_socket,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    // A second way to do most other calls, which these filters would not see.
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    // The user's keys, and memory and messages of the user's other processes.
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_shmctl,
    libc::SYS_semget,
    libc::SYS_semctl,
    libc::SYS_semop,
    libc::SYS_semtimedop,
    libc::SYS_msgget,
    libc::SYS_msgsnd,
    libc::SYS_msgrcv,
    libc::SYS_msgctl,
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
    // Watching what others do with files; files without paths.
    libc::SYS_inotify_add_watch,
    libc::SYS_fanotify_init,
    libc::SYS_open_by_handle_at,
    // Into namespaces of others.
    libc::SYS_setns,
    // The machine itself, where larder runs as root.
    libc::SYS_acct,
    libc::SYS_adjtimex,
    libc::SYS_bpf,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_finit_module,
    libc::SYS_init_module,
    libc::SYS_kexec_load,
    libc::SYS_perf_event_open,
    libc::SYS_quotactl,
    libc::SYS_reboot,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_vhangup,
];

/// Labels of files, by path: Landlock does not look at these. They are said to be none of this file system's, which
/// programs such as `install` expect of some; that they may not is none of what they expect.
const UNSUPPORTED: &[i64] = &[
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    SET_XATTR_AT,
    REMOVE_XATTR_AT,
    SET_FILE_ATTRIBUTES,
];

/// `setxattrat`, `removexattrat` and `file_setattr`, which came with Linux 6.13 and 6.17 and have the same
/// numbers on all processors.
const SET_XATTR_AT: i64 = 463;
const REMOVE_XATTR_AT: i64 = 466;
const SET_FILE_ATTRIBUTES: i64 = 469;

/// Refused with `EPERM` when the first argument is not 0, which stands for the caller: how another process
/// of the user is scheduled, which limits it has and where its memory is.
const FOR_ITSELF: &[i64] = &[
    libc::SYS_prlimit64,
    libc::SYS_sched_setaffinity,
    libc::SYS_sched_setattr,
    libc::SYS_sched_setparam,
    libc::SYS_sched_setscheduler,
    libc::SYS_migrate_pages,
    libc::SYS_move_pages,
];

/// The same where the first argument says what the second one names: a process, by this number.
const FOR_ITSELF_OF_KIND: &[(i64, u64)] = &[(libc::SYS_setpriority, 0), (libc::SYS_ioprio_set, 1)];

/// Said to be unknown: its flags are in memory, where no filter sees them. Libraries then call `clone`.
const UNKNOWN: &[i64] = &[libc::SYS_clone3];

/// Said to be done, and not done: archivers that run as root hand every file to its owner, and stop
/// when they cannot.
const PRETENDED: &[i64] = &[
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lchown,
    libc::SYS_fchown,
    libc::SYS_fchownat,
];

/// Programs of the x32 kind make the calls of x86-64 with this bit set.
const X32: i64 = 0x4000_0000;

/// The filters, ready to be installed. A program of another architecture, such as a 32-bit one, is
/// ended at its first call.
pub struct Calls {
    refuse: BpfProgram,
    unsupported: BpfProgram,
    unknown: BpfProgram,
    pretend: BpfProgram,
}

impl Calls {
    /// Puts the filters together.
    ///
    /// # Errors
    /// When they are not known for this architecture.
    pub fn new() -> Result<Self, SandboxError> {
        filters().map_err(|error| SandboxError::Kernel(error.to_string()))
    }

    /// Binds the calling thread, and what it starts, to the filters.
    ///
    /// # Errors
    /// When the kernel does not take them.
    pub fn refuse(&self) -> Result<(), SandboxError> {
        [&self.refuse, &self.unsupported, &self.unknown, &self.pretend].into_iter().try_for_each(
            |filter| {
                seccompiler::apply_filter(filter)
                    .map_err(|error| SandboxError::Kernel(error.to_string()))
            },
        )
    }
}

fn filters() -> Result<Calls, BackendError> {
    let mut refused: BTreeMap<i64, Vec<SeccompRule>> =
        REFUSED.iter().map(|&call| (call, Vec::new())).collect();
    refused.insert(libc::SYS_socketpair, other_than_streams()?);
    for &call in FOR_ITSELF {
        refused.insert(call, vec![is_not(0, 0)?]);
    }
    for &(call, process) in FOR_ITSELF_OF_KIND {
        refused.insert(call, vec![is_not(0, process)?, is_not(1, 0)?]);
    }
    refused.insert(libc::SYS_unshare, namespaces()?);
    refused.insert(libc::SYS_clone, namespaces()?);
    let all = |calls: &[i64]| calls.iter().map(|&call| (call, Vec::new())).collect();
    let (unsupported, unknown, pretended) = (all(UNSUPPORTED), all(UNKNOWN), all(PRETENDED));
    Ok(Calls {
        refuse: filter(refused, SeccompAction::Errno(libc::EPERM as u32))?,
        unsupported: filter(unsupported, SeccompAction::Errno(libc::EOPNOTSUPP as u32))?,
        unknown: filter(unknown, SeccompAction::Errno(libc::ENOSYS as u32))?,
        pretend: filter(pretended, SeccompAction::Errno(0))?,
    })
}

/// An argument that is something else.
fn is_not(argument: u8, value: u64) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(vec![SeccompCondition::new(argument, Dword, SeccompCmpOp::Ne, value)?])
}

/// New namespaces: in one of its own users, a process may do much of what only root may do elsewhere.
fn namespaces() -> Result<Vec<SeccompRule>, BackendError> {
    let flags = [
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWNS,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWNET,
        libc::CLONE_NEWIPC,
        libc::CLONE_NEWUTS,
        libc::CLONE_NEWCGROUP,
    ];
    let rule = |flag: libc::c_int| {
        let flag = u64::from(flag as u32);
        let set = SeccompCondition::new(0, Dword, SeccompCmpOp::MaskedEq(flag), flag)?;
        SeccompRule::new(vec![set])
    };
    flags.into_iter().map(rule).collect()
}

/// A pair of sockets for datagrams could be connected to somebody else; one for streams could not.
fn other_than_streams() -> Result<Vec<SeccompRule>, BackendError> {
    let domain = SeccompCondition::new(0, Dword, SeccompCmpOp::Ne, libc::AF_UNIX as u64)?;
    let mut rules = vec![SeccompRule::new(vec![domain])?];
    // The upper bits of the type are flags. A raw one is one for datagrams.
    for kind in [libc::SOCK_DGRAM, libc::SOCK_RAW] {
        let kind = SeccompCondition::new(1, Dword, SeccompCmpOp::MaskedEq(0xf), kind as u64)?;
        rules.push(SeccompRule::new(vec![kind])?);
    }
    Ok(rules)
}

/// `action` for some calls, nothing for all others.
fn filter(
    mut calls: BTreeMap<i64, Vec<SeccompRule>>,
    action: SeccompAction,
) -> Result<BpfProgram, BackendError> {
    let architecture = TargetArch::try_from(ARCH)?;
    if architecture == TargetArch::x86_64 {
        let x32: Vec<_> = calls.iter().map(|(call, rules)| (call | X32, rules.clone())).collect();
        calls.extend(x32);
    }
    SeccompFilter::new(calls, SeccompAction::Allow, action, architecture)?.try_into()
}
