//! Keys for continuous integration: what decides a job's result, as one name.
//!
//! [`key`] mixes a trace from everything that a result depends on and names it by its hash; [`plan`]
//! does so for all jobs of a manifest and asks which results are known. [`context`] is the build
//! context of a container image, as [`ignore`] files leave it. Nothing here fetches or writes
//! anything: what comes from Git counts by the commit that `larder.lock` pins.

pub mod context;
mod environment;
mod files;
pub mod ignore;
pub mod key;
pub mod plan;
mod territory;
mod tree;
mod values;
pub mod variant;
pub mod workflow;
