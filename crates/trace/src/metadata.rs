//! `OUTPUT.trace`: the record of a finished build, beside what it built.

use std::{io, path::Path, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{BuildTrace, ContentHash, MTime, Outputs, atomic, read_regular};

/// The version of the trace file format that this crate writes and the only one it reads.
pub const SCHEMA_VERSION: u32 = 2;

/// A trace file larger than this is taken for garbage rather than read into memory.
const SIZE_LIMIT: u64 = 64 << 20;

/// The content of a trace file: what the outputs were built from, what they were, and what was printed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildMetadata {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The hash of the trace: the key of this build in every cache.
    pub dep_hash: ContentHash,
    /// The named parts that were mixed into `dep_hash`, in order.
    pub inputs: Vec<Arc<BuildTrace>>,
    /// Outputs, discovered inputs and log.
    #[serde(flatten)]
    pub outputs: Outputs,
    /// Whether the outputs were restored from a cache rather than built here.
    pub synthetic: bool,
    /// When the trace file was written; [`MTime::NONE`] until it was read from one.
    #[serde(skip, default = "not_written")]
    pub written: MTime,
}

fn not_written() -> MTime {
    MTime::NONE
}

impl BuildMetadata {
    /// The record of a build made from `trace`.
    pub fn new(trace: &BuildTrace, outputs: Outputs, synthetic: bool) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            dep_hash: trace.hash(),
            inputs: trace.parts().to_vec(),
            outputs,
            synthetic,
            written: MTime::NONE,
        }
    }
}

/// The state of a trace file.
#[derive(Debug)]
pub enum TraceFile {
    /// The record of a finished build.
    Finished(Box<BuildMetadata>),
    /// A build was begun and has not finished: killed, or still running. Its outputs are not to be
    /// trusted, whatever their modification times say.
    Unfinished,
    /// There is a file that tells nothing: empty, cut short, too large, of another schema, not to be
    /// read, or by somebody else. That is no proof that its outputs were ever finished.
    Damaged,
    /// There is no trace file.
    Absent,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Unfinished {
    unfinished: bool,
}

/// Reads a trace file. Why one is [`TraceFile::Damaged`] is noted at debug level.
pub fn read_trace_file(path: &Path) -> TraceFile {
    use io::ErrorKind::{NotADirectory, NotFound};
    match read_bounded(path) {
        Ok((text, written)) => parse(&text, written).unwrap_or_else(|why| damaged(path, &why)),
        Err(error) if matches!(error.kind(), NotFound | NotADirectory) => TraceFile::Absent,
        Err(error) => damaged(path, &error),
    }
}

fn parse(text: &[u8], written: MTime) -> Result<TraceFile, serde_json::Error> {
    use serde::de::Error;
    match serde_json::from_slice::<BuildMetadata>(text) {
        Ok(metadata) if metadata.schema_version == SCHEMA_VERSION => {
            Ok(TraceFile::Finished(Box::new(BuildMetadata { written, ..metadata })))
        }
        Ok(metadata) => {
            let version = metadata.schema_version;
            Err(Error::custom(format!("it is of schema {version}, not {SCHEMA_VERSION}")))
        }
        Err(error) => match serde_json::from_slice(text) {
            Ok(Unfinished { unfinished: true }) => Ok(TraceFile::Unfinished),
            _ => Err(error),
        },
    }
}

fn damaged(path: &Path, why: &dyn std::fmt::Display) -> TraceFile {
    tracing::debug!("ignoring the trace file {}: {why}", path.display());
    TraceFile::Damaged
}

/// Returns the bytes of a file, unless it is too large for a trace, and when it was written.
fn read_bounded(path: &Path) -> io::Result<(Vec<u8>, MTime)> {
    let (text, metadata) = read_regular(path, SIZE_LIMIT)?;
    Ok((text, MTime::from(&metadata)))
}

/// Writes the trace file of a finished build, atomically.
pub fn write_trace_file(path: &Path, metadata: &BuildMetadata) -> io::Result<()> {
    atomic::write(path, &serde_json::to_vec(metadata)?)
}

/// Marks the build whose trace file is `path` as begun. Until [`write_trace_file`] or
/// [`clear_trace_file`] follows, reading it gives [`TraceFile::Unfinished`].
///
/// To be called before the first output is touched: it is what keeps an output that a killed build
/// left half written from being taken for a finished one by its modification time.
pub fn begin_trace_file(path: &Path) -> io::Result<()> {
    atomic::write(
        path,
        format!("{{\"schemaVersion\":{SCHEMA_VERSION},\"unfinished\":true}}").as_bytes(),
    )
}

/// Removes a trace file, as after a failed build.
pub fn clear_trace_file(path: &Path) -> io::Result<()> {
    atomic::remove_if_there(path)
}
