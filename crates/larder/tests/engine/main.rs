//! The engine as its users meet it: larder itself, real compilers, real files.

mod cached_tests;
mod defaults;
mod disk;
mod flags;
mod interrupts;
mod languages;
mod laws;
mod manifests;
mod ninja;
mod ninja_projects;
mod output;
mod processes;
mod rebuilds;
mod requests;
mod scale;
mod testing;
