//! Comparisons: of two runs, and of two sides with evidence.

use larder_runs::{
    comparison::{Outcome, Shown, Subject, Verdict},
    result::Entry,
};
use maud::{Markup, html};

use super::{
    Frame,
    parts::{self, text},
};
use crate::model::compare::{Change, Compare, Row};

/// The page of two runs.
pub fn compare(frame: &Frame<'_>, compare: &Compare) -> Markup {
    let (base, candidate) = (compare.base.run_id.as_str(), compare.candidate.run_id.as_str());
    let counts = &compare.counts;
    let title = format!("{base} and {candidate}");
    let content = html! {
        h1 { "Two runs: " (parts::run(frame, base)) " and " (parts::run(frame, candidate)) }
        p {
            "Of " (counts.total) " results "
            strong { (counts.new_failures) } " fail now and did not, "
            strong { (counts.still_failing) } " still fail, "
            strong { (counts.fixed) } " work again, "
            (counts.added) " are new and work, " (counts.removed) " are gone, "
            (counts.same) " work in both."
        }
        p.note { "A single run may fail by chance: " code { "larder batch --compare" } " tries both sides until there is evidence." }
        @if let Some(command) = &compare.reproduce {
            p { "To try what is new and fails once more:" }
            pre.command { (command) }
        }
        @if compare.rows.is_empty() { p { "They do not differ." } }
        @else {
            label.filter { "Only rows with " input type="search" data-rows="changes" autocomplete="off"; }
            div.wide {
                table id="changes" {
                    thead { tr {
                        th scope="col" { "Package" } th scope="col" { "Stage" } th scope="col" { "Compiler" }
                        th scope="col" { "Change" } th scope="col" { (base) } th scope="col" { (candidate) }
                        th.number scope="col" { "Unblocks" } th scope="col" { "Kind" } th scope="col" { "Why" }
                        th scope="col" { "Maintainers" }
                    } }
                    tbody { @for row in &compare.rows { (change_row(frame, row)) } }
                }
            }
        }
    };
    frame.page(&title, None, &content)
}

fn change_row(frame: &Frame<'_>, row: &Row) -> Markup {
    let class = match row.change {
        Change::NewFailure | Change::StillFailing => "failed",
        Change::Fixed | Change::Added | Change::Same => "worked",
        Change::Removed => "unknown",
    };
    let side = |entry: &Option<Entry>| {
        html! { @if let Some(entry) = entry { (parts::state(Some(entry.result.outcome()))) } }
    };
    let log = row
        .seen
        .as_ref()
        .and_then(|seen| parts::log(frame, seen.run.as_str(), &seen.log.path, seen.log.line));
    let error = row.candidate.as_ref().and_then(|entry| entry.result.error.as_deref());
    html! {
        tr {
            th scope="row" { (parts::package(frame, &row.package)) }
            td { (row.stage) }
            td { (text(&row.compiler)) }
            td { span class={ "state " (class) } { (row.change.words()) } }
            td { (side(&row.base)) }
            td { (side(&row.candidate)) }
            td.number { @if row.unblocks_packages > 0 { (row.unblocks_packages) } }
            td { @if let Some(entry) = &row.candidate { @if !entry.result.is_success() { (text(entry.result.category.to_string())) } } }
            td.error {
                (error.map_or(String::new(), text))
                @if let Some(log) = log { " " (log) }
            }
            td { (row.maintainers.join(", ")) }
        }
    }
}

/// What a comparison with evidence has found out.
pub fn comparison(frame: &Frame<'_>, outcome: &Outcome) -> Markup {
    let counts = &outcome.counts;
    let (base, candidate) = (outcome.base.to_string(), outcome.candidate.to_string());
    let shown = outcome.packages.iter().filter(|it| it.verdict != Verdict::Same);
    html! {
        section aria-labelledby="comparison" {
            h2 id="comparison" { "From " (text(&base)) " to " (text(&candidate)) }
            p {
                "Of " (counts.total) ": " strong { (counts.regressed) } " regressed, "
                strong { (counts.fixed) } " fixed, " (counts.flaky) " flaky, " (counts.unknown) " unknown, "
                (counts.broken_before) " broken before, " (counts.same) " the same."
            }
            @for (words, subjects) in [("Only the second side has ", &outcome.added), ("Only the first side has ", &outcome.removed)] {
                @if !subjects.is_empty() { p { (words) (parts::package_list(frame, &names(subjects), 30)) "." } }
            }
            table {
                thead { tr {
                    th scope="col" { "Package" } th scope="col" { "Compiler" } th scope="col" { "Verdict" }
                    th scope="col" { (text(&base)) } th scope="col" { (text(&candidate)) } th scope="col" { "Why" }
                } }
                tbody {
                    @for judged in shown {
                        @let class = match judged.verdict { Verdict::Regressed => "failed", Verdict::Fixed | Verdict::Same => "worked", Verdict::BrokenBefore => "blocked", Verdict::Flaky | Verdict::Unknown => "unknown" };
                        tr {
                            th scope="row" { (parts::package(frame, judged.subject.package.as_str())) }
                            td { (judged.subject.compiler.as_ref().map_or("", |it| it.as_str())) }
                            td { span class={ "state " (class) } { (judged.verdict.words()) } }
                            td { (evidence(frame, outcome.run_id.as_str(), &judged.base)) }
                            td { (evidence(frame, outcome.run_id.as_str(), &judged.candidate)) }
                            td.error { (judged.candidate.error.as_deref().or(judged.base.error.as_deref()).map_or(String::new(), text)) }
                        }
                    }
                }
            }
        }
    }
}

fn names(subjects: &[Subject]) -> Vec<String> {
    let mut names: Vec<String> = subjects.iter().map(|it| it.package.to_string()).collect();
    names.dedup();
    names
}

/// How many attempts of a side worked, and the log of the last that did not.
fn evidence(frame: &Frame<'_>, run: &str, shown: &Shown) -> Markup {
    let all = shown.evidence.worked + shown.evidence.failed;
    let log = shown.log.as_ref().and_then(|path| parts::log(frame, run, path, None));
    html! {
        @if all == 0 { "not tried" } @else { (shown.evidence.worked) " of " (all) " worked" }
        @if let Some(log) = log { " " (log) }
    }
}
