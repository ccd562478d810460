//! Instants as run data spells them: UTC, RFC 3339, whole seconds (`2026-03-01T12:00:00Z`).

use jiff::{SignedDuration, Timestamp};

/// Now, by the system clock, cut to the second.
pub fn now() -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second()).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// An instant as text, such as `2026-03-01T12:00:00Z`.
pub fn format_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
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
