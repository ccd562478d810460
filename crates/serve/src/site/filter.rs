//! Which packages are asked for, and in which order.

use larder_runs::result::Outcome;

/// A choice of packages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Filter {
    /// A part of the name, or of the error.
    pub text: String,
    /// How they stand.
    pub state: Option<Outcome>,
    /// The kind of a failure that they have.
    pub category: Option<String>,
    /// A compiler that they fail with.
    pub compiler: Option<String>,
    /// Somebody who maintains them, by the name that stands in addresses.
    pub maintainer: Option<String>,
    /// Their order.
    pub sort: Sort,
    /// Which of the pages, counted from 0.
    pub page: usize,
}

/// An order of packages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Sort {
    /// By name and version.
    #[default]
    Name,
    /// Those that fail first, then blocked and unsolved ones.
    State,
    /// By how many others each one alone blocks, most first.
    Blocks,
    /// By how long they have failed, longest first.
    Since,
}

impl Sort {
    /// Every order.
    pub const ALL: [Sort; 4] = [Sort::Name, Sort::State, Sort::Blocks, Sort::Since];

    /// The word for it in addresses.
    pub fn name(self) -> &'static str {
        match self {
            Sort::Name => "name",
            Sort::State => "state",
            Sort::Blocks => "blocks",
            Sort::Since => "since",
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
    /// Reads the query of an address. Keys of others are left alone; a key without a value says nothing.
    ///
    /// # Errors
    /// Where a value is none that its key can have.
    pub fn parse(query: &str) -> Result<Self, WrongFilter> {
        let mut filter = Self::default();
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            let wrong = |help: String| {
                let value = larder_runs::sanitise::line(value.as_bytes());
                WrongFilter { key: key.to_string(), value, help }
            };
            let given = (!value.is_empty()).then(|| value.to_string());
            match &*key {
                "q" => filter.text = value.trim().to_owned(),
                "category" => filter.category = given,
                "compiler" => filter.compiler = given,
                "maintainer" => filter.maintainer = given,
                "status" if given.is_some() => {
                    let state: Result<Outcome, larder_runs::Error> = value.parse();
                    filter.state = Some(state.map_err(|error| wrong(error.to_string()))?);
                }
                "sort" if given.is_some() => {
                    let sort = Sort::ALL.into_iter().find(|sort| sort.name() == value);
                    let names = Sort::ALL.map(Sort::name).join(", ");
                    filter.sort = sort.ok_or_else(|| wrong(format!("orders are {names}")))?;
                }
                "page" if given.is_some() => {
                    let page: Option<usize> = value.parse().ok().filter(|page| *page > 0);
                    let page = page.ok_or_else(|| wrong("pages count from 1".to_owned()))?;
                    filter.page = page - 1;
                }
                _ => {}
            }
        }
        Ok(filter)
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
        put("category", self.category.as_deref());
        put("compiler", self.compiler.as_deref());
        put("maintainer", self.maintainer.as_deref());
        put("sort", (self.sort != Sort::Name).then(|| self.sort.name()));
        put("page", (self.page > 0).then(|| (self.page + 1).to_string()).as_deref());
        query.finish()
    }

    /// The same on another page.
    pub fn on_page(&self, page: usize) -> Self {
        Self { page, ..self.clone() }
    }
}
