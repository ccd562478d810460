//! Sizes, as people write them.

/// Why a text is no size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a size is a number followed by K, M, G or T, such as 10G")]
pub struct ParseSizeError;

/// Returns the bytes of `500`, `64K`, `1.5M`, `10G`, `10GB` or `10 GiB`, by powers of 1,024.
///
/// # Errors
/// When it is none of these.
pub fn bytes(text: &str) -> Result<u64, ParseSizeError> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit.trim().to_ascii_lowercase();
    let unit = unit.strip_suffix("ib").or(unit.strip_suffix('b')).unwrap_or(&unit);
    let shift = match unit {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return Err(ParseSizeError),
    };
    let number: f64 = number.parse().map_err(|_| ParseSizeError)?;
    let scaled = number * (1_u64 << shift) as f64;
    if scaled.is_finite() { Ok(scaled as u64) } else { Err(ParseSizeError) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_a_number_and_perhaps_a_unit() {
        assert_eq!(bytes("500"), Ok(500));
        assert_eq!(bytes("1.5K"), Ok(1536));
        assert_eq!(bytes("10GiB"), Ok(10 << 30));
        assert_eq!(bytes("4 GiB"), Ok(4 << 30));
        assert_eq!(bytes("2 mb"), Ok(2 << 20));
        for bad in ["", "G", "1X", "-1", "1.2.3G", &"9".repeat(400)] {
            assert_eq!(bytes(bad), Err(ParseSizeError), "{bad}");
        }
    }
}
