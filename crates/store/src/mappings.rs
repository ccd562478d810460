//! Mappings files: dep hashes to outputs, as JSON Lines that travel between machines.

mod inputs;
mod lines;

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufReader},
    path::Path,
};

use larder_trace::{ContentHash, Outputs, atomic};

pub use self::inputs::{InputNode, InputNodes, NodeTable};
use self::{
    inputs::Written,
    lines::{LONGEST, Lines, ReadError},
};

use crate::{ArtifactName, NameError, StoreError};

/// The schema version that line 1 of a mappings file carries.
pub const MAPPINGS_SCHEMA: &str = "1";

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
    #[error("it is longer than {} MiB", lines::LONGEST >> 20)]
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
    /// What the outputs were made from, where that is known.
    inputs: BTreeMap<ContentHash, InputNodes>,
}

impl PartialEq for Mappings {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter()) && self.inputs == other.inputs
    }
}

impl Eq for Mappings {}

/// An artifact as the mappings describe it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappedArtifact {
    /// Its name in a staging directory.
    pub name: ArtifactName,
    /// Of the paths of outputs with this content, the smallest.
    pub path: String,
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

    /// What the outputs of `dep_hash` were made from, where that is known.
    pub fn inputs(&self, dep_hash: &ContentHash) -> Option<&InputNodes> {
        self.inputs.get(dep_hash)
    }

    /// Tells what the outputs of `dep_hash`, which is among the entries, were made from.
    pub fn set_inputs(&mut self, dep_hash: ContentHash, inputs: InputNodes) {
        if self.get(&dep_hash).is_some() {
            self.inputs.insert(dep_hash, inputs);
        }
    }

    /// Whether both have the same entry for `dep_hash`, with the same inputs.
    pub fn agrees(&self, other: &Self, dep_hash: &ContentHash) -> bool {
        self.get(dep_hash) == other.get(dep_hash) && self.inputs(dep_hash) == other.inputs(dep_hash)
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
        let mut inputs = std::mem::take(&mut self.inputs);
        inputs.retain(|dep_hash, _| self.get(dep_hash).is_some());
        self.inputs = inputs;
    }

    /// The entries that `keep` says yes to, which is asked by dep hash, with all that is known of them.
    pub fn filtered(&self, mut keep: impl FnMut(&ContentHash, &Outputs) -> bool) -> Self {
        let mut kept = Self::default();
        for (dep_hash, outputs) in self.iter().filter(|(dep_hash, outputs)| keep(dep_hash, outputs))
        {
            kept.added.insert(*dep_hash, outputs.clone());
            if let Some(inputs) = self.inputs.get(dep_hash) {
                kept.inputs.insert(*dep_hash, inputs.clone());
            }
        }
        kept
    }

    /// Takes over every entry of `other`.
    pub fn extend(&mut self, other: Self) {
        if self.is_empty() {
            *self = other;
            return;
        }
        let Self { read, added, inputs } = other;
        read.into_iter()
            .chain(added)
            .for_each(|(dep_hash, outputs)| self.insert(dep_hash, outputs));
        self.inputs.extend(inputs);
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
                    if file.path < artifact.path {
                        artifact.path.clone_from(&file.path);
                    }
                })
                .or_insert_with(|| MappedArtifact {
                    name: name.clone(),
                    path: file.path.clone(),
                    size: file.size,
                    executable: file.executable,
                });
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
        let mut written = Written::default();
        for (dep_hash, outputs) in self.iter() {
            // Strings, numbers and lists of them: writing them to memory cannot fail.
            if serde_json::to_writer(&mut text, &(dep_hash, outputs)).is_err() {
                continue;
            }
            if let Some(inputs) = self.inputs.get(dep_hash) {
                // Into the object that the line ends with, which is never empty.
                let without = text.len().saturating_sub("}]".len());
                text.truncate(without);
                text.extend(b",\"inputs\":");
                written.write(inputs, &mut text);
                text.extend(b"}]");
                // What others wrote may be short only because an entry that comes later now had it in full.
                if (text.len() - without) as u64 > LONGEST {
                    text.truncate(without);
                    text.extend(b"}]");
                }
            }
            text.push(b'\n');
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
        Self { added: entries.into_iter().collect(), ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_trace::{BuildTrace, OutputFile};
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

    fn traced(n: u32) -> BuildTrace {
        let version = BuildTrace::text("version", "gcc version 14.2.0");
        let tool = BuildTrace::nil("cc").mix(version);
        let source = BuildTrace::text(format!("src/{n}.c"), n.to_string());
        BuildTrace::nil("object").mix(tool).mix(BuildTrace::list("arguments", &["-O1"])).mix(source)
    }

    /// Entries with what they were made from.
    fn with_inputs(count: u32) -> Mappings {
        let (mut mappings, mut nodes) = (Mappings::default(), NodeTable::default());
        for n in 0..count {
            let trace = traced(n);
            mappings.insert(trace.hash(), outputs(&[&format!("{n}.o")]));
            mappings.set_inputs(trace.hash(), nodes.of_trace(trace.parts()));
        }
        mappings
    }

    #[test]
    fn inputs_stand_in_full_once() {
        let mappings = with_inputs(9);
        let text = mappings.to_text();
        let parsed = Mappings::parse(&text).unwrap();
        assert_eq!(parsed, mappings);
        assert_eq!(parsed.to_text(), text);
        let text = String::from_utf8(text).unwrap();
        assert_eq!(text.matches("gcc version").count(), 1);
        assert_eq!(text.matches("-O1").count(), 1);
        for (dep_hash, _) in parsed.iter() {
            let inputs = parsed.inputs(dep_hash).unwrap();
            let version = &inputs[0].parts()[0];
            assert_eq!((version.name(), version.value()), ("version", Some("gcc version 14.2.0")));
            assert_eq!(inputs[1].value(), Some("[\"-O1\"]"));
        }
        // Whoever does not know of them reads the same outputs.
        let plain: Mappings = mappings.iter().map(|(hash, it)| (*hash, it.clone())).collect();
        assert_ne!(plain, mappings);
        for line in text.lines().skip(1) {
            let (hash, read): (ContentHash, Outputs) = serde_json::from_str(line).unwrap();
            assert_eq!(plain.get(&hash), Some(&read));
        }
        assert!(mappings.filtered(|_, _| true) == mappings);
        let mut kept = mappings.clone();
        kept.retain(|outputs| outputs.outputs[0].path == "3.o");
        assert_eq!((kept.len(), kept.inputs.len()), (1, 1));
        kept.extend(mappings.clone());
        assert_eq!(kept, mappings);
    }

    #[test]
    fn hostile_inputs_are_left_out() {
        let nested = |depth: usize| {
            format!("[{}", "[\"n\",\"0123456789abcdef\",null,[".repeat(depth))
                + &"]]".repeat(depth)
                + "]"
        };
        let many = format!(
            "[{}[\"a\",\"0123456789abcdef\"]]",
            "[\"a\",\"0123456789abcdef\"],".repeat(300_000)
        );
        let of = |inputs: &str| {
            let line = line("k", &outputs(&["a"]));
            let line = format!("{},\"inputs\":{inputs}}}]", &line[..line.len() - 2]);
            let mappings = Mappings::parse(format!("\"1\"\n{line}\n").as_bytes()).unwrap();
            assert_eq!(mappings.len(), 1);
            mappings.inputs.len()
        };
        assert_eq!(of(&nested(10)), 1);
        let refused = [
            &nested(17),
            &nested(100_000),
            &many,
            "7",
            "{}",
            "[7]",
            "[[\"a\"]]",
            "[[\"a\",\"0123\"]]",
            "[[\"a\",\"0123456789abcdeg\"]]",
            "[[\"a\",\"0123456789abcdef\",7]]",
            "[[\"a\",\"0123456789abcdef\",null,[],1]]",
        ];
        for inputs in refused {
            assert_eq!(of(inputs), 0, "{}", &inputs[..inputs.len().min(60)]);
        }
        // Each of these leans on the one before: no deeper than that may go.
        let leaning = |n: usize| {
            let below = if n == 0 { String::new() } else { format!("[\"n\",\"{:016x}\"]", n - 1) };
            let line = line(&n.to_string(), &outputs(&["a"]));
            format!(
                "{},\"inputs\":[[\"n\",\"{n:016x}\",\"v\",[{below}]]]}}]\n",
                &line[..line.len() - 2]
            )
        };
        let text = format!("\"1\"\n{}", (0..20_000).map(leaning).collect::<String>());
        let mappings = Mappings::parse(text.as_bytes()).unwrap();
        let deepest = mappings.inputs.values().map(|nodes| depth(&nodes[0])).max();
        assert!(deepest.is_some_and(|depth| depth < 17), "{deepest:?}");
    }

    fn depth(node: &InputNode) -> usize {
        node.parts().iter().map(|part| depth(part)).max().map_or(0, |below| below + 1)
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
