//! The site: what there is to see of an ecosystem, and what was made of it last.

mod filter;
mod page;
mod people;
mod recent;
mod snapshot;

use std::{
    collections::{BTreeMap, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use larder_runs::{DataDir, name::PackageName};

pub use filter::{Filter, List, Sort, WrongFilter};
pub use page::{Document, Page, WrongAddress};
pub use people::{People, Person};
pub use snapshot::{Needs, RunFacts, Snapshot};

use crate::{cache::CacheServer, html::Links, make, model::NoPage};

/// What a site is about.
#[derive(Debug, Clone)]
pub struct Ecosystem {
    /// Where run data are.
    pub data: DataDir,
    /// The name of the set.
    pub name: Option<String>,
    /// Who maintains which packages.
    pub people: People,
    /// The directory of the artifact cache.
    pub store: Option<PathBuf>,
    /// The cache of the team, where the same server is that as well.
    pub cache: Option<CacheServer>,
}

impl Ecosystem {
    /// Run data of which no more is known.
    pub fn new(data: DataDir) -> Self {
        Self { data, name: None, people: People::new(BTreeMap::new()), store: None, cache: None }
    }
}

/// An ecosystem at one moment, to make pages of.
#[derive(Debug, Clone, Copy)]
pub struct View<'v> {
    /// What does not change.
    pub ecosystem: &'v Ecosystem,
    /// What does.
    pub snapshot: &'v Snapshot,
    /// Whether lists stand whole on one page.
    pub whole_lists: bool,
}

impl View<'_> {
    /// The path of the documentation of a package, where some is published.
    pub fn documentation(&self, package: &PackageName) -> Option<String> {
        let path = format!("p/{}/{}/index.html", package.name(), package.version());
        let file = self.ecosystem.data.html().join(&path);
        file.is_file().then(|| format!("/docs/{path}"))
    }
}

/// A document as it is sent.
#[derive(Debug)]
pub struct Made {
    /// Its bytes.
    pub body: bytes::Bytes,
    /// A tag that another content would not have.
    pub tag: String,
    /// When it was made.
    made: Instant,
}

impl Made {
    fn new(body: Vec<u8>) -> Self {
        let mut hasher = DefaultHasher::new();
        body.hash(&mut hasher);
        let tag = format!("\"{:016x}\"", hasher.finish());
        Self { tag, body: body.into(), made: Instant::now() }
    }
}

/// For how long what was seen last is taken for what is.
const FRESH: Duration = Duration::from_secs(1);

/// How old pages may be at most while somebody reads run data anew.
const STALE: Duration = Duration::from_secs(3);

/// How many bytes of documents are kept ready.
const READY: usize = 64 << 20;

/// The site of an ecosystem, as a server shows it.
#[derive(Debug)]
pub struct Site {
    ecosystem: Ecosystem,
    shown: Mutex<Option<Shown>>,
    /// Held by who reads run data anew.
    reading: Mutex<()>,
}

/// What is shown: run data as they were seen, and what was made of them.
#[derive(Debug, Clone)]
struct Shown {
    edition: Arc<Edition>,
    /// When it was last known to be current.
    seen: Instant,
}

/// A snapshot with the documents that were made of it.
#[derive(Debug)]
struct Edition {
    snapshot: Snapshot,
    documents: Mutex<Documents>,
}

#[derive(Debug, Default)]
struct Documents {
    /// Each is locked while it is made: who asks for it meanwhile waits for it.
    made: HashMap<Document, Arc<Mutex<Option<Arc<Made>>>>>,
    bytes: usize,
}

impl Site {
    /// The site of an ecosystem.
    pub fn new(ecosystem: Ecosystem) -> Self {
        Self { ecosystem, shown: Mutex::new(None), reading: Mutex::new(()) }
    }

    /// What it is about.
    pub fn ecosystem(&self) -> &Ecosystem {
        &self.ecosystem
    }

