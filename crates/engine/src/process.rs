//! Running commands: captured output, a minimal environment, limits, and an end to all of them on
//! demand.
//!
//! A command ends when its process ends. What that leaves running in its process group is ended
//! then, and nothing waits for what left the group, though it hold the pipe. So no build hangs on a
//! daemon, and no process of the group changes a file that is being hashed.

mod allowance;
mod attached;
mod capture;
mod command_line;
mod descendants;
mod exit;
mod group;
mod machine;
mod start;
#[cfg(target_os = "linux")]
mod tree;
#[cfg(not(target_os = "linux"))]
#[path = "process/unwatched.rs"]
mod watch;
#[cfg(target_os = "linux")]
mod watch;

use std::{
    collections::HashSet,
    io::{self, PipeReader},
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
    process::Child,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use larder_trace::describe_io;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::{Errno, retry_on_intr},
    process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid},
};
use serde::Serialize;
use wait4::Wait4;

pub use self::{
    allowance::{Allowance, Budget, Limit, Listener, Spent},
    command_line::{ResponseFile, Spec, argument_path, response_text, shell_word},
    descendants::{end_all, end_those_in},
    exit::{Cost, Exit},
    machine::memory,
};
use self::{
    capture::Capture,
    watch::{Guard, Watch},
};
use crate::sandbox::{Sandbox, SandboxError, View};

/// How long commands that were asked to end have before they are killed.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// So much of a command's output is kept, in bytes. It goes into the trace file, which is not read when
/// it is over 64 MiB; there each byte may become six (`\u001b`).
pub const OUTPUT_LIMIT: usize = 8 << 20;

/// How much a command may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// How long it may run; for ever, where there is no limit.
    pub wall: Option<Duration>,
    /// How many bytes of its output are kept: of more, the first and the last.
    pub output: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { wall: None, output: OUTPUT_LIMIT }
    }
}

/// The end of a command.
#[derive(Debug)]
pub struct Outcome {
    /// How it ended.
    pub exit: Exit,
    /// All that it printed on both of its outputs, in order, as far as the limit allows.
    pub output: String,
    /// Its cost.
    pub cost: Cost,
}

/// Why a command did not run to its end.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The build was interrupted.
    #[error("interrupted")]
    Interrupted,
    /// It could not be started.
    #[error("cannot start `{}`: {reason}", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// Why.
        reason: String,
    },
    /// A limit was reached before it began.
    #[error("it was not started: another command {0}")]
    Limited(Limit),
    /// It could not be confined.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// Talking to it failed.
    #[error("lost `{}` while it ran: {}", program.display(), describe_io(source))]
    Lost {
        /// The program.
        program: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

/// The commands that are running.
#[derive(Debug, Default)]
pub struct Processes {
    running: Mutex<HashSet<Pid>>,
    interrupted: AtomicBool,
    /// Looks after those that share an allowance.
    watch: Arc<Watch>,
    /// How many builds end by themselves when they are interrupted.
    heeded: AtomicUsize,
    /// How many works finish what they have begun, when they are asked to end for the first time.
    patient: AtomicUsize,
    /// Whether these are to begin nothing more.
    closing: AtomicBool,
}

/// Work that ends by itself, in good order, when the processes are interrupted. Until it is dropped.
#[derive(Debug)]
pub struct Heeding<'p>(&'p Processes);

impl Drop for Heeding<'_> {
    fn drop(&mut self) {
        self.0.heeded.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Work of many parts that is asked to end twice: at first it finishes the parts that it has begun. Until it is
/// dropped.
#[derive(Debug)]
pub struct Finishing<'p>(&'p Processes);

