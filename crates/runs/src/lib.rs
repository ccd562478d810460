//! The run data of a package ecosystem: what happened.
//!
//! A pure data library: it reads and writes the files under `DATA` and knows nothing of builds, stores
//! or networks, so that other programs can read run data with it. Its modules are those of the `lib`
//! library of day11, the OCaml documentation CI:
//!
//! | module | files | what it keeps |
//! |---|---|---|
//! | [`run_log`] | `runs/<run id>/` | each execution of a batch: its logs, what came of it |
//! | [`progress`] | `runs/<run id>/progress.json` | how far a running one has come |
//! | [`comparison`] | `runs/<run id>/compare.json` | what a comparison of two sides found out |
//! | [`graph`] | `graphs/<hash>.json` | who needs whom |
//! | [`history`] | `packages/<pkg>/history.jsonl` | every build of a package, append-only |
//! | [`status_index`] | `status.json` | where every package stands, and what changed |
//! | [`gc`] | `layers/`, `html/u/`, `runs/` | removes what nothing refers to |
//! | [`build_lock`] | `locks/` | who works on what |
//! | [`atomic_swap`] | any directory | one directory replaced by another in one step |
//! | [`classify`] | logs | what a log says went wrong |
//! | [`sanitise`] | any text | makes it fit to print or send |
//!
//! # Conventions
//!
//! Times are UTC in RFC 3339 (`2026-03-01T12:00:00Z`), durations and ages in seconds, sizes in bytes.
//! Files appear whole or not at all. Readers never fail on content: what is malformed is skipped,
//! counted and said through `tracing` at info. Names that become file names are types of [`name`],
//! which cannot hold a path. Locks are `flock`: they hold between threads and between processes and end
//! with their holder.

pub mod atomic_swap;
pub mod build_lock;
mod category;
pub mod classify;
pub mod comparison;
mod data_dir;
mod error;
pub mod file;
pub mod gc;
pub mod graph;
pub mod history;
pub mod lock;
pub mod name;
pub mod parallel;
pub mod progress;
pub mod result;
pub mod run_log;
pub mod sanitise;
mod standing;
pub mod status_index;
pub mod time;
pub mod version;

pub use category::Category;
pub use data_dir::DataDir;
pub use error::{Error, Result, reason};
