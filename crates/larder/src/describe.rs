//! Results, as people read of them.

use std::fmt::Display;

pub mod bisection;
pub mod comparison;
pub mod run;

/// The parts of a whole that there are any of, each with its number: `2 fail`, `1 blocked`.
pub fn counted<N: Default + Display + PartialEq>(parts: &[(N, &str)]) -> Vec<String> {
    let some = parts.iter().filter(|(count, _)| *count != N::default());
    some.map(|(count, what)| format!("{count} {what}")).collect()
}
