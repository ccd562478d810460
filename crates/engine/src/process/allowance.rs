//! What all commands of one piece of work may take together, and what they have taken.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde::Serialize;

use super::{Cost, Exit};

/// How much all commands of one piece of work may take together. Without a limit, where one is absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Allowance {
    /// How long at least one of them may run.
    pub time: Option<Duration>,
    /// How much memory they may have at once, in bytes.
    pub memory: Option<u64>,
    /// How many processes they may be at once; each thread counts as one, as it does for the kernel.
    pub processes: Option<u64>,
    /// How much space their files may take at once, in bytes.
    pub disk: Option<u64>,
    /// How much they may print, in bytes.
    pub log: Option<u64>,
}

/// A limit that was reached. Shown, it completes a sentence that begins with a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Limit {
    /// Commands ran for this long.
    Time(Duration),
    /// They had this much memory, in bytes.
    Memory(u64),
    /// They were this many processes.
    Processes(u64),
    /// Their files took this much space, in bytes.
    Disk(u64),
    /// They printed this much, in bytes.
    Log(u64),
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Time(limit) => {
                write!(f, "was ended because the build took longer than {} s", limit.as_secs_f64())
            }
            Self::Memory(limit) => {
                write!(f, "was ended because the build took more memory than {}", Bytes(limit))
            }
            Self::Processes(limit) => {
                write!(f, "was ended because the build had more than {limit} processes and threads")
            }
            Self::Disk(limit) => {
                write!(f, "was ended because the build's files took {} or more", Bytes(limit))
            }
            Self::Log(limit) => {
                write!(f, "was ended because the build printed more than {}", Bytes(limit))
            }
        }
    }
}

/// A size as people write it, when it is a round one.
struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
        match units.into_iter().find(|(bits, _)| self.0 > 0 && self.0.trailing_zeros() >= *bits) {
            Some((bits, unit)) => write!(f, "{} {unit}", self.0 >> bits),
            None => write!(f, "{} bytes", self.0),
        }
    }
}

/// What commands have taken so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// How long at least one of them ran.
    pub time: Duration,
    /// Time on processors, of those that have ended.
    pub cpu: Duration,
    /// The most memory that they were seen to have at once, in bytes; at least that of the largest process.
    pub peak_memory: u64,
    /// The most processes and threads that they were seen to be at once.
    pub processes: u64,
    /// The most space that their files were seen to take, in bytes.
    pub disk: u64,
    /// What they printed, in bytes.
    pub printed: u64,
}

/// Hears what commands print, as it comes.
pub type Listener = dyn Fn(&[u8]) + Send + Sync;

/// An allowance and what is left of it, shared by all commands of one piece of work. When a limit is reached, all
/// that run are ended, and no other starts.
pub struct Budget {
    allowance: Allowance,
    /// The directories in which they write.
    directories: Vec<PathBuf>,
    listener: Option<Box<Listener>>,
    reached: OnceLock<Limit>,
    clock: Mutex<Clock>,
    spent: Mutex<Spent>,
    printed: AtomicU64,
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget")
            .field("allowance", &self.allowance)
            .field("reached", &self.reached)
            .finish_non_exhaustive()
    }
}

/// Runs while commands do.
#[derive(Default)]
struct Clock {
    commands: usize,
    since: Option<Instant>,
    before: Duration,
}

