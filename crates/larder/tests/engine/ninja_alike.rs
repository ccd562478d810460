//! `larder ninja` beside Ninja: the same build files, commands and edits, and what each of them makes of these.
//!
//! The cases are texts in `ninja_cases`. `=== NAME` begins one; `--- FILE` writes a file, with the lines that follow;
//! `--- rm FILE…` and `--- touch FILE…` do what they say; `--- > ARGUMENTS` builds. Commands append their outputs to
//! the file `ran`. After each build both have to have ended alike, to have run the same commands, to have left the same
//! bytes, and to name the same place in a mistake. Where they differ on purpose, the lines after `--- >` say so:
//! `ninja ran:` and `larder ran:`, `only ninja succeeds`, `only larder succeeds`, `differ: FILE…`, and `at: FILE:LINE`
//! for the place that larder names.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use larder_testkit::{
    files::modified,
    run::{Run, larder, run},
    tools::require,
};

/// A case: its name, and steps with the lines that belong to them.
type Case<'t> = (&'t str, Vec<(&'t str, String)>);

fn cases(text: &str) -> Vec<Case<'_>> {
    let mut cases: Vec<Case<'_>> = Vec::new();
    for line in text.split_inclusive('\n') {
        if let Some(name) = line.strip_prefix("=== ") {
            cases.push((name.trim(), Vec::new()));
        } else if let Some(head) = line.strip_prefix("--- ") {
            let steps = &mut cases.last_mut().unwrap().1;
            steps.push((head.trim(), String::new()));
        } else if let Some((_, body)) = cases.last_mut().and_then(|(_, steps)| steps.last_mut()) {
            body.push_str(line);
        }
    }
    cases
}

/// Which of the two builds.
#[derive(Clone, Copy, PartialEq)]
enum Tool {
    Ninja,
    Larder,
}

/// What one of them made of a step.
struct Seen {
    run: Run,
    ran: Vec<String>,
    files: BTreeMap<String, Vec<u8>>,
}

/// The tree that one of them builds in.
struct Tree {
    tool: Tool,
    root: PathBuf,
}

impl Tree {
    /// Writes a file, later than all that is there: Ninja goes by times, and a clock ticks slowly.
    fn write(&self, path: &str, text: &str) {
        let newest = self.files().iter().map(|file| modified(file)).max();
        let file = self.root.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        loop {
            fs::write(&file, text).unwrap();
            if newest.is_none_or(|newest| modified(&file) > newest) {
                return;
            }
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut stack = vec![self.root.clone()];
        while let Some(directory) = stack.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                let own = [".larder", ".ninja_log", ".ninja_deps"];
                match path.is_dir() {
                    _ if own.iter().any(|name| path.ends_with(name)) => {}
                    true => stack.push(path),
                    false => found.push(path),
                }
            }
        }
        found
    }

    fn build(&self, arguments: &[&str]) -> Seen {
        let cache = self.root.parent().unwrap().join("cache");
        let mut command = match self.tool {
            Tool::Larder => larder(&self.root, &cache, &["ninja", "-j1"]),
            Tool::Ninja => {
                let mut ninja = Command::new("ninja");
                ninja.arg("-j1").current_dir(&self.root).env_remove("NINJA_STATUS");
                ninja.stdin(Stdio::null());
                ninja
            }
        };
        let run = run(command.args(arguments));
        let log = self.root.join("ran");
        let text = fs::read_to_string(&log).unwrap_or_default();
        let _ = fs::remove_file(log);
        let mut ran: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        ran.sort();
        let name = |path: &Path| path.strip_prefix(&self.root).unwrap().display().to_string();
        let files = self.files();
        let files = files.iter().map(|path| (name(path), fs::read(path).unwrap())).collect();
        Seen { run, ran, files }
    }
}

/// What is said of a difference.
fn said<'e>(expected: &'e str, key: &str) -> Option<Vec<&'e str>> {
    let line = expected.lines().find_map(|line| line.strip_prefix(key))?;
    Some(line.split_whitespace().collect())
}

/// The place that Ninja names in a mistake.
fn place(said: &str) -> Option<String> {
    let error = said.lines().find_map(|line| line.strip_prefix("ninja: error: "))?;
    let mut parts = error.splitn(3, ':');
    let (file, line) = (parts.next()?, parts.next()?);
    line.parse::<u32>().ok().map(|line| format!("{file}:{line}:"))
}

