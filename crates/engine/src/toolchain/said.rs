//! Reading what a compiler driver says of itself with `-v`.

use std::{
    borrow::Cow,
    path::{Path, PathBuf},
};

/// A driver's answer to one question with `-v`, and where it was asked.
pub struct Said<'a> {
    /// Its standard error.
    pub text: &'a str,
    /// The directory it ran in, absolute.
    pub directory: &'a Path,
    /// Where it kept its temporary files, absolute.
    pub temporary: &'a Path,
}

const SEARCH_STARTS: [&str; 2] =
    ["#include \"...\" search starts here:", "#include <...> search starts here:"];
const SEARCH_ENDS: &str = "End of search list.";

impl<'a> Said<'a> {
    /// The system's include directories, in the order in which they are searched.
    pub fn include_directories(&self) -> Vec<&'a str> {
        let lines = self.text.lines().skip_while(|line| *line != SEARCH_STARTS[0]);
        let lines = lines.take_while(|line| *line != SEARCH_ENDS);
        // Frameworks of macOS are marked so.
        let lines = lines.filter(|line| line.starts_with(' ') && !line.ends_with(')'));
        lines.map(str::trim).collect()
    }

    /// Directories that it would search if they were there.
    pub fn missing_directories(&self) -> Vec<&'a str> {
        let quoted = |line: &'a str| {
            line.strip_prefix("ignoring nonexistent directory \"")?.strip_suffix('"')
        };
        self.text.lines().filter_map(quoted).collect()
    }

    /// The directories in which it looks for programs before `PATH`.
    pub fn program_directories(&self) -> Vec<&'a str> {
        let list = self.text.lines().find_map(|line| line.strip_prefix("COMPILER_PATH="));
        list.into_iter().flat_map(|list| list.split(':')).filter(|d| !d.is_empty()).collect()
    }

    /// The directories in which its linker looks for libraries: those that the driver gives it, then
    /// those that the linker's own `script` names, below the system's root. Those that are not there
    /// count too, and links are followed.
    pub fn library_directories(&self, script: &str) -> Vec<PathBuf> {
        let given = || self.lines().flat_map(words);
        let root = given().find_map(|word| word.strip_prefix("--sysroot="));
        let given =
            given().filter_map(|word| word.strip_prefix("-L").filter(|path| !path.is_empty()));
        let named = script.split("SEARCH_DIR(\"").skip(1);
        let named = named.filter_map(|rest| rest.split_once("\")")).map(|(path, _)| path);
        let named = named.map(|path| match path.strip_prefix('=') {
            Some(below) => Path::new(root.unwrap_or("/")).join(below.trim_start_matches('/')),
            None => PathBuf::from(path),
        });
        let all = given.map(|path| self.directory.join(path)).chain(named);
        let mut found: Vec<PathBuf> = Vec::new();
        for path in all.map(|path| path.canonicalize().unwrap_or(path)) {
            if !found.contains(&path) {
                found.push(path);
            }
        }
        found
    }

    /// The driver behind a wrapper, as that called it: a path, or a name to be found on `PATH`.
    pub fn driver(&self) -> Option<&'a str> {
        self.text.lines().find_map(|line| line.strip_prefix("COLLECT_GCC="))
    }

    /// The line that says its version.
    pub fn version(&self) -> Option<&'a str> {
        self.lines().find(|line| !line.starts_with(' ') && line.contains(" version "))
    }

    /// Every regular file that it names outside the temporary directory: programs that it runs, their
    /// plugins, the files that a link begins and ends with, specs and configuration files.
    pub fn files(&self) -> Vec<PathBuf> {
        let lines = self.lines().filter(|line| !line.starts_with("Configured with:"));
        let paths = lines.flat_map(words).flat_map(paths_in).map(|path| self.directory.join(path));
        let mut found: Vec<PathBuf> =
            paths.filter(|path| !path.starts_with(self.temporary) && path.is_file()).collect();
        found.sort();
        found.dedup();
        found
    }

    /// Its version, its configuration, and the commands that it runs with their options, without what
    /// differs between two installations of the same compiler: of each path only the last part.
    pub fn identity(&self) -> String {
        let mut identity = String::new();
        for line in self.lines().filter(|line| tells(line)) {
            let line = replace(line, self.temporary, TEMPORARY);
            let line = replace(&line, self.directory, "");
            for word in words(&line) {
                identity.push_str(&without_place(word));
                identity.push(' ');
            }
            identity.push('\n');
        }
        identity
    }

    /// The lines outside the list of include directories.
    fn lines(&self) -> impl Iterator<Item = &'a str> {
        let mut in_list = false;
        self.text.lines().filter(move |line| {
            in_list = (in_list || *line == SEARCH_STARTS[0]) && *line != SEARCH_ENDS;
            !in_list
        })
    }
}

