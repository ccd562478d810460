//! The artifact cache as a build sees it: a store that can only make things faster. Whatever goes
//! wrong in it is a miss.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use larder_remote::{Config, ConfigError, Credentials};
use larder_store::{
    Layout, Lookup, Mappings, NodeTable, Recorded, Scope, Store, StoreError,
    offline::{self, Tool},
};
use larder_trace::{BuildTrace, ContentHash, Outputs};

use larder_project::workspace::Workspace;

use crate::{
    difference::{Difference, Side, first_difference},
    environment::Environment,
    lookups::Lookups,
    pool::Lane,
    session::Session,
    uploads::Uploads,
};

/// How a build uses the cache.
#[derive(Debug, Clone, Default)]
pub struct CacheOptions {
    /// Neither look anything up nor keep anything (`--no-cache`).
    pub off: bool,
    /// Collect the mappings of all targets touched, for [`Cache::mappings`].
    pub collect: bool,
    /// Of those, only the mappings of packages whose artifacts the store keeps.
    pub only_kept: bool,
    /// Note what is looked up, so that it can be told how services answered.
    pub note_lookups: bool,
    /// What a service has, to compare with instead of looking at what is built here.
    pub uploads: Option<Arc<Uploads>>,
}

/// How the store of a session is opened, and which packages use it.
#[derive(Debug, Clone, Default)]
pub struct StoreSettings {
    /// Where it is; in the user's cache directory, when absent.
    pub directory: Option<PathBuf>,
    /// A read-only store behind it.
    pub offline_store: Option<PathBuf>,
    /// The configuration of services; the user's, when absent.
    pub config: Option<PathBuf>,
    /// The credentials that services are opened with.
    pub credentials: Arc<Credentials>,
    /// The configuration, once it has been read: all who use it know of a service that does not answer.
    pub services: Arc<OnceLock<Config>>,
    /// Whether nothing is fetched from services.
    pub offline: bool,
    /// Whether packages use it whose manifests do not say; they do, when absent.
    pub packages_use_it: Option<bool>,
    /// Whether no package uses it, whatever its manifest says.
    pub off: bool,
    /// Whether every intermediate is restored, not only what is asked for.
    pub restore_everything: bool,
}

impl StoreSettings {
    /// Takes the settings from `LARDER_CACHE_DIR`, `LARDER_OFFLINE_STORE`, `LARDER_CONFIG`,
    /// `LARDER_ARTIFACT_CACHE`, `LARDER_NO_CACHE` and `LARDER_RESTORE_ARTIFACTS`. With `offline`,
    /// nothing is fetched from services.
    pub fn of(environment: &Environment, offline: bool) -> Self {
        let path =
            |name: &str| environment.get(name).filter(|path| !path.is_empty()).map(PathBuf::from);
        let switch = |name: &str| {
            match environment.get(name)?.to_str()?.to_ascii_lowercase().as_str() {
                "1" | "true" | "yes" | "on" => Some(true),
                "0" | "false" | "no" | "off" => Some(false),
                // Any other value says nothing.
                _ => None,
            }
        };
        Self {
            directory: path("LARDER_CACHE_DIR"),
            // Set and empty, it names nothing, which is found out when it is checked.
            offline_store: environment.get("LARDER_OFFLINE_STORE").map(PathBuf::from),
            config: path("LARDER_CONFIG"),
            credentials: Arc::new(Credentials::of(environment.iter())),
            services: Arc::default(),
            offline,
            packages_use_it: switch("LARDER_ARTIFACT_CACHE"),
            off: switch("LARDER_NO_CACHE") == Some(true),
            restore_everything: switch("LARDER_RESTORE_ARTIFACTS") == Some(true),
        }
    }

    /// Checks that the offline store, where one is named, can be one. Builds could do without it, but
    /// whoever named it means it to be there.
    ///
    /// # Errors
    /// When it cannot.
    pub fn check_offline_store(&self) -> Result<(), StoreError> {
        self.offline_store.as_deref().map_or(Ok(()), offline::check)
    }

    /// Opens the store itself, with nothing behind it.
    ///
    /// # Errors
    /// When there is no directory for it, or it cannot be made.
    pub fn open_local(&self) -> Result<Store, StoreError> {
        match &self.directory {
            Some(directory) => Store::open(directory),
            None => Store::open(Store::default_directory()?),
        }
    }

    /// Returns where the user's configuration is, there or not.
    pub fn configuration(&self) -> PathBuf {
        self.config.clone().unwrap_or_else(Config::default_path)
    }

