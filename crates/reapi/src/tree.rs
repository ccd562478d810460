//! The files of an action as the messages that say so: directories by the digests of what is in them.

use std::collections::BTreeMap;

use prost::Message;

use crate::{
    blobs::{Blob, Source},
    digest::Digest,
    wire::re,
};

/// Files and directories, one in the other.
#[derive(Debug, Default)]
pub struct Tree {
    files: BTreeMap<String, File>,
    /// Symbolic links with their targets.
    links: BTreeMap<String, String>,
    directories: BTreeMap<String, Tree>,
}

/// A file in a tree.
#[derive(Debug, Clone)]
pub struct File {
    /// What it holds.
    pub blob: Blob,
    /// Whether it can be run.
    pub executable: bool,
}

impl Tree {
    /// Returns the directory at `path`, which is made where it is not there yet.
    pub fn directory(&mut self, path: &str) -> &mut Self {
        let names = path.split('/').filter(|name| !name.is_empty());
        names.fold(self, |tree, name| tree.directories.entry(name.to_owned()).or_default())
    }

    /// Puts a file at `path`.
    pub fn insert(&mut self, path: &str, file: File) {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        self.directory(directory).files.insert(name.to_owned(), file);
    }

    /// Puts a symbolic link at `path`.
    pub fn link(&mut self, path: &str, target: String) {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        self.directory(directory).links.insert(name.to_owned(), target);
    }

    /// Returns all files with their digests, as `sha256sum --check` reads them; none where a name is none for such a list.
    pub fn sums(&self) -> Option<String> {
        let mut text = String::new();
        self.add_sums("", &mut text)?;
        Some(text)
    }

    fn add_sums(&self, above: &str, text: &mut String) -> Option<()> {
        for (name, file) in &self.files {
            if name.contains(['\n', '\r', '\\']) {
                return None;
            }
            *text += &format!("{}  {above}{name}\n", file.blob.digest.hex());
        }
        self.directories.iter().try_for_each(|(name, directory)| {
            if name.contains(['\n', '\r', '\\']) {
                return None;
            }
            directory.add_sums(&format!("{above}{name}/"), text)
        })
    }

    /// Returns the tree as one message, and adds the contents of its files to `blobs`.
    pub fn message(self, blobs: &mut Vec<Blob>) -> re::Tree {
        let mut all = Vec::new();
        self.finish(&mut all);
        let is_directory = |blob: &Blob| matches!(blob.source, Source::Bytes(_));
        let (directories, files): (Vec<Blob>, Vec<Blob>) = all.into_iter().partition(is_directory);
        blobs.extend(files);
        let mut directories: Vec<re::Directory> = directories
            .iter()
            .filter_map(|blob| match &blob.source {
                Source::Bytes(bytes) => re::Directory::decode(bytes.clone()).ok(),
                Source::File(_) => None,
            })
            .collect();
        // The outermost is added last.
        let root = directories.pop();
        re::Tree { root, children: directories }
    }

    /// Adds all contents of the tree to `blobs`, the messages of its directories among them, and returns the digest of
    /// the outermost one.
    pub fn finish(self, blobs: &mut Vec<Blob>) -> Digest {
        let mut message = re::Directory::default();
        // Names are in their order: the same tree has the same digest.
        for (name, tree) in self.directories {
            let digest = Some(tree.finish(blobs).to_wire());
            message.directories.push(re::DirectoryNode { name, digest });
        }
        for (name, File { blob, executable: is_executable }) in self.files {
            let digest = Some(blob.digest.to_wire());
            let node_properties = None;
            message.files.push(re::FileNode { name, digest, is_executable, node_properties });
            blobs.push(blob);
        }
        for (name, target) in self.links {
            let node_properties = None;
            message.symlinks.push(re::SymlinkNode { name, target, node_properties });
        }
        let (digest, bytes) = Digest::of_message(&message);
        blobs.push(Blob { digest, source: Source::Bytes(bytes.into()) });
        digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_has_one_digest_however_it_was_put_together() {
        let file = |text: &str| File { blob: Blob::of_bytes(text.into()), executable: false };
        let paths = ["b/c/x", "a", "b/a", "b/c/d/e"];
        let mut digests = Vec::new();
        for rotation in 0..paths.len() {
            let mut tree = Tree::default();
            for at in 0..paths.len() {
                let path = paths[(at + rotation) % paths.len()];
                tree.insert(path, file(path));
            }
            tree.link("b/link", "../a".to_owned());
            tree.directory("empty");
            let mut blobs = Vec::new();
            digests.push(tree.finish(&mut blobs));
            // Four files, and the directories: the outermost, b, b/c, b/c/d, empty.
            assert_eq!(blobs.len(), 9);
        }
        digests.dedup();
        assert_eq!(digests.len(), 1);
    }
}
