//! E-mail, by SMTP: a letter to each recipient, so that nobody's address stops another's mail.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use lettre::address::AddressError;
use lettre::message::Mailbox;
use lettre::message::header::{ContentType, MIME_VERSION_1_0};
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{SmtpTransport, Transport};

use crate::channel::{Delivery, Email, Message, Security};
use crate::error::{Error, Result};
use crate::http::{chain, install_provider};
use crate::tidings::Tidings;
use crate::told::Heard;

const CHANNEL: &str = "email";

/// A mail to one recipient.
#[derive(Debug)]
pub(crate) struct Letter {
    to: String,
    message: Message,
    /// Its `Message-ID`.
    id: String,
    /// The mails that began the threads it belongs to, the one it answers last.
    references: Vec<String>,
}

impl Letter {
    /// A letter about these root failures, the chief one first; each has the thread that `heard` knows.
    pub fn new(
        to: &str,
        email: &Email,
        message: &Message,
        roots: &[&str],
        heard: Option<&Heard>,
    ) -> Letter {
        let mut references: Vec<String> = Vec::new();
        for thread in roots.iter().rev().filter_map(|root| heard?.threads.get(*root)) {
            // Several roots may have begun in one mail. The chief one's counts as the answered one.
            references.retain(|known| known != thread);
            references.push(thread.clone());
        }
        Letter {
            to: to.to_owned(),
            message: message.clone(),
            id: message_id(&email.from),
            references,
        }
    }

    /// Notes that what is broken is in this letter's thread from now on, where it has no thread yet.
    pub fn begin_threads(&self, heard: &mut Heard, tidings: &Tidings<'_>) {
        for root in tidings.threads() {
            heard.threads.entry(root.to_owned()).or_insert_with(|| self.id.clone());
        }
    }
}

/// Why a letter was not delivered.
#[derive(Debug)]
pub(crate) struct Failure {
    pub error: Error,
    /// The server cannot be used at all, so that the next letter would fare no better.
    pub everybody: bool,
}

/// Sends a message to everybody who gets everything, each in a letter of their own.
pub(crate) fn deliver(email: &Email, message: &Message, delivery: &Delivery) -> Result<()> {
    let mut reasons: Vec<String> = Vec::new();
    for to in &email.to {
        match send(email, &Letter::new(to, email, message, &[], None), delivery) {
            Ok(()) => {}
            Err(Failure { error, everybody: true }) if reasons.is_empty() => return Err(error),
            Err(Failure { error, everybody }) => {
                reasons.push(format!("{to}: {}", error.reason()));
                if everybody {
                    break;
                }
            }
        }
    }
    match reasons.is_empty() {
        true => Ok(()),
        false => Err(Error::Delivery { channel: CHANNEL, reason: reasons.join("; ") }),
    }
}

/// Whether the settings can be right, before anybody is written to.
pub(crate) fn check(email: &Email) -> Result<()> {
    let local = matches!(email.host.as_str(), "localhost" | "127.0.0.1" | "::1");
    if email.security == Security::None && email.login.is_some() && !local {
        return Err(config(
            "the password would be sent in the clear: set `security` to starttls or tls".to_owned(),
        ));
    }
    mailbox(&email.from).map(|_| ())
}

/// Sends one letter.
pub(crate) fn send(
    email: &Email,
    letter: &Letter,
    delivery: &Delivery,
) -> std::result::Result<(), Failure> {
    install_provider();
    let fatal = |error: Error| Failure { error, everybody: true };
    check(email).map_err(fatal)?;
    let to = mailbox(&letter.to).map_err(|error| Failure { error, everybody: false })?;
    let mail = mail(email, to, letter).map_err(fatal)?;
    let transport = transport(email, delivery).map_err(fatal)?;
    let mut pause = delivery.pause;
    let mut attempts = delivery.attempts.max(1);
    loop {
        attempts -= 1;
        let error = match transport.send(&mail) {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        // Refused for now, or no connection at all: it was not delivered, so again. After a timeout it may have been.
        let final_word = error.is_permanent()
            || error.is_timeout()
            || error.is_tls()
            || error.is_client()
            || error.is_response();
        let again = error.is_transient() || !final_word;
        let text = larder_runs::sanitise::line(chain(&error));
        let text = email.login.as_ref().map_or(text.clone(), |(_, password)| password.scrub(&text));
        if !again || attempts == 0 {
            // What the server says of a password holds for everybody.
            let login = error
                .status()
                .is_some_and(|code| matches!(u16::from(code), 421 | 454 | 530 | 534 | 535));
            let answered = (error.is_permanent() || error.is_transient()) && !login;
            let error = Error::Delivery { channel: CHANNEL, reason: text };
            return Err(Failure { error, everybody: !answered });
        }
        tracing::debug!("{CHANNEL}: {text}; again in {pause:?}");
        thread::sleep(pause);
        pause *= 2;
    }
}

fn mail(email: &Email, to: Mailbox, letter: &Letter) -> Result<lettre::Message> {
    let mut mail = lettre::Message::builder()
        .from(mailbox(&email.from)?)
        .to(to)
        .message_id(Some(letter.id.clone()))
        .subject(letter.message.subject.clone())
        .header(MIME_VERSION_1_0)
        .header(ContentType::TEXT_PLAIN);
    if let Some(answered) = letter.references.last() {
        mail = mail.in_reply_to(answered.clone()).references(letter.references.join(" "));
    }
    mail.body(letter.message.body.clone()).map_err(|error| config(chain(&error)))
}

/// A name that no other mail has: `<larder.TIME.PROCESS.COUNT@DOMAIN>`, with the sender's domain.
fn message_id(from: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let domain =
        from.rsplit_once('@').map_or("localhost", |(_, domain)| domain.trim_end_matches('>'));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("<larder.{now:x}.{:x}.{count:x}@{}>", std::process::id(), domain.trim())
}

fn mailbox(address: &str) -> Result<Mailbox> {
    address
        .parse()
        .map_err(|error: AddressError| config(format!("{address:?} is no e-mail address: {error}")))
}

fn transport(email: &Email, delivery: &Delivery) -> Result<SmtpTransport> {
    let tls = match email.security {
        Security::StartTls => Tls::Required(tls(email, delivery)?),
        Security::Tls => Tls::Wrapper(tls(email, delivery)?),
        Security::None => Tls::None,
    };
    let mut builder = SmtpTransport::builder_dangerous(&email.host)
        .port(email.port)
        .tls(tls)
        .timeout(Some(delivery.timeout));
    if let Some((user, password)) = &email.login {
        let credentials = Credentials::new(user.clone(), password.reveal().to_owned());
        builder = builder
            .credentials(credentials)
            .authentication(vec![Mechanism::Plain, Mechanism::Login]);
    }
    Ok(builder.build())
}

fn tls(email: &Email, delivery: &Delivery) -> Result<TlsParameters> {
    let mut builder = TlsParameters::builder(email.host.clone());
    if let Some(path) = &delivery.ca_certificates {
        let wrong = |reason: String| Error::File { path: path.clone(), reason };
        let pem = fs::read(path).map_err(|error| wrong(error.to_string()))?;
        let certificate = Certificate::from_pem(&pem).map_err(|error| wrong(chain(&error)))?;
        builder = builder.add_root_certificate(certificate);
    }
    builder.build().map_err(|error| config(chain(&error)))
}

fn config(reason: String) -> Error {
    Error::Config { channel: CHANNEL, reason }
}
