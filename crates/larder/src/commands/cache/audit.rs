//! `cache audit`: finds targets that do not come out the same from the same inputs.

use std::sync::Arc;

use clap::Args;
use larder_engine::{
    audit::{self, AuditError, AuditReport, AuditRequest},
    context::Mode,
    difference::Kind,
};
use serde_json::json;

use super::{
    super::build::{self, BuildOptions},
    report::{Reporter, count},
};
use crate::{
    choices::ChoiceArgs,
    commands::App,
    exit::{Exit, Failure},
};

/// Build some targets again elsewhere, and compare.
#[derive(Args)]
pub struct Audit {
    #[command(flatten)]
    choices: ChoiceArgs,
    /// How many of the package's targets to build again, such as 5%
    #[arg(long, value_name = "N%", default_value = "10%", value_parser = percent)]
    rebuild: f64,
    /// Which of them: other ones for another number
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// How many commands may run at once
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
}

/// A share in percent.
fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).parse().ok();
    number
        .filter(|share| (0.0..=100.0).contains(share))
        .ok_or_else(|| "a share of the targets is written 5% or 0.5%".to_owned())
}

/// `cache audit`.
pub fn audit(app: &App, reporter: &Reporter<'_>, args: Audit) -> Result<Exit, Failure> {
    app.ends_commands()?;
    let options = BuildOptions::with_jobs(args.jobs).choosing(&args.choices);
    let request = AuditRequest {
        build: build::request(app, &[], &options, Mode::Build),
        percent: args.rebuild,
        seed: args.seed,
    };
    let events: Arc<dyn larder_engine::event::Reporter> = app.ui.clone();
    let audited = audit::audit(&app.session(args.jobs), &request, &events);
    app.ui.clear();
    let report = audited.map_err(|error| match error {
        AuditError::Engine(error) => error.into(),
        error => Failure::failed(error),
    })?;
    for (target, difference) in &report.differences {
        app.ui.event_json(&json!({
            "event": "difference",
            "target": target,
            "output": difference.output,
            "place": match &difference.kind {
                Kind::Content(place) => place.as_ref().map(ToString::to_string),
                Kind::Missing | Kind::Executable => None,
            },
            "message": difference.to_string(),
        }));
        app.ui.result(&format!(
            "`{target}` does not come out the same from the same inputs: {difference}"
        ));
    }
    let exit = match (report.interrupted, report.differences.is_empty() && report.failed.is_empty())
    {
        (true, _) => Exit::Interrupted,
        (false, true) => Exit::Done,
        (false, false) => Exit::Failed,
    };
    let event = json!({
        "event": "audited",
        "targets": report.targets,
        "ofTargets": report.of,
        "comparedSteps": report.compared,
        "notComparedSteps": report.not_compared,
        "differentSteps": report.differences.len(),
        "failedTargets": report.failed,
        "interrupted": report.interrupted,
    });
    reporter.done(summary(&report), event);
    Ok(exit)
}

fn summary(report: &AuditReport) -> String {
    let mut text = format!(
        "{}built {} of {} again elsewhere: {} compared, {} different",
        if report.interrupted { "interrupted: " } else { "" },
        report.targets.len(),
        count(report.of, "target"),
        count(report.compared, "result"),
        report.differences.len(),
    );
    if report.not_compared > 0 {
        text += &format!(", {} not compared: other inputs there", report.not_compared);
    }
    if !report.failed.is_empty() {
        text += &format!("; failed: {}", report.failed.join(", "));
    }
    text
}
