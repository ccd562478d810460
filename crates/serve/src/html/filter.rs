//! Forms that choose rows of a list, and the pages that the list has. They work without a script.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::{Frame, parts::text};
use crate::{
    model::listed::Shown,
    site::{Filter, List, Page},
};

/// A form that chooses rows of a list.
#[derive(Debug, Clone, Copy)]
pub struct Form<'f> {
    /// The list.
    pub list: List,
    /// The id of the element that has its rows.
    pub rows: &'f str,
    /// The page without a filter.
    pub page: &'f Page,
    /// What is chosen.
    pub filter: &'f Filter,
}

impl Form<'_> {
    /// The form with these further fields.
    pub fn show(&self, frame: &Frame<'_>, fields: &Markup) -> Markup {
        let address = frame.links.page(self.page.clone());
        // A form puts its own query in the place of that of its address.
        let (path, query) = address.split_once('?').unwrap_or((&address, ""));
        html! {
            form.filter action=(path) method="get" role="search" data-rows=(self.rows) {
                @for (key, value) in form_urlencoded::parse(query.as_bytes()) {
                    input type="hidden" name=(key) value=(value);
                }
                label { "Search " input type="search" name="q" value=(self.filter.text) autocomplete="off"; }
                (fields)
                @if frame.links.is_live() {
                    label {
                        "Order "
                        select name="sort" {
                            @for (name, sort) in self.list.sorts() {
                                option value=(name) selected[self.filter.sort == *sort] { (name) }
                            }
                        }
                    }
                }
                button type="submit" { "Show" }
            }
        }
    }

    /// Links to the pages before and after.
    pub fn pages(&self, frame: &Frame<'_>, shown: &Shown) -> Markup {
        let to = |page: usize| {
            let mut address = self.page.clone();
            if let Page::Packages(filter) | Page::Run(_, filter) | Page::Compare(_, _, filter) =
                &mut address
            {
                *filter = self.filter.on_page(page);
            }
            frame.links.page(address)
        };
        let here = shown.page - 1;
        html! {
            @if shown.pages > 1 {
                nav.pages aria-label="More rows" {
                    @if here > 0 { a rel="prev" href=(to(here - 1)) { "← before" } " " }
                    @if here + 1 < shown.pages { a rel="next" href=(to(here + 1)) { "after →" } }
                }
            }
        }
    }
}

/// A choice of values, each with its number of rows.
pub fn select(
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
