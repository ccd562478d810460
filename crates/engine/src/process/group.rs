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

/// How long killed ones are waited for. Only those that hang in the kernel take longer, and those whose
/// remains nobody fetches, as in a container without an init.
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
    while test_kill_process_group(group) != Err(Errno::SRCH) {
        // Orphans become children of this process where it is the first one of a container.
        while matches!(waitpgid(group, WaitOptions::NOHANG), Ok(Some(_))) {}
        if started.elapsed() > patience {
            return false;
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
    true
}
