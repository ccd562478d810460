//! Ending larder from outside, by Ctrl-C and its like.
//!
//! Work that does not look whether it was interrupted ends at once: nothing half-made is ever visible, so
//! that is safe at any instant. A build ends in good order, and says what it came to.
//!
//! Its commands are in process groups of their own, so that nothing but this would end them, not even a
//! terminal that is closed. They are asked the first time, and killed two seconds later or the second
//! time. Work of many parts, such as a batch, begins no more of them the first time; what it has begun is interrupted
//! the second time. A build that does not end then, because it waits for somebody else, is given up; one that runs
//! no command, sooner.

use std::{
    io::{self, Read},
    os::unix::net::UnixStream,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use signal_hook::{
    consts::{SIGHUP, TERM_SIGNALS},
    low_level::pipe,
};

use crate::process::{PATIENCE, Processes, end_all};

/// How long after its commands were killed a build may take to end.
const CLOSING: Duration = Duration::from_millis(800);

/// A step towards the end of a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Measure {
    Ask,
    Kill,
    GiveUp,
}

/// A build's end: what comes next, and when.
#[derive(Debug, Default)]
struct Ending {
    next: Option<(Instant, Measure)>,
}

impl Ending {
    /// The measure that a signal at `now` calls for.
    fn signal(&mut self, now: Instant) -> Measure {
        match self.next {
            None => {
                self.next = Some((now + PATIENCE, Measure::Kill));
                Measure::Ask
            }
            Some((due, Measure::GiveUp)) => {
                self.next = Some((due, Measure::GiveUp));
                Measure::Kill
            }
            Some(_) => {
                self.next = Some((now + CLOSING, Measure::GiveUp));
                Measure::Kill
            }
        }
    }

    /// Takes note that no command is to be waited for.
    fn nothing_runs(&mut self, now: Instant) {
        self.next = Some((now + CLOSING, Measure::GiveUp));
    }

    /// The measure that is due at `now`, if any is.
    fn due(&mut self, now: Instant) -> Option<Measure> {
        let (_, measure) = self.next.filter(|(due, _)| *due <= now)?;
        self.next = Some((now + CLOSING, Measure::GiveUp));
        Some(measure)
    }

    /// How long to wait for a signal; for ever, before the first.
    fn patience(&self, now: Instant) -> Option<Duration> {
        // No time at all would mean for ever to a socket.
        let least = Duration::from_millis(1);
        self.next.map(|(due, _)| due.saturating_duration_since(now).max(least))
    }
}

/// From now on, SIGINT, SIGTERM, SIGQUIT and SIGHUP (unless `nohup` has it ignored) interrupt
/// `processes`. When nobody heeds that, or has not ended three seconds after the first, whatever this
/// process has started is ended and `overdue` is called, which is to end this process.
///
/// # Errors
/// When there is no thread for it, or the system does not allow it.
pub fn end_on_signals(
    processes: Arc<Processes>,
    overdue: impl FnOnce() + Send + 'static,
) -> io::Result<()> {
    let (arrived, arrives) = UnixStream::pair()?;
    // First the one who listens: a signal that is caught and heard by nobody would end nothing.
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        if listen(&arrived, &processes) {
            end_all();
            overdue();
        }
    })?;
    let hangup: &[i32] = if ignores_hangup() { &[] } else { &[SIGHUP] };
    for &signal in TERM_SIGNALS.iter().chain(hangup) {
        pipe::register(signal, arrives.try_clone()?)?;
    }
    Ok(())
}

/// Ends `processes` as signals arrive. Returns whether that was of no use: else, none will arrive.
fn listen(mut arrived: &UnixStream, processes: &Processes) -> bool {
    let mut ending = Ending::default();
    loop {
        let mut signals = [0];
        let patience = ending.patience(Instant::now());
        let read = arrived.set_read_timeout(patience).and_then(|()| arrived.read(&mut signals));
        let measure = match read {
            Ok(0) => return false,
            Ok(_) if processes.close() => None,
            Ok(_) => Some(ending.signal(Instant::now())),
            Err(_) => ending.due(Instant::now()),
        };
        match measure {
            Some(Measure::Ask) if processes.interrupt(Signal::TERM) => {}
            Some(Measure::Ask) if !processes.heeded() => return true,
            Some(Measure::Ask) => ending.nothing_runs(Instant::now()),
            Some(Measure::Kill) => {
                processes.interrupt(Signal::KILL);
            }
            Some(Measure::GiveUp) => {
                // One may have been starting when the others were told.
                processes.interrupt(Signal::KILL);
                return true;
            }
            None => {}
        }
    }
}

/// Whether `nohup` started this process. Linux says so; elsewhere there is no telling.
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask & (1 << (SIGHUP - 1)) != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_asked_then_killed_then_given_up() {
        let start = Instant::now();
        let mut ending = Ending::default();
        assert_eq!(ending.patience(start), None);
        assert_eq!(ending.due(start), None);
        assert_eq!(ending.signal(start), Measure::Ask);
        assert_eq!(ending.due(start + Duration::from_millis(1999)), None);
        assert_eq!(ending.due(start + PATIENCE), Some(Measure::Kill));
        assert_eq!(ending.due(start + PATIENCE), None);
        let end = start + PATIENCE + CLOSING;
        assert_eq!(ending.due(end), Some(Measure::GiveUp));
        assert!(end < start + Duration::from_secs(3));
    }

    #[test]
    fn where_no_command_runs_none_is_waited_for() {
        let start = Instant::now();
        let mut ending = Ending::default();
        ending.signal(start);
        ending.nothing_runs(start);
        assert_eq!(ending.due(start + CLOSING), Some(Measure::GiveUp));
    }

    #[test]
    fn a_second_signal_kills_at_once_and_further_ones_do_not_delay_the_end() {
        let start = Instant::now();
        let mut ending = Ending::default();
        ending.signal(start);
        assert_eq!(ending.signal(start), Measure::Kill);
        let later = start + Duration::from_millis(500);
        assert_eq!(ending.signal(later), Measure::Kill);
        assert_eq!(ending.due(start + CLOSING), Some(Measure::GiveUp));
    }
}
