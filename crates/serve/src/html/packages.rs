//! Lists of packages.

use std::collections::BTreeMap;

use larder_runs::result::Outcome;
use maud::{Markup, html};

use super::{
    Frame,
    parts::{self, text},
};
use crate::{
    model::packages::{Packages, Row},
    site::{Page, Sort},
};

/// The page.
pub fn packages(frame: &Frame<'_>, packages: &Packages) -> Markup {
    let content = html! {
        h1 { "Packages" }
        (form(frame, packages))
        div id="packages" data-live=[frame.links.is_live().then_some("")] aria-live="polite" {
            p.note {
                (packages.found) " of " (parts::count(packages.total, "package"))
                @if packages.pages > 1 { ", page " (packages.page) " of " (packages.pages) }
            }
            (table(frame, &packages.packages))
            (pages(frame, packages))
        }
    };
    let here = Page::Packages(Default::default());
    frame.page("Packages", Some(&here), &content)
}

/// The filter. It works without a script.
fn form(frame: &Frame<'_>, packages: &Packages) -> Markup {
    let filter = &packages.filter;
    let choices = &packages.choices;
    let states: BTreeMap<String, usize> =
        choices.states.iter().map(|(state, count)| (state.name().to_owned(), *count)).collect();
    html! {
        form.filter action=(frame.links.page(Page::Packages(Default::default()))) method="get" role="search" {
            label { "Search " input type="search" name="q" value=(filter.text) autocomplete="off"; }
            (select("status", "Status", &states, filter.state.map(Outcome::name)))
            (select("category", "Kind", &choices.categories, filter.category.as_deref()))
            (select("compiler", "Compiler", &choices.compilers, filter.compiler.as_deref()))
            @if frame.links.is_live() {
                (select("maintainer", "Maintainer", &choices.maintainers, filter.maintainer.as_deref()))
                label {
                    "Order "
                    select name="sort" {
                        @for sort in Sort::ALL {
                            option value=(sort.name()) selected[filter.sort == sort] { (sort.name()) }
                        }
                    }
                }
            }
            button type="submit" { "Show" }
        }
    }
}

fn select(
    name: &str,
    label: &str,
    values: &BTreeMap<String, usize>,
    chosen: Option<&str>,
) -> Markup {
    let unknown = chosen.filter(|chosen| !values.contains_key(*chosen));
    html! {
        @if !values.is_empty() || chosen.is_some() {
            label {
                (label) " "
                select name=(name) {
                    option value="" { "all" }
                    @if let Some(chosen) = unknown {
                        option value=(chosen) selected { (text(chosen)) " (0)" }
                    }
                    @for (value, count) in values {
                        option value=(value) selected[chosen == Some(value.as_str())] {
                            (text(value)) " (" (count) ")"
                        }
                    }
                }
            }
        }
    }
}

/// Packages, one a row. What a script filters by is in attributes.
pub fn table(frame: &Frame<'_>, rows: &[Row]) -> Markup {
    html! {
        @if rows.is_empty() { p { "There are none." } }
        @else {
            div.wide {
                table {
                    thead { tr {
                        th scope="col" { "Package" }
                        th scope="col" { "Status" }
                        th.number scope="col" { "Unblocks" }
                        th scope="col" { "Since" }
                        th scope="col" { "Kind" }
                        th scope="col" { "Why" }
                        th scope="col" { "Last runs" }
                    } }
                    tbody {
                        @for row in rows {
                            tr data-status=(row.state.map_or("unknown", Outcome::name))
                                data-category=(row.categories.join(" "))
                                data-compiler=(row.compilers.join(" ")) {
                                th scope="row" { (parts::package(frame, &row.package)) }
                                td {
                                    (parts::state(row.state))
                                    @if row.flaky { " " span.tag { "now and then" } }
                                }
                                td.number { @if row.unblocks_packages > 0 { (row.unblocks_packages) } }
                                td { @if let Some(since) = &row.since { (parts::time(since)) } }
                                td { (text(row.categories.join(", "))) }
                                td.error {
                                    @if let Some(error) = &row.error { (text(error)) }
                                    @else if !row.blocked_by.is_empty() {
                                        (parts::package_list(frame, &row.blocked_by, 3)) " failed"
                                    }
                                }
                                td { (parts::recent(&row.recent)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn pages(frame: &Frame<'_>, packages: &Packages) -> Markup {
    let to = |page: usize| frame.links.page(Page::Packages(packages.filter.on_page(page)));
    let here = packages.page - 1;
    html! {
        @if packages.pages > 1 {
            nav.pages aria-label="More packages" {
                @if here > 0 { a rel="prev" href=(to(here - 1)) { "← before" } " " }
                @if here + 1 < packages.pages { a rel="next" href=(to(here + 1)) { "after →" } }
            }
        }
    }
}
