//! The order of versions of one package.
//!
//! It is a total order over all texts, and agrees with [semver](https://semver.org) on whatever that orders:
//!
//! - What stands before the first `-` or `+` counts first: numbers by value, whatever stands between dots one
//!   after the other, missing numbers as 0. So `1.9 < 1.10`, `1.2.3 < 1.2.3.4`, `20231231 < 20240101`.
//! - Letters after a number make it later (`1.0.2 < 1.0.2k`), unless they say that it comes before: `1.0rc1 < 1.0`
//!   (`alpha`, `beta`, `dev`, `pre`, `preview`, `rc`, `snapshot`).
//! - `~` comes before everything, even before nothing, as in Debian: `2.0~git1 < 2.0`.
//! - What follows a `-` makes it earlier, as semver has it: `2.0-rc1 < 2.0`. Of two such, what stands between dots is
//!   compared one after the other: numbers by value and before words, words as ASCII has them.
//! - What follows a `+` counts where all else is equal: `1.0 < 1.0+b1 < 1.0+b2`.
//! - Versions that are still equal, such as `1.2` and `1.2.0`, are ordered as texts.

use std::{cmp::Ordering, iter};

/// Compares two versions of a package: the later is the greater.
pub fn compare(a: &str, b: &str) -> Ordering {
    let (a_parts, b_parts) = (Parts::of(a), Parts::of(b));
    by_components(a_parts.main, b_parts.main)
        .then_with(|| match (a_parts.before, b_parts.before) {
            // One that comes before something comes before it.
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(a), Some(b)) => by_identifiers(a, b),
        })
        .then_with(|| match (a_parts.build, b_parts.build) {
            (Some(a), Some(b)) => by_identifiers(a, b),
            (a, b) => a.is_some().cmp(&b.is_some()),
        })
        .then_with(|| a.cmp(b))
}

/// Compares two package versions, `<name>.<version>`: by name, then by version.
pub fn compare_packages(a: &str, b: &str) -> Ordering {
    let parts = |package| str::split_once(package, '.').unwrap_or((package, ""));
    let ((a_name, a_version), (b_name, b_version)) = (parts(a), parts(b));
    a_name.cmp(b_name).then_with(|| compare(a_version, b_version))
}

/// A version: `MAIN[-BEFORE][+BUILD]`.
struct Parts<'v> {
    main: &'v str,
    before: Option<&'v str>,
    build: Option<&'v str>,
}

impl<'v> Parts<'v> {
    fn of(version: &'v str) -> Self {
        let split = |text: &'v str, at: char| match text.split_once(at) {
            Some((left, right)) => (left, Some(right)),
            None => (text, None),
        };
        let (rest, build) = split(version, '+');
        let (main, before) = split(rest, '-');
        Self { main, before, build }
    }
}

/// Compares what stands between dots, one after the other; what is missing is 0.
fn by_components(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.split('.'), b.split('.'));
    loop {
        let (next_a, next_b) = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (a, b) => (a.unwrap_or("0"), b.unwrap_or("0")),
        };
        match tokens(next_a).cmp(tokens(next_b)) {
            Ordering::Equal => {}
            decided => return decided,
        }
    }
}

/// A piece of a component, in the order in which pieces count where they stand at the same place.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Token<'v> {
    /// `~`
    Tilde,
    /// A word for what comes before a version, in small letters.
    Before(String),
    /// The end of the component.
    End,
    /// A number, without leading zeros: the longer is the greater.
    Number(usize, &'v str),
    /// Anything else.
    Word(&'v str),
}

/// The words for what comes before a version.
const BEFORE: &[&str] = &["alpha", "beta", "dev", "pre", "preview", "rc", "snapshot"];

fn tokens(component: &str) -> impl Iterator<Item = Token<'_>> {
    let mut rest = component;
    let pieces = iter::from_fn(move || {
        let first = rest.chars().next()?;
        let end =
            |belongs: fn(char) -> bool| rest.find(|c: char| !belongs(c)).unwrap_or(rest.len());
        let end = match first {
            '~' => 1,
            '0'..='9' => end(|c| c.is_ascii_digit()),
            _ => end(|c| !c.is_ascii_digit() && c != '~'),
        };
        let (piece, after) = rest.split_at(end);
        rest = after;
        Some(match first {
            '~' => Token::Tilde,
            '0'..='9' => {
                let number = piece.trim_start_matches('0');
                Token::Number(number.len(), number)
            }
            _ => {
                let small = piece.to_ascii_lowercase();
                let word = small.trim_matches('_');
                match BEFORE.contains(&word) {
                    true => Token::Before(small),
                    false => Token::Word(piece),
                }
            }
        })
    });
    pieces.chain([Token::End])
}

