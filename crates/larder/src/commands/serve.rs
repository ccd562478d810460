//! `serve`: the dashboard of an ecosystem, on a port or as files.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use larder_project::{set::PackageSet, size};
use larder_runs::DataDir;
use larder_serve::{
    ExportError, Hosts,
    cache::{self, CacheServer, Config, Reads, Scope},
    export,
    server::Limits,
    site::{Ecosystem, People},
};
use larder_store::Store;
use larder_trace::{Level, describe_io};
use serde_json::json;
use tokio::{net::TcpListener, runtime, time};

use super::{
    App, here,
    records::{Data, plural},
};
use crate::exit::{Exit, Failure};

/// Show an ecosystem in a browser, and be the artifact cache of a team
#[derive(Args)]
pub struct Serve {
    #[command(flatten)]
    data: Data,
    /// Where to listen; anybody who can connect can read the pages
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// A name that a web server before this one calls it by; may be given several times
    #[arg(long, value_name = "NAME")]
    host: Vec<String>,
    /// Write the same pages to DIR as files, for any web host, and exit
    #[arg(long, value_name = "DIR", conflicts_with_all = ["listen", "host", "cache"])]
    export: Option<PathBuf>,
    #[command(flatten)]
    cache: CacheServerOptions,
}

/// The options of the cache of a team.
#[derive(Args)]
struct CacheServerOptions {
    /// Be a service for `larder cache` that speaks S3, over DIR
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Let everybody read artifacts, not only who has a key
    #[arg(long, requires = "cache")]
    anonymous_reads: bool,
    /// The bytes that artifacts may take, such as 50G: what was not read for longest goes first
    #[arg(long, value_name = "SIZE", requires = "cache", value_parser = size::bytes)]
    quota: Option<u64>,
    /// Make a key for who may write, print it once as ID:SECRET, and exit
    #[arg(long, value_name = "NAME", requires = "cache", num_args = 0..=1)]
    init_key: Option<Option<String>>,
    /// What the key may write, a path or *; may be given several times [default: *]
    #[arg(long, value_name = "SCOPE", requires = "init_key")]
    key_scope: Vec<Scope>,
}

impl CacheServerOptions {
    /// The settings of the server that is asked for.
    fn config(&self) -> Option<Config> {
        let reads = if self.anonymous_reads { Reads::Anonymous } else { Reads::ByKey };
        let config = Config::new(self.cache.clone()?);
        Some(Config { reads, quota: self.quota, ..config })
    }
}

/// Runs `larder serve`.
pub fn serve(app: &App, arguments: &Serve) -> Result<Exit, Failure> {
    let config = arguments.cache.config();
    if let (Some(config), Some(name)) = (&config, &arguments.cache.init_key) {
        return init_key(app, config, name.as_deref(), &arguments.cache.key_scope);
    }
    let data = match &config {
        // A team may have a cache and no ecosystem.
        Some(_) => arguments.data.find().unwrap_or_else(|_| DataDir::new(here().join(NO_DATA))),
        None => arguments.data.open()?,
    };
    let mut ecosystem = ecosystem(app, data);
    match &arguments.export {
        Some(directory) => write(app, &ecosystem, directory),
        None => {
            let cache = config.as_ref().map(CacheServer::open).transpose();
            ecosystem.cache = cache.map_err(|error| Failure::failed(error.to_string()))?;
            listen(app, ecosystem, arguments.listen, &arguments.host)
        }
    }
}

/// Where run data would be, where there are none.
const NO_DATA: &str = ".larder/data";

/// Makes a key, and shows its secret: on standard output, and nowhere else.
fn init_key(
    app: &App,
    config: &Config,
    name: Option<&str>,
    scopes: &[Scope],
) -> Result<Exit, Failure> {
    if app.ui.json() {
        let message = "--init-key prints a secret, which no event has";
        return Err(Failure::wrong(message).hint("leave --json out"));
    }
    let scopes = if scopes.is_empty() { &[Scope::All] } else { scopes };
    let key = cache::init_key(&config.keys, name, scopes);
    let key = key.map_err(|error| Failure::failed(error.to_string()))?;
    app.ui.result(&format!("{}:{}", key.id, key.secret));
    let scopes: Vec<String> = scopes.iter().map(ToString::to_string).collect();
    app.ui.status(&format!(
        "this key may write {}; give it to who uploads, as LARDER_CACHE_KEY: it is not shown again",
        scopes.join(", ")
    ));
    Ok(Exit::Done)
}

/// What is known of an ecosystem: of its set, where there is one, and of this machine.
fn ecosystem(app: &App, data: DataDir) -> Ecosystem {
    let path = data.set(here()).filter(|path| path.is_file());
    let set = path.and_then(|path| match PackageSet::read(&path) {
        Ok(set) => Some(set),
        // The run data say without it how everything stands.
        Err(wrong) => {
            let message = "the set cannot be read: no maintainers are shown";
            app.ui.note(Level::Warning, message);
            app.ui.diagnostics(&wrong);
            None
        }
    });
    let store = app.store.directory.clone().or_else(|| Store::default_directory().ok());
    match set {
        Some(set) => {
            let people = People::new(set.maintainers);
            Ecosystem { name: set.name, people, store, ..Ecosystem::new(data) }
        }
        None => Ecosystem { store, ..Ecosystem::new(data) },
    }
}

/// Writes the pages as files.
fn write(app: &App, ecosystem: &Ecosystem, directory: &Path) -> Result<Exit, Failure> {
    let exported = export(ecosystem, directory).map_err(|error| match error {
        ExportError::Foreign(_) => Failure::wrong(error.to_string()),
        error => Failure::failed(error.to_string()),
    })?;
    let files = plural(exported.files as u64, "file");
    app.ui.status(&format!(
        "{files} in {}: {} written, {} removed",
        directory.display(),
        exported.written,
        exported.removed
    ));
    app.ui.event_json(&json!({
        "event": "exported",
        "directory": directory,
        "files": exported.files,
        "written": exported.written,
        "removed": exported.removed,
    }));
    Ok(Exit::Done)
}

/// How often one looks whether the server is to end.
const BEAT: Duration = Duration::from_millis(50);

/// Answers requests until a signal says to end; those that are under way are finished.
fn listen(
    app: &App,
    ecosystem: Ecosystem,
    address: SocketAddr,
    names: &[String],
) -> Result<Exit, Failure> {
    app.ends_commands()?;
    let _finishing = app.processes.finish_parts();
    let failed = |error: std::io::Error| {
        let reason = describe_io(&error);
        Failure::failed(format!("cannot listen on {address}: {reason}"))
            .hint("choose another port with --listen ADDR:PORT; port 0 takes any that is free")
    };
    let runtime = runtime::Builder::new_multi_thread().enable_all().build().map_err(failed)?;
    runtime.block_on(async {
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        app.ui.event_json(&json!({ "event": "listening", "address": address }));
        app.ui.status(&format!("http://{address} shows {}", ecosystem.data.root().display()));
        if ecosystem.cache.is_some() {
            app.ui.status("it is also a service for artifacts: url = \"s3://larder\"");
        }
        let end = async {
            while !app.processes.ending() {
                time::sleep(BEAT).await;
            }
        };
        let hosts = Hosts::of(address, names);
        larder_serve::serve(listener, ecosystem, hosts, &Limits::default(), end).await;
        Ok(Exit::Done)
    })
}
