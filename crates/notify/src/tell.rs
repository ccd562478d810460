//! Telling people what they have not heard yet, once.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use larder_runs::DataDir;
use larder_runs::lock::FileLock;

use crate::channel::{Channel, Delivery, Message, deliver};
use crate::config::Kind;
use crate::digest::digest;
use crate::email::{self, Failure, Letter};
use crate::error::{Error, Result};
use crate::news::{Maintainers, News, keepers};
use crate::tidings::Tidings;
use crate::told::{Heard, Told};

/// The directory in `DATA` that remembers what has been said.
pub const DIRECTORY: &str = "notified";

/// The news to tell, and how.
#[derive(Debug, Clone, Copy)]
pub struct Telling<'a> {
    /// How things stand.
    pub news: &'a News,
    /// The words: see [`crate::DEFAULT_TEMPLATE`].
    pub template: &'a str,
    /// How many items of a list are shown.
    pub fold: usize,
    /// Who keeps which package.
    pub maintainers: &'a Maintainers,
    /// How hard to try.
    pub delivery: &'a Delivery,
    /// Only to say what would be sent: nothing is sent or remembered.
    pub dry_run: bool,
}

/// The outcome of telling one recipient.
#[derive(Debug)]
pub struct Outcome {
    /// An address; of a channel that is one place, its name.
    pub recipient: String,
    /// The message that was said, or would have been.
    pub message: Message,
    /// Whether it was.
    pub result: Result<()>,
}

/// Tells a channel what its recipients have not heard yet; nobody is listed for whom there is nothing. What
/// one recipient could not be told is told the next time, to that recipient only.
///
/// What was said is written down after each recipient, under a lock: who calls at the same time waits and has
/// nothing more to say. A process killed between sending and writing says it again.
///
/// # Errors
/// [`Error::File`] when what has been said cannot be read or written down; then nothing more is sent.
pub fn tell(data: &DataDir, channel: &Channel, telling: &Telling<'_>) -> Result<Vec<Outcome>> {
    let directory = data.root().join(DIRECTORY);
    let name = Kind::of(channel).name();
    let path = directory.join(format!("{name}.json"));
    let _lock = match telling.dry_run {
        true => None,
        false => Some(lock(&directory, name)?),
    };
    let mut told = Told::read(&path)?;
    let mut outcomes: Vec<Outcome> = Vec::new();
    // Why nobody can be reached, once that is known.
    let mut unreachable: Option<String> = None;
    for recipient in recipients(channel, telling) {
        let concerns = |package: &str| recipient.hears(telling, package);
        let mut heard = told.heard(&recipient.address, &recipient.name);
        let tidings = Tidings::unheard(telling.news, heard.as_ref(), concerns);
        let message = digest(&tidings, telling.template, telling.fold).map(|message| message.fit());
        let result = match (&message, &unreachable) {
            (None, _) => Ok(()),
            _ if telling.dry_run => Ok(()),
            (_, Some(reason)) => Err(Error::Delivery { channel: name, reason: reason.clone() }),
            (Some(message), None) => {
                say(channel, &recipient.name, message, &tidings, &mut heard, telling.delivery)
                    .map_err(|failure| {
                        unreachable = failure.everybody.then(|| failure.error.reason());
                        failure.error
                    })
            }
        };
        if result.is_ok() && !telling.dry_run {
            let mut heard = heard.unwrap_or_default();
            heard.note(telling.news, concerns);
            told.recipients.remove(&recipient.name);
            told.recipients.insert(recipient.address.clone(), heard);
            told.write(&path)?;
        }
        outcomes.extend(message.map(|message| Outcome {
            recipient: recipient.name,
            message,
            result,
        }));
    }
    Ok(outcomes)
}

/// Says something to one recipient; a mail also notes its thread.
fn say(
    channel: &Channel,
    recipient: &str,
    message: &Message,
    tidings: &Tidings<'_>,
    heard: &mut Option<Heard>,
    delivery: &Delivery,
) -> std::result::Result<(), Failure> {
    let Channel::Email(email) = channel else {
        return deliver(channel, message, delivery)
            .map_err(|error| Failure { error, everybody: true });
    };
    let letter = Letter::new(recipient, email, message, &tidings.threads(), heard.as_ref());
    email::send(email, &letter, delivery)?;
    letter.begin_threads(heard.get_or_insert_default(), tidings);
    Ok(())
}

/// Somebody, or some place.
struct Recipient {
    /// As it was given.
    name: String,
    /// By what it is known: see [`address_of`].
    address: String,
    /// Gets what concerns the packages they keep, and not everything.
    keeper: bool,
}

impl Recipient {
    fn hears(&self, telling: &Telling<'_>, package: &str) -> bool {
        let keepers = || keepers(telling.maintainers, package).iter();
        !self.keeper || keepers().any(|keeper| address_of(keeper) == self.address)
    }
}

/// Everybody once, however they are spelled: who gets everything needs no part of it as well.
fn recipients(channel: &Channel, telling: &Telling<'_>) -> Vec<Recipient> {
    let Channel::Email(email) = channel else {
        let name = Kind::of(channel).name();
        return vec![Recipient { name: name.into(), address: name.into(), keeper: false }];
    };
    let all: BTreeSet<&String> = email.to.iter().collect();
    let keepers: BTreeSet<&String> = match email.maintainers {
        true => telling.maintainers.values().flatten().collect(),
        false => BTreeSet::new(),
    };
    let all = all.into_iter().map(|name| (name, false));
    let mut known = BTreeSet::new();
    let mut recipients = Vec::new();
    for (name, keeper) in all.chain(keepers.into_iter().map(|name| (name, true))) {
        let address = address_of(name);
        if known.insert(address.clone()) {
            recipients.push(Recipient { name: name.clone(), address, keeper });
        }
    }
    recipients
}

/// The address alone, in small letters: `ana@example.org` of `Ana <Ana@Example.org>`.
fn address_of(name: &str) -> String {
    let inside = name.rsplit_once('<').and_then(|(_, rest)| rest.trim().strip_suffix('>'));
    inside.unwrap_or(name).trim().to_lowercase()
}

fn lock(directory: &Path, name: &str) -> Result<FileLock> {
    let path = directory.join(format!("{name}.lock"));
    let wrong = |reason: String| Error::File { path: path.clone(), reason };
    fs::create_dir_all(directory).map_err(|error| wrong(crate::http::chain(&error)))?;
    FileLock::exclusive(&path).map_err(|error| wrong(error.to_string()))
}
