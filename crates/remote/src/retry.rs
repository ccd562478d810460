//! When to try again, and how long to wait before.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use object_store::Error;

/// How many times in a row one thing may fail before it is given up.
const ATTEMPTS: u32 = 10;
/// After how many failures in a row, with nothing at all succeeding, a service is given up by who
/// came for it, and by a build, which can do without.
const HOPELESS: u32 = 40;
const HOPELESS_FOR_A_BUILD: u32 = 4;
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);

/// The attempts at one thing. Waits between them grow and are jittered in full, as in
/// <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>.
#[derive(Debug, Default)]
pub struct Attempts {
    failed: u32,
}

impl Attempts {
    /// Notes progress: what fails from here on is counted anew.
    pub fn succeeded(&mut self, health: &Health) {
        self.failed = 0;
        health.succeeded();
    }

    /// Notes a failure and waits before the next attempt. False when there shall be none.
    pub async fn failed(&mut self, health: &Health) -> bool {
        self.failed += 1;
        if health.failed() || self.failed >= ATTEMPTS {
            return false;
        }
        let most = SHORTEST.saturating_mul(1 << self.failed.min(16)).min(LONGEST);
        tokio::time::sleep(most.mul_f64(fastrand::f64())).await;
        true
    }
}

/// Whether a service answers at all.
#[derive(Debug)]
pub struct Health {
    failures: AtomicU32,
    hopeless: u32,
}

impl Default for Health {
    fn default() -> Self {
        Self { failures: AtomicU32::new(0), hopeless: HOPELESS }
    }
}

impl Health {
    /// As seen by a build that waits: given up soon.
    pub fn for_a_build() -> Self {
        Self { hopeless: HOPELESS_FOR_A_BUILD, ..Self::default() }
    }

    fn succeeded(&self) {
        self.failures.store(0, Ordering::Relaxed);
    }

    /// Notes a failure; true when the service is beyond hope.
    fn failed(&self) -> bool {
        self.failures.fetch_add(1, Ordering::Relaxed) + 1 >= self.hopeless
    }

    /// Whether the service is beyond hope.
    pub fn is_hopeless(&self) -> bool {
        self.failures.load(Ordering::Relaxed) >= self.hopeless
    }
}

/// Whether the same request may succeed later.
pub fn is_transient(error: &Error) -> bool {
    match error {
        Error::Generic { .. } => match status(error) {
            Some(status) => status >= 500 || matches!(status, 400 | 408 | 425 | 429),
            None => true,
        },
        Error::JoinError { .. } => true,
        _ => false,
    }
}

/// The HTTP status of an error that has no variant of its own. object_store keeps it to itself.
fn status(error: &Error) -> Option<u16> {
    let text = error.to_string();
    let (_, after) = text.split_once("status code: ")?;
    after.get(..3)?.parse().ok()
}

const DENIED: &str = "access denied; check LARDER_CACHE_KEY or the provider's own variables";
const UNKNOWN: &str = "not authenticated; set LARDER_CACHE_KEY or the provider's own variables";

/// The error in a few words, without what a server may have quoted.
pub fn describe(error: &Error) -> String {
    match error {
        Error::NotFound { .. } => "not found".to_owned(),
        Error::PermissionDenied { .. } => DENIED.to_owned(),
        Error::Unauthenticated { .. } => UNKNOWN.to_owned(),
        Error::AlreadyExists { .. } | Error::Precondition { .. } => {
            "it is already there".to_owned()
        }
        Error::NotSupported { .. } | Error::NotImplemented { .. } => {
            "the service cannot do that".to_owned()
        }
        Error::Generic { .. } if status(error) == Some(403) => DENIED.to_owned(),
        Error::Generic { .. } if status(error) == Some(401) => UNKNOWN.to_owned(),
        Error::Generic { source, .. } => {
            let mut text = source.to_string();
            let mut cause = source.source();
            while let Some(error) = cause {
                let more = error.to_string();
                if !text.contains(&more) {
                    text = format!("{text}: {more}");
                }
                cause = error.source();
            }
            text.trim_end_matches([' ', ':']).to_owned()
        }
        other => other.to_string(),
    }
}
