//! How to say it: a template over what somebody has not heard yet.

use std::collections::BTreeMap;

use crate::channel::Message;
use crate::news::Failure;
use crate::tidings::Tidings;

/// The template used where none is given. Its first line is the subject.
///
/// `{run}`, `{since}` and `{summary}` are words. `{broken}`, `{blocked}`, `{mended}`, `{other-broken}`,
/// `{other-mended}`, `{new}`, `{vanished}` and `{flaky}` are lists with a heading, or nothing at all; a line
/// that holds only such a list goes with it when it is empty. Anything else in braces stays as it is.
pub const DEFAULT_TEMPLATE: &str = "\
larder {run}: {summary}
{broken}
{blocked}
{mended}
{other-broken}
{other-mended}
{new}
{vanished}
{flaky}
Compared with {since}.
";

/// Tidings, put into a template; `None` when there are none. `fold` items of each list are shown.
pub fn digest(tidings: &Tidings<'_>, template: &str, fold: usize) -> Option<Message> {
    if tidings.is_empty() {
        return None;
    }
    let mut lines = Vec::new();
    for line in template.lines() {
        let filled = fill(tidings, line, fold);
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
fn fill(tidings: &Tidings<'_>, line: &str, fold: usize) -> String {
    let mut filled = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let field = after
            .split_once('}')
            .and_then(|(name, after)| Some((field(tidings, name, fold)?, after)));
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

fn field(tidings: &Tidings<'_>, name: &str, fold: usize) -> Option<String> {
    let news = tidings.news;
    let broken = |blessed: bool| {
        let roots = tidings.roots().filter(|failure| failure.subject.build.is_none() == blessed);
        roots.map(|failure| describe(tidings, failure)).collect()
    };
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Some(match name {
        "run" => news.run.clone(),
        "since" if news.since.is_empty() => "nothing".to_owned(),
        "since" => news.since.clone(),
        "summary" => summary(tidings),
        "broken" => list("Broken", broken(true), fold),
        "blocked" => list("Blocked by what broke before", blocked(tidings), fold),
        "other-broken" => list("Broken, not blessed", broken(false), fold),
        "mended" => list("Working again", mended(tidings, true), fold),
        "other-mended" => list("Working again, not blessed", mended(tidings, false), fold),
        "new" => list("New packages", names(&tidings.new), fold),
        "vanished" => list("Gone", names(&tidings.gone), fold),
        "flaky" => list("Flaky", news.flaky.clone(), fold),
        _ => return None,
    })
}

/// In numbers: root failures, what they block, what works again.
fn summary(tidings: &Tidings<'_>) -> String {
    let blessed = |failure: &&Failure| failure.subject.build.is_none();
    let roots = tidings.roots().filter(blessed).count();
    let blocked = tidings.broken.iter().copied().filter(blessed).count() - roots;
    let mended = tidings.mended.iter().filter(|(subject, _)| subject.build.is_none()).count();
    let blocked = match blocked {
        0 => String::new(),
        count => format!(", {count} blocked"),
    };
    format!(
        "{roots} broken{blocked}, {mended} working again, {} of {} work",
        tidings.news.worked_packages, tidings.news.packages
    )
}

/// A root failure: what it is, why, and how much it blocks.
fn describe(tidings: &Tidings<'_>, failure: &Failure) -> String {
    let mut text = format!("{}: {}", failure.subject.title(), failure.category);
    if let Some(error) = &failure.error {
        text += &format!(": {}", larder_runs::sanitise::line(error));
    }
    match tidings.blocked_by(&failure.subject.package) {
        0 => text,
        count => format!("{text} (blocks {count})"),
    }
}

/// For each root failure that is not itself among these tidings, how much it blocks now.
fn blocked(tidings: &Tidings<'_>) -> Vec<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for root in tidings.broken.iter().filter_map(|failure| failure.root.as_deref()) {
        if !tidings.roots().any(|failure| failure.subject.package == root) {
            *counts.entry(root).or_default() += 1;
        }
    }
    counts.into_iter().map(|(root, count)| format!("{root} blocks {count} more")).collect()
}

/// The list of what works again: by name, with a number for what had been blocked.
fn mended(tidings: &Tidings<'_>, blessed: bool) -> Vec<String> {
    let wanted = || tidings.mended.iter().filter(|(subject, _)| subject.build.is_none() == blessed);
    let mut freed: BTreeMap<&str, usize> = BTreeMap::new();
    for root in wanted().filter_map(|(_, root)| root.as_deref()) {
        *freed.entry(root).or_default() += 1;
    }
    let mut lines = Vec::new();
    for (subject, _) in wanted().filter(|(_, root)| root.is_none()) {
        lines.push(match freed.remove(subject.package.as_str()) {
            Some(count) => format!("{} and {count} that it had blocked", subject.title()),
            None => subject.title(),
        });
    }
    lines.extend(freed.into_iter().map(|(root, count)| format!("{count} that {root} had blocked")));
    lines
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
mod tests;
