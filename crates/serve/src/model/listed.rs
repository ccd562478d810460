//! Lists of rows: those that pass a filter, a page at a time.

use std::{cmp::Reverse, collections::BTreeMap};

use larder_runs::comparison::Verdict;
use schemars::JsonSchema;
use serde::Serialize;

use super::compare::Change;
use crate::site::{Filter, Sort, View};

/// How many rows stand on one page.
pub const PAGE: usize = 200;

/// Which rows are shown of those that a list has.
#[derive(Debug, Clone, Copy, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    /// How many pass the filter.
    pub found: usize,
    /// Which page this is, counted from 1.
    pub page: usize,
    /// How many pages there are.
    pub pages: usize,
}

/// The page that a filter asks for, of rows that pass it; all of them where lists stand whole.
pub fn page<R>(rows: Vec<R>, filter: &Filter, whole: bool) -> (Shown, Vec<R>) {
    let found = rows.len();
    let each = if whole { found.max(1) } else { PAGE };
    let rows = rows.into_iter().skip(filter.page.saturating_mul(each)).take(each).collect();
    let pages = found.div_ceil(each).max(1);
    (Shown { found, page: filter.page.saturating_add(1), pages }, rows)
}

/// A row of a comparison: a package, with a cell for each compiler.
pub trait Compared {
    /// `<name>.<version>`.
    fn package(&self) -> &str;

    /// What a filter looks at in the cells that have something to say: at least one.
    fn aspects(&self) -> impl Iterator<Item = Aspect<'_>>;

    /// Whether compilers come to something else.
    fn differs(&self) -> bool;

    /// What else is known of the package.
    fn about(&self) -> &About;
}

/// What a filter looks at in a cell.
#[derive(Debug, Clone)]
pub struct Aspect<'c> {
    /// The compiler's package; empty when unknown.
    pub compiler: &'c str,
    /// What has changed, or was found out.
    pub kind: Kind,
    /// The kinds of its failures.
    pub categories: Vec<String>,
    /// The lines that say what went wrong.
    pub errors: Vec<&'c str>,
}

/// What a cell of a comparison says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Of two runs.
    Change(Change),
    /// Of two sides with evidence.
    Verdict(Verdict),
}

impl Kind {
    /// The key of filters for it.
    fn key(self) -> &'static str {
        match self {
            Kind::Change(_) => "change",
            Kind::Verdict(_) => "verdict",
        }
    }

    /// The word for it in addresses.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Change(change) => change.name(),
            Kind::Verdict(verdict) => verdict.name(),
        }
    }
}

/// What is known of a package beside a comparison.
#[derive(Debug, Clone, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct About {
    /// How many packages it alone blocks now.
    pub unblocks_packages: u64,
    /// Those who maintain the package, by the names that stand in addresses.
    pub maintainers: Vec<String>,
}

impl About {
    /// What is known of a package.
    pub fn of(view: &View<'_>, package: &str) -> Self {
        let people = view.ecosystem.people.of(package);
        Self {
            unblocks_packages: view.snapshot.unblocks(package),
            maintainers: people.into_iter().map(|person| person.slug).collect(),
        }
    }
}

/// By key and value of filters: how many rows of a list each leaves.
#[derive(Debug, Default, JsonSchema, Serialize)]
#[schemars(rename = "ComparedChoices")]
pub struct Choices(BTreeMap<&'static str, BTreeMap<String, usize>>);

impl Choices {
    /// The values of a key, each with its number of rows.
    pub fn of(&self, key: &str) -> BTreeMap<String, usize> {
        self.0.get(key).cloned().unwrap_or_default()
    }

    fn count(&mut self, row: &impl Compared) {
        let mut found: Vec<(&'static str, String)> = Vec::new();
        for Aspect { compiler, kind, categories, .. } in row.aspects() {
            found.push(("compiler", compiler.to_owned()));
            found.push((kind.key(), kind.name().to_owned()));
            found.extend(categories.into_iter().map(|category| ("category", category)));
        }
        found.extend(row.about().maintainers.iter().map(|slug| ("maintainer", slug.clone())));
        found.extend(row.differs().then(|| ("differ", "yes".to_owned())));
        found.sort_unstable();
        found.dedup();
        for (key, value) in found.into_iter().filter(|(_, value)| !value.is_empty()) {
            *self.0.entry(key).or_default().entry(value).or_default() += 1;
        }
    }
}

/// The rows that pass a filter, in its order, and what else one could choose. Rows come in the list's own order.
pub fn choose<R: Compared>(rows: Vec<R>, filter: &Filter) -> (Vec<R>, Choices) {
    let mut choices = Choices::default();
    rows.iter().for_each(|row| choices.count(row));
    let text = filter.text.to_lowercase();
    let mut rows: Vec<R> = rows.into_iter().filter(|row| passes(row, filter, &text)).collect();
    if filter.sort == Sort::Blocks {
        rows.sort_by_key(|row| Reverse(row.about().unblocks_packages));
    }
    (rows, choices)
}

fn passes(row: &impl Compared, filter: &Filter, text: &str) -> bool {
    let has = |it: &str| it.to_lowercase().contains(text);
    let says = || row.aspects().any(|cell| cell.errors.iter().any(|error| has(error)));
    let is = |asked: Option<&str>, own: &str| asked.is_none_or(|asked| asked == own);
    let change = filter.change.map(Kind::Change);
    let kind = change.or(filter.verdict.map(Kind::Verdict));
    // One cell has it all: what is new with this compiler, and fails like that.
    let cell = |cell: Aspect<'_>| {
        is(filter.compiler.as_deref(), cell.compiler)
            && kind.is_none_or(|kind| kind == cell.kind)
            && filter.category.as_ref().is_none_or(|asked| cell.categories.contains(asked))
    };
    (!filter.differ || row.differs())
        && filter.maintainer.as_ref().is_none_or(|it| row.about().maintainers.contains(it))
        && row.aspects().any(cell)
        && (text.is_empty() || has(row.package()) || says())
}
