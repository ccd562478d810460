//! Putting a revision: the artifacts that the service lacks, the catalogue, and last the mappings.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io,
    path::PathBuf,
};

use futures_util::{StreamExt, stream};
use larder_store::{
    MappedArtifact, Mappings, Revision, Scope,
    pack::{self, Entry},
};
use larder_trace::ContentHash;

use crate::{
    Catalogue, Missing, RemoteError, Service, Transfer,
    catalogue::{LARGE, PACK_CONTENT, RemotePack, level},
    known::known_packs,
    paths,
};

/// How many packs of small artifacts a revision may be spread over, so that reading it stays a
/// matter of few requests however often it grew.
const MOST_PACKS: usize = 24;
/// When it would be more, how many are kept: those that give it most. What the others give it is
/// sent again, together. As this halves the number, it happens at every twelfth growth at most.
const KEPT_PACKS: usize = 12;

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
    /// The mappings. Those that lack an artifact both here and on the service are left out.
    pub mappings: &'a Mappings,
    /// Gives the artifacts' content.
    pub open: &'a OpenArtifact<'a>,
    /// The things that are replaced.
    pub overwrite: Overwrite,
    /// Write no revision when an artifact is missing.
    pub all_or_nothing: bool,
    /// Called from one thread.
    pub progress: &'a (dyn Fn(Transfer) + Sync),
}

/// The result of an upload.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PutReport {
    /// Whether the service had the revision and it was left as it was.
    pub left_alone: bool,
    /// Mapping entries on the service now.
    pub mappings: usize,
    /// Artifacts sent.
    pub sent: usize,
    /// Bytes sent, compressed.
    pub sent_bytes: u64,
    /// Artifacts that the service had.
    pub reused: usize,
    /// Artifacts that could be neither read here nor found there, or not sent.
    pub missing: Missing,
}

/// Puts a revision.
pub fn put(upload: &Upload<'_>) -> Result<PutReport, RemoteError> {
    upload.service.block_on(upload.run())
}

