//! Where it is kept: the content-addressed store.
//!
//! A [`Store`] holds artifacts under the hash of their content and mappings from dep hashes to
//! output descriptions. Everything read back is verified before anyone sees it; what is corrupt is
//! absent. A [`Mappings`] file carries mappings between machines, a [`staging`] directory carries
//! them together with their artifacts, a [`pack`] does so in one compressed file, an [`offline`]
//! store keeps packs where no network is, and [`published`] is what a service has of them.

mod artifacts;
mod candidates;
mod copy;
mod error;
mod files;
pub mod gc;
mod layout;
mod lookup;
mod mappings;
mod names;
pub mod offline;
pub mod pack;
pub mod packing;
pub mod published;
mod session;
pub mod staging;
pub mod stats;
mod store;
pub mod verify;

pub use artifacts::{How, Miss, TakenIn, Unfetched};
pub use candidates::Recorded;
pub use error::StoreError;
pub use files::is_temporary;
pub use layout::Layout;
pub use lookup::{Hit, Lookup, MissReason, Tier};
pub use mappings::{
    InputNode, InputNodes, MAPPINGS_SCHEMA, MappedArtifact, Mappings, MappingsError,
    MappingsReason, NodeTable,
};
pub use names::{ArtifactName, NameError, Ref, Revision, Scope, check_outputs, check_path};
pub use store::{Fetch, Store, Upstream};
