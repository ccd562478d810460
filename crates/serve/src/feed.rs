//! Atom feeds: what broke and what recovered, of all packages or of somebody's.

use larder_runs::{status_index::Change, time};
use maud::{Markup, PreEscaped, html};

use crate::{
    html::{Links, text},
    model::{Result, maintainers::Maintainer},
    site::{Document, Page, View},
};

/// A feed of the changes since the full run before.
///
/// # Errors
/// [`crate::model::NoPage::Missing`] where the set names no such maintainer.
pub fn atom(view: &View<'_>, of: Option<&str>, links: &Links) -> Result<Vec<u8>> {
    let person = of.map(|slug| Maintainer::of(view, slug)).transpose()?;
    let name = text(view.ecosystem.name.as_deref().unwrap_or("The ecosystem"));
    let title = match &person {
        None => format!("{name}: what broke and what recovered"),
        Some(person) => format!("{name}: what broke and what recovered for {}", person.name),
    };
    let own = |change: &&Change| {
        person.as_ref().is_none_or(|it| it.packages.iter().any(|row| row.package == change.package))
    };
    let status = &view.snapshot.status;
    let run = status.full_run.as_deref().unwrap_or_default();
    // While a full run goes on, what it has not come to has changed in the run before.
    let in_run = |change: &Change| -> &str {
        let package = status.packages.get(&change.package);
        package.and_then(|package| package.full_run.as_deref()).unwrap_or(run)
    };
    let changes: Vec<&Change> = status.changes.iter().filter(own).collect();
    let updated = moment(view, run);
    let id = of.map_or(String::new(), |slug| format!(":{slug}"));
    let address = links.to(&Document::Feed(of.map(ToOwned::to_owned))).unwrap_or_default();
    let feed = html! {
        (PreEscaped("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"))
        feed xmlns="http://www.w3.org/2005/Atom" {
            title { (title) }
            id { "urn:larder:feed:" (slug(&name)) (id) }
            updated { (updated) }
            author { name { "larder" } }
            (PreEscaped(format!("<link rel=\"self\" href=\"{address}\"/>")))
            @for change in changes {
                @let run = in_run(change);
                (entry(change, run, &moment(view, run), links))
            }
        }
        (PreEscaped("\n"))
    };
    Ok(feed.into_string().into_bytes())
}

fn entry(change: &Change, run: &str, updated: &str, links: &Links) -> Markup {
    let what = if change.is_recovery() { "recovered" } else { "broke" };
    let stage = change.stage;
    let build = if change.build_hash.is_empty() && !change.blessed {
        &change.compiler
    } else {
        &change.build_hash
    };
    let address = change.package.parse().map(|name| links.page(Page::Package(name)));
    let link = address.map(|address| format!("<link href=\"{address}\"/>")).unwrap_or_default();
    html! {
        entry {
            title { (text(&change.package)) " " (what) " (" (stage) ")" }
            id { "urn:larder:change:" (run) ":" (slug(&change.package)) ":" (stage) ":" (slug(build)) }
            updated { (updated) }
            (PreEscaped(link))
            summary { (change.from_status) " → " (change.to_status) ", " (text(change.category.to_string())) }
        }
    }
}

/// When a run started: RFC 3339, UTC.
fn moment(view: &View<'_>, run: &str) -> String {
    let facts = view.snapshot.runs.iter().find(|facts| facts.run_id.as_str() == run);
    let told = facts.map(|facts| facts.end.clone().unwrap_or(facts.start.clone()));
    told.filter(|told| time::parse_time(told).is_some())
        .unwrap_or_else(|| "1970-01-01T00:00:00Z".to_owned())
}

/// A text as a part of a name: letters beyond ASCII as their bytes, so that other texts have other names.
fn slug(text: &str) -> String {
    let mut name = String::new();
    for c in text.chars() {
        match c {
            _ if c.is_ascii_alphanumeric() || "._+-".contains(c) => name.push(c),
            _ if c.is_ascii() => name.push('-'),
            _ => {
                let mut bytes = [0; 4];
                let bytes = c.encode_utf8(&mut bytes).bytes();
                name.extend(bytes.map(|byte| format!("%{byte:02X}")));
            }
        }
    }
    name
}
