//! How it is built: actions, executors, steps, jobs, sandbox, common builds and toolchains.
//!
//! From the outside in: [`build`] builds what is asked for; [`targets`] turns a plan's targets into
//! jobs made of [`builds`]; [`step`] decides for each whether anything is to be done, and has an
//! [`executor`] run the [`action`] that does it. `docs/architecture.md` follows a build through all of it.

pub mod action;
pub mod artifact;
pub mod audit;
pub mod bake;
pub mod build;
pub mod builds;
pub mod cache;
pub mod checkouts;
pub mod compdb;
pub mod context;
pub mod debugger;
pub mod depfile;
pub mod diagnostics;
pub mod difference;
pub mod environment;
pub mod event;
pub mod executor;
pub mod flags;
mod grounds;
pub mod init;
pub mod install;
pub mod interrupt;
pub mod job;
pub mod jobserver;
pub mod linker;
pub mod lookups;
pub mod ninja;
pub mod pool;
pub mod process;
pub mod published;
pub mod reason;
pub mod runner;
pub mod sandbox;
pub mod search;
pub mod session;
mod staged;
pub mod step;
pub mod targets;
pub mod testing;
pub mod timeline;
pub mod toolchain;
pub mod uploads;
pub mod watch;
pub mod why;
