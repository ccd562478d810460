//! A plain web server that takes files, as well and as badly as those of others do.

use std::{
    collections::BTreeMap,
    io::{self, BufReader, Write},
    net::{SocketAddr, TcpStream},
    sync::{Arc, Mutex},
};

use super::http::{listen, read_body, read_head};

/// What a server does with requests.
#[derive(Debug, Clone)]
pub enum Manners {
    /// It reads, writes and deletes.
    Good,
    /// It reads and writes, and answers 405 to a DELETE.
    NoDelete,
    /// It reads and writes, answers 204 to a DELETE, and does nothing.
    FalseDelete,
    /// It answers 200 with this to everything, and keeps nothing.
    CatchAll(Vec<u8>),
}

/// The server.
#[derive(Debug)]
pub struct Web {
    /// Where it listens.
    pub address: SocketAddr,
    /// What it has, by path without a first `/`.
    pub objects: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
}

impl Web {
    /// Serves for as long as the test process lives.
    pub fn start(manners: Manners) -> Self {
        let objects = Arc::<Mutex<BTreeMap<String, Vec<u8>>>>::default();
        let shared = Arc::clone(&objects);
        let address = listen(move |client| serve(&shared, &manners, client));
        Self { address, objects }
    }
}

fn serve(
    objects: &Mutex<BTreeMap<String, Vec<u8>>>,
    manners: &Manners,
    mut client: TcpStream,
) -> io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    while let Some(head) = read_head(&mut reader)? {
        let body = read_body(&mut reader, &head)?;
        let mut words = head.split(' ');
        let method = words.next().unwrap_or_default();
        let path = words.next().unwrap_or_default().trim_start_matches('/').to_owned();
        let mut objects = objects.lock().unwrap();
        let (status, answer) = match (manners, method) {
            (Manners::CatchAll(page), _) => ("200 OK", page.clone()),
            (_, "PUT") => {
                objects.insert(path, body);
                ("201 Created", Vec::new())
            }
            (_, "GET" | "HEAD") => match objects.get(&path) {
                Some(content) => ("200 OK", content.clone()),
                None => ("404 Not Found", Vec::new()),
            },
            (Manners::Good, "DELETE") => match objects.remove(&path) {
                Some(_) => ("204 No Content", Vec::new()),
                None => ("404 Not Found", Vec::new()),
            },
            (Manners::FalseDelete, "DELETE") => ("204 No Content", Vec::new()),
            _ => ("405 Method Not Allowed", Vec::new()),
        };
        drop(objects);
        let date = "last-modified: Wed, 21 Oct 2015 07:28:00 GMT";
        let length = answer.len();
        write!(client, "HTTP/1.1 {status}\r\n{date}\r\ncontent-length: {length}\r\n\r\n")?;
        if method != "HEAD" {
            client.write_all(&answer)?;
        }
    }
    Ok(())
}
