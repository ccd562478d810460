//! Offline stores that were baked: packs, and an index that says for what they were made.
//!
//! ```text
//! offline.json         the index: one entry for each package that was baked
//! packs/<id>.pack      its mappings and artifacts, in a pack named by its own index's hash
//! packs/<id>.pack      the objects of a commit that a dependency from Git is pinned to
//! ```
//!
//! The index names its packs by content, so it vouches for all they hold. Whoever reads one writes
//! nothing, needs no permission but to read, and verifies every block and artifact at each use.

mod checkouts;
mod index;
mod packs;
mod sharing;
mod verify;
mod write;

pub use checkouts::{Objects, checkouts, copy_checkout};
pub use index::{Bake, Checkout, INDEX_NAME, OFFLINE_SCHEMA, Tool};
pub(crate) use packs::{Offline, Shelf};
pub use sharing::check;
pub use verify::{OfflineReport, verify};
pub use write::{Recipe, add};

use std::path::Path;

/// Whether a baked store stands at `directory`, readable or not.
pub fn is_baked(directory: &Path) -> bool {
    directory.join(INDEX_NAME).symlink_metadata().is_ok()
}
