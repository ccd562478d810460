//! Sections: what a revision says, all of it or what differs from a snapshot, as compressed text.
//!
//! The text is one line of JSON, and below it a mappings file:
//!
//! ```text
//! {"schemaVersion":"2","snapshot":{"hash","length"},"without":{"mappings":[N,…],"packs":[N,…]},"packs":[…]}
//! "1"
//! ["<dep hash>",{"outputs":[…]}]
//! ```
//!
//! `snapshot` and `without` are there where it is a difference: numbers count the snapshot's
//! mappings by dep hash, and its packs by id, from 0. Whatever differs stands in full, never in terms
//! of another difference, so that a reader needs one snapshot and not a chain.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Read},
};

use larder_trace::ContentHash;
use serde::{Deserialize, Serialize};

use super::packs::{Description, PackError, PublishedPack};
use crate::{Mappings, MappingsError};

/// The schema version of revisions and snapshots.
pub const SCHEMA: &str = "2";

/// No section is longer when it is decompressed, in bytes.
const LONGEST: u64 = 4 << 30;

/// Why a section is refused.
#[derive(Debug, thiserror::Error)]
pub enum SectionError {
    /// It cannot be decompressed, or is far too long then.
    #[error("it cannot be decompressed: {0}")]
    Compression(io::Error),
    /// The first line is not what it should be.
    #[error("line 1: {0}")]
    Head(String),
    /// It was written by another version.
    #[error("schema version {0:?}; this larder reads {SCHEMA:?}")]
    Schema(String),
    /// A pack is not described well.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The mappings are refused.
    #[error("mappings, {0}")]
    Mappings(#[from] MappingsError),
    /// A difference is asked for more than its snapshot has.
    #[error("it does not go with its snapshot")]
    OtherSnapshot,
}

/// A snapshot as a revision refers to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SnapshotId {
    /// The hash of the object.
    pub hash: ContentHash,
    /// Its length in bytes.
    pub length: u64,
}

/// Everything that a revision says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// The mappings.
    pub mappings: Mappings,
    /// The packs that hold their artifacts, by id.
    pub packs: BTreeMap<ContentHash, PublishedPack>,
}

/// The content of a revision, or how it differs from a snapshot's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Section {
    /// The snapshot that this is a difference to; `None` where this is everything.
    pub snapshot: Option<SnapshotId>,
    without: Without,
    added: Content,
}

/// The positions of what a snapshot has and a revision has not, or has otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Without {
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    mappings: BTreeSet<usize>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    packs: BTreeSet<usize>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    schema_version: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    snapshot: Option<SnapshotId>,
    #[serde(default)]
    without: Without,
    packs: Vec<Description>,
}

impl Section {
    /// All of `content`.
    pub fn whole(content: Content) -> Self {
        Self { added: content, ..Self::default() }
    }

    /// All of a snapshot, and nothing else.
    pub fn of_snapshot(id: SnapshotId) -> Self {
        Self { snapshot: Some(id), ..Self::default() }
    }

    /// How `content` differs from `base`, which is the content of `snapshot`.
    pub fn difference(content: &Content, base: &Content, snapshot: SnapshotId) -> Self {
        let mut without = Without::default();
        for (at, (dep_hash, _)) in base.mappings.iter().enumerate() {
            if !content.mappings.agrees(&base.mappings, dep_hash) {
                without.mappings.insert(at);
            }
        }
        for (at, id) in base.packs.keys().enumerate() {
            if !content.packs.contains_key(id) {
                without.packs.insert(at);
            }
        }
        let is_new = |dep_hash: &ContentHash| !content.mappings.agrees(&base.mappings, dep_hash);
        let mappings = content.mappings.filtered(|dep_hash, _| is_new(dep_hash));
        let packs = content.packs.iter().filter(|(id, _)| !base.packs.contains_key(id));
        let packs = packs.map(|(id, pack)| (*id, pack.clone())).collect();
        Self { snapshot: Some(snapshot), without, added: Content { mappings, packs } }
    }

