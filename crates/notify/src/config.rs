//! Where messages go: `notify.toml` in the data directory. It holds no secrets.
//!
//! ```toml
//! ca-certificates = "ca.pem"          # optional: trusted besides the system's
//! fold = 10                           # optional: list items shown before the rest is folded
//!
//! [slack]                             # secret: the webhook's URL, $LARDER_SLACK_WEBHOOK
//! secret-file = "slack"               # or in a file of mode 600; relative to this file
//!
//! [zulip]                             # secret: the bot's key, $LARDER_ZULIP_API_KEY
//! site = "https://example.zulipchat.com"
//! email = "larder-bot@example.zulipchat.com"
//! stream = "ci"
//! topic = "packages"
//!
//! [telegram]                          # secret: the bot's token, $LARDER_TELEGRAM_TOKEN
//! chat = "-1001234567890"
//!
//! [email]                             # secret: the password, $LARDER_SMTP_PASSWORD
//! host = "smtp.example.org"
//! port = 587                          # 587, 465 for tls, 25 for none
//! security = "starttls"               # or tls, none
//! username = "larder"                 # absent: no authentication
//! from = "Larder <larder@example.org>"
//! to = ["maintainers@example.org"]    # they get everything
//! maintainers = true                  # each maintainer of a package gets what concerns it
//! ```

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Deserialize;

use crate::channel::{Channel, Delivery, Email, Security, Slack, Telegram, Zulip};
use crate::error::{Error, Result};
use crate::http::chain;
use crate::secret::Secret;

/// The name of the settings file.
pub const FILE: &str = "notify.toml";

/// The kinds of channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// [`Channel::Slack`].
    Slack,
    /// [`Channel::Zulip`].
    Zulip,
    /// [`Channel::Telegram`].
    Telegram,
    /// [`Channel::Email`].
    Email,
    /// [`Channel::Stdout`].
    Stdout,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 5] =
        [Kind::Slack, Kind::Zulip, Kind::Telegram, Kind::Email, Kind::Stdout];

    /// That of a channel.
    pub fn of(channel: &Channel) -> Kind {
        match channel {
            Channel::Slack(_) => Kind::Slack,
            Channel::Zulip(_) => Kind::Zulip,
            Channel::Telegram(_) => Kind::Telegram,
            Channel::Email(_) => Kind::Email,
            Channel::Stdout | Channel::Caller => Kind::Stdout,
        }
    }

    /// Its name, as in the settings file and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Slack => "slack",
            Kind::Zulip => "zulip",
            Kind::Telegram => "telegram",
            Kind::Email => "email",
            Kind::Stdout => "stdout",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Kind {
    type Err = String;
    fn from_str(name: &str) -> std::result::Result<Kind, String> {
        let found = Kind::ALL.into_iter().find(|kind| kind.name() == name);
        found.ok_or_else(|| format!("the channels are {}", Kind::ALL.map(Kind::name).join(", ")))
    }
}

