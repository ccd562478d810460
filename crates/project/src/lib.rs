//! The project model: manifests, workspaces, dependencies, the plan of targets, and keys of CI jobs.
//!
//! This crate reads manifests and files and runs nothing but `git`. From the outside in:
//! [`workspace`] finds the packages; [`manifest`] says what each is made of; [`plan`] resolves all
//! names into one graph of targets; [`ci`] names results by everything that decides them.

pub mod age;
pub mod archive;
pub mod ci;
pub mod dependencies;
pub mod diagnostic;
pub mod git;
pub mod glob;
pub mod graph;
pub mod init;
pub mod leftovers;
mod links;
pub mod lock;
pub mod lockfile;
pub mod manifest;
pub mod name;
pub mod ninja;
pub mod packages;
pub mod parallel;
pub mod path;
pub mod pattern;
pub mod place;
pub mod plan;
pub mod repository;
pub mod scaffold;
pub mod set;
pub mod setting;
pub mod size;
mod table;
pub mod triple;
pub mod version;
pub mod workspace;
