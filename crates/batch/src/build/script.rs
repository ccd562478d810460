//! Lines for a shell with placeholders.

use std::collections::{BTreeMap, BTreeSet};

use larder_engine::action::{Argument, Piece};
use larder_project::path::PortablePath;

use super::work::{HTML, PREFIX, SOURCES};

/// What placeholders stand for.
#[derive(Debug, Clone, Default)]
pub struct Meanings {
    /// `{jobs}`
    pub jobs: usize,
    /// The names of the needs: `{prefix:NAME}`.
    pub needs: Vec<String>,
    /// What `{docs}` and `{docs:NAME}` stand for, where they mean something.
    pub docs: Option<DocsMeanings>,
    /// How large a file may become, in bytes.
    pub largest: Option<u64>,
    /// The name of the package itself, of which there is a layer: [`Prefix::Layer`].
    pub name: String,
}

/// The places of documentation, as paths below `DATA/html`.
#[derive(Debug, Clone, Default)]
pub struct DocsMeanings {
    /// That of the package itself: `{docs}`.
    pub own: String,
    /// Those of needs, by name: `{docs:NAME}`.
    pub needs: BTreeMap<String, String>,
}

/// Lines that are run together.
#[derive(Debug, Clone, Copy)]
pub struct Lines<'l> {
    /// The lines.
    pub lines: &'l [String],
    /// What `{prefix}` stands for.
    pub prefix: Prefix,
}

/// What `{prefix}` stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prefix {
    /// Where the package is to be installed.
    Work,
    /// Its layer.
    Layer,
}

/// Whether lines are about what was installed: then they need nothing else that the build made.
pub fn use_layer(lines: &[String]) -> bool {
    lines.iter().flat_map(|line| parts(line)).any(|part| part == Part::Prefix)
}

/// Whether lines run several commands at once by themselves.
pub fn use_jobs(lines: &[String]) -> bool {
    lines.iter().flat_map(|line| parts(line)).any(|part| part == Part::Jobs)
}

/// The packages whose documentation lines read, by name.
pub fn read_docs(lines: &[String]) -> BTreeSet<&str> {
    let name = |part| match part {
        Part::DocsOf(name) => Some(name),
        _ => None,
    };
    lines.iter().flat_map(|line| parts(line)).filter_map(name).collect()
}

