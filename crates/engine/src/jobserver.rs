//! GNU make's jobserver: one budget for larder and for what its commands run.
//!
//! A jobserver is a pipe with a byte, a token, for each job that may run besides the first one of every
//! process. Whoever has a job to run takes one and puts it back. larder offers one to its commands, so that a
//! `make`, `cargo` or `ninja` among them takes from the same slots; where it was itself started with one, it
//! takes from that and passes it on. Every command of larder on this machine holds a token while it
//! runs: the first one that larder has by itself, or another.
//!
//! The token that is larder's own lies in a pipe, too: so both kinds are waited for at once.

mod flags;

use std::{
    fs::OpenOptions,
    io::{self, PipeReader, PipeWriter, Read, Write},
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::fs::OpenOptionsExt,
    },
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

pub use self::flags::{Auth, parse};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{FileType, OFlags, fstat},
    io::{FdFlags, fcntl_setfd},
};

/// How often somebody who waits for a token looks whether the build was interrupted.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// The byte that stands for a job.
const TOKEN: u8 = b'+';

/// A jobserver: offered by this process, or by one above it.
#[derive(Debug)]
pub struct Jobserver {
    read: OwnedFd,
    write: OwnedFd,
    /// The token that this process has by itself, while nobody uses it.
    first: (PipeReader, PipeWriter),
    /// Tokens that were taken from the pipe.
    held: Mutex<Vec<u8>>,
    /// Whether nobody will ever put a token back.
    ended: AtomicBool,
    told: Told,
}

/// How commands are told of it.
#[derive(Debug)]
enum Told {
    /// As this process was told.
    Inherited(Auth),
    /// By descriptors that they inherit, to read and to write, or by a name for these.
    Offered(Offered),
}

/// A jobserver of this process's own.
#[derive(Debug)]
struct Offered {
    /// The descriptors, to read and to write.
    handed: [OwnedFd; 2],
    /// How many tokens there are.
    tokens: usize,
    /// How many commands know of it and run.
    told: AtomicUsize,
}

/// A command that knows of the jobserver, until this is dropped: when it has ended.
#[derive(Debug)]
pub struct Lent<'j>(&'j Jobserver);

/// Why a jobserver cannot be used.
#[derive(Debug, thiserror::Error)]
#[error(
    "the jobserver that MAKEFLAGS names cannot be used ({reason}); start the recipe's line with `+`"
)]
pub struct Unusable {
    reason: String,
}

/// The right to run one command, given back when it is dropped.
#[derive(Debug)]
pub struct Token<'j> {
    jobserver: &'j Jobserver,
    /// The byte that it was; none for the first one.
    byte: Option<u8>,
}

