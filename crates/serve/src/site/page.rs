//! Addresses: every page, and everything else that the site consists of.

use std::fmt::Write;

use larder_runs::name::{PackageName, RunId};
use percent_encoding::percent_decode_str;

use super::filter::{Filter, List, WrongFilter};

/// A page: HTML for people, the same content as JSON for programs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Page {
    /// How the ecosystem stands.
    Overview,
    /// The packages that pass a filter.
    Packages(Filter),
    /// A package version.
    Package(PackageName),
    /// All runs.
    Runs,
    /// A run, and where it was a comparison the verdicts that pass a filter.
    Run(RunId, Filter),
    /// Two runs beside each other: what was, and what is, as far as it passes a filter.
    Compare(RunId, RunId, Filter),
    /// Everybody who maintains packages.
    Maintainers,
    /// The packages of somebody, by the name that stands in addresses.
    Maintainer(String),
    /// The artifact cache.
    Cache,
    /// Who works on what.
    Locks,
    /// The documentation of packages.
    Docs,
}

/// Something that the site consists of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Document {
    /// A page for people.
    Html(Page),
    /// A page for programs.
    Json(Page),
    /// A picture that says how a package stands.
    BadgeSvg(PackageName),
    /// The same for shields.io.
    BadgeJson(PackageName),
    /// News for feed readers: of all packages, or of somebody's.
    Feed(Option<String>),
    /// The description of the JSON.
    OpenApi,
    /// How pages look.
    Style,
    /// How pages act.
    Script,
    /// The picture of the site.
    Icon,
}

/// Why an address leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WrongAddress {
    /// There is no such page.
    #[error("there is no such page")]
    Unknown,
    /// A name in it is none.
    #[error("{0}")]
    Name(String),
    /// The part after the question mark is wrong.
    #[error(transparent)]
    Filter(#[from] WrongFilter),
}

impl Document {
    /// Reads the path of an address, which begins with `/`, and the query after it.
    ///
    /// # Errors
    /// Where it leads nowhere.
    pub fn parse(path: &str, query: &str) -> Result<Self, WrongAddress> {
        let segments: Vec<String> = path
            .trim_matches('/')
            .split('/')
            .map(|segment| percent_decode_str(segment).decode_utf8().map(String::from))
            .collect::<Result<_, _>>()
            .map_err(|_| WrongAddress::Unknown)?;
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        match segments[..] {
            ["api", "openapi.json"] => Ok(Self::OpenApi),
            ["api", "overview"] => Ok(Self::Json(Page::Overview)),
            ["api", ref rest @ ..] if !matches!(rest, [] | [""]) => {
                Page::parse(rest, query).map(Self::Json)
            }
            ["packages", name, "badge.svg"] => Ok(Self::BadgeSvg(package(name)?)),
            ["packages", name, "badge.json"] => Ok(Self::BadgeJson(package(name)?)),
            ["feed.atom"] => Ok(Self::Feed(None)),
            ["maintainers", name, "feed.atom"] => Ok(Self::Feed(Some(name.to_owned()))),
            ["assets", "style.css"] => Ok(Self::Style),
            ["assets", "script.js"] => Ok(Self::Script),
            // Browsers ask for the second where a page says nothing, as documentation may not.
            ["assets", "icon.svg"] | ["favicon.ico"] => Ok(Self::Icon),
            ref page => Page::parse(page, query).map(Self::Html),
        }
    }

    /// Its path on a server, which begins with `/`, with its query.
    pub fn path(&self) -> String {
        match self {
            Self::Html(page) => page.path(),
            Self::Json(Page::Overview) => "/api/overview".to_owned(),
            Self::Json(page) => format!("/api{}", page.path()),
            Self::BadgeSvg(package) => format!("/packages/{package}/badge.svg"),
            Self::BadgeJson(package) => format!("/packages/{package}/badge.json"),
            Self::Feed(None) => "/feed.atom".to_owned(),
            Self::Feed(Some(name)) => format!("/maintainers/{name}/feed.atom"),
            Self::OpenApi => "/api/openapi.json".to_owned(),
            Self::Style => "/assets/style.css".to_owned(),
            Self::Script => "/assets/script.js".to_owned(),
            Self::Icon => "/assets/icon.svg".to_owned(),
        }
    }

