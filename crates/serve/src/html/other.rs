//! The cache, locks, and documentation.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::{
    Frame,
    parts::{self, text},
};
use crate::{
    cache::Served,
    model::{
        docs::{Docs, Documented},
        locks::Locks,
        store::Cache,
    },
    site::Page,
};

/// The page of the artifact cache.
pub fn cache(frame: &Frame<'_>, cache: &Cache) -> Markup {
    let content = html! {
        h1 { "Cache" }
        @if let Some(server) = &cache.server {
            section aria-labelledby="server" {
                h2 id="server" { "The team's, which this server is" }
                dl.facts {
                    dt { "Size" }
                    dd {
                        (parts::bytes(server.used_bytes))
                        @if let Some(quota) = server.quota_bytes { " of " (parts::bytes(quota)) }
                    }
                    dt { "Read" } dd { (server.hits) " objects, " (parts::bytes(server.read_bytes)) }
                    dt { "Asked for and not there" } dd { (server.misses) }
                    dt { "Written" } dd { (server.writes) " objects, " (parts::bytes(server.written_bytes)) }
                    dt { "Refused" } dd { (server.refusals) " requests" }
                    dt { "Removed to make room" } dd { (server.removed) " objects, " (parts::bytes(server.removed_bytes)) }
                }
                p.note { "Counted since the server began." }
                @if let Some(served) = &cache.served { (revisions(served)) }
            }
            h2 { "That of this machine" }
        }
        @match &cache.store {
            None => p { "There is no artifact cache on this machine yet." },
            Some(store) => {
                dl.facts {
                    dt { "Artifacts" } dd { (store.artifacts) ", " (parts::bytes(store.artifact_bytes)) }
                    dt { "Mappings" } dd { (store.mappings) }
                    dt { "Revisions" } dd { (store.revisions) }
                    dt { "Restored" } dd { (store.restored) " artifacts, " (parts::bytes(store.restored_bytes)) }
                    @if store.quarantined > 0 { dt { "Damaged and put aside" } dd { (store.quarantined) } }
                    dt { "Hit rate" }
                    dd { @match store.hit_rate { Some(rate) => { (format!("{:.1}", rate * 100.0)) " % of lookups" }, None => "no lookup yet" } }
                }
                (counts("What was found, and where", &store.hits))
                (counts("What was missed, and why", &store.misses))
            }
        }
    };
    frame.page("Cache", Some(&Page::Cache), &content)
}

/// The revisions that the cache of the team has.
fn revisions(served: &Served) -> Markup {
    html! {
        h3 { (parts::count(served.total, "revision")) }
        @if served.newest.len() < served.total { p.note { "The newest " (served.newest.len()) " are:" } }
        @if !served.newest.is_empty() {
            div.wide {
                table {
                    thead { tr {
                        th scope="col" { "Revision" } th scope="col" { "Written" } th scope="col" { "By" }
                        th.number scope="col" { "Size" }
                    } }
                    tbody {
                        @for revision in &served.newest {
                            tr {
                                th scope="row" { (text(&revision.name)) }
                                td { (parts::time(&revision.written)) }
                                td { (text(&revision.writer)) }
                                td.number { (parts::bytes(revision.bytes)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn counts(title: &str, counts: &BTreeMap<String, u64>) -> Markup {
    html! {
        @if !counts.is_empty() {
            section {
                h2 { (title) }
                table {
                    tbody {
                        @for (what, count) in counts { tr { th scope="row" { (what) } td.number { (count) } } }
                    }
                }
            }
        }
    }
}

/// The page of locks.
pub fn locks(frame: &Frame<'_>, locks: &Locks) -> Markup {
    let content = html! {
        h1 { "Locks" }
        @if locks.locks.is_empty() { p { "Nobody works on anything." } }
        @else {
            div.wide {
                table {
                    thead { tr { th scope="col" { "What for" } th scope="col" { "Target" } th scope="col" { "Holder" } th.number scope="col" { "Age" } th scope="col" { "" } } }
                    tbody {
                        @for lock in &locks.locks {
                            tr {
                                th scope="row" { (lock.purpose) }
                                td { (text(&lock.target)) }
                                td { @if let Some(holder) = &lock.holder { (text(holder.to_string())) } }
                                td.number { (parts::seconds(lock.age_seconds)) }
                                td { @if lock.stale { "stale: its holder is gone" } }
                            }
                        }
                    }
                }
            }
        }
    };
    frame.page("Locks", Some(&Page::Locks), &content)
}

/// The page of documentation.
pub fn docs(frame: &Frame<'_>, docs: &Docs) -> Markup {
    let content = html! {
        h1 { "Documentation" }
        @if docs.packages.is_empty() && docs.universes.is_empty() { p { "No package has published any yet." } }
        @if !docs.packages.is_empty() { (documented(frame, &docs.packages)) }
        @if !docs.universes.is_empty() {
            section aria-labelledby="others" {
                h2 id="others" { "With other dependencies" }
                p.note { "Of builds that are not blessed, by the dependencies that they were made with." }
                @for universe in &docs.universes {
                    details {
                        summary { code { (universe.universe) } ", " (parts::count(universe.packages.len(), "package")) }
                        (documented(frame, &universe.packages))
                    }
                }
            }
        }
    };
    frame.page("Documentation", Some(&Page::Docs), &content)
}

fn documented(frame: &Frame<'_>, packages: &[Documented]) -> Markup {
    html! {
        div.wide {
            table {
                thead { tr { th scope="col" { "Package" } th scope="col" { "Versions" } } }
                tbody {
                    @for package in packages {
                        tr {
                            th scope="row" { (package.name) }
                            td {
                                @for (number, version) in package.versions.iter().enumerate() {
                                    @if number > 0 { ", " }
                                    a href=(frame.links.documentation(&version.path)) { (version.version) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
