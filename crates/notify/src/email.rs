//! E-mail, by SMTP.

use std::fs;
use std::thread;

use lettre::address::AddressError;
use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{SmtpTransport, Transport};

use crate::channel::{Delivery, Email, Message, Security};
use crate::error::{Error, Result};
use crate::http::{chain, install_provider};

const CHANNEL: &str = "email";

pub(crate) fn deliver(email: &Email, message: &Message, delivery: &Delivery) -> Result<()> {
    install_provider();
    let local = matches!(email.host.as_str(), "localhost" | "127.0.0.1" | "::1");
    if email.security == Security::None && email.login.is_some() && !local {
        return Err(config(
            "the password would be sent in the clear: set `security` to starttls or tls".to_owned(),
        ));
    }
    let letter = letter(email, message)?;
    let transport = transport(email, delivery)?;
    let mut pause = delivery.pause;
    let mut attempts = delivery.attempts.max(1);
    loop {
        attempts -= 1;
        let error = match transport.send(&letter) {
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
        let reason = chain(&error);
        let reason =
            email.login.as_ref().map_or(reason.clone(), |(_, password)| password.scrub(&reason));
        if !again || attempts == 0 {
            return Err(Error::Delivery { channel: CHANNEL, reason });
        }
        tracing::debug!("{CHANNEL}: {reason}; again in {pause:?}");
        thread::sleep(pause);
        pause *= 2;
    }
}

fn letter(email: &Email, message: &Message) -> Result<lettre::Message> {
    let mut letter = lettre::Message::builder().from(mailbox(&email.from)?);
    for to in &email.to {
        letter = letter.to(mailbox(to)?);
    }
    // A subject is one line, whatever it was made from.
    let subject: String =
        message.subject.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    letter
        .subject(subject)
        .header(ContentType::TEXT_PLAIN)
        .body(message.body.clone())
        .map_err(|error| config(chain(&error)))
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
