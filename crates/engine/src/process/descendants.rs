//! Ending whatever this process has started, and what that has started in turn.

use std::fs;

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
