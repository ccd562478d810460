//! `locks`, `gc`, `notify`.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use larder_notify::{
    Channel, Channels, DEFAULT_TEMPLATE, Kind, Maintainers, Message, News, Outcome, Telling,
    deliver, tell,
};
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

/// Tell what changed, once: to Slack, Zulip, Telegram, by e-mail or on standard output
///
/// Says what has not been said on a channel before, and nothing when there is nothing. Channels are set up in
/// notify.toml in the data directory; secrets come from the environment or from files of mode 600.
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
    /// Only print what would be said, and to whom
    #[arg(short = 'n', long)]
    dry_run: bool,
}

/// Runs `larder notify`.
pub fn notify(app: &App, arguments: &Notify) -> ExitCode {
    report(app, &arguments.data, |data| {
        let wrong = |error: String| {
            app.ui.error(&error);
            Ok(ExitCode::from(WRONG))
        };
        let channels = match Channels::read(data.root()) {
            Ok(channels) => channels,
            Err(error) => return wrong(error.to_string()),
        };
        let template = match arguments.template.as_ref().map(fs::read_to_string) {
            Some(Ok(text)) => text,
            None => DEFAULT_TEMPLATE.to_owned(),
            Some(Err(error)) => {
                return wrong(format!("cannot read the template: {}", larder_runs::reason(&error)));
            }
        };
        let kinds = match arguments.channel.as_slice() {
            [] => channels.configured(),
            named => named.to_vec(),
        };
        let kinds = if kinds.is_empty() { vec![Kind::Stdout] } else { kinds };
        let delivery = channels.delivery();
        let maintainers = Maintainers::new();
        let telling = |news| Telling {
            news,
            template: &template,
            fold: channels.fold(),
            maintainers: &maintainers,
            delivery: &delivery,
            dry_run: arguments.dry_run,
        };
        let news = match arguments.message {
            Some(_) => None,
            None => Some(News::from(&status_index::current(data)?)),
        };
        let mut worst = 0;
        let mut silent = true;
        for kind in kinds {
            let outcomes =
                channel(app, arguments, &channels, kind).and_then(|channel| match &news {
                    Some(news) => tell(data, &channel, &telling(news)),
                    None => Ok(vec![say(arguments, &channel, &delivery)]),
                });
            match outcomes {
                Ok(outcomes) => {
                    silent &= outcomes.is_empty();
                    for outcome in &outcomes {
                        worst = worst.max(announce(app, arguments, kind, outcome));
                    }
                }
                Err(error) => {
                    silent = false;
                    worst = worst.max(error.exit_code());
                    app.ui.error(&error.to_string());
                }
            }
        }
        if silent {
            app.ui.status("nothing to say that has not been said");
        }
        Ok(ExitCode::from(u8::try_from(worst).unwrap_or(FAILED)))
    })
}

/// The channel to tell. With --json standard output is for events, and what is said is in them.
fn channel(
    app: &App,
    arguments: &Notify,
    channels: &Channels,
    kind: Kind,
) -> larder_notify::Result<Channel> {
    match kind {
        Kind::Stdout if app.ui.json() || arguments.dry_run => Ok(Channel::Caller),
        kind => channels.channel(kind),
    }
}

/// Says what `--message` says, which is not remembered.
fn say(arguments: &Notify, channel: &Channel, delivery: &larder_notify::Delivery) -> Outcome {
    let subject = arguments.message.clone().unwrap_or_default();
    let message = Message { subject, body: String::new() };
    let result = if arguments.dry_run { Ok(()) } else { deliver(channel, &message, delivery) };
    Outcome { recipient: Kind::of(channel).name().to_owned(), message, result }
}

/// Shows what came of telling one recipient; gives the exit code.
fn announce(app: &App, arguments: &Notify, kind: Kind, outcome: &Outcome) -> i32 {
    let Outcome { recipient, message, result } = outcome;
    let error = result.as_ref().err();
    app.ui.event_json(&json!({
        "event": "notified",
        "channel": kind.name(),
        "recipient": recipient,
        "delivered": error.is_none() && !arguments.dry_run,
        "error": error.map(ToString::to_string),
        "subject": message.subject,
        "body": message.body,
    }));
    let whom =
        if recipient == kind.name() { recipient.clone() } else { format!("{recipient} by {kind}") };
    match error {
        _ if app.ui.json() => {}
        Some(error) if recipient == kind.name() => app.ui.error(&error.to_string()),
        Some(error) => app.ui.error(&format!("{recipient}: {error}")),
        None if arguments.dry_run && kind == Kind::Stdout => {
            app.ui.result(format!("{}\n\n{}", message.subject, message.body).trim_end());
        }
        None if arguments.dry_run => {
            app.ui
                .result(format!("to {whom}:\n{}\n\n{}", message.subject, message.body).trim_end());
        }
        None if kind != Kind::Stdout => app.ui.status(&format!("told {whom}")),
        None => {}
    }
    error.map_or(0, larder_notify::Error::exit_code)
}
