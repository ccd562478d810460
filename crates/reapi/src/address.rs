//! Where a server is.

use std::path::PathBuf;

/// The address of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// `grpc://HOST:PORT`: nothing is encrypted.
    Plain(String),
    /// `grpcs://HOST:PORT`: with TLS.
    Tls(String),
    /// `unix:PATH` or `unix://PATH`: a socket of this machine.
    Unix(PathBuf),
}

/// Why a text is no address of a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It does not begin as one of those that are known.
    #[error(
        "{0:?} is no address of a server; write grpc://HOST:PORT, grpcs://HOST:PORT or unix:PATH"
    )]
    Scheme(String),
    /// No host, or no port, or more than these.
    #[error("{0:?} does not name a host and its port; write {1}HOST:PORT")]
    Host(String, &'static str),
    /// A secret would be seen by everybody who sees the command line.
    #[error(
        "an address has no user or password in it; write `headers` for a service of kind \"reapi\" \
         in the configuration"
    )]
    Secret,
}

impl Address {
    /// Whether a text is meant as an address, and not as a name.
    pub fn is_meant(text: &str) -> bool {
        text.contains(':')
    }

    /// Whether whoever is on the way can read what is sent.
    pub fn is_open(&self) -> bool {
        let Self::Plain(host) = self else { return false };
        let name = host.rsplit_once(':').map_or(host.as_str(), |(name, _)| name);
        let name = name.trim_start_matches('[').trim_end_matches(']');
        let is_here = |ip: std::net::IpAddr| ip.is_loopback();
        name != "localhost" && !name.parse().is_ok_and(is_here)
    }

    /// The address that a text is.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return match path {
                "" => Err(AddressError::Scheme(text.to_owned())),
                path => Ok(Self::Unix(PathBuf::from(path))),
            };
        }
        let (scheme, host) = match (text.strip_prefix("grpc://"), text.strip_prefix("grpcs://")) {
            (Some(host), _) => ("grpc://", host),
            (_, Some(host)) => ("grpcs://", host),
            (None, None) => return Err(AddressError::Scheme(text.to_owned())),
        };
        let host = host.strip_suffix('/').unwrap_or(host);
        if host.contains('@') {
            return Err(AddressError::Secret);
        }
        let is_name = |name: &str| {
            !name.is_empty() && !name.contains(['/', '?', '#', ' ']) && !name.ends_with(':')
        };
        let port = host.rsplit_once(':').filter(|(name, _)| is_name(name)).map(|(_, port)| port);
        if port.is_none_or(|port| port.parse::<u16>().is_err()) {
            return Err(AddressError::Host(text.to_owned(), scheme));
        }
        let host = host.to_owned();
        Ok(if scheme == "grpcs://" { Self::Tls(host) } else { Self::Plain(host) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let plain = |host: &str| Ok(Address::Plain(host.to_owned()));
        assert_eq!(Address::parse("grpc://127.0.0.1:8980"), plain("127.0.0.1:8980"));
        assert_eq!(Address::parse("grpc://[::1]:8980/"), plain("[::1]:8980"));
        assert_eq!(
            Address::parse("grpcs://a.example:443"),
            Ok(Address::Tls("a.example:443".into()))
        );
        for unix in ["unix:/run/casd", "unix:///run/casd"] {
            assert_eq!(Address::parse(unix), Ok(Address::Unix("/run/casd".into())));
        }
        for wrong in ["", "http://a:1", "grpc:a:1", "unix:", "a:1"] {
            assert!(matches!(Address::parse(wrong), Err(AddressError::Scheme(_))), "{wrong}");
        }
        for wrong in
            ["grpc://", "grpc://a", "grpc://:1", "grpc://a:x", "grpc://a/b:1", "grpcs://a:70000"]
        {
            assert!(matches!(Address::parse(wrong), Err(AddressError::Host(..))), "{wrong}");
        }
        assert_eq!(Address::parse("grpc://me:secret@a:1"), Err(AddressError::Secret));
        for (text, open) in [
            ("grpc://127.0.0.1:1", false),
            ("grpc://[::1]:1", false),
            ("grpc://localhost:1", false),
            ("grpc://10.0.0.1:1", true),
            ("grpcs://10.0.0.1:1", false),
            ("unix:/x", false),
        ] {
            assert_eq!(Address::parse(text).unwrap().is_open(), open, "{text}");
        }
    }
}
