//! A real SMTP server, aiosmtpd, with and without TLS.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
};

use serde_json::Value;

use super::python::environment;

/// The server: see there.
const SCRIPT: &str = include_str!("smtp_server.py");

/// A Python that has aiosmtpd, where it can be installed.
fn python() -> Option<PathBuf> {
    Some(environment("aiosmtpd", &["aiosmtpd==1.4.6"])?.join("python"))
}

/// The server; it ends with the test. It wants user `larder` with password `s3cret`, except without protection.
#[derive(Debug)]
pub struct SmtpServer {
    child: Child,
    output: BufReader<ChildStdout>,
    /// Its port on `localhost`.
    pub port: u16,
    /// The certificate to trust.
    pub certificate: PathBuf,
    _directory: tempfile::TempDir,
}

impl SmtpServer {
    /// Starts one with this protection: `none`, `starttls` or `tls`. `None` where it cannot be installed.
    pub fn start(mode: &str) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let [certificate, key, script] =
            ["cert.pem", "key.pem", "server.py"].map(|name| directory.path().join(name));
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        fs::write(&certificate, made.cert.pem()).unwrap();
        fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        fs::write(&script, SCRIPT).unwrap();
        let mut command = Command::new(python()?);
        command.arg(script).args([mode.as_ref(), certificate.as_os_str(), key.as_os_str()]);
        // Of refused handshakes and deprecated ways it says much, and none of it matters here.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut port = String::new();
        output.read_line(&mut port).unwrap();
        let port = port.trim().parse().expect("the server prints its port");
        Some(Self { child, output, port, certificate, _directory: directory })
    }

    /// Waits for the next mail.
    pub fn received(&mut self) -> Mail {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        Mail(serde_json::from_str(&line).unwrap())
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A mail as the server took it.
#[derive(Debug)]
pub struct Mail(Value);

impl Mail {
    /// A fact of its delivery: `from`, `to`, `tls`, `user`, `content`.
    pub fn fact(&self, name: &str) -> &Value {
        &self.0[name]
    }

    /// The address of its first recipient.
    pub fn to(&self) -> &str {
        self.0["to"][0].as_str().unwrap()
    }

    /// Headers and text, with line feeds.
    pub fn content(&self) -> String {
        self.0["content"].as_str().unwrap().replace("\r\n", "\n")
    }

    /// A header, unfolded; empty where there is none.
    pub fn header(&self, name: &str) -> String {
        let content = self.content().replace("\n ", " ");
        let (headers, _) = content.split_once("\n\n").unwrap();
        let found = headers.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        found.unwrap_or_default().to_owned()
    }

    /// The text, as people read it.
    pub fn body(&self) -> String {
        self.content().split_once("\n\n").unwrap().1.replace("=\n", "")
    }
}
