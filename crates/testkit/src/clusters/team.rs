//! A server that a team shares: nginx before one that speaks without encryption and knows nobody, as `docs/cluster.md`
//! sets it up.

use std::{fs, path::Path};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
};
use tempfile::TempDir;

use super::Casd;
use crate::{nginx, server::Server};

/// Somebody with a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Member {
    /// Whoever builds. It may not write results.
    Developer,
    /// The CI, which may.
    Ci,
}

impl Member {
    fn name(self) -> &'static str {
        match self {
            Self::Developer => "me",
            Self::Ci => "ci",
        }
    }
}

/// The way to the server, which ends with the test.
pub struct Team {
    server: Server,
    directory: TempDir,
}

/// The name in the server's certificate.
const HOST: &str = "localhost";

impl Team {
    /// Starts nginx before `casd`. `None` where it cannot be had, outside of CI.
    pub fn of(casd: &Casd) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        certify(directory.path());
        let (path, casd) = (directory.path().display(), casd.url());
        let server = nginx::start(directory.path(), "master_process off;", |address| {
            format!(
                "map $ssl_client_s_dn $may_write {{ default 0; CN=ci 1; }}\n\
                 server {{\nlisten {address} ssl http2;\n\
                 ssl_certificate {path}/{HOST}.pem;\nssl_certificate_key {path}/{HOST}.key;\n\
                 ssl_client_certificate {path}/ca.pem;\nssl_verify_client on;\n\
                 client_max_body_size 0;\nhttp2_max_concurrent_streams 1000;\n\
                 grpc_read_timeout 1h;\ngrpc_send_timeout 1h;\n\
                 location / {{ grpc_pass {casd}; }}\n\
                 location /build.bazel.remote.execution.v2.ActionCache/UpdateActionResult {{\n\
                 if ($may_write = 0) {{ return 403; }}\ngrpc_pass {casd};\n}}\n}}\n"
            )
        })?;
        Some(Self { server, directory })
    }

    /// The service in the configuration of a member.
    pub fn service(&self, member: Member) -> String {
        let (port, directory) = (self.server.address.port(), self.directory.path().display());
        let name = member.name();
        format!(
            "[[cache.service]]\nname = \"farm\"\nkind = \"reapi\"\nurl = \"grpcs://{HOST}:{port}\"\n\
             ca-certificates = \"{directory}/ca.pem\"\nclient-certificate = \"{directory}/{name}.pem\"\n\
             client-key = \"{directory}/{name}.key\"\n"
        )
    }
}

/// Writes the certificate of an authority, and those of the server and of all members with their keys.
fn certify(directory: &Path) {
    let write = |name: &str, text: String| fs::write(directory.join(name), text).unwrap();
    let named = |name: &str, hosts: &[&str]| {
        let hosts: Vec<String> = hosts.iter().map(|&host| host.to_owned()).collect();
        let mut of = CertificateParams::new(hosts).unwrap();
        of.distinguished_name = DistinguishedName::new();
        of.distinguished_name.push(DnType::CommonName, name);
        of
    };
    let key = KeyPair::generate().unwrap();
    let mut authority = named("farm", &[]);
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    write("ca.pem", authority.self_signed(&key).unwrap().pem());
    let issuer = Issuer::new(authority, key);
    for name in [HOST, Member::Developer.name(), Member::Ci.name()] {
        let key = KeyPair::generate().unwrap();
        let certificate = named(name, &[name]).signed_by(&key, &issuer).unwrap();
        write(&format!("{name}.pem"), certificate.pem());
        write(&format!("{name}.key"), key.serialize_pem());
    }
}