impl Drop for Finishing<'_> {
    fn drop(&mut self) {
        self.0.patient.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Processes {
    fn running(&self) -> MutexGuard<'_, HashSet<Pid>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether [`Self::interrupt`] was called.
    pub fn interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Acquire)
    }

    /// Says that what follows looks whether it was interrupted, and then ends.
    pub fn heed(&self) -> Heeding<'_> {
        self.heeded.fetch_add(1, Ordering::AcqRel);
        Heeding(self)
    }

    /// Whether anything at hand ends by itself when it is interrupted.
    pub fn heeded(&self) -> bool {
        self.heeded.load(Ordering::Acquire) > 0
    }

    /// Says that what follows is work of many parts: asked to end, it finishes those that it has begun, and asks
    /// [`Self::closing`] before it begins another one.
    pub fn finish_parts(&self) -> Finishing<'_> {
        self.patient.fetch_add(1, Ordering::AcqRel);
        Finishing(self)
    }

    /// Whether no further part of such work is to be begun.
    pub fn closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Whether nothing more is to be begun: it was asked to end, or was interrupted.
    pub fn ending(&self) -> bool {
        self.closing() || self.interrupted()
    }

    /// Lets such work finish what it has begun. Returns whether there is any, and it had not been asked before:
    /// else it is to be interrupted.
    pub fn close(&self) -> bool {
        self.patient.load(Ordering::Acquire) > 0 && !self.closing.swap(true, Ordering::AcqRel)
    }

    /// Sends `signal` to every running command and its descendants, and lets no other start. Returns
    /// whether any was running.
    pub fn interrupt(&self, signal: Signal) -> bool {
        self.interrupted.store(true, Ordering::Release);
        let running = self.running();
        for &process in &*running {
            // It may have ended since; that is what was wanted.
            let _ = kill_process_group(process, signal);
        }
        !running.is_empty()
    }

    /// Runs a command to its end, with nothing but a view of the sandbox to see where there is one. When
    /// it returns, the command's process group is gone.
    ///
    /// # Errors
    /// When it did not run to its end; how it ended is no error.
    pub fn run(
        &self,
        spec: &Spec,
        confined: Option<(&Sandbox, &View)>,
    ) -> Result<Outcome, ProcessError> {
        let lost = |source| ProcessError::Lost { program: spec.program.clone(), source };
        if spec.terminal && confined.is_none() {
            return self.run_attached(spec);
        }
        if let Some(limit) = spec.budget.as_ref().and_then(|budget| budget.reached()) {
            return Err(ProcessError::Limited(limit));
        }
        let (output, writer) = io::pipe().map_err(lost)?;
        let mut command = spec.command()?;
        command.stdout(writer.try_clone().map_err(lost)?).stderr(writer);
        let started = Instant::now();
        let first = spec.budget.as_ref().map(|_| watch::step_back as fn());
        let child = start::start(&mut command, confined, first, || self.interrupted())
            .map_err(|error| error.of(spec))?;
        // The command holds the writing ends; the pipe ends when the child and its children do.
        drop(command);
        let group = Pid::from_child(&child);
        let begin = |budget| self.watch.begin(group, spec.mark(), budget, started);
        let running = Running {
            group,
            guard: spec.budget.as_ref().map(begin),
            processes: self,
            child,
            output: Some(output),
            capture: Capture::new(spec.limits.output),
        };
        let outcome = running.follow(started, spec.limits.wall).map_err(lost)?;
        match self.interrupted() {
            // However it ended: one that was asked to may have stopped half-way and be content.
            true => Err(ProcessError::Interrupted),
            false => Ok(outcome),
        }
    }
}

/// A command from its start to its end.
struct Running<'p> {
    processes: &'p Processes,
    child: Child,
    /// The child's process group, which has its id.
    group: Pid,
    /// Looks after it where it shares an allowance.
    guard: Option<Guard>,
    /// The pipe, until everybody has closed the other end.
    output: Option<PipeReader>,
    capture: Capture,
}

/// How far a command with a limit is.
#[derive(Clone, Copy)]
enum Stage {
    /// It may run, until then if there is a limit.
    Free(Option<Instant>),
    /// It has been asked to end and will be killed then.
    Asked(Instant),
    /// It has been killed.
    Killed,
}

