//! Which ranges of which packs to ask for.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use larder_store::{MappedArtifact, pack, published::PublishedPack};
use larder_trace::ContentHash;

/// The artifacts that are wanted, with size and permissions.
pub type Wanted = BTreeMap<ContentHash, MappedArtifact>;

/// One ranged read: a run of blocks, and the wanted artifacts that are whole in it.
#[derive(Debug)]
pub struct Chunk<'a> {
    pub pack: &'a PublishedPack,
    pub blocks: Range<usize>,
    pub artifacts: Vec<&'a pack::Member>,
}

impl Chunk<'_> {
    /// Bytes to transfer.
    pub fn stored_len(&self) -> u64 {
        let range = self.pack.index.stored_range(self.blocks.clone());
        range.end - range.start
    }
}

/// Reading over so many unwanted bytes costs less than another request.
const GAP: u64 = 128 << 10;
/// In how many reads a fetch is split at least, if they are not smaller than [`SMALLEST`].
const READS: u64 = 16;
const SMALLEST: u64 = 512 << 10;
const LARGEST: u64 = 8 << 20;

/// Plans how to get from `packs` what is in `wanted` and not in `tried`, which lists what packs have
/// failed to give. An artifact that several packs hold is read from the one that has most to give.
pub fn plan<'a>(
    packs: &'a [PublishedPack],
    wanted: &Wanted,
    tried: &BTreeSet<(ContentHash, ContentHash)>,
) -> Vec<Chunk<'a>> {
    let offer = |pack: &'a PublishedPack| -> Vec<&'a pack::Member> {
        let artifacts = pack.index.artifacts().iter();
        artifacts
            .filter(|artifact| {
                wanted.contains_key(&artifact.hash) && !tried.contains(&(pack.id, artifact.hash))
            })
            .collect()
    };
    let mut offers: Vec<_> = packs.iter().map(|pack| (pack, offer(pack))).collect();
    offers.sort_by_key(|(pack, artifacts)| (std::cmp::Reverse(artifacts.len()), pack.id));
    let mut taken = BTreeSet::new();
    for (_, artifacts) in &mut offers {
        artifacts.retain(|artifact| artifact.size() > 0 && taken.insert(artifact.hash));
    }
    let total: u64 = offers
        .iter()
        .flat_map(|(pack, artifacts)| runs(pack, artifacts))
        .map(|run| run.stored_len())
        .sum();
    let target = (total / READS).clamp(SMALLEST, LARGEST);
    offers.iter().flat_map(|(pack, artifacts)| merge(runs(pack, artifacts), target)).collect()
}

/// The smallest runs of blocks that hold whole artifacts, in file order. Artifacts that share a
/// block share a run.
fn runs<'a>(pack: &'a PublishedPack, artifacts: &[&'a pack::Member]) -> Vec<Chunk<'a>> {
    let mut runs: Vec<Chunk<'a>> = Vec::new();
    for artifact in artifacts {
        let blocks = pack.index.blocks_of(artifact);
        match runs.last_mut() {
            Some(run) if blocks.start < run.blocks.end => {
                run.blocks.end = run.blocks.end.max(blocks.end);
                run.artifacts.push(artifact);
            }
            _ => runs.push(Chunk { pack, blocks, artifacts: vec![artifact] }),
        }
    }
    runs
}

/// Joins runs that lie close together, up to about `target` bytes.
fn merge(runs: Vec<Chunk<'_>>, target: u64) -> Vec<Chunk<'_>> {
    let mut chunks: Vec<Chunk<'_>> = Vec::new();
    for run in runs {
        match chunks.last_mut() {
            Some(chunk)
                if chunk.stored_len() + run.stored_len() <= target && gap(chunk, &run) <= GAP =>
            {
                chunk.blocks.end = run.blocks.end;
                chunk.artifacts.extend(run.artifacts);
            }
            _ => chunks.push(run),
        }
    }
    chunks
}

fn gap(chunk: &Chunk<'_>, run: &Chunk<'_>) -> u64 {
    let between = chunk.blocks.end..run.blocks.start;
    let range = chunk.pack.index.stored_range(between.clone());
    if between.is_empty() { 0 } else { range.end - range.start }
}
