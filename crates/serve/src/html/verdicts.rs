//! What a comparison has found out, with its evidence.

use larder_runs::{
    comparison::{Shown as Side, Subject, Verdict},
    name::RunId,
};
use maud::{Markup, html};

use super::{
    Frame,
    compare::{column, fields, listed},
    filter::Form,
    parts::{self, text},
};
use crate::{
    model::verdicts::{Cell, Comparison, Row, categories},
    site::{Filter, List, Page, Sort},
};

/// The part of a run's page about what it found out.
pub fn comparison(frame: &Frame<'_>, run: &RunId, comparison: &Comparison) -> Markup {
    let counts = &comparison.counts;
    let sides = [comparison.base.to_string(), comparison.candidate.to_string()];
    let filter = &comparison.filter;
    let here = Page::Run(run.clone(), Filter::default());
    let form = Form { list: List::Verdicts, rows: "verdicts", page: &here, filter };
    let verdict = filter.verdict.map(Verdict::name);
    let shown = Shown { frame, run, comparison, sides: &sides };
    html! {
        section aria-labelledby="comparison" {
            h2 id="comparison" { "From " (text(&sides[0])) " to " (text(&sides[1])) }
            p {
                "Of " (counts.total) ": " strong { (counts.regressed) } " regressed, "
                strong { (counts.fixed) } " fixed, " (counts.flaky) " flaky, " (counts.unknown) " unknown, "
                (counts.broken_before) " broken before, " (counts.same) " the same."
            }
            @for (words, subjects) in [("Only the second side has ", &comparison.added), ("Only the first side has ", &comparison.removed)] {
                @if !subjects.is_empty() { p { (words) (parts::package_list(frame, &names(subjects), 30)) "." } }
            }
            @if comparison.total > 0 {
                (form.show(frame, &fields(&comparison.choices, filter, "verdict", "Verdict", verdict)))
                div id="verdicts" data-live=[frame.links.is_live().then_some("")] aria-live="polite" {
                    (listed(&comparison.shown, comparison.total, "package"))
                    p.note { "Packages that are the same on both sides with every compiler are not listed." }
                    @if let Some(command) = &comparison.reproduce {
                        p { "To judge what regressed in these rows once more:" }
                        pre.command { (text(command)) }
                    }
                    @if filter.sort == Sort::Own {
                        @for rows in comparison.rows.chunk_by(|a, b| a.verdict == b.verdict) {
                            section { h3 { (heading(rows[0].verdict)) } (shown.table(rows)) }
                        }
                    } @else { (shown.table(&comparison.rows)) }
                    (form.pages(frame, &comparison.shown))
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

/// The heading above rows with this verdict.
fn heading(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Regressed => "Regressed",
        Verdict::Fixed => "Fixed",
        Verdict::Flaky => "Flaky",
        Verdict::Unknown => "Unknown",
        Verdict::BrokenBefore => "Broken before, and still failing",
        Verdict::Same => "The same",
    }
}

/// A comparison as it is shown.
struct Shown<'s> {
    frame: &'s Frame<'s>,
    run: &'s RunId,
    comparison: &'s Comparison,
    sides: &'s [String; 2],
}

impl Shown<'_> {
    /// A column for each compiler: with what each side has shown, or where the sides are compilers one for each side.
    fn table(&self, rows: &[Row]) -> Markup {
        let Self { comparison, sides, .. } = *self;
        html! {
            @if rows.is_empty() { p { "There are none." } }
            @else {
                div.wide {
                    table {
                        thead { tr {
                            th scope="col" { "Package" } th scope="col" { "Verdict" }
                            @if comparison.compilers.is_empty() {
                                @for side in sides { th scope="col" { (text(side)) } }
                            }
                            @for compiler in &comparison.compilers { th scope="col" { (column(compiler)) } }
                            th.number scope="col" { "Unblocks" } th scope="col" { "Maintainers" } th scope="col" { "Once more" }
                        } }
                        tbody { @for row in rows { (self.row(row)) } }
                    }
                }
            }
        }
    }

    fn row(&self, row: &Row) -> Markup {
        html! {
            tr data-maintainer=(row.about.maintainers.join(" ")) data-differ=(if row.differs { "yes" } else { "" }) {
                th scope="row" { (parts::package(self.frame, &row.package)) }
                @if let ([], [cell]) = (&self.comparison.compilers[..], &row.cells[..]) {
                    (attributed(cell, &verdict(row.verdict)))
                    @for side in [&cell.base, &cell.candidate] { td { (self.evidence(side)) } }
                } @else {
                    td { (verdict(row.verdict)) }
                    @for compiler in &self.comparison.compilers {
                        (self.cell(row.cells.iter().find(|cell| cell.compiler == *compiler)))
                    }
                }
                td.number { @if row.about.unblocks_packages > 0 { (row.about.unblocks_packages) } }
                td { (row.about.maintainers.join(", ")) }
                td { details { summary { "command" } pre.command { (text(&row.reproduce)) } } }
            }
        }
    }

    /// The verdict for a compiler, and what each side has shown.
    fn cell(&self, cell: Option<&Cell>) -> Markup {
        let Some(cell) = cell else { return html! { td {} } };
        let content = html! {
            (verdict(cell.verdict))
            @if cell.verdict != Verdict::Same {
                @for (side, shown) in self.sides.iter().zip([&cell.base, &cell.candidate]) {
                    div { (text(side)) ": " (self.evidence(shown)) }
                }
            }
        };
        attributed(cell, &content)
    }

    /// How many attempts of a side worked, the log of the last that did not, and what went wrong in it.
    fn evidence(&self, side: &Side) -> Markup {
        let all = side.evidence.worked + side.evidence.failed;
        let log = side.log.as_ref();
        let log = log.and_then(|path| parts::log(self.frame, self.run.as_str(), path, None));
        let mut roots: Vec<String> = side.roots.iter().map(|it| it.package.to_string()).collect();
        roots.dedup();
        html! {
            @if all == 0 { "not tried" } @else { (side.evidence.worked) " of " (all) " worked" }
            @if let Some(log) = log { " " (log) }
            @if let Some(category) = &side.category { " " span.tag { (text(category.to_string())) } }
            @if !roots.is_empty() { div { "because of " (parts::package_list(self.frame, &roots, 3)) } }
            @if let Some(error) = &side.error { div.error { (text(error)) } }
        }
    }
}

/// A cell of a table with what a script filters by.
fn attributed(cell: &Cell, content: &Markup) -> Markup {
    let categories = categories([&cell.base, &cell.candidate]).join(" ");
    html! {
        @if cell.verdict == Verdict::Same { td { (content) } }
        @else {
            td data-compiler=(cell.compiler) data-verdict=(cell.verdict.name()) data-category=(categories) { (content) }
        }
    }
}

fn verdict(verdict: Verdict) -> Markup {
    let class = match verdict {
        Verdict::Regressed => "failed",
        Verdict::Fixed | Verdict::Same => "worked",
        Verdict::BrokenBefore => "blocked",
        Verdict::Flaky | Verdict::Unknown => "unknown",
    };
    html! { span class={ "state " (class) } { (verdict.words()) } }
}
