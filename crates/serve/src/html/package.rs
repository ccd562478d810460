//! A package version.

use larder_runs::{
    name::PackageName,
    result::{Entry, Outcome, Stage},
};
use maud::{Markup, html};

use super::{
    Frame,
    chart::number,
    parts::{self, text},
};
use crate::{
    model::{
        changed::Changed,
        package::{FirstFailure, Neighbour, Package},
    },
    site::{Document, Page},
};

/// The page.
pub fn package(frame: &Frame<'_>, package: &Package) -> Markup {
    let name = package.package.as_str();
    let status = package.status.as_ref();
    let badge = frame.links.to(&Document::BadgeSvg(package.package.clone()));
    let content = html! {
        h1 { (name) }
        p {
            (parts::state(status.and_then(|status| status.state)))
            @if let Some(badge) = badge {
                " " img.badge src=(badge) alt={ "Badge: " (parts::state_word(status.and_then(|it| it.state))) };
            }
        }
        @if let Some(dropped) = status.and_then(|status| status.dropped_by.as_ref()) {
            p.warning { "It has left the set: the run " (parts::run(frame, dropped)) " no longer had it." }
        }
        @if package.broken_lines > 0 {
            p.warning { (package.broken_lines) " lines of its history could not be read." }
        }
        dl.facts {
            dt { "Versions" }
            dd { (parts::package_list(frame, &package.versions, 20)) }
            @if !package.maintainers.is_empty() {
                dt { "Maintainers" }
                dd {
                    @for (number, slug) in package.maintainers.iter().enumerate() {
                        @if number > 0 { ", " }
                        a href=(frame.links.page(Page::Maintainer(slug.clone()))) { (slug) }
                    }
                }
            }
            @if let Some(path) = &package.documentation {
                dt { "Documentation" }
                dd { a href=(frame.links.documentation(path)) { "read it" } }
            }
            @if package.unblocks_packages > 0 {
                dt { "Unblocks" }
                dd { (parts::count(package.unblocks_packages as usize, "package")) " with it mended alone" }
            }
        }
        (failures(frame, package))
        (neighbours(frame, package))
        (timeline(package))
        (results(frame, "Every build", "builds", &package.builds))
        @if !package.slower.is_empty() {
            section aria-labelledby="slower" {
                h2 id="slower" { "Slower than before" }
                ul {
                    @for slower in &package.slower {
                        li {
                            (slower.stage) " with " (text(&slower.compiler)) " took "
                            (parts::milliseconds(slower.wall_ms)) " in " (parts::run(frame, &slower.run))
                            "; " (parts::milliseconds(slower.median_ms)) " before (median)"
                        }
                    }
                }
            }
        }
        details {
            summary { "All results" @if package.results > package.timeline.len() { ", the last " (package.timeline.len()) " of " (package.results) } }
            (results(frame, "All results", "results", &package.timeline))
        }
    };
    frame.page(name, None, &content)
}

fn failures(frame: &Frame<'_>, package: &Package) -> Markup {
    let failures = package.status.iter().flat_map(|status| &status.failures);
    let failures: Vec<_> = failures.collect();
    html! {
        @if !failures.is_empty() {
            section aria-labelledby="why" {
                h2 id="why" { "Why it does not work" }
                @for failing in failures {
                    article.failure {
                        p {
                            strong { (failing.stage) }
                            @if !failing.compiler.is_empty() { " with " (text(&failing.compiler)) }
                            ": " (text(failing.category.to_string()))
                            @if !failing.blessed { " (not blessed)" }
                            ", since " (parts::time(&failing.since)) " in " (parts::run(frame, &failing.since_run))
                            ", " (parts::count(failing.times as usize, "run")) " in a row"
                        }
                        @if let Some(error) = &failing.error { pre.error { (text(error)) } }
                        @if !failing.roots.is_empty() {
                            p { "Because of " (parts::package_list(frame, &failing.roots, 10)) "." }
                        }
                        @if let Some(log) = log_of(frame, package, failing.stage, &failing.build_hash) {
                            p { (log) }
                        }
                    }
                }
                @for first in &package.first_failures { (first_failure(frame, first)) }
            }
        }
    }
}

