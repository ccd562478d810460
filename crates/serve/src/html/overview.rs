//! How the ecosystem stands.

use larder_runs::{
    result::Stage,
    status_index::{Change, Totals},
};
use maud::{Markup, html};

use super::{
    Frame, chart,
    parts::{self, text},
    run,
};
use crate::{
    model::overview::{Mend, Overview},
    site::{Filter, Page},
};

/// How many changes stand on the page: the rest is folded.
const CHANGES: usize = 20;

/// The page.
pub fn overview(frame: &Frame<'_>, overview: &Overview) -> Markup {
    let content = html! {
        h1 { (overview.name.as_deref().map_or("The ecosystem".to_owned(), text)) }
        (standing(frame, overview))
        @if !overview.running.is_empty() {
            section aria-labelledby="now" {
                h2 id="now" { "Now" }
                @for live in &overview.running {
                    (run::live_summary(frame, live))
                }
            }
        }
        (changes(frame, overview))
        (mend_first(frame, overview))
        @if !overview.chart.is_empty() {
            section aria-labelledby="chart" {
                h2 id="chart" { "The last full runs" }
                (chart::runs(frame, &overview.chart))
            }
        }
        (stages(overview))
        (flaky(frame, overview))
        (oldest(frame, overview))
    };
    frame.page("Overview", Some(&Page::Overview), &content)
}

fn standing(frame: &Frame<'_>, overview: &Overview) -> Markup {
    let numbers = &overview.numbers;
    let those =
        |state| Some(frame.links.page(Page::Packages(Filter { state, ..Filter::default() })));
    html! {
        section aria-labelledby="standing" {
            h2 id="standing" { (parts::count(numbers.packages as usize, "package")) }
            (chart::standing("How packages stand", numbers.by_state(), those))
            @if numbers.dropped_packages > 0 {
                p.note { (parts::count(numbers.dropped_packages as usize, "package")) " left the set and count nowhere." }
            }
            @match &overview.full_run {
                Some(run) => p.note { "As of the full run " (parts::run(frame, run)) "." },
                None => p.note { "There was no full run yet." },
            }
            @if let Some(unfinished) = &overview.unfinished {
                p.warning {
                    "The run " (parts::run(frame, &unfinished.run_id)) " is " (text(&unfinished.state)) ": "
                    (unfinished.in_words()) "."
                }
            }
            @if overview.broken_lines > 0 {
                p.warning { (overview.broken_lines) " lines of histories could not be read and count nowhere." }
            }
        }
    }
}

fn changes(frame: &Frame<'_>, overview: &Overview) -> Markup {
    let Some(since) = &overview.since else { return html! {} };
    let compared = overview
        .full_run
        .as_ref()
        .and_then(|run| parts::compared(frame, &since.parse().ok()?, &run.parse().ok()?));
    let (first, rest) = overview.changes.split_at(overview.changes.len().min(CHANGES));
    html! {
        section aria-labelledby="changes" {
            h2 id="changes" { "What changed" }
            p.note {
                "Since the full run before, " (parts::run(frame, since)) ". "
                @if let Some(address) = compared { a href=(address) { "Compare both runs" } "." }
            }
            @if overview.changes.is_empty() { p { "Nothing broke, and nothing recovered." } }
            @if !first.is_empty() { (change_table(frame, first)) }
            @if !rest.is_empty() {
                details {
                    summary { (parts::count(rest.len(), "more change")) }
                    (change_table(frame, rest))
                }
            }
            @for (words, packages) in [
                ("New: ", &overview.new_packages),
                ("Left the set: ", &overview.vanished_packages),
            ] {
                @if !packages.is_empty() {
                    p { (words) (parts::package_list(frame, packages, CHANGES)) "." }
                }
            }
        }
    }
}

fn change_table(frame: &Frame<'_>, changes: &[Change]) -> Markup {
    html! {
        table {
            thead { tr { th scope="col" { "Package" } th scope="col" { "Stage" } th scope="col" { "Change" } th scope="col" { "Kind" } } }
            tbody {
                @for change in changes {
                    tr {
                        th scope="row" { (parts::package(frame, &change.package)) }
                        td { (change.stage) @if !change.blessed { " (not blessed)" } }
                        td {
                            @if change.is_recovery() {
                                span.state.worked { span aria-hidden="true" { "●" } " recovered" }
                            } @else {
                                span.state.failed { span aria-hidden="true" { "✖" } " broke" }
                            }
                        }
                        td { (text(change.category.to_string())) }
                    }
                }
            }
        }
    }
}

