//! Classification of logs: a category, the rule that decided, and the line that tells why.
//!
//! A log is read once, from front to back, in constant memory. The rules are data, in `rules.toml`, which
//! explains their form; a user's file of the same form stands before them. How the process ended
//! ([`Exit`]) is believed before what it printed, and only a line that an error stands on counts: a
//! compiler that quotes `ETIMEDOUT` says nothing of the network.

mod rules;
mod scan;
mod verdict;

use std::io::{self, Read};

use serde::Serialize;

use crate::Category;
use crate::result::{Exit, Stage};

pub use rules::Rules;
pub use scan::Scanner;
pub(crate) use verdict::LOG_LIMIT;

/// A verdict on what happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Classification {
    /// The kind of result.
    pub category: Category,
    /// The rule that decided: its name of a rule, or `exit` where it was how the process ended.
    pub rule: String,
    /// The line that tells why, fit to show, at most 300 bytes; `None` for a success.
    pub error: Option<String>,
    /// The number of that line, from 1; `None` where no line of the log says it.
    pub line: Option<u64>,
    /// Where that line begins in the log, in bytes. A carriage return begins a line anew.
    pub offset: Option<u64>,
}

impl Rules {
    /// Tells what happened in a stage whose process ended like this and wrote this log, which is read to its end.
    ///
    /// # Errors
    /// Those of reading the log.
    pub fn classify(
        &self,
        stage: Stage,
        exit: &Exit,
        mut log: impl Read,
    ) -> io::Result<Classification> {
        let mut scanner = Scanner::new(self, stage);
        let mut piece = vec![0; 64 * 1024];
        loop {
            match log.read(&mut piece) {
                Ok(0) => return Ok(scanner.finish(Some(exit))),
                Ok(length) => scanner.push(piece.get(..length).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Tells what the log of a build says happened, when nothing else is known: a log in which no rule finds
    /// anything is that of a success. With the exit of the process, [`Rules::classify`] knows better.
    pub fn classify_build_log(&self, log: &[u8]) -> Classification {
        let mut scanner = Scanner::new(self, Stage::Build);
        scanner.push(log);
        scanner.finish(None)
    }
}

/// Tells what a log says happened, by larder's own rules: see [`Rules::classify_build_log`].
pub fn classify_build_log(log: &[u8]) -> Classification {
    Rules::built_in().classify_build_log(log)
}

/// The line that ends a log that had grown to `limit` bytes, when the process was stopped for it: by this
/// line the log is recognised.
pub fn log_limit_line(limit: u64) -> String {
    format!("larder: the log limit of {limit} bytes was reached, and the process was stopped\n")
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

#[cfg(test)]
mod tests;