    /// Reads the configuration of services, once. They are opened with the credentials of these settings.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn services(&self) -> Result<Config, ConfigError> {
        if let Some(config) = self.services.get() {
            return Ok(config.clone());
        }
        let config = Config::read(&self.configuration());
        let config = config?.with_credentials(&self.credentials);
        let directory = self.directory.clone().or_else(|| Store::default_directory().ok());
        let layout = Layout::new(directory.unwrap_or_default());
        let revoked = larder_remote::revoked(&layout)
            .map_err(|source| ConfigError::Revoked { path: layout.revoked(), source })?;
        let config = config.with_trust(revoked);
        Ok(self.services.get_or_init(|| config).clone())
    }
}

/// Mappings that are collected, and the nodes that they say their inputs with.
#[derive(Default)]
struct Collected {
    mappings: Mappings,
    nodes: NodeTable,
}

/// The store as the packages of one build use it, and what is collected from it.
pub struct Cache {
    session: Option<Arc<Session>>,
    /// By package: under which scopes its outputs are looked up, the first being where they are filed.
    scopes: HashMap<String, Vec<Scope>>,
    collected: Option<Mutex<Collected>>,
    uploads: Option<Arc<Uploads>>,
    /// The targets that these belong to.
    owners: Mutex<HashMap<ContentHash, String>>,
    only_kept: bool,
    /// The tools of this build, once they are known.
    tools: OnceLock<Vec<Tool>>,
    said_other_tools: AtomicBool,
    /// What was looked up, where that is wanted and services could have answered.
    lookups: OnceLock<Option<Arc<Lookups>>>,
}

impl Cache {
    /// The cache of `session` for the packages of `workspace`: those whose manifest, or else the
    /// session's settings, do not say otherwise.
    pub fn new(session: &Arc<Session>, workspace: &Workspace, options: &CacheOptions) -> Self {
        let settings = &session.settings.store;
        let off = options.off || settings.off;
        let default = settings.packages_use_it.unwrap_or(true);
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
        let collected = options.collect.then(Mutex::default);
        let session = Some(session.clone());
        let lookups = if options.note_lookups { OnceLock::new() } else { OnceLock::from(None) };
        let uploads = options.uploads.clone();
        let only_kept = options.only_kept;
        Self { session, scopes, collected, uploads, only_kept, lookups, ..Self::none() }
    }

    /// The cache of `session` for one package.
    pub fn of_package(session: &Arc<Session>, package: &str, options: &CacheOptions) -> Self {
        let settings = &session.settings.store;
        let used = settings.packages_use_it.unwrap_or(true) && !options.off && !settings.off;
        let scope = package.parse().ok().filter(|_| used);
        let scopes = scope.map(|scope| (package.to_owned(), vec![scope])).into_iter().collect();
        Self { session: Some(session.clone()), scopes, ..Self::none() }
    }

    /// No cache at all.
    pub fn none() -> Self {
        Self {
            session: None,
            scopes: HashMap::new(),
            collected: None,
            uploads: None,
            owners: Mutex::default(),
            only_kept: false,
            tools: OnceLock::new(),
            said_other_tools: AtomicBool::new(false),
            lookups: OnceLock::new(),
        }
    }

    /// The store, for a package that uses it.
    pub(crate) fn store(&self, package: &str) -> Option<&Store> {
        let session = self.session.as_ref().filter(|_| self.scopes.contains_key(package))?;
        session.store().map(|store| &**store)
    }

    /// The lane in which the cache is asked: a service may have to be waited for.
    pub(crate) fn lane(&self) -> Lane {
        let store = self.session.as_ref().filter(|_| !self.scopes.is_empty());
        match store.and_then(|session| session.store()) {
            Some(store) if store.fetches() => Lane::Fetch,
            _ => Lane::Local,
        }
    }

    /// Notes which tools this build uses, sorted.
    pub(crate) fn use_tools(&self, tools: Vec<Tool>) {
        // Noted once, before anything is looked up.
        _ = self.tools.set(tools);
    }

    /// The tools of this build.
    pub(crate) fn tools(&self) -> &[Tool] {
        self.tools.get().map_or(&[], Vec::as_slice)
    }

    /// Where lookups are noted; nowhere, when nobody wants to know or no service ever gave anything.
    pub(crate) fn to_note(&self) -> Option<&Lookups> {
        let new = || {
            let store = self.session.as_ref()?.store()?;
            Lookups::new(store.layout(), &self.scopes).map(Arc::new)
        };
        self.lookups.get_or_init(new).as_deref()
    }

    /// The lookups so far, where any were noted.
    pub(crate) fn lookups(&self) -> Option<Arc<Lookups>> {
        self.lookups.get().cloned().flatten()
    }

    /// Returns what a build of `dep_hash` would leave, if that can be had.
    pub(crate) fn lookup(
        &self,
        package: &str,
        dep_hash: &ContentHash,
        mut is_current: impl FnMut(&Outputs) -> bool,
    ) -> Option<Outputs> {
        let store = self.store(package)?;
        let found = self.scopes[package].iter().find_map(|scope| {
            match store.lookup(scope, dep_hash, &mut is_current) {
                Lookup::Hit(hit) => Some(hit.outputs),
                Lookup::Miss(_) => None,
            }
        });
        if found.is_none() && !self.said_other_tools.swap(true, Ordering::Relaxed) {
            self.say_other_tools(store);
        }
        found
    }

