//! Reading mappings files line by line, in no more memory than the entries take.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, Read},
};

use larder_trace::{ContentHash, OutputFile, Outputs};

use super::{InputNodes, MAPPINGS_SCHEMA, Mappings, MappingsError, MappingsReason, NodeTable};
use crate::check_outputs;

/// A longer line is refused, in bytes: so long is the longest trace file.
pub const LONGEST: u64 = 64 << 20;

/// Why a mappings file could not be read.
pub enum ReadError {
    Io(io::Error),
    Refused(MappingsError),
}

/// A mappings file on its way into memory, line by line.
pub struct Lines<R> {
    reader: R,
    text: Vec<u8>,
    /// The number of the line that was read last.
    line: usize,
    entries: Vec<(ContentHash, Outputs)>,
    /// By entry: its line.
    lines: Vec<u32>,
    inputs: BTreeMap<ContentHash, InputNodes>,
    nodes: NodeTable,
}

impl<R: BufRead> Lines<R> {
    /// The lines that `reader` has.
    pub fn new(reader: R) -> Self {
        Self {
            reader,
            text: Vec::new(),
            line: 0,
            entries: Vec::new(),
            lines: Vec::new(),
            inputs: BTreeMap::new(),
            nodes: NodeTable::default(),
        }
    }

    /// Reads all of them.
    pub fn parse(mut self) -> Result<Mappings, ReadError> {
        let refused = match self.read().map_err(ReadError::Io)? {
            Ok(()) => None,
            Err(reason) => Some(MappingsError { line: self.line, reason }),
        };
        // What contradicts an earlier line stands before the line that could not be read.
        if let Some(error) = self.contradiction().or(refused) {
            return Err(ReadError::Refused(error));
        }
        let mut read = self.entries;
        read.sort_unstable_by_key(|(dep_hash, _)| *dep_hash);
        read.shrink_to_fit();
        Ok(Mappings { read, added: BTreeMap::new(), inputs: self.inputs })
    }

    /// Reads all lines, or up to one that is refused.
    fn read(&mut self) -> io::Result<Result<(), MappingsReason>> {
        self.line = 1;
        if let Err(reason) = self.next()? {
            return Ok(Err(reason));
        }
        match serde_json::from_slice::<String>(&self.text) {
            Ok(version) if version == MAPPINGS_SCHEMA => {}
            Ok(version) => return Ok(Err(MappingsReason::FutureSchema(version))),
            Err(_) => return Ok(Err(MappingsReason::NoSchema)),
        }
        loop {
            self.line += 1;
            match self.next()? {
                Ok(true) => {}
                Ok(false) => return Ok(Ok(())),
                Err(reason) => return Ok(Err(reason)),
            }
            if self.text.is_empty() {
                continue;
            }
            match entry(&self.text) {
                Ok(entry) => {
                    if let Some(inputs) = self.nodes.of_entry(&self.text) {
                        self.inputs.insert(entry.0, inputs);
                    }
                    self.entries.push(entry);
                }
                Err(reason) => return Ok(Err(reason)),
            }
            self.lines.push(u32::try_from(self.line).unwrap_or(u32::MAX));
        }
    }

    /// Reads the next line. Says whether there was one.
    fn next(&mut self) -> io::Result<Result<bool, MappingsReason>> {
        const USUAL: usize = 1 << 20;
        self.text.clear();
        self.text.shrink_to(USUAL);
        let mut reader = (&mut self.reader).take(LONGEST + 1);
        reader.read_until(b'\n', &mut self.text)?;
        let there = !self.text.is_empty();
        match self.text.pop_if(|last| *last == b'\n') {
            None if self.text.len() as u64 > LONGEST => Ok(Err(MappingsReason::TooLong)),
            _ => Ok(Ok(there)),
        }
    }

    /// The first line that contradicts an earlier one, or says the same again.
    fn contradiction(&self) -> Option<MappingsError> {
        let sizes = self.size_conflict();
        let dep_hashes = self.same_dep_hash();
        // Of one line, sizes come first.
        [sizes, dep_hashes].into_iter().flatten().min_by_key(|error| error.line)
    }

    fn line_of(&self, entry: u32) -> usize {
        self.lines.get(entry as usize).map_or(0, |line| *line as usize)
    }

    fn same_dep_hash(&self) -> Option<MappingsError> {
        if self.entries.is_sorted_by(|(one, _), (next, _)| one < next) {
            return None;
        }
        let mut order: Vec<u32> = (0..self.lines.len() as u32).collect();
        let of = |entry: u32| &self.entries[entry as usize];
        order.sort_unstable_by_key(|&entry| (of(entry).0, entry));
        let groups = order.chunk_by(|&one, &next| of(one).0 == of(next).0);
        let doubled = groups.filter_map(|group| Some((*group.first()?, *group.get(1)?)));
        let (first, second) = doubled.min_by_key(|(_, second)| *second)?;
        let earlier = self.line_of(first);
        let reason = match of(first).1 == of(second).1 {
            true => MappingsReason::Duplicate(earlier),
            false => MappingsReason::Conflict(earlier),
        };
        Some(MappingsError { line: self.line_of(second), reason })
    }

    fn size_conflict(&self) -> Option<MappingsError> {
        let of = |&(_, entry, file): &(u64, u32, u32)| {
            &self.entries[entry as usize].1.outputs[file as usize]
        };
        // Sixteen bytes a file, with the beginning of its hash, which tells nearly all of them apart.
        let mut files: Vec<(u64, u32, u32)> = Vec::new();
        for (entry, (_, outputs)) in self.entries.iter().enumerate() {
            for (file, OutputFile { hash, .. }) in outputs.outputs.iter().enumerate() {
                let mut first = [0; 8];
                first.copy_from_slice(&hash.as_bytes()[..8]);
                files.push((u64::from_be_bytes(first), entry as u32, file as u32));
            }
        }
        files.sort_unstable_by(|a, b| {
            a.0.cmp(&b.0).then_with(|| of(a).hash.cmp(&of(b).hash)).then_with(|| a.cmp(b))
        });
        let groups = files.chunk_by(|one, next| of(one).hash == of(next).hash);
        let other = groups.filter_map(|group| {
            let size = of(group.first()?).size;
            group.iter().find(|it| of(it).size != size)
        });
        let first = other.min_by_key(|(_, entry, file)| (*entry, *file))?;
        let reason = MappingsReason::SizeConflict(of(first).hash);
        Some(MappingsError { line: self.line_of(first.1), reason })
    }
}

/// Parses one line after the first.
fn entry(text: &[u8]) -> Result<(ContentHash, Outputs), MappingsReason> {
    let (dep_hash, outputs): (ContentHash, Outputs) =
        serde_json::from_slice(text).map_err(|error| {
            // The error's own line is always 1.
            let text = error.to_string().replace(" at line 1 column", " at column");
            MappingsReason::Malformed(text)
        })?;
    check_outputs(&outputs)?;
    Ok((dep_hash, without_room(outputs)))
}

/// The same with lists that take no more room than they need.
fn without_room(outputs: Outputs) -> Outputs {
    fn exact<T>(list: Vec<T>) -> Vec<T> {
        let mut copy = Vec::with_capacity(list.len());
        // Not shrunk, which would leave the rest between this and the next.
        copy.extend(list);
        copy
    }
    Outputs {
        outputs: exact(outputs.outputs),
        directories: exact(outputs.directories),
        discovered: exact(outputs.discovered),
        log: exact(outputs.log),
        searched: outputs.searched,
        milliseconds: outputs.milliseconds,
    }
}