/// A piece of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part<'l> {
    Text(&'l str),
    Prefix,
    PrefixOf(&'l str),
    Source,
    Docs,
    DocsOf(&'l str),
    Jobs,
}

/// Returns the placeholders and other parts of a line. `${prefix}` is a variable of the shell, and other words in
/// braces are the shell's, too.
fn parts(line: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let (mut begin, mut from) = (0, 0);
    while let Some(open) = line[from..].find('{').map(|at| at + from) {
        let Some(close) = line[open..].find('}').map(|at| at + open) else { break };
        let part = match &line[open + 1..close] {
            "prefix" => Some(Part::Prefix),
            "source" => Some(Part::Source),
            "docs" => Some(Part::Docs),
            "jobs" => Some(Part::Jobs),
            word => match word.split_once(':') {
                Some(("prefix", name)) => Some(Part::PrefixOf(name)),
                Some(("docs", name)) => Some(Part::DocsOf(name)),
                _ => None,
            },
        };
        match part.filter(|_| !line[..open].ends_with('$')) {
            Some(part) => {
                parts.push(Part::Text(&line[begin..open]));
                parts.push(part);
                (begin, from) = (close + 1, close + 1);
            }
            None => from = open + 1,
        }
    }
    parts.push(Part::Text(&line[begin..]));
    parts.retain(|part| *part != Part::Text(""));
    parts
}

/// Checks the placeholders of lines, of a package with needs of these names.
///
/// # Errors
/// The first that means nothing, and why.
pub fn check(lines: &[String], needs: &[&str], docs: bool) -> Result<(), String> {
    for part in lines.iter().flat_map(|line| parts(line)) {
        match part {
            Part::Docs if !docs => {
                return Err("`{docs}` is for documentation only".to_owned());
            }
            Part::DocsOf(name) if !docs => {
                return Err(format!("`{{docs:{name}}}` is for documentation only"));
            }
            Part::PrefixOf(name) if !needs.contains(&name) => {
                return Err(format!("`{{prefix:{name}}}`: `{name}` is none of its dependencies"));
            }
            Part::DocsOf(name) if !needs.contains(&name) => {
                return Err(format!("`{{docs:{name}}}`: `{name}` is none of its dependencies"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Returns a script that runs these lines one after the other, each said before it runs, from the sources.
///
/// # Errors
/// A placeholder that means nothing.
pub fn script(all: &[Lines<'_>], meanings: &Meanings) -> Result<Argument, String> {
    let needs: Vec<&str> = meanings.needs.iter().map(String::as_str).collect();
    all.iter().try_for_each(|Lines { lines, .. }| check(lines, &needs, meanings.docs.is_some()))?;
    let docs = meanings.docs.clone().unwrap_or_default();
    let mut begin = String::new();
    if let Some(largest) = meanings.largest {
        // In blocks of 512 bytes. Whoever watches the processes sees to it as well, but not before the first instant.
        begin += &format!("ulimit -f {} 2> /dev/null || :\n", largest / 512);
    }
    let mut script = vec![Piece::Text(begin + "cd ")];
    script.extend(below(SOURCES));
    let lines = all.iter().flat_map(|it| it.lines.iter().map(|line| (line, it.prefix)));
    for (line, prefix) in lines {
        let said = shlex::try_quote(line).map_err(|_| format!("{line:?} has a NUL in it"))?;
        script.push(Piece::Text(format!("\nprintf '+ %s\\n' {said}\n")));
        for part in parts(line) {
            match part {
                Part::Text(text) => script.push(Piece::Text(text.to_owned())),
                Part::Prefix => match prefix {
                    Prefix::Work => script.extend(below(PREFIX)),
                    Prefix::Layer => script.push(prefix_of(&meanings.name)),
                },
                Part::Source => script.extend(below(SOURCES)),
                Part::Docs => script.extend(documentation(&docs.own)),
                Part::DocsOf(name) => {
                    let place = docs.needs.get(name).map_or("", String::as_str);
                    script.extend(documentation(place));
                }
                Part::Jobs => script.push(Piece::Text(meanings.jobs.to_string())),
                Part::PrefixOf(name) => script.push(prefix_of(name)),
            }
        }
    }
    script.push(Piece::Text("\n".to_owned()));
    Ok(script)
}

/// The path of something below the directory that a package is built in.
pub fn below(name: &str) -> [Piece; 2] {
    [Piece::OutputDirectory, Piece::Text(format!("/{name}"))]
}

/// The documentation with this place below `DATA/html`.
fn documentation(place: &str) -> [Piece; 2] {
    below(&format!("{HTML}/{place}"))
}

/// The layer of a need.
pub fn prefix_of(name: &str) -> Piece {
    Piece::Absolute(PortablePath::recorded(&format!("@{name}/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_found_among_words_of_the_shell() {
        for (line, found) in [
            ("make -j{jobs}", vec![Part::Text("make -j"), Part::Jobs]),
            ("{prefix}{prefix:zlib}", vec![Part::Prefix, Part::PrefixOf("zlib")]),
            ("echo ${prefix} {a,b} {", vec![Part::Text("echo ${prefix} {a,b} {")]),
            ("{x{source}}", vec![Part::Text("{x"), Part::Source, Part::Text("}")]),
            ("awk '{print}' {docs}", vec![Part::Text("awk '{print}' "), Part::Docs]),
            ("{docs:z} ${docs:z}", vec![Part::DocsOf("z"), Part::Text(" ${docs:z}")]),
            ("{x:prefix} {docs", vec![Part::Text("{x:prefix} {docs")]),
        ] {
            assert_eq!(parts(line), found, "{line}");
        }
    }

    #[test]
    fn what_means_nothing_is_refused() {
        let lines = |line: &str| vec![line.to_owned()];
        assert_eq!(check(&lines("{prefix:zlib} {docs}"), &["zlib"], true), Ok(()));
        let error = check(&lines("{prefix:png}"), &["zlib"], true).unwrap_err();
        assert_eq!(error, "`{prefix:png}`: `png` is none of its dependencies");
        let error = check(&lines("{docs}"), &[], false).unwrap_err();
        assert_eq!(error, "`{docs}` is for documentation only");
        assert_eq!(check(&lines("{docs:zlib}"), &["zlib"], true), Ok(()));
        for name in ["png", ""] {
            let error = check(&lines(&format!("{{docs:{name}}}")), &["zlib"], true).unwrap_err();
            assert_eq!(error, format!("`{{docs:{name}}}`: `{name}` is none of its dependencies"));
        }
        let error = check(&lines("{docs:zlib}"), &["zlib"], false).unwrap_err();
        assert_eq!(error, "`{docs:zlib}` is for documentation only");
    }
}