impl Jobserver {
    /// Offers one with `slots` jobs in all.
    ///
    /// # Errors
    /// When the system gives no pipe, or no way to open one anew.
    pub fn offer(slots: usize) -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        let handed: [OwnedFd; 2] = [reader.into(), writer.into()];
        // What commands get is opened by itself: some make it blocking, some not.
        let read = open(&own(handed[0].as_raw_fd()), true, false)?;
        let write = open(&own(handed[1].as_raw_fd()), false, true)?;
        for descriptor in &handed {
            fcntl_setfd(descriptor, FdFlags::empty())?;
        }
        let tokens = slots.saturating_sub(1);
        rustix::io::write(&write, &vec![TOKEN; tokens])?;
        let told = AtomicUsize::new(0);
        Self::of(read, write, Told::Offered(Offered { handed, tokens, told }))
    }

    /// Returns the one that the variable `MAKEFLAGS` names, if it names one. To be called before this process
    /// opens anything: the descriptors that it names may be closed.
    ///
    /// # Errors
    /// When that is not there.
    pub fn inherited(makeflags: &str) -> Result<Option<Self>, Unusable> {
        let Some(auth) = parse(makeflags) else { return Ok(None) };
        let unusable = |reason: String| Unusable { reason };
        let (read, write) = match &auth {
            Auth::Fifo(path) => (path.clone(), path.clone()),
            Auth::Descriptors(read, write) => (own(*read), own(*write)),
            Auth::Other(text) => {
                return Err(unusable(format!("`{text}` is no way to one known here")));
            }
        };
        let fifo = matches!(auth, Auth::Fifo(_));
        let open = |path: &Path, write: bool| {
            let opened = open(path, !write || fifo, write || fifo).map_err(|error| {
                let reason = larder_trace::describe_io(&error);
                unusable(match fifo {
                    true => format!("{}: {reason}", path.display()),
                    false => "its descriptors are closed".to_owned(),
                })
            })?;
            let is_pipe = fstat(&opened)
                .is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::Fifo);
            is_pipe.then_some(opened).ok_or_else(|| unusable("it is no pipe".to_owned()))
        };
        let (read, write) = (open(&read, false)?, open(&write, true)?);
        let made = Self::of(read, write, Told::Inherited(auth.clone()));
        made.map(Some).map_err(|error| unusable(larder_trace::describe_io(&error)))
    }

    fn of(read: OwnedFd, write: OwnedFd, told: Told) -> io::Result<Self> {
        let first = io::pipe()?;
        rustix::io::ioctl_fionbio(&first.0, true)?;
        (&first.1).write_all(b"1")?;
        let (held, ended) = (Mutex::default(), AtomicBool::new(false));
        Ok(Self { read, write, first, held, ended, told })
    }

    /// Waits for a token; none when `stop` says that none is wanted any more.
    pub fn acquire(&self, stop: impl Fn() -> bool) -> Option<Token<'_>> {
        loop {
            if stop() {
                return None;
            }
            if let Some(token) = self.try_acquire() {
                return Some(token);
            }
            let mut waited = vec![PollFd::new(&self.first.0, PollFlags::IN)];
            if !self.ended.load(Ordering::Relaxed) {
                waited.push(PollFd::from_borrowed_fd(self.read.as_fd(), PollFlags::IN));
            }
            // Whatever wakes it, it looks again.
            let _ = poll(&mut waited, Some(&LOOK));
        }
    }

    /// Returns a token where one is there now.
    pub fn try_acquire(&self) -> Option<Token<'_>> {
        let mut byte = [0];
        if (&self.first.0).read(&mut byte).is_ok_and(|count| count == 1) {
            return Some(Token { jobserver: self, byte: None });
        }
        if self.ended.load(Ordering::Relaxed) {
            return None;
        }
        // Noted under the lock: who gives all back misses none.
        let mut held = self.held();
        match rustix::io::read(&self.read, &mut byte) {
            Ok(0) => self.ended.store(true, Ordering::Relaxed),
            Ok(_) => {
                held.push(byte[0]);
                return Some(Token { jobserver: self, byte: Some(byte[0]) });
            }
            Err(_) => {}
        }
        None
    }

    fn held(&self) -> MutexGuard<'_, Vec<u8>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives back every token that is held: this process is about to end without further ado.
    pub fn give_all_back(&self) {
        for byte in self.held().drain(..) {
            let _ = rustix::io::write(&self.write, &[byte]);
        }
    }

    /// Takes note of a command that is told of it.
    pub fn lend(&self) -> Lent<'_> {
        if let Told::Offered(offered) = &self.told {
            offered.told.fetch_add(1, Ordering::AcqRel);
        }
        Lent(self)
    }

    /// Puts back the tokens that commands took and left with: they were killed. None of them runs any more.
    fn make_whole(&self, tokens: usize) {
        // Under the lock nobody here has one in hand.
        let held = self.held();
        let Ok(there) = rustix::io::ioctl_fionread(&self.read) else { return };
        let lost = tokens.saturating_sub(held.len() + there as usize);
        if lost > 0 {
            tracing::debug!("{lost} tokens of the jobserver were lost");
            let _ = rustix::io::write(&self.write, &vec![TOKEN; lost]);
        }
    }

    /// Returns the value of `MAKEFLAGS` by which `program` finds it.
    pub fn makeflags(&self, program: &Path) -> String {
        let auth = match &self.told {
            Told::Inherited(auth) => auth.to_string(),
            // ninja knows names only, and make knows them since 4.4.
            Told::Offered(Offered { handed: [read, _], .. }) if is_ninja(program) => {
                let (process, read) = (std::process::id(), read.as_raw_fd());
                Auth::Fifo(format!("/proc/{process}/fd/{read}").into()).to_string()
            }
            Told::Offered(Offered { handed: [read, write], .. }) => {
                Auth::Descriptors(read.as_raw_fd(), write.as_raw_fd()).to_string()
            }
        };
        format!(" -j --jobserver-auth={auth}")
    }
}

/// Returns a name by which a descriptor of this process is opened anew, without changing it for others.
fn own(descriptor: i32) -> PathBuf {
    format!("/proc/self/fd/{descriptor}").into()
}

