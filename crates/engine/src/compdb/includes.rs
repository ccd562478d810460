//! Which files include which, and the macros that they define, read from the files themselves: nothing has to be built
//! for it.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
    rc::Rc,
};

/// A directive of a file that matters to what it includes later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Directive {
    /// It includes a file.
    Include(Include),
    /// It defines a macro without parameters: `NAME=VALUE`.
    Define(String),
}

/// An `#include` of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Include {
    /// The name as it is written.
    pub name: String,
    /// The file, if it is one of the workspace.
    pub file: Option<Rc<Path>>,
}

/// A directive as it is written.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    /// A name to include, and whether it is looked for beside the file first.
    Include(String, bool),
    Define(String),
}

/// Files of a workspace and what they include.
#[derive(Default)]
pub struct Includes {
    lines: HashMap<Rc<Path>, Rc<[Line]>>,
    there: HashMap<PathBuf, Option<Rc<Path>>>,
}

impl Includes {
    /// Returns the directives of a file, in order, where directories are searched for what it includes. Conditions are not
    /// understood: what they hide counts too.
    pub fn of(&mut self, file: &Path, directories: &[PathBuf]) -> Vec<Directive> {
        let lines = match self.lines.get(file) {
            Some(lines) => lines.clone(),
            None => {
                let lines: Rc<[Line]> = lines(&fs::read(file).unwrap_or_default()).into();
                self.lines.insert(file.into(), lines.clone());
                lines
            }
        };
        let beside = file.parent().unwrap_or(Path::new("/"));
        let mut found = Vec::with_capacity(lines.len());
        for line in &*lines {
            found.push(match line {
                Line::Define(text) => Directive::Define(text.clone()),
                Line::Include(name, quoted) => {
                    let own = quoted.then_some(beside).into_iter();
                    let mut all = own.chain(directories.iter().map(PathBuf::as_path));
                    let file = all.find_map(|directory| self.there(&directory.join(name)));
                    Directive::Include(Include { name: name.clone(), file })
                }
            });
        }
        found
    }

    /// Returns all that a file includes, whatever the way, itself first.
    pub fn all_of(&mut self, file: &Rc<Path>, directories: &[PathBuf]) -> Vec<Rc<Path>> {
        let mut order = vec![file.clone()];
        let mut seen: HashSet<Rc<Path>> = order.iter().cloned().collect();
        let mut next = 0;
        while let Some(file) = order.get(next).cloned() {
            next += 1;
            for directive in self.of(&file, directories) {
                let Directive::Include(Include { file: Some(found), .. }) = directive else {
                    continue;
                };
                if seen.insert(found.clone()) {
                    order.push(found);
                }
            }
        }
        order
    }

    /// Returns the directories in which files were looked for.
    pub fn looked_into(&self) -> impl Iterator<Item = PathBuf> {
        self.there.keys().filter_map(|path| path.parent()).map(Path::to_owned)
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

/// The directives of a text. A macro counts where it stands on one line and has a value: the others mostly say that a
/// header has been read.
fn lines(text: &[u8]) -> Vec<Line> {
    let mut found = Vec::new();
    for line in text.split(|&c| c == b'\n') {
        let Some(rest) = line.trim_ascii().strip_prefix(b"#") else { continue };
        let rest = rest.trim_ascii_start();
        if let Some(rest) = rest.strip_prefix(b"define") {
            found.extend(str::from_utf8(rest).ok().and_then(macro_of).map(Line::Define));
        }
        let Some(rest) = rest.strip_prefix(b"include") else { continue };
        let (quoted, rest) = match rest.trim_ascii_start() {
            [b'"', rest @ ..] => (true, rest),
            [b'<', rest @ ..] => (false, rest),
            _ => continue,
        };
        let end = rest.iter().position(|&c| c == if quoted { b'"' } else { b'>' });
        let name = end.and_then(|end| str::from_utf8(&rest[..end]).ok());
        found.extend(name.map(|name| Line::Include(name.to_owned(), quoted)));
    }
    found
}

/// Returns `NAME=VALUE` of what stands after `#define`.
fn macro_of(text: &str) -> Option<String> {
    let (name, value) = text.strip_prefix([' ', '\t'])?.trim().split_once([' ', '\t'])?;
    let comment = [value.find("/*"), value.find("//")].into_iter().flatten().min();
    let value = value[..comment.unwrap_or(value.len())].trim();
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    (is_name && !value.is_empty() && !value.ends_with('\\')).then(|| format!("{name}={value}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_in_order() {
        let text = b"#include <b.h>\n  #  include \"a/x.h\" // c\n#define N  512 /* of them */\n#define GUARD\n#define F(x) x\n#define L a \\\n b\n#include MACRO\n#includes \"n\n#include\"q.h\"\n# define M \"s\"";
        let include = |name: &str, quoted| Line::Include(name.to_owned(), quoted);
        let define = |text: &str| Line::Define(text.to_owned());
        let expected = [
            include("b.h", false),
            include("a/x.h", true),
            define("N=512"),
            include("q.h", true),
            define("M=\"s\""),
        ];
        assert_eq!(lines(text), expected);
    }
}
