//! The people who maintain packages.

use std::collections::{BTreeSet, HashMap};

use larder_runs::result::Outcome;
use schemars::JsonSchema;
use serde::Serialize;

use super::{NoPage, Result, packages::Row};
use crate::site::{Person, View};

/// Everybody who maintains packages of the set.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Maintainers {
    /// All of them, by name.
    pub maintainers: Vec<Share>,
}

/// Somebody, and how their packages stand.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Share {
    /// The name that stands in addresses.
    pub slug: String,
    /// The name.
    pub name: String,
    /// How many packages they have.
    pub packages: usize,
    /// How many of these do not work.
    pub not_working: usize,
}

/// The packages of somebody.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Maintainer {
    /// The name that stands in addresses.
    pub slug: String,
    /// The name.
    pub name: String,
    /// Their packages: what fails first.
    pub packages: Vec<Row>,
}

impl Maintainers {
    /// Everybody whom the set names.
    pub fn of(view: &View<'_>) -> Self {
        let mut counts: HashMap<String, (usize, usize)> = HashMap::new();
        for (package, status) in view.snapshot.status.standing() {
            let people = view.ecosystem.people.of(package).into_iter().map(|person| person.slug);
            for slug in people.collect::<BTreeSet<_>>() {
                let (packages, not_working) = counts.entry(slug).or_default();
                *packages += 1;
                *not_working += usize::from(status.state != Some(Outcome::Worked));
            }
        }
        let share = |Person { slug, name }| {
            let (packages, not_working) = counts.get(&slug).copied().unwrap_or_default();
            Share { slug, name, packages, not_working }
        };
        Self { maintainers: view.ecosystem.people.all().into_iter().map(share).collect() }
    }
}

fn rows(view: &View<'_>, slug: &str) -> Vec<Row> {
    let own = view.snapshot.status.standing().filter(|(package, _)| {
        view.ecosystem.people.of(package).iter().any(|person| person.slug == slug)
    });
    let mut rows: Vec<Row> = own.map(|(package, status)| Row::of(view, package, status)).collect();
    rows.sort_by_key(|row| row.state == Some(Outcome::Worked));
    rows
}

impl Maintainer {
    /// Somebody whom the set names.
    ///
    /// # Errors
    /// [`NoPage::Missing`] where it names nobody of this name.
    pub fn of(view: &View<'_>, slug: &str) -> Result<Self> {
        let found = view.ecosystem.people.all().into_iter().find(|person| person.slug == slug);
        let person = found.ok_or_else(|| {
            let slug = larder_runs::sanitise::line(slug);
            NoPage::Missing(format!("the set names no maintainer {slug}"))
        })?;
        Ok(Self { packages: rows(view, &person.slug), slug: person.slug, name: person.name })
    }
}
