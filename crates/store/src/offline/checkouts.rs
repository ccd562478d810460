//! Checkouts of packages that come from Git, in baked stores.

use std::{fs::File, num::NonZeroUsize, path::Path};

use larder_trace::ContentHash;

use super::{
    Checkout,
    index::{self, open},
};
use crate::{
    Revision, Scope, StoreError,
    pack::{self, Entry, Member, Options, Pack},
};

/// The objects of one commit, to be baked.
#[derive(Debug)]
pub struct Objects {
    /// The package that the commit is of.
    pub package: Scope,
    /// The commit.
    pub commit: Revision,
    /// The file that has them.
    pub file: File,
}

/// The checkouts of the baked store at `directory`, for whatever platform they were baked: sources are
/// the same on all.
///
/// # Errors
/// When its index cannot be read or trusted.
pub fn checkouts(directory: &Path) -> Result<Vec<Checkout>, StoreError> {
    let bakes = index::read(directory)?;
    Ok(bakes.into_iter().flat_map(|bake| bake.checkouts).collect())
}

/// Writes the objects of `checkout` in the baked store at `directory` to a file, and verifies them on the
/// way.
///
/// # Errors
/// Why they cannot be used. What has been written is then worth nothing.
pub fn copy_checkout(directory: &Path, checkout: &Checkout, to: &File) -> Result<(), String> {
    let pack = only_artifact(open(directory, &checkout.pack, checkout.length)?)?;
    let place = |_: &Member| to.try_clone().map(Some);
    pack.unpack(NonZeroUsize::MIN, place, |_| ()).map_err(|error| error.to_string())
}

/// Makes sure that the pack holds one artifact and nothing else.
fn only_artifact(pack: Pack) -> Result<Pack, String> {
    let index = pack.index();
    match (index.artifacts(), index.mappings()) {
        ([_], None) => Ok(pack),
        _ => Err(format!("{} is no pack with a checkout", pack.path().display())),
    }
}

/// Packs `objects` into `file`.
pub(super) fn pack_objects(
    objects: &Objects,
    file: &Path,
    options: &Options,
) -> Result<(), StoreError> {
    let failed = |error| StoreError::io("read the objects for", file)(error);
    let mut hasher = blake3::Hasher::new();
    let size = std::io::copy(&mut rewound(&objects.file).map_err(failed)?, &mut hasher)
        .map_err(|error| StoreError::io("read the objects for", file)(error))?;
    let hash = ContentHash::from(hasher.finalize());
    let entry = Entry { hash, size, hint: objects.package.to_string() };
    let open = |_: &Entry| rewound(&objects.file);
    pack::create(file, vec![entry], open, None, options, |_| ())?;
    Ok(())
}

fn rewound(mut file: &File) -> std::io::Result<&File> {
    std::io::Seek::rewind(&mut file)?;
    Ok(file)
}
