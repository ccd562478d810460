//! An HTTP server on loopback that records what arrives and answers as it is told.

#![allow(dead_code)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Request {
    /// Method and target, such as `POST /hook`.
    pub line: String,
    /// Header names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Request {
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value)
    }
}

/// One answer.
#[derive(Debug, Clone)]
pub enum Answer {
    /// This status line, these headers, this body.
    Status(&'static str, &'static str, &'static str),
    /// Closes the connection without a word.
    Close,
    /// Says something that is not HTTP.
    Garbage,
    /// Says nothing until the client leaves.
    Hang,
}

pub const OK: Answer = Answer::Status("200 OK", "", "ok");

/// The server; it ends with the test.
pub struct Server {
    pub url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Answers each connection with the next of `answers`, the last one again and again.
    pub fn start(answers: Vec<Answer>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let recorded = requests.clone();
        thread::spawn(move || {
            for (count, connection) in listener.incoming().enumerate() {
                let answer =
                    answers.get(count).or(answers.last()).cloned().unwrap_or(Answer::Close);
                let recorded = recorded.clone();
                thread::spawn(move || connection.map(|stream| serve(stream, &answer, &recorded)));
            }
        });
        Server { url, requests }
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

fn serve(
    stream: TcpStream,
    answer: &Answer,
    recorded: &Mutex<Vec<Request>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        match header.trim_end().split_once(": ") {
            Some((name, value)) => headers.push((name.to_lowercase(), value.to_owned())),
            None => break,
        }
    }
    let line = line.rsplit_once(' ').map_or("", |(line, _)| line).to_owned();
    let mut request = Request { line, headers, body: String::new() };
    let length: u64 = request.header("content-length").parse().unwrap_or(0);
    (&mut reader).take(length).read_to_string(&mut request.body)?;
    recorded.lock().unwrap().push(request);
    let mut stream = stream;
    match answer {
        Answer::Status(status, headers, body) => write!(
            stream,
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n{body}",
            body.len()
        ),
        Answer::Garbage => stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
        Answer::Close => Ok(()),
        Answer::Hang => reader.read_to_end(&mut Vec::new()).map(|_| ()),
    }
}
