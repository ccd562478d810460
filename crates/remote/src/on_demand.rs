//! Artifacts fetched one by one, when a build wants them, after their mappings were got or added
//! without them.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use larder_store::{
    Layout, Mappings, Revision, Scope, Store, StoreError, Unfetched, Upstream,
    published::{Content, PublishedPack, Section},
};
use larder_trace::{ContentHash, OutputFile};
use serde::{Deserialize, Serialize};

use crate::{
    Config, RemoteError, Service, fetch::Fetch, get::packs_with, kept, plan::Wanted,
    revision::Revisions,
};

/// Where the artifacts of a mappings file can be fetched. Stands beside it, as `<rev>.origin`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Origin {
    /// The service's name in the configuration.
    pub service: String,
    /// The scope on the service.
    pub scope: Scope,
    /// The revision there; `None` for mappings that came from elsewhere.
    pub revision: Option<Revision>,
    /// The scope under which builds look them up, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_scope: Option<Scope>,
}

/// How the name of an origin ends.
pub const ORIGIN: &str = ".origin";

/// How the name of the file ends that keeps what is known of a revision's packs.
const PACKS: &str = ".packs";

/// Notes that the artifacts of `mappings` can be fetched from `origin`, out of the packs of
/// `content`, where that is known. Does not record the mappings themselves.
pub fn add(
    store: &Store,
    origin: &Origin,
    mappings: &Mappings,
    content: Option<&Content>,
) -> Result<(), RemoteError> {
    let text = mappings.to_text();
    let name = match &origin.revision {
        Some(revision) => revision.clone(),
        None => {
            let hash = ContentHash::of_bytes(&text).to_string();
            format!("added-{}", &hash[..16]).parse().map_err(StoreError::Name)?
        }
    };
    let file = store.layout().revision(&origin.scope, &name);
    let failed = |source| RemoteError::Local { action: "write an origin".to_owned(), source };
    if let Some(content) = content {
        let packs = Content { packs: content.packs.clone(), ..Content::default() };
        write(&kept::beside(&file, PACKS), &Section::whole(packs).to_bytes().map_err(failed)?)?;
    }
    let json = serde_json::to_vec(origin).map_err(|error| failed(error.into()))?;
    write(&kept::beside(&file, ORIGIN), &json)?;
    Ok(mappings.write(&file)?)
}

fn write(path: &Path, content: &[u8]) -> Result<(), RemoteError> {
    fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))
        .and_then(|()| larder_trace::atomic::write_if_changed(path, content))
        .map(|_| ())
        .map_err(|source| RemoteError::Local {
            action: format!("write {}", path.display()),
            source,
        })
}

/// Returns a source of artifacts on demand for the store at `layout`; `None` when nothing was ever
/// added to it. Reads no more than the names of files until it is asked for something.
pub fn on_demand(config: Config, layout: &Layout) -> Option<Upstream> {
    let files = kept::ending_in(layout, ORIGIN);
    if files.is_empty() {
        return None;
    }
    let sources = Arc::new(Sources { config, files, known: OnceLock::new() });
    let same = Arc::clone(&sources);
    Some(Upstream {
        knows: Box::new(move |hash| sources.known().artifacts.contains_key(hash)),
        fetch: Box::new(move |store, file| same.fetch(store, file)),
    })
}

struct Sources {
    config: Config,
    files: Vec<PathBuf>,
    known: OnceLock<Known>,
}

/// Everything that was added.
#[derive(Default)]
struct Known {
    sources: Vec<Source>,
    /// Which source has an artifact.
    artifacts: HashMap<ContentHash, usize>,
}

/// One mappings file with an origin.
struct Source {
    origin: Origin,
    /// The packs that its artifacts are in, as far as that is known here.
    packs: PathBuf,
    wanted: Wanted,
    /// Opened at the first artifact. One fetch at a time: each brings the neighbours of what was
    /// asked for, which the next one is likely to want.
    open: Mutex<Option<Result<Arc<Open>, Unfetched>>>,
}

struct Open {
    service: Service,
    packs: Vec<PublishedPack>,
}

impl Sources {
    fn known(&self) -> &Known {
        self.known.get_or_init(|| {
            let mut known = Known::default();
            for file in &self.files {
                match read_source(file) {
                    Ok(source) => {
                        let at = known.sources.len();
                        known.artifacts.extend(source.wanted.keys().map(|hash| (*hash, at)));
                        known.sources.push(source);
                    }
                    Err(error) => {
                        let path = file.display();
                        tracing::info!(%path, error, "corrupt origin: treated as absent");
                    }
                }
            }
            known
        })
    }

