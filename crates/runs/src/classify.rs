//! What a log says happened: a status, a category, and the line that tells why.
//!
//! Categories are open strings. Those that larder's own rules give are [`SUCCESS`], `build_failure`,
//! `dependency_failure`, `no_solution`, `missing_system_package`, `doc_compile_failure`,
//! `doc_link_failure`, `out_of_memory`, `disk_full`, `timeout`, `killed`, `network` and
//! `transient_failure`. The rules are data, in `rules.toml`; a user's file of the same form is tried
//! before them.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use regex::bytes::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};
use serde::{Deserialize, Serialize};

use crate::DataDir;
use crate::error::{Context, Error, Result};

/// The status, and the category, of a build that worked.
pub const SUCCESS: &str = "success";
/// The status of one that did not.
pub const FAILURE: &str = "failure";
/// The category of a failure that no rule explains.
pub const BUILD_FAILURE: &str = "build_failure";
/// The category of a package that was not tried because a dependency had failed.
pub const DEPENDENCY_FAILURE: &str = "dependency_failure";

/// The longest error line that is kept, in bytes.
const LONGEST_ERROR: usize = 300;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Classification {
    /// [`SUCCESS`] or [`FAILURE`], unless a user's rule says otherwise.
    pub status: String,
    /// The kind of result.
    pub category: String,
    /// The line that tells why, without colours, at most 300 bytes; `None` for a success.
    pub error: Option<String>,
}

/// How the process that wrote the log ended, where that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// With this exit code; 0 is success, whatever the log says.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// It was stopped because it took too long.
    TimedOut,
}

/// Compiled rules.
#[derive(Debug)]
pub struct Rules {
    rules: Vec<Rule>,
    /// Every pattern of every rule, so that one pass over a log finds which match at all.
    patterns: RegexSet,
    /// For each pattern, its rule.
    rule_of: Vec<usize>,
    compilers: Vec<String>,
}

