//! The text of a manifest.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use super::{
    config::{Asks, Config, Value},
    describe::{Flags, Kind, Package, Target, Text},
};
use crate::{manifest::config::macro_name, plan::Language};

impl Package {
    /// The text of its manifest.
    pub fn manifest(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ =
            writeln!(text, "# Made by `larder init` from {}. It is yours to change.", self.from);
        for note in self.cautions.iter().chain(&self.notes) {
            let _ = writeln!(text, "# {}", one_line(note));
        }
        let _ = writeln!(text, "\n[package]\nname = {}", quoted(&self.name));
        if !self.version.is_empty() {
            let _ = writeln!(text, "version = {}", quoted(&self.version));
        }
        if let Some(assembler) = &self.assembler {
            let _ = write!(text, "\n[toolchain]\nasm = {}\n", quoted(assembler));
        }
        let mut targets = self.targets.clone();
        name_alike(&mut targets);
        // A library of headers has nothing of what is for sources.
        let (headers, compiled): (Vec<_>, Vec<_>) =
            targets.iter_mut().partition(|target| target.kind == Kind::Headers);
        headers.into_iter().for_each(|target| target.flags.keep_for_users());
        if compiled.len() > 1 {
            let mut flags: Vec<&mut Flags> = compiled.into_iter().map(|it| &mut it.flags).collect();
            let common = Flags::take_common(&mut flags);
            let has = |wanted| self.targets.iter().any(|target| has_language(target, wanted));
            let lines = flag_lines(&common, has(Language::C), has(Language::Cxx));
            if !lines.is_empty() {
                let _ = write!(text, "\n[defaults]\n{lines}");
            }
        }
        for config in &self.configs {
            self::config(config, &mut text);
        }
        for made in &self.texts {
            self::text_file(made, &mut text);
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
            if let Some(version) = &target.soversion {
                let _ = writeln!(text, "soversion = {}", quoted(version));
                let longer = target.file_version.as_ref().filter(|longer| *longer != version);
                if let Some(version) = longer {
                    let _ = writeln!(text, "file-version = {}", quoted(version));
                }
            }
        }
        let (sources, exclude) = patterns(&target.sources, &self.sources);
        list(text, "sources", &sources);
        list(text, "exclude", &exclude);
        let has = |wanted| has_language(target, wanted);
        text.push_str(&flag_lines(&target.flags, has(Language::C), has(Language::Cxx)));
        list(text, "inputs", &target.inputs);
        list(text, "libraries", &target.libraries);
        list(text, "system", &target.system);
        list(text, "link-args", &target.link_args);
        list(text, "private-link-args", &target.private_link_args);
        list(text, "headers", &header_patterns(&target.headers, &self.headers));
        if let Kind::Test(arguments) = &target.kind {
            text.push_str("test = true\n");
            list(text, "test-args", arguments);
        }
        match (target.is_installed, &target.kind) {
            (Some(true), Kind::Test(_)) => text.push_str("install = true\n"),
            (Some(false), Kind::Test(_)) | (Some(true) | None, _) => {}
            (Some(false), _) => text.push_str("install = false\n"),
        }
    }
}

fn config(config: &Config, text: &mut String) {
    let Config { name, output, template, checks, values, unknown, .. } = config;
    if !unknown.is_empty() {
        let names = unknown.join(", ");
        let _ = write!(text, "\n# Not known, and so not defined: {names}.");
    }
    let _ = writeln!(text, "\n[[config]]\nname = {}\noutput = {}", quoted(name), quoted(output));
    if let Some(template) = template {
        let _ = writeln!(text, "template = {}", quoted(template));
    }
    list(text, "defines", &config.defines);
    if config.braces {
        text.push_str("braces = true\n");
    }
    for key in ["headers", "functions", "types", "sizes", "symbols", "compiles"] {
        let asked = checks.iter().filter(|(_, asks)| asks.key() == key);
        raw_list(text, key, asked.map(|(define, asks)| entry(define, asks)).collect());
    }
    let values = values.iter().map(|(name, value)| match value {
        Value::Boolean(value) => format!("{name} = {value}"),
        Value::Text(value) => format!("{name} = {}", quoted(value)),
    });
    let values: Vec<String> = values.collect();
    if !values.is_empty() {
        let _ = writeln!(text, "\n[config.values]\n{}", values.join("\n"));
    }
}

