//! When to try again, and how long to wait before.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use object_store::Error;
use tokio::sync::Notify;

use crate::service::{denial, transport::TransportError};

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

/// The things known in this process of whether a service answers. Shared by all who opened it by the
/// same configuration, so that nobody waits for what another has waited for in vain.
#[derive(Debug, Default)]
pub struct Outlook {
    /// Failures in a row.
    failures: AtomicU32,
    /// How it has answered of late.
    lately: Mutex<Lately>,
    /// Why it is asked for nothing any more.
    given_up: OnceLock<String>,
    /// Wakes who waits for it when that is so.
    bell: Notify,
}

/// How a service has answered of late.
#[derive(Debug, Default)]
enum Lately {
    /// Not at all yet.
    #[default]
    Never,
    /// Well.
    Well,
    /// Late, and nothing else, since then.
    Late(Instant),
}

/// How much is put up with before a service is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// Of who came for it.
    Transfer,
    /// Of a build, which can do without.
    Build,
    /// Of a question, which can do without too, and whose answer says why there is none.
    Question,
}

/// Whether a service answers at all, as seen by one who uses it.
#[derive(Debug, Clone)]
pub struct Health {
    service: String,
    outlook: Arc<Outlook>,
    patience: Patience,
}

/// How many deadlines may pass without any success before who came for a service gives it up.
const DEADLINES: u32 = 3;

impl Health {
    /// That of the service called `service`.
    pub fn new(service: &str, outlook: &Arc<Outlook>, patience: Patience) -> Self {
        Self { service: service.to_owned(), outlook: outlook.clone(), patience }
    }

    fn succeeded(&self) {
        self.outlook.failures.store(0, Ordering::Relaxed);
        *self.lately() = Lately::Well;
    }

    fn lately(&self) -> MutexGuard<'_, Lately> {
        self.outlook.lately.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a failure; true when the service is beyond hope.
    fn failed(&self) -> bool {
        let failures = self.outlook.failures.fetch_add(1, Ordering::Relaxed) + 1;
        if failures >= self.hopeless() {
            self.give_up(&format!("{failures} requests in a row failed"));
        }
        self.is_hopeless()
    }

    fn hopeless(&self) -> u32 {
        match self.patience {
            Patience::Transfer => HOPELESS,
            Patience::Build | Patience::Question => HOPELESS_FOR_A_BUILD,
        }
    }

    /// Notes that `deadline` passed without what it was for. A service of which nothing came yet is
    /// given up, by a build any service.
    pub fn late(&self, deadline: Duration, reason: &str) {
        let hopeless = {
            let mut lately = self.lately();
            match *lately {
                Lately::Never => true,
                Lately::Well => {
                    *lately = Lately::Late(Instant::now());
                    false
                }
                Lately::Late(since) => since.elapsed() >= deadline * (DEADLINES - 1),
            }
        };
        if self.patience != Patience::Transfer || hopeless {
            self.give_up(reason);
        }
    }

    /// Notes that the service wants to be left alone for `delay`. A build does not wait longer for that
    /// than for an answer.
    pub fn told_to_wait(&self, delay: Duration, answer: Duration) {
        if self.patience != Patience::Transfer && delay > answer {
            self.give_up(&format!("it wants to be asked again in {} s", delay.as_secs()));
        }
    }

    fn give_up(&self, reason: &str) {
        let is_first = self.outlook.given_up.set(reason.to_owned()).is_ok();
        self.outlook.bell.notify_waiters();
        // Whoever came for it gets it as an error.
        if is_first && self.patience == Patience::Build {
            tracing::info!("service {}: {reason}; it is not asked again", self.service);
        }
    }

    /// Why the service is asked for nothing any more, if that is so.
    pub fn given_up(&self) -> Option<&str> {
        self.outlook.given_up.get().map(String::as_str)
    }

    /// Waits until it is given up, and returns why.
    pub async fn until_given_up(&self) -> &str {
        loop {
            let bell = self.outlook.bell.notified();
            if let Some(reason) = self.given_up() {
                return reason;
            }
            bell.await;
        }
    }

    /// Whether the service is beyond hope.
    pub fn is_hopeless(&self) -> bool {
        self.given_up().is_some()
    }
}

