//! What a request's signature has to cover, before it is checked.
//!
//! The crate `s3s` checks signatures. It also takes some that are weaker than they need be; those are refused here:
//! signatures of version 2, which last for ever; forms; headers that say what is to be done and are not signed; URLs
//! that anyone who sees them could write with; and content that nothing signed says anything about.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::http::{HeaderMap, Method, request::Parts};
use larder_store::published::paths::{Filed, Kind};
use s3s::{S3Result, s3_error};

use crate::server::Peer;

/// How far the clocks of clients and server may be apart.
pub const SKEW: Duration = Duration::from_secs(15 * 60);
/// URLs are good for that long, as S3 has it.
const LONGEST_URL: u64 = 7 * 24 * 60 * 60;
/// The SHA-256 of nothing.
pub const NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const V4: &str = "AWS4-HMAC-SHA256";

/// How a request is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signed {
    /// Not at all.
    No,
    /// By a header, with this signature.
    Header(String),
    /// By its URL.
    Url,
}

/// Returns how a request is signed. `name` is that of its object, where it is about one.
///
/// # Errors
/// When the signature would cover too little.
pub fn examine(parts: &Parts, name: Option<&str>) -> S3Result<Signed> {
    // So that no other spelling of a parameter means something to who decodes it.
    if query(parts).any(|(name, _)| name.contains(['%', '+'])) {
        return Err(s3_error!(InvalidArgument, "names of parameters are not encoded"));
    }
    let has = |wanted: &str| query(parts).any(|(name, _)| name == wanted);
    if has("Signature") || has("AWSAccessKeyId") {
        return Err(s3_error!(AccessDenied, "signatures of version 2 do not count here"));
    }
    let form = header(&parts.headers, "content-type")
        .is_some_and(|it| it.to_ascii_lowercase().starts_with("multipart/form-data"));
    if form {
        return Err(s3_error!(NotImplemented, "forms are not taken here"));
    }
    let mut authorizations = parts.headers.get_all("authorization").iter();
    match (authorizations.next(), has("X-Amz-Signature")) {
        (None, false) => Ok(Signed::No),
        (None, true) => url(parts),
        (Some(_), true) => Err(s3_error!(InvalidRequest, "it is signed twice")),
        (Some(_), false) if authorizations.next().is_some() => {
            Err(s3_error!(InvalidRequest, "it is signed twice"))
        }
        (Some(value), false) => {
            let value = value.to_str().ok().and_then(|it| it.strip_prefix(V4)?.strip_prefix(' '));
            let value = value
                .ok_or_else(|| s3_error!(AccessDenied, "only signatures of version 4 count"))?;
            by_header(parts, value, name)
        }
    }
}

fn url(parts: &Parts) -> S3Result<Signed> {
    if !matches!(parts.method, Method::GET | Method::HEAD) {
        return Err(s3_error!(AccessDenied, "a signed URL may read, and nothing else"));
    }
    let expires = query(parts).find(|(name, _)| *name == "X-Amz-Expires");
    let seconds: Option<u64> = expires.and_then(|(_, value)| value.parse().ok());
    match seconds {
        Some(seconds) if seconds <= LONGEST_URL => Ok(Signed::Url),
        _ => Err(s3_error!(AccessDenied, "a signed URL is good for seven days at most")),
    }
}

fn by_header(parts: &Parts, value: &str, name: Option<&str>) -> S3Result<Signed> {
    let malformed = || s3_error!(AuthorizationHeaderMalformed);
    let (mut credential, mut headers, mut signature) = (None, None, None);
    for field in value.split(',') {
        let (field, value) = field.trim().split_once('=').ok_or_else(malformed)?;
        let place = match field {
            "Credential" => &mut credential,
            "SignedHeaders" => &mut headers,
            "Signature" => &mut signature,
            _ => return Err(malformed()),
        };
        if place.replace(value).is_some() {
            return Err(malformed());
        }
    }
    let credential = credential.ok_or_else(malformed)?;
    let signature = signature.ok_or_else(malformed)?;
    if !credential.ends_with("/s3/aws4_request") {
        return Err(s3_error!(SignatureDoesNotMatch, "the signature is for another service"));
    }
    let headers: HashSet<&str> = headers.ok_or_else(malformed)?.split(';').collect();
    let mut seen = HashSet::new();
    for header in parts.headers.iter().map(|(name, _)| name.as_str()) {
        let matters = header.starts_with("x-amz-") || matches!(header, "host" | "content-md5");
        if matters && (!headers.contains(header) || !seen.insert(header)) {
            return Err(s3_error!(
                AccessDenied,
                "the header {header} has to be there once and signed"
            ));
        }
    }
    if !seen.contains("host") {
        return Err(s3_error!(AccessDenied, "the header host has to be there and signed"));
    }
    check_payload(parts, name)?;
    Ok(Signed::Header(signature.to_owned()))
}

