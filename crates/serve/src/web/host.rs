//! The names that a server answers by.
//!
//! A page somewhere on the internet may have a name that first leads to itself and then to 127.0.0.1: to the browser,
//! what it reads there is its own ("DNS rebinding"). So a server that only this machine can reach answers by names that
//! nobody out there can have.

use std::net::{IpAddr, SocketAddr};

use axum::{
    extract::{Request, State},
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use larder_runs::sanitise;

/// The names that a server answers by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hosts {
    /// Every name: others reach it too, and it cannot know how they call it.
    Any,
    /// Addresses, `localhost`, names without a dot, and these.
    Local(Vec<String>),
}

impl Hosts {
    /// The names for a server that listens on `address`, and that is called `names` by a web server before it.
    pub fn of(address: SocketAddr, names: &[String]) -> Self {
        match address.ip().to_canonical().is_loopback() {
            true => Self::Local(names.iter().map(|name| name.to_ascii_lowercase()).collect()),
            false => Self::Any,
        }
    }

    /// Whether a request with this `Host` is answered.
    fn has(&self, host: &str) -> bool {
        let Self::Local(names) = self else { return true };
        let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((address, _)) => address,
            None => host.split_once(':').map_or(host, |(name, _)| name),
        };
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        !name.contains('.')
            || name.parse::<IpAddr>().is_ok()
            || name.ends_with(".localhost")
            || names.contains(&name)
    }
}

/// Refuses requests to a name that is not the server's.
pub async fn check(State(hosts): State<Hosts>, request: Request, next: Next) -> Response {
    let asked = request.headers().get(header::HOST).map_or(&[][..], |host| host.as_bytes());
    match hosts.has(&String::from_utf8_lossy(asked)) {
        true => next.run(request).await,
        false => {
            let name = sanitise::line(asked);
            let why = format!(
                "this server is not known as {name}: where that is its name, start it with --host\n"
            );
            (StatusCode::MISDIRECTED_REQUEST, why).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_of_this_machine_answers_by_names_that_nobody_else_can_have() {
        let local =
            Hosts::of("127.0.0.1:8080".parse().unwrap(), &["Larder.Example.org".to_owned()]);
        for host in [
            "",
            "127.0.0.1:8080",
            "[::1]:8080",
            "localhost:8080",
            "x.localhost",
            "desk",
            "larder.example.org",
            "LARDER.example.org.:443",
        ] {
            assert!(local.has(host), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8080",
            "127.0.0.1.evil.example",
            "localhost.evil.example:1",
            "notlarder.example.org",
        ] {
            assert!(!local.has(host), "{host}");
        }
        assert_eq!(Hosts::of("[::ffff:127.0.0.1]:1".parse().unwrap(), &[]), Hosts::Local(vec![]));
        assert!(Hosts::of("0.0.0.0:8080".parse().unwrap(), &[]).has("evil.example"));
    }
}
