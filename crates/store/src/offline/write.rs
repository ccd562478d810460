//! Baking: filling an offline store from another.

use std::{fs, path::Path};

use larder_trace::{ContentHash, atomic::temporary_name, lock::FileLock};

use super::{
    Bake, Checkout, INDEX_NAME, Objects, Tool,
    checkouts::pack_objects,
    index,
    sharing::{create_directory, let_all_read},
};
use crate::{
    Mappings, Scope, Store, StoreError, files,
    pack::{Handled, Limits, Options, Pack},
    packing::{self, PackingReport},
};

/// The description of a bake, to go with its mappings and artifacts.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// The package whose build it is.
    pub package: Scope,
    /// The platform it is for; `None` when it can be used anywhere.
    pub platform: Option<String>,
    /// The targets that were asked for.
    pub targets: Vec<String>,
    /// The tools it was made with.
    pub toolchain: Vec<Tool>,
}

/// Adds `mappings` and their artifacts from `store`, and `checkouts`, to the offline store at `directory`, in
/// place of what was baked there of the same package for the same platform. When an artifact is missing, says
/// so in the report (`missing`), with no bake, and leaves the offline store as it was.
///
/// # Errors
/// When the offline store cannot be written, or was baked by a newer larder.
pub fn add(
    store: &Store,
    mappings: &Mappings,
    checkouts: &[Objects],
    directory: &Path,
    recipe: Recipe,
    options: &Options,
    progress: impl Fn(Handled),
) -> Result<(PackingReport, Option<Bake>), StoreError> {
    let packs = directory.join("packs");
    create_directory(&packs)?;
    // They may have been made before, by somebody who kept them private.
    let_all_read(directory)?;
    let_all_read(&packs)?;
    let _lock = lock(directory)?;
    let mut bakes = match index::read(directory) {
        Ok(bakes) => bakes,
        Err(StoreError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            Vec::new()
        }
        Err(error) => return Err(error),
    };
    // Its name is not known before it is made.
    let temporary = temporary_name(&packs.join("pack"));
    let report = packing::pack(store, mappings, &temporary, options, &progress)?;
    let added = (|| {
        if !report.missing.is_empty() {
            return Ok(None);
        }
        let (id, length) = place(&temporary, directory)?;
        let mut added = Vec::new();
        for objects in checkouts {
            pack_objects(objects, &temporary, options)?;
            let (pack, length) = place(&temporary, directory)?;
            let (package, commit) = (objects.package.clone(), objects.commit.clone());
            added.push(Checkout { package, commit, pack, length });
        }
        added.sort();
        let Recipe { package, platform, mut targets, mut toolchain } = recipe;
        targets.sort();
        targets.dedup();
        toolchain.sort();
        toolchain.dedup();
        let bake = Bake {
            package,
            platform,
            targets,
            toolchain,
            mappings: report.mappings as u64,
            artifacts: report.artifacts as u64,
            pack: id,
            length,
            checkouts: added,
        };
        bakes.retain(|old| (&old.package, &old.platform) != (&bake.package, &bake.platform));
        bakes.push(bake.clone());
        index::write(directory, bakes.clone())?;
        let_all_read(&directory.join(INDEX_NAME))?;
        remove_unlisted(&packs, directory, &bakes);
        Ok(Some(bake))
    })();
    _ = fs::remove_file(&temporary);
    added.map(|bake| (report, bake))
}

/// Gives a finished pack its name. Returns its id and its length.
fn place(temporary: &Path, directory: &Path) -> Result<(ContentHash, u64), StoreError> {
    let pack = Pack::open(temporary, &Limits::default())?;
    let (id, length) = (pack.id(), pack.length());
    let path = index::pack(directory, &id);
    let_all_read(temporary)?;
    fs::rename(temporary, &path).map_err(StoreError::io("write", &path))?;
    Ok((id, length))
}

/// One bake into a directory at a time; the lock is on the directory itself, so that none is shipped.
fn lock(directory: &Path) -> Result<FileLock, StoreError> {
    FileLock::take_directory(directory, &|| false, || {
        tracing::info!("waiting for another `larder cache bake` into {}", directory.display());
    })
    .map_err(StoreError::io("lock", directory))
}

/// Removes packs that no bake names any more, and what killed bakes left.
fn remove_unlisted(packs: &Path, directory: &Path, bakes: &[Bake]) {
    let listed: Vec<_> =
        bakes.iter().flat_map(Bake::packs).map(|id| index::pack(directory, id)).collect();
    for entry in fs::read_dir(packs).into_iter().flatten().flatten() {
        let path = entry.path();
        let ours = files::is_temporary(&path) || path.extension().is_some_and(|it| it == "pack");
        if ours && !listed.contains(&path) {
            _ = fs::remove_file(path);
        }
    }
}