impl Running<'_> {
    fn follow(mut self, started: Instant, wall: Option<Duration>) -> io::Result<Outcome> {
        self.processes.running().insert(self.group);
        if self.processes.interrupted() {
            // The interruption came before it was listed, so nobody has told it, and nobody may again.
            self.signal(Signal::KILL);
        }
        let watched = self.watch(wall.map(|wall| started + wall));
        if watched.is_err() {
            // Nobody looks after it any more.
            self.signal(Signal::KILL);
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            retry_on_intr(|| waitid(WaitId::Pid(self.group), options))?;
        }
        // Before its process is reaped: until then no other can have its id.
        self.signal(Signal::TERM);
        if let Some(guard) = &self.guard {
            guard.finish(ended_so(self.group));
        }
        self.processes.running().remove(&self.group);
        let used = loop {
            match self.child.wait4() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        let elapsed = started.elapsed();
        group::end(self.group);
        let timed_out = watched?;
        self.drain()?;
        let cost = Cost {
            wall: elapsed,
            user: used.rusage.utime,
            system: used.rusage.stime,
            peak_memory: used.rusage.maxrss,
        };
        if let Some(guard) = &self.guard {
            guard.cost(&cost);
        }
        let exit = match (wall, used.status.into()) {
            (Some(limit), _) if timed_out => Exit::TimedOut(limit),
            (_, exit @ Exit::Code(0)) => exit,
            (_, exit) => self.guard.as_ref().and_then(Guard::reached).map_or(exit, Exit::Limited),
        };
        Ok(Outcome { exit, output: self.capture.into_text(), cost })
    }

    /// Reads what the command prints until its process has ended, and sees to it that it does when it is
    /// due. Returns whether it was.
    fn watch(&mut self, due: Option<Instant>) -> rustix::io::Result<bool> {
        let handle = handle(self.group);
        let mut pause = FIRST_LOOK;
        let mut stage = Stage::Free(due);
        loop {
            let due = match stage {
                Stage::Free(due) => due,
                Stage::Asked(due) => Some(due),
                Stage::Killed => None,
            };
            let left = due.map(|due| due.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                stage = self.press(stage);
                continue;
            }
            let timeout = match &handle {
                Some(_) => left,
                None => Some(left.map_or(pause, |left| left.min(pause))),
            };
            let (ended, printed) = wait_for(handle.as_ref(), self.output.as_ref(), timeout)?;
            if ended || handle.is_none() && has_ended(self.group)? {
                return Ok(!matches!(stage, Stage::Free(_)));
            }
            pause = (pause * 2).min(LATER_LOOKS);
            if printed && self.read()? == 0 {
                self.output = None;
                pause = FIRST_LOOK;
            }
            if printed && self.guard.as_ref().and_then(Guard::reached).is_some() {
                // The rest of what it started is ended by whoever looks after it.
                self.signal(Signal::KILL);
            }
        }
    }

    /// Ends a command that is due: asks first, then does not ask.
    fn press(&self, stage: Stage) -> Stage {
        match stage {
            Stage::Free(_) => {
                self.signal(Signal::TERM);
                Stage::Asked(Instant::now() + PATIENCE)
            }
            Stage::Asked(_) | Stage::Killed => {
                self.signal(Signal::KILL);
                Stage::Killed
            }
        }
    }

    /// Reads what the pipe holds, now that the command has ended: what comes later is of processes that
    /// left its group, and no part of it.
    fn drain(&mut self) -> rustix::io::Result<()> {
        let Some(output) = &self.output else { return Ok(()) };
        let mut left = rustix::io::ioctl_fionread(output)?;
        while left > 0 {
            match self.read()? {
                0 => break,
                count => left = left.saturating_sub(count as u64),
            }
        }
        Ok(())
    }

    fn read(&mut self) -> rustix::io::Result<usize> {
        let heard = |bytes: &[u8]| {
            if let Some(guard) = &self.guard {
                guard.print(bytes);
            }
        };
        self.output.as_ref().map_or(Ok(0), |output| self.capture.read(output, heard))
    }

    /// Tells the whole group, while its process has not been reaped.
    fn signal(&self, signal: Signal) {
        let _ = kill_process_group(self.group, signal);
    }
}

/// Where processes have no handle, they are looked at so soon after they began or closed their outputs,
const FIRST_LOOK: Duration = Duration::from_millis(1);
/// and then less and less often.
const LATER_LOOKS: Duration = Duration::from_millis(50);

/// Something that can be waited for together with a pipe, where the system has it.
#[cfg(target_os = "linux")]
fn handle(process: Pid) -> Option<OwnedFd> {
    rustix::process::pidfd_open(process, rustix::process::PidfdFlags::empty()).ok()
}

#[cfg(not(target_os = "linux"))]
fn handle(_: Pid) -> Option<OwnedFd> {
    None
}

/// Waits for at most `timeout` until a process has ended or a pipe can be read, and says which.
fn wait_for(
    process: Option<&OwnedFd>,
    pipe: Option<&PipeReader>,
    timeout: Option<Duration>,
) -> rustix::io::Result<(bool, bool)> {
    let fds = [process.map(AsFd::as_fd), pipe.map(AsFd::as_fd)];
    let mut polled: Vec<PollFd<'_>> =
        fds.iter().flatten().map(|&fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
    let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    match poll(&mut polled, timeout.as_ref()) {
        Err(Errno::INTR) => return Ok((false, false)),
        result => result?,
    };
    let mut ready = polled.iter().map(|fd| !fd.revents().is_empty());
    let mut next = |is_there: bool| is_there && ready.next().unwrap_or(false);
    Ok((next(process.is_some()), next(pipe.is_some())))
}

/// Returns how a process ended that was not waited for.
fn ended_so(process: Pid) -> Exit {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    let status = retry_on_intr(|| waitid(WaitId::Pid(process), options)).ok().flatten();
    match status.as_ref().and_then(|status| status.terminating_signal()) {
        Some(signal) => Exit::Signal(signal),
        None => Exit::Code(status.and_then(|status| status.exit_status()).unwrap_or(-1)),
    }
}

fn has_ended(process: Pid) -> rustix::io::Result<bool> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    Ok(retry_on_intr(|| waitid(WaitId::Pid(process), options))?.is_some())
}
