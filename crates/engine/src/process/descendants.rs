//! Ending whatever this process has started, and what that has started in turn.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, getpid, kill_process};

/// Asks every descendant of this process to end, as far as the system tells who they are. Those that
/// commands of a build left behind are in groups of their own, which end with their commands.
pub fn end_all() {
    let mut asked = Vec::new();
    let mut parents = vec![getpid()];
    while let Some(parent) = parents.pop() {
        for child in children(parent) {
            // Before its children are asked: one that is waited for would start the next.
            let _ = kill_process(child, Signal::TERM);
            if !asked.contains(&child) {
                asked.push(child);
                parents.push(child);
            }
        }
    }
}

/// The children of a process, by each of its threads. Linux tells; elsewhere nobody is known.
fn children(parent: Pid) -> Vec<Pid> {
    let tasks = format!("/proc/{}/task", parent.as_raw_nonzero());
    let threads = fs::read_dir(tasks).into_iter().flatten().flatten();
    let lists =
        threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let mut found = Vec::new();
    for list in lists {
        let ids = list.split_whitespace().filter_map(|id| id.parse().ok());
        found.extend(ids.filter_map(Pid::from_raw));
    }
    found
}

/// How long processes are ended that start others all the time.
const LAST: Duration = Duration::from_secs(5);

/// Ends every process of this user that began with a `TMPDIR` in `directory`: commands of a larder that was killed.
/// Nobody else may work there. Where the system does not tell, nobody is known.
pub fn end_those_in(directory: &Path) {
    let started = Instant::now();
    while started.elapsed() < LAST {
        let found = working_in(directory);
        if found.is_empty() {
            return;
        }
        // Those that are stopped start no others.
        for signal in [Signal::STOP, Signal::KILL] {
            found.iter().for_each(|id| _ = kill_process(*id, signal));
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn working_in(directory: &Path) -> Vec<Pid> {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = all.filter_map(|it| Pid::from_raw(it.file_name().to_str()?.parse().ok()?));
    let works = |id: &Pid| {
        let environment = fs::read(format!("/proc/{}/environ", id.as_raw_nonzero()));
        let environment = environment.unwrap_or_default();
        let mut variables = environment.split(|byte| *byte == 0);
        let value = variables.find_map(|variable| variable.strip_prefix(b"TMPDIR="));
        let value = value.and_then(|value| std::str::from_utf8(value).ok());
        value.is_some_and(|value| Path::new(value).starts_with(directory))
    };
    // One that has ended has no environment any more.
    ids.filter(|id| *id != getpid() && works(id)).collect()
}
