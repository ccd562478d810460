//! A plain web server for a directory, with and without ranges.

use std::{
    fs,
    io::{self, BufReader, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
};

use super::http::{listen, read_head};

/// The server.
#[derive(Debug)]
pub struct FileServer {
    /// Where it listens.
    pub address: SocketAddr,
}

impl FileServer {
    /// Serves `root` for as long as the test process lives.
    pub fn start(root: &Path, ranges: bool) -> Self {
        let root = root.to_owned();
        let address = listen(move |client| serve(&root, ranges, client));
        Self { address }
    }
}

fn serve(root: &Path, ranges: bool, mut client: TcpStream) -> io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    while let Some(head) = read_head(&mut reader)? {
        let target = head.split(' ').nth(1).unwrap_or_default();
        let file: PathBuf = root.join(target.trim_start_matches('/'));
        let Ok(content) = fs::read(file) else {
            client.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")?;
            continue;
        };
        let length = content.len();
        let range = head.lines().find_map(|line| {
            let (first, last) = line
                .to_lowercase()
                .strip_prefix("range: bytes=")?
                .split_once('-')
                .map(|(first, last)| (first.parse::<usize>(), last.parse::<usize>()))?;
            Some(first.ok()?..last.ok()? + 1)
        });
        let (status, more, body) = match range.filter(|_| ranges) {
            Some(range) => (
                "206 Partial Content",
                format!("content-range: bytes {}-{}/{length}\r\n", range.start, range.end - 1),
                &content[range],
            ),
            None => ("200 OK", String::new(), &content[..]),
        };
        let date = "last-modified: Wed, 21 Oct 2015 07:28:00 GMT";
        write!(
            client,
            "HTTP/1.1 {status}\r\n{more}{date}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        )?;
        if !head.starts_with("HEAD") {
            client.write_all(body)?;
        }
    }
    Ok(())
}