    /// Its file among the files of an export: a directory's `index.html` for people, `.json` for programs. A filter is
    /// nothing that files have.
    pub fn file(&self) -> String {
        let path = self.path();
        let path = path.split('?').next().unwrap_or_default().trim_matches('/');
        match self {
            Self::Html(Page::Overview) => "index.html".to_owned(),
            Self::Html(Page::Compare(base, candidate, _)) => {
                format!("compare/{base}/{candidate}/index.html")
            }
            Self::Json(Page::Compare(base, candidate, _)) => {
                format!("api/compare/{base}/{candidate}.json")
            }
            Self::Html(_) => format!("{path}/index.html"),
            Self::Json(_) => format!("{path}.json"),
            _ => path.to_owned(),
        }
    }

    /// The type of its content.
    pub fn content_type(&self) -> &'static str {
        match self {
            Self::Html(_) => "text/html; charset=utf-8",
            Self::Json(_) | Self::BadgeJson(_) | Self::OpenApi => "application/json",
            Self::BadgeSvg(_) | Self::Icon => "image/svg+xml",
            Self::Feed(_) => "application/atom+xml",
            Self::Style => "text/css; charset=utf-8",
            Self::Script => "text/javascript; charset=utf-8",
        }
    }
}

impl Page {
    /// Reads the segments of a path.
    fn parse(segments: &[&str], query: &str) -> Result<Self, WrongAddress> {
        Ok(match segments {
            [""] => Self::Overview,
            ["packages"] => Self::Packages(Filter::parse(List::Packages, query)?),
            ["packages", name] => Self::Package(package(name)?),
            ["runs"] => Self::Runs,
            ["runs", id] => Self::Run(run(id)?, Filter::parse(List::Verdicts, query)?),
            ["compare"] => {
                let mut sides = [None, None];
                for (key, value) in form_urlencoded::parse(query.as_bytes()) {
                    match &*key {
                        "base" => sides[0] = Some(run(&value)?),
                        "candidate" => sides[1] = Some(run(&value)?),
                        _ => {}
                    }
                }
                let [Some(base), Some(candidate)] = sides else {
                    let message = "two runs are compared: ?base=RUN&candidate=RUN";
                    return Err(WrongAddress::Name(message.to_owned()));
                };
                Self::Compare(base, candidate, Filter::parse(List::Changes, query)?)
            }
            ["maintainers"] => Self::Maintainers,
            ["maintainers", name] => Self::Maintainer((*name).to_owned()),
            ["cache"] => Self::Cache,
            ["locks"] => Self::Locks,
            ["docs"] => Self::Docs,
            _ => return Err(WrongAddress::Unknown),
        })
    }

    /// Its path on a server, which begins with `/`, with its query.
    pub fn path(&self) -> String {
        let mut path = match self {
            Self::Overview => "/".to_owned(),
            Self::Packages(_) => "/packages".to_owned(),
            Self::Package(package) => format!("/packages/{package}"),
            Self::Runs => "/runs".to_owned(),
            Self::Run(run, _) => format!("/runs/{run}"),
            Self::Compare(base, candidate, _) => {
                format!("/compare?base={base}&candidate={candidate}")
            }
            Self::Maintainers => "/maintainers".to_owned(),
            Self::Maintainer(name) => format!("/maintainers/{name}"),
            Self::Cache => "/cache".to_owned(),
            Self::Locks => "/locks".to_owned(),
            Self::Docs => "/docs".to_owned(),
        };
        let query = self.filter().map(Filter::query).unwrap_or_default();
        if !query.is_empty() {
            let and = if path.contains('?') { '&' } else { '?' };
            // Writing to a text does not fail.
            _ = write!(path, "{and}{query}");
        }
        path
    }

    /// The filter of what it lists.
    pub fn filter(&self) -> Option<&Filter> {
        match self {
            Self::Packages(filter) | Self::Run(_, filter) | Self::Compare(_, _, filter) => {
                Some(filter)
            }
            _ => None,
        }
    }
}

fn package(name: &str) -> Result<PackageName, WrongAddress> {
    name.parse().map_err(|error: larder_runs::Error| WrongAddress::Name(error.to_string()))
}

fn run(id: &str) -> Result<RunId, WrongAddress> {
    id.parse().map_err(|error: larder_runs::Error| WrongAddress::Name(error.to_string()))
}

#[cfg(test)]
mod tests {
    use larder_runs::result::Outcome;

    use larder_runs::comparison::Verdict;

    use super::*;
    use crate::{model::compare::Change, site::Sort};

