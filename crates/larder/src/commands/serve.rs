//! `serve`: the dashboard of an ecosystem, on a port or as files.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use larder_project::set::PackageSet;
use larder_runs::DataDir;
use larder_serve::{
    ExportError, export,
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

/// Show an ecosystem in a browser: how it stands, what broke, and why
#[derive(Args)]
pub struct Serve {
    #[command(flatten)]
    data: Data,
    /// Where to listen; anybody who can connect can read
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Write the same pages to DIR as files, for any web host, and exit
    #[arg(long, value_name = "DIR", conflicts_with = "listen")]
    export: Option<PathBuf>,
}

/// Runs `larder serve`.
pub fn serve(app: &App, arguments: &Serve) -> Result<Exit, Failure> {
    let data = arguments.data.open()?;
    let ecosystem = ecosystem(app, data);
    match &arguments.export {
        Some(directory) => write(app, &ecosystem, directory),
        None => listen(app, ecosystem, arguments.listen),
    }
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
            Ecosystem { data, name: set.name, people, store }
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
fn listen(app: &App, ecosystem: Ecosystem, address: SocketAddr) -> Result<Exit, Failure> {
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
        let end = async {
            while !app.processes.ending() {
                time::sleep(BEAT).await;
            }
        };
        larder_serve::serve(listener, ecosystem, &Limits::default(), end).await;
        Ok(Exit::Done)
    })
}
