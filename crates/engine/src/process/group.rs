//! Ending what a command leaves running.

use std::{
    thread,
    time::{Duration, Instant},
};

use rustix::{
    io::Errno,
    process::{Pid, Signal, WaitOptions, kill_process_group, test_kill_process_group, waitpgid},
};

/// How long processes that were asked to end have for it.
const GRACE: Duration = Duration::from_millis(200);

/// How long killed ones are waited for. Only those that hang in the kernel take longer.
const LAST: Duration = Duration::from_millis(500);

/// Ends the processes of `group`, which were asked to, and whose first one is gone. When it returns, none
/// of them can change a file any more.
pub fn end(group: Pid) {
    if gone_within(group, GRACE) {
        return;
    }
    let _ = kill_process_group(group, Signal::KILL);
    if !gone_within(group, LAST) {
        tracing::debug!("processes of group {} are still listed", group.as_raw_nonzero());
    }
}

/// Waits until `group` is empty. As long as it is not, no other group has its number.
fn gone_within(group: Pid, patience: Duration) -> bool {
    let started = Instant::now();
    let mut pause = Duration::from_micros(500);
    const LONG: Duration = Duration::from_millis(20);
    while test_kill_process_group(group) != Err(Errno::SRCH) {
        // Orphans become children of this process where it is the first one of a container.
        while matches!(waitpgid(group, WaitOptions::NOHANG), Ok(Some(_))) {}
        // Nobody may fetch the remains, as in a container without an init.
        if pause == LONG && lives(group) == Some(false) {
            return true;
        }
        if started.elapsed() > patience {
            return false;
        }
        thread::sleep(pause);
        pause = (pause * 2).min(LONG);
    }
    true
}

/// Whether a process of `group` can still do anything, where the system tells: Linux does. Reads the status
/// of every process there is.
fn lives(group: Pid) -> Option<bool> {
    let group = group.as_raw_nonzero().to_string();
    let processes = std::fs::read_dir("/proc").ok()?.flatten();
    let mut found = false;
    for process in processes.filter(|it| it.file_name().as_encoded_bytes()[0].is_ascii_digit()) {
        // One that has no status any more is none.
        let Ok(status) = std::fs::read_to_string(process.path().join("stat")) else { continue };
        // After the name, which may have anything in it: state, parent, group.
        let mut fields = status.rsplit(") ").next().unwrap_or_default().split(' ');
        let (state, of) = (fields.next()?, fields.nth(1)?);
        found = true;
        if of == group && !matches!(state, "Z" | "X") {
            return Some(true);
        }
    }
    found.then_some(false)
}
