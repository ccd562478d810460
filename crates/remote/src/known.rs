//! Artifacts that a service is known to hold for a scope.

use std::collections::BTreeMap;

use futures_util::{StreamExt, stream};
use larder_store::Scope;
use larder_trace::ContentHash;

use crate::{
    Catalogue, RemoteError, Service,
    catalogue::RemotePack,
    paths::{self, CATALOGUE},
};

/// How many catalogues, the newest ones, are read. What only older revisions hold is sent again.
const CATALOGUES: usize = 32;

/// The packs that the newest revisions of `scope` use, by id. A catalogue that cannot be read or
/// trusted costs only what it would have told.
pub async fn known_packs(
    service: &Service,
    scope: &Scope,
) -> Result<BTreeMap<ContentHash, RemotePack>, RemoteError> {
    let directory = paths::revisions(scope);
    // Not every server can list, and not every key may.
    let listed = service.list(&directory).await.inspect_err(|error| tracing::debug!(%error));
    let mut listed = listed.unwrap_or_default();
    listed.retain(|object| object.name.ends_with(CATALOGUE));
    listed.sort_by(|a, b| (b.modified, &b.name).cmp(&(a.modified, &a.name)));
    listed.truncate(CATALOGUES);
    let catalogues = stream::iter(listed).map(|object| {
        let path = format!("{directory}/{}", object.name);
        async move {
            let text =
                service.read(&path).await.inspect_err(|error| tracing::debug!(%error)).ok()??;
            Catalogue::parse(&text)
                .inspect_err(|error| tracing::info!(path, %error, "corrupt catalogue: ignored"))
                .ok()
        }
    });
    let catalogues: Vec<_> = catalogues.buffer_unordered(service.connections).collect().await;
    let packs = catalogues.into_iter().flatten().flat_map(|catalogue| catalogue.packs);
    Ok(packs.map(|pack| (pack.id, pack)).collect())
}
