//! `locks`, `gc`.

use clap::Args;
use larder_batch::docs;
use larder_runs::build_lock::{self, LockInfo};
use larder_runs::gc::{self, Options};
use larder_runs::{DataDir, history, time};
use serde_json::json;

use super::App;
use super::records::{Data, event};
use crate::exit::{Exit, Failure};
use crate::table::{Cell, Table, Tone, age, size};

/// Show who works on what
#[derive(Args)]
pub struct Locks {
    #[command(flatten)]
    data: Data,
    /// Remove the locks whose holder is gone
    #[arg(long)]
    cleanup: bool,
}

/// Runs `larder locks`.
pub fn locks(app: &App, arguments: &Locks) -> Result<Exit, Failure> {
    let data = arguments.data.open()?;
    let locks = data.locks();
    let removed = match arguments.cleanup {
        true => build_lock::cleanup_stale(&locks)?,
        false => Vec::new(),
    };
    let mut table = Table::new(["PURPOSE", "TARGET", "AGE", "STATE", "HOLDER"]).spare(&["AGE"]);
    let mut row = |lock: &LockInfo, kind: &str, state: Cell| {
        app.ui.event_json(&event(kind, lock));
        let holder = lock.holder.as_ref().map_or("unknown".to_owned(), ToString::to_string);
        table.row([
            lock.purpose.to_string().into(),
            lock.target.as_str().into(),
            age(lock.age_seconds).into(),
            state,
            holder.into(),
        ]);
    };
    for lock in &removed {
        row(lock, "removedLock", Cell::new("removed", Tone::Faint));
    }
    for lock in build_lock::list(&locks)? {
        let state = if lock.stale { "stale" } else { "held" };
        row(&lock, "lock", Cell::outcome(state, !lock.stale));
    }
    table.print(&app.ui);
    Ok(Exit::Done)
}

/// Remove layers, documentation and runs that nothing refers to any more
#[derive(Args)]
pub struct Gc {
    #[command(flatten)]
    data: Data,
    /// Only say what would be removed
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// How many runs to keep
    #[arg(long, value_name = "N", default_value_t = 100)]
    keep_runs: usize,
    /// Also compact histories: drop entries older than DAYS, but not a build's last unless DAYS is 0
    #[arg(long, value_name = "DAYS", conflicts_with = "dry_run")]
    history_days: Option<u32>,
}

/// Runs `larder gc`.
pub fn gc(app: &App, arguments: &Gc) -> Result<Exit, Failure> {
    let data = arguments.data.open()?;
    let options = Options { dry_run: arguments.dry_run, keep_runs: arguments.keep_runs };
    let report = gc::gc_all(&data, &options)?;
    if !arguments.dry_run && data.html().join(docs::INDEX).exists() {
        docs::write_index(&data)?;
    }
    let removed = if arguments.dry_run { "WOULD REMOVE" } else { "REMOVED" };
    let mut table = Table::new(["", removed, "FREED", "KEPT"]);
    for (what, part) in report.parts() {
        let mut object = event("collected", part);
        object["what"] = what.into();
        object["dryRun"] = arguments.dry_run.into();
        app.ui.event_json(&object);
        table.row([
            what.into(),
            part.removed.len().to_string().into(),
            size(part.bytes).into(),
            part.kept.to_string().into(),
        ]);
    }
    table.print(&app.ui);
    for (what, part) in report.parts() {
        if let Some(reason) = &part.skipped {
            app.ui.status(&format!("{what} were left alone: {reason}"));
        }
        part.failed.iter().for_each(|error| app.ui.error(error));
    }
    let mut complete = report.is_complete();
    if let Some(days) = arguments.history_days {
        complete &= compact(app, &data, days)?;
    }
    Ok(if complete { Exit::Done } else { Exit::Failed })
}

/// Compacts every history; false when one of them failed, which has been said.
fn compact(app: &App, data: &DataDir, days: u32) -> larder_runs::Result<bool> {
    let (mut removed, mut complete) = (0, true);
    for compacted in history::compact_all(&data.packages(), days, time::now())? {
        match compacted {
            Ok(compacted) => removed += compacted.removed + compacted.broken,
            Err(error) => {
                app.ui.error(&error.to_string());
                complete = false;
            }
        }
    }
    app.ui.event_json(&json!({ "event": "compacted", "removed": removed }));
    app.ui.result(&format!("{removed} history entries removed"));
    Ok(complete)
}