fn mend_first(frame: &Frame<'_>, overview: &Overview) -> Markup {
    if overview.mend_first.is_empty() {
        return html! {};
    }
    let all = Filter { sort: crate::site::Sort::Blocks, ..Filter::default() };
    html! {
        section aria-labelledby="mend" {
            h2 id="mend" { "Fix this first" }
            p.note { "By how many packages each alone blocks. What fails alike stands together." }
            table {
                thead { tr { th scope="col" { "Packages" } th.number scope="col" { "Unblocks" } th scope="col" { "Kind" } th scope="col" { "Error" } } }
                tbody { @for mend in &overview.mend_first { (mend_row(frame, mend)) } }
            }
            @if overview.mend_groups > overview.mend_first.len() {
                p { a href=(frame.links.page(Page::Packages(all))) { "All of " (overview.mend_groups) } }
            }
        }
    }
}

fn mend_row(frame: &Frame<'_>, mend: &Mend) -> Markup {
    let names: Vec<String> = mend.roots.iter().map(|(package, _)| package.clone()).collect();
    html! {
        tr {
            th scope="row" { (parts::package_list(frame, &names, 6)) }
            td.number { (mend.unblocks_packages) }
            td { (mend.category.as_deref().map_or("works again".to_owned(), text)) }
            td.error { (text(&mend.error)) }
        }
    }
}

fn stages(overview: &Overview) -> Markup {
    let all = overview.stages.iter().map(|(stage, totals)| (stage_words(*stage), totals));
    let rows = all.chain([("other builds", &overview.other_builds)]);
    html! {
        section aria-labelledby="stages" {
            h2 id="stages" { "By stage and kind" }
            p.note { "Results of blessed builds, and of all others in a row of their own." }
            table {
                thead { tr { th scope="col" { "Stage" } th.number scope="col" { "All" } th.number scope="col" { "Worked" } th.number scope="col" { "Failed" } th scope="col" { "Kinds of failures" } } }
                tbody {
                    @for (words, totals) in rows {
                        @if totals.total > 0 {
                            tr {
                                th scope="row" { (words) }
                                td.number { (totals.total) }
                                td.number { (totals.worked()) }
                                td.number { (totals.total - totals.worked()) }
                                td { (kinds(totals)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn stage_words(stage: Stage) -> &'static str {
    match stage {
        Stage::Solve => "solutions",
        Stage::Build => "builds",
        Stage::Test => "tests",
        Stage::Doc => "documentation",
    }
}

fn kinds(totals: &Totals) -> Markup {
    let failed = totals.by_category.iter().filter(|(category, _)| category.name() != "success");
    html! {
        @for (number, (category, count)) in failed.enumerate() {
            @if number > 0 { ", " }
            (count) " " (text(category.to_string()))
        }
    }
}

fn flaky(frame: &Frame<'_>, overview: &Overview) -> Markup {
    if overview.flaky.is_empty() {
        return html! {};
    }
    html! {
        section aria-labelledby="flaky" {
            h2 id="flaky" { "Now and then" }
            p.note { "Stages that work and fail by turns with the same compiler." }
            table {
                thead { tr { th scope="col" { "Package" } th scope="col" { "Stage" } th scope="col" { "Compiler" } th.number scope="col" { "Failed" } th.number scope="col" { "Turns" } } }
                tbody {
                    @for it in &overview.flaky {
                        tr {
                            th scope="row" { (parts::package(frame, &it.package)) }
                            td { (it.flaky.stage) }
                            td { (text(&it.flaky.compiler)) }
                            td.number { (it.flaky.failures) " of " (it.flaky.results) }
                            td.number { (it.flaky.transitions) }
                        }
                    }
                }
            }
        }
    }
}

fn oldest(frame: &Frame<'_>, overview: &Overview) -> Markup {
    if overview.oldest.is_empty() {
        return html! {};
    }
    html! {
        section aria-labelledby="oldest" {
            h2 id="oldest" { "The oldest failures" }
            table {
                thead { tr { th scope="col" { "Package" } th scope="col" { "Since" } th.number scope="col" { "Runs" } th scope="col" { "Kind" } th scope="col" { "Error" } } }
                tbody {
                    @for old in &overview.oldest {
                        tr {
                            th scope="row" { (parts::package(frame, &old.package)) }
                            td { (parts::time(&old.failing.since)) }
                            td.number { (old.failing.times) }
                            td { (text(old.failing.category.to_string())) }
                            td.error { (old.failing.error.as_deref().map_or(String::new(), text)) }
                        }
                    }
                }
            }
        }
    }
}
