//! Instants as run data spells them, and the clock that tells them.
//!
//! Runs and locks have whole seconds (`2026-03-01T12:00:00Z`), results milliseconds
//! (`2026-03-01T12:00:00.250Z`); both are UTC in RFC 3339, and readers take any form of that.

use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

/// A teller of the time: the system, or whatever a test or an import puts in its place.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The system's clock.
    pub fn system() -> Clock {
        Clock(Arc::new(Timestamp::now))
    }

    /// A clock that says whatever `tell` says.
    pub fn new(tell: impl Fn() -> Timestamp + Send + Sync + 'static) -> Clock {
        Clock(Arc::new(tell))
    }

    /// Now, cut to the millisecond.
    pub fn now(&self) -> Timestamp {
        let now = (self.0)();
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }
}

impl Default for Clock {
    fn default() -> Clock {
        Clock::system()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}

/// Now, by the system clock, cut to the second.
pub fn now() -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second()).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// An instant as text, such as `2026-03-01T12:00:00Z`.
pub fn format_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The same of milliseconds since 1970.
pub fn format_millis(milliseconds: u64) -> String {
    let milliseconds = i64::try_from(milliseconds).ok();
    let time = milliseconds.and_then(|it| Timestamp::from_millisecond(it).ok());
    format_time(time.unwrap_or(Timestamp::MAX))
}

/// The instant that a text names, in any RFC 3339 form; `None` for anything else.
pub fn parse_time(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// Whole seconds from one instant to another; 0 where a clock that was set back makes it negative.
pub fn seconds_between(from: Timestamp, to: Timestamp) -> u64 {
    let duration: SignedDuration = to.duration_since(from);
    u64::try_from(duration.as_secs()).unwrap_or(0)
}

/// Instants in JSON, with milliseconds.
pub(crate) mod milliseconds {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{time:.3}"))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
