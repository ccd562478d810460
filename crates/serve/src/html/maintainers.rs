//! The people who maintain packages.

use maud::{Markup, html};

use super::{Frame, packages::table};
use crate::{
    model::maintainers::{Maintainer, Maintainers},
    site::{Document, Page},
};

/// The page of everybody.
pub fn maintainers(frame: &Frame<'_>, maintainers: &Maintainers) -> Markup {
    let content = html! {
        h1 { "Maintainers" }
        @if maintainers.maintainers.is_empty() {
            p { "The set names none: " code { "[maintainers]" } " in " code { "larder-set.toml" } " does." }
        } @else {
            div.wide {
                table {
                    thead { tr { th scope="col" { "Name" } th.number scope="col" { "Packages" } th.number scope="col" { "Do not work" } } }
                    tbody {
                        @for share in &maintainers.maintainers {
                            tr {
                                th scope="row" { a href=(frame.links.page(Page::Maintainer(share.slug.clone()))) { (share.name) } }
                                td.number { (share.packages) }
                                td.number { (share.not_working) }
                            }
                        }
                    }
                }
            }
        }
    };
    frame.page("Maintainers", Some(&Page::Maintainers), &content)
}

/// The page of somebody.
pub fn maintainer(frame: &Frame<'_>, maintainer: &Maintainer) -> Markup {
    let feed = frame.links.to(&Document::Feed(Some(maintainer.slug.clone())));
    let content = html! {
        h1 { (maintainer.name) }
        @if let Some(feed) = feed {
            p { a href=(feed) type="application/atom+xml" { "Feed of what breaks and recovers" } }
        }
        (table(frame, &maintainer.packages))
    };
    frame.page(&maintainer.name, None, &content)
}