const TEMPORARY: &str = "<temporary>";

fn replace(line: &str, path: &Path, by: &str) -> String {
    match path.to_str() {
        Some(path) if path.len() > 1 => line.replace(path, by),
        _ => line.to_owned(),
    }
}

/// A word with only the last part of the path in it. Names of temporary files are made up each time.
fn without_place(word: &str) -> Cow<'_, str> {
    if word.contains(TEMPORARY) {
        return TEMPORARY.into();
    }
    match (word.find('/'), word.trim_end_matches('/').rfind('/')) {
        (Some(first), Some(last)) => [&word[..first], &word[last + 1..]].concat().into(),
        _ => word.into(),
    }
}

/// Whether a line says which compiler this is or what it runs. Others tell of the machine, such as how
/// much memory it has.
fn tells(line: &str) -> bool {
    let begins = [" ", "Target:", "Configured with:", "Thread model:", "COLLECT_GCC_OPTIONS="];
    begins.iter().any(|begin| line.starts_with(begin)) || line.contains(" version ")
}

/// The words of a line, without the quotes that some are in.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let words = line.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\''));
    words.filter(|word| !word.is_empty())
}

/// The parts that may be paths of a word such as `/bin/as`, `-plugin-opt=/lib/x.so` or `-fplugin=./y.so`.
fn paths_in(word: &str) -> impl Iterator<Item = &str> {
    let absolute = word.find('/').map(|first| &word[first..]);
    let assigned = word.split_once('=').map(|(_, value)| value).filter(|v| v.contains('/'));
    absolute.into_iter().chain(assigned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
COLLECT_GCC=/opt/a/bin/gcc
Target: x86_64-linux-gnu
Configured with: ../src/configure --prefix=/usr
gcc version 12.2.0 (Debian)
GGC heuristics: --param ggc-min-expand=100
 /opt/a/lib/cc1 -E -quiet /dev/null -o /scratch/ccX1.s \"-plugin-opt=/opt/a/lib/wrapper\" -fdir=/here
ignoring nonexistent directory \"/opt/a/include-fixed\"
#include \"...\" search starts here:
#include <...> search starts here:
 /opt/a/include
 /usr/include
End of search list.
COMPILER_PATH=/opt/a/lib/:/opt/a/bin/
";

    fn said(text: &str) -> Said<'_> {
        Said { text, directory: Path::new("/here"), temporary: Path::new("/scratch") }
    }

    #[test]
    fn a_drivers_answer() {
        let said = said(TEXT);
        assert_eq!(said.include_directories(), ["/opt/a/include", "/usr/include"]);
        assert_eq!(said.missing_directories(), ["/opt/a/include-fixed"]);
        assert_eq!(said.program_directories(), ["/opt/a/lib/", "/opt/a/bin/"]);
        assert_eq!(said.driver(), Some("/opt/a/bin/gcc"));
        assert_eq!(said.version(), Some("gcc version 12.2.0 (Debian)"));
    }

    #[test]
    fn where_a_linker_looks() {
        let text = " /usr/bin/ld --sysroot=/none -L/none/a/../b -L/none/c -L/none/c -lgcc\n";
        let script = "SEARCH_DIR(\"=/lib/x\"); SEARCH_DIR(\"/opt/none\");";
        let found = said(text).library_directories(script);
        let expected = ["/none/a/../b", "/none/c", "/none/lib/x", "/opt/none"];
        assert_eq!(found, expected.map(PathBuf::from));
    }

    #[test]
    fn who_a_compiler_is_does_not_depend_on_where_it_is() {
        let identity = said(TEXT).identity();
        let elsewhere = TEXT.replace("/opt/a", "/home/b/gcc").replace("ccX1", "ccY2");
        assert_eq!(said(&elsewhere).identity(), identity);
        for machine in ["/opt", "/scratch", "/here", "GGC", "include"] {
            assert!(!identity.contains(machine), "{machine} is in {identity}");
        }
        for changed in [("12.2.0", "12.2.1"), ("-quiet", "-O2"), ("wrapper", "other")] {
            assert_ne!(said(&TEXT.replace(changed.0, changed.1)).identity(), identity);
        }
    }
}
