//! Revisions on a service: read and written, with the snapshots that they lean on.
//!
//! A revision is one small object. Where it says little, it says all; else it says what differs from
//! a snapshot, which revisions before it lean on too, and which a store keeps once it has seen it.

use std::{fs, io, path::Path, sync::Arc};

use larder_store::{
    Ref, Revision, Scope, Store,
    published::{
        Content, Section, SnapshotId,
        envelope::{self, Opened, Sealed},
        old, paths,
    },
};
use larder_trace::{ContentHash, atomic};

use crate::{Distrust, RemoteError, Service, Signer, Statement, Trust, retry::Attempts};

/// Below this length, in bytes, a revision stands for itself, and a difference is worth having.
const SMALL: usize = 32 << 10;

/// The revisions of a scope.
pub struct Revisions<'a> {
    /// The service that has them.
    pub service: &'a Service,
    /// The scope.
    pub scope: &'a Scope,
    /// The store that keeps snapshots for the next time, if there is one.
    pub store: Option<&'a Store>,
    /// Whose revisions count.
    pub trust: &'a Trust,
}

/// A revision as it was read.
#[derive(Debug, Clone, Default)]
pub struct Published {
    /// Everything that it says.
    pub content: Content,
    /// The snapshot that it leans on.
    pub snapshot: Option<Snapshot>,
    /// Who signed it, where that was asked.
    pub signer: Option<Signer>,
}

/// A snapshot as it was read.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Its object.
    pub id: SnapshotId,
    /// Everything that it says.
    pub content: Arc<Content>,
}

/// Why an object that arrived whole cannot be used.
type Unusable = Box<dyn std::error::Error + Send + Sync>;

