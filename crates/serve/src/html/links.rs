//! How addresses are written: for a server, or from file to file.

use larder_runs::name::RunId;

use crate::site::{Document, Filter, Page};

/// How addresses are written.
#[derive(Debug, Clone)]
pub enum Links {
    /// From the root of a server.
    Server,
    /// From one file to others.
    Files(Files),
}

/// Files that link to each other.
#[derive(Debug, Clone)]
pub struct Files {
    /// How many directories the file that links stands below the root.
    pub depth: usize,
    /// The runs that are compared: the only comparison that there is.
    pub compared: Option<(RunId, RunId)>,
    /// The logs that are there: run and path.
    pub logs: std::sync::Arc<std::collections::BTreeSet<(String, String)>>,
}

impl Links {
    /// The address of a document; `None` where there is none of it.
    pub fn to(&self, document: &Document) -> Option<String> {
        let files = match self {
            Links::Server => return Some(document.path()),
            Links::Files(files) => files,
        };
        if let Document::Html(Page::Compare(base, candidate, _)) = document
            && !matches!(&files.compared, Some((was, is)) if was == base && is == candidate)
        {
            return None;
        }
        let query = match document {
            Document::Html(page) => page.filter().map(Filter::query).unwrap_or_default(),
            _ => String::new(),
        };
        let file = self.file(&document.file());
        Some(if query.is_empty() { file } else { format!("{file}?{query}") })
    }

    /// The address of a page that is always there.
    pub fn page(&self, page: Page) -> String {
        self.to(&Document::Html(page)).unwrap_or_default()
    }

    /// The address of a log as a page; `None` where there is none.
    pub fn log(&self, run: &str, path: &str) -> Option<String> {
        match self {
            Links::Server => Some(format!("/runs/{run}/{path}.html")),
            Links::Files(files) => {
                let has = files.logs.contains(&(run.to_owned(), path.to_owned()));
                has.then(|| self.file(&format!("runs/{run}/{path}.html")))
            }
        }
    }

    /// The address of published documentation, by its path from the root of a server.
    pub fn documentation(&self, path: &str) -> String {
        self.file(path.trim_start_matches('/'))
    }

    /// Whether a server answers, which can filter and tell what goes on.
    pub fn is_live(&self) -> bool {
        matches!(self, Links::Server)
    }

    /// The address of a file, by its path from the root.
    fn file(&self, path: &str) -> String {
        match self {
            Links::Server => format!("/{path}"),
            Links::Files(files) => format!("{}{path}", "../".repeat(files.depth)),
        }
    }
}
