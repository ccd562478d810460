//! Which files include which, read from the files themselves: nothing has to be built for it.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
    rc::Rc,
};

/// An `#include` of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Include {
    /// The name as it is written.
    pub name: String,
    /// The file, if it is one of the workspace.
    pub file: Option<Rc<Path>>,
}

/// Files of a workspace and what they include.
#[derive(Default)]
pub struct Includes {
    /// By file: the names that it includes, in order, and whether they are looked for beside it first.
    names: HashMap<Rc<Path>, Rc<[(String, bool)]>>,
    there: HashMap<PathBuf, Option<Rc<Path>>>,
}

impl Includes {
    /// Returns what a file includes, in order, where directories are searched for it. Conditions are not
    /// understood: what they hide is included too.
    pub fn of(&mut self, file: &Path, directories: &[PathBuf]) -> Vec<Include> {
        let names = match self.names.get(file) {
            Some(names) => names.clone(),
            None => {
                let names: Rc<[(String, bool)]> = names(&fs::read(file).unwrap_or_default()).into();
                self.names.insert(file.into(), names.clone());
                names
            }
        };
        let beside = file.parent().unwrap_or(Path::new("/"));
        let find = |includes: &mut Self, name: &str, quoted: bool| {
            let own = quoted.then_some(beside).into_iter();
            let mut all = own.chain(directories.iter().map(PathBuf::as_path));
            all.find_map(|directory| includes.there(&directory.join(name)))
        };
        let mut found = Vec::with_capacity(names.len());
        for (name, quoted) in &*names {
            found.push(Include { name: name.clone(), file: find(self, name, *quoted) });
        }
        found
    }

    /// Returns all that a file includes, whatever the way, itself first.
    pub fn all_of(&mut self, file: &Rc<Path>, directories: &[PathBuf]) -> Vec<Rc<Path>> {
        let mut seen: HashSet<Rc<Path>> = [file.clone()].into();
        let mut order = vec![file.clone()];
        let mut next = 0;
        while let Some(file) = order.get(next).cloned() {
            next += 1;
            for include in self.of(&file, directories) {
                let Some(found) = include.file else { continue };
                if seen.insert(found.clone()) {
                    order.push(found);
                }
            }
        }
        order
    }

    fn there(&mut self, path: &Path) -> Option<Rc<Path>> {
        if let Some(known) = self.there.get(path) {
            return known.clone();
        }
        // `a/../b.h` is `b.h`.
        let found = path.is_file().then(|| path.canonicalize().ok()).flatten().map(Rc::from);
        self.there.insert(path.to_owned(), found.clone());
        found
    }
}

/// The names that a text includes, and whether they are in quotes.
fn names(text: &[u8]) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    for line in text.split(|&c| c == b'\n') {
        let Some(rest) = line.trim_ascii().strip_prefix(b"#") else { continue };
        let Some(rest) = rest.trim_ascii_start().strip_prefix(b"include") else { continue };
        let (quoted, rest) = match rest.trim_ascii_start() {
            [b'"', rest @ ..] => (true, rest),
            [b'<', rest @ ..] => (false, rest),
            _ => continue,
        };
        let end = rest.iter().position(|&c| c == if quoted { b'"' } else { b'>' });
        let name = end.and_then(|end| str::from_utf8(&rest[..end]).ok());
        found.extend(name.map(|name| (name.to_owned(), quoted)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn includes_in_order() {
        let text = b"#include <b.h>\n  #  include \"a/x.h\" // c\n#include MACRO\n#includes \"n\n#include\"q.h\"";
        let expected = [("b.h", false), ("a/x.h", true), ("q.h", true)];
        let expected = expected.map(|(name, quoted)| (name.to_owned(), quoted));
        assert_eq!(names(text), expected);
    }
}