    fn fetch(&self, store: &Store, file: &OutputFile) -> Result<(), Unfetched> {
        let known = self.known();
        let source = known
            .artifacts
            .get(&file.hash)
            .and_then(|at| known.sources.get(*at))
            .ok_or_else(|| Unfetched::Lost("no service is known to have it".to_owned()))?;
        let mut open = source.open.lock().unwrap_or_else(PoisonError::into_inner);
        if store.is_intact(&file.hash, file.size) {
            return Ok(());
        }
        let opened =
            open.get_or_insert_with(|| source.open(&self.config, store).map(Arc::new)).clone()?;
        let wanted = source.neighbourhood(&opened.packs, store, &file.hash);
        let fetch = Fetch {
            service: &opened.service,
            scope: &source.origin.scope,
            store,
            wanted: &wanted,
            progress: &|_| (),
        };
        match fetch.run(&opened.packs).remove(&file.hash) {
            None => Ok(()),
            Some(reason) => Err(reason),
        }
    }
}

impl Source {
    fn open(&self, config: &Config, store: &Store) -> Result<Open, Unfetched> {
        let config = config
            .service(Some(&self.origin.service))
            .map_err(|error| Unfetched::Lost(error.to_string()))?;
        let service = Service::open_for_a_build(config).map_err(|error| unfetched(&error))?;
        let packs = match self.known_packs() {
            Some(packs) => packs,
            None => service.block_on(self.find_packs(&service, store))?,
        };
        Ok(Open { service, packs })
    }

    /// The packs that were written down when the mappings were got.
    fn known_packs(&self) -> Option<Vec<PublishedPack>> {
        let section = Section::parse(&fs::read(&self.packs).ok()?).ok()?;
        Some(section.resolve(None).ok()?.packs.into_values().collect())
    }

    async fn find_packs(
        &self,
        service: &Service,
        store: &Store,
    ) -> Result<Vec<PublishedPack>, Unfetched> {
        let scope = &self.origin.scope;
        let revisions = Revisions { service, scope, store: Some(store), trust: service.trust() };
        let Some(revision) = &self.origin.revision else {
            let packs = packs_with(&revisions, &self.wanted).await;
            return packs.map_err(|error| unfetched(&error));
        };
        let found = revisions.read(revision).await.map_err(|error| unfetched(&error))?;
        let gone = || Unfetched::Lost("the service no longer has the revision".to_owned());
        let found = found.ok_or_else(gone)?;
        Ok(found.content.packs.into_values().collect())
    }

    /// The artifact, and what else the store lacks that comes with it in the same blocks.
    fn neighbourhood(&self, packs: &[PublishedPack], store: &Store, hash: &ContentHash) -> Wanted {
        let mut wanted = Wanted::new();
        let mut want = |hash: &ContentHash| {
            if let Some(artifact) = self.wanted.get(hash) {
                wanted.insert(*hash, artifact.clone());
            }
        };
        want(hash);
        for index in packs.iter().map(|pack| &pack.index) {
            let Some(artifact) = index.find(hash) else { continue };
            for block in index.blocks().get(index.blocks_of(artifact)).unwrap_or_default() {
                for piece in index.pieces(block) {
                    let whole = piece.range.len() as u64 == piece.artifact.size();
                    if whole && !store.holds(&piece.artifact.hash) {
                        want(&piece.artifact.hash);
                    }
                }
            }
        }
        wanted
    }
}

/// Why nothing could be fetched, where the service as a whole is why.
fn unfetched(error: &RemoteError) -> Unfetched {
    match error {
        RemoteError::Revision { .. } | RemoteError::Untrusted { .. } => {
            Unfetched::Refused(error.to_string())
        }
        _ => Unfetched::Lost(error.to_string()),
    }
}

fn read_source(file: &Path) -> Result<Source, String> {
    let origin = fs::read(file).map_err(|error| error.to_string())?;
    let origin: Origin =
        serde_json::from_slice(&origin).map_err(|error| io::Error::from(error).to_string())?;
    let mappings =
        Mappings::read(&kept::beside(file, kept::MAPPINGS)).map_err(|error| error.to_string())?;
    Ok(Source {
        origin,
        packs: kept::beside(file, PACKS),
        wanted: mappings.artifacts(),
        open: Mutex::new(None),
    })
}
