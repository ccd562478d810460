//! nginx with its DAV module.

use std::fs;

use super::programs::{Program, served};
use crate::{machine::KEY, nginx};

/// How collections come to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Collections {
    /// By `PUT`. There is neither `MKCOL` nor `PROPFIND`.
    ByPut,
    /// By `MKCOL` alone. There is no `PROPFIND`.
    ByMkcol,
}

/// nginx as a server that wants [`KEY`] as user and password. `None` where it is not installed, outside of
/// CI.
pub fn nginx(collections: Collections) -> Option<Program> {
    let directory = served("cache");
    let path = directory.path().display();
    fs::write(directory.path().join("users"), format!("{}:{{PLAIN}}{}\n", KEY.0, KEY.1)).unwrap();
    let dav = match collections {
        Collections::ByPut => "dav_methods PUT DELETE; create_full_put_path on;",
        Collections::ByMkcol => "dav_methods PUT DELETE MKCOL;",
    };
    let server = nginx::start(directory.path(), "master_process off;", |address| {
        format!(
            "client_max_body_size 0;\nserver {{\nlisten {address};\nroot {path}/root;\n\
             location / {{\nauth_basic cache;\nauth_basic_user_file {path}/users;\n{dav}\n}}\n}}\n"
        )
    })?;
    Some(Program::new(server, directory))
}
