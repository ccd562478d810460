//! `cargo xtask bench`: larder beside what people use today, on the same inputs, in one run.
//!
//! Each row is a function `fn(&Bench, &str) -> Result<Vec<Row>>`, listed in [`ROWS`]. Generated
//! projects are kept in `target/bench` between runs.

mod batches;
mod cache_server;
mod client;
mod cluster;
mod commits;
mod dashboard;
mod engine;
mod harness;
mod hashing;
mod ninja;
mod objects;
mod packs;
mod projects;
mod runs;
mod sandbox;
mod scale;
mod services;
mod sets;

use std::{env, fs, path::PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::{
    cargo::{self, Profile},
    install,
};
use harness::{Bench, Row, Unit};
pub use runs::{Append, append_some};

/// Arguments of `cargo xtask bench`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Which rows; all of them, when none is named
    #[arg(value_name = "ROW")]
    rows: Vec<String>,
    /// Also write the figures to FILE
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// How often each side is run; the median counts
    #[arg(long, value_name = "N", default_value_t = 5)]
    runs: usize,
}

/// Measures the row called like this; a row may give several lines.
type Measure = fn(&Bench, &str) -> Result<Vec<Row>>;

/// All rows, in the order of the table.
const ROWS: &[(&str, Measure)] = &[
    ("noop", engine::noop),
    ("noop-compdb", engine::noop_compdb),
    ("first", engine::first),
    ("first-store", engine::first_store),
    ("touched", engine::touched),
    ("edited", engine::edited),
    ("restore", engine::restore),
    ("ninja", ninja::noop),
    ("ninja-first", ninja::first),
    ("ninja-first-store", ninja::first_store),
    ("ninja-edited", ninja::edited),
    ("ninja-checkout", ninja::checkout),
    ("fetch", services::fetch),
    ("cache-server", cache_server::reads),
    ("commits", commits::commits),
    ("cluster", cluster::hits),
    ("scanner", cluster::scanner),
    ("hash", hashing::hash),
    ("pack", packs::pack),
    ("status", runs::status),
    ("append", runs::append),
    ("latest", runs::latest),
    ("solve", sets::solve),
    ("batch", batches::batch),
    ("dashboard", dashboard::dashboard),
    ("scale", scale::scale),
    ("sandbox", sandbox::sandbox),
    ("projects", projects::projects),
];

/// Runs the rows asked for and prints the table, in a release build.
///
/// # Errors
/// Unknown rows, and whatever keeps a row from being measured. A limit that is not held is none.
pub fn run(arguments: &Arguments) -> Result<()> {
    for name in &arguments.rows {
        if !ROWS.iter().any(|(known, _)| known == name) {
            let known: Vec<&str> = ROWS.iter().map(|(name, _)| *name).collect();
            bail!("there is no row `{name}`; the rows are {}", known.join(", "));
        }
    }
    if cfg!(debug_assertions) {
        // Some rows call larder's libraries: those must be release builds, and so must this.
        let mut release = cargo::cargo();
        release.args(["run", "--quiet", "--release", "--package", "xtask", "--"]);
        release.args(env::args_os().skip(1)).current_dir(env::current_dir()?);
        return cargo::run(&mut release);
    }
    install::install(install::BENCH)?;
    let directory = cargo::target().join("bench");
    fs::create_dir_all(&directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    let larder = cargo::build_larder(Profile::Release)?;
    let bench = Bench { larder, runs: arguments.runs, directory };
    let mut rows = Vec::new();
    for (name, measure) in ROWS {
        if arguments.rows.is_empty() || arguments.rows.iter().any(|asked| asked == name) {
            eprintln!("{name}…");
            rows.extend(measure(&bench, name).with_context(|| format!("in the row `{name}`"))?);
        }
    }
    print!("{}", table(&rows));
    if let Some(path) = &arguments.json {
        let lines: Vec<_> = rows.iter().map(with_ratio).collect();
        let text = serde_json::to_string_pretty(&json!({ "runs": bench.runs, "rows": lines }))?;
        fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn with_ratio(row: &Row) -> serde_json::Value {
    let mut line = serde_json::to_value(row).unwrap_or_default();
    line["ratio"] = row.ratio().into();
    line["holds"] = row.holds().into();
    line
}

/// The rows as a Markdown table, as `docs/performance.md` has it.
fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| work | yardstick | larder | yardstick | ratio | at most | |\n|---|---|---:|---:|---:|---:|---|\n",
    );
    for row in rows {
        text += &format!(
            "| {} | {} | {} | {} | {:.3} | {} | {} |\n",
            row.work,
            row.yardstick,
            figure(row.unit, row.ours),
            figure(row.unit, row.theirs),
            row.ratio(),
            row.limit,
            if row.holds() { "holds" } else { "missed" },
        );
    }
    text
}

fn figure(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Seconds if value < 1.0 => format!("{:.1} ms", value * 1e3),
        Unit::Seconds => format!("{value:.2} s"),
        Unit::Bytes => format!("{:.1} MiB", value / f64::from(1 << 20)),
        Unit::Requests => format!("{value}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_whether_its_limit_holds() {
        let medians = harness::Medians { ours: 0.5, theirs: 2.0 };
        let rows = [medians.row("a", "work", "tool", 0.3), medians.row("b", "more", "tool", 0.1)];
        let text = table(&rows);
        assert!(
            text.contains("| work | tool | 500.0 ms | 2.00 s | 0.250 | 0.3 | holds |"),
            "{text}"
        );
        assert!(
            text.ends_with("| more | tool | 500.0 ms | 2.00 s | 0.250 | 0.1 | missed |\n"),
            "{text}"
        );
    }
}
