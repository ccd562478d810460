//! What is published on a service: where objects lie there, what they hold, and whether they are what
//! their names say. No I/O but that of files at hand; how objects travel is the business of others.
//!
//! A revision is one small object ([`envelope`]) with a [`Section`]: mappings, and the packs that hold
//! their artifacts. `docs/formats-cache.md` has the layout.

pub mod envelope;
pub mod old;
pub mod packs;
pub mod paths;
pub mod section;
pub mod verify;

pub use envelope::Signature;
pub use packs::PublishedPack;
pub use section::{Content, Section, SnapshotId};