impl Clock {
    fn read(&self) -> Duration {
        self.before + self.since.map_or(Duration::ZERO, |since| since.elapsed())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Budget {
    /// The whole of an allowance.
    pub fn new(allowance: Allowance) -> Self {
        Self {
            allowance,
            directories: Vec::new(),
            listener: None,
            reached: OnceLock::new(),
            clock: Mutex::default(),
            spent: Mutex::default(),
            printed: AtomicU64::new(0),
        }
    }

    /// The same for commands that write in these directories: what is in them is what they take of the disk.
    #[must_use]
    pub fn writing_in(self, directories: Vec<PathBuf>) -> Self {
        Self { directories, ..self }
    }

    /// The same with somebody who hears what commands print.
    #[must_use]
    pub fn heard_by(self, listener: Box<Listener>) -> Self {
        Self { listener: Some(listener), ..self }
    }

    /// Returns what it began with.
    pub fn allowance(&self) -> &Allowance {
        &self.allowance
    }

    /// Returns the first limit that was reached, if one was.
    pub fn reached(&self) -> Option<Limit> {
        self.reached.get().copied()
    }

    /// Returns what was taken so far.
    pub fn spent(&self) -> Spent {
        Spent {
            time: lock(&self.clock).read(),
            printed: self.printed.load(Ordering::Relaxed),
            ..*lock(&self.spent)
        }
    }

    /// Says that a limit was reached. Only the first counts.
    pub(super) fn reach(&self, limit: Limit) {
        let _ = self.reached.set(limit);
    }

    /// Takes note that a command began at `started`.
    pub(super) fn begin(&self, started: Instant) {
        let mut clock = lock(&self.clock);
        clock.commands += 1;
        clock.since.get_or_insert(started);
    }

    /// Takes note that a command has ended.
    pub(super) fn end(&self) {
        let mut clock = lock(&self.clock);
        clock.commands = clock.commands.saturating_sub(1);
        if clock.commands == 0 {
            clock.before = clock.read();
            clock.since = None;
        }
    }

    /// Takes note of what a command cost.
    pub(super) fn add(&self, cost: &Cost) {
        let mut spent = lock(&self.spent);
        spent.cpu += cost.user + cost.system;
        spent.peak_memory = spent.peak_memory.max(cost.peak_memory);
    }

    /// Takes note of how a command ended. One that failed may have filled the disk since anybody looked, and one that
    /// made a file as large as all may be together was ended by the kernel.
    pub(super) fn ended(&self, exit: Exit) {
        if !exit.success() {
            self.measure();
        }
        if let Some(limit) = self.allowance.disk
            && exit == Exit::Signal(Signal::XFSZ.as_raw())
        {
            self.reach(Limit::Disk(limit));
        }
    }

    /// Takes note of the time on processors of what a command left running.
    pub(super) fn add_cpu(&self, cpu: Duration) {
        lock(&self.spent).cpu += cpu;
    }

    /// How long commands may still run.
    pub(super) fn time_left(&self) -> Option<Duration> {
        Some(self.allowance.time?.saturating_sub(lock(&self.clock).read()))
    }

    /// Takes note of what a command printed.
    pub(super) fn print(&self, bytes: &[u8]) {
        let before = self.printed.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        if let Some(listener) = &self.listener {
            listener(bytes);
        }
        if let Some(limit) = self.allowance.log
            && before + bytes.len() as u64 > limit
        {
            self.reach(Limit::Log(limit));
        }
    }

    /// Takes note of how many processes and threads there are.
    pub(super) fn count(&self, processes: u64) {
        let mut spent = lock(&self.spent);
        spent.processes = spent.processes.max(processes);
        if let Some(limit) = self.allowance.processes.filter(|limit| processes > *limit) {
            self.reach(Limit::Processes(limit));
        }
    }

    /// Takes note of how much memory there is at once: `about` so much, which is not too little. Where that is
    /// too much, `exactly` tells.
    pub(super) fn weigh(&self, about: u64, exactly: impl FnOnce() -> u64) {
        let limit = self.allowance.memory;
        let memory = if limit.is_some_and(|limit| about > limit) { exactly() } else { about };
        let mut spent = lock(&self.spent);
        spent.peak_memory = spent.peak_memory.max(memory);
        if let Some(limit) = limit.filter(|limit| memory > *limit) {
            self.reach(Limit::Memory(limit));
        }
    }

    /// Looks how much space the files take, where that has a limit.
    pub(super) fn measure(&self) {
        let Some(limit) = self.allowance.disk else { return };
        let mut taken = 0;
        for directory in &self.directories {
            taken += space(directory, limit.saturating_sub(taken));
        }
        let mut spent = lock(&self.spent);
        spent.disk = spent.disk.max(taken);
        if taken >= limit {
            self.reach(Limit::Disk(limit));
        }
    }
}

/// Returns how much space all files below a directory take, or a part of it that is at least `enough`. What comes
/// and goes meanwhile may be counted or not.
fn space(directory: &Path, enough: u64) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let mut taken = 0;
    let mut stack = vec![directory.to_owned()];
    while let Some(directory) = stack.pop() {
        for entry in std::fs::read_dir(&directory).into_iter().flatten().flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            taken += metadata.blocks() * 512;
            if metadata.is_dir() {
                stack.push(entry.path());
            }
        }
        if taken >= enough {
            break;
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_said_as_people_write_them() {
        for (limit, said) in [
            (Limit::Time(Duration::from_millis(1500)), "the build took longer than 1.5 s"),
            (Limit::Memory(4 << 30), "the build took more memory than 4 GiB"),
            (Limit::Memory(1000), "the build took more memory than 1000 bytes"),
            (Limit::Disk(3 << 20), "the build's files took 3 MiB or more"),
            (Limit::Log(0), "the build printed more than 0 bytes"),
        ] {
            assert_eq!(limit.to_string(), format!("was ended because {said}"));
        }
    }

    #[test]
    fn time_passes_only_while_commands_run() {
        let budget = Budget::new(Allowance { time: Some(Duration::ZERO), ..Allowance::default() });
        assert_eq!(budget.spent().time, Duration::ZERO);
        budget.begin(Instant::now());
        budget.begin(Instant::now());
        budget.end();
        let between = budget.spent().time;
        while budget.spent().time == between {}
        budget.end();
        let after = budget.spent().time;
        assert!(after > between);
        assert_eq!(budget.spent().time, after);
        assert_eq!(budget.time_left(), Some(Duration::ZERO));
    }

    #[test]
    fn the_first_limit_counts() {
        let all = Allowance { log: Some(3), memory: Some(10), ..Allowance::default() };
        let budget = Budget::new(all);
        budget.print(b"abc");
        budget.weigh(20, || 9);
        assert_eq!(budget.reached(), None);
        budget.print(b"d");
        budget.weigh(20, || 20);
        assert_eq!(budget.reached(), Some(Limit::Log(3)));
        assert_eq!((budget.spent().printed, budget.spent().peak_memory), (4, 20));
    }

    #[test]
    fn the_space_of_files_is_what_they_take() {
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir(place.path().join("d")).unwrap();
        std::fs::write(place.path().join("d/f"), vec![1; 300_000]).unwrap();
        std::fs::File::create(place.path().join("sparse")).unwrap().set_len(1 << 40).unwrap();
        let budget = Budget::new(Allowance { disk: Some(1 << 30), ..Allowance::default() });
        let budget = budget.writing_in(vec![place.path().to_owned()]);
        budget.measure();
        let disk = budget.spent().disk;
        assert!((300_000..3_000_000).contains(&disk), "{disk}");
        assert_eq!(budget.reached(), None);
    }
}
