//! Rules as data: reading and compiling them.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use regex::bytes::{RegexSet, RegexSetBuilder};
use serde::Deserialize;

use crate::error::{Context, Error, Result};
use crate::result::{Stage, is_word};
use crate::{Category, DataDir};

/// Compiled rules.
#[derive(Debug)]
pub struct Rules {
    pub(super) rules: Vec<Rule>,
    /// Every pattern by which a line may matter, of all rules, so that one pass over a log finds them.
    pub(super) patterns: RegexSet,
    /// For each pattern, its rule and its part in it.
    pub(super) roles: Vec<(usize, Role)>,
    /// Lines that quote an error and report none.
    pub(super) quoting: RegexSet,
    compilers: Vec<String>,
}

/// A kind of line that tells something.
#[derive(Debug)]
pub(super) struct Rule {
    pub name: String,
    pub category: Category,
    pub weight: Weight,
    /// Lines that match and are not meant.
    pub except: RegexSet,
    /// Whether it waits for another line before or after.
    pub after: bool,
    pub then: bool,
    /// The stages in which it counts; none means all.
    pub stages: Vec<Stage>,
}

/// The part of a pattern in its rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The line that the rule looks for.
    Line,
    /// One after which it counts.
    Header,
    /// One by which it comes to count.
    Confirmation,
}

/// How much a rule weighs: see `rules.toml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Weight {
    #[default]
    Decisive,
    Specific,
    Summary,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RulesFile {
    #[serde(default)]
    compilers: Vec<String>,
    #[serde(default)]
    quoting: Vec<String>,
    #[serde(default, rename = "rule")]
    rules: Vec<RuleText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleText {
    name: Option<String>,
    category: String,
    #[serde(default)]
    weight: Weight,
    #[serde(default)]
    stages: Vec<Stage>,
    #[serde(default)]
    contains: Vec<String>,
    #[serde(default)]
    regex: Vec<String>,
    #[serde(default)]
    except: Vec<String>,
    #[serde(default)]
    after: Vec<String>,
    #[serde(default)]
    then: Vec<String>,
}

const BUILT_IN: &str = include_str!("rules.toml");

/// The most memory that matching may use for what it has found out about patterns, in bytes.
const MATCHER_LIMIT: usize = 8 << 20;

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
                    roles: Vec::new(),
                    quoting: RegexSet::empty(),
                    compilers: Vec::new(),
                }
            })
        })
    }

    /// The rules of an ecosystem that has its own: those of `DATA/rules.toml`, followed by larder's. `None` where that file is
    /// not there, and larder's are all that there are.
    ///
    /// # Errors
    /// As [`Rules::with_file`].
    pub fn of_ecosystem(data: &DataDir) -> Result<Option<Rules>> {
        match Rules::with_file(&data.rules()) {
            Err(error) if error.is_missing() => Ok(None),
            other => other.map(Some),
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
        let (mut rules, mut compilers, mut quoting) = (Vec::new(), Vec::new(), Vec::new());
        let (mut sources, mut roles) = (Vec::new(), Vec::new());
        for (path, text) in files {
            let wrong = |reason: String| Error::Rules { path: path.to_path_buf(), reason };
            let file: RulesFile = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
            compilers.extend(file.compilers);
            quoting.extend(file.quoting);
            for rule in file.rules {
                let number = rules.len();
                if !is_word(&rule.category) || Category::from(&*rule.category) == Category::Success
                {
                    return Err(wrong(format!(
                        "{:?} is no category of a failure: letters, digits, `_` and `-`",
                        rule.category
                    )));
                }
                let plain = rule.contains.iter().map(|text| regex::escape(text));
                let lines = plain.chain(rule.regex).map(|source| (source, Role::Line));
                let (after, then) = (!rule.after.is_empty(), !rule.then.is_empty());
                let headers = rule.after.into_iter().map(|source| (source, Role::Header));
                let confirmations =
                    rule.then.into_iter().map(|source| (source, Role::Confirmation));
                for (source, role) in lines.chain(headers).chain(confirmations) {
                    sources.push(source);
                    roles.push((number, role));
                }
                rules.push(Rule {
                    name: rule.name.unwrap_or_else(|| rule.category.clone()),
                    category: rule.category.as_str().into(),
                    weight: rule.weight,
                    except: compile(rule.except).map_err(|error| wrong(error.to_string()))?,
                    after,
                    then,
                    stages: rule.stages,
                });
            }
        }
        let first = files.first().map_or(Path::new(""), |(path, _)| path);
        let wrong = |error: regex::Error| Error::Rules {
            path: first.to_owned(),
            reason: error.to_string(),
        };
        let patterns = compile(sources).map_err(wrong)?;
        Ok(Rules { rules, patterns, roles, quoting: compile(quoting).map_err(wrong)?, compilers })
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

impl Rule {
    pub(super) fn counts_in(&self, stage: Stage) -> bool {
        self.stages.is_empty() || self.stages.contains(&stage)
    }
}

fn compile<S: AsRef<str>>(
    sources: impl IntoIterator<Item = S>,
) -> std::result::Result<RegexSet, regex::Error> {
    RegexSetBuilder::new(sources)
        .case_insensitive(true)
        .multi_line(true)
        .unicode(false)
        .size_limit(64 << 20)
        .dfa_size_limit(MATCHER_LIMIT)
        .build()
}