fn open(path: &Path, read: bool, write: bool) -> io::Result<OwnedFd> {
    let mut options = OpenOptions::new();
    options.read(read).write(write).custom_flags(OFlags::NONBLOCK.bits() as i32);
    Ok(options.open(path)?.into())
}

fn is_ninja(program: &Path) -> bool {
    program.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"ninja"))
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let Told::Offered(offered) = &self.0.told
            && offered.told.fetch_sub(1, Ordering::AcqRel) == 1
        {
            self.0.make_whole(offered.tokens);
        }
    }
}

impl Drop for Token<'_> {
    fn drop(&mut self) {
        match self.byte {
            None => _ = (&self.jobserver.first.1).write_all(b"1"),
            Some(byte) => {
                let mut held = self.jobserver.held();
                // Not there any more, it has been given back.
                if let Some(at) = held.iter().position(|held| *held == byte) {
                    held.swap_remove(at);
                    let _ = rustix::io::write(&self.jobserver.write, &[byte]);
                }
            }
        }
    }
}

/// The jobserver of a session: the one above it, or one of its own, made when the first command runs.
#[derive(Debug, Default)]
pub struct Jobs {
    inherited: Option<Arc<Jobserver>>,
    own: OnceLock<Option<Jobserver>>,
    slots: usize,
}

impl Jobs {
    /// Takes from `inherited`, else offers `slots` jobs.
    pub fn new(inherited: Option<Arc<Jobserver>>, slots: usize) -> Self {
        Self { inherited, own: OnceLock::new(), slots }
    }

    /// Returns the jobserver; `None` where there is none to be had, so that slots alone count.
    pub fn get(&self) -> Option<&Jobserver> {
        let offer = || {
            Jobserver::offer(self.slots)
                .inspect_err(|error| tracing::debug!("no jobserver for commands: {error}"))
                .ok()
        };
        match &self.inherited {
            Some(inherited) => Some(inherited),
            None => self.own.get_or_init(offer).as_ref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_run_than_there_are_slots() {
        let jobserver = Jobserver::offer(3).unwrap();
        let take = || jobserver.acquire(|| false).unwrap();
        let all = [take(), take(), take()];
        let asked = std::cell::Cell::new(0);
        let stop = || asked.replace(asked.get() + 1) > 0;
        assert!(jobserver.acquire(stop).is_none(), "a fourth");
        drop(all);
        let _again = [take(), take(), take()];
    }

    #[test]
    fn tokens_of_commands_that_were_killed_are_put_back() {
        let jobserver = Jobserver::offer(4).unwrap();
        let (one, other) = (jobserver.lend(), jobserver.lend());
        let mut bytes = [0; 2];
        assert_eq!(rustix::io::read(&jobserver.read, &mut bytes), Ok(2), "a command takes two");
        drop(one);
        let there = || rustix::io::ioctl_fionread(&jobserver.read).unwrap();
        assert_eq!(there(), 1, "the other may have them");
        let held = [jobserver.acquire(|| false).unwrap(), jobserver.acquire(|| false).unwrap()];
        assert_eq!(there(), 0);
        drop(other);
        assert_eq!(there(), 2);
        drop(held);
        assert_eq!(there(), 3);
        drop(jobserver.lend());
        assert_eq!(there(), 3);
    }

    #[test]
    fn what_is_taken_from_above_is_given_back_once() {
        let above = Jobserver::offer(3).unwrap();
        let flags = above.makeflags(Path::new("/usr/bin/ninja"));
        let jobserver = Jobserver::inherited(&flags).unwrap().unwrap();
        assert_eq!(jobserver.makeflags(Path::new("make")), flags, "passed on");
        let tokens: Vec<Token<'_>> = (0..3).map(|_| jobserver.acquire(|| false).unwrap()).collect();
        let mut bytes = [0; 8];
        assert!(rustix::io::read(&above.read, &mut bytes).is_err(), "none is left");
        jobserver.give_all_back();
        drop(tokens);
        assert_eq!(rustix::io::read(&above.read, &mut bytes), Ok(2));
    }

    #[test]
    fn one_that_is_not_there_is_told_from_none() {
        assert!(Jobserver::inherited("").unwrap().is_none());
        assert!(Jobserver::inherited("kj4").unwrap().is_none());
        for flags in
            ["--jobserver-auth=987,988", "--jobserver-auth=fifo:/nowhere", "--jobserver-auth=x"]
        {
            let error = Jobserver::inherited(flags).unwrap_err().to_string();
            assert!(error.contains("cannot be used ("), "{error}");
        }
    }
}
