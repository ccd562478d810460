//! Who hears of it: what a run changed, sent to Slack, Zulip, Telegram, by e-mail or to standard output.
//!
//! [`digest`] says what changed, or nothing when nothing did; [`Channels`] reads where to say it;
//! [`send`] says it. Secrets come from the environment or from files that only their owner can read; they
//! are never printed, logged or put in an error.

mod channel;
mod config;
mod digest;
mod email;
mod error;
mod http;
mod secret;

pub use channel::{
    Channel, Delivery, Email, Message, Security, Slack, Telegram, Zulip, deliver, send,
};
pub use config::{Channels, FILE, Kind};
pub use digest::{DEFAULT_TEMPLATE, digest};
pub use error::{Error, Result};
pub use secret::Secret;
