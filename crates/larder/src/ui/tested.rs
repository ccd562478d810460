//! Results of tests, for people.

use larder_engine::testing::{Outcome, Tested};

use super::{Ui, seconds, style};

impl Ui {
    pub(super) fn tested(&self, target: &str, tested: &Tested) {
        if self.quiet && tested.outcome.success() {
            return;
        }
        let (style, word) = match tested.outcome {
            Outcome::Passed => (style::GREEN, "passed"),
            Outcome::Cached => (style::DIM, "cached"),
            Outcome::Flaky => (style::YELLOW, "flaky"),
            Outcome::Failed => (style::RED, "failed"),
            Outcome::TimedOut => (style::RED, "timed out"),
        };
        let last = tested.last();
        let mut text = format!("{} {target} {}", self.paint(style, word), seconds(last.took));
        let shown = |output: &str| match output {
            "" => String::new(),
            output => format!("\n{output}"),
        };
        let attempts = tested.attempts.len();
        match &last.failure {
            None if tested.outcome == Outcome::Flaky => {
                text += &format!(": passed in attempt {attempts}");
                for (number, attempt) in (1..).zip(&tested.attempts[..attempts - 1]) {
                    let failure = attempt.failure.as_deref().unwrap_or_default();
                    text += &format!("\n  attempt {number} {failure}{}", shown(&attempt.output));
                }
            }
            None if self.verbose => text += &shown(&last.output),
            None => {}
            Some(failure) => {
                let tries =
                    if attempts > 1 { format!("attempt {attempts} ") } else { String::new() };
                text += &format!(": {tries}{failure}{}", shown(&last.output));
            }
        }
        if let Some(directory) = &tested.kept {
            text += &format!("\n  it ran in {}", directory.display());
        }
        self.say(&text);
    }
}
