//! Comparisons, as people read of them.

use std::collections::HashSet;

use larder_runs::{
    comparison::{Judged, Outcome, Shown, Subject, Verdict},
    name::PackageName,
};

use super::counted;
use crate::commands::records::plural;

/// How many attempts worked: `9/10`.
pub fn evidence(shown: &Shown) -> String {
    let evidence = shown.evidence;
    match evidence.worked + evidence.failed {
        0 => "-".to_owned(),
        all => format!("{}/{all}", evidence.worked),
    }
}

/// The kind of a failure, and a line about it: of the side that fails now, or failed before.
pub fn reason(judged: &Judged) -> (String, String) {
    let sides = match judged.verdict {
        Verdict::Fixed => [&judged.base, &judged.candidate],
        _ => [&judged.candidate, &judged.base],
    };
    let Some(side) = sides.into_iter().find(|side| side.category.is_some()) else {
        return Default::default();
    };
    let category = side.category.as_ref().map(ToString::to_string).unwrap_or_default();
    let mut roots: Vec<&str> = side.roots.iter().map(|root| root.package.as_str()).collect();
    roots.dedup();
    let error = match roots.is_empty() {
        true => side.error.clone().unwrap_or_default(),
        false => format!("blocked by {}", roots.join(", ")),
    };
    (category, error)
}

/// How many packages are compared, and whether one counts with each of its compilers.
pub fn total<'s>(subjects: impl Iterator<Item = &'s Subject> + Clone) -> String {
    let packages: HashSet<&PackageName> = subjects.clone().map(|it| &it.package).collect();
    let count = subjects.count();
    let each = if packages.len() < count { " (each compiler counted)" } else { "" };
    format!("{}{each}", plural(count as u64, "package"))
}

/// A comparison in one line: `1 regressed, 3 flaky and 196 the same of 200 packages`.
pub fn in_a_line(outcome: &Outcome) -> String {
    let counts = &outcome.counts;
    let parts = [
        (counts.regressed, "regressed"),
        (counts.fixed, "fixed"),
        (counts.flaky, "flaky"),
        (counts.unknown, "unknown"),
        (counts.broken_before, "broken before"),
        (counts.same, "the same"),
    ];
    let mut parts = counted(&parts);
    let total = total(outcome.packages.iter().map(|judged| &judged.subject));
    match parts.pop() {
        None => format!("0 of {total}"),
        Some(last) if parts.is_empty() => format!("{last} of {total}"),
        Some(last) => format!("{} and {last} of {total}", parts.join(", ")),
    }
}
