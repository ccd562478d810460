//! A client that keeps its connection.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
};

use anyhow::{Context, Result, bail};

/// The client.
pub struct Client {
    stream: BufReader<TcpStream>,
    /// Room for what is answered, kept as new memory costs time.
    body: Vec<u8>,
}

impl Client {
    /// Connects to a server.
    pub fn new(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream), body: Vec::new() })
    }

    /// Asks for a page, and returns all of it.
    pub fn get(&mut self, path: &str) -> Result<&[u8]> {
        self.ask(path)?;
        let (mut length, mut line, mut first) = (None, String::new(), true);
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            if first && !line.starts_with("HTTP/1.1 200") {
                bail!("{path}: {line}");
            }
            first = false;
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = Some(value.trim().parse::<usize>()?);
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let length = length.context("an answer of unknown length")?;
        self.body.resize(length.max(self.body.len()), 0);
        let body = &mut self.body[..length];
        self.stream.read_exact(body)?;
        Ok(body)
    }

    /// Asks for a page, and reads so many bytes of the answer.
    pub fn begin(&mut self, path: &str, bytes: usize) -> Result<()> {
        self.ask(path)?;
        Ok(self.stream.read_exact(&mut vec![0; bytes])?)
    }

    fn ask(&mut self, path: &str) -> Result<()> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: bench\r\n\r\n");
        Ok(self.stream.get_mut().write_all(request.as_bytes())?)
    }
}
