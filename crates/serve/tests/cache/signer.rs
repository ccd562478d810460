//! Requests by hand, signed as whoever forges them likes.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, SystemTime},
};

use larder_serve::cache::NewKey;
use s3s::crypto::{Checksum, Sha256};

/// A request that is to be signed.
#[derive(Clone)]
pub struct Request {
    pub method: &'static str,
    /// As it is sent.
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub at: SystemTime,
    /// What is signed in place of the body's hash.
    pub payload: Option<String>,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    /// Must have this status.
    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        let body = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status, status, "{}\n{body}", self.head);
        self
    }

    /// Must be a refusal that says this.
    #[track_caller]
    pub fn refuses(self, status: u16, words: &str) {
        let answer = self.is(status);
        let body = String::from_utf8_lossy(&answer.body);
        assert!(body.contains(words), "{body}");
    }
}

impl Request {
    pub fn new(method: &'static str, target: impl Into<String>, body: impl AsRef<[u8]>) -> Self {
        Self {
            method,
            target: target.into(),
            headers: Vec::new(),
            body: body.as_ref().to_vec(),
            at: SystemTime::now(),
            payload: None,
        }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The bytes of the request, signed.
    pub fn signed(&self, address: SocketAddr, key: &NewKey) -> Vec<u8> {
        let date = amz_date(self.at);
        let payload = self.payload.clone().unwrap_or_else(|| hex(&sha256(&self.body)));
        let mut headers = vec![
            ("host".to_owned(), address.to_string()),
            ("x-amz-content-sha256".to_owned(), payload.clone()),
            ("x-amz-date".to_owned(), date.clone()),
        ];
        headers.extend(self.headers.clone());
        headers.sort();
        let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
        let names = names.join(";");
        let lines: String =
            headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let (path, query) = self.target.split_once('?').unwrap_or((&self.target, ""));
        let (path, query) = (canonical_path(path), canonical_query(query));
        let canonical = format!("{}\n{path}\n{query}\n{lines}\n{names}\n{payload}", self.method);
        let scope = format!("{}/us-east-1/s3/aws4_request", &date[..8]);
        let text =
            format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex(&sha256(canonical.as_bytes())));
        let mut signing = hmac(format!("AWS4{}", key.secret).as_bytes(), &date.as_bytes()[..8]);
        for part in ["us-east-1", "s3", "aws4_request"] {
            signing = hmac(&signing, part.as_bytes());
        }
        let signature = hex(&hmac(&signing, text.as_bytes()));
        headers.push((
            "authorization".to_owned(),
            format!(
                "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
                key.id
            ),
        ));
        self.bytes(&headers)
    }

    /// The bytes of the request, signed by nobody.
    pub fn unsigned(&self, address: SocketAddr) -> Vec<u8> {
        let mut headers = vec![("host".to_owned(), address.to_string())];
        headers.extend(self.headers.clone());
        self.bytes(&headers)
    }

    fn bytes(&self, headers: &[(String, String)]) -> Vec<u8> {
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        let length = self.body.len();
        text.push_str(&format!("content-length: {length}\r\nconnection: close\r\n\r\n"));
        [text.as_bytes(), &self.body].concat()
    }

    /// Sends it signed.
    pub fn send(&self, address: SocketAddr, key: &NewKey) -> Answer {
        send(address, &self.signed(address, key))
    }

    /// Sends it signed by nobody.
    pub fn send_unsigned(&self, address: SocketAddr) -> Answer {
        send(address, &self.unsigned(address))
    }
}

/// Sends bytes, and reads the answer to its end.
pub fn send(address: SocketAddr, bytes: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    // A server that refuses need not read it all.
    _ = stream.write_all(bytes);
    read(&mut stream)
}

/// Reads an answer to its end.
pub fn read(stream: &mut TcpStream) -> Answer {
    let mut answer = Vec::new();
    _ = stream.read_to_end(&mut answer);
    let end = answer.windows(4).position(|it| it == b"\r\n\r\n").expect("an answer") + 4;
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head, body: answer.split_off(end) }
}

/// A path as it is signed: what need not be encoded is not, and the rest is.
fn canonical_path(path: &str) -> String {
    let mut bytes = path.bytes();
    let mut canonical = String::new();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'%' => {
                let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            byte => byte,
        };
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
                canonical.push(char::from(byte));
            }
            _ => canonical.push_str(&format!("%{byte:02X}")),
        }
    }
    canonical
}

fn canonical_query(query: &str) -> String {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let mut pairs: Vec<_> = pairs
        .map(|pair| if pair.contains('=') { pair.to_owned() } else { format!("{pair}=") })
        .collect();
    pairs.sort();
    pairs.join("&")
}

fn amz_date(at: SystemTime) -> String {
    let seconds = at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Howard Hinnant's civil_from_days.
    let z = days + 719_468;
    let era = z / 146_097;
    let doe = z % 146_097;
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::checksum(bytes)
}

fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut block = [0; 64];
    match key.len() {
        ..=64 => block[..key.len()].copy_from_slice(key),
        _ => block[..32].copy_from_slice(&sha256(key)),
    }
    let inner: Vec<u8> = block.iter().map(|byte| byte ^ 0x36).chain(text.iter().copied()).collect();
    let outer = block.iter().map(|byte| byte ^ 0x5c).chain(sha256(&inner));
    sha256(&outer.collect::<Vec<u8>>()).to_vec()
}
