//! A real SMTP server, aiosmtpd, with and without TLS.
//!
//! It is installed from PyPI into a virtual environment under `target`, once.

use std::{
    env,
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};

use serde_json::Value;

/// The server: see there.
const SCRIPT: &str = include_str!("smtp_server.py");

/// A Python that has aiosmtpd. `None`, which is said, where it cannot be installed; in CI (`$CI` is set) the
/// test fails.
fn python() -> Option<PathBuf> {
    let test = env::current_exe().unwrap();
    let directory = test.ancestors().nth(3).unwrap().join("tmp/aiosmtpd");
    let python = directory.join("bin/python");
    fs::create_dir_all(directory.parent().unwrap()).unwrap();
    let lock = File::create(directory.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    let works = |python: &Path| {
        let import =
            Command::new(python).args(["-c", "import aiosmtpd"]).stderr(Stdio::null()).status();
        import.is_ok_and(|status| status.success())
    };
    if !works(&python) {
        let run = |command: &mut Command| {
            let output = command.output().map_err(|error| error.to_string())?;
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            if output.status.success() { Ok(()) } else { Err(said) }
        };
        let made = run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&directory))
            .and_then(|()| {
                let install = ["-m", "pip", "install", "--quiet", "aiosmtpd==1.4.6"];
                run(Command::new(&python).args(install))
            });
        if let Err(reason) = made {
            assert!(env::var_os("CI").is_none(), "aiosmtpd cannot be installed: {reason}");
            eprintln!("skipped: aiosmtpd cannot be installed: {reason}");
            return None;
        }
    }
    Some(python)
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
