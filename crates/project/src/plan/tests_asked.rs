//! Which tests the command line asks for.

use super::{PackageId, Plan, Target, TargetId};
use crate::{
    diagnostic::{Diagnostic, Diagnostics, suggest},
    pattern::TargetPattern,
    setting::BuiltFor,
};

/// So many tests are named where none fits.
const NAMED: usize = 8;

impl Plan {
    /// Returns the tests that any of `patterns` matches, each once; all of the root package when there
    /// are no patterns.
    ///
    /// # Errors
    /// The patterns that match no test.
    pub fn tests(&self, patterns: &[TargetPattern]) -> Result<Vec<TargetId>, Diagnostics> {
        let all = || self.ids().filter(|&id| self.is_asked(id));
        if patterns.is_empty() {
            return Ok(all().filter(|&id| self.package_of(self.target(id)).is_root).collect());
        }
        let mut found: Vec<TargetId> = Vec::new();
        let mut errors = Vec::new();
        for pattern in patterns {
            let mut matched =
                all().filter(|&id| self.is_match(pattern, self.target(id))).peekable();
            if matched.peek().is_none() {
                errors.push(self.no_test(pattern));
            }
            for id in matched {
                if !found.contains(&id) {
                    found.push(id);
                }
            }
        }
        if errors.is_empty() { Ok(found) } else { Err(Diagnostics(errors)) }
    }

    /// Whether a target is a test that can be asked for: those for the host are, where nothing else is made of
    /// them.
    fn is_asked(&self, id: TargetId) -> bool {
        let target = self.target(id);
        target.is_test() && (self.side(target.package) == BuiltFor::Target || self.is_tool(id))
    }

    fn is_match(&self, pattern: &TargetPattern, target: &Target) -> bool {
        let package = self.package_of(target);
        pattern.matches((&package.place.name, package.is_root), &target.name, target.facet())
    }

    fn no_test(&self, pattern: &TargetPattern) -> Diagnostic {
        let tests = self.ids().filter(|&id| self.is_asked(id));
        let mut tests: Vec<&str> = tests.map(|id| asked_as(self.target(id))).collect();
        if let Some(name) = pattern.as_name() {
            let meant = self.resolve(PackageId::ROOT, &name);
            // Names of packages and facets have suggestions of their own.
            let target = match meant {
                Ok(targets) => targets.first().map(|&id| self.target(id)),
                Err(error) if tests.is_empty() => return error,
                Err(_) => None,
            };
            if let Some(target) = target {
                return Diagnostic::new(format!("`{}` is not a test", target.label))
                    .help("tests are executables and commands with `test = true`");
            }
        }
        let text = pattern.to_string();
        let of_other = |test: &&str| test.rsplit('/').next() == Some(&text);
        let known = tests.iter().copied().find(of_other);
        let known = known.or_else(|| suggest(&text, tests.iter().copied()));
        let more = tests.len().saturating_sub(NAMED);
        let help = match known {
            Some(known) => format!("did you mean `{known}`?"),
            None if tests.is_empty() => {
                "there are no tests: give an executable or a command `test = true`".to_owned()
            }
            None => {
                tests.truncate(NAMED);
                let more = if more > 0 { format!(", and {more} more") } else { String::new() };
                format!("the tests are {}{more}; `larder test --list` lists them", tests.join(", "))
            }
        };
        Diagnostic::new(format!("no test matches `{text}`")).help(help)
    }
}

/// The name by which a target is asked for: without a facet.
fn asked_as(target: &Target) -> &str {
    target.label.split(':').next().unwrap_or_default()
}
