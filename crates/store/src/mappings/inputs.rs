//! What outputs were made from, as a mappings file tells it to whoever asks why theirs differ.
//!
//! A node is a JSON array: `["<name>","<hash>"]`, then its value, or null, and its parts. The hash is the
//! first 16 hex digits of the part's. A node with a value or parts stands in full where it comes first
//! in the file, and as name and hash after that.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::Arc,
};

use larder_trace::{BuildTrace, ContentHash};
use serde::{
    Deserializer,
    de::{DeserializeSeed, Error, IgnoredAny, SeqAccess, Visitor},
};

/// No node has more nodes below it, one in another. Those of builds have about five.
const DEEPEST: u8 = 16;

/// No entry stands for more nodes in full.
const MOST: usize = 1 << 18;

/// The parts of a trace, in order.
pub type InputNodes = Arc<[Arc<InputNode>]>;

/// A named part of what outputs were made from. Two with the same name and hash are the same.
#[derive(Debug)]
pub struct InputNode {
    name: Box<str>,
    hash: u64,
    value: Option<Box<str>>,
    parts: Vec<Arc<InputNode>>,
    depth: u8,
}

impl PartialEq for InputNode {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.name == other.name
    }
}

impl Eq for InputNode {}

impl InputNode {
    /// The part's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text that was hashed, where it is kept.
    pub fn value(&self) -> Option<&str> {
        self.value.as_deref()
    }

    /// The parts that its hash was mixed from, where they are kept.
    pub fn parts(&self) -> &[Arc<InputNode>] {
        &self.parts
    }

    /// Whether there is more to it than name and hash.
    fn is_full(&self) -> bool {
        self.value.is_some() || !self.parts.is_empty()
    }

    fn write(&self, written: &mut Written, text: &mut Vec<u8>) {
        text.push(b'[');
        write_text(&self.name, text);
        text.extend(format!(",\"{:016x}\"", self.hash).into_bytes());
        if self.is_full() && written.is_first(self) {
            text.push(b',');
            match &self.value {
                Some(value) => write_text(value, text),
                None => text.extend(b"null"),
            }
            if !self.parts.is_empty() {
                text.push(b',');
                written.write(&self.parts, text);
            }
        }
        text.push(b']');
    }
}

fn write_text(string: &str, text: &mut Vec<u8>) {
    // A string, to memory: that cannot fail.
    _ = serde_json::to_writer(text, string);
}

/// The nodes that stand in full in the text of a mappings file so far.
#[derive(Default)]
pub(super) struct Written(HashSet<(Box<str>, u64)>);

impl Written {
    /// Appends nodes to `text`.
    pub fn write(&mut self, nodes: &[Arc<InputNode>], text: &mut Vec<u8>) {
        text.push(b'[');
        for (number, node) in nodes.iter().enumerate() {
            if number > 0 {
                text.push(b',');
            }
            node.write(self, text);
        }
        text.push(b']');
    }

    fn is_first(&mut self, node: &InputNode) -> bool {
        self.0.insert((node.name.clone(), node.hash))
    }
}

/// Makes nodes, and keeps but one of those that are the same and have more to them than name and hash.
#[derive(Debug, Default)]
pub struct NodeTable(HashMap<Box<str>, HashMap<u64, Arc<InputNode>>>);

impl NodeTable {
    /// The nodes of the parts of a trace.
    pub fn of_trace(&mut self, parts: &[Arc<BuildTrace>]) -> InputNodes {
        parts.iter().map(|part| self.of_part(part, DEEPEST)).collect()
    }

    fn of_part(&mut self, part: &BuildTrace, deepest: u8) -> Arc<InputNode> {
        let hash = beginning(part.hash());
        if let Some(known) = self.known(part.name(), hash) {
            return known;
        }
        let parts = match deepest.checked_sub(1) {
            Some(below) if below > 0 => part.parts(),
            _ => &[],
        };
        let parts = parts.iter().map(|part| self.of_part(part, deepest - 1)).collect();
        self.keep(part.name().into(), hash, part.value().map(Into::into), parts)
    }

