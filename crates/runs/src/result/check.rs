//! The checks of a result before it is recorded.

use std::time::Duration;

use jiff::Timestamp;

use super::{Exit, Origin, Stage, StageResult};
use crate::Category;

/// How far ahead of the clock a result may end: machines differ.
const AHEAD: Duration = Duration::from_secs(24 * 60 * 60);

/// The longest text in a result, in bytes.
const LONGEST: usize = 4096;

impl StageResult {
    /// Checks that the result says nothing that cannot be, at the time `now`.
    ///
    /// # Errors
    /// The reason, as a clause.
    pub(crate) fn check(&self, now: Timestamp) -> Result<(), String> {
        self.check_build()?;
        self.check_times(now)?;
        self.check_ending()?;
        self.check_dependencies()?;
        self.check_texts()
    }

    fn check_build(&self) -> Result<(), String> {
        if self.attempt == 0 {
            return Err("attempts count from 1".to_owned());
        }
        match (self.stage, &self.build_hash) {
            (Stage::Solve, Some(_)) => Err("a solve has no build hash".to_owned()),
            (Stage::Solve, None) if self.blessed => Err("a solve cannot be blessed".to_owned()),
            (Stage::Solve, None) => Ok(()),
            (stage, None) => Err(format!("a {stage} needs a build hash")),
            (_, Some(_)) if self.category == Category::NoSolution => {
                Err("what has a build hash has a solution".to_owned())
            }
            (_, Some(_)) => Ok(()),
        }
    }

    fn check_times(&self, now: Timestamp) -> Result<(), String> {
        if self.end < self.start {
            return Err(format!("it ends ({}) before it starts ({})", self.end, self.start));
        }
        match now.checked_add(AHEAD) {
            Ok(latest) if self.end > latest => {
                Err(format!("it ends in the future ({}, and it is {now})", self.end))
            }
            _ => Ok(()),
        }
    }

    fn check_ending(&self) -> Result<(), String> {
        let (success, category) = (self.is_success(), &self.category);
        if success != (*category == Category::Success) {
            return Err(format!("a {} cannot be of the category {category}", self.status));
        }
        if success && self.error.is_some() {
            return Err("a success has no error".to_owned());
        }
        if success && self.origin == Origin::Skipped {
            return Err("what was skipped did not succeed".to_owned());
        }
        let clean = Exit { code: Some(0), ..Exit::default() };
        match self.exit {
            Some(exit) if success && exit != clean => {
                Err("a success ends with exit code 0".to_owned())
            }
            Some(Exit { code: Some(_), signal: Some(_), .. }) => {
                Err("a process ends with an exit code or by a signal, not both".to_owned())
            }
            _ if !is_word(category.name()) => {
                Err(format!("{:?} is no category: letters, digits, `_` and `-`", category.name()))
            }
            _ => Ok(()),
        }
    }

    fn check_dependencies(&self) -> Result<(), String> {
        let blocked = self.category == Category::DependencyFailure;
        let named = !self.failed_dependencies.is_empty() || !self.root_failures.is_empty();
        if named && !blocked {
            return Err(format!("a {} has no failed dependencies", self.category));
        }
        if blocked && self.failed_dependencies.is_empty() {
            return Err("a dependency failure names the dependencies that failed".to_owned());
        }
        if blocked && self.origin != Origin::Skipped {
            return Err("what a dependency's failure blocks is skipped".to_owned());
        }
        let own = |build: &super::BuildRef| build.package == self.package;
        match self.failed_dependencies.iter().any(own) {
            true => Err("a package does not depend on itself".to_owned()),
            false => Ok(()),
        }
    }

    fn check_texts(&self) -> Result<(), String> {
        for (what, text) in [
            ("rule", &self.rule),
            ("host", &self.host),
            ("platform", &self.platform),
            ("error", &self.error),
        ] {
            if text.as_ref().is_some_and(|text| text.len() > LONGEST) {
                return Err(format!("its {what} is longer than {LONGEST} bytes"));
            }
        }
        Ok(())
    }
}

/// Whether a text is fit for a category: it is shown, and asked for on the command line.
pub(crate) fn is_word(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    !text.is_empty() && text.len() <= 60 && text.chars().all(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::{BuildRef, Status};

    fn success() -> StageResult {
        let time: Timestamp = "2026-03-01T12:00:00.250Z".parse().unwrap();
        let package = "fmt.0.9.0".parse().unwrap();
        let result = StageResult::success(package, Stage::Build, time, time);
        StageResult { build_hash: Some("h".parse().unwrap()), ..result }
    }

    /// Why a result is refused after this change.
    fn refused(change: impl FnOnce(&mut StageResult)) -> String {
        let mut result = success();
        change(&mut result);
        result.check("2026-03-01T12:00:00Z".parse().unwrap()).unwrap_err()
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_reason() {
        assert_eq!(success().check("2026-03-01T12:00:00Z".parse().unwrap()), Ok(()));
        let failure = |result: &mut StageResult, category| {
            *result = result.clone().failed(category, None);
        };
        let zlib = || BuildRef { package: "zlib.1.3.1".parse().unwrap(), build_hash: None };
        let reasons = [
            refused(|r| r.attempt = 0),
            refused(|r| r.build_hash = None),
            refused(|r| r.stage = Stage::Solve),
            refused(|r| failure(r, Category::NoSolution)),
            refused(|r| r.start = "2026-03-01T12:00:01Z".parse().unwrap()),
            refused(|r| r.end = "2026-03-04T12:00:01Z".parse().unwrap()),
            refused(|r| r.category = Category::Timeout),
            refused(|r| r.status = Status::Failure),
            refused(|r| r.error = Some("no".to_owned())),
            refused(|r| r.origin = Origin::Skipped),
            refused(|r| r.exit = Some(Exit { code: Some(1), ..Exit::default() })),
            refused(|r| {
                failure(r, Category::Crash);
                r.exit = Some(Exit { code: Some(1), signal: Some(11), ..Exit::default() });
            }),
            refused(|r| failure(r, Category::Custom("a\u{1b}[2J".to_owned()))),
            refused(|r| failure(r, Category::DependencyFailure)),
            refused(|r| {
                failure(r, Category::DependencyFailure);
                r.failed_dependencies = vec![zlib()];
            }),
            refused(|r| r.failed_dependencies = vec![zlib()]),
            refused(|r| r.platform = Some("x".repeat(5000))),
        ];
        insta::assert_snapshot!(reasons.join("\n"), @r#"
        attempts count from 1
        a build needs a build hash
        a solve has no build hash
        what has a build hash has a solution
        it ends (2026-03-01T12:00:00.25Z) before it starts (2026-03-01T12:00:01Z)
        it ends in the future (2026-03-04T12:00:01Z, and it is 2026-03-01T12:00:00Z)
        a success cannot be of the category timeout
        a failure cannot be of the category success
        a success has no error
        what was skipped did not succeed
        a success ends with exit code 0
        a process ends with an exit code or by a signal, not both
        "a\u{1b}[2J" is no category: letters, digits, `_` and `-`
        a dependency failure names the dependencies that failed
        what a dependency's failure blocks is skipped
        a success has no failed dependencies
        its platform is longer than 4096 bytes
        "#);
    }
}
