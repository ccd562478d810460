//! The report of a bisection.

use larder_batch::bisect::outcome::{Attempt, Found, Outcome, Sight};
use larder_runs::DataDir;
use serde_json::json;

use super::{
    Report, Section,
    junit::{self, Case, Failure, Suite},
    tail,
};
use crate::describe::bisection;

/// Returns the report of a bisection. A log that cannot be read is left out.
pub fn report(data: &DataDir, outcome: &Outcome) -> Report {
    let lines = bisection::in_lines(outcome);
    let said = lines.first().cloned().unwrap_or_default();
    let log = outcome.failure.as_ref().and_then(|failing| {
        let (run, log) = (failing.run_id.as_ref()?, failing.log.as_ref()?);
        Some(tail(&data.runs(), run, log)).filter(|text| !text.is_empty())
    });
    let texts = [("what was found", Some(lines.join("\n"))), ("end of the log", log.clone())];
    let texts = texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?)));
    Report {
        title: format!("larder: what broke {}", outcome.package),
        outcome: said.clone(),
        facts: vec![
            ("run".to_owned(), outcome.run_id.to_string()),
            ("tried".to_owned(), outcome.new_attempts.to_string()),
            ("recorded before".to_owned(), outcome.recorded_attempts.to_string()),
        ],
        sections: vec![Section {
            heading: "What was looked at".to_owned(),
            columns: vec!["state", "shows", "category", "error"],
            rows: outcome.attempts.iter().map(row).collect(),
            texts: texts.collect(),
        }],
        suites: vec![suite(outcome, said, log)],
        data: json!({ "schemaVersion": 1, "report": "bisection", "bisection": outcome }),
    }
}

fn row(attempt: &Attempt) -> Vec<String> {
    let shown = match attempt.shown {
        Sight::Works => "works",
        Sight::Fails => "fails",
        Sight::Nothing => "nothing",
    };
    let failing = attempt.failing.as_ref();
    let error = failing.and_then(|failing| failing.error.clone());
    vec![
        attempt.label.clone(),
        shown.to_owned(),
        failing.map_or(String::new(), |failing| failing.category.to_string()),
        error.or_else(|| attempt.reason.clone()).unwrap_or_default(),
    ]
}

/// One case: the package, which fails where it fails at the bad end.
fn suite(outcome: &Outcome, said: String, log: Option<String>) -> Suite {
    let fails = !matches!(outcome.found, Found::Works);
    let failure = fails.then(|| Failure { kind: "bisect".to_owned(), message: said });
    let attempt =
        junit::Attempt { failure, output: log.unwrap_or_default(), ..junit::Attempt::default() };
    let case = Case {
        name: "bisect".to_owned(),
        class: outcome.package.clone(),
        outcome: junit::Outcome::Tried(vec![attempt]),
    };
    Suite { name: "bisect".to_owned(), cases: vec![case] }
}
