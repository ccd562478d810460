//! Mappings files: dep hashes to outputs, as JSON Lines that travel between machines.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use larder_trace::{ContentHash, OutputFile, Outputs, atomic};

use crate::{ArtifactName, NameError, StoreError, check_outputs};

/// The schema version that line 1 of a mappings file carries.
pub const MAPPINGS_SCHEMA: &str = "1";

/// A longer line is refused, in bytes: so long is the longest trace file.
const LONGEST_LINE: u64 = 64 << 20;

/// Why a mappings file is refused, with the line, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct MappingsError {
    /// The offending line.
    pub line: usize,
    /// The reason.
    pub reason: MappingsReason,
}

/// Why a line of a mappings file is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MappingsReason {
    /// Line 1 is missing or is not a JSON string.
    #[error("expected the schema version, a JSON string such as {MAPPINGS_SCHEMA:?}")]
    NoSchema,
    /// Written by a newer larder.
    #[error(
        "schema version {0:?} is newer than {MAPPINGS_SCHEMA:?}, which this larder reads: \
         use the larder that wrote it, or a later one"
    )]
    FutureSchema(String),
    /// Not UTF-8, or not `["<dep hash>", <outputs>]`.
    #[error("{0}")]
    Malformed(String),
    /// Longer than any line is that larder writes.
    #[error("it is longer than {} MiB", LONGEST_LINE >> 20)]
    TooLong,
    /// An output path breaks the grammar.
    #[error(transparent)]
    Path(#[from] NameError),
    /// The dep hash stands on an earlier line, with the same outputs.
    #[error("duplicate of line {0}")]
    Duplicate(usize),
    /// The dep hash stands on an earlier line, with other outputs.
    #[error("conflicts with line {0}: same dep hash, different outputs")]
    Conflict(usize),
    /// One artifact is given two sizes.
    #[error("artifact {0} has a different size on an earlier line")]
    SizeConflict(ContentHash),
}

/// The content of a mappings file: for each dep hash, the outputs of the target that was built.
///
/// There may be a million of them, and most are read and never changed: those are kept without any room
/// between them.
#[derive(Debug, Clone, Default)]
pub struct Mappings {
    /// Those that were read, sorted by dep hash.
    read: Vec<(ContentHash, Outputs)>,
    /// All others.
    added: BTreeMap<ContentHash, Outputs>,
}

impl PartialEq for Mappings {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Mappings {}

/// An artifact as the mappings describe it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappedArtifact {
    /// Its name in a staging directory.
    pub name: ArtifactName,
    /// Length in bytes.
    pub size: u64,
    /// Whether some output with this content is executable.
    pub executable: bool,
}

impl Mappings {
    fn position(&self, dep_hash: &ContentHash) -> Option<usize> {
        self.read.binary_search_by(|(known, _)| known.cmp(dep_hash)).ok()
    }

    /// Sets the outputs of `dep_hash`.
    pub fn insert(&mut self, dep_hash: ContentHash, outputs: Outputs) {
        match self.position(&dep_hash).and_then(|position| self.read.get_mut(position)) {
            Some((_, known)) => *known = outputs,
            None => _ = self.added.insert(dep_hash, outputs),
        }
    }

    /// The outputs of `dep_hash`.
    pub fn get(&self, dep_hash: &ContentHash) -> Option<&Outputs> {
        let read = self.position(dep_hash).and_then(|position| self.read.get(position));
        read.map(|(_, outputs)| outputs).or_else(|| self.added.get(dep_hash))
    }

