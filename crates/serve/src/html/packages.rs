//! Lists of packages.

use std::collections::BTreeMap;

use larder_runs::result::Outcome;
use maud::{Markup, html};

use super::{
    Frame,
    filter::{Form, select},
    parts::{self, text},
};
use crate::{
    model::{
        listed::Shown,
        packages::{Packages, Row},
    },
    site::{Filter, List, Page},
};

/// The page.
pub fn packages(frame: &Frame<'_>, packages: &Packages) -> Markup {
    let here = Page::Packages(Filter::default());
    let filter = &packages.filter;
    let form = Form { list: List::Packages, rows: "packages", page: &here, filter };
    let Shown { found, page, pages } = packages.shown;
    let content = html! {
        h1 { "Packages" }
        (form.show(frame, &fields(frame, packages)))
        div id="packages" data-live=[frame.links.is_live().then_some("")] aria-live="polite" {
            p.note {
                (found) " of " (parts::count(packages.total, "package"))
                @if pages > 1 { ", page " (page) " of " (pages) }
            }
            (table(frame, &packages.packages))
            (form.pages(frame, &packages.shown))
        }
    };
    frame.page("Packages", Some(&here), &content)
}

fn fields(frame: &Frame<'_>, packages: &Packages) -> Markup {
    let filter = &packages.filter;
    let choices = &packages.choices;
    let states: BTreeMap<String, usize> =
        choices.states.iter().map(|(state, count)| (state.name().to_owned(), *count)).collect();
    html! {
        (select("status", "Status", &states, filter.state.map(Outcome::name)))
        (select("category", "Kind", &choices.categories, filter.category.as_deref()))
        (select("compiler", "Compiler", &choices.compilers, filter.compiler.as_deref()))
        @if frame.links.is_live() {
            (select("maintainer", "Maintainer", &choices.maintainers, filter.maintainer.as_deref()))
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
