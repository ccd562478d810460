//! The up-to-date check: whether outputs are those of these very inputs, or why not.
//!
//! There is one, for larder's engine and for programs of one's own. It decides over plain data: the
//! trace file as [`crate::read_trace_file`] found it, what is [`Wanted`], and the files as a [`Files`]
//! shows them. Whoever calls it first asks the stat index ([`crate::StatIndex::vouch`]), which knows
//! nearly always; then
//!
//! ```text
//! match check(read_trace_file(trace_file), &wanted, &files) {
//!     Ok(UpToDate { record, mtimes, on_disk, proof }) => {
//!         // Replay record.log. With Proof::Record, tell the index: record_elided for each output
//!         // unless on_disk, then record_target. With Proof::Times, tell it nothing.
//!     }
//!     Err(reason) => // restore, or build
//! }
//! ```
//!
//! A record counts if its dep hash is the wanted one, the inputs that the build discovered are as they
//! were and a search would find the same; then its outputs must be what it says. Only then may
//! modification times stand in, where [`Times`] allows it. They excuse inputs, never outputs: what a
//! record describes must still be that.

use std::{io, sync::Arc};

use crate::{
    BuildMetadata, BuildTrace, ContentHash, DiscoveredInput, Hashed, MTime, OutputFile, Outputs,
    Searched, TraceFile,
};

/// An output that is expected, by its path as in [`OutputFile`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected<'a> {
    /// A file.
    File(&'a str),
    /// A directory with whatever the build writes into it.
    Directory(&'a str),
}

/// When modification times may stand in for a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    /// Never.
    Never,
    /// For outputs without a trace file: Lake's rule for files that somebody else made.
    Untraced,
    /// Whenever outputs are newer than all inputs, declared or recorded as discovered (`--old`). What
    /// was restored counts as written when its trace file was.
    Old,
}

/// The outputs that are wanted, and what they are to be made from.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The hash of the trace of what it is to be made from.
    pub dep_hash: ContentHash,
    /// The newest modification time among the declared inputs.
    pub newest: MTime,
    /// When what else decides the outputs last changed, such as the manifest with the arguments. It
    /// counts where no record tells from what they were made.
    pub unrecorded: MTime,
    /// The outputs.
    pub outputs: &'a [Expected<'a>],
    /// When modification times may stand in for a record.
    pub times: Times,
}

/// The files that a check looks at.
pub trait Files {
    /// An output, byte for byte, by its path as in [`OutputFile`].
    ///
    /// # Errors
    /// `NotFound` when it is not there; others count as changed.
    fn output(&self, path: &str) -> io::Result<Hashed>;

    /// Whether an output directory, or an empty directory in one, is there.
    fn is_directory(&self, path: &str) -> bool;

    /// An input that a build discovered, by its portable path; `None` when it cannot be read.
    fn discovered(&self, path: &str) -> Option<Hashed>;

    /// Whether a discovered input need not be there: the dep hash holds its content.
    fn is_left(&self, _: &str) -> bool {
        false
    }

    /// Whether a search would still find what it found when `record` was made.
    fn finds_the_same(&self, searched: &Searched, record: &Outputs) -> bool;
}

/// How outputs are known to be up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// By their record: it is one of the wanted dep hash.
    Record,
    /// By their modification times. The record, if there is one, is of other inputs.
    Times,
}

/// Outputs that need not be built.
#[derive(Debug)]
pub struct UpToDate {
    /// The outputs as they were recorded; without a record, as they are.
    pub record: Outputs,
    /// When each output was last changed, in the order of `record`; [`MTime::NONE`] of one that is not
    /// on disk.
    pub mtimes: Vec<MTime>,
    /// Whether they are on disk; else all of them were left in the store.
    pub on_disk: bool,
    /// How that is known.
    pub proof: Proof,
}

/// Why outputs are out of date.
#[derive(Debug, Clone)]
pub enum OutOfDate {
    /// They were never built, or not these.
    NotBuilt,
    /// Their trace file tells nothing.
    Damaged,
    /// Their last build did not finish.
    Interrupted,
    /// An output is not there.
    OutputMissing(String),
    /// An output is not what the build made, or lost an execute permission.
    OutputChanged(String),
    /// They were made from another trace, of these parts.
    Inputs(Vec<Arc<BuildTrace>>),
    /// Inputs that the build discovered changed or are gone: portable paths.
    Discovered(Vec<String>),
    /// A search for inputs would find something else.
    Searched,
}

/// Whether the wanted outputs are up to date, given their trace file, or why not.
pub fn check(
    trace: TraceFile,
    wanted: &Wanted<'_>,
    files: &impl Files,
) -> Result<UpToDate, OutOfDate> {
    match (trace, wanted.times) {
        (TraceFile::Finished(record), _) => check_record(*record, wanted, files),
        (TraceFile::Unfinished, _) => Err(OutOfDate::Interrupted),
        (TraceFile::Absent, Times::Untraced | Times::Old) => {
            newer_without_record(wanted, files).ok_or(OutOfDate::NotBuilt)
        }
        (TraceFile::Damaged, Times::Old) => {
            newer_without_record(wanted, files).ok_or(OutOfDate::Damaged)
        }
        (TraceFile::Absent, Times::Never) => Err(OutOfDate::NotBuilt),
        (TraceFile::Damaged, _) => Err(OutOfDate::Damaged),
    }
}

