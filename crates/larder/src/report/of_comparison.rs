//! The report of a comparison.

use larder_runs::{
    DataDir,
    comparison::{Judged, Outcome, Shown, Subject, Verdict},
};
use serde_json::json;

use super::{
    Report, Section,
    junit::{self, Attempt, Case, Failure, Outcome as Ended, Suite},
    tail,
};
use crate::describe::comparison;

/// Returns the report of a comparison. A log that cannot be read is left out.
pub fn report(data: &DataDir, outcome: &Outcome) -> Report {
    let tail = |shown: &Shown| match &shown.log {
        Some(log) => tail(&data.runs(), &outcome.run_id, log),
        None => String::new(),
    };
    let sections = [
        ("What works no more", Verdict::Regressed),
        ("What works now", Verdict::Fixed),
        ("What works now and then", Verdict::Flaky),
        ("Of what nothing is known", Verdict::Unknown),
    ];
    let sections = sections.map(|(heading, verdict)| section(outcome, heading, verdict, &tail));
    let facts = [
        ("before", outcome.base.to_string()),
        ("after", outcome.candidate.to_string()),
        ("run", outcome.run_id.to_string()),
        ("added", names(&outcome.added)),
        ("removed", names(&outcome.removed)),
    ];
    let facts = facts.into_iter().filter(|(_, fact)| !fact.is_empty());
    Report {
        title: format!("larder: {} compared with {}", outcome.candidate, outcome.base),
        outcome: comparison::in_a_line(outcome),
        facts: facts.map(|(name, fact)| (name.to_owned(), fact)).collect(),
        sections: sections.into_iter().filter(|section| !section.rows.is_empty()).collect(),
        suites: suites(outcome, &tail),
        data: json!({ "schemaVersion": 1, "report": "comparison", "comparison": outcome }),
    }
}

fn names(subjects: &[Subject]) -> String {
    let mut names: Vec<&str> = subjects.iter().map(|it| it.package.as_str()).collect();
    names.dedup();
    names.join(", ")
}

/// The compiler of a package, where that is not what is compared.
fn compiler(judged: &Judged) -> &str {
    judged.subject.compiler.as_ref().map_or("", |compiler| compiler.as_str())
}

fn section(
    outcome: &Outcome,
    heading: &str,
    verdict: Verdict,
    tail: &dyn Fn(&Shown) -> String,
) -> Section {
    let mut section = Section {
        heading: heading.to_owned(),
        columns: vec!["package", "compiler", "before", "now", "category", "error"],
        ..Section::default()
    };
    for judged in outcome.packages.iter().filter(|judged| judged.verdict == verdict) {
        let (category, error) = comparison::reason(judged);
        section.rows.push(vec![
            judged.subject.package.to_string(),
            compiler(judged).to_owned(),
            comparison::evidence(&judged.base),
            comparison::evidence(&judged.candidate),
            category,
            error,
        ]);
        let log = tail(&judged.candidate);
        if verdict == Verdict::Regressed && !log.is_empty() {
            let name = format!("{}: end of the log", judged.subject.package);
            section.texts.push((name, log));
        }
    }
    section
}

/// A suite for each compiler, or for the comparison of two: what regressed has failed, what is flaky has failed before
/// it worked, and what was broken before or is unknown was skipped.
fn suites(outcome: &Outcome, tail: &dyn Fn(&Shown) -> String) -> Vec<Suite> {
    let mut packages: Vec<&Judged> = outcome.packages.iter().collect();
    packages.sort_by(|a, b| compiler(a).cmp(compiler(b)));
    junit::suites(packages.into_iter().map(|judged| {
        let suite = match compiler(judged) {
            "" => format!("{} and {}", outcome.base, outcome.candidate),
            compiler => compiler.to_owned(),
        };
        let (_, message) = comparison::reason(judged);
        let worked = Attempt::default();
        let failed = |shown: &Shown| Attempt {
            failure: Some(Failure {
                kind: judged.verdict.words().to_owned(),
                message: message.clone(),
            }),
            output: tail(shown),
            ..Attempt::default()
        };
        let ended = match judged.verdict {
            Verdict::Same | Verdict::Fixed => Ended::Tried(vec![worked]),
            Verdict::Regressed => Ended::Tried(vec![failed(&judged.candidate)]),
            Verdict::Flaky => {
                let sides = [&judged.candidate, &judged.base];
                let failing = sides.into_iter().find(|side| side.evidence.failed > 0);
                Ended::Tried(failing.map(failed).into_iter().chain([worked]).collect())
            }
            Verdict::BrokenBefore | Verdict::Unknown => {
                Ended::Skipped(format!("{}: {message}", judged.verdict.words()))
            }
        };
        let case = Case {
            name: "compare".to_owned(),
            class: judged.subject.package.to_string(),
            outcome: ended,
        };
        (suite, case)
    }))
}
