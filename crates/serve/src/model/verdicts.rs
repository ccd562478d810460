//! What a comparison with evidence has found out.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use larder_runs::comparison::{Counts, Judged, Outcome, Shown as Side, SideName, Subject, Verdict};
use schemars::JsonSchema;
use serde::Serialize;

use super::listed::{self, About, Aspect, Choices, Compared, Kind, Shown};
use crate::site::{Filter, RunFacts, View};

/// What a comparison with evidence has found out.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// What was.
    pub base: SideName,
    /// What is to be.
    pub candidate: SideName,
    /// How many of each verdict.
    pub counts: Counts,
    /// The compilers that verdicts are for: the columns. None where the sides are compilers.
    pub compilers: Vec<String>,
    /// How many packages are not the same with every compiler.
    pub total: usize,
    /// Which of them are shown.
    #[serde(flatten)]
    pub shown: Shown,
    /// Those of this page: what regressed first.
    pub rows: Vec<Row>,
    /// By what one can filter, with the number of rows that each alone leaves.
    pub choices: Choices,
    /// What only the candidate has.
    pub added: Vec<Subject>,
    /// What only the base has.
    pub removed: Vec<Subject>,
    /// The command that judges once more what regressed, of the rows that pass the filter.
    pub reproduce: Option<String>,
    /// The filter.
    #[serde(skip)]
    pub filter: Filter,
}

/// A package version on both sides.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "VerdictRow")]
pub struct Row {
    /// `<name>.<version>`.
    pub package: String,
    /// The verdict: what matters most of its cells.
    pub verdict: Verdict,
    /// One for each compiler, or one where the sides are compilers.
    pub cells: Vec<Cell>,
    /// Whether compilers do not agree.
    pub differs: bool,
    /// What else is known of it.
    #[serde(flatten)]
    pub about: About,
    /// The command that judges it once more.
    pub reproduce: String,
}

/// A verdict and its evidence.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "VerdictCell")]
pub struct Cell {
    /// The compiler's package; empty where the sides are compilers.
    pub compiler: String,
    /// The verdict.
    pub verdict: Verdict,
    /// Before.
    pub base: Side,
    /// After.
    pub candidate: Side,
}

impl Cell {
    fn new(judged: Judged) -> Self {
        let Judged { subject, verdict, base, candidate } = judged;
        let compiler = subject.compiler.map_or_else(String::new, |it| it.to_string());
        Self { compiler, verdict, base, candidate }
    }
}

impl Compared for Row {
    fn package(&self) -> &str {
        &self.package
    }

    fn aspects(&self) -> impl Iterator<Item = Aspect<'_>> {
        self.cells.iter().filter(|cell| cell.verdict != Verdict::Same).map(|cell| {
            let sides = [&cell.base, &cell.candidate];
            Aspect {
                compiler: &cell.compiler,
                kind: Kind::Verdict(cell.verdict),
                categories: categories(sides),
                errors: sides.iter().filter_map(|side| side.error.as_deref()).collect(),
            }
        })
    }

    fn differs(&self) -> bool {
        self.differs
    }

    fn about(&self) -> &About {
        &self.about
    }
}

/// The kinds of failures on both sides.
pub fn categories(sides: [&Side; 2]) -> Vec<String> {
    let found = sides.iter().filter_map(|side| side.category.as_ref());
    let found: BTreeSet<String> = found.map(ToString::to_string).collect();
    found.into_iter().collect()
}

impl Comparison {
    /// What a run has found out, as far as it passes a filter.
    pub fn of(view: &View<'_>, outcome: Outcome, run: &RunFacts, filter: &Filter) -> Self {
        let Outcome { base, candidate, counts, packages, added, removed, .. } = outcome;
        let again = Again { base: &base, candidate: &candidate, run };
        let mut by_package: BTreeMap<String, Vec<Cell>> = BTreeMap::new();
        let mut compilers = BTreeSet::new();
        for judged in packages {
            compilers.extend(judged.subject.compiler.as_ref().map(ToString::to_string));
            let package = judged.subject.package.to_string();
            by_package.entry(package).or_default().push(Cell::new(judged));
        }
        let mut rows: Vec<Row> = by_package
            .into_iter()
            .filter_map(|(package, mut cells)| {
                cells.sort_by(|a, b| a.compiler.cmp(&b.compiler));
                let verdict = cells.iter().map(|it| it.verdict).min_by_key(|it| it.rank())?;
                let first = cells[0].verdict;
                let differs = match &cells[..] {
                    // Both sides are compilers.
                    [only] if only.compiler.is_empty() => verdict != Verdict::BrokenBefore,
                    all => all.iter().any(|cell| cell.verdict != first),
                };
                let about = About::of(view, &package);
                let reproduce = again.command([package.as_str()]);
                let row = Row { package, verdict, cells, differs, about, reproduce };
                (verdict != Verdict::Same).then_some(row)
            })
            .collect();
        rows.sort_by_key(|row| (row.verdict.rank(), Reverse(row.about.unblocks_packages)));
        let total = rows.len();
        let (rows, choices) = listed::choose(rows, filter);
        let regressed = rows.iter().filter(|row| row.verdict == Verdict::Regressed);
        let regressed: Vec<&str> = regressed.map(|row| row.package.as_str()).collect();
        let reproduce = (!regressed.is_empty()).then(|| again.command(regressed));
        let (shown, rows) = listed::page(rows, filter, view.whole_lists);
        let compilers = compilers.into_iter().collect();
        let filter = filter.clone();
        Self {
            base,
            candidate,
            counts,
            compilers,
            total,
            shown,
            rows,
            choices,
            added,
            removed,
            reproduce,
            filter,
        }
    }
}

/// What has to be said to have a comparison once more.
struct Again<'c> {
    base: &'c SideName,
    candidate: &'c SideName,
    run: &'c RunFacts,
}

impl Again<'_> {
    /// The command that compares these packages once more, as one types it where the set is.
    fn command<'p>(&self, packages: impl IntoIterator<Item = &'p str>) -> String {
        let mut words = vec!["larder".to_owned(), "batch".to_owned()];
        if self.run.command_line.iter().any(|word| word == "--no-sandbox") {
            words.push("--no-sandbox".to_owned());
        }
        match self.candidate {
            SideName::WhatIf { replaced } => {
                for it in replaced {
                    let path = it.path.display();
                    words.extend(["--what-if".to_owned(), format!("{}={path}", it.package)]);
                }
            }
            candidate => {
                words.push("--compare".to_owned());
                words.extend([self.base, candidate].map(named));
            }
        }
        words.extend(packages.into_iter().map(str::to_owned));
        let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
        words.join(" ")
    }
}

/// A side as one names it: a revision by its commit, since branches move.
fn named(side: &SideName) -> String {
    match side {
        SideName::Compiler { name } => name.to_string(),
        SideName::Revision { commit, .. } => commit.chars().take(12).collect(),
        SideName::Set | SideName::WhatIf { .. } => String::new(),
    }
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+./,:@%".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_quoted_word_is_one_word_for_a_shell() {
        for word in
            ["plain.1.0", "", "two words", "it's", "$(exit 1)", "a\"b`c`", "~", "*", "ü;\n&"]
        {
            let script = format!("printf %s {}", quoted(word));
            let said = Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(said.stdout).unwrap(), word);
        }
    }
}
