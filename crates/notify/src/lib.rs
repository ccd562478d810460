//! Who hears of it: what a run changed, sent to Slack, Zulip, Telegram, by e-mail or to standard output.
//!
//! [`News`] is how things stand; [`Channels`] reads where to say it; [`tell`] says to each recipient what they
//! have not heard yet, and remembers it; [`deliver`] sends any message. Everything that is sent or shown
//! passes the sanitiser of `larder-runs`. Secrets come from the environment or from files that only their owner
//! can read; they are never printed, logged or put in an error, whole or in part.

mod channel;
mod config;
mod digest;
mod email;
mod error;
mod http;
mod news;
mod secret;
mod tell;
mod tidings;
mod told;

pub use channel::{
    Channel, Delivery, Email, Message, Security, Slack, Telegram, Zulip, deliver, send,
};
pub use config::{Channels, FILE, Kind};
pub use digest::{DEFAULT_TEMPLATE, digest};
pub use error::{Error, Result};
pub use news::{Build, Failure, Maintainers, News, Subject};
pub use secret::Secret;
pub use tell::{DIRECTORY, Outcome, Telling, tell};
pub use tidings::Tidings;
