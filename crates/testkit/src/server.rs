//! Servers that are processes of their own and say where they listen.

use std::{
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    thread,
};

use rustix::process::Signal;
use serde_json::Value;

use crate::processes::send;

/// A server; it ends when this goes away.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// What ends it.
    end: Signal,
    /// Where it listens.
    pub address: SocketAddr,
}

/// Where a server says where it listens.
#[derive(Debug, Clone, Copy)]
pub enum Says {
    /// On standard output.
    OnOutput,
    /// On standard error.
    OnError,
}

impl Server {
    /// Runs a command that is `larder serve` but for where to listen.
    pub fn larder(mut command: Command) -> Self {
        command.args(["--json", "--listen", "127.0.0.1:0"]);
        Self::start(command, Says::OnOutput, |line| {
            let event: Value = serde_json::from_str(line).unwrap();
            assert_eq!(event["event"], "listening", "{line}");
            event["address"].as_str()?.parse().ok()
        })
    }

    /// larder, showing a set.
    #[cfg(feature = "sets")]
    pub fn of(set: &crate::set::Set) -> Self {
        Self::larder(set.command(&["serve"]))
    }

    /// Starts a server that says where it listens; `listens` takes that from a line.
    pub fn start(
        mut command: Command,
        says: Says,
        listens: impl Fn(&str) -> Option<SocketAddr>,
    ) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = match says {
            Says::OnOutput => command.stdout(Stdio::piped()),
            Says::OnError => command.stderr(Stdio::piped()),
        }
        .spawn()
        .unwrap();
        let address = match says {
            Says::OnOutput => listening(child.stdout.take().unwrap(), listens),
            Says::OnError => listening(child.stderr.take().unwrap(), listens),
        };
        Self { child, end: Signal::KILL, address }
    }

    /// A server with processes of its own, which it ends when it is told to end.
    pub(crate) fn with_workers(child: Child, address: SocketAddr) -> Self {
        Self { child, end: Signal::TERM, address }
    }

    /// Its URL of a path.
    pub fn at(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The id of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Tells it to end.
    pub fn terminate(&self) {
        send(&self.child, Signal::TERM);
    }

    /// Waits until it has ended. Returns its exit code.
    pub fn ended(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has been waited for is nobody any more.
        if let Ok(None) = self.child.try_wait() {
            send(&self.child, self.end);
        }
        _ = self.child.wait();
    }
}

/// Reads what a server prints until it says where it listens. What it prints later is read too: it must not wait for
/// anybody to do so.
fn listening(
    output: impl Read + Send + 'static,
    listens: impl Fn(&str) -> Option<SocketAddr>,
) -> SocketAddr {
    let mut output = BufReader::new(output);
    let (mut said, mut line) = (String::new(), String::new());
    let address = loop {
        line.clear();
        assert!(output.read_line(&mut line).unwrap() > 0, "the server ended: {said}");
        if let Some(address) = listens(&line) {
            break address;
        }
        said.push_str(&line);
    };
    thread::spawn(move || _ = output.read_to_end(&mut Vec::new()));
    address
}
