//! The channels, and sending a message to one.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use larder_runs::sanitise;
use serde::Deserialize;

use crate::error::Result;
use crate::secret::Secret;
use crate::{email, http};

/// Where a message goes, with everything that takes.
#[derive(Debug, Clone)]
pub enum Channel {
    /// An incoming webhook of Slack.
    Slack(Slack),
    /// A topic in a stream of Zulip.
    Zulip(Zulip),
    /// A chat of Telegram.
    Telegram(Telegram),
    /// E-mail, by SMTP.
    Email(Email),
    /// Standard output.
    Stdout,
    /// Standard output, on which the caller says it in another form: nothing is written here.
    Caller,
}

/// An incoming webhook.
#[derive(Debug, Clone)]
pub struct Slack {
    /// Its URL, which is itself the secret.
    pub webhook: Secret,
}

/// A topic in a stream.
#[derive(Debug, Clone)]
pub struct Zulip {
    /// The server, such as `https://example.zulipchat.com`.
    pub site: String,
    /// The bot's address.
    pub email: String,
    /// The bot's key.
    pub api_key: Secret,
    /// The stream (channel).
    pub stream: String,
    /// The topic.
    pub topic: String,
}

/// A chat.
#[derive(Debug, Clone)]
pub struct Telegram {
    /// The server: `https://api.telegram.org`, unless one runs one's own.
    pub server: String,
    /// The bot's token.
    pub token: Secret,
    /// The chat's id or `@name`.
    pub chat: String,
}

/// A mailbox or several.
#[derive(Debug, Clone)]
pub struct Email {
    /// The SMTP server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub security: Security,
    /// User name and password, where the server asks for them.
    pub login: Option<(String, Secret)>,
    /// The sender.
    pub from: String,
    /// Who gets everything.
    pub to: Vec<String>,
    /// Whether those who keep a package get what concerns it.
    pub maintainers: bool,
}

/// How a connection to an SMTP server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// Plain at first, then TLS before anything else is said: usually port 587. Never without TLS.
    #[default]
    StartTls,
    /// TLS from the start: usually port 465.
    Tls,
    /// None: only without a password, or to this machine.
    None,
}

/// A message. Every channel sends it as [`larder_runs::sanitise`] leaves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// One line: an e-mail's subject, the first line elsewhere.
    pub subject: String,
    /// Plain text, with line feeds.
    pub body: String,
}

impl Message {
    /// The message fit to show: what is in it came from logs, names and people.
    pub(crate) fn fit(&self) -> Message {
        Message { subject: sanitise::line(&self.subject), body: sanitise::text(&self.body) }
    }

    /// Subject and body in one text of at most `limit` bytes; what is cut off is said to be.
    pub(crate) fn text(&self, limit: usize) -> String {
        const CUT: &str = "\n… (cut)";
        let mut text = match self.body.trim_end() {
            "" => self.subject.clone(),
            body => format!("{}\n\n{body}", self.subject),
        };
        if text.len() > limit {
            let end =
                (0..=limit.saturating_sub(CUT.len())).rev().find(|end| text.is_char_boundary(*end));
            text.truncate(end.unwrap_or(0));
            text.push_str(CUT);
        }
        text
    }
}

/// How hard to try.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// How often at most; again after 429, 5xx, SMTP 4xx, and when no connection comes about.
    pub attempts: u32,
    /// The pause after the first attempt; doubled after each. A server's `Retry-After` counts where it is
    /// longer, up to a minute.
    pub pause: Duration,
    /// For one attempt.
    pub timeout: Duration,
    /// PEM certificates to trust besides the system's.
    pub ca_certificates: Option<PathBuf>,
}

impl Default for Delivery {
    /// Four attempts, after 1, 2 and 4 seconds, of 30 seconds each.
    fn default() -> Delivery {
        Delivery {
            attempts: 4,
            pause: Duration::from_secs(1),
            timeout: Duration::from_secs(30),
            ca_certificates: None,
        }
    }
}

/// Sends a message and gives an exit code: 0 delivered, 1 not, 2 the channel's settings are wrong. The
/// reason goes to `tracing`, at error.
pub fn send(channel: &Channel, message: &Message) -> i32 {
    match deliver(channel, message, &Delivery::default()) {
        Ok(()) => 0,
        Err(error) => {
            tracing::error!("{error}");
            error.exit_code()
        }
    }
}

/// Sends a message, by e-mail to everybody who gets everything.
///
/// # Errors
/// [`crate::Error::Delivery`] when the server does not take it, however often it was tried, or not for each
/// recipient; [`crate::Error::Config`] when the settings cannot be right.
pub fn deliver(channel: &Channel, message: &Message, delivery: &Delivery) -> Result<()> {
    let message = &message.fit();
    match channel {
        Channel::Slack(slack) => http::slack(slack, message, delivery),
        Channel::Zulip(zulip) => http::zulip(zulip, message, delivery),
        Channel::Telegram(telegram) => http::telegram(telegram, message, delivery),
        Channel::Email(email) => email::deliver(email, message, delivery),
        Channel::Stdout => {
            let mut stdout = std::io::stdout().lock();
            writeln!(stdout, "{}", message.text(usize::MAX))?;
            Ok(stdout.flush()?)
        }
        Channel::Caller => Ok(()),
    }
}
