//! Ending processes of commands.

use std::{
    collections::HashSet,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid,
};

use super::{State, family::families};
use crate::process::tree::{self, Seen};

/// How long processes are ended for that start others all the time.
const LAST: Duration = Duration::from_secs(60);

/// Tells all processes of a command's group at once: none comes into being meanwhile.
pub(super) fn tell_group(group: i32, signal: Signal) {
    if let Some(group) = Pid::from_raw(group) {
        let _ = kill_process_group(group, signal);
    }
}

/// Ends processes of these commands, and does not return before they are gone. First they are stopped, since one that
/// runs may start others while they are being ended.
pub(super) fn end(state: &mut State, commands: &[i32]) {
    let started = Instant::now();
    let mut stopped = HashSet::new();
    let family = |state: &mut State| -> Vec<Seen> {
        let families = families(state);
        let of = |id: &i32| families.of.get(id).cloned().unwrap_or_default();
        // The first ones are waited for by whoever started them.
        let is_left =
            |seen: &Seen| !(seen.ended && commands.contains(&seen.id.as_raw_nonzero().get()));
        commands.iter().flat_map(of).filter(is_left).collect()
    };
    // The groups are the commands' own until their first processes were waited for.
    commands.iter().for_each(|group| tell_group(*group, Signal::STOP));
    let mut all = family(state);
    while started.elapsed() < LAST {
        let is_new = |seen: &&Seen| stopped.insert((seen.id.as_raw_nonzero(), seen.began));
        let new: Vec<&Seen> = all.iter().filter(is_new).collect();
        if new.is_empty() {
            break;
        }
        new.iter().for_each(|seen| signal(seen, Signal::STOP));
        all = family(state);
    }
    while !all.is_empty() && started.elapsed() < LAST {
        all.iter().for_each(|seen| signal(seen, Signal::KILL));
        thread::sleep(Duration::from_micros(200));
        all = family(state);
    }
    if !all.is_empty() {
        tracing::debug!("{} processes of commands are still listed", all.len());
    }
}

/// Fetches the status of an orphan that has ended, so that it is not listed any more.
pub(super) fn fetch(state: &State, owner: Option<i32>, seen: &Seen) {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    if let Ok(Some(_)) = waitid(WaitId::Pid(seen.id), options)
        && let Some(watched) = owner.and_then(|owner| state.commands.get(&owner))
    {
        watched.budget.add_cpu(seen.cpu);
    }
}

/// Tells a process, if it is still the one that was seen.
pub(super) fn signal(seen: &Seen, signal: Signal) {
    // Until the descriptor is closed, no other process is meant by it.
    let handle = rustix::process::pidfd_open(seen.id, rustix::process::PidfdFlags::empty());
    let is_same = || tree::look(seen.id).is_some_and(|now| now.began == seen.began);
    match handle {
        Ok(handle) if is_same() => {
            let _ = rustix::process::pidfd_send_signal(handle, signal);
        }
        Ok(_) => {}
        Err(_) if is_same() => {
            let _ = kill_process(seen.id, signal);
        }
        Err(_) => {}
    }
}