    /// All entries, by dep hash.
    pub fn iter(&self) -> impl Iterator<Item = (&ContentHash, &Outputs)> {
        let mut read = self.read.iter().map(|(dep_hash, outputs)| (dep_hash, outputs)).peekable();
        let mut added = self.added.iter().peekable();
        std::iter::from_fn(move || match (read.peek(), added.peek()) {
            (Some((first, _)), Some((other, _))) if other < first => added.next(),
            (Some(_), _) => read.next(),
            (None, _) => added.next(),
        })
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.read.len() + self.added.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Keeps the entries whose outputs `keep` says yes to.
    pub fn retain(&mut self, mut keep: impl FnMut(&Outputs) -> bool) {
        self.read.retain(|(_, outputs)| keep(outputs));
        self.added.retain(|_, outputs| keep(outputs));
    }

    /// Takes over every entry of `other`.
    pub fn extend(&mut self, other: Self) {
        if self.is_empty() {
            *self = other;
            return;
        }
        let Self { read, added } = other;
        read.into_iter()
            .chain(added)
            .for_each(|(dep_hash, outputs)| self.insert(dep_hash, outputs));
    }

    /// Every artifact mentioned, once. Of the names that outputs with the same content lend it, the
    /// smallest.
    pub fn artifacts(&self) -> BTreeMap<ContentHash, MappedArtifact> {
        let mut artifacts = BTreeMap::<_, MappedArtifact>::new();
        for file in self.iter().flat_map(|(_, outputs)| &outputs.outputs) {
            let name = ArtifactName::of_output(file.hash, &file.path);
            artifacts
                .entry(file.hash)
                .and_modify(|artifact| {
                    artifact.executable |= file.executable;
                    if name < artifact.name {
                        artifact.name = name.clone();
                    }
                })
                .or_insert(MappedArtifact { name, size: file.size, executable: file.executable });
        }
        artifacts
    }

    /// Parses a mappings file. Refuses anything of which it is not sure.
    pub fn parse(text: &[u8]) -> Result<Self, MappingsError> {
        Lines::new(text).parse().map_err(|error| match error {
            ReadError::Refused(error) => error,
            // Memory can always be read.
            ReadError::Io(error) => {
                MappingsError { line: 1, reason: MappingsReason::Malformed(error.to_string()) }
            }
        })
    }

    /// The text of the mappings file: the same for the same entries.
    pub fn to_text(&self) -> Vec<u8> {
        let mut text = format!("{MAPPINGS_SCHEMA:?}\n").into_bytes();
        for entry in self.iter() {
            // Strings, numbers and lists of them: writing them to memory cannot fail.
            if serde_json::to_writer(&mut text, &entry).is_ok() {
                text.push(b'\n');
            }
        }
        text
    }

    /// Reads the mappings file at `path`.
    pub fn read(path: &Path) -> Result<Self, StoreError> {
        let file = File::open(path).map_err(StoreError::io("read", path))?;
        Lines::new(BufReader::new(file)).parse().map_err(|error| match error {
            ReadError::Refused(source) => StoreError::Mappings { path: path.to_owned(), source },
            ReadError::Io(error) => StoreError::io("read", path)(error),
        })
    }

    /// [`read`](Self::read), but `None` where there is no file.
    pub fn read_if_present(path: &Path) -> Result<Option<Self>, StoreError> {
        match Self::read(path) {
            Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok(None)
            }
            read => read.map(Some),
        }
    }

    /// Writes the mappings file at `path`, in one step; leaves it alone where nothing would change.
    pub fn write(&self, path: &Path) -> Result<(), StoreError> {
        atomic::write_if_changed(path, &self.to_text())
            .map(|_| ())
            .map_err(StoreError::io("write", path))
    }
}

impl FromIterator<(ContentHash, Outputs)> for Mappings {
    fn from_iter<I: IntoIterator<Item = (ContentHash, Outputs)>>(entries: I) -> Self {
        Self { read: Vec::new(), added: entries.into_iter().collect() }
    }
}

/// Why a mappings file could not be read.
enum ReadError {
    Io(io::Error),
    Refused(MappingsError),
}

/// A mappings file on its way into memory, line by line.
struct Lines<R> {
    reader: R,
    text: Vec<u8>,
    /// The number of the line that was read last.
    line: usize,
    entries: Vec<(ContentHash, Outputs)>,
    /// By entry: its line.
    lines: Vec<u32>,
}

impl<R: BufRead> Lines<R> {
    fn new(reader: R) -> Self {
        Self { reader, text: Vec::new(), line: 0, entries: Vec::new(), lines: Vec::new() }
    }

