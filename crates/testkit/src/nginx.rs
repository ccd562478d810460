//! nginx, run by an ordinary user on a port that is free.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    process::{Command, Stdio},
};

use crate::{server::Server, tools::require, wait::wait_until};

/// Where Debian has it, which is not on everybody's `PATH`.
const SYSTEM: &str = "/usr/sbin/nginx";

/// Starts nginx, which keeps its things in `directory`. `main` is what its configuration says of processes, `http`
/// what it says of servers. `None` where it is not installed, outside of CI.
pub fn start(directory: &Path, main: &str, http: impl Fn(SocketAddr) -> String) -> Option<Server> {
    if !Path::new(SYSTEM).exists() && !require("nginx") {
        return None;
    }
    // A port that is free now may be another's before nginx has it.
    (0..20)
        .find_map(|_| try_start(directory, main, &http))
        .or_else(|| panic!("nginx does not start"))
}

fn try_start(directory: &Path, main: &str, http: impl Fn(SocketAddr) -> String) -> Option<Server> {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let file = directory.join("nginx.conf");
    fs::write(&file, configuration(directory, main, &http(address))).unwrap();
    let mut command = Command::new(if Path::new(SYSTEM).exists() { SYSTEM } else { "nginx" });
    command.arg("-p").arg(directory).arg("-c").arg(&file).arg("-e").arg("error.log");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut ended = false;
    // It writes its id when it has the port.
    let pid = directory.join("pid");
    wait_until("nginx listens", || {
        ended = child.try_wait().unwrap().is_some();
        ended || fs::read_to_string(&pid).is_ok_and(|id| id.trim() == child.id().to_string())
    });
    if ended {
        let log = directory.join("error.log");
        eprintln!("nginx ended: {}", fs::read_to_string(log).unwrap_or_default());
        return None;
    }
    Some(Server::with_workers(child, address))
}

fn configuration(directory: &Path, main: &str, http: &str) -> String {
    let directory = directory.display();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {directory}/{name};\n"))
        .concat();
    format!(
        "daemon off;\n{main}\npid {directory}/pid;\nevents {{}}\n\
         http {{\naccess_log off;\n{temporary}{http}}}\n"
    )
}
