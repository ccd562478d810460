//! Plain files of the web.

use std::{
    error::Error,
    fs::File,
    io::{Seek, Write},
    thread,
    time::Duration,
};

use larder_trace::describe_io;
use reqwest::{Client, StatusCode, redirect};

use crate::service::install_tls_provider;

/// How often a server that does not get on is asked.
const ATTEMPTS: u32 = 3;

/// For how long a server may send nothing.
const SILENCE: Duration = Duration::from_secs(30);

/// Why an attempt came to nothing.
struct Failed {
    reason: String,
    /// Whether the next attempt may fare better.
    passing: bool,
}

impl Failed {
    fn for_good(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), passing: false }
    }
}

/// Writes what is at `url` to a file that is empty: at most `limit` bytes.
///
/// # Errors
/// Why it cannot be had. No URL is repeated, since it may hold a secret, as may those that a server redirects
/// to. What has been written is then worth nothing.
pub fn download(url: &str, mut to: &File, limit: u64) -> Result<(), String> {
    install_tls_provider();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| describe_io(&error))?;
    let client = client().map_err(chain)?;
    let mut attempt = 1;
    loop {
        match runtime.block_on(once(&client, url, to, limit)) {
            Ok(()) => return Ok(()),
            Err(failed) if failed.passing && attempt < ATTEMPTS => {
                tracing::debug!("attempt {attempt}: {}", failed.reason);
                to.set_len(0).and_then(|()| to.rewind()).map_err(|error| describe_io(&error))?;
                thread::sleep(Duration::from_millis(200 << attempt));
                attempt += 1;
            }
            Err(failed) => return Err(failed.reason),
        }
    }
}

fn client() -> reqwest::Result<Client> {
    let redirects = redirect::Policy::custom(|attempt| {
        let from_https = attempt.previous().iter().any(|url| url.scheme() == "https");
        if attempt.previous().len() > 10 {
            attempt.error("it redirects too often")
        } else if from_https && attempt.url().scheme() != "https" {
            attempt.error("it redirects from https to http")
        } else {
            attempt.follow()
        }
    });
    Client::builder()
        .user_agent(concat!("larder/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(10))
        .read_timeout(SILENCE)
        .redirect(redirects)
        .build()
}

async fn once(client: &Client, url: &str, mut to: &File, limit: u64) -> Result<(), Failed> {
    let failed = |error: reqwest::Error| {
        let passing = !error.is_builder() && !error.is_redirect();
        Failed { reason: chain(error), passing }
    };
    let mut answer = client.get(url).send().await.map_err(failed)?;
    let status = answer.status();
    if status != StatusCode::OK {
        let passing = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
        return Err(Failed { reason: format!("the server answered {status}"), passing });
    }
    let too_long = || Failed::for_good(format!("it is longer than {limit} bytes"));
    if answer.content_length().is_some_and(|length| length > limit) {
        return Err(too_long());
    }
    let mut length = 0;
    while let Some(piece) = answer.chunk().await.map_err(failed)? {
        length += piece.len() as u64;
        if length > limit {
            return Err(too_long());
        }
        to.write_all(&piece).map_err(|error| Failed::for_good(describe_io(&error)))?;
    }
    Ok(())
}

/// An error and what caused it, without the URL.
fn chain(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}
