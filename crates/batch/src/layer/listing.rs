//! The list of a layer's files. Its hash is the hash of the layer's content.

use std::collections::BTreeMap;

use larder_store::check_path;
use larder_trace::ContentHash;
use serde::{Deserialize, Serialize};

/// Everything in a layer, by path below it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// Files, links, and directories with nothing in them.
    pub entries: BTreeMap<String, Entry>,
}

/// Something in a layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum Entry {
    /// A regular file.
    File {
        /// The hash of its content, with names for paths.
        hash: ContentHash,
        /// The length of that, in bytes.
        size: u64,
        /// Whether it may be executed.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        executable: bool,
        /// Whether there are names for paths in it, which are replaced where it is put.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        named: bool,
    },
    /// A symbolic link to something in the layer.
    Link {
        /// Where it leads, from the directory that it is in.
        to: String,
    },
    /// A directory with nothing in it.
    Directory,
}

/// A line of the list.
#[derive(Serialize, Deserialize)]
struct Line {
    path: String,
    #[serde(flatten)]
    entry: Entry,
}

impl Listing {
    /// The list as text: a line of JSON for each, sorted by path.
    pub fn to_text(&self) -> String {
        let lines = self.entries.iter().map(|(path, entry)| {
            let line = Line { path: path.clone(), entry: entry.clone() };
            // Plain data with string keys always serialises.
            serde_json::to_string(&line).unwrap_or_default() + "\n"
        });
        lines.collect()
    }

    /// The hash of the content.
    pub fn digest(&self) -> ContentHash {
        ContentHash::of_bytes(self.to_text().as_bytes())
    }

    /// Reads a list.
    ///
    /// # Errors
    /// What is wrong with it: a list may have come from anybody.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let mut listing = Self::default();
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let Line { path, entry } =
                serde_json::from_slice(line).map_err(|error| error.to_string())?;
            check_path(&path).map_err(|error| error.to_string())?;
            if let Entry::Link { to } = &entry
                && leads_out(&path, to)
            {
                return Err(format!("its link {path:?} leads out of it"));
            }
            if listing.entries.insert(path.clone(), entry).is_some() {
                return Err(format!("it has {path:?} twice"));
            }
        }
        let inside_file = |path: &String| {
            let above = path.rmatch_indices('/').map(|(at, _)| &path[..at]);
            above.into_iter().any(|above| listing.entries.contains_key(above))
        };
        match listing.entries.keys().find(|path| inside_file(path)) {
            Some(path) => Err(format!("it has {path:?} below a file or link")),
            None => Ok(listing),
        }
    }
}

/// Whether a link at `path` in a layer leads anywhere else.
pub fn leads_out(path: &str, to: &str) -> bool {
    let mut depth = path.matches('/').count();
    for part in to.split('/') {
        match part {
            ".." if depth == 0 => return true,
            ".." => depth -= 1,
            "" | "." => {}
            _ => depth += 1,
        }
    }
    to.starts_with('/') || to.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_as_it_was_written() {
        let hash = ContentHash::of_bytes(b"x");
        let mut listing = Listing::default();
        let file = Entry::File { hash, size: 1, executable: true, named: false };
        listing.entries.insert("bin/a \"b\"\n".to_owned(), file);
        listing.entries.insert("lib/l".to_owned(), Entry::Link { to: "../bin/x".to_owned() });
        listing.entries.insert("share/e".to_owned(), Entry::Directory);
        let text = listing.to_text();
        assert_eq!(text.lines().count(), 3);
        let read = Listing::parse(text.as_bytes());
        // A name with a line feed is no name of an artifact.
        assert!(read.is_err());
        listing.entries.remove("bin/a \"b\"\n");
        let read = Listing::parse(listing.to_text().as_bytes()).unwrap();
        assert_eq!((read.digest(), read), (listing.digest(), listing));
    }

    #[test]
    fn a_list_of_somebody_else_leads_nowhere() {
        let link = |path: &str, to: &str| {
            format!("{{\"path\":\"{path}\",\"kind\":\"link\",\"to\":\"{to}\"}}\n")
        };
        for (text, wrong) in [
            (link("a", "/etc/passwd"), "leads out"),
            (link("a", ".."), "leads out"),
            (link("a/b", "../../c"), "leads out"),
            (link("a/b", "c/../../.."), "leads out"),
            (link("a", ""), "leads out"),
            (link("../a", "b"), "path"),
            (link("a", "b") + &link("a", "b"), "twice"),
            (link("a", "b") + &link("a/c", "b"), "below a file or link"),
            ("{}\n".to_owned(), "missing field"),
            ("\u{0}".to_owned(), "expected value"),
        ] {
            let error = Listing::parse(text.as_bytes()).unwrap_err();
            assert!(error.contains(wrong), "{text}: {error}");
        }
        assert!(Listing::parse(link("lib/a", "../lib/b").as_bytes()).is_ok());
    }
}
