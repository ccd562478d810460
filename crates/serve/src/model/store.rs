//! The artifact cache.

use std::collections::BTreeMap;

use larder_store::Store;
use schemars::JsonSchema;
use serde::Serialize;

use super::{NoPage, Result};
use crate::{
    cache::{CacheServer, Served, Stats},
    site::View,
};

/// The artifact cache of the machine, and that of the team.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cache {
    /// What it has, where there is one.
    pub store: Option<Contents>,
    /// What the cache of the team has and did since the server began, where this server is that as well.
    pub server: Option<Stats>,
    /// The revisions that the cache of the team has; none where only who has a key may read them.
    pub served: Option<Served>,
}

/// The content of a store, and how lookups in it went.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Contents {
    /// How many artifacts it has.
    pub artifacts: u64,
    /// Their bytes.
    pub artifact_bytes: u64,
    /// How many mappings it has.
    pub mappings: u64,
    /// How many revisions of packages it has mappings for.
    pub revisions: u64,
    /// How many artifacts were found damaged and put aside.
    pub quarantined: u64,
    /// The part of lookups that hit, from 0 to 1; none before the first one.
    pub hit_rate: Option<f64>,
    /// Lookups answered, by where the answer was found.
    pub hits: BTreeMap<String, u64>,
    /// Lookups and restores not answered, by why.
    pub misses: BTreeMap<String, u64>,
    /// Artifacts restored into build directories.
    pub restored: u64,
    /// Their bytes.
    pub restored_bytes: u64,
}

impl Cache {
    /// The store as it is now.
    ///
    /// # Errors
    /// [`NoPage::Missing`] where it cannot be read.
    pub fn of(view: &View<'_>) -> Result<Self> {
        let team = view.ecosystem.cache.as_ref();
        let server = team.map(CacheServer::stats);
        let served = team.map(CacheServer::revisions).transpose();
        let served = served.map_err(|error| NoPage::Missing(error.to_string()))?.flatten();
        let Some(directory) = view.ecosystem.store.as_ref().filter(|store| store.is_dir()) else {
            return Ok(Self { store: None, server, served });
        };
        let stats = Store::open(directory).and_then(|store| store.stats());
        let stats = stats.map_err(|error| NoPage::Missing(error.to_string()))?;
        let counters = stats.counters;
        Ok(Self {
            server,
            served,
            store: Some(Contents {
                artifacts: stats.artifacts,
                artifact_bytes: stats.artifact_bytes,
                mappings: stats.mappings,
                revisions: stats.revisions,
                quarantined: stats.quarantined,
                hit_rate: counters.hit_rate(),
                hits: counters.hits.iter().map(|(tier, n)| (tier.to_string(), *n)).collect(),
                misses: counters.misses.iter().map(|(why, n)| (why.to_string(), *n)).collect(),
                restored: counters.restored,
                restored_bytes: counters.restored_bytes,
            }),
        })
    }
}
