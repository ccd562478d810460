//! Numbers for Prometheus, in its text format.

use std::fmt::Write;

use larder_runs::{result::Outcome, run_log::RunState};

use crate::{cache::Stats, site::View};

/// Everything that can be counted without reading more than is known.
pub fn text(view: &View<'_>) -> String {
    let mut out = String::new();
    let numbers = &view.snapshot.status.numbers;
    family(&mut out, "larder_packages", "gauge", "Packages of the set, by how they stand.");
    for (state, count) in numbers.by_state() {
        let state = state.map_or("unknown", Outcome::name);
        sample(&mut out, "larder_packages", &[("state", state)], count);
    }
    let status = &view.snapshot.status;
    family(
        &mut out,
        "larder_results",
        "gauge",
        "Results of blessed builds, by stage and category.",
    );
    for (stage, totals) in
        [("build", &status.blessed), ("test", &status.tests), ("doc", &status.docs)]
    {
        for (category, count) in &totals.by_category {
            let labels = [("stage", stage), ("category", category.name())];
            sample(&mut out, "larder_results", &labels, *count);
        }
    }
    family(&mut out, "larder_changes", "gauge", "Results that changed since the full run before.");
    let recovered = status.changes.iter().filter(|change| change.is_recovery()).count() as u64;
    sample(&mut out, "larder_changes", &[("kind", "recovered")], recovered);
    let broke = status.changes.len() as u64 - recovered;
    sample(&mut out, "larder_changes", &[("kind", "broke")], broke);
    family(&mut out, "larder_runs", "gauge", "Runs that are kept, by their state.");
    for state in [RunState::Running, RunState::Finished, RunState::Interrupted, RunState::Died] {
        let count = view.snapshot.runs.iter().filter(|run| run.state == state).count() as u64;
        sample(&mut out, "larder_runs", &[("state", state.name())], count);
    }
    if let Some(run) = view.snapshot.runs.iter().find(|run| run.is_whole()) {
        let seconds = run.seconds.unwrap_or(0);
        family(
            &mut out,
            "larder_last_full_run_seconds",
            "gauge",
            "How long the last full run took.",
        );
        sample(&mut out, "larder_last_full_run_seconds", &[], seconds);
        let end = run.end.as_deref().and_then(larder_runs::time::parse_time);
        if let Some(end) = end {
            let name = "larder_last_full_run_timestamp_seconds";
            family(&mut out, name, "gauge", "When the last full run ended.");
            sample(&mut out, name, &[], u64::try_from(end.as_second()).unwrap_or(0));
        }
    }
    if let Some(cache) = &view.ecosystem.cache {
        team_cache(&mut out, &cache.stats());
    }
    out
}

/// What the cache of the team has, and did since the server began.
fn team_cache(out: &mut String, stats: &Stats) {
    for (name, kind, help, value) in [
        ("larder_cache_used_bytes", "gauge", "Bytes that objects take.", stats.used_bytes),
        ("larder_cache_hits_total", "counter", "Objects that were read.", stats.hits),
        ("larder_cache_misses_total", "counter", "Objects that were not there.", stats.misses),
        ("larder_cache_read_bytes_total", "counter", "Bytes that were read.", stats.read_bytes),
        ("larder_cache_writes_total", "counter", "Objects that were written.", stats.writes),
        (
            "larder_cache_written_bytes_total",
            "counter",
            "Bytes that were written.",
            stats.written_bytes,
        ),
        ("larder_cache_refusals_total", "counter", "Requests that were refused.", stats.refusals),
        ("larder_cache_removed_total", "counter", "Objects removed to make room.", stats.removed),
    ] {
        family(out, name, kind, help);
        sample(out, name, &[], value);
    }
    if let Some(quota) = stats.quota_bytes {
        family(out, "larder_cache_quota_bytes", "gauge", "Bytes that objects may take.");
        sample(out, "larder_cache_quota_bytes", &[], quota);
    }
}

fn family(out: &mut String, name: &str, kind: &str, help: &str) {
    // Writing to a text does not fail.
    _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn sample(out: &mut String, name: &str, labels: &[(&str, &str)], value: u64) {
    out.push_str(name);
    for (number, (label, value)) in labels.iter().enumerate() {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        _ = write!(out, "{}{label}=\"{value}\"", if number == 0 { '{' } else { ',' });
    }
    _ = writeln!(out, "{} {value}", if labels.is_empty() { "" } else { "}" });
}