fn check_record(
    record: BuildMetadata,
    wanted: &Wanted<'_>,
    files: &impl Files,
) -> Result<UpToDate, OutOfDate> {
    let expected = record.outputs.describes(wanted.outputs);
    match check_inputs(&record, wanted, files) {
        // A record of something else cannot vouch for anything.
        Ok(()) if !expected => Err(OutOfDate::NotBuilt),
        Ok(()) => {
            let found = check_outputs(&record, files)?;
            Ok(found.up_to_date(record, Proof::Record))
        }
        Err(_) if expected && wanted.times == Times::Old => {
            newer_than_inputs(record, wanted, files)
        }
        Err(reason) => Err(reason),
    }
}

/// Whether the record was made from what is wanted now.
fn check_inputs(
    record: &BuildMetadata,
    wanted: &Wanted<'_>,
    files: &impl Files,
) -> Result<(), OutOfDate> {
    if record.dep_hash != wanted.dep_hash {
        return Err(OutOfDate::Inputs(record.inputs.clone()));
    }
    let changed = |input: &&DiscoveredInput| {
        !files.is_left(&input.path)
            && files.discovered(&input.path).is_none_or(|now| now.hash != input.hash)
    };
    let changed = record.outputs.discovered.iter().filter(changed);
    let changed: Vec<String> = changed.map(|input| input.path.clone()).collect();
    if !changed.is_empty() {
        return Err(OutOfDate::Discovered(changed));
    }
    match &record.outputs.searched {
        Some(searched) if !files.finds_the_same(searched, &record.outputs) => {
            Err(OutOfDate::Searched)
        }
        _ => Ok(()),
    }
}

/// Recorded outputs as they are.
struct Found {
    mtimes: Vec<MTime>,
    on_disk: bool,
}

impl Found {
    fn up_to_date(self, record: BuildMetadata, proof: Proof) -> UpToDate {
        UpToDate { record: record.outputs, mtimes: self.mtimes, on_disk: self.on_disk, proof }
    }
}

/// Whether the outputs are what the record says. Those of one that was restored may have been left in
/// the store, but all of them.
fn check_outputs(record: &BuildMetadata, files: &impl Files) -> Result<Found, OutOfDate> {
    let Outputs { outputs, directories, .. } = &record.outputs;
    let mut mtimes = Vec::with_capacity(outputs.len());
    let mut missing = None;
    for file in outputs {
        mtimes.push(match files.output(&file.path) {
            Ok(now) if (now.hash, now.stat.executable) == (file.hash, file.executable) => {
                now.stat.mtime
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                missing = missing.or(Some(&file.path));
                MTime::NONE
            }
            Ok(_) | Err(_) => return Err(OutOfDate::OutputChanged(file.path.clone())),
        });
    }
    let left_in_store = record.synthetic && mtimes.iter().all(|mtime| *mtime == MTime::NONE);
    let on_disk = missing.is_none();
    let no_directory = || directories.iter().find(|path| !files.is_directory(path));
    match missing.filter(|_| !left_in_store).or_else(|| no_directory().filter(|_| on_disk)) {
        Some(path) => Err(OutOfDate::OutputMissing(path.clone())),
        None => Ok(Found { mtimes, on_disk }),
    }
}

/// Takes recorded outputs that are newer than all inputs, declared and discovered, whatever those are.
fn newer_than_inputs(
    record: BuildMetadata,
    wanted: &Wanted<'_>,
    files: &impl Files,
) -> Result<UpToDate, OutOfDate> {
    let found = check_outputs(&record, files)?;
    let written = |mtime: MTime| if record.synthetic { mtime.max(record.written) } else { mtime };
    let oldest = found.mtimes.iter().map(|mtime| written(*mtime)).min().unwrap_or(record.written);
    if oldest <= wanted.newest {
        return Err(OutOfDate::Inputs(record.inputs));
    }
    let newer = |input: &&DiscoveredInput| {
        files.discovered(&input.path).is_none_or(|now| oldest <= now.stat.mtime)
    };
    let newer = record.outputs.discovered.iter().filter(newer);
    let newer: Vec<String> = newer.map(|input| input.path.clone()).collect();
    match newer.is_empty() {
        true => Ok(found.up_to_date(record, Proof::Times)),
        false => Err(OutOfDate::Discovered(newer)),
    }
}

/// Takes outputs of which nothing is recorded, when they are newer than all that is known to decide
/// them. What belongs into a directory, nobody knows then.
fn newer_without_record(wanted: &Wanted<'_>, files: &impl Files) -> Option<UpToDate> {
    let newest = wanted.newest.max(wanted.unrecorded);
    let mut record = Outputs::default();
    let mut mtimes = Vec::with_capacity(wanted.outputs.len());
    for output in wanted.outputs {
        let Expected::File(path) = *output else { return None };
        let Hashed { hash, stat } = files.output(path).ok()?;
        if stat.mtime <= newest {
            return None;
        }
        let (path, executable) = (path.to_owned(), stat.executable);
        record.outputs.push(OutputFile { path, hash, size: stat.size, executable });
        mtimes.push(stat.mtime);
    }
    Some(UpToDate { record, mtimes, on_disk: true, proof: Proof::Times })
}

impl Outputs {
    /// Whether this is a record of exactly these outputs.
    pub fn describes(&self, expected: &[Expected<'_>]) -> bool {
        let inside = |path: &str, directory: &str| {
            path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'))
        };
        let known = |path: &str| {
            expected.iter().any(|output| match *output {
                Expected::File(file) => path == file,
                Expected::Directory(directory) => inside(path, directory),
            })
        };
        let all_files = self.outputs.iter().all(|file| known(&file.path));
        let all_expected = expected.iter().all(|output| match *output {
            Expected::File(path) => self.outputs.iter().any(|file| file.path == path),
            Expected::Directory(path) => self.directories.iter().any(|it| it == path),
        });
        all_files && all_expected
    }
}