/// Content that is not signed counts only where something that is signed says what it has to be, and where nobody is
/// on the way who could put other content in its place: it comes from this machine, or through a proxy on it.
fn check_payload(parts: &Parts, name: Option<&str>) -> S3Result<()> {
    let payload = header(&parts.headers, "x-amz-content-sha256").unwrap_or_default();
    let is_unsigned = payload.starts_with("UNSIGNED") || payload.starts_with("STREAMING-UNSIGNED");
    if !is_unsigned || matches!(parts.method, Method::GET | Method::HEAD | Method::DELETE) {
        return Ok(());
    }
    let is_named = name.and_then(Filed::parse).is_some_and(|it| it.kind != Kind::Revision);
    let has_md5 = payload == "UNSIGNED-PAYLOAD" && parts.headers.contains_key("content-md5");
    let begins = parts.method == Method::POST && query(parts).any(|(name, _)| name == "uploads");
    let copies = parts.headers.contains_key("x-amz-copy-source");
    let is_put = parts.method == Method::PUT;
    let peer = parts.extensions.get::<Peer>();
    let is_near = peer.is_some_and(|Peer(address)| address.ip().to_canonical().is_loopback());
    if begins || is_put && (is_named || has_md5 || copies || is_near) {
        return Ok(());
    }
    Err(s3_error!(
        AccessDenied,
        "over a network, the content has to be signed, or Content-MD5 be there and signed"
    ))
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn query(parts: &Parts) -> impl Iterator<Item = (&str, &str)> {
    let pairs = parts.uri.query().unwrap_or_default().split('&');
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// Signatures of writes that were done, so that none is done twice.
#[derive(Debug)]
pub struct Replays(Mutex<Generations>);

#[derive(Debug)]
struct Generations {
    since: Instant,
    now: HashSet<String>,
    before: HashSet<String>,
}

/// For how long a signature may count: a client's clock may be ahead.
const WINDOW: Duration = Duration::from_secs(2 * SKEW.as_secs());

impl Default for Replays {
    fn default() -> Self {
        let (now, before) = Default::default();
        Self(Mutex::new(Generations { since: Instant::now(), now, before }))
    }
}

impl Replays {
    /// Whether a write with this signature was done.
    pub fn knows(&self, signature: &str) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.now.contains(signature) || known.before.contains(signature)
    }

    /// Says that a write with this signature was done.
    pub fn remember(&self, signature: String) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.since.elapsed() > WINDOW {
            known.before = std::mem::take(&mut known.now);
            known.since = Instant::now();
        }
        known.now.insert(signature);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    #[test]
    fn content_from_afar_is_signed_or_named() {
        const MD5: (&str, &str) = ("content-md5", "AAAA");
        let pack = format!("packs/zlib/{NOTHING}.pack");
        let takes = |peer: Option<&str>, payload: &str, name: &str, more: Option<(&str, &str)>| {
            let mut signed = "host;x-amz-content-sha256;x-amz-date".to_owned();
            let mut request = Request::put(format!("/larder/{name}"))
                .header("host", "cache.example.org")
                .header("x-amz-date", "20260101T000000Z")
                .header("x-amz-content-sha256", payload);
            if let Some((header, value)) = more {
                signed.push_str(&format!(";{header}"));
                request = request.header(header, value);
            }
            let credential = "LKX/20260101/us-east-1/s3/aws4_request";
            let authorization =
                format!("{V4} Credential={credential}, SignedHeaders={signed}, Signature=00");
            let request = request.header("authorization", authorization).body(()).unwrap();
            let mut parts = request.into_parts().0;
            if let Some(peer) = peer {
                parts.extensions.insert(Peer(peer.parse().unwrap()));
            }
            examine(&parts, Some(name)).is_ok()
        };
        let far = Some("192.0.2.1:1234");
        assert!(takes(far, NOTHING, "a", None));
        assert!(takes(far, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "a", None));
        for payload in ["UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"] {
            assert!(!takes(far, payload, "a", None), "{payload}");
            assert!(!takes(None, payload, "a", None), "{payload}");
            assert!(!takes(far, payload, "revisions/zlib/main.jsonl", None), "{payload}");
            assert!(takes(far, payload, &pack, None), "{payload}");
            for near in ["127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
                assert!(takes(Some(near), payload, "a", None), "{payload} {near}");
            }
        }
        assert!(takes(far, "UNSIGNED-PAYLOAD", "a", Some(MD5)));
        assert!(!takes(far, "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "a", Some(MD5)));
    }
}
