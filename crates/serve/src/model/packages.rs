//! Packages that pass a filter.

use std::collections::{BTreeMap, BTreeSet};

use larder_runs::{
    result::Outcome,
    status_index::{Failing, PackageStatus},
    version,
};
use schemars::JsonSchema;
use serde::Serialize;

use super::listed::{self, Shown};
use crate::site::{Filter, Person, Sort, View};

/// Packages that pass a filter, or a page of them.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Packages {
    /// How many the set has.
    pub total: usize,
    /// Which of them are shown.
    #[serde(flatten)]
    pub shown: Shown,
    /// The packages of this page.
    pub packages: Vec<Row>,
    /// By what one can filter, with the number of packages in the set that each alone leaves.
    pub choices: Choices,
    /// The filter.
    #[serde(skip)]
    pub filter: Filter,
}

/// The values of filters, each with its number of packages.
#[derive(Debug, Default, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Choices {
    /// How packages stand.
    pub states: BTreeMap<Outcome, usize>,
    /// The kinds of failures.
    pub categories: BTreeMap<String, usize>,
    /// The compilers that something fails with.
    pub compilers: BTreeMap<String, usize>,
    /// Those who maintain packages, by the name that stands in addresses.
    pub maintainers: BTreeMap<String, usize>,
}

/// A package in a list.
#[derive(Debug, Clone, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// `<name>.<version>`.
    pub package: String,
    /// How it stands.
    pub state: Option<Outcome>,
    /// The kinds of its failures.
    pub categories: Vec<String>,
    /// The compilers that it fails with.
    pub compilers: Vec<String>,
    /// The line that says what went wrong.
    pub error: Option<String>,
    /// The dependency whose failure blocks it.
    pub blocked_by: Vec<String>,
    /// Since when it has failed: RFC 3339, UTC.
    pub since: Option<String>,
    /// How many packages it alone blocks.
    pub unblocks_packages: u64,
    /// Its last results, oldest first: `+` it worked, `-` it did not.
    pub recent: String,
    /// Whether it works and fails by turns.
    pub flaky: bool,
}

impl Row {
    /// A package of the set in a list.
    pub fn of(view: &View<'_>, package: &str, status: &PackageStatus) -> Self {
        let failures = &status.failures;
        let distinct = |of: &dyn Fn(&Failing) -> String| -> Vec<String> {
            let all: BTreeSet<String> = failures.iter().map(of).collect();
            all.into_iter().filter(|it| !it.is_empty()).collect()
        };
        let roots: BTreeSet<&String> = failures.iter().flat_map(|failing| &failing.roots).collect();
        Self {
            package: package.to_owned(),
            state: status.state,
            categories: distinct(&|failing| failing.category.to_string()),
            compilers: distinct(&|failing| failing.compiler.clone()),
            error: failures.iter().find_map(|failing| failing.error.clone()),
            blocked_by: roots.into_iter().cloned().collect(),
            since: failures.iter().map(|failing| failing.since.clone()).min(),
            unblocks_packages: view.snapshot.unblocks(package),
            recent: status.recent.clone(),
            flaky: !status.flaky.is_empty(),
        }
    }

    fn passes(&self, filter: &Filter, text: &str, people: &dyn Fn(&str) -> Vec<Person>) -> bool {
        let has =
            |all: &[String], one: &Option<String>| one.as_ref().is_none_or(|one| all.contains(one));
        let says = || {
            let error = self.error.as_deref().unwrap_or_default();
            self.package.to_lowercase().contains(text) || error.to_lowercase().contains(text)
        };
        filter.state.is_none_or(|state| self.state == Some(state))
            && has(&self.categories, &filter.category)
            && has(&self.compilers, &filter.compiler)
            && (text.is_empty() || says())
            && filter
                .maintainer
                .as_ref()
                .is_none_or(|slug| people(&self.package).iter().any(|person| person.slug == *slug))
    }
}

/// How much a state matters: the smaller, the more.
fn rank(state: Option<Outcome>) -> u32 {
    match state {
        Some(Outcome::Failed) => 0,
        Some(Outcome::Unsolved) => 1,
        Some(Outcome::Blocked) => 2,
        None => 3,
        Some(Outcome::Worked) => 4,
    }
}

impl Packages {
    /// The packages that pass `filter`: a page of them, or all.
    pub fn of(view: &View<'_>, filter: &Filter) -> Self {
        let text = filter.text.to_lowercase();
        let people = |package: &str| view.ecosystem.people.of(package);
        let mut choices = Choices::default();
        let mut rows = Vec::new();
        let mut total = 0;
        for (package, status) in view.snapshot.status.standing() {
            let row = Row::of(view, package, status);
            total += 1;
            choices.count(&row, &people);
            if row.passes(filter, &text, &people) {
                rows.push(row);
            }
        }
        rows.sort_by(|a, b| version::compare_packages(&a.package, &b.package));
        match filter.sort {
            // Whatever else is equal is in this order, too.
            Sort::Own => {}
            Sort::State => rows.sort_by_key(|row| rank(row.state)),
            Sort::Blocks => rows.sort_by_key(|row| std::cmp::Reverse(row.unblocks_packages)),
            Sort::Since => {
                rows.sort_by(|a, b| {
                    (a.since.is_none(), &a.since).cmp(&(b.since.is_none(), &b.since))
                });
            }
        }
        let (shown, packages) = listed::page(rows, filter, view.whole_lists);
        Self { total, shown, packages, choices, filter: filter.clone() }
    }
}

impl Choices {
    fn count(&mut self, row: &Row, people: &dyn Fn(&str) -> Vec<Person>) {
        if let Some(state) = row.state {
            *self.states.entry(state).or_default() += 1;
        }
        for category in &row.categories {
            *self.categories.entry(category.clone()).or_default() += 1;
        }
        for compiler in &row.compilers {
            *self.compilers.entry(compiler.clone()).or_default() += 1;
        }
        for person in people(&row.package) {
            *self.maintainers.entry(person.slug).or_default() += 1;
        }
    }
}