    /// The content that this describes. `base` is the content of [`Self::snapshot`], if there is one.
    pub fn resolve(self, base: Option<&Content>) -> Result<Content, SectionError> {
        let Some(base) = base else {
            return match self.snapshot {
                None => Ok(self.added),
                Some(_) => Err(SectionError::OtherSnapshot),
            };
        };
        let beyond = |positions: &BTreeSet<usize>, len: usize| {
            positions.last().is_some_and(|last| *last >= len)
        };
        if beyond(&self.without.mappings, base.mappings.len())
            || beyond(&self.without.packs, base.packs.len())
        {
            return Err(SectionError::OtherSnapshot);
        }
        let mut numbers = 0..;
        let mut mappings = base
            .mappings
            .filtered(|_, _| numbers.next().is_some_and(|at| !self.without.mappings.contains(&at)));
        mappings.extend(self.added.mappings);
        let kept = base.packs.iter().enumerate();
        let kept = kept.filter(|(at, _)| !self.without.packs.contains(at));
        let mut packs: BTreeMap<_, _> = kept.map(|(_, (id, pack))| (*id, pack.clone())).collect();
        packs.extend(self.added.packs);
        Ok(Content { mappings, packs })
    }

    /// The section as it is stored: the same bytes for the same content.
    pub fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let head = Head {
            schema_version: SCHEMA.to_owned(),
            snapshot: self.snapshot,
            without: self.without.clone(),
            packs: self.added.packs.values().map(Description::from).collect(),
        };
        let mut text = serde_json::to_vec(&head)?;
        text.push(b'\n');
        text.extend(self.added.mappings.to_text());
        zstd::bulk::compress(&text, zstd::DEFAULT_COMPRESSION_LEVEL)
    }

    /// Parses what [`Self::to_bytes`] wrote, or what somebody wants to be taken for that.
    pub fn parse(bytes: &[u8]) -> Result<Self, SectionError> {
        let mut text = Vec::new();
        zstd::stream::read::Decoder::new(bytes)
            .and_then(|decoder| decoder.take(LONGEST + 1).read_to_end(&mut text))
            .and_then(|length| match length as u64 > LONGEST {
                true => Err(io::ErrorKind::FileTooLarge.into()),
                false => Ok(()),
            })
            .map_err(SectionError::Compression)?;
        let end = text.iter().position(|byte| *byte == b'\n').unwrap_or(text.len());
        let (head, mappings) = text.split_at(end);
        let malformed = |error: serde_json::Error| SectionError::Head(error.to_string());
        let version: Version = serde_json::from_slice(head).map_err(malformed)?;
        if version.schema_version != SCHEMA {
            return Err(SectionError::Schema(version.schema_version));
        }
        let head: Head = serde_json::from_slice(head).map_err(malformed)?;
        let packs = head.packs.into_iter().map(PublishedPack::try_from);
        let packs = packs.map(|pack| pack.map(|pack| (pack.id, pack)));
        let packs = packs.collect::<Result<BTreeMap<_, _>, _>>()?;
        let mappings = Mappings::parse(mappings.get(1..).unwrap_or_default())?;
        let added = Content { mappings, packs };
        Ok(Self { snapshot: head.snapshot, without: head.without, added })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    schema_version: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NodeTable;
    use larder_trace::{BuildTrace, Outputs};

    fn traces() -> impl Iterator<Item = BuildTrace> {
        (0..9)
            .map(|n: u32| BuildTrace::nil("object").mix(BuildTrace::text("source", n.to_string())))
    }

    fn content(with_inputs: impl Fn(usize) -> bool) -> Content {
        let (mut content, mut nodes) = (Content::default(), NodeTable::default());
        for (n, trace) in traces().enumerate() {
            content.mappings.insert(trace.hash(), Outputs::default());
            if with_inputs(n) {
                content.mappings.set_inputs(trace.hash(), nodes.of_trace(trace.parts()));
            }
        }
        content
    }

    #[test]
    fn a_difference_carries_inputs() {
        let id = SnapshotId { hash: ContentHash::of_bytes(b"snapshot"), length: 1 };
        let bases = [content(|_| false), content(|_| true), content(|n| n % 3 == 0)];
        for base in &bases {
            for wanted in &bases {
                let section = Section::difference(wanted, base, id).to_bytes().unwrap();
                let resolved = Section::parse(&section).unwrap().resolve(Some(base)).unwrap();
                assert_eq!(&resolved, wanted);
                let inputs = |content: &Content| {
                    traces().filter(|it| content.mappings.inputs(&it.hash()).is_some()).count()
                };
                assert_eq!(inputs(&resolved), inputs(wanted));
            }
        }
    }
}
