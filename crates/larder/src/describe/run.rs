//! Runs, as people read of them.

use larder_runs::{
    progress::Progress,
    result::Stage,
    run_log::{RunRecord, Scope, Summary},
};

use super::counted;
use crate::{commands::records::plural, table::age};

/// The facts of a run, each with its name.
pub fn facts(run: &RunRecord) -> Vec<(&'static str, String)> {
    let mut facts = vec![("run", run.run_id.to_string()), ("state", run.state.name().to_owned())];
    if let Some(info) = &run.info {
        let plan = &info.plan;
        let scope = match &plan.scope {
            Scope::All => "everything".to_owned(),
            Scope::Packages(names) => names.join(" "),
        };
        facts.push(("kind", format!("{}, of {scope}", plan.kind)));
        facts.push(("started", info.start.clone()));
        facts.push(("by", format!("process {} on {}", info.pid, info.host)));
        let compilers: Vec<&str> = plan.compilers.iter().map(|name| name.as_str()).collect();
        for (what, text) in [
            ("command", plan.command_line.join(" ")),
            ("set", plan.set_revision.clone().unwrap_or_default()),
            ("compilers", compilers.join(" ")),
            ("baseline", plan.baseline.as_ref().map_or(String::new(), ToString::to_string)),
            ("larder", plan.larder_version.clone().unwrap_or_default()),
        ] {
            if !text.is_empty() {
                facts.push((what, text));
            }
        }
    }
    if let Some(summary) = &run.summary {
        let took = age(summary.seconds());
        facts.push(("ended", format!("{}, after {took}", summary.end)));
        facts.extend(numbers(summary));
    }
    if let Some(progress) = &run.progress {
        facts.push(("phase", phase(progress)));
        facts.push(("running", progress.running.join(" ")));
    }
    facts
}

/// The numbers of a run, each with its unit.
fn numbers(summary: &Summary) -> Vec<(&'static str, String)> {
    let list = |whole: u64, parts: &[(u64, &str)]| {
        let parts = counted(parts);
        if parts.is_empty() { whole.to_string() } else { format!("{whole}: {}", parts.join(", ")) }
    };
    let (packages, builds) = (&summary.packages, &summary.builds);
    let by_outcome = [
        (packages.worked, "work"),
        (packages.failed, "fail"),
        (packages.blocked, "blocked"),
        (packages.unsolved, "without a solution"),
        (packages.unreached, "not reached"),
    ];
    let by_origin = [
        (builds.built, "built"),
        (builds.cached, "cached"),
        (builds.restored, "restored"),
        (builds.skipped, "skipped"),
    ];
    let mut numbers = vec![
        ("packages", list(packages.total, &by_outcome)),
        ("builds", list(builds.total, &by_origin)),
    ];
    for (stage, counts) in &summary.stages {
        let parts = [(counts.worked, "work"), (counts.failed, "fail"), (counts.blocked, "blocked")];
        numbers.push((stage.name(), list(counts.total, &parts)));
    }
    numbers
}

/// How far a run is.
pub fn phase(progress: &Progress) -> String {
    match progress.build_total {
        0 => progress.phase().to_string(),
        total => format!("{} {}/{total}", progress.phase(), progress.builds_completed),
    }
}

/// A run in one line: `40 of 45 packages work (2 fail, 3 blocked), 1 test failed in 2 min`.
pub fn in_a_line(summary: &Summary) -> String {
    let packages = &summary.packages;
    let parts = [
        (packages.failed, "fail"),
        (packages.blocked, "blocked"),
        (packages.unsolved, "without a solution"),
        (packages.unreached, "not reached"),
    ];
    let parts = counted(&parts);
    let parts = if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) };
    let stages = [(Stage::Test, "test"), (Stage::Doc, "documentation build")];
    let stages = stages.iter().filter_map(|(stage, what)| {
        let failed = summary.stages.get(stage)?.failed;
        (failed > 0).then(|| format!(", {} failed", plural(failed, what)))
    });
    let stages: String = stages.collect();
    let total = plural(packages.total, "package");
    let work = if packages.worked == 1 || packages.total == 1 { "works" } else { "work" };
    let interrupted = if summary.interrupted { "interrupted: " } else { "" };
    format!(
        "{interrupted}{} of {total} {work}{parts}{stages} in {}",
        packages.worked,
        age(summary.seconds())
    )
}
