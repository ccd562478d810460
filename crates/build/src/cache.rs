//! The artifact cache as a build sees it: a store that can only make things faster. Whatever goes
//! wrong in it is a miss.

use std::{
    collections::HashMap,
    env,
    path::PathBuf,
    sync::{Mutex, OnceLock, PoisonError},
};

use larder_remote::Config;
use larder_store::{Lookup, Mappings, Scope, Store};
use larder_trace::{ContentHash, DiscoveredInput, Outputs};

use crate::workspace::Workspace;

/// How a build uses the cache.
#[derive(Debug, Clone, Default)]
pub struct CacheOptions {
    /// Neither look anything up nor keep anything (`--no-cache`).
    pub off: bool,
    /// Collect the mappings of all targets touched, for [`Cache::mappings`].
    pub collect: bool,
}

/// The store of one build, opened when it is first needed, and what is collected from it.
pub struct Cache {
    store: OnceLock<Option<Store>>,
    /// By package: under which scopes its outputs are looked up, the first being where they are filed.
    scopes: HashMap<String, Vec<Scope>>,
    mappings: Option<Mutex<Mappings>>,
}

/// Whether an environment variable says yes or no; any other value, or none, says nothing.
fn switch(name: &str) -> Option<bool> {
    match env::var(name).ok()?.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Some(true),
        "0" | "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// Whether the environment asks for every intermediate to be restored (`LARDER_RESTORE_ARTIFACTS`).
pub fn restore_everything() -> bool {
    switch("LARDER_RESTORE_ARTIFACTS") == Some(true)
}

impl Cache {
    /// The cache for the packages of `workspace`: those whose manifest does not say otherwise, unless
    /// `LARDER_ARTIFACT_CACHE` says no for those that say nothing, or `LARDER_NO_CACHE` for all.
    pub fn new(workspace: &Workspace, options: &CacheOptions) -> Self {
        let off = options.off || switch("LARDER_NO_CACHE") == Some(true);
        let default = switch("LARDER_ARTIFACT_CACHE").unwrap_or(true);
        let root: Option<Scope> = workspace.packages[0].place.name.parse().ok();
        let mut scopes = HashMap::new();
        for package in workspace.packages.iter().filter(|_| !off) {
            if !package.manifest.package.artifact_cache.unwrap_or(default) {
                continue;
            }
            // Mappings that came from a service are filed under the package that was asked for, those
            // of its dependencies among them.
            let own: Option<Scope> = package.place.name.parse().ok();
            let mut all: Vec<Scope> = own.into_iter().chain(root.clone()).collect();
            all.dedup();
            if !all.is_empty() {
                scopes.insert(package.place.name.clone(), all);
            }
        }
        let mappings = options.collect.then(Mutex::default);
        Self { store: OnceLock::new(), scopes, mappings }
    }

    /// No cache at all.
    pub fn none() -> Self {
        Self { store: OnceLock::new(), scopes: HashMap::new(), mappings: None }
    }

    /// The store, for a package that uses it.
    pub(crate) fn store(&self, package: &str) -> Option<&Store> {
        self.scopes.contains_key(package).then(|| self.store.get_or_init(open).as_ref())?
    }

    /// What a build of `dep_hash` would leave, if that can be had.
    pub(crate) fn lookup(
        &self,
        package: &str,
        dep_hash: &ContentHash,
        mut is_current: impl FnMut(&DiscoveredInput) -> bool,
    ) -> Option<Outputs> {
        let store = self.store(package)?;
        self.scopes[package].iter().find_map(|scope| {
            match store.lookup(scope, dep_hash, &mut is_current) {
                Lookup::Hit(hit) => Some(hit.outputs),
                Lookup::Miss(_) => None,
            }
        })
    }

    /// Files what the build of `dep_hash` left; its artifacts are in the store.
    pub(crate) fn record(&self, package: &str, dep_hash: &ContentHash, outputs: &Outputs) {
        let Some(store) = self.store(package) else { return };
        if let Err(error) = store.record(&self.scopes[package][0], dep_hash, outputs) {
            tracing::debug!("not kept in the store: {error}");
        }
    }

    /// Whether mappings are collected.
    pub(crate) fn collects(&self) -> bool {
        self.mappings.is_some()
    }

    /// Adds a target's mapping to those collected.
    pub(crate) fn collect(&self, dep_hash: &ContentHash, outputs: &Outputs) {
        if let Some(mappings) = &self.mappings {
            let mut mappings = mappings.lock().unwrap_or_else(PoisonError::into_inner);
            mappings.insert(*dep_hash, outputs.clone());
        }
    }

    /// The mappings of all targets touched so far, where they were to be collected.
    pub fn mappings(&self) -> Option<Mappings> {
        let mut mappings = self.mappings.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        Some(std::mem::take(&mut *mappings))
    }
}

/// The user's store, with the offline store behind it and services behind that.
fn open() -> Option<Store> {
    let opened = Store::default_directory().and_then(Store::open);
    let mut store = opened
        .inspect_err(|error| tracing::info!("building without the artifact cache: {error}"))
        .ok()?;
    if let Some(directory) = env::var_os("LARDER_OFFLINE_STORE").filter(|path| !path.is_empty()) {
        store = store.with_offline(PathBuf::from(directory));
    }
    match Config::load() {
        Ok(config) => match larder_remote::on_demand(config, store.layout()) {
            Some(upstream) => Some(store.with_upstream(upstream)),
            None => Some(store),
        },
        Err(error) => {
            tracing::info!("fetching nothing from services: {error}");
            Some(store)
        }
    }
}