/// The log of the last result of a stage of a build.
fn log_of(frame: &Frame<'_>, package: &Package, stage: Stage, build: &str) -> Option<Markup> {
    let of = |entry: &&Entry| {
        let hash = entry.result.build_hash.as_ref().map_or("", |hash| hash.as_str());
        entry.result.stage == stage && hash == build && entry.result.log.is_some()
    };
    let entry = package.timeline.iter().find(of)?;
    let log = entry.result.log.as_ref()?;
    parts::log(frame, entry.run.as_str(), &log.path, log.line)
}

fn first_failure(frame: &Frame<'_>, first: &FirstFailure) -> Markup {
    let same = |other: Option<bool>| match other {
        Some(true) => "others",
        Some(false) => "the same",
        None => "unknown",
    };
    html! {
        details {
            summary { "What changed when " (first.stage) " with " (text(&first.compiler)) " began to fail" }
            dl.facts {
                dt { "It failed first in" } dd { (parts::run(frame, &first.run)) }
                dt { "It worked last in" }
                dd { @match &first.worked_in { Some(run) => (parts::run(frame, run)), None => "no run that is kept" } }
                dt { "What it is built from and with" } dd { (same(first.other_build)) }
                dt { "Its dependencies" } dd { (same(first.other_universe)) }
                @if first.other_build == Some(true) {
                    dt { "What changed" }
                    dd {
                        @match &first.changed {
                            Some(changed) => (self::changed(frame, changed)),
                            None => "Run data cannot say: they no longer have what one of the runs built.",
                        }
                    }
                }
                @if let Some([then, now]) = &first.revisions {
                    dt { "Revision of the set" } dd { code { (text(then)) } " → " code { (text(now)) } }
                }
                @if !first.other_compilers.is_empty() {
                    dt { "Compilers that only one run had" } dd { (first.other_compilers.join(", ")) }
                }
            }
        }
    }
}

/// What is other in a build than in another one of the same package version.
fn changed(frame: &Frame<'_>, changed: &Changed) -> Markup {
    let package = |name: &PackageName| parts::package(frame, name.as_str());
    html! {
        ul {
            @if changed.itself { li { "its own sources, or how it is built" } }
            @if changed.tools { li { "the compiler's tools, or the platform" } }
            @for need in &changed.needs {
                li {
                    @match (&need.before, &need.now) {
                        (Some(before), Some(now)) if before == now => {
                            (package(now)) " was built anew"
                            @if need.itself { ": its own sources, or how it is built, are others" }
                        },
                        (Some(before), Some(now)) => { (package(now)) " instead of " (package(before)) },
                        (None, Some(now)) => { (package(now)) " is new" },
                        (Some(before), None) => { (package(before)) " is no longer needed" },
                        (None, None) => {},
                    }
                }
            }
        }
    }
}

/// How many neighbours a picture has on each side.
const NEIGHBOURS: usize = 12;

fn neighbours(frame: &Frame<'_>, package: &Package) -> Markup {
    let names = |all: &[Neighbour]| all.iter().map(|it| it.package.clone()).collect::<Vec<_>>();
    html! {
        @if !package.needs.is_empty() || !package.users.is_empty() {
            section aria-labelledby="needs" {
                h2 id="needs" { "What it needs, and who needs it" }
                (picture(frame, package))
                dl.facts {
                    dt { "Needs" }
                    dd { @if package.needs.is_empty() { "nothing" } @else { (parts::package_list(frame, &names(&package.needs), 50)) } }
                    dt { "Needed by" }
                    dd { @if package.users.is_empty() { "nobody" } @else { (parts::package_list(frame, &names(&package.users), 50)) } }
                }
            }
        }
    }
}