    /// Says when an offline store was made with other tools than these: nothing they make is in it.
    fn say_other_tools(&self, store: &Store) {
        let ours = |package: &Scope| self.scopes.values().flatten().any(|scope| scope == package);
        for (directory, bake, _) in store.bakes().filter(|(_, bake, _)| ours(&bake.package)) {
            for here in self.tools() {
                let mut same_role =
                    bake.toolchain.iter().filter(|there| there.role == here.role).peekable();
                let Some(there) = same_role.peek().copied() else { continue };
                if same_role.all(|there| there.identity != here.identity) {
                    tracing::info!(
                        "offline store {}: {} was baked with another toolchain: {}, and here it is \
                         {}; its outputs will be built",
                        directory.display(),
                        bake.package,
                        describe(there),
                        describe(here),
                    );
                    break;
                }
            }
        }
    }

    /// Files what the build of `dep_hash` left; its artifacts are in the store. Returns how it differs
    /// from what was made of the same inputs before, if it does.
    pub(crate) fn record(
        &self,
        package: &str,
        dep_hash: &ContentHash,
        outputs: &Outputs,
    ) -> Option<Difference> {
        let store = self.store(package)?;
        match store.record(&self.scopes[package][0], dep_hash, outputs) {
            Ok(Recorded::Differs(other)) => {
                let side = |outputs| Side { outputs, store: Some(store) };
                first_difference(side(&other), side(outputs))
            }
            Ok(Recorded::Known | Recorded::New) => None,
            Err(error) => {
                tracing::debug!("not kept in the store: {error}");
                None
            }
        }
    }

    /// Whether mappings are collected.
    pub(crate) fn collects(&self) -> bool {
        self.collected.is_some()
    }

    /// What a service has, where steps are to be compared with that.
    pub(crate) fn uploads(&self) -> Option<&Uploads> {
        self.uploads.as_deref()
    }

    /// Adds a mapping of `target` of `package`, made from `trace`, to those collected.
    pub(crate) fn collect(
        &self,
        package: &str,
        target: &str,
        trace: &BuildTrace,
        outputs: &Outputs,
    ) {
        if self.only_kept && !self.scopes.contains_key(package) {
            return;
        }
        if let Some(collected) = &self.collected {
            let dep_hash = trace.hash();
            let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
            owners.insert(dep_hash, target.to_owned());
            let mut collected = collected.lock().unwrap_or_else(PoisonError::into_inner);
            let inputs = collected.nodes.of_trace(trace.parts());
            // What is made from the same inputs is the same file; how long it took is no part of it.
            let outputs = Outputs { milliseconds: None, ..outputs.clone() };
            collected.mappings.insert(dep_hash, outputs);
            collected.mappings.set_inputs(dep_hash, inputs);
        }
    }

    /// The targets that the collected mappings belong to, by dep hash.
    pub(crate) fn owners(&self) -> HashMap<ContentHash, String> {
        std::mem::take(&mut *self.owners.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The mappings of all targets touched so far, where they were to be collected.
    pub fn mappings(&self) -> Option<Mappings> {
        let mut collected = self.collected.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        Some(std::mem::take(&mut *collected).mappings)
    }
}

fn describe(tool: &Tool) -> String {
    let target = match &tool.target {
        Some(target) => format!(" for {}", target.escape_debug()),
        None => String::new(),
    };
    let (role, name) = (tool.role.escape_debug(), tool.name.escape_debug());
    format!("{role} is {name}{target} ({})", &tool.identity.to_string()[..12])
}

/// The user's store, with the offline store of `settings` behind it.
///
/// # Errors
/// When there is no directory for it, or it cannot be made.
pub fn user_store(settings: &StoreSettings) -> Result<Store, StoreError> {
    let store = settings.open_local()?;
    Ok(match &settings.offline_store {
        Some(directory) => store.with_offline(directory.clone()),
        None => store,
    })
}

/// [`user_store`], and behind it, unless `settings` say that nothing is fetched, services that fetch
/// what was added to it.
///
/// # Errors
/// As [`user_store`].
pub fn open_store(settings: &StoreSettings) -> Result<Store, StoreError> {
    let store = user_store(settings)?;
    if settings.offline {
        return Ok(store);
    }
    Ok(match settings.services() {
        Ok(config) => match larder_remote::on_demand(config, store.layout()) {
            Some(upstream) => store.with_upstream(upstream),
            None => store,
        },
        Err(error) => {
            tracing::info!("fetching nothing from services: {error}");
            store
        }
    })
}
