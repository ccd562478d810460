//! The engine as its users meet it: larder itself, real compilers, real files.

mod cached_tests;
mod checks;
mod compdb;
mod conditions;
mod defaults;
mod diagnostics;
mod disk;
mod flags;
mod interrupts;
mod jobserver;
mod languages;
mod laws;
mod linking;
mod manifests;
mod ninja;
mod ninja_projects;
mod output;
mod processes;
mod rebuilds;
mod requests;
mod scale;
mod shared;
mod system;
mod testing;
mod times;
