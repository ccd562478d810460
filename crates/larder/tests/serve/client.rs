//! A client that sends just what it is told.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use larder_testkit::{
    server::Server,
    set::{Package, Set},
};
use serde_json::Value;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers, their names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// A header; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value)
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The same, which has to be there.
    pub fn ok(self) -> Self {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        self
    }
}

/// What is asked of a server.
pub trait Client {
    /// The answer to a GET.
    fn get(&self, path: &str) -> Answer {
        self.ask(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"))
    }

    /// The answer to what is sent, just as it is, to its end.
    fn ask(&self, request: impl AsRef<[u8]>) -> Answer {
        let mut stream = self.connect();
        // A server may refuse before it has read everything.
        _ = stream.write_all(request.as_ref());
        let mut answer = Vec::new();
        _ = stream.read_to_end(&mut answer);
        parse(&answer)
            .unwrap_or_else(|| panic!("no answer: {:?}", String::from_utf8_lossy(&answer)))
    }

    /// A connection on which nothing was sent yet.
    fn connect(&self) -> TcpStream;
}

impl Client for Server {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }
}

/// Takes an answer apart; `None` where there is none.
pub fn parse(answer: &[u8]) -> Option<Answer> {
    let end = answer.windows(4).position(|it| it == b"\r\n\r\n")?;
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(':').unwrap();
        (name.to_lowercase(), value.trim().to_owned())
    });
    let mut answer =
        Answer { status, headers: headers.collect(), body: answer[end + 4..].to_vec() };
    if answer.header("transfer-encoding") == "chunked" {
        answer.body = unchunked(&answer.body);
    }
    Some(answer)
}

fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = body.windows(2).position(|it| it == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&body[..end]).unwrap(), 16).unwrap();
        let from = end + 2;
        whole.extend_from_slice(body.get(from..from + size).unwrap_or_default());
        body = body.get(from + size + 2..).unwrap_or_default();
        if size == 0 {
            break;
        }
    }
    whole
}

/// The line that a package prints when it fails: it would do something in a page where it is not escaped.
pub const HOSTILE: &str = "a.c:3:5: error: <script>alert(1)</script> \" onload=x <b>bold</b>";

/// A set in which something works, something fails with a hostile message, blocks others, and has no solution; three
/// full runs, of which the first is good. It has maintainers.
pub fn broken_set() -> Set {
    let fails = format!("grep -q good state || {{ echo '{HOSTILE}'; exit 1; }}");
    let set = Set::new(&[
        Package::new("root.1.0").line(fails).test("true"),
        Package::new("middle.1.0").needs("root", "1").docs("echo '<p>middle' > {docs}/index.html"),
        Package::new("leaf.1.0").needs("middle", "1").needs("other", "1"),
        Package::new("other.1.0").test("true"),
        Package::new("lost.1.0").needs("nowhere", "1"),
    ]);
    set.append(
        "\n[maintainers]\nroot = [\"Ana <ana@example.org>\"]\nother = [\"bo@example.org\"]\n",
    );
    set.file("sources/root.1.0/state", "good");
    set.larder(&["batch"]).ends_with(1);
    set.file("sources/root.1.0/state", "bad");
    set.larder(&["batch"]).ends_with(1);
    set
}