    fn documents() -> Vec<Document> {
        let (package, run) =
            (|| "zlib.1.3+x".parse().unwrap(), || "2026-03-01-120000-2".parse().unwrap());
        let filter = Filter {
            text: "a b&c=ü/..".to_owned(),
            category: Some("build_failure".to_owned()),
            compiler: Some("gcc.12".to_owned()),
            maintainer: Some("ana@example.org".to_owned()),
            sort: Sort::Blocks,
            page: 6,
            ..Filter::default()
        };
        let packages =
            Filter { state: Some(Outcome::Unsolved), sort: Sort::Since, ..filter.clone() };
        let changes = Filter { change: Some(Change::StillFailing), differ: true, ..filter.clone() };
        let verdicts = Filter { verdict: Some(Verdict::BrokenBefore), differ: true, ..filter };
        let all = Filter::default;
        let other = || "2026-03-02-120000".parse().unwrap();
        let pages = [
            Page::Overview,
            Page::Packages(all()),
            Page::Packages(packages),
            Page::Package(package()),
            Page::Runs,
            Page::Run(run(), all()),
            Page::Run(run(), verdicts),
            Page::Compare(run(), other(), all()),
            Page::Compare(run(), other(), changes),
            Page::Maintainers,
            Page::Maintainer("ana@example.org".to_owned()),
            Page::Cache,
            Page::Locks,
            Page::Docs,
        ];
        let pages =
            pages.into_iter().flat_map(|page| [Document::Html(page.clone()), Document::Json(page)]);
        let others = [
            Document::BadgeSvg(package()),
            Document::BadgeJson(package()),
            Document::Feed(None),
            Document::Feed(Some("ana@example.org".to_owned())),
            Document::OpenApi,
            Document::Style,
            Document::Script,
            Document::Icon,
        ];
        pages.chain(others).collect()
    }

    #[test]
    fn an_address_is_read_as_it_is_written() {
        for document in documents() {
            let address = document.path();
            let (path, query) = address.split_once('?').unwrap_or((&address, ""));
            assert_eq!(Document::parse(path, query).as_ref(), Ok(&document), "{address}");
        }
    }

    #[test]
    fn files_of_an_export_are_all_different_and_inside() {
        let mut files: Vec<String> = documents()
            .iter()
            // A filter is none of files.
            .filter(|document| match document {
                Document::Html(page) | Document::Json(page) => {
                    page.filter().is_none_or(|filter| *filter == Filter::default())
                }
                _ => true,
            })
            .map(Document::file)
            .collect();
        let count = files.len();
        for file in &files {
            assert!(file.split('/').all(|part| !matches!(part, "" | "." | "..")), "{file}");
        }
        files.sort();
        files.dedup();
        assert_eq!(files.len(), count);
    }

    #[test]
    fn what_leads_nowhere_is_refused() {
        for path in [
            "/nothing",
            "/api",
            "/api/nothing",
            "/packages/..",
            "/packages/%2e%2e",
            "/packages/a%00b",
            "/packages/%ff",
            "/runs/latest",
            "/runs/2026",
            "/compare",
            "/assets/../style.css",
            "/packages/x.1/y",
        ] {
            assert!(Document::parse(path, "").is_err(), "{path}");
        }
        for query in ["status=odd", "sort=odd", "page=0", "page=-1", "page=99999999999999999999999"]
        {
            let wrong = Document::parse("/packages", query).unwrap_err().to_string();
            assert!(wrong.contains("is no filter: "), "{query}: {wrong}");
        }
        for (path, query) in [
            ("/compare", "base=2026-03-01-120000&candidate=2026-03-02-120000&change=same"),
            ("/compare", "base=2026-03-01-120000&candidate=2026-03-02-120000&sort=since"),
            ("/compare", "base=2026-03-01-120000&candidate=2026-03-02-120000&differ=no"),
            ("/runs/2026-03-01-120000", "verdict=same"),
            ("/runs/2026-03-01-120000", "sort=change"),
        ] {
            let wrong = Document::parse(path, query).unwrap_err().to_string();
            assert!(wrong.contains("is no filter: "), "{query}: {wrong}");
        }
        // Empty values, as a form sends them, say nothing.
        let empty =
            Document::parse("/packages", "q=&status=&category=&compiler=&sort=&page=&other=1");
        assert_eq!(empty, Ok(Document::Html(Page::Packages(Filter::default()))));
    }
}
