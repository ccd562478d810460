//! What to say: a template over what a run changed, quiet when nothing did.

use larder_runs::status_index::{Change, Failing, StatusIndex};

use crate::channel::Message;

/// The template used where none is given. Its first line is the subject.
///
/// `{run}`, `{since}` and `{summary}` are words. `{broken}`, `{mended}`, `{other-broken}`, `{other-mended}`,
/// `{new}`, `{vanished}` and `{flaky}` are lists with a heading, or nothing at all; a line that holds
/// only such a list goes with it when it is empty. Anything else in braces stays as it is.
pub const DEFAULT_TEMPLATE: &str = "\
larder {run}: {summary}
{broken}
{mended}
{other-broken}
{other-mended}
{new}
{vanished}
{flaky}
Compared with {since}.
";

/// What changed, put into a template; `None` when nothing did. `fold` items of each list are shown.
pub fn digest(index: &StatusIndex, template: &str, fold: usize) -> Option<Message> {
    if index.changes.is_empty()
        && index.new_packages.is_empty()
        && index.vanished_packages.is_empty()
    {
        return None;
    }
    let mut lines = Vec::new();
    for line in template.lines() {
        let filled = fill(index, line, fold);
        if !filled.trim().is_empty() || line.trim().is_empty() {
            lines.push(filled);
        }
    }
    let mut lines = lines.into_iter();
    let subject = lines.next().unwrap_or_default();
    let body: Vec<String> = lines.collect();
    Some(Message { subject, body: body.join("\n").trim().to_owned() + "\n" })
}

/// One line with its fields replaced. What a field brings in is not looked at again.
fn fill(index: &StatusIndex, line: &str, fold: usize) -> String {
    let mut filled = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let field = after
            .split_once('}')
            .and_then(|(name, after)| Some((field(index, name, fold)?, after)));
        match field {
            Some((value, after)) => {
                filled.push_str(&value);
                rest = after;
            }
            None => {
                filled.push('{');
                rest = after;
            }
        }
    }
    filled + rest
}

fn field(index: &StatusIndex, name: &str, fold: usize) -> Option<String> {
    let changes = |blessed: bool, recovery: bool| {
        let wanted =
            move |change: &&Change| change.blessed == blessed && change.is_recovery() == recovery;
        index.changes.iter().filter(wanted).map(|change| describe(index, change)).collect()
    };
    let names = |names: &[String]| names.to_vec();
    let flaky = || {
        index.flaky().map(|(name, flaky)| format!("{name} ({} times)", flaky.transitions)).collect()
    };
    Some(match name {
        "run" => index.run_id.clone().unwrap_or_default(),
        "since" => index.since.clone().unwrap_or_else(|| "nothing".to_owned()),
        "summary" => summary(index),
        "broken" => list("Broken", changes(true, false), fold),
        "mended" => list("Working again", changes(true, true), fold),
        "other-broken" => list("Broken, not blessed", changes(false, false), fold),
        "other-mended" => list("Working again, not blessed", changes(false, true), fold),
        "new" => list("New packages", names(&index.new_packages), fold),
        "vanished" => list("Gone", names(&index.vanished_packages), fold),
        "flaky" => list("Flaky", flaky(), fold),
        _ => return None,
    })
}

fn summary(index: &StatusIndex) -> String {
    let count = |recovery| {
        index.changes.iter().filter(|c| c.blessed && c.is_recovery() == recovery).count()
    };
    let works = index.blessed.status(larder_runs::classify::SUCCESS);
    format!(
        "{} broken, {} working again, {works} of {} work",
        count(false),
        count(true),
        index.blessed.total
    )
}

/// A changed build: what it is, and for a failure why and because of what.
fn describe(index: &StatusIndex, change: &Change) -> String {
    let failing: Option<&Failing> = index.packages.get(&change.package).and_then(|package| {
        package.failures.iter().find(|failing| failing.build_hash == change.build_hash)
    });
    let mut text = change.package.clone();
    if let Some(failing) = failing {
        text += &format!(": {}", failing.category);
        match (&failing.failed_dep, &failing.error) {
            (Some(dependency), _) => text += &format!(" of {dependency}"),
            (None, Some(error)) => text += &format!(": {}", printable(error)),
            (None, None) => {}
        }
    }
    text
}

/// A line of a log without what would move a cursor or break the line.
fn printable(line: &str) -> String {
    line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn list(heading: &str, items: Vec<String>, fold: usize) -> String {
    if items.is_empty() {
        return String::new();
    }
    let mut text = format!("{heading} ({}):\n", items.len());
    for item in items.iter().take(fold) {
        text += &format!("  {item}\n");
    }
    if items.len() > fold {
        text += &format!("  … and {} more\n", items.len() - fold);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use larder_runs::history::{Entry, append};
    use larder_runs::status_index::generate;

    use super::*;

    fn add(packages: &Path, name: &str, run: &str, category: &str, blessed: bool) {
        let success = category == "success";
        let entry = Entry {
            ts: format!("{}T12:00:00Z", &run[..10]),
            run: run.to_owned(),
            build_hash: "h".to_owned(),
            status: if success { "success" } else { "failure" }.to_owned(),
            category: category.to_owned(),
            blessed,
            error: (!success).then(|| "Error: {run} Unbound module Foo".to_owned()),
            failed_dep: (category == "dependency_failure").then(|| "zlib.1.3".to_owned()),
            ..Entry::default()
        };
        append(packages, &name.parse().unwrap(), &entry).unwrap();
    }

    const R1: &str = "2026-03-01-120000";
    const R2: &str = "2026-03-02-120000";

    #[test]
    fn blessed_regressions_come_first_and_long_lists_are_folded() {
        let root = tempfile::tempdir().unwrap();
        let packages = root.path();
        for number in 0..5 {
            add(packages, &format!("p{number}.1"), R1, "success", true);
            add(packages, &format!("p{number}.1"), R2, "build_failure", true);
        }
        add(packages, "a.1", R1, "success", false);
        add(packages, "a.1", R2, "timeout", false);
        add(packages, "b.1", R1, "timeout", true);
        add(packages, "b.1", R2, "success", true);
        add(packages, "c.1", R1, "success", true);
        add(packages, "c.1", R2, "dependency_failure", true);
        add(packages, "new.1", R2, "success", true);
        let index = generate(packages, None, None).unwrap();
        let message = digest(&index, DEFAULT_TEMPLATE, 3).unwrap();
        insta::assert_snapshot!(message.subject, @"larder 2026-03-02-120000: 6 broken, 1 working again, 2 of 8 work");
        insta::assert_snapshot!(message.body, @r"
        Broken (6):
          c.1: dependency_failure of zlib.1.3
          p0.1: build_failure: Error: {run} Unbound module Foo
          p1.1: build_failure: Error: {run} Unbound module Foo
          … and 3 more

        Working again (1):
          b.1

        Broken, not blessed (1):
          a.1: timeout: Error: {run} Unbound module Foo

        New packages (1):
          new.1

        Compared with 2026-03-01-120000.
        ");
        assert_eq!(
            digest(&index, "{run} {broken}{x} {", 0).unwrap().subject,
            format!("{R2} Broken (6):\n  … and 6 more\n{{x}} {{")
        );
    }

    #[test]
    fn nothing_changed_is_nothing_to_say() {
        let root = tempfile::tempdir().unwrap();
        for run in [R1, R2] {
            add(root.path(), "a.1", run, "timeout", true);
        }
        let index = generate(root.path(), None, None).unwrap();
        assert_eq!(digest(&index, DEFAULT_TEMPLATE, 3), None);
    }
}
