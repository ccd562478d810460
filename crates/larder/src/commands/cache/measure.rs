//! Ages, as people write them.

use std::time::Duration;

use larder_project::age::{Age, ParseAgeError};

/// `90s`, `45m`, `12h`, `30d`, `2w`.
pub fn age(text: &str) -> Result<Duration, ParseAgeError> {
    text.parse::<Age>().map(|age| age.duration())
}
