//! BuildGrid as a server that keeps contents and results, and runs nothing.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::{services::python_environment, wait::wait_until};

/// A server, which ends with the test.
pub struct BuildGrid {
    address: SocketAddr,
    child: Child,
    _directory: TempDir,
}

impl BuildGrid {
    /// The name of its only instance.
    pub const INSTANCE: &str = "main";

    /// Starts a server. `None` where it cannot be had, outside of CI.
    pub fn start() -> Option<Self> {
        let programs = python_environment("buildgrid", &["buildgrid==0.4.4"])?;
        let directory = tempfile::tempdir().unwrap();
        // A port that is free now may be another's before the server has it.
        let started = (0..20).find_map(|_| {
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let address = free.local_addr().unwrap();
            drop(free);
            let file = directory.path().join("server.yml");
            fs::write(&file, configuration(&directory, address)).unwrap();
            let mut command = Command::new(programs.join("bgd"));
            command.args(["server", "start"]).arg(&file);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let mut child = command.spawn().unwrap();
            let mut ended = false;
            wait_until("BuildGrid listens", || {
                ended = child.try_wait().unwrap().is_some();
                ended || TcpStream::connect(address).is_ok()
            });
            (!ended).then_some((address, child))
        });
        let (address, child) = started.expect("BuildGrid does not start");
        Some(Self { address, child, _directory: directory })
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("grpc://{}", self.address)
    }
}

impl Drop for BuildGrid {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn configuration(directory: &TempDir, address: SocketAddr) -> String {
    format!(
        "server:\n  - !channel\n    address: \"{address}\"\n    insecure-mode: true\n\
         authorization:\n  method: none\n\
         storages:\n  - !disk-storage &contents\n    path: {}/contents\n\
         caches:\n  - !lru-action-cache &results\n    storage: *contents\n    max-cached-refs: 1000\n    \
         allow-updates: true\n    cache-failed-actions: false\n\
         instances:\n  - name: '{}'\n    storages:\n      - *contents\n    caches:\n      - *results\n    services:\n      \
         - !action-cache\n        cache: *results\n      - !cas\n        storage: *contents\n      \
         - !bytestream\n        storage: *contents\n\
         monitoring:\n  enabled: false\n\
         thread-pool-size: 20\n",
        directory.path().display(),
        BuildGrid::INSTANCE,
    )
}
