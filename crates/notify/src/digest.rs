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
    let works = index.blessed.worked();
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
    use larder_runs::result::{BuildRef, Origin, Stage, StageResult};
    use larder_runs::run_log::{Ending, Plan, Run};
    use larder_runs::status_index::generate;
    use larder_runs::time::Clock;
    use larder_runs::{Category, DataDir};

    use super::*;

    /// Records a full run: packages, categories, whether blessed.
    fn full(data: &DataDir, run: &str, results: &[(&str, &str, bool)]) {
        let time = format!("{}T12:00:00Z", &run[..10]).parse().unwrap();
        let run = Run::start(data, Plan::default(), Clock::new(move || time)).unwrap();
        for (name, category, blessed) in results {
            let package = name.parse().unwrap();
            let mut result = StageResult::success(package, Stage::Build, time, time);
            result.build_hash = Some("h".parse().unwrap());
            result.blessed = *blessed;
            let error = || Some("Error: {run} Unbound module Foo".to_owned());
            result = match Category::from(*category) {
                Category::Success => result,
                Category::DependencyFailure => {
                    let zlib = "zlib.1.3".parse().unwrap();
                    result.failed_dependencies = vec![BuildRef { package: zlib, build_hash: None }];
                    result.origin = Origin::Skipped;
                    result.failed(Category::DependencyFailure, error())
                }
                category => result.failed(category, error()),
            };
            run.record(result).unwrap();
        }
        run.finish(Ending::Complete).unwrap();
    }

    const R1: &str = "2026-03-01-120000";
    const R2: &str = "2026-03-02-120000";

    #[test]
    fn blessed_regressions_come_first_and_long_lists_are_folded() {
        let root = tempfile::tempdir().unwrap();
        let data = DataDir::new(root.path());
        let mut before = vec![("a.1", "success", false), ("b.1", "timeout", true)];
        let mut after = vec![("a.1", "timeout", false), ("b.1", "success", true)];
        for name in ["p0.1", "p1.1", "p2.1", "p3.1", "p4.1"] {
            before.push((name, "success", true));
            after.push((name, "build_failure", true));
        }
        before.push(("c.1", "success", true));
        after.extend([("c.1", "dependency_failure", true), ("new.1", "success", true)]);
        full(&data, R1, &before);
        full(&data, R2, &after);
        let index = generate(&data, None).unwrap();
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
        let data = DataDir::new(root.path());
        for run in [R1, R2] {
            full(&data, run, &[("a.1", "timeout", true)]);
        }
        let index = generate(&data, None).unwrap();
        assert_eq!(digest(&index, DEFAULT_TEMPLATE, 3), None);
    }
}