/// Needs on the left, the package in the middle, who needs it on the right.
fn picture(frame: &Frame<'_>, package: &Package) -> Markup {
    let (needs, users) = (cut(&package.needs), cut(&package.users));
    let rows = needs.len().max(users.len()).max(1);
    let height = rows as f64 * 24.0 + 8.0;
    let middle = height / 2.0;
    // Lines end where the name in the middle does, as nearly as can be told without its font.
    let half = (package.package.as_str().len() as f64 * 4.5 + 8.0).min(150.0);
    let place = |number: usize, count: usize| {
        let free = height - count as f64 * 24.0;
        free / 2.0 + number as f64 * 24.0 + 16.0
    };
    let label = format!(
        "{} needs {} and is needed by {}",
        package.package,
        parts::count(package.needs.len(), "package"),
        package.users.len()
    );
    let node = |x: f64, y: f64, anchor: &str, it: &Neighbour| {
        let address = it.package.parse().map(|name| frame.links.page(Page::Package(name)));
        html! {
            a href=[address.ok()] {
                text class={ "node " (parts::state_class(it.state)) } x=(number(x)) y=(number(y))
                    text-anchor=(anchor) { (text(&it.package)) }
            }
        }
    };
    html! {
        svg.graph viewBox={ "0 0 720 " (number(height)) } role="group" aria-label=(label) {
            title { (label) }
            @for (at, it) in needs.iter().enumerate() {
                @let y = place(at, needs.len());
                line x1="205" y1=(number(y - 4.0)) x2=(number(360.0 - half)) y2=(number(middle)) {}
                (node(200.0, y, "end", it))
            }
            @for (at, it) in users.iter().enumerate() {
                @let y = place(at, users.len());
                line x1=(number(360.0 + half)) y1=(number(middle)) x2="515" y2=(number(y - 4.0)) {}
                (node(520.0, y, "start", it))
            }
            text.node.self x="360" y=(number(middle + 4.0)) text-anchor="middle" { (package.package.as_str()) }
        }
    }
}

fn cut(all: &[Neighbour]) -> &[Neighbour] {
    &all[..all.len().min(NEIGHBOURS)]
}

/// Results as bars as long as they took, oldest first.
fn timeline(package: &Package) -> Markup {
    let done: Vec<&Entry> = package
        .timeline
        .iter()
        .filter(|entry| entry.result.stage == Stage::Build && entry.result.wall_ms.is_some())
        .take(60)
        .collect();
    let most =
        done.iter().filter_map(|entry| entry.result.wall_ms).max().unwrap_or(0).max(1) as f64;
    let label = "How long its builds took, oldest first";
    html! {
        @if done.len() > 1 {
            section aria-labelledby="timeline" {
                h2 id="timeline" { "How long it took" }
                svg.chart viewBox="0 0 720 80" role="img" aria-label=(label) preserveAspectRatio="none" {
                    title { (label) }
                    @for (at, entry) in done.iter().rev().enumerate() {
                        @let wall = entry.result.wall_ms.unwrap_or(0);
                        @let height = (wall as f64 / most * 76.0).max(1.0);
                        rect class={ "fill " (entry.result.outcome().name()) }
                            x=(number(at as f64 * 12.0 + 1.0)) y=(number(80.0 - height)) width="10" height=(number(height)) {
                            title { (entry.run.as_str()) ": " (parts::milliseconds(wall)) }
                        }
                    }
                }
                p.note { "The longest took " (parts::milliseconds(most as u64)) ". The table of all results has the numbers." }
            }
        }
    }
}

/// Results, one a row.
pub fn results(frame: &Frame<'_>, title: &str, id: &str, entries: &[Entry]) -> Markup {
    html! {
        @if !entries.is_empty() {
            section aria-labelledby=(id) {
                h2 id=(id) { (title) }
                table {
                    thead { tr {
                        th scope="col" { "Run" } th scope="col" { "Stage" } th scope="col" { "Compiler" }
                        th scope="col" { "Result" } th scope="col" { "From" } th.number scope="col" { "Took" }
                        th.number scope="col" { "CPU" } th.number scope="col" { "Memory" } th scope="col" { "Log" }
                    } }
                    tbody { @for entry in entries { (result_row(frame, entry)) } }
                }
            }
        }
    }
}

fn result_row(frame: &Frame<'_>, entry: &Entry) -> Markup {
    let result = &entry.result;
    let log = result.log.as_ref();
    let time = |it: Option<u64>| it.map_or(String::new(), parts::milliseconds);
    html! {
        tr {
            th scope="row" { (parts::run(frame, entry.run.as_str())) }
            td { (result.stage) @if result.attempt > 1 { ", attempt " (result.attempt) } }
            td { (result.compiler.as_ref().map_or("", |it| it.as_str())) @if result.blessed { " " span.tag { "blessed" } } }
            td { (parts::state(Some(result.outcome()))) @if result.outcome() == Outcome::Failed { " " (text(result.category.to_string())) } }
            td { (result.origin) }
            td.number { (time(result.wall_ms)) }
            td.number { (time(result.cpu_ms)) }
            td.number { (result.peak_memory_bytes.map_or(String::new(), parts::bytes)) }
            td { @if let Some(log) = log { @if let Some(link) = parts::log(frame, entry.run.as_str(), &log.path, log.line) { (link) } } }
        }
    }
}
