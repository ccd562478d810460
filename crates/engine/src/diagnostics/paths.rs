//! Paths in what tools say: portable in records, seen from where the user is when they are shown.

use std::{
    borrow::Cow,
    ops::Range,
    path::{Component, Path, PathBuf},
};

use larder_project::{
    path::PortablePath,
    place::{Place, Places},
};
use larder_trace::{Diagnostic, LogEntry};

use super::{
    ansi,
    head::{is_path, place_at, signed},
};

/// Names files for the records of one package, and for people.
#[derive(Clone, Copy)]
pub struct Naming<'n> {
    /// Where packages are.
    pub places: &'n Places,
    /// The package whose command speaks.
    pub place: &'n Place,
}

impl Naming<'_> {
    /// Returns the portable name of a file that the command called `printed`; `None` where it is no file
    /// that anybody could find: relative, and not there.
    pub(super) fn recorded(&self, printed: &str) -> Option<String> {
        if !is_path(printed) {
            return None;
        }
        // As debug information calls it, from which linkers have it.
        if printed.starts_with('@')
            && let Ok(found) = self.places.find(self.place, &PortablePath::recorded(printed))
            && self.places.absolute(&found).exists()
        {
            return Some(self.places.portable(self.place, &found).to_string());
        }
        let path = self.places.opened(self.place, printed);
        (printed.starts_with('/') || self.places.absolute(&path).exists())
            .then(|| self.places.portable(self.place, &path).to_string())
    }

    /// Returns the path of a file that a record names, seen from the directory `from`.
    fn shown(&self, recorded: &str, from: &Path) -> Option<String> {
        if !is_path(recorded) {
            return None;
        }
        let path = self.places.find(self.place, &PortablePath::recorded(recorded)).ok()?;
        let absolute = self.places.absolute(&path);
        let certain = recorded.starts_with(['@', '<', '/']);
        let own = !path.as_str().starts_with('/') || !recorded.starts_with('/');
        (own && (certain || absolute.exists())).then(|| from_where(&absolute, from))
    }

    /// Returns a line as it is recorded.
    pub(super) fn record_line(&self, coloured: &str, plain: &str) -> String {
        renamed(coloured, plain, |path| self.recorded(path))
    }

    /// Returns a recorded log as people in the directory `from` see it.
    pub fn show<'l>(&self, log: &'l [LogEntry], from: &Path) -> Cow<'l, [LogEntry]> {
        if log.iter().all(|entry| entry.diagnostic.is_none()) {
            return log.into();
        }
        log.iter().map(|entry| self.show_entry(entry, from)).collect::<Vec<_>>().into()
    }

    fn show_entry(&self, entry: &LogEntry, from: &Path) -> LogEntry {
        let Some(diagnostic) = &entry.diagnostic else { return entry.clone() };
        let name = |name: &Option<String>| {
            let name = name.as_ref()?;
            Some(self.shown(name, from).unwrap_or_else(|| name.clone()))
        };
        let line = |line: &str| renamed(line, &ansi::plain(line), |path| self.shown(path, from));
        let lines: Vec<String> = entry.message.split('\n').map(line).collect();
        LogEntry {
            level: entry.level,
            message: lines.join("\n"),
            diagnostic: Some(Box::new(Diagnostic {
                file: name(&diagnostic.file),
                object: name(&diagnostic.object),
                ..(**diagnostic).clone()
            })),
        }
    }
}

/// Returns a line in which each path is what `name` says.
fn renamed(coloured: &str, plain: &str, name: impl Fn(&str) -> Option<String>) -> String {
    let changes: Vec<(Range<usize>, String)> = paths_in(plain)
        .into_iter()
        .filter_map(|range| Some((range.clone(), name(&plain[range])?)))
        .collect();
    ansi::replace(coloured, &changes)
}

