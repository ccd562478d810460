//! Who wrote what on a cache server of one's own, and what goes with a key.

use std::path::PathBuf;

use larder_runs::{sanitise, time::format_millis};
use larder_serve::cache::{self, Dependent, Revoked, Written};
use serde_json::{Value, json};

use super::report::{Reporter, bytes, count};
use crate::exit::{Exit, Failure};

/// The directory of a server.
#[derive(clap::Args)]
pub struct Args {
    /// Ask the directory of a cache server instead
    #[arg(long, value_name = "DIR")]
    server: Option<PathBuf>,
    /// The server's file of keys [default: keys.json in its directory]
    #[arg(long, value_name = "FILE", requires = "server")]
    keys: Option<PathBuf>,
}

/// Where a server keeps things.
pub struct Place {
    directory: PathBuf,
    keys: PathBuf,
}

impl Args {
    /// The server that is meant, if one is.
    pub fn place(&self) -> Option<Place> {
        let directory = self.server.clone()?;
        let keys = self.keys.clone().unwrap_or_else(|| cache::keys_of(&directory));
        Some(Place { directory, keys })
    }
}

/// `cache blame --server`.
pub fn blame(reporter: &Reporter<'_>, place: &Place, names: &[String]) -> Result<Exit, Failure> {
    let mut asked: Vec<_> = names.iter().map(|name| Some(name.as_str())).collect();
    if asked.is_empty() {
        asked.push(None);
    }
    let mut absent = Vec::new();
    for name in asked {
        let written = cache::blame(&place.directory, &place.keys, name);
        let written = written.map_err(Failure::failed)?;
        if let (Some(name), true) = (name, written.is_empty()) {
            absent.push(format!("{name:?}"));
        }
        for object in &written {
            reporter.result(line(object), event("written", object));
        }
    }
    match absent.is_empty() {
        true => Ok(Exit::Done),
        false => Err(Failure::failed(format!("the server has no object {}", absent.join(", ")))),
    }
}

/// `cache revoke --server`.
pub fn revoke(reporter: &Reporter<'_>, place: &Place, key: &str) -> Result<Exit, Failure> {
    let revoked = cache::revoke(&place.directory, &place.keys, key).map_err(Failure::failed)?;
    let Revoked { key, removed, dependents } = revoked;
    for object in &removed {
        reporter.result(format!("removed {}", line(object)), event("removed", object));
    }
    for Dependent { object, named } in &dependents {
        let mut event = event("dependent", object);
        event["named"] = json!(named);
        let names = sanitise::line(named.join(", "));
        reporter.result(format!("removed {}; it named {names}", line(object)), event);
    }
    let text = format!(
        "revoked {}: it had written {}, {} of other keys named some of that",
        key.id,
        count(removed.len(), "object"),
        count(dependents.len(), "object"),
    );
    let event = json!({
        "event": "revoked", "key": key.id, "objects": removed.len(), "dependents": dependents.len(),
    });
    reporter.done(text, event);
    Ok(Exit::Done)
}

fn line(object: &Written) -> String {
    let holder = object.holder.as_ref().map(|holder| format!(" ({})", sanitise::line(holder)));
    format!(
        "{}: {}, {}{}, {}",
        sanitise::line(&object.name),
        format_millis(object.at),
        object.key,
        holder.unwrap_or_default(),
        bytes(object.size)
    )
}

fn event(what: &str, object: &Written) -> Value {
    json!({
        "event": what,
        "object": object.name,
        "key": object.key,
        "holder": object.holder,
        "at": object.at,
        "bytes": object.size,
    })
}
