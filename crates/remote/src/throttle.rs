//! Heeds what a service says about being asked too much.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

/// The longest `Retry-After` that is obeyed in full.
const LONGEST: Duration = Duration::from_secs(60);

/// Shared by all requests to one service: until when they shall wait, and how many there were.
#[derive(Debug, Clone, Default)]
pub struct Throttle(Arc<State>);

#[derive(Debug, Default)]
struct State {
    until: Mutex<Option<Instant>>,
    requests: AtomicU64,
}

impl Throttle {
    /// How many requests have been sent.
    pub fn requests(&self) -> u64 {
        self.0.requests.load(Ordering::Relaxed)
    }

    /// Notes that a request is being sent.
    pub fn count(&self) {
        self.0.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Heeds a `Retry-After`. Returns how long that is.
    pub fn heed(&self, value: &str) -> Duration {
        let delay = retry_after(value).unwrap_or_default();
        self.hold(delay);
        delay
    }

    fn hold(&self, delay: Duration) {
        let until = Instant::now() + delay.min(LONGEST);
        let mut held = self.0.until.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if held.is_none_or(|held| held < until) {
            *held = Some(until);
        }
    }

    /// Waits until the service wants to be asked again; then a little more, each request for
    /// itself, so that they don't all come at once.
    pub async fn wait(&self) {
        loop {
            let held = *self.0.until.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            match held.map(|until| until.saturating_duration_since(Instant::now())) {
                Some(left) if !left.is_zero() => {
                    let jitter = left.min(Duration::from_secs(1)).mul_f64(fastrand::f64() / 4.0);
                    tokio::time::sleep(left + jitter).await;
                }
                _ => return,
            }
        }
    }
}

/// A `Retry-After`: seconds, or a date.
fn retry_after(value: &str) -> Option<Duration> {
    match value.trim().parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => {
            let date = httpdate::parse_http_date(value).ok()?;
            Some(date.duration_since(SystemTime::now()).unwrap_or_default())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(retry_after(" 7 "), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(30));
        assert!(retry_after(&soon).is_some_and(|delay| delay > Duration::from_secs(25)));
        assert_eq!(retry_after("soon"), None);
        assert_eq!(retry_after("-1"), None);
    }
}
