//! Spans of time, as people write them.

use std::{fmt, str::FromStr, time::Duration};

/// A span of time: a number and a unit, such as `90s`, `45m` or `45 min`, `12h`, `30d` or `2w`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Age {
    text: String,
    duration: Duration,
}

/// Why a text is no age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an age is a number followed by s, m, h, d or w, such as 30d")]
pub struct ParseAgeError;

impl Age {
    /// How long it is.
    pub fn duration(&self) -> Duration {
        self.duration
    }
}

/// The age as it was written.
impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Age {
    type Err = ParseAgeError;

    fn from_str(text: &str) -> Result<Self, ParseAgeError> {
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let unit = match unit.trim() {
            "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3_600.0,
            "d" => 86_400.0,
            "w" => 7.0 * 86_400.0,
            _ => return Err(ParseAgeError),
        };
        let number: f64 = number.parse().map_err(|_| ParseAgeError)?;
        let duration = Duration::try_from_secs_f64(number * unit).map_err(|_| ParseAgeError)?;
        Ok(Self { text: text.to_owned(), duration })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_a_number_and_a_unit() {
        let age = |text: &str| text.parse::<Age>().map(|age| age.duration().as_secs());
        assert_eq!(age("90s"), Ok(90));
        assert_eq!(age("1.5h"), Ok(5_400));
        assert_eq!(age("30 d"), Ok(30 * 86_400));
        assert_eq!(age("2w"), Ok(14 * 86_400));
        assert_eq!(age("30 min"), age("30m"));
        for bad in
            ["", "3", "d", "1y", "-1d", "30 mins", "1.2.3d", &format!("{}w", "9".repeat(400))]
        {
            assert_eq!(age(bad), Err(ParseAgeError), "{bad}");
        }
    }
}
