//! From an address to its bytes.

use serde::Serialize;

use crate::{
    badge, feed,
    html::{self, Frame, Links},
    model::{
        NoPage, Result,
        compare::Compare,
        docs::Docs,
        locks::Locks,
        maintainers::{Maintainer, Maintainers},
        overview::Overview,
        package::Package,
        packages::Packages,
        run::{Run, Runs},
        store::Cache,
    },
    openapi,
    site::{Document, Page, View},
};

/// Makes a document.
///
/// # Errors
/// Why there is none.
pub fn document(view: &View<'_>, document: &Document, links: &Links) -> Result<Vec<u8>> {
    let frame = Frame { name: view.ecosystem.name.as_deref(), links, kept: Some(view.snapshot) };
    match document {
        Document::Html(page) => html_page(view, page, &frame),
        Document::Json(page) => json_page(view, page),
        Document::BadgeSvg(package) => badge::svg(view, package),
        Document::BadgeJson(package) => badge::shields(view, package),
        Document::Feed(of) => feed::atom(view, of.as_deref(), links),
        Document::OpenApi => json(&openapi::document()),
        Document::Style => Ok(include_bytes!("assets/style.css").to_vec()),
        Document::Script => Ok(include_bytes!("assets/script.js").to_vec()),
        Document::Icon => Ok(include_bytes!("assets/icon.svg").to_vec()),
    }
}

fn html_page(view: &View<'_>, page: &Page, frame: &Frame<'_>) -> Result<Vec<u8>> {
    let markup = match page {
        Page::Overview => html::overview(frame, &Overview::of(view)),
        Page::Packages(filter) => html::packages(frame, &Packages::of(view, filter)),
        Page::Package(package) => html::package(frame, &Package::of(view, package)?),
        Page::Runs => html::runs(frame, &Runs::of(view)),
        Page::Run(run, filter) => html::run(frame, &Run::of(view, run, filter)?),
        Page::Compare(base, candidate, filter) => {
            html::compare(frame, &Compare::of(view, base, candidate, filter)?)
        }
        Page::Maintainers => html::maintainers(frame, &Maintainers::of(view)),
        Page::Maintainer(slug) => html::maintainer(frame, &Maintainer::of(view, slug)?),
        Page::Cache => html::cache(frame, &Cache::of(view)?),
        Page::Locks => html::locks(frame, &Locks::of(view)?),
        Page::Docs => html::docs(frame, &Docs::of(view)?),
    };
    Ok(markup.into_string().into_bytes())
}

fn json_page(view: &View<'_>, page: &Page) -> Result<Vec<u8>> {
    match page {
        Page::Overview => json(&Overview::of(view)),
        Page::Packages(filter) => json(&Packages::of(view, filter)),
        Page::Package(package) => json(&Package::of(view, package)?),
        Page::Runs => json(&Runs::of(view)),
        Page::Run(run, filter) => json(&Run::of(view, run, filter)?),
        Page::Compare(base, candidate, filter) => {
            json(&Compare::of(view, base, candidate, filter)?)
        }
        Page::Maintainers => json(&Maintainers::of(view)),
        Page::Maintainer(slug) => json(&Maintainer::of(view, slug)?),
        Page::Cache => json(&Cache::of(view)?),
        Page::Locks => json(&Locks::of(view)?),
        Page::Docs => json(&Docs::of(view)?),
    }
}

/// JSON with a line feed at its end.
pub fn json(content: &impl Serialize) -> Result<Vec<u8>> {
    let mut text =
        serde_json::to_vec(content).map_err(|error| NoPage::Missing(error.to_string()))?;
    text.push(b'\n');
    Ok(text)
}
