//! `notify`.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use clap::Args;
use larder_notify::{
    Channel, Channels, DEFAULT_TEMPLATE, Kind, Maintainers, Message, News, Outcome, Telling,
    deliver, tell,
};
use larder_project::set::PackageSet;
use larder_runs::DataDir;
use larder_runs::status_index::{self, StatusIndex};
use larder_trace::Level;
use serde_json::json;

use super::records::{Data, nearest};
use super::{App, here};
use crate::exit::{Exit, Failure};

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
pub fn notify(app: &App, arguments: &Notify) -> Result<Exit, Failure> {
    tell_news(app, &arguments.data.open()?, arguments)
}

/// Tells these channels what a run has changed.
pub fn after_run(app: &App, data: &DataDir, channels: Vec<Kind>) -> Result<Exit, Failure> {
    let arguments = Notify {
        data: Data::default(),
        channel: channels,
        message: None,
        template: None,
        dry_run: false,
    };
    tell_news(app, data, &arguments)
}

fn tell_news(app: &App, data: &DataDir, arguments: &Notify) -> Result<Exit, Failure> {
    let channels = Channels::read(data.root())?;
    let template = match &arguments.template {
        None => DEFAULT_TEMPLATE.to_owned(),
        Some(path) => fs::read_to_string(path).map_err(|error| {
            let (path, reason) = (path.display(), larder_runs::reason(&error));
            Failure::wrong(format!("cannot read the template {path}: {reason}"))
        })?,
    };
    let kinds = match arguments.channel.as_slice() {
        [] => channels.configured(),
        named => named.to_vec(),
    };
    let kinds = if kinds.is_empty() { vec![Kind::Stdout] } else { kinds };
    let delivery = channels.delivery();
    let index = match arguments.message {
        Some(_) => None,
        None => Some(status_index::current(data)?),
    };
    let news = index.as_ref().map(News::from);
    let mut exit = Exit::Done;
    let mut silent = true;
    for kind in kinds {
        let mut maintainers = Maintainers::new();
        if let Some(index) = index.as_ref().filter(|_| channels.tells_maintainers(kind)) {
            match keepers(app, data, index) {
                Ok(found) => maintainers = found,
                Err(failure) => {
                    failure.print(&app.ui);
                    exit = worse(exit, failure.exit);
                }
            }
        }
        let outcomes = channel(app, arguments, &channels, kind).and_then(|channel| match &news {
            Some(news) => {
                let telling = Telling {
                    news,
                    template: &template,
                    fold: channels.fold(),
                    maintainers: &maintainers,
                    delivery: &delivery,
                    dry_run: arguments.dry_run,
                };
                tell(data, &channel, &telling)
            }
            None => Ok(vec![say(arguments, &channel, &delivery)]),
        });
        match outcomes {
            Ok(outcomes) => {
                silent &= outcomes.is_empty();
                for outcome in &outcomes {
                    exit = worse(exit, announce(app, arguments, kind, outcome));
                }
            }
            Err(error) => {
                silent = false;
                let failure = Failure::from(error);
                failure.print(&app.ui);
                exit = worse(exit, failure.exit);
            }
        }
    }
    if silent {
        app.ui.status("nothing to say that has not been said");
    }
    Ok(exit)
}

/// The one of two exits that tells of more.
fn worse(a: Exit, b: Exit) -> Exit {
    if b.code() > a.code() { b } else { a }
}

/// Who keeps which package, as the package set says. A package that no history has is told, where its name is
/// nearly that of one: it may be new, or a mistake.
fn keepers(app: &App, data: &DataDir, index: &StatusIndex) -> Result<Maintainers, Failure> {
    let path = data.set(here()).ok_or_else(|| {
        Failure::wrong("email: maintainers = true, and there is no larder-set.toml that names them")
            .hint("work beside the set, or let `to` name who is to hear of it")
    })?;
    let set = PackageSet::read(&path)?;
    let mut known: BTreeSet<&str> = index.packages.keys().map(String::as_str).collect();
    known.extend(index.packages.keys().filter_map(|package| package.split('.').next()));
    for name in set.maintainers.keys().filter(|name| !known.contains(name.as_str())) {
        if let Some(near) = nearest(name, known.iter().copied()) {
            let path = path.display();
            let message = format!(
                "{path} has maintainers of {name}, of which there is no history; did you mean {near}?"
            );
            app.ui.note(Level::Warning, &message);
        }
    }
    Ok(set.maintainers)
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
fn announce(app: &App, arguments: &Notify, kind: Kind, outcome: &Outcome) -> Exit {
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
    error.map_or(Exit::Done, Exit::from)
}
