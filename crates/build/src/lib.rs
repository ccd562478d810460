//! How it is built: manifest, graph, jobs and toolchains.
//!
//! From the outside in: [`engine`] builds what is asked for; [`plan`] says what there is; [`builds`]
//! turns targets into jobs made of [`step`]s; [`action`] runs a step's commands.

pub mod action;
pub mod artifact;
pub mod bake;
pub mod builds;
pub mod cache;
pub mod ci;
pub mod context;
pub mod dependencies;
pub mod depfile;
pub mod diagnostic;
pub mod engine;
pub mod event;
pub mod git;
pub mod glob;
pub mod graph;
pub mod job;
mod leftovers;
mod lock;
pub mod lockfile;
pub mod manifest;
pub mod name;
pub mod packages;
mod parallel;
pub mod place;
pub mod plan;
pub mod process;
pub mod reason;
pub mod repository;
mod restore;
pub mod sandbox;
pub mod scaffold;
mod staged;
pub mod step;
mod table;
pub mod targets;
pub mod testing;
pub mod toolchain;
pub mod why;
pub mod workspace;
