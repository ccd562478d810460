//! All of it at once: solves, blesses, builds, tests and documents the packages of a set.
//!
//! ```text
//! larder-set.toml ─▶ catalogue ─▶ solutions ─▶ builds ─▶ schedule ─▶ layers and results
//!                    what there is  which versions  what is built  when     what came of it
//! ```
//!
//! It parses no arguments, prints nothing and reads no environment: whoever calls it hands in settings, and is told
//! what happens.

pub mod bisect;
pub mod bless;
pub mod build;
pub mod catalogue;
pub mod compare;
pub mod compilers;
pub mod docs;
pub mod event;
pub mod graph;
pub mod hashes;
mod kept;
pub mod layer;
pub mod past;
pub mod queue;
pub mod revision;
pub mod run;
pub mod schedule;
pub mod since;
pub mod solve;
pub mod tasks;
#[cfg(test)]
mod testing;
