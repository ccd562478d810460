//! Two runs beside each other.

use larder_runs::result::Entry;
use maud::{Markup, html};

use super::{
    Frame,
    filter::{Form, select},
    parts::{self, text},
};
use crate::{
    model::{
        compare::{Cell, Change, Compare, Row},
        listed::Choices,
    },
    site::{Filter, List, Page, Sort},
};

/// The page.
pub fn compare(frame: &Frame<'_>, compare: &Compare) -> Markup {
    let (base, candidate) = (&compare.base.run_id, &compare.candidate.run_id);
    let counts = &compare.counts;
    let filter = &compare.filter;
    let here = Page::Compare(base.clone(), candidate.clone(), Filter::default());
    let form = Form { list: List::Changes, rows: "changes", page: &here, filter };
    let content = html! {
        h1 { "Two runs: " (parts::run(frame, base.as_str())) " and " (parts::run(frame, candidate.as_str())) }
        p {
            "Of " (counts.total) " stages of packages, each with a compiler, "
            strong { (counts.new_failures) } " fail now and did not, "
            strong { (counts.still_failing) } " still fail, "
            strong { (counts.fixed) } " work again, "
            (counts.added) " are new and work, " (counts.removed) " are gone, "
            (counts.same) " work in both."
            @if counts.unreached > 0 {
                " Of " (counts.unreached) " one run says nothing: it did not come to them, or was not about them."
            }
        }
        p.note { "A single run may fail by chance: " code { "larder batch --compare" } " tries both sides until there is evidence." }
        @if compare.total == 0 { p { "They do not differ, and nothing fails." } }
        @else {
            (form.show(frame, &fields(&compare.choices, filter, "change", "Change", filter.change.map(Change::name))))
            div id="changes" data-live=[frame.links.is_live().then_some("")] aria-live="polite" {
                (listed(&compare.shown, compare.total, "row"))
                p.note {
                    "A row is a stage of a package; where it is built several times with a compiler, it fails if one of these builds does. "
                    "What works in both runs with every compiler has no row."
                    @if compare.compilers.len() > 1 {
                        " Compilers differ where the package comes to something else with one of them, in one of the runs."
                    }
                }
                @if let Some(command) = &compare.reproduce {
                    p { "To try what is new and fails in these rows once more:" }
                    pre.command { (command) }
                }
                @if filter.sort == Sort::Own {
                    @for rows in compare.rows.chunk_by(|a, b| a.change == b.change) {
                        section { h2 { (heading(rows[0].change)) } (table(frame, compare, rows)) }
                    }
                } @else { (table(frame, compare, &compare.rows)) }
                (form.pages(frame, &compare.shown))
            }
        }
    };
    frame.page(&format!("{base} and {candidate}"), None, &content)
}

/// The fields of a form that chooses rows of a comparison; `kind` is the key for what a cell says.
pub fn fields(
    choices: &Choices,
    filter: &Filter,
    kind: &str,
    label: &str,
    chosen: Option<&str>,
) -> Markup {
    html! {
        (select(kind, label, &choices.of(kind), chosen))
        (select("category", "Kind", &choices.of("category"), filter.category.as_deref()))
        (select("compiler", "Compiler", &choices.of("compiler"), filter.compiler.as_deref()))
        (select("maintainer", "Maintainer", &choices.of("maintainer"), filter.maintainer.as_deref()))
        (select("differ", "Only where compilers differ", &choices.of("differ"), filter.differ.then_some("yes")))
    }
}

/// How many rows are shown, of how many.
pub fn listed(shown: &crate::model::listed::Shown, total: usize, word: &str) -> Markup {
    html! {
        p.note {
            (shown.found) " of " (parts::count(total, word))
            @if shown.pages > 1 { ", page " (shown.page) " of " (shown.pages) }
        }
    }
}

/// The heading above rows that have changed so.
fn heading(change: Change) -> &'static str {
    match change {
        Change::NewFailure => "New failures",
        Change::StillFailing => "Still failing",
        Change::Fixed => "Fixed",
        Change::Added => "Added",
        Change::Removed => "Removed",
        Change::Same => "The same",
        Change::Unreached => "Unreached",
    }
}

fn table(frame: &Frame<'_>, compare: &Compare, rows: &[Row]) -> Markup {
    html! {
        @if rows.is_empty() { p { "There are none." } }
        @else {
            div.wide {
                table {
                    thead { tr {
                        th scope="col" { "Package" } th scope="col" { "Stage" } th scope="col" { "Change" }
                        @for compiler in &compare.compilers { th scope="col" { (column(compiler)) } }
                        th.number scope="col" { "Unblocks" } th scope="col" { "Maintainers" }
                    } }
                    tbody {
                        @for row in rows {
                            tr data-maintainer=(row.about.maintainers.join(" "))
                                data-differ=(if row.differs { "yes" } else { "" }) {
                                th scope="row" { (parts::package(frame, &row.package)) }
                                td { (row.stage) }
                                td { (change(row.change)) }
                                @for compiler in &compare.compilers {
                                    (cell(frame, row.cells.iter().find(|cell| cell.compiler == *compiler)))
                                }
                                td.number { @if row.about.unblocks_packages > 0 { (row.about.unblocks_packages) } }
                                td { (row.about.maintainers.join(", ")) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The heading of a compiler's column.
pub fn column(compiler: &str) -> String {
    if compiler.is_empty() { "Compiler unknown".to_owned() } else { text(compiler) }
}

fn change(change: Change) -> Markup {
    let class = match change {
        Change::NewFailure | Change::StillFailing => "failed",
        Change::Fixed | Change::Added | Change::Same => "worked",
        Change::Removed | Change::Unreached => "unknown",
    };
    html! { span class={ "state " (class) } { (change.words()) } }
}

/// What was, what is, and why it fails. What a script filters by is in attributes.
fn cell(frame: &Frame<'_>, cell: Option<&Cell>) -> Markup {
    let Some(cell) = cell else { return html! { td {} } };
    let side = |entry: &Option<Entry>| match entry {
        Some(entry) => parts::state(Some(entry.result.outcome())),
        None => html! { "nothing" },
    };
    let log = cell.seen.as_ref();
    let log = log.and_then(|it| parts::log(frame, it.run.as_str(), &it.log.path, it.log.line));
    let failure = cell.failure().map(|entry| &entry.result);
    let category = failure.map(|it| it.category.to_string()).unwrap_or_default();
    if cell.change == Change::Same {
        return html! { td { (side(&cell.candidate)) } };
    }
    html! {
        td data-compiler=(cell.compiler) data-change=(cell.change.name()) data-category=(category) {
            (side(&cell.base)) " → " (side(&cell.candidate))
            @if let Some(log) = log { " " (log) }
            @if !category.is_empty() { " " span.tag { (text(&category)) } }
            @if let Some(error) = failure.and_then(|it| it.error.as_deref()) { div.error { (text(error)) } }
        }
    }
}
