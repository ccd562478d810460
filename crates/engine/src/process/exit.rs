//! How commands end, and what they cost, as plain data.

use super::Limit;
use std::{fmt, os::unix::process::ExitStatusExt, process::ExitStatus, time::Duration};

/// How a command ended. Shown, it completes a sentence that begins with the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// With this exit code; 0 is success.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// It was ended because it ran for longer than this, its limit.
    TimedOut(Duration),
    /// It was ended because it, or others that it shares an allowance with, reached this limit.
    Limited(Limit),
}

impl Exit {
    /// Whether it did what it was to do.
    pub fn success(self) -> bool {
        self == Self::Code(0)
    }
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Self {
        match status.signal() {
            Some(signal) => Self::Signal(signal),
            // Every status that was waited for to the end is one or the other.
            None => Self::Code(status.code().unwrap_or(-1)),
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Code(0) => f.write_str("succeeded"),
            Self::Code(code) => write!(f, "failed with exit code {code}"),
            Self::Signal(9) => f.write_str("was killed (SIGKILL), perhaps for want of memory"),
            Self::Signal(signal) => match name(signal) {
                Some(name) => write!(f, "was ended by signal {signal} ({name})"),
                None => write!(f, "was ended by signal {signal}"),
            },
            Self::Limited(limit) => limit.fmt(f),
            Self::TimedOut(limit) => {
                write!(f, "was ended because it took longer than {} s", limit.as_secs_f64())
            }
        }
    }
}

/// The signals that have the same number on every system, and the one that sandboxes send.
fn name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        5 => "SIGTRAP",
        6 => "SIGABRT",
        8 => "SIGFPE",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        #[cfg(target_os = "linux")]
        7 => "SIGBUS",
        #[cfg(target_os = "linux")]
        31 => {
            "SIGSYS: a system call that is not allowed; in a sandbox, any system call of a 32-bit program"
        }
        _ => return None,
    })
}

/// The cost of a command with all processes that it started and waited for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// From its start to its end.
    pub wall: Duration,
    /// Time on a processor in its own code.
    pub user: Duration,
    /// Time on a processor in the kernel.
    pub system: Duration,
    /// The most memory that the largest of its processes had at any time, in bytes.
    pub peak_memory: u64,
}
