//! What changed: hashes, traces, trace files and the stat index.

mod hash;
mod record;

pub use hash::{ContentHash, ParseHashError};
pub use record::{DiscoveredInput, Level, LogEntry, OutputFile, Outputs};
