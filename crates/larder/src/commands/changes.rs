//! `changes`.

use std::collections::BTreeSet;

use clap::Args;
use larder_runs::DataDir;
use larder_runs::name::RunId;
use larder_runs::run_log::{self, RunState};
use larder_runs::status_index::{self, StatusIndex};
use serde_json::json;

use super::App;
use super::records::{Data, Which, event, short};
use crate::exit::{Exit, Failure};
use crate::table::{Cell, Table};

/// Show what broke, recovered, appeared and vanished
#[derive(Args)]
pub struct Changes {
    #[command(flatten)]
    data: Data,
    /// Since the end of this run, or of the `latest` that has ended; else since the full run before the
    /// last one
    #[arg(long, value_name = "RUN")]
    since: Option<Which>,
}

/// Runs `larder changes`.
pub fn changes(app: &App, arguments: &Changes) -> Result<Exit, Failure> {
    let data = arguments.data.open()?;
    let index = match &arguments.since {
        None => status_index::current(&data)?,
        Some(Which::Id(id)) if run_log::run_ids(&data.runs())?.contains(id) => {
            status_index::current_since(&data, id.to_string())?
        }
        Some(since) => {
            let mut index = status_index::current(&data)?;
            let since = baseline(&data, &index, since)?;
            status_index::compare(&data, &mut index, since)?;
            index
        }
    };
    let mut table = Table::new(["PACKAGE", "", "STAGE", "FROM", "TO", "CATEGORY", "BUILD"])
        .spare(&["BUILD", "STAGE", "FROM", ""]);
    for change in &index.changes {
        app.ui.event_json(&event("change", change));
        let good = change.is_recovery();
        table.row([
            change.package.as_str().into(),
            if change.blessed { "blessed" } else { "" }.into(),
            change.stage.name().into(),
            Cell::outcome(change.from_status.name(), !good),
            Cell::outcome(change.to_status.name(), good),
            change.category.name().into(),
            match change.build_hash.as_str() {
                "" => change.compiler.as_str().into(),
                hash => short(hash).into(),
            },
        ]);
    }
    table.print(&app.ui);
    for (kind, word, names) in [
        ("newPackage", "new", &index.new_packages),
        ("vanishedPackage", "gone", &index.vanished_packages),
    ] {
        for name in names {
            app.ui.event_json(&json!({ "event": kind, "package": name }));
            app.ui.result(&format!("{word} {name}"));
        }
    }
    let nothing = index.changes.is_empty()
        && index.new_packages.is_empty()
        && index.vanished_packages.is_empty();
    match &index.since {
        Some(since) if nothing => app.ui.status(&format!("nothing changed since {since}")),
        Some(_) => {}
        None => app.ui.status("there is no full run before to compare with"),
    }
    Ok(Exit::Done)
}

/// The run that changes are asked for since, which somebody has to know of.
fn baseline(data: &DataDir, index: &StatusIndex, since: &Which) -> Result<String, Failure> {
    let mut known: BTreeSet<RunId> = run_log::run_ids(&data.runs())?.into_iter().collect();
    let id = match since {
        Which::Latest => {
            let ended = |id: &&RunId| {
                let run = run_log::read_run(&data.runs(), id).ok().flatten();
                run.is_some_and(|run| run.state != RunState::Running)
            };
            let latest = known.iter().rfind(ended).map(ToString::to_string);
            let latest = latest.or_else(|| index.run_id.clone());
            return latest.ok_or_else(|| Failure::wrong("there is no run yet"));
        }
        Which::Id(id) => id,
    };
    let of_histories = index.packages.values().flat_map(|package| {
        [
            Some(&package.first_run),
            Some(&package.last_run),
            package.full_run.as_ref(),
            package.previous_run.as_ref(),
        ]
    });
    known.extend(of_histories.flatten().filter_map(|run| run.parse().ok()));
    if known.contains(id) {
        return Ok(id.to_string());
    }
    let before = known.range(..id).next_back().or_else(|| known.first());
    let hint = before.map_or(String::new(), |before| format!(": did you mean {before}?"));
    Err(Failure::wrong(format!("there is no run {id}{hint}")).hint("`larder runs` lists them"))
}
