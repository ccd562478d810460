//! nginx with its DAV module.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Command, Stdio},
};

use super::programs::{Program, served};
use crate::{machine::KEY, tools::require, wait::wait_until};

/// How collections come to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Collections {
    /// By `PUT`. There is neither `MKCOL` nor `PROPFIND`.
    ByPut,
    /// By `MKCOL` alone. There is no `PROPFIND`.
    ByMkcol,
}

/// Where Debian has it, which is not on everybody's `PATH`.
const SYSTEM: &str = "/usr/sbin/nginx";

/// nginx as a server that wants [`KEY`] as user and password. `None` where it is not installed, outside of
/// CI.
pub fn nginx(collections: Collections) -> Option<Program> {
    if !Path::new(SYSTEM).exists() && !require("nginx") {
        return None;
    }
    // A port that is free now may be another's before nginx has it.
    (0..20).find_map(|_| try_start(collections)).or_else(|| panic!("nginx does not start"))
}

fn try_start(collections: Collections) -> Option<Program> {
    let directory = served("cache");
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    fs::write(directory.path().join("users"), format!("{}:{{PLAIN}}{}\n", KEY.0, KEY.1)).unwrap();
    let file = directory.path().join("nginx.conf");
    fs::write(&file, configuration(directory.path(), address, collections)).unwrap();
    let mut command = Command::new(if Path::new(SYSTEM).exists() { SYSTEM } else { "nginx" });
    command.arg("-p").arg(directory.path()).arg("-c").arg(&file).arg("-e").arg("error.log");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut ended = false;
    wait_until("nginx answers", || {
        ended = child.try_wait().unwrap().is_some();
        ended || TcpStream::connect(address).is_ok()
    });
    if ended {
        let log = directory.path().join("error.log");
        eprintln!("nginx ended: {}", fs::read_to_string(log).unwrap_or_default());
        return None;
    }
    Some(Program::new(child, address, directory))
}

fn configuration(directory: &Path, address: SocketAddr, collections: Collections) -> String {
    let directory = directory.display();
    let dav = match collections {
        Collections::ByPut => "dav_methods PUT DELETE; create_full_put_path on;",
        Collections::ByMkcol => "dav_methods PUT DELETE MKCOL;",
    };
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {directory}/{name};\n"))
        .concat();
    format!(
        "daemon off;\nmaster_process off;\npid {directory}/pid;\nevents {{}}\n\
         http {{\naccess_log off;\nclient_max_body_size 0;\n{temporary}\
         server {{\nlisten {address};\nroot {directory}/root;\n\
         location / {{\nauth_basic cache;\nauth_basic_user_file {directory}/users;\n{dav}\n}}\n}}\n}}\n"
    )
}
