//! The text of a manifest.

use std::{collections::BTreeSet, fmt::Write};

use super::describe::{Flags, Kind, Package, Target};
use crate::plan::Language;

impl Package {
    /// The text of its manifest.
    pub fn manifest(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ =
            writeln!(text, "# Made by `larder init` from {}. It is yours to change.", self.from);
        let _ = writeln!(text, "\n[package]\nname = {}", quoted(&self.name));
        if !self.version.is_empty() {
            let _ = writeln!(text, "version = {}", quoted(&self.version));
        }
        let mut targets = self.targets.clone();
        if targets.len() > 1 {
            let mut flags: Vec<&mut Flags> = targets.iter_mut().map(|it| &mut it.flags).collect();
            let common = Flags::take_common(&mut flags);
            let has = |wanted| self.targets.iter().any(|target| has_language(target, wanted));
            let lines = flag_lines(&common, has(Language::C), has(Language::Cxx));
            if !lines.is_empty() {
                let _ = write!(text, "\n[defaults]\n{lines}");
            }
        }
        for target in &targets {
            self.target(target, &mut text);
        }
        text
    }

    fn target(&self, target: &Target, text: &mut String) {
        let table = if target.kind.is_library() { "library" } else { "executable" };
        let _ = writeln!(text, "\n[[{table}]]\nname = {}", quoted(&target.name));
        if target.kind == Kind::Shared {
            text.push_str("kind = [\"shared\"]\n");
        }
        let (patterns, exclude) = patterns(&target.sources, &self.sources);
        list(text, "sources", &patterns);
        list(text, "exclude", &exclude);
        let has = |wanted| has_language(target, wanted);
        text.push_str(&flag_lines(&target.flags, has(Language::C), has(Language::Cxx)));
        list(text, "libraries", &target.libraries);
        list(text, "link-args", &target.link_args);
        if let Kind::Test(arguments) = &target.kind {
            text.push_str("test = true\n");
            list(text, "test-args", arguments);
        }
    }
}

/// Whether a target has sources of a language; assembly goes with C.
fn has_language(target: &Target, wanted: Language) -> bool {
    target.sources.iter().filter_map(|path| Language::of(path)).any(|language| match wanted {
        Language::Cxx => language == Language::Cxx,
        _ => language != Language::Cxx,
    })
}

/// The lines for flags of a target that has C sources, C++ sources, or both.
fn flag_lines(flags: &Flags, has_c: bool, has_cxx: bool) -> String {
    let mut text = String::new();
    for (key, std, has) in [("c-std", &flags.c_std, has_c), ("cxx-std", &flags.cxx_std, has_cxx)] {
        if let Some(std) = std.as_ref().filter(|_| has) {
            let _ = writeln!(text, "{key} = {}", quoted(std));
        }
    }
    list(&mut text, "warnings", &flags.warnings);
    list(&mut text, "defines", &flags.defines);
    list(&mut text, "includes", &flags.includes);
    list(&mut text, "system-includes", &flags.system_includes);
    let (c, cxx) = (&flags.c_args, &flags.cxx_args);
    match (has_c, has_cxx) {
        (true, true) => {
            let is_shared = |argument: &&String| c.contains(argument) && cxx.contains(argument);
            let (shared, c): (Vec<_>, Vec<_>) = c.iter().partition(is_shared);
            let cxx: Vec<&String> = cxx.iter().filter(|it| !shared.contains(it)).collect();
            list(&mut text, "trace-args", &shared);
            list(&mut text, "c-args", &c);
            list(&mut text, "cxx-args", &cxx);
        }
        (_, true) => list(&mut text, "trace-args", cxx),
        _ => list(&mut text, "trace-args", c),
    }
    text
}

/// Lines longer than this are broken.
const WIDTH: usize = 100;

fn list<S: AsRef<str>>(text: &mut String, key: &str, entries: &[S]) {
    if entries.is_empty() {
        return;
    }
    let entries: Vec<String> = entries.iter().map(|entry| quoted(entry.as_ref())).collect();
    let line = format!("{key} = [{}]", entries.join(", "));
    let _ = match line.chars().count() <= WIDTH {
        true => writeln!(text, "{line}"),
        false => writeln!(text, "{key} = [\n    {},\n]", entries.join(",\n    ")),
    };
}

/// A text that stands for itself where placeholders may be.
pub fn literal(text: &str) -> String {
    text.replace('{', "{{").replace('}', "}}")
}

/// A string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        let _ = match c {
            '"' | '\\' => write!(quoted, "\\{c}"),
            c if c.is_control() => write!(quoted, "\\u{:04x}", u32::from(c)),
            c => write!(quoted, "{c}"),
        };
    }
    quoted.push('"');
    quoted
}

/// Patterns that match `sources`, and those that match what these match besides, of `all` that are there.
fn patterns(sources: &[String], all: &BTreeSet<String>) -> (Vec<String>, Vec<String>) {
    let split = |path: &str| {
        let (directory, file) = path.rsplit_once('/').map_or(("", path), |it| it);
        let extension = file.rsplit_once('.').map_or("", |(_, extension)| extension);
        (directory.to_owned(), extension.to_owned())
    };
    let (mut patterns, mut exclude) = (Vec::new(), Vec::new());
    let groups: BTreeSet<_> = sources.iter().map(|path| split(path)).collect();
    for group in groups {
        let is_in = |path: &&String| split(path) == group;
        let wanted: Vec<&String> = sources.iter().filter(is_in).collect();
        let others: Vec<&String> =
            all.iter().filter(is_in).filter(|path| !sources.contains(path)).collect();
        // A pattern says that what comes to the directory belongs to it.
        if wanted.len() > 1 && others.len() <= wanted.len() / 4 {
            let (directory, extension) = &group;
            let slash = if directory.is_empty() { "" } else { "/" };
            patterns.push(format!("{directory}{slash}*.{extension}"));
            exclude.extend(others.into_iter().cloned());
        } else {
            patterns.extend(wanted.into_iter().cloned());
        }
    }
    (patterns, exclude)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_what_they_should() {
        let all = ["a.c", "b.c", "x.cc", "d/a.c", "d/b.c", "d/c.c", "d/d.c", "d/e.c"];
        let all = all.map(str::to_owned).into_iter().collect();
        let of = |sources: &[&str]| {
            let sources: Vec<String> = sources.iter().map(|it| (*it).to_owned()).collect();
            patterns(&sources, &all)
        };
        assert_eq!(of(&["a.c", "b.c", "x.cc"]).0, ["*.c", "x.cc"]);
        assert_eq!(of(&["a.c"]).0, ["a.c"]);
        let (patterns, exclude) = of(&["d/a.c", "d/b.c", "d/c.c", "d/d.c"]);
        assert_eq!((&*patterns[0], &*exclude[0]), ("d/*.c", "d/e.c"));
        assert_eq!(of(&["d/a.c", "d/b.c", "d/c.c"]).0, ["d/a.c", "d/b.c", "d/c.c"]);
    }
}
