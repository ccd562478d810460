//! Putting from a store, and from a staging directory.

use std::{fs::File, io, path::Path};

use larder_store::{
    Mappings, Ref, Revision, Scope, Store,
    staging::{Refusal, StagingDirectory},
};
use larder_trace::{ContentHash, OutputFile};

use crate::{Overwrite, PutReport, RemoteError, Service, Transfer, Upload, put};

/// Where a revision is put, and how.
pub struct Destination<'a> {
    /// To which service, open for writing.
    pub service: &'a Service,
    /// Under which scope.
    pub scope: &'a Scope,
    /// Under which revision.
    pub revision: &'a Revision,
    /// The ref that was built, for the signature.
    pub reference: Option<&'a Ref>,
    /// Revisions that are likely to be similar, the most similar first.
    pub similar: &'a [Revision],
    /// The things that are replaced.
    pub overwrite: Overwrite,
    /// Called while it goes on.
    pub progress: &'a (dyn Fn(Transfer) + Sync),
}

/// Puts `mappings` and the artifacts that `store` has of them.
pub fn put_stored(
    to: &Destination<'_>,
    store: &Store,
    mappings: &Mappings,
) -> Result<PutReport, RemoteError> {
    let artifacts = mappings.artifacts();
    let open = |hash: &ContentHash| -> io::Result<File> {
        let artifact = artifacts.get(hash).ok_or(io::ErrorKind::NotFound)?;
        let path = artifact.name.to_string();
        let (size, executable) = (artifact.size, artifact.executable);
        let file = OutputFile { path, hash: *hash, size, executable };
        store.open_artifact(&file).map_err(io::Error::other)
    };
    put(&Upload { store: Some(store), ..upload(to, mappings, &open) })
}

/// Why a staging directory was not put.
#[derive(Debug, thiserror::Error)]
pub enum StagedError {
    /// It is not as it should be. Nothing was sent.
    #[error("the staging directory was refused; nothing was uploaded")]
    Refused(Vec<Refusal>),
    /// It changed while it was being sent. No revision was written, so nobody sees what was sent.
    #[error("the staging directory changed while it was uploaded; no revision was written")]
    Changed(PutReport),
    /// It leaves out what the service does not have after all. No revision was written.
    #[error(
        "the staging directory leaves out artifacts that the service does not have; no revision was written; \
         stage again without --since"
    )]
    Lacking(PutReport),
    /// The service did not take all of it. No revision was written, so nobody sees what was sent.
    #[error("not everything could be uploaded; no revision was written")]
    NotTaken(PutReport),
    /// The exchange with the service failed.
    #[error(transparent)]
    Remote(#[from] RemoteError),
}

/// Puts the staging directory at `directory`, of which nothing is trusted: all of it is checked
/// before the first request, and each file again as it is sent. Runs nothing, and reads nothing
/// else.
pub fn put_staged(to: &Destination<'_>, directory: &Path) -> Result<PutReport, StagedError> {
    let staging = StagingDirectory::open(directory).map_err(RemoteError::from)?;
    let contents = staging.verify().map_err(RemoteError::from)?;
    if !contents.refusals.is_empty() {
        return Err(StagedError::Refused(contents.refusals));
    }
    let open = |hash: &ContentHash| -> io::Result<File> {
        let artifact = contents.artifacts.get(hash).ok_or(io::ErrorKind::NotFound)?;
        staging.open_artifact(artifact).map_err(io::Error::other)
    };
    let upload = Upload {
        all_or_nothing: true,
        since: contents.since.as_ref(),
        ..upload(to, &contents.mappings, &open)
    };
    let report = put(&upload)?;
    let lacks = report.unreadable.keys().any(|hash| contents.left_out.contains(hash));
    match (report.refused.is_empty(), report.unreadable.is_empty()) {
        (true, true) => Ok(report),
        _ if lacks => Err(StagedError::Lacking(report)),
        (true, false) => Err(StagedError::Changed(report)),
        (false, _) => Err(StagedError::NotTaken(report)),
    }
}

fn upload<'a>(
    to: &Destination<'a>,
    mappings: &'a Mappings,
    open: &'a crate::put::OpenArtifact<'a>,
) -> Upload<'a> {
    let Destination { service, scope, revision, reference, similar, overwrite, progress } = *to;
    Upload {
        service,
        scope,
        revision,
        reference,
        similar,
        since: None,
        mappings,
        open,
        store: None,
        overwrite,
        all_or_nothing: false,
        progress,
    }
}
