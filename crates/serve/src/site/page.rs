//! Addresses: every page, and everything else that the site consists of.

use std::fmt::Write;

use larder_runs::name::{PackageName, RunId};
use percent_encoding::percent_decode_str;

use super::filter::{Filter, WrongFilter};

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
    /// A run.
    Run(RunId),
    /// Two runs beside each other: what was, and what is.
    Compare(RunId, RunId),
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
            .trim_start_matches('/')
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
            ["assets", "icon.svg"] => Ok(Self::Icon),
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
            Self::Html(Page::Compare(base, candidate)) => {
                format!("compare/{base}/{candidate}/index.html")
            }
            Self::Json(Page::Compare(base, candidate)) => {
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
            ["packages"] => Self::Packages(Filter::parse(query)?),
            ["packages", name] => Self::Package(package(name)?),
            ["runs"] => Self::Runs,
            ["runs", id] => Self::Run(run(id)?),
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
                Self::Compare(base, candidate)
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
            Self::Run(run) => format!("/runs/{run}"),
            Self::Compare(base, candidate) => format!("/compare?base={base}&candidate={candidate}"),
            Self::Maintainers => "/maintainers".to_owned(),
            Self::Maintainer(name) => format!("/maintainers/{name}"),
            Self::Cache => "/cache".to_owned(),
            Self::Locks => "/locks".to_owned(),
            Self::Docs => "/docs".to_owned(),
        };
        if let Self::Packages(filter) = self {
            let query = filter.query();
            if !query.is_empty() {
                // Writing to a text does not fail.
                _ = write!(path, "?{query}");
            }
        }
        path
    }
}

fn package(name: &str) -> Result<PackageName, WrongAddress> {
    name.parse().map_err(|error: larder_runs::Error| WrongAddress::Name(error.to_string()))
}

fn run(id: &str) -> Result<RunId, WrongAddress> {
    id.parse().map_err(|error: larder_runs::Error| WrongAddress::Name(error.to_string()))
}
