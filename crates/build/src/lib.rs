//! How it is built: manifest, graph, jobs and toolchains.

pub mod depfile;
pub mod diagnostic;
pub mod glob;
pub mod job;
pub mod manifest;
pub mod name;
pub mod plan;
pub mod process;
pub mod workspace;
