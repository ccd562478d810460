//! Verification of a whole store.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use larder_trace::ContentHash;

use crate::{
    Mappings, Miss, Store, StoreError,
    candidates::{self, Found},
    files,
};

/// The result of a verification.
#[derive(Debug, Default)]
pub struct VerifyReport {
    /// Artifacts that are in order.
    pub artifacts: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Dep hashes whose candidates are in order.
    pub mappings: u64,
    /// Fetched mappings files that are in order.
    pub revisions: u64,
    /// Artifacts that a mapping mentions and that are not here: collected, or never fetched.
    pub absent: BTreeSet<ContentHash>,
    /// Damaged files. Each has been moved to the store's quarantine.
    pub corrupt: Vec<Corrupt>,
}

/// A file that was not what its name says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Corrupt {
    /// Where it was.
    pub path: PathBuf,
    /// The reason, to be shown to people.
    pub reason: String,
}

/// Checks every file of `store`, artifacts by hashing them, and quarantines what is corrupt.
pub fn verify(store: &Store) -> Result<VerifyReport, StoreError> {
    let mut report = VerifyReport::default();
    let layout = store.layout();
    let mut corrupt = |path: &Path, reason: String| {
        store.local().quarantine(path);
        report.corrupt.push(Corrupt { path: path.to_owned(), reason });
    };

    let mut hashes = Vec::new();
    each_file(&layout.artifacts(), &mut |path| match stem(path, "")
        .filter(|hash| layout.artifact(hash) == path)
    {
        Some(hash) => hashes.push(hash),
        None => corrupt(path, "not the name of an artifact".to_owned()),
    })?;
    hashes.sort_unstable();

    let mut mentioned = BTreeSet::new();
    each_file(&layout.outputs(), &mut |path| {
        let Some(dep_hash) = stem(path, ".json") else {
            return corrupt(path, "not the name of a mapping entry".to_owned());
        };
        match candidates::read(path, &dep_hash) {
            Found::Candidates(candidates) => {
                report.mappings += 1;
                let files = candidates.iter().flat_map(|outputs| &outputs.outputs);
                mentioned.extend(files.map(|file| file.hash));
            }
            Found::Nothing => {}
            Found::Corrupt(reason) => corrupt(path, reason),
        }
    })?;
    each_file(&layout.revisions(), &mut |path| {
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            match Mappings::read_if_present(path) {
                Ok(_) => report.revisions += 1,
                Err(error) => corrupt(path, error.to_string()),
            }
        }
    })?;

    let checked = Mutex::new((Vec::new(), Vec::new()));
    let next = AtomicUsize::new(0);
    let check = || {
        while let Some(hash) = hashes.get(next.fetch_add(1, Ordering::Relaxed)) {
            let found = store.local().check(hash);
            let mut checked = checked.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            match found {
                Ok(length) => checked.0.push((*hash, length)),
                Err(Miss::Absent) => {}
                Err(miss) => checked.1.push(Corrupt {
                    path: layout.artifact(hash),
                    reason: match miss {
                        Miss::Corrupt => "its content does not hash to its name".to_owned(),
                        other => other.to_string(),
                    },
                }),
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..thread::available_parallelism().map_or(1, usize::from) {
            // A thread that is not to be had makes it slower.
            _ = thread::Builder::new().spawn_scoped(scope, check);
        }
        check();
    });
    let (intact, damaged) = checked.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    report.artifacts = intact.len() as u64;
    report.bytes = intact.iter().map(|(_, size)| size).sum();
    let intact: BTreeSet<_> = intact.into_iter().map(|(hash, _)| hash).collect();
    report.absent = mentioned.difference(&intact).copied().collect();
    report.corrupt.extend(damaged);
    report.corrupt.sort();
    Ok(report)
}

/// The hash that a file is named by, before `suffix`.
pub(crate) fn stem(path: &Path, suffix: &str) -> Option<ContentHash> {
    path.file_name()?.to_str()?.strip_suffix(suffix)?.parse().ok()
}

fn each_file(directory: &Path, visit: &mut dyn FnMut(&Path)) -> Result<(), StoreError> {
    files::walk(directory, &mut |path, _| {
        if !files::is_temporary(path) {
            visit(path);
        }
        Ok(())
    })
}
