//! Putting a revision: the artifacts that the service lacks, and last what refers to them.

mod reuse;

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::PathBuf,
    time::Duration,
};

use futures_util::{StreamExt, stream};
use larder_store::{
    MappedArtifact, Mappings, Ref, Revision, Scope, Store,
    pack::{self, Entry},
    published::{Content, PublishedPack, paths},
};
use larder_trace::ContentHash;

use self::reuse::Used;
use crate::{
    Missing, RemoteError, Service, Transfer,
    missing::{self, Reasons},
    recent,
    revision::{Published, Revisions, Snapshot},
    uploads::UnderWay,
};

/// How much content a pack of small artifacts holds at most, in bytes.
const PACK_CONTENT: u64 = 64 << 20;
/// From what size on an artifact gets a pack of its own, in bytes.
const LARGE: u64 = 4 << 20;
/// How many revisions are tried as one to build on.
const BASES: usize = 3;
/// From what length on, in bytes, it is worth a request to find out whether a new pack is there already.
const WORTH_ASKING: u64 = 1 << 20;
/// A pack that nothing refers to is safe from collections while it is younger.
const YOUNG: Duration = Duration::from_secs(12 * 60 * 60);

/// The things that an upload replaces among those that the service has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overwrite {
    /// Send artifacts that it lacks; replace the mappings where they differ.
    #[default]
    Mappings,
    /// Send everything anew, trusting nothing that is there: mends what is broken.
    Everything,
    /// Leave a revision that it has as it is.
    Nothing,
}

/// Opens an artifact for reading. What it yields is verified.
pub type OpenArtifact<'a> = dyn Fn(&ContentHash) -> io::Result<File> + Sync + 'a;

/// An upload: mappings, their artifacts, and where to.
pub struct Upload<'a> {
    /// To which service, open for writing.
    pub service: &'a Service,
    /// Under which scope.
    pub scope: &'a Scope,
    /// Under which revision.
    pub revision: &'a Revision,
    /// The ref that was built, for the signature.
    pub reference: Option<&'a Ref>,
    /// Revisions that are likely to be similar, the most similar first.
    pub similar: &'a [Revision],
    /// The revision that holds what [`Self::open`] lacks, where it is known to lack something.
    pub since: Option<&'a Revision>,
    /// The mappings. Those that lack an artifact both here and on the service are left out.
    pub mappings: &'a Mappings,
    /// Gives the artifacts' content.
    pub open: &'a OpenArtifact<'a>,
    /// The store that remembers what the service has, if there is one.
    pub store: Option<&'a Store>,
    /// The things that are replaced.
    pub overwrite: Overwrite,
    /// Write no revision when an artifact is missing.
    pub all_or_nothing: bool,
    /// Called from one thread.
    pub progress: &'a (dyn Fn(Transfer) + Sync),
}

/// What became of the revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Outcome {
    /// It was written, with all mappings whose artifacts are on the service.
    #[default]
    Written,
    /// The service had it, and it was left as it was.
    LeftAlone,
    /// It was not written, since it would be poorer than what there is, or than it should be.
    Withheld,
}

/// The result of an upload.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PutReport {
    /// What became of the revision.
    pub outcome: Outcome,
    /// Mapping entries on the service now.
    pub mappings: usize,
    /// Artifacts sent.
    pub sent: usize,
    /// Bytes sent, compressed.
    pub sent_bytes: u64,
    /// Artifacts that the service had.
    pub reused: usize,
    /// Artifacts that could be neither read here nor found there.
    pub unreadable: Missing,
    /// Artifacts that the service did not take.
    pub refused: Missing,
}

impl PutReport {
    /// Whether everything is on the service now.
    pub fn is_complete(&self) -> bool {
        self.unreadable.is_empty() && self.refused.is_empty()
    }
}

/// Puts a revision.
///
/// # Errors
/// When there is no mapping, or the service fails in more than what it does with packs.
pub fn put(upload: &Upload<'_>) -> Result<PutReport, RemoteError> {
    if upload.mappings.is_empty() {
        return Err(RemoteError::NoMappings);
    }
    upload.service.block_on(upload.run())
}

