//! The engine as its users meet it: larder itself, real compilers, real files.

#[path = "../common/mod.rs"]
mod common;

mod disk;
mod languages;
mod laws;
mod manifests;
mod output;
mod processes;
mod rebuilds;
mod requests;
mod scale;
