//! Steps whose commands write their outputs where they belong.

use std::sync::atomic::{AtomicU64, Ordering};

use larder_trace::{ContentHash, MTime, Outputs, clear_trace_file};

use super::{Inputs, Step, execute::Done};
use crate::{
    artifact::{Artifact, Form},
    context::Context,
    executor::ExecuteError,
    ninja::Sharing,
};
use larder_trace::Content;

/// Under which key outputs are kept in the store.
pub(super) enum Shared {
    /// Under the dep hash of the step.
    ByDepHash,
    /// Not at all.
    No,
    /// Under a key in which the places of this machine do not count, where the outputs do not tell of
    /// those; else under the dep hash.
    ByContent {
        portable: ContentHash,
        /// Whether what the command printed tells of them.
        told: bool,
    },
}

impl Shared {
    /// Whether the store may take the outputs.
    pub fn is_possible(&self) -> bool {
        !matches!(self, Self::No)
    }

    /// Returns the key for the outputs of a record.
    pub fn key(
        &self,
        step: &Step,
        cx: &Context,
        dep_hash: ContentHash,
        record: &Outputs,
    ) -> Option<ContentHash> {
        match *self {
            Self::ByDepHash => Some(dep_hash),
            Self::No => None,
            Self::ByContent { portable, told } => {
                let bound = told || step.tells_of_places(cx, record);
                Some(if bound { dep_hash } else { portable })
            }
        }
    }
}

impl Step {
    /// Whether the store is asked for the outputs.
    pub(super) fn is_shared(&self) -> bool {
        !self.is_deferred()
            && self.work.in_place().is_none_or(|shell| !matches!(shell.sharing, Sharing::Never))
    }

    /// Returns the keys under which the store may have the outputs.
    pub(super) fn keys(&self, inputs: Inputs<'_>, dep_hash: ContentHash) -> Vec<ContentHash> {
        match self.work.in_place().map(|shell| &shell.sharing) {
            None => vec![dep_hash],
            Some(Sharing::Never) => Vec::new(),
            Some(Sharing::Known { portable, .. }) => {
                let portable = portable.as_ref().map(|prefix| prefix.hash_with(inputs.trace));
                portable.into_iter().chain([dep_hash]).collect()
            }
        }
    }

    /// Returns how the outputs of work that is done may be kept.
    pub(super) fn shared_as(&self, cx: &Context, inputs: Inputs<'_>, done: &Done) -> Shared {
        let Some(shell) = self.work.in_place() else {
            return if self.is_deferred() { Shared::No } else { Shared::ByDepHash };
        };
        let regular =
            |path: &std::path::Path| path.symlink_metadata().is_ok_and(|found| found.is_file());
        let in_place = self.outputs.iter().all(|output| {
            output.path.is_inside()
                && output.path.parents().all(|path| !cx.is_link(&self.place.build_path(&path)))
                && regular(&cx.absolute(&self.place.build_path(&output.path)))
        });
        match &shell.sharing {
            Sharing::Known { .. } if !in_place || done.silent => Shared::No,
            Sharing::Never => Shared::No,
            Sharing::Known { portable: None, .. } => Shared::ByDepHash,
            Sharing::Known { portable: Some(prefix), places } => {
                let told = done
                    .log
                    .iter()
                    .any(|entry| places.iter().any(|place| entry.message.contains(&**place)));
                Shared::ByContent { portable: prefix.hash_with(inputs.trace), told }
            }
        }
    }

    /// Whether an output tells where on this machine it was made.
    fn tells_of_places(&self, cx: &Context, record: &Outputs) -> bool {
        let Some(Sharing::Known { places, .. }) = self.work.in_place().map(|shell| &shell.sharing)
        else {
            return true;
        };
        record.outputs.iter().any(|file| {
            let Ok(path) = self.recorded(&file.path) else { return true };
            let Ok(bytes) = std::fs::read(cx.absolute(&path)) else { return true };
            places.iter().any(|place| memchr::memmem::find(&bytes, place.as_bytes()).is_some())
        })
    }

    /// Returns how the step ends where its command has not written each of its outputs as a file, or nobody knows what
    /// has run. There is nothing to record then, so that it is run in each build, and what needs it as well.
    pub(super) fn unfinished_in_place(
        &self,
        cx: &Context,
    ) -> Option<Result<Vec<Artifact>, ExecuteError>> {
        let path = |at: usize| self.place.build_path(&self.outputs[at].path);
        let is_file = |at: usize| cx.absolute(&path(at)).is_file();
        let believed = self.work.in_place().is_some_and(|shell| shell.believed);
        if !believed && (0..self.outputs.len()).all(is_file) {
            return None;
        }
        let trace_path = cx.absolute(&self.trace_path());
        if let Err(error) = clear_trace_file(&trace_path) {
            return Some(Err(ExecuteError::io(&trace_path, &error)));
        }
        let artifacts = (0..self.outputs.len()).map(|at| Artifact {
            path: path(at),
            hash: unique(),
            mtime: MTime::NONE,
            form: Form::File(Content::Binary),
            elided: None,
        });
        Some(Ok(artifacts.collect()))
    }
}

/// Returns a hash that no other call gives, and none of another build.
pub(crate) fn unique() -> ContentHash {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    let text = format!("{} {} {call}", std::process::id(), MTime::now().0);
    ContentHash::of_bytes(text.as_bytes())
}