impl Upload<'_> {
    fn revisions(&self) -> Revisions<'_> {
        let Upload { service, scope, store, .. } = *self;
        Revisions { service, scope, store, trust: service.trust() }
    }

    async fn run(&self) -> Result<PutReport, RemoteError> {
        let keep = self.overwrite == Overwrite::Nothing;
        if keep && self.revisions().is_there(self.revision).await? {
            return Ok(PutReport { outcome: Outcome::LeftAlone, ..PutReport::default() });
        }
        let recent = recent::read(self.service, self.scope).await?;
        let bases = self.bases(&recent);
        let under_way = UnderWay::begin(self.service, self.scope, &bases).await?;
        let done = self.build_on(&bases, &recent).await;
        under_way.end(self.service).await;
        done
    }

    /// The revisions to build on, the best first.
    fn bases(&self, recent: &[Revision]) -> Vec<Revision> {
        if self.overwrite == Overwrite::Everything {
            return Vec::new();
        }
        let similar = self.similar.iter().filter(|revision| recent.contains(revision));
        let mut bases: Vec<Revision> = Vec::new();
        for revision in self.since.into_iter().chain(similar).chain(recent) {
            if !bases.contains(revision) {
                bases.push(revision.clone());
            }
        }
        bases.truncate(BASES);
        bases
    }

    async fn build_on(
        &self,
        bases: &[Revision],
        recent: &[Revision],
    ) -> Result<PutReport, RemoteError> {
        let base = self.read_base(bases).await?;
        let artifacts = self.mappings.artifacts();
        let mut used = self.reusable(&base.content, &artifacts).await?;
        let mut report = PutReport { reused: used.artifacts.len(), ..PutReport::default() };
        let unsent = artifacts.iter().filter(|(hash, _)| !used.artifacts.contains(*hash));
        let (unreadable, refused) = self.send_all(unsent.collect(), &mut used, &mut report).await;
        report.unreadable = missing::named(unreadable, &artifacts);
        report.refused = missing::named(refused, &artifacts);

        let complete = self.mappings.filtered(|_, outputs| {
            outputs.outputs.iter().all(|file| used.artifacts.contains(&file.hash))
        });
        // Nothing that is there is replaced by what is poorer than it should be.
        let withheld = complete.is_empty()
            || !report.is_complete()
                && (self.all_or_nothing || self.revisions().is_there(self.revision).await?);
        if withheld {
            report.outcome = Outcome::Withheld;
            return Ok(report);
        }
        report.mappings = complete.len();
        let content = Content { mappings: complete, packs: used.packs };
        if !self.write(content, base.snapshot.as_ref()).await? {
            report.outcome = Outcome::LeftAlone;
            return Ok(report);
        }
        // Only a hint, and everything that counts is there.
        if recent.first() != Some(self.revision)
            && let Err(error) = recent::add(self.service, self.scope, self.revision, recent).await
        {
            tracing::info!("{error}");
        }
        Ok(report)
    }

    async fn write(&self, content: Content, base: Option<&Snapshot>) -> Result<bool, RemoteError> {
        let replace = self.overwrite != Overwrite::Nothing;
        self.revisions().write(self.revision, content, base, self.reference, replace).await
    }

    /// The first of `bases` that can be used, or an empty one.
    async fn read_base(&self, bases: &[Revision]) -> Result<Published, RemoteError> {
        for revision in bases {
            match self.revisions().read(revision).await {
                Ok(Some(base)) => return Ok(base),
                Ok(None) => {}
                Err(error) if error.of_one_revision().is_some() => tracing::info!("{error}"),
                Err(error) => return Err(error),
            }
        }
        Ok(Published::default())
    }

    /// Sends packs of what the service lacks. Returns the artifacts that could not be read, and
    /// those that the service refused.
    async fn send_all(
        &self,
        unsent: BTreeMap<&ContentHash, &MappedArtifact>,
        used: &mut Used,
        report: &mut PutReport,
    ) -> (Reasons, Reasons) {
        (self.progress)(Transfer::Planned {
            artifacts: unsent.len() as u64,
            bytes: unsent.values().map(|artifact| artifact.size).sum(),
        });
        let (mut unreadable, mut refused) = (Reasons::new(), Reasons::new());
        let mut sending = stream::iter(self.group(unsent))
            .map(|entries| self.send(entries))
            // Making a pack takes all processors; sending one, only time.
            .buffer_unordered(3);
        while let Some(sent) = sending.next().await {
            unreadable.extend(sent.unreadable);
            refused.extend(sent.refused);
            if let Some(pack) = sent.pack {
                report.sent += pack.index.artifacts().len();
                report.sent_bytes += pack.length;
                used.add(pack);
            }
        }
        (unreadable, refused)
    }

    /// Packs to make: one for each large artifact, and as many as the small ones need. What goes
    /// into one depends on nothing but the mappings and what the service has, so that a put that
    /// was broken off finds what it had sent.
    fn group(&self, unsent: BTreeMap<&ContentHash, &MappedArtifact>) -> Vec<Vec<Entry>> {
        let mut paths = BTreeMap::new();
        for file in self.mappings.iter().flat_map(|(_, outputs)| &outputs.outputs) {
            let path = paths.entry(&file.hash).or_insert(file.path.as_str());
            *path = (*path).min(&file.path);
        }
        let mut entries: Vec<_> = unsent
            .into_iter()
            .map(|(hash, artifact)| Entry {
                hash: *hash,
                size: artifact.size,
                hint: paths.get(hash).map(|path| (*path).to_owned()).unwrap_or_default(),
            })
            .collect();
        entries.sort_by(|a, b| (&a.hint, a.hash).cmp(&(&b.hint, b.hash)));
        let mut groups = Vec::new();
        let (mut group, mut content) = (Vec::new(), 0);
        for entry in entries {
            if entry.size >= LARGE {
                groups.push(vec![entry]);
                continue;
            }
            if content + entry.size > PACK_CONTENT {
                groups.push(std::mem::take(&mut group));
                content = 0;
            }
            content += entry.size;
            group.push(entry);
        }
        if !group.is_empty() {
            groups.push(group);
        }
        groups
    }

    /// Makes a pack of `entries` and sends it, unless it is there. An artifact that cannot be read
    /// costs only itself.
    async fn send(&self, mut entries: Vec<Entry>) -> Sent {
        let mut sent = Sent::default();
        let all = |entries: &[Entry], reason: String| -> Reasons {
            entries.iter().map(|entry| (entry.hash, reason.clone())).collect()
        };
        let made = loop {
            match tokio::task::block_in_place(|| self.make(&entries)) {
                Ok(made) => break made,
                Err(pack::Error::Artifact { hash, reason }) => {
                    entries.retain(|entry| entry.hash != hash);
                    sent.unreadable.insert(hash, reason);
                    if entries.is_empty() {
                        return sent;
                    }
                }
                Err(error) => {
                    sent.unreadable.extend(all(&entries, error.to_string()));
                    return sent;
                }
            }
        };
        match self.upload(made.file, &made.pack).await {
            Ok(()) => {
                (self.progress)(Transfer::Done {
                    artifacts: entries.len() as u64,
                    bytes: entries.iter().map(|entry| entry.size).sum(),
                });
                sent.pack = Some(made.pack);
            }
            Err(error) => sent.refused = all(&entries, error.to_string()),
        }
        sent
    }

    /// Uploads a pack, unless it is there from an upload of late that was broken off.
    async fn upload(&self, file: File, pack: &PublishedPack) -> Result<(), RemoteError> {
        let object = paths::pack(self.scope, &pack.id);
        let worth_asking = pack.length >= WORTH_ASKING && self.overwrite != Overwrite::Everything;
        if worth_asking
            && let Some(there) = self.service.look_up(&object).await?
            && there.size == pack.length
            && there.is_younger_than(YOUNG)
        {
            return Ok(());
        }
        self.service.upload(&object, file, pack.length).await
    }

    fn make(&self, entries: &[Entry]) -> Result<Made, pack::Error> {
        let failed = |source| pack::Error::Io { action: "make a pack".to_owned(), source };
        let directory = tempfile::tempdir().map_err(failed)?;
        let path: PathBuf = directory.path().join("pack");
        let options = pack::Options::default();
        let length = pack::create(
            &path,
            entries.to_vec(),
            |entry| (self.open)(&entry.hash),
            None,
            &options,
            |_| (),
        )?;
        let file = File::open(&path).map_err(failed)?;
        let pack = PublishedPack::of_file(&file, length).map_err(failed)?;
        // Open, it outlives its name; so nothing is left behind, whatever becomes of us.
        fs::remove_file(&path).map_err(failed)?;
        Ok(Made { pack, file })
    }
}

struct Made {
    pack: PublishedPack,
    file: File,
}

#[derive(Default)]
struct Sent {
    pack: Option<PublishedPack>,
    unreadable: Reasons,
    refused: Reasons,
}
