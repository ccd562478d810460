//! `locks`, `gc`, `notify`.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use larder_notify::{Channels, DEFAULT_TEMPLATE, Kind, Message, deliver, digest};
use larder_runs::build_lock::{self, LockInfo};
use larder_runs::gc::{self, Options};
use larder_runs::{history, status_index, time};
use serde_json::json;

use super::records::event;
use super::runs::{Data, report};
use super::{App, FAILED, WRONG};
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
pub fn locks(app: &App, arguments: &Locks) -> ExitCode {
    report(app, &arguments.data, |data| {
        let locks = data.locks();
        let removed = match arguments.cleanup {
            true => build_lock::cleanup_stale(&locks)?,
            false => Vec::new(),
        };
        let mut table = Table::new(["STAGE", "TARGET", "AGE", "STATE", "HOLDER"]).spare(&["AGE"]);
        let mut row = |lock: &LockInfo, kind: &str, state: Cell| {
            app.ui.event_json(&event(kind, lock));
            let holder = lock.holder.as_ref().map_or("unknown".to_owned(), ToString::to_string);
            table.row([
                lock.stage.to_string().into(),
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
        Ok(ExitCode::SUCCESS)
    })
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
pub fn gc(app: &App, arguments: &Gc) -> ExitCode {
    report(app, &arguments.data, |data| {
        let options = Options { dry_run: arguments.dry_run, keep_runs: arguments.keep_runs };
        let report = gc::gc_all(data, &options)?;
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
            complete &= compact(app, data, days)?;
        }
        Ok(if complete { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
    })
}

/// Compacts every history; false when one of them failed, which has been said.
fn compact(app: &App, data: &larder_runs::DataDir, days: u32) -> larder_runs::Result<bool> {
    let (mut removed, mut complete) = (0, true);
    for package in history::packages(&data.packages())? {
        match history::compact(&data.packages(), &package, days, time::now()) {
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

/// Tell what changed: to Slack, Zulip, Telegram, by e-mail or on standard output
///
/// Says nothing when nothing changed. Channels are set up in notify.toml in the data directory;
/// secrets come from the environment or from files of mode 600.
#[derive(Args)]
pub struct Notify {
    #[command(flatten)]
    data: Data,
    /// To this channel, may be repeated: slack, zulip, telegram, email, stdout; else to all that are
    /// set up, or to stdout when none is
    #[arg(long, value_name = "CHANNEL")]
    channel: Vec<Kind>,
    /// Say this instead
    #[arg(long, value_name = "TEXT", conflicts_with = "template")]
    message: Option<String>,
    /// Say it in the words of this file
    #[arg(long, value_name = "FILE")]
    template: Option<PathBuf>,
    /// Only print what would be said
    #[arg(short = 'n', long)]
    dry_run: bool,
}

/// Runs `larder notify`.
pub fn notify(app: &App, arguments: &Notify) -> ExitCode {
    report(app, &arguments.data, |data| {
        let channels = match Channels::read(data.root()) {
            Ok(channels) => channels,
            Err(error) => {
                app.ui.error(&error.to_string());
                return Ok(ExitCode::from(WRONG));
            }
        };
        let message = match &arguments.message {
            Some(text) => Message { subject: text.clone(), body: String::new() },
            None => {
                let template = match arguments.template.as_ref().map(fs::read_to_string) {
                    Some(Ok(text)) => text,
                    None => DEFAULT_TEMPLATE.to_owned(),
                    Some(Err(error)) => {
                        app.ui.error(&format!(
                            "cannot read the template: {}",
                            larder_runs::reason(&error)
                        ));
                        return Ok(ExitCode::from(WRONG));
                    }
                };
                let index = status_index::current(data)?;
                let Some(message) = digest(&index, &template, channels.fold()) else {
                    app.ui.status("nothing changed: nothing to say");
                    return Ok(ExitCode::SUCCESS);
                };
                message
            }
        };
        Ok(send(app, arguments, &channels, &message))
    })
}

/// Sends to every channel, whatever becomes of the others; the worst exit code.
fn send(app: &App, arguments: &Notify, channels: &Channels, message: &Message) -> ExitCode {
    let kinds = match (arguments.dry_run, arguments.channel.as_slice()) {
        (true, _) => vec![Kind::Stdout],
        (false, []) => channels.configured(),
        (false, named) => named.to_vec(),
    };
    let kinds = if kinds.is_empty() { vec![Kind::Stdout] } else { kinds };
    let mut worst = 0;
    for kind in kinds {
        // With --json standard output is for events, and the message is one.
        let shown = kind == Kind::Stdout && app.ui.json();
        let delivered = match shown {
            true => Ok(()),
            false => channels
                .channel(kind)
                .and_then(|channel| deliver(&channel, message, &channels.delivery())),
        };
        let (code, reason) = match delivered {
            Ok(()) => (0, None),
            Err(error) => (error.exit_code(), Some(error.to_string())),
        };
        app.ui.event_json(&json!({
            "event": "notified",
            "channel": kind.name(),
            "delivered": code == 0,
            "error": reason,
            "subject": message.subject,
            "body": message.body,
        }));
        match reason {
            Some(reason) if !app.ui.json() => app.ui.error(&reason),
            None if kind != Kind::Stdout => app.ui.status(&format!("told {kind}")),
            _ => {}
        }
        worst = worst.max(code);
    }
    ExitCode::from(u8::try_from(worst).unwrap_or(FAILED))
}
