//! Trying a package once more, from scratch, whether or not it has a layer.

use std::{fs, path::PathBuf};

use super::{BuildTask, Built, Ended, Log, Workshop, make, with_work, work::Work};
use crate::layer::{Layer, Layers, remove_tree};

/// Where the layers of trials are in the data: as long as the name of the directory of layers, since a path of the one may
/// take the place of the other in any file.
const TRIALS: &str = "trials";

/// A layer that nobody else sees; gone when this is.
#[derive(Debug)]
pub struct Trial {
    /// The layer.
    pub layer: Layer,
    /// Nobody else tries the same meanwhile.
    _work: Work,
}

impl Drop for Trial {
    fn drop(&mut self) {
        if let Err(error) = remove_tree(&self.layer.directory) {
            tracing::info!("cannot remove {}: {error}", self.layer.directory.display());
        }
    }
}

impl Workshop {
    /// Returns a workshop in the same data for [trials](afresh): what is built there is put where nobody sees it, and
    /// nothing comes from the store or goes there.
    #[must_use]
    pub fn for_trials(&self) -> Self {
        let shop = Self::new(self.data.clone(), self.session.clone(), self.resolution.clone());
        Self { trials: Some(Layers::new(self.data.root().join(TRIALS))), ..shop }
    }

    /// Where what is built is put.
    pub(super) fn homes(&self) -> &Layers {
        self.trials.as_ref().unwrap_or(&self.layers)
    }

    /// Removes what builds and trials left behind whose larder was killed. Those that are going on are left alone.
    pub fn clean_up(&self) {
        let below = |directory: PathBuf| fs::read_dir(directory).into_iter().flatten().flatten();
        for entry in below(self.work()) {
            // It is gone when nobody has it any more.
            if let Err(error) = Work::claim(&entry.path()) {
                tracing::info!("cannot remove {}: {error}", entry.path().display());
            }
        }
        for entry in below(self.data.root().join(TRIALS)) {
            // Whoever tries it has its work directory.
            let claimed = Work::claim(&self.work().join(entry.file_name()));
            if let Ok(Some(_work)) = claimed
                && let Err(error) = remove_tree(&entry.path())
            {
                tracing::info!("cannot remove {}: {error}", entry.path().display());
            }
        }
    }
}

/// Builds a package in a workshop [for trials](Workshop::for_trials) as if it had never been built. Returns what was
/// installed as well, to be tested.
pub fn afresh(shop: &Workshop, task: &BuildTask, log: &Log) -> (Built, Option<Trial>) {
    let (built, work) =
        with_work(shop, task, log, |dep_hash, work| make(shop, task, dep_hash, work, log));
    let trial = match (&built.ended, work) {
        (Ended::Worked(layer), Some(work)) => Some(Trial { layer: layer.clone(), _work: work }),
        _ => None,
    };
    (built, trial)
}