/// Returns where the paths of files stand in a line that belongs to a diagnostic.
fn paths_in(line: &str) -> Vec<Range<usize>> {
    let indented = line.len() - line.trim_start().len();
    let mut start = signed(line).map_or(indented, |(start, _)| start);
    for before in ["In file included from ", "from ", ">>> referenced by ", ">>>", "--> "] {
        if line[start..].starts_with(before) {
            start += before.len();
            start += line[start..].len() - line[start..].trim_start().len();
            break;
        }
    }
    if let Some(at) = line.find("inlined from ").and_then(|_| line.rfind(" at ")) {
        start = at + 4;
    } else if indented > 0 && start == indented {
        // Source code, most of the time.
        return Vec::new();
    }
    let mut found = Vec::new();
    if let Some(place) = place_at(line, start) {
        let end = place.end;
        found.push(place.path);
        // lld: `>>> referenced by b.c:2 (/w/src/b.c:2)`.
        if line[end..].starts_with(" (")
            && let Some(whole) = place_at(line, end + 2)
        {
            found.push(whole.path);
        }
        return found;
    }
    let rest = &line[start..];
    let ends = rest.find([':', '(']).filter(|&end| {
        let after = &rest[end..];
        after.starts_with(": ") || after.starts_with(":(") || is_path(&rest[..end])
    });
    if let Some(end) = ends.filter(|&end| rest[..end].contains(['/', '.'])) {
        found.push(start..start + end);
    }
    found
}

/// Returns an absolute path as seen from the directory `from`: relative where both have more than the root in
/// common.
pub fn from_where(path: &Path, from: &Path) -> String {
    let common = path.components().zip(from.components()).take_while(|(a, b)| a == b).count();
    if common < 2 {
        return path.to_string_lossy().into_owned();
    }
    let up = from.components().skip(common).map(|_| Component::ParentDir);
    let relative: PathBuf = up.chain(path.components().skip(common)).collect();
    relative.to_string_lossy().into_owned()
}

/// Returns the absolute path of a file that is `seen` from the directory `from`, without its `..`.
pub(super) fn joined(from: &Path, seen: &str) -> PathBuf {
    let mut path = from.to_path_buf();
    for component in Path::new(seen).components() {
        match component {
            Component::ParentDir => _ = path.pop(),
            Component::CurDir => {}
            other => path.push(other),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_found_where_tools_write_them() {
        for (line, paths) in [
            ("src/a.c:3:1: warning: x", &["src/a.c"][..]),
            ("In file included from src/h.h:1,", &["src/h.h"]),
            ("                 from a.c:2:", &["a.c"]),
            ("src/a.c: In function ‘main’:", &["src/a.c"]),
            ("/usr/bin/ld: /w/b.o: in function `main':", &["/w/b.o"]),
            ("b.c:(.text+0x5): undefined reference to `foo'", &["b.c"]),
            ("b.o:b.c:function bar: error: undefined reference to 'foo'", &["b.o"]),
            (">>> referenced by b.c:2 (/w/src/b.c:2)", &["b.c", "/w/src/b.c"]),
            (">>>               /w/b.o:(bar)", &["/w/b.o"]),
            ("  --> src/main.rs:2:9", &["src/main.rs"]),
            ("    inlined from ‘main’ at src/a.c:3:2:", &["src/a.c"]),
            ("<command-line>: warning: \"A\" redefined", &[]),
            ("<build>/gen.h:1:1: note: here", &["<build>/gen.h"]),
            ("    1 | int x = a.b:3;", &[]),
            ("cc1: warning: x", &[]),
            ("12:30:00", &["12"]),
        ] {
            let found: Vec<&str> = paths_in(line).into_iter().map(|range| &line[range]).collect();
            assert_eq!(found, paths, "{line}");
        }
    }

    #[test]
    fn paths_are_seen_from_a_directory() {
        for (path, from, seen) in [
            ("/w/p/src/a.c", "/w/p", "src/a.c"),
            ("/w/p/src/a.c", "/w/p/src", "a.c"),
            ("/w/p/include/a.h", "/w/p/src", "../include/a.h"),
            ("/w/q/a.h", "/w/p/src", "../../q/a.h"),
            ("/usr/include/stdio.h", "/w/p", "/usr/include/stdio.h"),
        ] {
            assert_eq!(from_where(Path::new(path), Path::new(from)), seen);
        }
    }
}