/// Returns what is not as it should be.
fn compare(expected: &str, ninja: &Seen, larder: &Seen) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut check = |right: bool, what: &str, a: &dyn std::fmt::Debug, b: &dyn std::fmt::Debug| {
        if !right {
            wrong.push(format!("{what}: {a:?} and {b:?}"));
        }
    };
    let codes = (ninja.run.code, larder.run.code);
    let good = match expected {
        said if said.contains("only ninja succeeds") => (true, false),
        said if said.contains("only larder succeeds") => (false, true),
        _ => (codes.0 == Some(0), codes.0 == Some(0)),
    };
    check((codes.0 == Some(0), codes.1 == Some(0)) == good, "exit codes", &codes.0, &codes.1);
    for (seen, key) in [(ninja, "ninja ran:"), (larder, "larder ran:")] {
        let ran = said(expected, key);
        let right = ran.unwrap_or(ninja.ran.iter().map(String::as_str).collect());
        check(seen.ran == right, key, &seen.ran, &right);
    }
    let mut names: Vec<&String> = ninja.files.keys().chain(larder.files.keys()).collect();
    names.dedup();
    let different = |name: &&&String| ninja.files.get(**name) != larder.files.get(**name);
    let mut differ: Vec<&String> = names.iter().filter(different).copied().collect();
    differ.sort();
    differ.dedup();
    let on_purpose = said(expected, "differ:").unwrap_or_default();
    check(differ == on_purpose, "files differ", &differ, &on_purpose);
    let at = said(expected, "at:").map(|at| format!("{}:", at[0]));
    if let Some(at) = at.or_else(|| place(&ninja.run.stderr)) {
        check(larder.run.stderr.contains(&at), "place", &at, &larder.run.stderr);
        check(codes.1 == Some(2), "exit code of a mistake", &2, &codes.1);
    }
    if ninja.run.stdout.contains("subcommand failed") && good == (false, false) {
        check(codes.1 == Some(1), "exit code of a failure", &1, &codes.1);
    }
    wrong
}

fn follow((name, steps): &Case<'_>) -> Vec<String> {
    let temporary = tempfile::tempdir().unwrap();
    let tree = |tool, name| {
        let root = temporary.path().join(name).join("tree");
        fs::create_dir_all(&root).unwrap();
        Tree { tool, root }
    };
    let trees = [tree(Tool::Ninja, "ninja"), tree(Tool::Larder, "larder")];
    let mut wrong = Vec::new();
    for (position, (head, body)) in steps.iter().enumerate() {
        let body = if body.trim().is_empty() { "" } else { body };
        if let Some(arguments) = head.strip_prefix('>') {
            let arguments: Vec<&str> =
                arguments.split_whitespace().map(|word| word.trim_matches('\'')).collect();
            let [ninja, larder] = trees.each_ref().map(|tree| tree.build(&arguments));
            let found = compare(body, &ninja, &larder);
            let step = format!("{name}, step {position} ({head})");
            wrong.extend(found.iter().map(|what| format!("{step}: {what}\n{:?}", larder.run)));
            continue;
        }
        for tree in &trees {
            let each = |paths: &str, act: &dyn Fn(&str)| paths.split_whitespace().for_each(act);
            match (head.strip_prefix("rm "), head.strip_prefix("touch ")) {
                (Some(paths), _) => {
                    each(paths, &|path| fs::remove_file(tree.root.join(path)).unwrap());
                }
                (_, Some(paths)) => each(paths, &|path| {
                    let text = fs::read_to_string(tree.root.join(path)).unwrap();
                    tree.write(path, &text);
                }),
                (None, None) => tree.write(head, body),
            }
        }
    }
    wrong
}

#[track_caller]
fn alike(text: &str) {
    if !require("ninja") {
        return;
    }
    let cases = cases(text);
    assert!(cases.len() > 10, "{} cases were read", cases.len());
    let wrong: Vec<String> = cases.iter().flat_map(follow).collect();
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn builds_go_as_ninja_has_them() {
    alike(include_str!("ninja_cases/builds.txt"));
}

#[test]
fn inputs_count_as_ninja_has_them() {
    alike(include_str!("ninja_cases/inputs.txt"));
}

#[test]
fn build_files_are_read_as_ninja_reads_them() {
    alike(include_str!("ninja_cases/syntax.txt"));
}

#[test]
fn what_is_told_of_while_building_counts_as_ninja_has_it() {
    alike(include_str!("ninja_cases/dyndep.txt"));
}

#[test]
fn options_and_tools_are_those_of_ninja() {
    alike(include_str!("ninja_cases/options.txt"));
}