impl Upload<'_> {
    async fn run(&self) -> Result<PutReport, RemoteError> {
        let mappings_object = paths::mappings(self.scope, self.revision);
        let keep = self.overwrite == Overwrite::Nothing;
        if keep && self.service.length(&mappings_object).await?.is_some() {
            return Ok(PutReport { left_alone: true, ..PutReport::default() });
        }
        let artifacts = self.mappings.artifacts();
        let mut used = match self.overwrite {
            Overwrite::Everything => Used::default(),
            _ => self.reusable(&artifacts).await?,
        };
        let mut report = PutReport { reused: used.artifacts.len(), ..PutReport::default() };

        let unsent = artifacts.iter().filter(|(hash, _)| !used.artifacts.contains(*hash));
        let unsent: BTreeMap<_, _> = unsent.collect();
        (self.progress)(Transfer::Planned {
            artifacts: unsent.len() as u64,
            bytes: unsent.values().map(|artifact| artifact.size).sum(),
        });
        let groups = self.group(unsent);
        let mut sending = stream::iter(groups)
            .map(|entries| self.send(entries))
            // Making a pack takes all processors; sending one, only time.
            .buffer_unordered(3);
        while let Some(sent) = sending.next().await {
            report.missing.extend(sent.missing);
            if let Some(pack) = sent.pack {
                report.sent += pack.index.artifacts().len();
                report.sent_bytes += pack.length;
                used.artifacts.extend(pack.index.artifacts().iter().map(|artifact| artifact.hash));
                used.packs.push(pack);
            }
        }
        drop(sending);
        if self.all_or_nothing && !report.missing.is_empty() {
            return Ok(report);
        }

        let complete: Mappings = self
            .mappings
            .iter()
            .filter(|(_, outputs)| {
                outputs.outputs.iter().all(|file| used.artifacts.contains(&file.hash))
            })
            .map(|(dep_hash, outputs)| (*dep_hash, outputs.clone()))
            .collect();
        report.mappings = complete.len();
        let text = complete.to_text();
        let catalogue = Catalogue::new(ContentHash::of_bytes(&text), used.packs);
        let catalogue_object = paths::catalogue(self.scope, self.revision);
        self.service.write(&catalogue_object, catalogue.to_text().into(), true).await?;
        report.left_alone = !self.service.write(&mappings_object, text.into(), !keep).await?;
        Ok(report)
    }

    /// Returns those of `artifacts` that the service has, in packs that are still there.
    async fn reusable(
        &self,
        artifacts: &BTreeMap<ContentHash, MappedArtifact>,
    ) -> Result<Used, RemoteError> {
        let packs = known_packs(self.service, self.scope).await?;
        let mut offers: Vec<_> = packs
            .into_values()
            .filter_map(|pack| {
                let held = pack.index.artifacts().iter();
                let offered: Vec<_> = held
                    .map(|held| held.hash)
                    .filter(|hash| artifacts.contains_key(hash))
                    .collect();
                (!offered.is_empty()).then_some((offered, pack))
            })
            .collect();
        offers.sort_by_key(|(offered, pack)| (std::cmp::Reverse(offered.len()), pack.id));
        // Who was chosen first may leave nothing for who comes later.
        let mut chosen = BTreeSet::new();
        offers.retain(|(offered, _)| {
            let before = chosen.len();
            chosen.extend(offered.iter().copied());
            chosen.len() > before
        });
        let is_small = |pack: &RemotePack| pack.index.artifacts().iter().any(|a| a.size() < LARGE);
        if offers.iter().filter(|(_, pack)| is_small(pack)).count() > MOST_PACKS {
            let mut small = 0;
            offers.retain(|(_, pack)| {
                small += usize::from(is_small(pack));
                small <= KEPT_PACKS || !is_small(pack)
            });
        }
        let checked = stream::iter(offers).map(|(offered, pack)| async move {
            let object = paths::pack(self.scope, &pack.id);
            let length = self.service.length(&object).await?;
            Ok::<_, RemoteError>((length == Some(pack.length)).then_some((offered, pack)))
        });
        let mut checked = checked.buffer_unordered(self.service.connections);
        let mut used = Used::default();
        while let Some(offer) = checked.next().await {
            if let Some((offered, pack)) = offer? {
                used.artifacts.extend(offered);
                used.packs.push(pack);
            }
        }
        Ok(used)
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
        let made = loop {
            match tokio::task::block_in_place(|| self.make(&entries)) {
                Ok(made) => break made,
                Err(pack::Error::Artifact { hash, reason }) => {
                    entries.retain(|entry| entry.hash != hash);
                    sent.missing.insert(hash, reason);
                    if entries.is_empty() {
                        return sent;
                    }
                }
                Err(error) => return sent.failed(&entries, &error.to_string()),
            }
        };
        let object = paths::pack(self.scope, &made.pack.id);
        let there = match self.overwrite {
            Overwrite::Everything => Ok(None),
            _ => self.service.length(&object).await,
        };
        let uploaded = match there {
            Ok(Some(length)) if length == made.pack.length => Ok(()),
            _ => self.service.upload(&object, made.file, made.pack.length).await,
        };
        match uploaded {
            Ok(()) => {
                (self.progress)(Transfer::Done {
                    artifacts: entries.len() as u64,
                    bytes: entries.iter().map(|entry| entry.size).sum(),
                });
                sent.pack = Some(made.pack);
                sent
            }
            Err(error) => sent.failed(&entries, &error.to_string()),
        }
    }

    fn make(&self, entries: &[Entry]) -> Result<Made, pack::Error> {
        let failed = |source| pack::Error::Io { action: "make a pack".to_owned(), source };
        let directory = tempfile::tempdir().map_err(failed)?;
        let path: PathBuf = directory.path().join("pack");
        let options = pack::Options { level: level(), ..pack::Options::default() };
        let length = pack::create(
            &path,
            entries.to_vec(),
            |entry| (self.open)(&entry.hash),
            None,
            &options,
            |_| (),
        )?;
        let file = File::open(&path).map_err(failed)?;
        let pack = RemotePack::of_file(&file, length).map_err(failed)?;
        // Open, it outlives its name; so nothing is left behind, whatever becomes of us.
        fs::remove_file(&path).map_err(failed)?;
        Ok(Made { pack, file })
    }
}

/// The packs and artifacts that a revision will refer to.
#[derive(Default)]
struct Used {
    artifacts: BTreeSet<ContentHash>,
    packs: Vec<RemotePack>,
}

struct Made {
    pack: RemotePack,
    file: File,
}

#[derive(Default)]
struct Sent {
    pack: Option<RemotePack>,
    missing: Missing,
}

impl Sent {
    fn failed(mut self, entries: &[Entry], reason: &str) -> Self {
        self.missing.extend(entries.iter().map(|entry| (entry.hash, reason.to_owned())));
        self
    }
}
