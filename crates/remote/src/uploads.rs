//! Notes of uploads that are under way, for collections on the service.
//!
//! An upload builds on what older revisions refer to. It says so before it reads them; a collection
//! reads these notes after it has removed revisions and before it removes what nothing refers to any more. So
//! either the collection sees the note and spares what it names, or the upload finds the revision gone.

use larder_store::{Revision, Scope, published::paths};
use serde::{Deserialize, Serialize};

use crate::{RemoteError, Service};

const SCHEMA: &str = "2";

/// The object `uploads/<scope>/<id>.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Note {
    schema_version: String,
    /// The revisions that the upload may build on.
    bases: Vec<String>,
    /// Whether it is over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    ended: bool,
}

/// An upload that is under way and has said so.
pub struct UnderWay {
    object: String,
}

impl UnderWay {
    /// Says that an upload begins that may build on `bases`.
    pub async fn begin(
        service: &Service,
        scope: &Scope,
        bases: &[Revision],
    ) -> Result<Self, RemoteError> {
        let id = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
        let object = paths::upload(scope, &id);
        let bases = bases.iter().map(Revision::to_string).collect();
        let upload = Self { object };
        upload.write(service, bases, false).await?;
        Ok(upload)
    }

    /// Says that it is over: deletes the note, or where that is not allowed, says so in it. Where that
    /// fails as well, it is not heeded any more after a day.
    pub async fn end(self, service: &Service) {
        if service.delete(&self.object).await.is_err()
            && let Err(error) = self.write(service, Vec::new(), true).await
        {
            tracing::debug!("{error}");
        }
    }

    async fn write(
        &self,
        service: &Service,
        bases: Vec<String>,
        ended: bool,
    ) -> Result<(), RemoteError> {
        let note = Note { schema_version: SCHEMA.to_owned(), bases, ended };
        let bytes = serde_json::to_vec(&note).map_err(|error| RemoteError::Local {
            action: "note an upload".to_owned(),
            source: error.into(),
        })?;
        service.write(&self.object, bytes.into(), true).await.map(|_| ())
    }
}

/// Returns the revisions that an upload may build on, from its note; `None` where it is over. What is no
/// note is one of an upload that builds on nothing.
pub fn bases(note: &[u8]) -> Option<Vec<Revision>> {
    let note = serde_json::from_slice::<Note>(note).ok();
    let note = note.filter(|note| note.schema_version == SCHEMA);
    if note.as_ref().is_some_and(|note| note.ended) {
        return None;
    }
    let bases = note.iter().flat_map(|note| &note.bases);
    Some(bases.filter_map(|name| name.parse().ok()).collect())
}
