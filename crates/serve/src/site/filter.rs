//! Which rows of a list are asked for, and in which order.

use larder_runs::{comparison::Verdict, result::Outcome};

use crate::model::compare::Change;

/// A list of rows of which a query chooses some.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    /// All packages.
    Packages,
    /// Two runs beside each other.
    Changes,
    /// The verdicts of a comparison.
    Verdicts,
}

impl List {
    /// The keys that its queries have.
    pub fn keys(self) -> &'static [&'static str] {
        match self {
            List::Packages => {
                &["q", "status", "category", "compiler", "maintainer", "sort", "page"]
            }
            List::Changes => {
                &["q", "change", "category", "compiler", "maintainer", "differ", "sort", "page"]
            }
            List::Verdicts => {
                &["q", "verdict", "category", "compiler", "maintainer", "differ", "sort", "page"]
            }
        }
    }

    /// Its orders and the words for them in addresses, its own order first.
    pub fn sorts(self) -> &'static [(&'static str, Sort)] {
        match self {
            List::Packages => &[
                ("name", Sort::Own),
                ("state", Sort::State),
                ("blocks", Sort::Blocks),
                ("since", Sort::Since),
            ],
            List::Changes => &[("change", Sort::Own), ("blocks", Sort::Blocks)],
            List::Verdicts => &[("verdict", Sort::Own), ("blocks", Sort::Blocks)],
        }
    }
}

/// A choice of rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Filter {
    /// A part of the name, or of the error.
    pub text: String,
    /// How packages stand.
    pub state: Option<Outcome>,
    /// What has changed between two runs.
    pub change: Option<Change>,
    /// What a comparison has found out.
    pub verdict: Option<Verdict>,
    /// The kind of a failure that they have.
    pub category: Option<String>,
    /// A compiler that they fail with, or that something has changed with.
    pub compiler: Option<String>,
    /// Somebody who maintains them, by the name that stands in addresses.
    pub maintainer: Option<String>,
    /// Only those where compilers differ.
    pub differ: bool,
    /// Their order.
    pub sort: Sort,
    /// Which of the pages, counted from 0.
    pub page: usize,
}

/// An order of rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Sort {
    /// The list's own: packages by name and version, comparisons by what matters most.
    #[default]
    Own,
    /// Those that fail first, then blocked and unsolved ones.
    State,
    /// By how many others each one alone blocks, most first.
    Blocks,
    /// By how long they have failed, longest first.
    Since,
}

impl Sort {
    /// The word for it in addresses; none for a list's own.
    fn name(self) -> Option<&'static str> {
        match self {
            Sort::Own => None,
            Sort::State => Some("state"),
            Sort::Blocks => Some("blocks"),
            Sort::Since => Some("since"),
        }
    }
}

/// A filter that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{key}={value}` is no filter: {help}")]
pub struct WrongFilter {
    key: String,
    value: String,
    help: String,
}

impl Filter {
    /// Reads the query of an address of a list. Keys of others are left alone; a key without a value says nothing.
    ///
    /// # Errors
    /// Where a value is none that its key can have.
    pub fn parse(list: List, query: &str) -> Result<Self, WrongFilter> {
        let mut filter = Self::default();
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            if value.is_empty() || !list.keys().contains(&&*key) {
                continue;
            }
            filter.put(list, &key, &value).map_err(|help| {
                let value = larder_runs::sanitise::line(value.as_bytes());
                WrongFilter { key: key.to_string(), value, help }
            })?;
        }
        Ok(filter)
    }

    /// Takes over what a key says, or returns what it could say.
    fn put(&mut self, list: List, key: &str, value: &str) -> Result<(), String> {
        match key {
            "q" => self.text = value.trim().to_owned(),
            "category" => self.category = Some(value.to_owned()),
            "compiler" => self.compiler = Some(value.to_owned()),
            "maintainer" => self.maintainer = Some(value.to_owned()),
            "status" => {
                let state: Result<Outcome, larder_runs::Error> = value.parse();
                self.state = Some(state.map_err(|error| error.to_string())?);
            }
            "change" => {
                self.change =
                    Some(named(value, "changes", Change::LISTED.map(|it| (it.name(), it)))?);
            }
            "verdict" => {
                // What is the same on both sides is not listed.
                let listed = Verdict::ALL.into_iter().filter(|it| *it != Verdict::Same);
                self.verdict = Some(named(value, "verdicts", listed.map(|it| (it.name(), it)))?);
            }
            "differ" => self.differ = named(value, "values", [("yes", true)])?,
            "sort" => self.sort = named(value, "orders", list.sorts().iter().copied())?,
            "page" => {
                let page: Option<usize> = value.parse().ok().filter(|page| *page > 0);
                self.page = page.ok_or("pages count from 1")? - 1;
            }
            _ => {}
        }
        Ok(())
    }

    /// The query that says the same.
    pub fn query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let mut put = |key: &str, value: Option<&str>| {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                query.append_pair(key, value);
            }
        };
        put("q", Some(&self.text));
        put("status", self.state.map(Outcome::name));
        put("change", self.change.map(Change::name));
        put("verdict", self.verdict.map(Verdict::name));
        put("category", self.category.as_deref());
        put("compiler", self.compiler.as_deref());
        put("maintainer", self.maintainer.as_deref());
        put("differ", self.differ.then_some("yes"));
        put("sort", self.sort.name());
        put("page", (self.page > 0).then(|| (self.page + 1).to_string()).as_deref());
        query.finish()
    }

    /// The same on another page.
    pub fn on_page(&self, page: usize) -> Self {
        Self { page, ..self.clone() }
    }
}

/// What a word stands for, or which words there are.
fn named<T>(
    word: &str,
    what: &str,
    known: impl IntoIterator<Item = (&'static str, T), IntoIter: Clone>,
) -> Result<T, String> {
    let mut known = known.into_iter();
    let names: Vec<&str> = known.clone().map(|(name, _)| name).collect();
    let found = known.find(|(name, _)| *name == word).map(|(_, meaning)| meaning);
    found.ok_or_else(|| format!("{what} are {}", names.join(", ")))
}
