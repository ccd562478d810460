//! A proxy for HTTP/1.1 that delays and breaks what passes through it, as a bad network and a busy
//! server would.

use std::{
    io::{self, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use super::http::{read_body, read_head};

/// How often each thing happens to a request, from 0 to 1.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// An answer of 429.
    pub too_many: f64,
    /// An answer of 503.
    pub unavailable: f64,
    /// The connection is closed without an answer.
    pub reset: f64,
    /// There is no answer until the client leaves.
    pub stall: f64,
    /// Half of the body arrives.
    pub truncate: f64,
    /// A bit of the body is another.
    pub forge: f64,
    /// How long every request is held up.
    pub delay: Duration,
    /// Seconds in the `Retry-After` of 429s.
    pub retry_after: u64,
}

/// The proxy; it ends with the test.
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: SocketAddr,
    faults: Mutex<Faults>,
    rng: Mutex<fastrand::Rng>,
    requests: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
    log: Mutex<Vec<String>>,
    refused: Mutex<Option<String>>,
    down: AtomicBool,
}

impl Proxy {
    /// Stands before `upstream`; the same `seed` gives the same faults.
    pub fn start(upstream: SocketAddr, faults: Faults, seed: u64) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            upstream,
            faults: Mutex::new(faults),
            rng: Mutex::new(fastrand::Rng::with_seed(seed)),
            requests: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            log: Mutex::default(),
            refused: Mutex::default(),
            down: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if accepting.down.load(Ordering::Relaxed) {
                    return;
                }
                let shared = Arc::clone(&accepting);
                thread::spawn(move || _ = shared.serve(client));
            }
        });
        Self { address, shared }
    }

    /// From now on these happen.
    pub fn set(&self, faults: Faults) {
        *self.shared.faults.lock().unwrap() = faults;
    }

    /// From now on, requests that would write what has `part` in its path are answered with 403.
    pub fn refuse(&self, part: &str) {
        *self.shared.refused.lock().unwrap() = Some(part.to_owned());
    }

    /// Requests since the last call.
    pub fn requests(&self) -> u64 {
        self.shared.requests.swap(0, Ordering::Relaxed)
    }

    /// Bytes of request bodies since the last call.
    pub fn received(&self) -> u64 {
        self.shared.received.swap(0, Ordering::Relaxed)
    }

    /// Bytes of responses since the last call.
    pub fn sent(&self) -> u64 {
        self.shared.sent.swap(0, Ordering::Relaxed)
    }

    /// The request lines since the last call.
    pub fn log(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.log.lock().unwrap())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.down.store(true, Ordering::Relaxed);
        _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn serve(&self, client: TcpStream) -> io::Result<()> {
        client.set_nodelay(true)?;
        let mut reader = BufReader::new(client.try_clone()?);
        let mut client = client;
        while let Some(head) = read_head(&mut reader)? {
            let body = read_body(&mut reader, &head)?;
            self.requests.fetch_add(1, Ordering::Relaxed);
            self.received.fetch_add(body.len() as u64, Ordering::Relaxed);
            self.log.lock().unwrap().push(head.lines().next().unwrap_or_default().to_owned());
            let refused = self.refused.lock().unwrap().clone();
            let is_refused = |part: String| {
                let line = head.lines().next().unwrap_or_default();
                !line.starts_with("GET") && !line.starts_with("HEAD") && line.contains(&part)
            };
            if refused.is_some_and(is_refused) {
                client.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")?;
                continue;
            }
            let faults = *self.faults.lock().unwrap();
            thread::sleep(faults.delay);
            let mut dice = {
                let mut rng = self.rng.lock().unwrap();
                fastrand::Rng::with_seed(rng.u64(..))
            };
            let mut happens = |rate: f64| dice.f64() < rate;
            if happens(faults.too_many) {
                let after = faults.retry_after;
                write!(
                    client,
                    "HTTP/1.1 429 Too Many Requests\r\nretry-after: {after}\r\ncontent-length: 0\r\n\r\n"
                )?;
                continue;
            }
            if happens(faults.unavailable) {
                client.write_all(
                    b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 9\r\n\r\nSlow down",
                )?;
                continue;
            }
            if happens(faults.reset) {
                return Ok(());
            }
            if happens(faults.stall) {
                // Until the other side has had enough.
                return reader.read(&mut [0]).map(|_| ());
            }
            let mut response = self.forward(&head, &body)?;
            let body_at = response.windows(4).position(|w| w == b"\r\n\r\n").map_or(0, |at| at + 4);
            let is_success = response.starts_with(b"HTTP/1.1 2");
            if is_success && response.len() > body_at {
                if happens(faults.truncate) {
                    let cut = body_at + (response.len() - body_at) / 2;
                    self.sent.fetch_add(cut as u64, Ordering::Relaxed);
                    return client.write_all(&response[..cut]);
                }
                if happens(faults.forge) {
                    let at = body_at + dice.usize(..response.len() - body_at);
                    response[at] ^= 1 << dice.u8(..8);
                }
            }
            self.sent.fetch_add(response.len() as u64, Ordering::Relaxed);
            client.write_all(&response)?;
        }
        Ok(())
    }

    /// The whole response, with its head made fit for a connection that stays.
    fn forward(&self, head: &str, body: &[u8]) -> io::Result<Vec<u8>> {
        let mut upstream = TcpStream::connect(self.upstream)?;
        upstream.set_nodelay(true)?;
        let mut request = String::new();
        for line in head.lines().filter(|line| !line.to_lowercase().starts_with("connection:")) {
            if !line.is_empty() {
                request.push_str(line);
                request.push_str("\r\n");
            }
        }
        request.push_str("connection: close\r\n\r\n");
        upstream.write_all(request.as_bytes())?;
        upstream.write_all(body)?;
        let mut response = Vec::new();
        upstream.read_to_end(&mut response)?;
        let end = response.windows(4).position(|w| w == b"\r\n\r\n").map_or(0, |at| at + 4);
        let kept: String = String::from_utf8_lossy(&response[..end])
            .split_inclusive("\r\n")
            .filter(|line| !line.to_lowercase().starts_with("connection:"))
            .collect();
        response.splice(..end, kept.into_bytes());
        Ok(response)
    }
}
