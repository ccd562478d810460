//! Traces: what an output depends on, as one hash mixed from named parts.

use std::{borrow::Cow, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{ContentHash, MTime};

/// The trace of an output: a hash and the newest modification time, mixed in order from the named parts
/// that the output depends on. The parts are kept so that `larder why` can say which of them changed.
///
/// The hash of a leaf is what it was given. Mixing a part into a trace chains its name and hash:
/// `h' = BLAKE3(h ‖ length of name as u64 LE ‖ name ‖ hash of part)`, starting from 32 zero bytes.
/// So order and names count, and a trace that has been mixed can be extended without mixing again.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildTrace {
    name: Cow<'static, str>,
    hash: ContentHash,
    /// The text that was hashed, where it is short enough to show, such as an argument list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    parts: Vec<Arc<BuildTrace>>,
    #[serde(skip, default = "no_mtime")]
    mtime: MTime,
}

fn no_mtime() -> MTime {
    MTime::NONE
}

impl BuildTrace {
    /// A trace of nothing, to mix parts into.
    pub fn nil(name: impl Into<Cow<'static, str>>) -> Self {
        Self::leaf(name, ContentHash::from_bytes([0; 32]), MTime::NONE)
    }

    /// A part with a hash of its own, such as a file's.
    pub fn leaf(name: impl Into<Cow<'static, str>>, hash: ContentHash, mtime: MTime) -> Self {
        Self { name: name.into(), hash, value: None, parts: Vec::new(), mtime }
    }

    /// A part whose value is a short text, kept to be shown.
    pub fn text(name: impl Into<Cow<'static, str>>, value: impl Into<Box<str>>) -> Self {
        let value = value.into();
        let hash = ContentHash::of_bytes(value.as_bytes());
        Self { name: name.into(), hash, value: Some(value), parts: Vec::new(), mtime: MTime::NONE }
    }

    /// A part whose value is a list of strings. Unlike their concatenation, the list's hash tells
    /// `["a b"]` from `["a", "b"]`.
    pub fn list<S: AsRef<str>>(name: impl Into<Cow<'static, str>>, values: &[S]) -> Self {
        let values: Vec<&str> = values.iter().map(AsRef::as_ref).collect();
        // A JSON array is unambiguous and readable; strings always serialise.
        Self::text(name, serde_json::to_string(&values).unwrap_or_default())
    }

    /// This trace with `part` mixed in after what it already holds.
    #[must_use]
    pub fn mix(mut self, part: impl Into<Arc<BuildTrace>>) -> Self {
        let part = part.into();
        self.hash = self.hash_with(&part);
        self.mtime = self.mtime.max(part.mtime);
        self.parts.push(part);
        self
    }

    /// The hash that mixing in `part` would give.
    pub fn hash_with(&self, part: &BuildTrace) -> ContentHash {
        self.hash_with_leaf(&part.name, part.hash)
    }

    /// The hash that mixing in a part of this name and hash would give.
    pub fn hash_with_leaf(&self, name: &str, hash: ContentHash) -> ContentHash {
        let length = (name.len() as u64).to_le_bytes();
        let (before, name, hash) = (self.hash.as_bytes(), name.as_bytes(), hash.as_bytes());
        let parts = [before, &length[..], name, hash];
        // A build with nothing to do mixes for each of its objects: where it fits, in no memory of its own.
        let mut buffer = [0; 256];
        let mut rest = &mut buffer[..];
        for part in parts {
            let Some((place, after)) = rest.split_at_mut_checked(part.len()) else {
                return ContentHash::of_bytes(&parts.concat());
            };
            place.copy_from_slice(part);
            rest = after;
        }
        let left = rest.len();
        ContentHash::of_bytes(&buffer[..buffer.len() - left])
    }

    /// This trace with every part of `parts` mixed in, in order.
    #[must_use]
    pub fn mix_all<P: Into<Arc<BuildTrace>>>(self, parts: impl IntoIterator<Item = P>) -> Self {
        parts.into_iter().fold(self, Self::mix)
    }

    /// The trace under another name, as a part of something else.
    #[must_use]
    pub fn named(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.name = name.into();
        self
    }

    /// The name of what it is a trace of.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The one hash of it all.
    pub fn hash(&self) -> ContentHash {
        self.hash
    }

    /// The newest modification time among its parts.
    pub fn mtime(&self) -> MTime {
        self.mtime
    }

    /// The text that was hashed, where it was kept.
    pub fn value(&self) -> Option<&str> {
        self.value.as_deref()
    }

    /// The parts mixed in, in order.
    pub fn parts(&self) -> &[Arc<BuildTrace>] {
        &self.parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn leaf(name: &str, content: &str) -> BuildTrace {
        BuildTrace::leaf(name.to_owned(), ContentHash::of_bytes(content.as_bytes()), MTime(1))
    }

    fn mixed(parts: &[(String, String)]) -> BuildTrace {
        BuildTrace::nil("all").mix_all(parts.iter().map(|(name, content)| leaf(name, content)))
    }

    proptest! {
        #[test]
        fn equal_exactly_when_the_parts_are(
            a in prop::collection::vec(("[ab]{0,2}", "[xy]{0,2}"), 0..4),
            b in prop::collection::vec(("[ab]{0,2}", "[xy]{0,2}"), 0..4),
        ) {
            prop_assert_eq!(mixed(&a).hash() == mixed(&b).hash(), a == b);
        }

        #[test]
        fn mtime_is_the_newest(times: Vec<i64>) {
            let trace = BuildTrace::nil("all").mix_all(times.iter().map(|&time| {
                BuildTrace::leaf("part", ContentHash::of_bytes(b""), MTime(time))
            }));
            prop_assert_eq!(trace.mtime().0, times.into_iter().max().unwrap_or(i64::MIN));
        }

        #[test]
        fn the_tree_survives_json(parts in prop::collection::vec(("[ab]{0,2}", "[xy]{0,2}"), 0..4)) {
            let trace = BuildTrace::nil("outer").mix(mixed(&parts)).mix(BuildTrace::list("args", &["-O2"]));
            let json = serde_json::to_string(&trace).unwrap();
            let read: BuildTrace = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(serde_json::to_string(&read).unwrap(), json);
        }
    }

    #[test]
    fn lists_keep_their_boundaries() {
        let hash = |values: &[&str]| BuildTrace::list("args", values).hash();
        assert_ne!(hash(&["a b"]), hash(&["a", "b"]));
        assert_ne!(hash(&["a\",\"b"]), hash(&["a", "b"]));
    }
}