/// Whether the same request may succeed later.
pub fn is_transient(error: &Error) -> bool {
    match error {
        Error::Generic { .. } if refusal(error).is_some() || distrust(error).is_some() => false,
        Error::Generic { .. } => match status(error) {
            Some(status) => status >= 500 || matches!(status, 400 | 408 | 423 | 425 | 429),
            None => true,
        },
        Error::JoinError { .. } => true,
        _ => false,
    }
}

/// Why the service will never take an object, where it says so in a word that is known.
fn refusal(error: &Error) -> Option<&'static str> {
    denial::Code::in_message(&error.to_string())?.refusal()
}

/// Why the certificate that the service showed is not believed, if that is so.
fn distrust(error: &Error) -> Option<&rustls::Error> {
    let first: &(dyn std::error::Error + 'static) = error;
    std::iter::successors(Some(first), |error| {
        // An I/O error that wraps another one does not name it as its source.
        match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        }
    })
    .filter_map(|error| error.downcast_ref::<rustls::Error>())
    .find(|error| matches!(error, rustls::Error::InvalidCertificate(_)))
}

/// Whether the service said so itself; else it is not known to be there.
pub fn is_answer(error: &Error) -> bool {
    !matches!(error, Error::Generic { .. } | Error::JoinError { .. }) || status(error).is_some()
}

/// Whether the service does not let whoever asks have it.
pub fn is_denial(error: &Error) -> bool {
    match error {
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => true,
        Error::Generic { .. } => matches!(status(error), Some(401 | 403)),
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
const UNKNOWN: &str = "not authenticated; set LARDER_CACHE_KEY or the provider's own variables (for a \
                       plain HTTP server, LARDER_CACHE_KEY=user:password or LARDER_CACHE_TOKEN)";

/// [`DENIED`], with the provider's own word for why, if it is one of those that are known.
fn denied(error: &Error) -> String {
    match denial::Code::in_message(&error.to_string()) {
        Some(code) => format!("{DENIED} ({code})"),
        None => DENIED.to_owned(),
    }
}

const NO_BUCKET: &str = "there is no such bucket; make it where the provider has its buckets (S3: `aws s3 mb s3://NAME`, Google: \
                         `gcloud storage buckets create gs://NAME`, Azure: `az storage container create`), or mend `url` in the \
                         configuration";

/// Whether there is nothing in which an object could be.
pub fn is_without_bucket(error: &Error) -> bool {
    let code = denial::Code::in_message(&error.to_string());
    code.is_some_and(|code| [denial::NO_BUCKET, denial::NO_CONTAINER].contains(&code))
}

/// The error in a few words, without what a server may have quoted.
pub fn describe(error: &Error) -> String {
    match error {
        _ if is_without_bucket(error) => NO_BUCKET.to_owned(),
        Error::NotFound { .. } => "not found".to_owned(),
        Error::PermissionDenied { .. } => denied(error),
        Error::Unauthenticated { .. } => UNKNOWN.to_owned(),
        Error::AlreadyExists { .. } | Error::Precondition { .. } => {
            "it is already there".to_owned()
        }
        Error::NotSupported { .. } | Error::NotImplemented { .. } => {
            "the service cannot do that".to_owned()
        }
        Error::Generic { .. } if status(error) == Some(403) => denied(error),
        Error::Generic { .. } if status(error) == Some(401) => UNKNOWN.to_owned(),
        Error::Generic { source, .. } => {
            if let Some(why) = refusal(error) {
                return why.to_owned();
            }
            if let Some(why) = distrust(error) {
                return format!(
                    "{why}; if the authority that signed it is your own, name it as `ca-certificates` of the service"
                );
            }
            let mut text = source.to_string();
            let mut cause = source.source();
            while let Some(error) = cause {
                if let Some(own) = error.downcast_ref::<TransportError>() {
                    return own.to_string();
                }
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

#[cfg(test)]
mod tests {
    use std::io;

    use rustls::CertificateError;

    use super::*;

    fn failed(cause: rustls::Error) -> Error {
        let source = io::Error::other(io::Error::other(cause));
        Error::Generic { store: "S3", source: source.into() }
    }

    #[test]
    fn whose_certificate_is_not_believed_is_not_asked_again() {
        let stranger = failed(CertificateError::UnknownIssuer.into());
        assert!(!is_transient(&stranger));
        assert!(describe(&stranger).contains("ca-certificates"), "{}", describe(&stranger));
        assert!(is_transient(&failed(rustls::Error::HandshakeNotComplete)));
    }
}
