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
    /// Whether something is declared before it.
    pub late: bool,
}

impl Include {
    /// Returns an include of a file of the workspace, before anything is declared.
    pub fn of(file: Rc<Path>) -> Self {
        Self { name: file.to_string_lossy().into_owned(), file: Some(file), late: false }
    }
}

/// A directive as it is written.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    Include {
        name: String,
        /// Whether it is looked for beside the file first.
        quoted: bool,
        /// Whether something is declared before it.
        late: bool,
    },
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
                Line::Include { name, quoted, late } => {
                    let own = quoted.then_some(beside).into_iter();
                    let mut all = own.chain(directories.iter().map(PathBuf::as_path));
                    let file = all.find_map(|directory| self.there(&directory.join(name)));
                    Directive::Include(Include { name: name.clone(), file, late: *late })
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

    /// Returns the files that a file includes before it declares anything, and by way of which it includes itself again.
    pub fn circles(&mut self, file: &Rc<Path>, directories: &[PathBuf]) -> Vec<Rc<Path>> {
        let all = self.all_of(file, directories);
        if !all[1..].iter().any(|from| self.includes(from, file, directories)) {
            return Vec::new();
        }
        let own = self.of(file, directories).into_iter().filter_map(|directive| match directive {
            Directive::Include(Include { file, late: false, .. }) => file,
            _ => None,
        });
        let others: Vec<Rc<Path>> = own.filter(|found| found != file).collect();
        let leads_back = |found: &Rc<Path>| self.all_of(found, directories).contains(file);
        others.into_iter().filter(leads_back).collect()
    }

    /// Whether a file itself includes `other`.
    fn includes(&mut self, file: &Path, other: &Rc<Path>, directories: &[PathBuf]) -> bool {
        self.of(file, directories).iter().any(|directive| {
            matches!(directive, Directive::Include(include) if include.file.as_ref() == Some(other))
        })
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
    let (mut in_comment, mut goes_on, mut late) = (false, false, false);
    for line in text.split(|&c| c == b'\n') {
        let starts_inside = in_comment || goes_on;
        let code = without_comments(line, &mut in_comment);
        let code = code.trim_ascii();
        let is_directive = goes_on || code.starts_with(b"#");
        goes_on = is_directive && code.ends_with(b"\\");
        late |= !is_directive && !is_linkage(code);
        let directive = line.trim_ascii().strip_prefix(b"#").filter(|_| !starts_inside);
        let Some(rest) = directive.map(<[u8]>::trim_ascii_start) else { continue };
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
        found.extend(name.map(|name| Line::Include { name: name.to_owned(), quoted, late }));
    }
    found
}

/// Whether a line without comments declares nothing, but may say that names are C's.
fn is_linkage(code: &[u8]) -> bool {
    let words = code.strip_prefix(b"extern").map_or(code, <[u8]>::trim_ascii_start);
    let rest = words.strip_prefix(b"\"C\"").map_or(words, <[u8]>::trim_ascii_start);
    matches!(rest, b"" | b"{" | b"}")
}

/// Returns what a line says outside of comments, and whether it ends `in_comment`.
fn without_comments(line: &[u8], in_comment: &mut bool) -> Vec<u8> {
    let mut code = Vec::with_capacity(line.len());
    let mut quote = None;
    let mut rest = line;
    while let [first, after @ ..] = rest {
        rest = after;
        match (*first, after.first(), quote) {
            (b'*', Some(b'/'), _) if *in_comment => (*in_comment, rest) = (false, &after[1..]),
            _ if *in_comment => {}
            (b'/', Some(b'*'), None) => (*in_comment, rest) = (true, &after[1..]),
            (b'/', Some(b'/'), None) => break,
            (b'\\', Some(next), Some(_)) => {
                code.extend([b'\\', *next]);
                rest = &after[1..];
            }
            (c, _, open) => {
                if open == Some(c) {
                    quote = None;
                } else if open.is_none() && matches!(c, b'"' | b'\'') {
                    quote = Some(c);
                }
                code.push(c);
            }
        }
    }
    code
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

    fn include(name: &str, quoted: bool, late: bool) -> Line {
        Line::Include { name: name.to_owned(), quoted, late }
    }

    #[test]
    fn directives_in_order() {
        let text = b"#include <b.h>\n  #  include \"a/x.h\" // c\n#define N  512 /* of them */\n#define GUARD\n#define F(x) x\n#define L a \\\n b\n#include MACRO\n#includes \"n\n#include\"q.h\"\n# define M \"s\"";
        let define = |text: &str| Line::Define(text.to_owned());
        let expected = [
            include("b.h", false, false),
            include("a/x.h", true, false),
            define("N=512"),
            include("q.h", true, false),
            define("M=\"s\""),
        ];
        assert_eq!(lines(text), expected);
    }

    #[test]
    fn declarations_make_what_follows_late() {
        let early = [
            "/* int x; */",
            "// int x;",
            "/* it\n * is */",
            "#define F(x) \\\n  int x;",
            "#ifdef __cplusplus\nextern \"C\" {\n#endif",
            "#error it's /* here */",
            "}",
        ];
        for text in early {
            let text = format!("{text}\n#include <a.h>\n");
            assert_eq!(lines(text.as_bytes()), [include("a.h", false, false)], "{text}");
        }
        let late = [
            "int x; /*\n#include <hidden.h>\n*/",
            "/*\n*/ int x;",
            "/* a */ int x;",
            "char *x = \"/*\";",
            "char x = '\"';",
        ];
        for text in late {
            let text = format!("{text}\n#include <a.h>\n");
            assert_eq!(lines(text.as_bytes()), [include("a.h", false, true)], "{text}");
        }
    }
}
