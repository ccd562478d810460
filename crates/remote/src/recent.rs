//! The newest revisions of a scope, by name: a hint for who looks for something to begin with.
//!
//! Nothing relies on it: whoever writes last wins, and what it names may be gone.

use larder_store::{Revision, Scope, published::paths};
use serde::{Deserialize, Serialize};

use crate::{RemoteError, Service};

/// How many names are kept.
const MOST: usize = 32;

const SCHEMA: &str = "2";

/// The object `recent/<scope>.json`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Recent {
    schema_version: String,
    /// Newest first.
    revisions: Vec<String>,
}

/// Returns the newest revisions of `scope`, newest first. An object that is not one names none.
pub async fn read(service: &Service, scope: &Scope) -> Result<Vec<Revision>, RemoteError> {
    let Some(bytes) = service.read(&paths::recent(scope)).await? else { return Ok(Vec::new()) };
    let names = match serde_json::from_slice::<Recent>(&bytes) {
        Ok(recent) if recent.schema_version == SCHEMA => recent.revisions,
        _ => Vec::new(),
    };
    Ok(names.iter().filter_map(|name| name.parse().ok()).take(MOST).collect())
}

/// Notes that `revision` is the newest, before those that were `known`.
pub async fn add(
    service: &Service,
    scope: &Scope,
    revision: &Revision,
    known: &[Revision],
) -> Result<(), RemoteError> {
    let others = known.iter().filter(|known| *known != revision);
    let names = std::iter::once(revision).chain(others).take(MOST).map(Revision::to_string);
    write(service, scope, names.collect()).await
}

/// Notes that of the revisions only `kept` are left, newest first.
pub async fn replace(
    service: &Service,
    scope: &Scope,
    kept: &[Revision],
) -> Result<(), RemoteError> {
    write(service, scope, kept.iter().take(MOST).map(Revision::to_string).collect()).await
}

async fn write(
    service: &Service,
    scope: &Scope,
    revisions: Vec<String>,
) -> Result<(), RemoteError> {
    let recent = Recent { schema_version: SCHEMA.to_owned(), revisions };
    let bytes = serde_json::to_vec(&recent).map_err(|error| RemoteError::Local {
        action: "write down the newest revisions".to_owned(),
        source: error.into(),
    })?;
    service.write(&paths::recent(scope), bytes.into(), true).await.map(|_| ())
}