    fn parse(mut self) -> Result<Mappings, ReadError> {
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
        Ok(Mappings { read, added: BTreeMap::new() })
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
                Ok(entry) => self.entries.push(entry),
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
        let mut reader = (&mut self.reader).take(LONGEST_LINE + 1);
        reader.read_until(b'\n', &mut self.text)?;
        let there = !self.text.is_empty();
        match self.text.pop_if(|last| *last == b'\n') {
            None if self.text.len() as u64 > LONGEST_LINE => Ok(Err(MappingsReason::TooLong)),
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn outputs(paths: &[&str]) -> Outputs {
        let file = |path: &&str| OutputFile {
            path: path.to_string(),
            hash: ContentHash::of_bytes(path.as_bytes()),
            size: path.len() as u64,
            executable: false,
        };
        Outputs { outputs: paths.iter().map(file).collect(), ..Outputs::default() }
    }

    fn line(key: &str, outputs: &Outputs) -> String {
        serde_json::to_string(&(ContentHash::of_bytes(key.as_bytes()), outputs)).unwrap()
    }

    fn refusal(lines: &[&str]) -> String {
        Mappings::parse(lines.join("\n").as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn refuses_with_line_and_reason() {
        let (a, b) = (line("k", &outputs(&["a"])), line("k", &outputs(&["b"])));
        let big = {
            let mut outputs = outputs(&["a"]);
            outputs.outputs[0].size = 99;
            line("other", &outputs)
        };
        let path = |path| line("k", &outputs(&[path]));
        let refusals = [
            refusal(&[]),
            refusal(&[&a]),
            refusal(&["\"2\"", &a]),
            refusal(&["\"1\"", &a, "", &a]),
            refusal(&["\"1\"", &a, &b]),
            refusal(&["\"1\"", &a, &big]),
            refusal(&["\"1\"", "nonsense"]),
            refusal(&["\"1\"", "[\"../../etc/passwd\", {\"outputs\":[]}]"]),
            refusal(&["\"1\"", &path("../x")]),
            refusal(&["\"1\"", &path("/etc/passwd")]),
            refusal(&["\"1\"", &path("a\0b")]),
            refusal(&["\"1\"", &line("k", &outputs(&["a", "a/b"]))]),
            refusal(&["\"1\"", &line("k", &outputs(&["a", "a"]))]),
        ];
        insta::assert_snapshot!(refusals.join("\n"), @r#"
        line 1: expected the schema version, a JSON string such as "1"
        line 1: expected the schema version, a JSON string such as "1"
        line 1: schema version "2" is newer than "1", which this larder reads: use the larder that wrote it, or a later one
        line 4: duplicate of line 2
        line 3: conflicts with line 2: same dep hash, different outputs
        line 3: artifact 17762fddd969a453925d65717ac3eea21320b66b54342fde15128d6caf21215f has a different size on an earlier line
        line 2: expected ident at column 2
        line 2: a hash is 64 lowercase hex digits at column 19
        line 2: output path "../x" leaves the build directory with `..`
        line 2: output path "/etc/passwd" is absolute
        line 2: output path "a\0b" contains a NUL
        line 2: output path "a" is both a file and a directory
        line 2: output path "a" is listed twice
        "#);
    }

    proptest! {
        #[test]
        fn text_round_trips_in_one_order(keys in proptest::collection::vec("[a-z]{1,4}", 0..20)) {
            let entry = |key: &String| (ContentHash::of_bytes(key.as_bytes()), outputs(&[key]));
            let mappings: Mappings = keys.iter().map(entry).collect();
            let reversed: Mappings = keys.iter().rev().map(entry).collect();
            prop_assert_eq!(mappings.to_text(), reversed.to_text());
            prop_assert_eq!(Mappings::parse(&mappings.to_text()), Ok(mappings));
        }

        #[test]
        fn no_input_panics(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            _ = Mappings::parse(&text);
            _ = Mappings::parse(&[b"\"1\"\n", text.as_slice()].concat());
        }
    }
}