/// Has executables name a directory as libraries do, where all targets have it for themselves: for an executable both
/// keys mean the same.
fn name_alike(targets: &mut [Target]) {
    let is_own = |target: &Target, path: &String| {
        let is_public = target.kind.is_library() && target.flags.includes.contains(path);
        let Flags { includes, private_includes, .. } = &target.flags;
        !is_public && includes.iter().chain(private_includes).any(|it| it == path)
    };
    let compiled = || targets.iter().filter(|target| target.kind != Kind::Headers);
    let libraries = targets.iter().filter(|target| target.kind.is_library());
    let private = libraries.flat_map(|target| target.flags.private_includes.clone());
    let shared: BTreeSet<String> =
        private.filter(|path| compiled().all(|target| is_own(target, path))).collect();
    for target in targets.iter_mut().filter(|target| !target.kind.is_library()) {
        let Flags { includes, private_includes, .. } = &mut target.flags;
        for path in includes.extract_if(.., |path| shared.contains(path)) {
            if !private_includes.contains(&path) {
                private_includes.push(path);
            }
        }
    }
}

/// A command that writes lines.
fn text_file(made: &Text, text: &mut String) {
    let Text { name, output, lines } = made;
    let (name, output) = (quoted(name), quoted(output));
    let _ = writeln!(text, "\n[[command]]\nname = {name}\noutputs = [{output}]");
    let program = ["sh", "-c", "printf '%s\\n' \"$@\" > \"$0\"", "{out}"].map(str::to_owned);
    let run: Vec<String> =
        program.into_iter().chain(lines.iter().map(|line| literal(line))).collect();
    list(text, "run", &run);
}

