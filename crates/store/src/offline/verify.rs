//! Proof that a baked store is complete.

use std::{collections::BTreeMap, num::NonZeroUsize, path::Path, thread};

use larder_trace::ContentHash;

use super::{Bake, Checkout, index};
use crate::{
    StoreError,
    pack::{self, Handled, Pack},
    packing::mappings_of,
};

/// The result of a verification.
#[derive(Debug, Default)]
pub struct OfflineReport {
    /// The bakes that are complete.
    pub complete: Vec<Bake>,
    /// How many checkouts are whole, each counted once.
    pub checkouts: u64,
    /// Bytes of the packs of both.
    pub bytes: u64,
    /// Everything that is missing or wrong, and why: packs, mappings, checkouts, and artifacts with the
    /// names of their outputs.
    pub problems: Vec<(String, String)>,
}

/// Reads all of the baked store at `directory`: every bake has its packs, every mapping its artifacts,
/// every byte is what was baked. `check_checkout` proves that what is baked as a checkout is the commit.
/// Writes nothing.
///
/// # Errors
/// When the index cannot be read or trusted: then nothing can be said of the rest.
pub fn verify(
    directory: &Path,
    check_checkout: impl Fn(&Checkout) -> Result<(), String>,
    progress: impl Fn(Handled) + Sync,
) -> Result<OfflineReport, StoreError> {
    let mut report = OfflineReport::default();
    // Several bakes may share one.
    let mut checked: BTreeMap<Checkout, bool> = BTreeMap::new();
    for bake in index::read(directory)? {
        let name = match &bake.platform {
            Some(platform) => format!("{} for {}", bake.package, platform.escape_debug()),
            None => bake.package.to_string(),
        };
        let problems = match bake.open(directory) {
            Ok(pack) => check(&bake, &pack, &progress),
            Err(error) => vec![(name, error)],
        };
        let mut complete = problems.is_empty();
        report.problems.extend(problems);
        for checkout in &bake.checkouts {
            complete &= *checked.entry(checkout.clone()).or_insert_with(|| {
                let checked = check_checkout(checkout);
                match &checked {
                    Ok(()) => {
                        report.checkouts += 1;
                        report.bytes += checkout.length;
                    }
                    Err(reason) => report.problems.push((checkout.to_string(), reason.clone())),
                }
                checked.is_ok()
            });
        }
        if complete {
            report.bytes += bake.length;
            report.complete.push(bake);
        }
    }
    Ok(report)
}

fn check(bake: &Bake, pack: &Pack, progress: &(impl Fn(Handled) + Sync)) -> Vec<(String, String)> {
    let mappings = match mappings_of(pack) {
        Ok(mappings) => mappings,
        Err(error) => {
            return vec![(format!("the mappings of {}", bake.package), error.to_string())];
        }
    };
    let counted = (mappings.len() as u64, pack.index().artifacts().len() as u64);
    if counted != (bake.mappings, bake.artifacts) {
        let reason = format!(
            "{} mappings and {} artifacts were baked, and its pack holds {} and {}",
            bake.mappings, bake.artifacts, counted.0, counted.1
        );
        return vec![(bake.package.to_string(), reason)];
    }
    let threads = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    if pack.verify(threads, progress).is_ok() {
        return Vec::new();
    }
    // Something is damaged: say what of.
    let mut outputs: BTreeMap<ContentHash, &str> = BTreeMap::new();
    for file in mappings.iter().flat_map(|(_, outputs)| &outputs.outputs) {
        outputs.entry(file.hash).or_insert(&file.path);
    }
    let damaged = |artifact: &pack::Member| {
        let error = pack.read(&artifact.hash).err()?;
        let path = outputs.get(&artifact.hash).copied().unwrap_or_default();
        Some((format!("{path} ({})", artifact.hash), error.to_string()))
    };
    let problems: Vec<_> = pack.index().artifacts().iter().filter_map(damaged).collect();
    match problems.is_empty() {
        true => vec![(pack.path().display().to_string(), "it cannot be read".to_owned())],
        false => problems,
    }
}