    fn known(&self, name: &str, hash: u64) -> Option<Arc<InputNode>> {
        self.0.get(name)?.get(&hash).cloned()
    }

    fn keep(
        &mut self,
        name: Box<str>,
        hash: u64,
        value: Option<Box<str>>,
        parts: Vec<Arc<InputNode>>,
    ) -> Arc<InputNode> {
        let depth = parts.iter().map(|part| part.depth).max().map_or(0, |depth| depth + 1);
        let node = Arc::new(InputNode { name, hash, value, parts, depth });
        if node.is_full() {
            self.0
                .entry(node.name.clone())
                .or_default()
                .entry(hash)
                .or_insert_with(|| node.clone());
        }
        node
    }

    /// The nodes that stand in the line of an entry; `None` where it has none, or what is there is not
    /// nodes: the entry counts all the same.
    pub(super) fn of_entry(&mut self, text: &[u8]) -> Option<InputNodes> {
        #[derive(serde::Deserialize)]
        struct More<'a> {
            #[serde(borrow)]
            inputs: &'a serde_json::value::RawValue,
        }
        // Most entries without them are told without parsing them twice.
        memchr::memmem::find(text, b"\"inputs\"")?;
        let (_, More { inputs }) = serde_json::from_slice::<(IgnoredAny, More<'_>)>(text).ok()?;
        let mut left = MOST;
        let nodes = Nodes { table: self, left: &mut left };
        let nodes = nodes.deserialize(&mut serde_json::Deserializer::from_str(inputs.get()));
        nodes
            .inspect_err(|error| tracing::debug!(%error, "inputs of a mapping are ignored"))
            .ok()
            .map(Into::into)
    }
}

/// The number that stands for a hash.
fn beginning(hash: ContentHash) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_bytes()[..8]);
    u64::from_be_bytes(first)
}

/// Reads a list of nodes.
struct Nodes<'a> {
    table: &'a mut NodeTable,
    left: &'a mut usize,
}

impl<'de> DeserializeSeed<'de> for Nodes<'_> {
    type Value = Vec<Arc<InputNode>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Nodes<'_> {
    type Value = Vec<Arc<InputNode>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of nodes")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) =
            seq.next_element_seed(Node { table: &mut *self.table, left: &mut *self.left })?
        {
            nodes.push(node);
        }
        Ok(nodes)
    }
}

/// Reads one node.
struct Node<'a> {
    table: &'a mut NodeTable,
    left: &'a mut usize,
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Arc<InputNode>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Arc<InputNode>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a node")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        *self.left = self.left.checked_sub(1).ok_or_else(|| A::Error::custom("too many nodes"))?;
        let missing = || A::Error::custom("a node has a name and a hash");
        let name: Box<str> = seq.next_element()?.ok_or_else(missing)?;
        let digits: Box<str> = seq.next_element()?.ok_or_else(missing)?;
        let hash = (digits.len() == 16)
            .then(|| u64::from_str_radix(&digits, 16).ok())
            .flatten()
            .ok_or_else(|| A::Error::custom("the hash of a node is 16 hex digits"))?;
        let value: Option<Option<Box<str>>> = seq.next_element()?;
        let parts = match value {
            None => None,
            Some(_) => seq.next_element_seed(Nodes { table: &mut *self.table, left: self.left })?,
        };
        let parts = parts.unwrap_or_default();
        if parts.iter().any(|part| part.depth + 1 >= DEEPEST) {
            return Err(A::Error::custom("nodes lie too deep in each other"));
        }
        match value {
            None => Ok(self
                .table
                .known(&name, hash)
                .unwrap_or_else(|| self.table.keep(name, hash, None, Vec::new()))),
            Some(value) => Ok(self.table.keep(name, hash, value, parts)),
        }
    }
}
