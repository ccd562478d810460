//! A server that answers what a test says, however odd, and keeps what it was asked.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

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
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (answer, heads) = (Arc::new(answer), asked.clone());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (answer, heads) = (answer.clone(), heads.clone());
                thread::spawn(move || _ = serve(client, &*answer, &heads));
            }
        });
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
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
        });
        let mut body = vec![0; length.unwrap_or(0)];
        reader.read_exact(&mut body)?;
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
}
