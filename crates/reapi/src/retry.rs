//! Asking again, and when to stop asking.

use std::{
    pin::pin,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures_util::future::{Either, select};
use tonic::{Code, Response, Status};

use crate::error::{Error, Meaning, describe, meaning};

/// How often something is asked for in all.
const ATTEMPTS: u32 = 6;

/// The wait after the first attempt; it doubles each time.
const FIRST_WAIT: Duration = Duration::from_millis(40);

/// How much a failure of each kind counts, and how much in a row ends it all.
const FAILURE: u32 = 1;
const REFUSAL: u32 = 6;
const SILENCE: u32 = 6;
const TOO_MUCH: u32 = 18;

/// Failures within this time count as one: a connection that breaks fails every call that is on it.
const TOGETHER: Duration = Duration::from_millis(20);

/// Whether a server is worth asking, for one build: one that gives nothing but failures for long enough is left alone.
#[derive(Debug, Default)]
pub struct Breaker(Mutex<Standing>);

#[derive(Debug, Default)]
struct Standing {
    /// What failures in a row amount to.
    amount: u32,
    /// When the last of them was that counted.
    last: Option<Instant>,
    open: Option<String>,
}

impl Breaker {
    fn standing(&self) -> std::sync::MutexGuard<'_, Standing> {
        // Every change is a single assignment.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why nobody is to ask any more, once that is so.
    pub fn given_up(&self) -> Option<String> {
        self.standing().open.clone()
    }

    /// Takes note of an answer, whichever it was.
    pub fn answered(&self) {
        let mut standing = self.standing();
        (standing.amount, standing.last) = (0, None);
    }

    fn failed(&self, weight: u32, reason: &str) {
        let mut standing = self.standing();
        if standing.last.is_some_and(|last| last.elapsed() < TOGETHER) {
            return;
        }
        standing.last = Some(Instant::now());
        standing.amount += weight;
        if standing.amount >= TOO_MUCH && standing.open.is_none() {
            standing.open = Some(reason.to_owned());
        }
    }

    /// Asks until there is an answer, for a few times.
    ///
    /// # Errors
    /// What the server said, when that is final; else that it did not answer.
    pub async fn ask<T>(
        &self,
        method: &str,
        patience: Duration,
        question: impl AsyncFn() -> Result<Response<T>, Status>,
    ) -> Result<T, Error> {
        let mut wait = FIRST_WAIT;
        let mut silences = 0;
        for attempt in 1.. {
            if let Some(reason) = self.given_up() {
                return Err(Error::GivenUp(reason));
            }
            let (status, weight) = match within(patience, question()).await {
                Ok(Ok(answer)) => {
                    self.answered();
                    return Ok(answer.into_inner());
                }
                Ok(Err(status)) => (status, FAILURE),
                Err(Silent) => {
                    silences += 1;
                    let text = format!("it does not answer {method}");
                    (Status::deadline_exceeded(text), SILENCE)
                }
            };
            let text = describe(&status);
            match meaning(&status) {
                Meaning::Passing => self.failed(weight, &text),
                Meaning::Absent => {
                    self.answered();
                    return Err(Error::Missing(Vec::new()));
                }
                Meaning::Final => {
                    self.failed(REFUSAL, &text);
                    return Err(Error::Refused(text));
                }
            }
            // Too large a message stays too large.
            let hopeless = status.code() == Code::OutOfRange;
            if attempt >= ATTEMPTS || silences >= 2 || hopeless {
                return Err(Error::Unavailable(text));
            }
            tokio::time::sleep(wait.mul_f64(0.5 + fastrand::f64())).await;
            wait *= 2;
        }
        Err(Error::Unavailable("it does not answer".to_owned()))
    }
}

/// Nothing came for as long as one waits.
#[derive(Debug)]
pub struct Silent;

/// Waits for something, but no longer than `patience`.
///
/// # Errors
/// It did not come.
pub async fn within<T>(patience: Duration, wanted: impl Future<Output = T>) -> Result<T, Silent> {
    match select(pin!(wanted), pin!(tokio::time::sleep(patience))).await {
        Either::Left((came, _)) => Ok(came),
        Either::Right(_) => Err(Silent),
    }
}
