//! Runs: all of them, one, and one that goes on.

use larder_runs::run_log::{Packages, RunState};
use maud::{Markup, html};

use super::{
    Frame, chart,
    parts::{self, text},
    verdicts,
};
use crate::{
    model::{
        live::Live,
        run::{Alike, Run, Runs},
    },
    site::{Page, RunFacts},
};

/// The page of all runs.
pub fn runs(frame: &Frame<'_>, runs: &Runs) -> Markup {
    let content = html! {
        h1 { "Runs" }
        @if runs.runs.is_empty() { p { "There was none yet: " code { "larder batch" } " makes one." } }
        @else {
            div.wide {
                table {
                    thead { tr {
                        th scope="col" { "Run" } th scope="col" { "Kind" } th scope="col" { "State" }
                        th scope="col" { "Started" } th.number scope="col" { "Took" }
                        th.number scope="col" { "Packages" } th.number scope="col" { "Worked" }
                        th.number scope="col" { "Failed" } th.number scope="col" { "Blocked" }
                        th.number scope="col" { "No solution" } th.number scope="col" { "Built" }
                    } }
                    tbody {
                        @for run in &runs.runs { (row(frame, run)) }
                    }
                }
            }
        }
    };
    frame.page("Runs", Some(&Page::Runs), &content)
}

fn row(frame: &Frame<'_>, run: &RunFacts) -> Markup {
    let packages = run.packages.clone().unwrap_or_default();
    let count =
        |number: u64| if run.packages.is_some() { number.to_string() } else { String::new() };
    html! {
        tr {
            th scope="row" { (parts::run(frame, run.run_id.as_str())) }
            td { (run.kind) }
            td { (run_state(run.state)) }
            td { (parts::time(&run.start)) }
            td.number { @if let Some(seconds) = run.seconds { (parts::seconds(seconds)) } }
            td.number { (count(packages.total)) }
            td.number { (count(packages.worked)) }
            td.number { (count(packages.failed)) }
            td.number { (count(packages.blocked)) }
            td.number { (count(packages.unsolved)) }
            td.number { (run.builds.as_ref().map_or(String::new(), |builds| builds.built.to_string())) }
        }
    }
}

fn run_state(state: RunState) -> Markup {
    html! { span class={ "run " (state.name()) } { (state.name()) } }
}

