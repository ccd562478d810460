//! Pages for people, each made from its content.
//!
//! Nothing in a page is written without being escaped, and names, errors and messages pass the sanitiser first. Times are
//! absolute, in UTC: a page that is an hour old says nothing wrong.

mod chart;
mod compare;
mod filter;
mod links;
mod log;
mod maintainers;
mod other;
mod overview;
mod package;
mod packages;
mod parts;
mod run;
mod verdicts;

use maud::{DOCTYPE, Markup, html};

pub use compare::compare;
pub use links::{Files, Links};
pub use log::{LogLines, log_head, log_tail};
pub use maintainers::{maintainer, maintainers};
pub use other::{cache, docs, locks};
pub use overview::overview;
pub use package::package;
pub use packages::packages;
pub use parts::{state_word, text};
pub use run::{live, run, runs};

use crate::site::{Document, Filter, Page, Snapshot};

/// What stands around the content of a page.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'f> {
    /// The name of the ecosystem.
    pub name: Option<&'f str>,
    /// How addresses are written.
    pub links: &'f Links,
    /// The runs that are kept; `None` where the page leads to none but its own.
    pub kept: Option<&'f Snapshot>,
}

impl Frame<'_> {
    /// Whether there is a page of a run: what tells of it may be kept for longer.
    pub fn has_run(&self, id: &str) -> bool {
        self.kept.is_none_or(|kept| kept.runs.iter().any(|run| run.run_id.as_str() == id))
    }

    /// A whole page with this title and content.
    pub fn page(&self, title: &str, here: Option<&Page>, content: &Markup) -> Markup {
        html! {
            (self.head(title, here))
            (content)
            (self.tail())
        }
    }

    /// The beginning of a page, up to its content.
    pub fn head(&self, title: &str, here: Option<&Page>) -> Markup {
        let name = self.name.unwrap_or("larder");
        let asset = |document| self.links.to(&document).unwrap_or_default();
        let pages = [
            ("Overview", Page::Overview),
            ("Packages", Page::Packages(Filter::default())),
            ("Runs", Page::Runs),
            ("Maintainers", Page::Maintainers),
            ("Documentation", Page::Docs),
            ("Cache", Page::Cache),
            ("Locks", Page::Locks),
        ];
        // A file cannot say who works on what now.
        let is_shown = |page: &Page| self.links.is_live() || *page != Page::Locks;
        let shown = pages.into_iter().filter(|(_, page)| is_shown(page));
        // The elements that are open are closed by the tail.
        html! {
            (DOCTYPE)
            (maud::PreEscaped("<html lang=\"en\"><head>"))
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            title { (title) " · " (parts::text(name)) }
            link rel="icon" href=(asset(Document::Icon));
            link rel="stylesheet" href=(asset(Document::Style));
            link rel="alternate" type="application/atom+xml" title="What broke and what recovered"
                href=(asset(Document::Feed(None)));
            script src=(asset(Document::Script)) defer {}
            (maud::PreEscaped("</head><body>"))
            a.skip href="#content" { "Skip to the content" }
            header {
                a.name href=(self.links.page(Page::Overview)) { (parts::text(name)) }
                nav aria-label="Pages" {
                    ul {
                        @for (word, page) in shown {
                            li {
                                a href=(self.links.page(page.clone()))
                                    aria-current=[(here == Some(&page)).then_some("page")] { (word) }
                            }
                        }
                    }
                }
            }
            (maud::PreEscaped("<main id=\"content\">"))
        }
    }

    /// The end of a page, after its content.
    pub fn tail(&self) -> Markup {
        html! {
            (maud::PreEscaped("</main>"))
            footer {
                "Made by larder from its run data. Times are UTC. "
                @if let Some(address) = self.links.to(&Document::OpenApi) {
                    a href=(address) { "JSON for programs" }
                    " · "
                }
                @if let Some(address) = self.links.to(&Document::Feed(None)) {
                    a href=(address) { "Feed" }
                }
            }
            (maud::PreEscaped("</body></html>"))
        }
    }
}

/// A page that says why there is none.
pub fn problem(frame: &Frame<'_>, title: &str, why: &str) -> Markup {
    let content = html! {
        h1 { (title) }
        p { (parts::text(why)) }
        p { a href=(frame.links.page(Page::Overview)) { "How the ecosystem stands" } }
    };
    frame.page(title, None, &content)
}