#[derive(Debug)]
struct Rule {
    status: String,
    category: String,
    patterns: Vec<Regex>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RulesFile {
    #[serde(default)]
    compilers: Vec<String>,
    #[serde(default, rename = "rule")]
    rules: Vec<RuleText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleText {
    category: String,
    #[serde(default = "failure")]
    status: String,
    #[serde(default)]
    contains: Vec<String>,
    #[serde(default)]
    regex: Vec<String>,
}

fn failure() -> String {
    FAILURE.to_owned()
}

const BUILT_IN: &str = include_str!("rules.toml");

impl Rules {
    /// Larder's own rules, compiled once.
    pub fn built_in() -> &'static Rules {
        static RULES: OnceLock<Rules> = OnceLock::new();
        // The file is part of the program and a test compiles it; were it broken, nothing would match.
        RULES.get_or_init(|| {
            Rules::parse(&[(Path::new("rules.toml"), BUILT_IN)]).unwrap_or_else(|error| {
                tracing::error!("{error}");
                Rules {
                    rules: Vec::new(),
                    patterns: RegexSet::empty(),
                    rule_of: Vec::new(),
                    compilers: Vec::new(),
                }
            })
        })
    }

    /// The rules of an ecosystem: those of `DATA/rules.toml`, if it is there, followed by larder's own.
    ///
    /// # Errors
    /// As [`Rules::with_file`].
    pub fn load(data: &DataDir) -> Result<Rules> {
        match Rules::with_file(&data.rules()) {
            Err(error) if error.is_missing() => {
                Rules::parse(&[(Path::new("rules.toml"), BUILT_IN)])
            }
            other => other,
        }
    }

    /// The rules of a user's file, followed by larder's own.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be read, [`Error::Rules`] when it is no rules file; that names
    /// the line, or the pattern that is no regular expression.
    pub fn with_file(path: &Path) -> Result<Rules> {
        let text = fs::read_to_string(path).context("read", path)?;
        Rules::parse(&[(path, &text), (Path::new("rules.toml"), BUILT_IN)])
    }

    fn parse(files: &[(&Path, &str)]) -> Result<Rules> {
        let (mut rules, mut compilers, mut sources, mut rule_of) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (path, text) in files {
            let wrong = |reason: String| Error::Rules { path: path.to_path_buf(), reason };
            let file: RulesFile = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
            compilers.extend(file.compilers);
            for rule in file.rules {
                let plain = rule.contains.iter().map(|text| regex::escape(text));
                let mut patterns = Vec::new();
                for source in plain.chain(rule.regex) {
                    patterns.push(compile(&source).map_err(|error| wrong(error.to_string()))?);
                    sources.push(source);
                    rule_of.push(rules.len());
                }
                rules.push(Rule { status: rule.status, category: rule.category, patterns });
            }
        }
        let patterns = RegexSetBuilder::new(sources)
            .case_insensitive(true)
            .multi_line(true)
            .unicode(false)
            .build();
        let first = files.first().map_or(Path::new(""), |(path, _)| path);
        let patterns = patterns
            .map_err(|error| Error::Rules { path: first.to_owned(), reason: error.to_string() })?;
        Ok(Rules { rules, patterns, rule_of, compilers })
    }

    /// What a log says happened, when nothing else is known: a log in which no rule finds anything is
    /// that of a success. With the exit of the process, [`Rules::classify_exit`] knows better.
    pub fn classify_build_log(&self, log: &[u8]) -> Classification {
        match self.first_match(log) {
            Some((rule, error)) => failed(&rule.status, &rule.category, error),
            None => success(),
        }
    }

    /// What happened to a process that ended like this and wrote this log.
    pub fn classify_exit(&self, exit: Exit, log: &[u8]) -> Classification {
        let found = self.first_match(log);
        let (category, fallback) = match exit {
            Exit::Code(0) => return success(),
            Exit::TimedOut => ("timeout", "stopped because it took too long".to_owned()),
            Exit::Signal(signal) => ("killed", format!("killed by signal {signal}")),
            // What a shell reports of a command that a signal ended.
            Exit::Code(code @ (137 | 143)) => {
                ("killed", format!("killed by signal {}", code - 128))
            }
            Exit::Code(code) => {
                (BUILD_FAILURE, last_line(log).unwrap_or_else(|| format!("exit code {code}")))
            }
        };
        match found {
            // A log that only shows ordinary errors does not explain a signal or a timeout.
            Some((rule, _)) if category != BUILD_FAILURE && rule.category == BUILD_FAILURE => {
                failed(FAILURE, category, fallback)
            }
            Some(_) if exit == Exit::TimedOut => failed(FAILURE, category, fallback),
            Some((rule, error)) => failed(&rule.status, &rule.category, error),
            None => failed(FAILURE, category, fallback),
        }
    }

    /// The first rule that matches, with the first line that it matches.
    fn first_match(&self, log: &[u8]) -> Option<(&Rule, String)> {
        let plain = without_escapes(log);
        let matching = self.patterns.matches(&plain);
        let rule = self.rules.get(*self.rule_of.get(matching.iter().next()?)?)?;
        let found = rule.patterns.iter().filter_map(|pattern| pattern.find(&plain));
        // The end, because `^\s*` may begin on the lines before.
        let end = found.min_by_key(|found| found.start())?.end();
        Some((rule, line_at(&plain, end.saturating_sub(1))))
    }

    /// The compiler among the dependencies of a build, as `<name>.<version>`, or an empty string. Where
    /// there are several, the rules' list of compilers tells which names the rest.
    pub fn extract_compiler_from_deps<'a>(
        &self,
        dependencies: impl IntoIterator<Item = &'a str>,
    ) -> String {
        let rank = |package: &str| {
            let name = package.split_once('.').map_or(package, |(name, _)| name);
            self.compilers.iter().position(|compiler| compiler == name)
        };
        let ranked = dependencies.into_iter().filter_map(|package| Some((rank(package)?, package)));
        ranked.min().map(|(_, package)| package.to_owned()).unwrap_or_default()
    }
}

/// What a log says happened, by larder's own rules: see [`Rules::classify_build_log`].
pub fn classify_build_log(log: &[u8]) -> Classification {
    Rules::built_in().classify_build_log(log)
}

/// Whether `text` contains `pattern`, whatever the case of ASCII letters. An empty pattern is everywhere.
pub fn contains_substring_ci(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    pattern.is_empty()
        || text.windows(pattern.len()).any(|window| window.eq_ignore_ascii_case(pattern))
}

/// Whether `text` contains any of the patterns, whatever the case of ASCII letters.
pub fn matches_any<P: AsRef<str>>(patterns: &[P], text: &str) -> bool {
    patterns.iter().any(|pattern| contains_substring_ci(pattern.as_ref(), text))
}

fn compile(source: &str) -> std::result::Result<Regex, regex::Error> {
    RegexBuilder::new(source).case_insensitive(true).multi_line(true).unicode(false).build()
}

fn success() -> Classification {
    Classification { status: SUCCESS.to_owned(), category: SUCCESS.to_owned(), error: None }
}

fn failed(status: &str, category: &str, error: String) -> Classification {
    let error = (status != SUCCESS).then_some(error);
    Classification { status: status.to_owned(), category: category.to_owned(), error }
}

/// The log without terminal escapes (`ESC [ … letter`), which tools put between `error` and `:`, and
/// without carriage returns.
fn without_escapes(log: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(log.len());
    let mut rest = log;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            0x1b => {
                let parameters = after.strip_prefix(b"[").unwrap_or_default();
                let length =
                    parameters.iter().take_while(|byte| (0x20..0x40).contains(*byte)).count();
                rest = parameters.get(length + 1..).unwrap_or(after);
            }
            b'\r' => {}
            _ => plain.push(*byte),
        }
    }
    plain
}