/// Compares what stands between dots as semver does: numbers before words, and of two lists of which one begins
/// with the other, the shorter comes first.
fn by_identifiers(a: &str, b: &str) -> Ordering {
    a.split('.').map(Identifier::of).cmp(b.split('.').map(Identifier::of))
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Identifier<'v> {
    Number(usize, &'v str),
    Word(Word<'v>),
}

impl<'v> Identifier<'v> {
    fn of(text: &'v str) -> Self {
        match !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            true => {
                let number = text.trim_start_matches('0');
                Self::Number(number.len(), number)
            }
            false => Self::Word(Word(text)),
        }
    }
}

/// A word in the order of its bytes, but for `~`, which comes before the end.
#[derive(PartialEq, Eq)]
struct Word<'v>(&'v str);

impl Word<'_> {
    fn weights(&self) -> impl Iterator<Item = u16> {
        let weight = |byte| if byte == b'~' { 0 } else { u16::from(byte) + 2 };
        self.0.bytes().map(weight).chain([1])
    }
}

impl PartialOrd for Word<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Word<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.weights().cmp(other.weights())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn versions_are_in_the_order_that_people_mean() {
        for list in [
            &["1.0", "1.0.0", "1.0.1", "1.2.3", "1.2.3.4", "1.2.10", "1.10", "2", "10"][..],
            &["1.0.2", "1.0.2a", "1.0.2k", "1.0.2z", "1.0.3"],
            &["1.0.1", "3.0.0", "20231231", "20240101"],
            &[
                "2.0~~",
                "2.0~",
                "2.0~git1",
                "2.0-rc1",
                "2.0-rc1.1",
                "2.0",
                "2.0+b1",
                "2.0+b2",
                "2.0.1",
            ],
            &["1.0alpha", "1.0beta2", "1.0rc1", "1.0rc2", "1.0rc10", "1.0", "1.0p1"],
            &[
                "1.0.0-alpha",
                "1.0.0-alpha.1",
                "1.0.0-alpha.beta",
                "1.0.0-beta",
                "1.0.0-beta.2",
                "1.0.0-beta.11",
                "1.0.0-rc.1",
                "1.0.0",
            ],
            &["1.0.dev1", "1.0", "1.0.1"],
            &["", "1"],
            &["9", "99999999999999999999999999999", "100000000000000000000000000000"],
            &["5.2.0~alpha1", "5.2.0~beta1", "5.2.0", "5.2.1~rc1", "5.2.1"],
        ] {
            for (at, older) in list.iter().enumerate() {
                for newer in &list[at + 1..] {
                    assert_eq!(compare(older, newer), Ordering::Less, "{older} {newer}");
                    assert_eq!(compare(newer, older), Ordering::Greater, "{newer} {older}");
                }
            }
        }
    }

    /// Texts of what versions are made of, so that they often share a beginning.
    fn version() -> impl Strategy<Value = String> {
        let piece = prop_oneof!["[0-9]{1,2}", "[.~+_-]", "[a-c]", "rc", "beta", "0"];
        prop::collection::vec(piece, 0..7).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn it_is_a_total_order(a in version(), b in version(), c in version()) {
            prop_assert_eq!(compare(&a, &b) == Ordering::Equal, a == b);
            prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
            let mut sorted = [&a, &b, &c];
            sorted.sort_by(|a, b| compare(a, b));
            let [first, second, third] = sorted;
            prop_assert!(compare(first, second).is_le());
            prop_assert!(compare(second, third).is_le());
            prop_assert!(compare(first, third).is_le(), "{} {} {}", first, second, third);
        }

        #[test]
        fn it_agrees_with_semver(a in semver_text(), b in semver_text()) {
            let parsed = |text: &str| semver::Version::parse(text).unwrap();
            let precedence = parsed(&a).cmp_precedence(&parsed(&b));
            if precedence != Ordering::Equal {
                prop_assert_eq!(compare(&a, &b), precedence, "{} {}", a, b);
            }
        }
    }

    fn semver_text() -> impl Strategy<Value = String> {
        let number = || prop_oneof![0_u64..3, 9_u64..12];
        let identifier =
            || prop_oneof!["[a-cA-C-]{1,2}", "[1-9]{1,2}", "[ab][0-9]", Just("0".to_owned())];
        let before = prop::collection::vec(identifier(), 0..3);
        let build = prop::collection::vec(identifier(), 0..2);
        (number(), number(), number(), before, build).prop_map(|(a, b, c, before, build)| {
            let part = |mark: &str, parts: Vec<String>| match parts.is_empty() {
                true => String::new(),
                false => format!("{mark}{}", parts.join(".")),
            };
            format!("{a}.{b}.{c}{}{}", part("-", before), part("+", build))
        })
    }
}