    /// A document that is ready and current, without any work.
    pub fn ready(&self, document: &Document) -> Option<Arc<Made>> {
        let shown = lock(&self.shown).clone().filter(|shown| shown.seen.elapsed() < FRESH)?;
        let place = lock(&shown.edition.documents).made.get(document).cloned()?;
        let made = place.try_lock().ok()?.clone();
        made.filter(|made| made.made.elapsed() < lasts(document))
    }

    /// A document, made where it is not ready. Reads files.
    ///
    /// # Errors
    /// Why there is none.
    pub fn document(&self, document: &Document) -> Result<Arc<Made>, NoPage> {
        let edition = self.edition()?;
        let make = || {
            let view = self.view(&edition.snapshot);
            make::document(&view, document, &Links::Server).map(|body| Arc::new(Made::new(body)))
        };
        let place = lock(&edition.documents).made.entry(document.clone()).or_default().clone();
        let mut ready = lock(&place);
        if let Some(made) = ready.as_ref().filter(|made| made.made.elapsed() < lasts(document)) {
            return Ok(made.clone());
        }
        let made = make();
        let mut documents = lock(&edition.documents);
        match &made {
            Ok(made) => {
                let before = ready.replace(made.clone()).map_or(0, |made| made.body.len());
                documents.bytes = (documents.bytes + made.body.len()).saturating_sub(before);
                if documents.bytes > READY {
                    *documents = Documents::default();
                }
            }
            // Names that nobody has could be asked for without end.
            Err(_) => _ = documents.made.remove(document),
        }
        made
    }

    /// Does something with the run data as they are.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn look<T>(&self, with: impl FnOnce(&View<'_>) -> T) -> larder_runs::Result<T> {
        let edition = self.edition()?;
        Ok(with(&self.view(&edition.snapshot)))
    }

    fn view<'v>(&'v self, snapshot: &'v Snapshot) -> View<'v> {
        View { ecosystem: &self.ecosystem, snapshot, whole_lists: false }
    }

    /// What is to be shown now: run data are read anew where they have changed.
    fn edition(&self) -> larder_runs::Result<Arc<Edition>> {
        let shown = lock(&self.shown).clone();
        if let Some(shown) = shown.as_ref().filter(|shown| shown.seen.elapsed() < FRESH) {
            return Ok(shown.edition.clone());
        }
        let reading = match (self.reading.try_lock(), &shown) {
            (Ok(reading), _) => reading,
            // Somebody else does it.
            (Err(_), Some(shown)) if shown.seen.elapsed() < STALE => {
                return Ok(shown.edition.clone());
            }
            _ => lock(&self.reading),
        };
        // Somebody else may have done it meanwhile.
        let shown = lock(&self.shown).clone();
        if let Some(shown) = shown.as_ref().filter(|shown| shown.seen.elapsed() < FRESH) {
            return Ok(shown.edition.clone());
        }
        let seen = Instant::now();
        let data = &self.ecosystem.data;
        let edition = match &shown {
            Some(shown) if shown.edition.snapshot.is_current(data) => shown.edition.clone(),
            _ => {
                let previous = shown.as_ref().map(|shown| &shown.edition.snapshot);
                let snapshot = Snapshot::take(data, previous)?;
                Arc::new(Edition { snapshot, documents: Mutex::default() })
            }
        };
        *lock(&self.shown) = Some(Shown { edition: edition.clone(), seen });
        drop(reading);
        Ok(edition)
    }
}

/// For how long a document says what is, while run data are as they were.
fn lasts(document: &Document) -> Duration {
    match document {
        // Nobody knows before it is read.
        Document::Html(Page::Locks | Page::Docs) | Document::Json(Page::Locks | Page::Docs) => {
            Duration::ZERO
        }
        // Each artifact of the store is looked at.
        Document::Html(Page::Cache) | Document::Json(Page::Cache) => Duration::from_secs(5),
        _ => Duration::MAX,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