/// The page of a run.
pub fn run(frame: &Frame<'_>, run: &Run) -> Markup {
    let facts = &run.facts;
    let id = facts.run_id.as_str();
    let before = run.before.as_ref();
    let compared = before.and_then(|before| parts::compared(frame, before, &facts.run_id));
    let content = html! {
        h1 { "Run " (id) }
        p { (facts.kind) " run, " (run_state(facts.state)) }
        @if let Some(now) = &run.live {
            div id="live" data-events=[frame.links.is_live().then(|| format!("/runs/{id}/events"))] {
                (live(frame, now))
            }
        }
        @else if facts.state == RunState::Died {
            p.warning { "Its process ended without a word. What it recorded counts; the next run does the rest." }
        }
        @if let Some(packages) = &facts.packages { (outcome(packages)) }
        dl.facts {
            dt { "Started" } dd { (parts::time(&facts.start)) " on " (text(&facts.host)) }
            @if let Some(seconds) = facts.seconds { dt { "Took" } dd { (parts::seconds(seconds)) } }
            dt { "Command" } dd { code { (text(facts.command_line.join(" "))) } }
            @if let Some(revision) = &facts.set_revision { dt { "Revision of the set" } dd { code { (text(revision)) } } }
            dt { "Compilers" } dd { (facts.compilers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")) }
            @if let Some(version) = &facts.larder_version { dt { "larder" } dd { (text(version)) } }
            dt { "Results" } dd { (run.results) @if run.blocked_results > 0 { ", " (run.blocked_results) " of them blocked" } }
            @if let Some(builds) = &facts.builds {
                dt { "Builds" }
                dd { (builds.total) ": " (builds.built) " built, " (builds.cached) " there already, " (builds.restored) " from a store, " (builds.skipped) " not tried" }
            }
        }
        @if let Some(address) = compared { p { a href=(address) { "Compare with the full run before" } } }
        @if let Some(comparison) = &run.comparison { (verdicts::comparison(frame, &facts.run_id, comparison)) }
        (failures(frame, run))
    };
    frame.page(&format!("Run {id}"), None, &content)
}

fn outcome(packages: &Packages) -> Markup {
    html! {
        section aria-labelledby="outcome" {
            h2 id="outcome" { (parts::count(packages.total as usize, "package")) }
            (chart::standing("How its packages ended", packages.by_state(), |_| None))
        }
    }
}

/// Failures of a run, those that are alike together. What they block is folded.
fn failures(frame: &Frame<'_>, run: &Run) -> Markup {
    html! {
        @if !run.failures.is_empty() {
            section aria-labelledby="failures" {
                h2 id="failures" { "What failed" }
                @for alike in &run.failures { (group(frame, alike)) }
            }
        }
    }
}

fn group(frame: &Frame<'_>, alike: &Alike) -> Markup {
    html! {
        article.failure {
            h3 { (text(&alike.category)) ": " (parts::count(alike.results.len(), "result")) }
            @if !alike.error.is_empty() { pre.error { (text(&alike.error)) } }
            ul {
                @for failed in &alike.results {
                    @let result = &failed.entry.result;
                    li {
                        (parts::package(frame, result.package.as_str())) ", " (result.stage)
                        @if let Some(compiler) = &result.compiler { " with " (compiler.as_str()) }
                        @if let Some(seen) = &failed.seen {
                            @if let Some(link) = parts::log(frame, seen.run.as_str(), &seen.log.path, seen.log.line) { ", " (link) }
                        }
                        @if !failed.blocks.is_empty() {
                            details {
                                summary { "blocks " (parts::count(failed.blocks.len(), "package")) }
                                (parts::package_list(frame, &failed.blocks, 200))
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A run that goes on, in short.
pub fn live_summary(frame: &Frame<'_>, live: &Live) -> Markup {
    html! {
        article {
            h3 { "A " (live.kind) " run, " (parts::run(frame, live.run_id.as_str())) }
            (self::live(frame, live))
        }
    }
}

/// How far a run has come, and what it works on.
pub fn live(frame: &Frame<'_>, live: &Live) -> Markup {
    let id = live.run_id.as_str();
    html! {
        @if let Some(progress) = &live.progress {
            @let (done, all) = (progress.builds_completed, progress.build_total.max(progress.builds_completed));
            p {
                strong { (progress.phase()) } ", since " (parts::time(&live.start)) ": "
                (done) " of " (all) " builds, " (progress.tests_completed) " tests, "
                (progress.docs_completed) " documentation; " (progress.failed_results) " failed or blocked"
            }
            progress max=(all.max(1)) value=(done) aria-label="Builds that have ended" { (done) " of " (all) }
        }
        @if !live.failures.is_empty() {
            p { "What failed last:" }
            ul {
                @for entry in &live.failures {
                    @let result = &entry.result;
                    li {
                        (parts::package(frame, result.package.as_str())) ", " (result.stage)
                        @if let Some(compiler) = &result.compiler { " with " (compiler.as_str()) }
                        ": " (text(result.category.to_string()))
                        @if let Some(error) = &result.error { ", " code { (text(error)) } }
                    }
                }
            }
        }
        @if !live.packages.is_empty() {
            div.wide {
                table {
                    thead { tr { th scope="col" { "Works on" } th scope="col" { "Stage" } th.number scope="col" { "For" } th.number scope="col" { "Took before" } th scope="col" { "Log" } } }
                    tbody {
                        @for working in &live.packages {
                            tr {
                                th scope="row" { (parts::package(frame, &working.package)) }
                                td {
                                    @if let Some(stage) = working.stage { (stage) }
                                    @if let Some(compiler) = &working.compiler { " with " (text(compiler.as_str())) }
                                }
                                td.number { @if let Some(age) = working.age_seconds { (parts::seconds(age)) } }
                                td.number { @if let Some(expected) = working.expected_seconds { (parts::seconds(expected)) } }
                                td { @if let Some(log) = &working.log { @if let Some(link) = parts::log(frame, id, log, None) { (link) } } }
                            }
                        }
                    }
                }
            }
        }
    }
}
