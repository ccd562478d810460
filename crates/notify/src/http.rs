//! The channels that are an HTTP request.

use std::fs;
use std::sync::Once;
use std::thread;
use std::time::Duration;

use reqwest::blocking::{Client, RequestBuilder, Response};
use reqwest::header::RETRY_AFTER;
use reqwest::{Certificate, StatusCode, Url, redirect};
use serde_json::json;

use crate::channel::{Delivery, Message, Slack, Telegram, Zulip};
use crate::error::{Error, Result};
use crate::secret::Secret;

/// The longest texts the services take, in bytes here where they count characters, less room for escapes.
const SLACK_LIMIT: usize = 30_000;
const ZULIP_LIMIT: usize = 9_900;
const TELEGRAM_LIMIT: usize = 4_000;

/// The longest that a server's `Retry-After` is heeded.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

pub(crate) fn slack(slack: &Slack, message: &Message, delivery: &Delivery) -> Result<()> {
    let exchange = Exchange::new("slack", &slack.webhook, delivery)?;
    let url = exchange.url(slack.webhook.reveal())?;
    // These three are all of Slack's markup: escaped, no name can mention or link anything.
    let text =
        message.text(SLACK_LIMIT).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let body = json!({ "text": text });
    exchange.run(|client| client.post(url.clone()).json(&body))
}

pub(crate) fn zulip(zulip: &Zulip, message: &Message, delivery: &Delivery) -> Result<()> {
    let exchange = Exchange::new("zulip", &zulip.api_key, delivery)?;
    let url = exchange.url(&format!("{}/api/v1/messages", zulip.site.trim_end_matches('/')))?;
    let content = fenced(&message.text(ZULIP_LIMIT));
    let form =
        [("type", "stream"), ("to", &zulip.stream), ("topic", &zulip.topic), ("content", &content)];
    exchange.run(|client| {
        client.post(url.clone()).basic_auth(&zulip.email, Some(zulip.api_key.reveal())).form(&form)
    })
}

pub(crate) fn telegram(telegram: &Telegram, message: &Message, delivery: &Delivery) -> Result<()> {
    let exchange = Exchange::new("telegram", &telegram.token, delivery)?;
    let server = telegram.server.trim_end_matches('/');
    let url = exchange.url(&format!("{server}/bot{}/sendMessage", telegram.token.reveal()))?;
    // Without a parse mode the text is only text.
    let body = json!({
        "chat_id": telegram.chat,
        "text": message.text(TELEGRAM_LIMIT),
        "link_preview_options": { "is_disabled": true },
    });
    exchange.run(|client| client.post(url.clone()).json(&body))
}

/// A text in a Markdown code block, in which nothing is markup. The fence is longer than any in the text.
fn fenced(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}text\n{text}\n{fence}")
}

/// One channel's requests: which errors mean what, when to try again, what not to repeat.
struct Exchange<'a> {
    channel: &'static str,
    secret: &'a Secret,
    delivery: &'a Delivery,
    client: Client,
}

/// The outcome of one attempt.
enum Attempt {
    Delivered,
    /// Try again, not before this long.
    Later(String, Duration),
    Refused(String),
}

impl<'a> Exchange<'a> {
    fn new(
        channel: &'static str,
        secret: &'a Secret,
        delivery: &'a Delivery,
    ) -> Result<Exchange<'a>> {
        install_provider();
        let mut builder = Client::builder()
            .user_agent(concat!("larder/", env!("CARGO_PKG_VERSION")))
            .timeout(delivery.timeout)
            // Following one would show the secret to whomever it names.
            .redirect(redirect::Policy::none());
        if let Some(path) = &delivery.ca_certificates {
            let wrong = |reason: String| Error::File { path: path.clone(), reason };
            let pem = fs::read(path).map_err(|error| wrong(error.to_string()))?;
            let certificates =
                Certificate::from_pem_bundle(&pem).map_err(|error| wrong(error.to_string()))?;
            builder = certificates
                .into_iter()
                .fold(builder, |builder, one| builder.add_root_certificate(one));
        }
        let client =
            builder.build().map_err(|error| Error::Config { channel, reason: chain(&error) })?;
        Ok(Exchange { channel, secret, delivery, client })
    }

    /// A URL that the secret may be sent to: encrypted, or on this machine.
    fn url(&self, text: &str) -> Result<Url> {
        let wrong =
            |reason: &str| Error::Config { channel: self.channel, reason: reason.to_owned() };
        let url: Url = text.parse().map_err(|_| wrong("the address is not a URL"))?;
        let local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        match url.scheme() {
            "https" => Ok(url),
            "http" if local => Ok(url),
            _ => Err(wrong("the address must start with https://, because a secret goes there")),
        }
    }

    fn run(&self, request: impl Fn(&Client) -> RequestBuilder) -> Result<()> {
        let mut pause = self.delivery.pause;
        let mut attempts = self.delivery.attempts.max(1);
        loop {
            attempts -= 1;
            let reason = match attempt(request(&self.client)) {
                Attempt::Delivered => return Ok(()),
                Attempt::Later(reason, at_least) if attempts > 0 => {
                    let pause = pause.max(at_least);
                    tracing::debug!(
                        "{}: {}; again in {pause:?}",
                        self.channel,
                        self.secret.scrub(&reason)
                    );
                    thread::sleep(pause);
                    String::new()
                }
                Attempt::Later(reason, _) | Attempt::Refused(reason) => reason,
            };
            if !reason.is_empty() {
                return Err(Error::Delivery {
                    channel: self.channel,
                    reason: self.secret.scrub(&reason),
                });
            }
            pause *= 2;
        }
    }
}

fn attempt(request: RequestBuilder) -> Attempt {
    let response = match request.send() {
        Ok(response) => response,
        // The URL may be the secret, and says nothing that the channel's name does not.
        Err(error) => {
            let (connect, error) = (error.is_connect(), error.without_url());
            // Once a connection was there, the message may have arrived: not twice then.
            return match connect {
                true => Attempt::Later(chain(&error), Duration::ZERO),
                false => Attempt::Refused(chain(&error)),
            };
        }
    };
    let status = response.status();
    if status.is_success() {
        return Attempt::Delivered;
    }
    let after = retry_after(&response);
    let reason = said(status, response);
    match status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
        true => Attempt::Later(reason, after),
        false => Attempt::Refused(reason),
    }
}

fn retry_after(response: &Response) -> Duration {
    let seconds =
        response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    Duration::from_secs(seconds.unwrap_or(0)).min(LONGEST_PAUSE)
}

/// The status, and the beginning of what the server said about it.
fn said(status: StatusCode, response: Response) -> String {
    let mut body = Vec::new();
    let _ = std::io::Read::read_to_end(&mut std::io::Read::take(response, 300), &mut body);
    let body = larder_runs::sanitise::line(&body);
    match body.trim() {
        "" => format!("the server answered {status}"),
        body => format!("the server answered {status}: {body}"),
    }
}

/// An error with its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
        source = error.source();
    }
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

/// Makes ring the cryptography of this process's TLS, unless another has been chosen.
pub(crate) fn install_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_leaves_its_fence() {
        assert_eq!(fenced("a"), "```text\na\n```");
        assert_eq!(fenced("a ```` @**all**"), "`````text\na ```` @**all**\n`````");
    }
}
