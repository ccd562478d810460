//! A server that answers what a test says, however odd, and keeps what it was asked.

use std::{
    io::{self, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use super::http::{listen, read_body, read_head};

/// An answer to a request.
#[derive(Debug, Clone)]
pub enum Answer {
    /// These bytes; the connection stays.
    Bytes(Vec<u8>),
    /// These bytes, and then one a second until the client leaves.
    Drip(Vec<u8>),
    /// Nothing, until the client leaves.
    Silence,
}

impl Answer {
    /// An answer with a status such as `200 OK`, more headers that each end in CRLF, and a body.
    pub fn new(status: &str, headers: &str, body: &[u8]) -> Self {
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n");
        Self::Bytes([head.as_bytes(), body].concat())
    }
}

/// The server; its threads end with the test process.
#[derive(Debug)]
pub struct Canned {
    /// Where it listens.
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Canned {
    /// Answers each request as `answer` says of its head and its body.
    pub fn start(answer: impl Fn(&str, &[u8]) -> Answer + Send + Sync + 'static) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heads = asked.clone();
        let address = listen(move |client| serve(client, &answer, &heads));
        Self { address, asked }
    }

    /// One that accepts and never answers.
    pub fn silent() -> Self {
        Self::start(|_, _| Answer::Silence)
    }

    /// The heads of the requests since the last call.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

fn serve(
    mut client: TcpStream,
    answer: &dyn Fn(&str, &[u8]) -> Answer,
    asked: &Mutex<Vec<String>>,
) -> io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    while let Some(head) = read_head(&mut reader)? {
        let body = read_body(&mut reader, &head)?;
        asked.lock().unwrap().push(head.clone());
        match answer(&head, &body) {
            Answer::Bytes(bytes) => client.write_all(&bytes)?,
            Answer::Silence => return reader.read(&mut [0]).map(|_| ()),
            Answer::Drip(bytes) => {
                client.write_all(&bytes)?;
                loop {
                    thread::sleep(Duration::from_secs(1));
                    client.write_all(b"x")?;
                }
            }
        }
    }
    Ok(())
}