/// The settings of all channels.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Channels {
    ca_certificates: Option<PathBuf>,
    fold: Option<usize>,
    slack: Option<SlackTable>,
    zulip: Option<ZulipTable>,
    telegram: Option<TelegramTable>,
    email: Option<EmailTable>,
    /// Where relative paths start.
    #[serde(skip)]
    directory: PathBuf,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct SlackTable {
    secret_file: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ZulipTable {
    site: String,
    email: String,
    stream: String,
    topic: String,
    secret_file: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct TelegramTable {
    chat: String,
    server: Option<String>,
    secret_file: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct EmailTable {
    host: String,
    port: Option<u16>,
    #[serde(default)]
    security: Security,
    username: Option<String>,
    from: String,
    #[serde(default)]
    to: Vec<String>,
    #[serde(default)]
    maintainers: bool,
    secret_file: Option<PathBuf>,
}

/// A mistake in the settings, with its line. The line itself is not quoted: somebody may have put a secret there.
fn mistake(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    let line = before.map_or(1, |before| before.matches('\n').count() + 1);
    let message = error.message();
    let of_value = message.starts_with("invalid ") || message.starts_with("unknown variant ");
    let message = match message.rsplit_once("expected ") {
        Some((_, expected)) if of_value => format!("a wrong value: expected {expected}"),
        _ => message.trim_end().replace('\n', "; "),
    };
    format!("line {line}: {message}")
}

impl Channels {
    /// Reads `notify.toml` in `directory`; a missing file has no settings.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be read or has unknown or missing keys; that names the line.
    pub fn read(directory: &Path) -> Result<Channels> {
        let path = directory.join(FILE);
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            other => {
                other.map_err(|error| Error::File { path: path.clone(), reason: chain(&error) })?
            }
        };
        let parsed: std::result::Result<Channels, _> = toml::from_str(&text);
        let channels =
            parsed.map_err(|error| Error::File { path, reason: mistake(&text, &error) })?;
        Ok(Channels { directory: directory.to_owned(), ..channels })
    }

    /// The channels that have settings.
    pub fn configured(&self) -> Vec<Kind> {
        let configured = |kind: &Kind| match kind {
            Kind::Slack => self.slack.is_some(),
            Kind::Zulip => self.zulip.is_some(),
            Kind::Telegram => self.telegram.is_some(),
            Kind::Email => self.email.is_some(),
            Kind::Stdout => false,
        };
        Kind::ALL.into_iter().filter(configured).collect()
    }

    /// Whether those who keep a package are told by this kind of channel what concerns it.
    pub fn tells_maintainers(&self, kind: Kind) -> bool {
        kind == Kind::Email && self.email.as_ref().is_some_and(|table| table.maintainers)
    }

    /// How many items of a list are shown before the rest is folded.
    pub fn fold(&self) -> usize {
        self.fold.unwrap_or(10)
    }

    /// How to deliver.
    pub fn delivery(&self) -> Delivery {
        let ca_certificates = self.ca_certificates.as_ref().map(|path| self.directory.join(path));
        Delivery { ca_certificates, ..Delivery::default() }
    }

    /// A channel with its settings and its secret. Slack needs no settings but the secret.
    ///
    /// # Errors
    /// [`Error::Config`] when there are no settings for it, or its secret is nowhere or not kept safe.
    pub fn channel(&self, kind: Kind) -> Result<Channel> {
        let secret = |variable: &str, file: &Option<PathBuf>| {
            let file = file.as_ref().map(|file| self.directory.join(file));
            Secret::find(kind.name(), variable, file.as_deref())
        };
        let missing = || Error::Config {
            channel: kind.name(),
            reason: format!("no [{kind}] in {FILE} in the data directory"),
        };
        Ok(match kind {
            Kind::Stdout => Channel::Stdout,
            Kind::Slack => {
                let file = self.slack.as_ref().and_then(|table| table.secret_file.clone());
                Channel::Slack(Slack { webhook: secret("LARDER_SLACK_WEBHOOK", &file)? })
            }
            Kind::Zulip => {
                let table = self.zulip.as_ref().ok_or_else(missing)?;
                Channel::Zulip(Zulip {
                    site: table.site.clone(),
                    email: table.email.clone(),
                    api_key: secret("LARDER_ZULIP_API_KEY", &table.secret_file)?,
                    stream: table.stream.clone(),
                    topic: table.topic.clone(),
                })
            }
            Kind::Telegram => {
                let table = self.telegram.as_ref().ok_or_else(missing)?;
                Channel::Telegram(Telegram {
                    server: table
                        .server
                        .clone()
                        .unwrap_or_else(|| "https://api.telegram.org".to_owned()),
                    token: secret("LARDER_TELEGRAM_TOKEN", &table.secret_file)?,
                    chat: table.chat.clone(),
                })
            }
            Kind::Email => {
                let table = self.email.as_ref().ok_or_else(missing)?;
                let login = match &table.username {
                    Some(user) => {
                        Some((user.clone(), secret("LARDER_SMTP_PASSWORD", &table.secret_file)?))
                    }
                    None => None,
                };
                let port = table.port.unwrap_or(match table.security {
                    Security::StartTls => 587,
                    Security::Tls => 465,
                    Security::None => 25,
                });
                let (host, security) = (table.host.clone(), table.security);
                Channel::Email(Email {
                    host,
                    port,
                    security,
                    login,
                    from: table.from.clone(),
                    to: table.to.clone(),
                    maintainers: table.maintainers,
                })
            }
        })
    }
}