impl Revisions<'_> {
    /// Reads a revision of either layout; `None` where there is none.
    pub async fn read(&self, revision: &Revision) -> Result<Option<Published>, RemoteError> {
        self.find(revision).await.map_err(|failed| self.unusable(revision, failed))
    }

    async fn find(&self, revision: &Revision) -> Result<Option<Published>, Failed> {
        let object = paths::revision(self.scope, revision);
        let read = self.read_sound(&object, |bytes| match envelope::open(bytes)? {
            Opened::Section(sealed) => Ok(Found::New(sealed)),
            Opened::Old => Ok(Found::Old(bytes.to_vec())),
        });
        let sealed = match read.await? {
            None => return Ok(None),
            Some(Found::Old(_)) if !self.trust.is_blind() => return Err(Distrust::Unsigned.into()),
            Some(Found::Old(mappings)) => return self.find_old(revision, &mappings).await,
            Some(Found::New(sealed)) => sealed,
        };
        let Sealed { hash, section, signature } = sealed;
        let statement = Statement::Revision { scope: self.scope, revision, section: hash };
        // Before anything of it is parsed or followed.
        let signer = self.trust.check(&statement, signature.as_ref())?;
        let section = Section::parse(&section).map_err(|it| Failed::Unusable(it.into()))?;
        let snapshot = match section.snapshot {
            Some(id) => Some(self.snapshot(id).await?),
            None => None,
        };
        let base = snapshot.as_ref().map(|snapshot| &*snapshot.content);
        let content = section.resolve(base).map_err(|error| Failed::Unusable(error.into()))?;
        Ok(Some(Published { content, snapshot, signer }))
    }

    /// Finds the other half of a revision of the layout before this one.
    async fn find_old(
        &self,
        revision: &Revision,
        mappings: &[u8],
    ) -> Result<Option<Published>, Failed> {
        let object = paths::old_catalogue(self.scope, revision);
        let read = self.read_sound(&object, |catalogue| Ok(old::parse(mappings, catalogue)?));
        let content =
            read.await?.ok_or_else(|| Failed::Unusable("its catalogue is gone".into()))?;
        Ok(Some(Published { content, snapshot: None, signer: None }))
    }

    /// Whether there is a revision.
    pub async fn is_there(&self, revision: &Revision) -> Result<bool, RemoteError> {
        let object = paths::revision(self.scope, revision);
        Ok(self.service.length(&object).await?.is_some())
    }

    /// Writes a revision, the last object of an upload, and signs it as built from `reference`, if the
    /// service has a key for that. `base` is a snapshot that the service has,
    /// and that the revision is to lean on where that saves something. With `replace` unset, a revision that is there
    /// is left alone, and the answer is false.
    pub async fn write(
        &self,
        revision: &Revision,
        content: Content,
        base: Option<&Snapshot>,
        reference: Option<&Ref>,
        replace: bool,
    ) -> Result<bool, RemoteError> {
        let section = match base.map(|base| difference(&content, base)).transpose() {
            Ok(Some(Some(section))) => section,
            Ok(_) => self.write_whole(content).await?,
            Err(error) => return Err(local(error)),
        };
        let hash = ContentHash::of_bytes(&section);
        let statement = Statement::Revision { scope: self.scope, revision, section: hash };
        let signature = self.service.sign(&statement, reference)?;
        let object = envelope::seal(&section, signature).map_err(|error| local(error.into()))?;
        let path = paths::revision(self.scope, revision);
        self.service.write(&path, object.into(), replace).await
    }

    /// Returns the section of a revision that leans on no snapshot there is: all of it, or, where
    /// that is much, a reference to a new snapshot.
    async fn write_whole(&self, content: Content) -> Result<Vec<u8>, RemoteError> {
        let bytes = Section::whole(content).to_bytes().map_err(local)?;
        if bytes.len() <= SMALL {
            return Ok(bytes);
        }
        let id = SnapshotId { hash: ContentHash::of_bytes(&bytes), length: bytes.len() as u64 };
        self.keep(&id, &bytes);
        self.service.write(&paths::snapshot(self.scope, &id.hash), bytes.into(), true).await?;
        Section::of_snapshot(id).to_bytes().map_err(local)
    }

    /// Reads a snapshot: from the store, if that has it, else from the service.
    async fn snapshot(&self, id: SnapshotId) -> Result<Snapshot, Failed> {
        let parse = |bytes: &[u8]| -> Result<Content, Unusable> {
            if ContentHash::of_bytes(bytes) != id.hash {
                return Err("its snapshot is damaged".into());
            }
            Ok(Section::parse(bytes)?.resolve(None)?)
        };
        let kept = self.store.map(|store| store.layout().snapshot(&id.hash));
        let kept = kept.and_then(|path| read_kept(&path, id.length).ok());
        let content = match kept.and_then(|bytes| parse(&bytes).ok()) {
            Some(content) => content,
            None => {
                let object = paths::snapshot(self.scope, &id.hash);
                let read = self
                    .read_sound(&object, |bytes| parse(bytes).inspect(|_| self.keep(&id, bytes)))
                    .await?;
                read.ok_or_else(|| Failed::Unusable("its snapshot is gone".into()))?
            }
        };
        Ok(Snapshot { id, content: Arc::new(content) })
    }

    /// Keeps a snapshot in the store. Where that fails, it is fetched again the next time.
    fn keep(&self, id: &SnapshotId, bytes: &[u8]) {
        if let Some(store) = self.store {
            let path = store.layout().snapshot(&id.hash);
            _ = atomic::write_if_changed(&path, bytes).inspect_err(|error| {
                tracing::debug!(path = %path.display(), %error, "snapshot not kept");
            });
        }
    }

    /// Reads an object until `parse` takes it: it may have been damaged on the way, or be being
    /// replaced. The same wrong bytes twice were not made wrong on the way.
    async fn read_sound<T>(
        &self,
        object: &str,
        parse: impl Fn(&[u8]) -> Result<T, Unusable>,
    ) -> Result<Option<T>, Failed> {
        let mut attempts = Attempts::default();
        let mut before = None;
        loop {
            let Some(bytes) = self.service.read(object).await? else { return Ok(None) };
            let error = match parse(&bytes) {
                Ok(parsed) => return Ok(Some(parsed)),
                Err(error) => error,
            };
            let came = ContentHash::of_bytes(&bytes);
            if before.replace(came) == Some(came) || !attempts.failed(&self.service.health).await {
                return Err(Failed::Unusable(error));
            }
            tracing::debug!(object, %error, "reading again");
        }
    }

    fn unusable(&self, revision: &Revision, failed: Failed) -> RemoteError {
        match failed {
            Failed::Remote(error) => error,
            Failed::Untrusted(distrust) => RemoteError::Untrusted {
                service: self.service.name().to_owned(),
                scope: self.scope.clone(),
                revision: revision.clone(),
                distrust,
            },
            Failed::Unusable(error) => RemoteError::Revision {
                service: self.service.name().to_owned(),
                scope: self.scope.clone(),
                revision: revision.clone(),
                reason: error.to_string(),
            },
        }
    }
}

/// The object of a revision, parsed.
enum Found {
    New(Sealed),
    /// A mappings file of the layout before this one.
    Old(Vec<u8>),
}

/// Why an object was not read.
enum Failed {
    Remote(RemoteError),
    Untrusted(Distrust),
    Unusable(Unusable),
}

impl From<Distrust> for Failed {
    fn from(distrust: Distrust) -> Self {
        Self::Untrusted(distrust)
    }
}

impl From<RemoteError> for Failed {
    fn from(error: RemoteError) -> Self {
        Self::Remote(error)
    }
}

/// The section of a revision that leans on `base`; `None` where it would differ by too much. How
/// much that is grows with the square root of the snapshot: so the bytes of differences, written with each revision,
/// and those of snapshots, written now and then, stay in balance.
fn difference(content: &Content, base: &Snapshot) -> io::Result<Option<Vec<u8>>> {
    let most = SMALL.max(base.id.length.saturating_mul(1024).isqrt() as usize);
    let bytes = Section::difference(content, &base.content, base.id).to_bytes()?;
    Ok((bytes.len() <= most).then_some(bytes))
}

/// Reads a file that is `length` bytes long.
fn read_kept(path: &Path, length: u64) -> io::Result<Vec<u8>> {
    match fs::symlink_metadata(path)? {
        metadata if metadata.is_file() && metadata.len() == length => fs::read(path),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

fn local(source: io::Error) -> RemoteError {
    RemoteError::Local { action: "write down a revision".to_owned(), source }
}