/// A check as an entry of its list.
fn entry(define: &str, asks: &Asks) -> String {
    let named = |name: &str, prefix: &str, more: Vec<String>| {
        let mut parts = vec![format!("name = {}", quoted(name))];
        if macro_name(prefix, name) != define {
            parts.push(format!("define = {}", quoted(define)));
        }
        parts.extend(more);
        match parts.len() {
            1 => quoted(name),
            _ => format!("{{ {} }}", parts.join(", ")),
        }
    };
    let headers = |names: &[String]| {
        let names: Vec<String> = names.iter().map(|name| quoted(name)).collect();
        (!names.is_empty()).then(|| format!("headers = [{}]", names.join(", ")))
    };
    match asks {
        Asks::Header { name, before } => {
            named(name, "HAVE_", headers(before).into_iter().collect())
        }
        Asks::Function { name, library } => {
            let library = library.iter().map(|it| format!("link-args = [{}]", quoted(it)));
            named(name, "HAVE_", library.collect())
        }
        Asks::Type { name } => named(name, "HAVE_", Vec::new()),
        Asks::Size { name } => named(name, "SIZEOF_", Vec::new()),
        // With a name of its own, the answer is 1 or nothing, as build systems have it.
        Asks::Symbol { name, headers: names } => {
            let define = format!("define = {}", quoted(define));
            let parts = [Some(format!("name = {}", quoted(name))), Some(define), headers(names)];
            let parts: Vec<String> = parts.into_iter().flatten().collect();
            format!("{{ {} }}", parts.join(", "))
        }
        Asks::Program { code } => {
            let (define, code) = (quoted(define), quoted(code));
            format!("{{ define = {define}, code = {code}, link = true }}")
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
    list(&mut text, "public-defines", &flags.public_defines);
    list(&mut text, "includes", &flags.includes);
    list(&mut text, "private-includes", &flags.private_includes);
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
    list(&mut text, "asm-args", &flags.asm_args);
    text
}

/// Lines longer than this are broken.
const WIDTH: usize = 100;

fn list<S: AsRef<str>>(text: &mut String, key: &str, entries: &[S]) {
    raw_list(text, key, entries.iter().map(|entry| quoted(entry.as_ref())).collect());
}

/// A list of entries that are written already.
fn raw_list(text: &mut String, key: &str, entries: Vec<String>) {
    if entries.is_empty() {
        return;
    }
    let line = format!("{key} = [{}]", entries.join(", "));
    let _ = match line.chars().count() <= WIDTH {
        true => writeln!(text, "{line}"),
        false => writeln!(text, "{key} = [\n    {},\n]", entries.join(",\n    ")),
    };
}

/// A text without what would end a line.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A text that stands for itself where placeholders may be.
pub fn literal(text: &str) -> String {
    text.replace('{', "{{").replace('}', "}}")
}

/// A string of TOML.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        let _ = match c {
            '"' | '\\' => write!(quoted, "\\{c}"),
            '\n' => write!(quoted, "\\n"),
            '\t' => write!(quoted, "\\t"),
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
    let (mut patterns, sources) = deep_patterns(sources, all);
    let mut exclude = Vec::new();
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

/// In so many directories the same files have one pattern.
const MANY_DIRECTORIES: usize = 6;

/// Patterns such as `src/**/*.c` for directories below which all files of an extension are among `sources`, the outer ones
/// first; and those sources that none of them matches.
fn deep_patterns(sources: &[String], all: &BTreeSet<String>) -> (Vec<String>, Vec<String>) {
    let mut left: BTreeSet<&String> = sources.iter().collect();
    let others: BTreeSet<&String> = all.iter().filter(|path| !left.contains(path)).collect();
    let above = |path: &str| -> Vec<String> {
        let ends = path.match_indices('/').map(|(at, _)| path[..at].to_owned());
        ends.collect()
    };
    let extension = |path: &str| path.rsplit_once('.').map_or("", |(_, it)| it).to_owned();
    let mut counts: BTreeMap<(String, String), BTreeSet<&str>> = BTreeMap::new();
    for path in sources {
        for directory in above(path) {
            let own = path.rsplit_once('/').map_or("", |(directory, _)| directory);
            counts.entry((directory, extension(path))).or_default().insert(own);
        }
    }
    for path in others {
        for directory in above(path) {
            counts.remove(&(directory, extension(path)));
        }
    }
    counts.retain(|_, directories| directories.len() >= MANY_DIRECTORIES);
    let mut found: Vec<String> = Vec::new();
    // An outer directory comes before those in it.
    for (directory, extension) in counts.into_keys() {
        let is_matched = |path: &str| {
            let below = path.strip_prefix(&*directory).is_some_and(|rest| rest.starts_with('/'));
            below && path.rsplit_once('.').map_or("", |(_, it)| it) == extension
        };
        let before = left.len();
        left.retain(|path| !is_matched(path));
        if left.len() < before {
            found.push(format!("{directory}/**/*.{extension}"));
        }
    }
    let left = sources.iter().filter(|path| left.contains(path)).cloned().collect();
    (found, left)
}

/// Patterns that match `wanted`, and no other of `all`: there is no key to take one out.
fn header_patterns(wanted: &[String], all: &BTreeSet<String>) -> Vec<String> {
    let is_other = |path: &&String| !wanted.contains(path);
    let others: Vec<&String> = all.iter().filter(is_other).collect();
    let (found, _) = patterns(wanted, &wanted.iter().cloned().collect());
    found
        .iter()
        .flat_map(|pattern| match others.iter().any(|path| crate::glob::matches(pattern, path)) {
            false => vec![pattern.clone()],
            true => wanted.iter().filter(|it| crate::glob::matches(pattern, it)).cloned().collect(),
        })
        .collect()
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

    #[test]
    fn many_directories_have_one_pattern() {
        let mut sources: Vec<String> = (0..6).map(|at| format!("s/d{at}/a.c")).collect();
        sources.extend(["s/d1/more/b.c".to_owned(), "t/x.c".to_owned()]);
        let all: BTreeSet<String> = sources.iter().cloned().collect();
        let with = |more: &str| {
            let mut all = all.clone();
            all.insert(more.to_owned());
            patterns(&sources, &all).0
        };
        assert_eq!(with("s/other.cc"), ["s/**/*.c", "t/x.c"]);
        assert_eq!(with("s/d1/more/other.c").len(), 8, "where there is another, each has its own");
    }
}
