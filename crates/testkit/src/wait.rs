//! Waiting for what has to happen, with a deadline.

use std::{
    process::{Child, ExitStatus},
    thread,
    time::{Duration, Instant},
};

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until `holds`, which it has to within half a minute.
#[track_caller]
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// How a process ends; one that does not within `limit` is killed, and fails the test.
#[track_caller]
pub fn ends_within(limit: Duration, mut child: Child) -> ExitStatus {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("it did not end within {limit:?}");
        }
        thread::sleep(Duration::from_millis(5));
    }
}
