//! Sizes and ages, as people write them.

use std::time::Duration;

use larder_project::age::{Age, ParseAgeError};

/// `500`, `64K`, `1.5M`, `10G`, `10GB`, `10GiB`: in bytes, by powers of 1,024.
pub fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    let unit = unit.to_ascii_lowercase();
    let unit = unit.strip_suffix("ib").or(unit.strip_suffix('b')).unwrap_or(&unit);
    let shift = match unit {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return Err("a size is a number followed by K, M, G or T, such as 10G".to_owned()),
    };
    scaled(number, (1_u64 << shift) as f64)
        .map(|bytes| bytes as u64)
        .ok_or_else(|| "a size is a number followed by K, M, G or T, such as 10G".to_owned())
}

/// `90s`, `45m`, `12h`, `30d`, `2w`.
pub fn age(text: &str) -> Result<Duration, ParseAgeError> {
    text.parse::<Age>().map(|age| age.duration())
}

fn split(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number, unit.trim())
}

fn scaled(number: &str, unit: f64) -> Option<f64> {
    let number: f64 = number.parse().ok()?;
    Some(number * unit).filter(|scaled| scaled.is_finite() && *scaled >= 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_ages() {
        assert_eq!(size("500"), Ok(500));
        assert_eq!(size("1.5K"), Ok(1536));
        assert_eq!(size("10GiB"), Ok(10 << 30));
        assert_eq!(size("2 mb"), Ok(2 << 20));
        assert_eq!(age("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(age("2w"), Ok(Duration::from_secs(14 * 86_400)));
        for bad in ["", "G", "1X", "-1", "1.2.3G"] {
            assert!(size(bad).is_err(), "{bad}");
        }
        for bad in ["", "3", "d", "1y", "-1d"] {
            assert!(age(bad).is_err(), "{bad}");
        }
    }
}
