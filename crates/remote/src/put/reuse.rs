//! What an upload need not send, since the revision that it builds on refers to it.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, stream};
use larder_store::{
    MappedArtifact,
    published::{Content, PublishedPack, paths},
};
use larder_trace::ContentHash;

use super::{LARGE, Upload};
use crate::RemoteError;

/// How many packs of small artifacts a revision may be spread over, so that reading it stays a
/// matter of few requests however often it grew.
const MOST_PACKS: usize = 8;
/// When it would be more, how many are kept: those that give it most. What the others give it is
/// sent again, together. As this halves the number, it happens at every fourth growth at most.
const KEPT_PACKS: usize = 4;
/// How many of the packs that are reused are looked up: the one that gives most and others at
/// random. So a pack that is lost is found sooner or later, and each upload takes few requests.
const LOOKED_UP: usize = 3;
/// The packs and artifacts that a revision will refer to.
#[derive(Default)]
pub struct Used {
    pub artifacts: BTreeSet<ContentHash>,
    pub packs: BTreeMap<ContentHash, PublishedPack>,
}

impl Used {
    pub fn add(&mut self, pack: PublishedPack) {
        self.artifacts.extend(pack.index.artifacts().iter().map(|artifact| artifact.hash));
        self.packs.insert(pack.id, pack);
    }
}

impl Upload<'_> {
    /// Returns those of `artifacts` that the service has, in packs of `base`.
    pub(super) async fn reusable(
        &self,
        base: &Content,
        artifacts: &BTreeMap<ContentHash, MappedArtifact>,
    ) -> Result<Used, RemoteError> {
        let mut offers: Vec<(Vec<ContentHash>, &PublishedPack)> = base
            .packs
            .values()
            .filter_map(|pack| {
                let held = pack.index.artifacts().iter().map(|held| held.hash);
                let offered: Vec<_> = held.filter(|hash| artifacts.contains_key(hash)).collect();
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
        let is_small =
            |pack: &PublishedPack| pack.index.artifacts().iter().any(|a| a.size() < LARGE);
        if offers.iter().filter(|(_, pack)| is_small(pack)).count() > MOST_PACKS {
            let mut small = 0;
            offers.retain(|(_, pack)| {
                small += usize::from(is_small(pack));
                small <= KEPT_PACKS || !is_small(pack)
            });
        }
        if let Some((_, others)) = offers.split_first_mut() {
            fastrand::shuffle(others);
        }
        let checked =
            stream::iter(offers.into_iter().enumerate()).map(|(at, (_, pack))| async move {
                if at >= LOOKED_UP {
                    return Ok(Some(pack));
                }
                let length = self.service.length(&paths::pack(self.scope, &pack.id)).await?;
                Ok::<_, RemoteError>((length == Some(pack.length)).then_some(pack))
            });
        let mut checked = checked.buffer_unordered(self.service.connections);
        let mut used = Used::default();
        while let Some(pack) = checked.next().await {
            if let Some(pack) = pack? {
                used.add(pack.clone());
            }
        }
        used.artifacts.retain(|hash| artifacts.contains_key(hash));
        Ok(used)
    }
}
