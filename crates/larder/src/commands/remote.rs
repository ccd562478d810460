//! The option that has actions run elsewhere, which is the same for all that builds.

use std::sync::Arc;

use clap::Args;
use larder_engine::session::Session;
use larder_reapi::{RemoteExecutor, address::Address, settings::Settings};

use super::App;
use crate::exit::Failure;

/// Where actions run.
#[derive(Args, Default)]
pub struct RemoteArgs {
    /// Have a server of the Remote Execution API run commands and keep their results: grpc://HOST:PORT,
    /// grpcs://HOST:PORT, unix:PATH, or the name of a service of kind "reapi"; `none` for no server
    /// [default: the one that is configured]
    #[arg(long, value_name = "URL")]
    remote: Option<String>,
}

impl RemoteArgs {
    /// Returns `session`, which asks a server before this machine where one is wanted.
    ///
    /// # Errors
    /// The server's settings cannot be used.
    pub fn session(&self, app: &App, session: Arc<Session>) -> Result<Arc<Session>, Failure> {
        let wanted = self.remote.as_deref();
        if wanted == Some("none") || wanted.is_none() && app.resolution.offline {
            return Ok(session);
        }
        let Some((name, settings)) = chosen(app, wanted)? else { return Ok(session) };
        let executor = RemoteExecutor::open(settings, name.clone(), app.processes.clone());
        let executor = executor.map_err(|error| Failure::wrong(format!("{name}: {error}")))?;
        Ok(session.asking(Arc::new(executor)))
    }
}

/// Returns the server that is `wanted`, or else configured, with its name.
fn chosen(app: &App, wanted: Option<&str>) -> Result<Option<(String, Settings)>, Failure> {
    if let Some(url) = wanted.filter(|wanted| Address::is_meant(wanted)) {
        let address =
            Address::parse(url).map_err(|error| Failure::wrong(format!("--remote: {error}")))?;
        return Ok(Some((url.to_owned(), Settings::new(address))));
    }
    let config = match app.store.services() {
        // A build without a service says so by itself.
        Err(_) if wanted.is_none() => return Ok(None),
        config => config.map_err(Failure::wrong)?,
    };
    let Some(service) = config.cluster(wanted).map_err(Failure::wrong)? else { return Ok(None) };
    let settings = Settings::of_service(service);
    let settings =
        settings.map_err(|error| Failure::wrong(format!("service {}: {error}", service.name)))?;
    Ok(Some((service.name.clone(), settings)))
}
