//! Tells what changed, by hashes, traces, trace files and the stat index.
//!
//! This crate is the behaviour of Lake's `Lake.Build.Trace` and `Lake.Build.Common` as a library
//! that any build program can call; larder's own engine is one such program.
//!
//! - [`ContentHash`] names content; [`compute_file_hash`] takes it from a file.
//! - [`BuildTrace`] is what an output depends on: one hash, mixed from named parts.
//! - [`BuildMetadata`] is what `OUTPUT.trace` holds: the trace a finished build was made from.
//! - [`check()`] tells whether outputs are up to date with a trace, or why not.
//! - [`build_unless_up_to_date`] and [`build_file_unless_up_to_date`] put these together.
//! - [`StatIndex`] remembers hashes by file status, so that a build with nothing to do reads nothing.

pub mod atomic;
mod check;
mod content;
mod fault;
mod hash;
mod hash_file;
mod index;
pub mod lock;
mod look;
mod metadata;
mod mtime;
mod platform;
mod record;
mod regular;
mod trace;
mod up_to_date;

pub use check::{Expected, Files, OutOfDate, Proof, Times, UpToDate, Wanted, check};
pub use content::{Content, NO_NAMES, compute_file_hash, hash_text};
pub use fault::describe_io;
pub use hash::{ContentHash, ParseHashError};
pub use hash_file::{
    cache_file_hash, clear_file_hash, fetch_file_hash, fetch_file_trace, hash_file_path,
    save_file_hash,
};
pub use index::{StatIndex, Vouched, Walk};
pub use look::Hashed;
pub use metadata::{
    BuildMetadata, SCHEMA_VERSION, TraceFile, begin_trace_file, clear_trace_file, read_trace_file,
    write_trace_file,
};
pub use mtime::{FileStat, MTime, Moment};
pub use platform::{host_platform, platform_trace};
pub use record::{Diagnostic, DiscoveredInput, Level, LogEntry, OutputFile, Outputs, Searched};
pub use regular::{open_regular, read_regular};
pub use trace::BuildTrace;
pub use up_to_date::{
    BuildError, BuildLog, Outcome, Policy, build_file_unless_up_to_date, build_unless_up_to_date,
    check_hash_up_to_date,
};