fn line_at(log: &[u8], position: usize) -> String {
    let (before, after) = log.split_at_checked(position).unwrap_or((log, &[]));
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let end = after
        .iter()
        .position(|byte| *byte == b'\n')
        .map_or(log.len(), |newline| position + newline);
    excerpt(log.get(start..end).unwrap_or_default())
}

fn last_line(log: &[u8]) -> Option<String> {
    let plain = without_escapes(log);
    plain.split(|byte| *byte == b'\n').rfind(|line| !line.trim_ascii().is_empty()).map(excerpt)
}

/// A line fit for a table: valid text without control characters, cut to [`LONGEST_ERROR`].
fn excerpt(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line.trim_ascii());
    let mut text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.len() > LONGEST_ERROR {
        let cut = (0..=LONGEST_ERROR - '…'.len_utf8()).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(cut.unwrap_or(0));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_rules_compile() {
        assert!(Rules::built_in().rules.len() > 10);
    }

    #[test]
    fn substrings_are_found_whatever_their_case() {
        assert!(contains_substring_ci("No Space", "write: no space left"));
        assert!(contains_substring_ci("", ""));
        assert!(!contains_substring_ci("space", "spac"));
        assert!(matches_any(&["x", "SPACE"], "no space"));
        assert!(!matches_any::<&str>(&[], "anything"));
    }

    #[test]
    fn compilers_are_recognised_among_dependencies() {
        let rules = Rules::built_in();
        let deps = ["zlib.1.3", "ocaml.5.2.0", "ocaml-base-compiler.5.2.0"];
        assert_eq!(rules.extract_compiler_from_deps(deps), "ocaml-base-compiler.5.2.0");
        assert_eq!(rules.extract_compiler_from_deps(["zlib.1.3"]), "");
    }

    #[test]
    fn the_exit_is_believed_before_the_log() {
        let rules = Rules::built_in();
        let noisy = b"test: error: expected failure\nall tests passed\n";
        assert_eq!(rules.classify_exit(Exit::Code(0), noisy), success());
        assert_eq!(rules.classify_exit(Exit::TimedOut, noisy).category, "timeout");
        assert_eq!(rules.classify_exit(Exit::Signal(9), noisy).category, "killed");
        assert_eq!(
            rules.classify_exit(Exit::Code(137), b"cc1: out of memory\n").category,
            "out_of_memory"
        );
        let silent = rules.classify_exit(Exit::Code(3), b"step one\nstep two\n\n");
        assert_eq!(
            (silent.category.as_str(), silent.error.as_deref()),
            (BUILD_FAILURE, Some("step two"))
        );
        assert_eq!(rules.classify_exit(Exit::Code(3), b"").error.as_deref(), Some("exit code 3"));
    }

    #[test]
    fn colours_do_not_hide_an_error() {
        let log = b"\x1b[1m\x1b[31merror\x1b[0m\x1b[1m: no such thing\x1b[0m\r\n";
        assert_eq!(classify_build_log(log).error.as_deref(), Some("error: no such thing"));
    }

    #[test]
    fn a_user_extends_the_rules() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rules.toml");
        fs::write(&path, "[[rule]]\ncategory = \"licence\"\ncontains = [\"Licence expired\"]\n")
            .unwrap();
        let rules = Rules::with_file(&path).unwrap();
        assert_eq!(rules.classify_build_log(b"error: licence EXPIRED").category, "licence");
        assert_eq!(rules.classify_build_log(b"error: else").category, BUILD_FAILURE);
        let loaded = Rules::load(&DataDir::new(dir.path())).unwrap();
        assert_eq!(loaded.classify_build_log(b"error: licence EXPIRED").category, "licence");
        let without = Rules::load(&DataDir::new(dir.path().join("missing"))).unwrap();
        assert_eq!(without.classify_build_log(b"error: licence EXPIRED").category, BUILD_FAILURE);

        fs::write(&path, "[[rule]]\ncategory = \"x\"\nregex = [\"(\"]\n").unwrap();
        let error = Rules::with_file(&path).unwrap_err().to_string();
        assert!(error.contains("rules.toml") && error.contains("unclosed group"), "{error}");
        fs::write(&path, "[[rule]]\ncategory = \"x\"\ncontain = [\"(\"]\n").unwrap();
        let error = Rules::with_file(&path).unwrap_err().to_string();
        assert!(error.contains("line 3") && error.contains("contain"), "{error}");
    }

    #[test]
    fn any_bytes_can_be_classified() {
        let long = "error: ".to_owned() + &"ä".repeat(1000);
        assert!(classify_build_log(long.as_bytes()).error.unwrap().len() <= LONGEST_ERROR);
        for log in [&b""[..], b"\x1b", b"\x1b[", b"\xff\xfe error: \xff\n", b"\n\n"] {
            classify_build_log(log);
        }
    }
}
