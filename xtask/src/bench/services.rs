//! Fetching from a service, against one GET an artifact by curl.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use larder_store::{Mappings, staging::MAPPINGS_NAME};
use larder_trace::{ContentHash, OutputFile, Outputs};

use super::harness::{Bench, Row, Unit, alternate, remove, time};

const ARTIFACTS: usize = 1_200;
const SIZE: usize = 14 << 10;
/// How far away the service is.
const DELAY: Duration = Duration::from_millis(40);

/// `larder cache get` of a revision, against `curl --parallel` of the same artifacts.
pub fn fetch(bench: &Bench, name: &str) -> Result<Vec<Row>> {
    let scratch = bench.directory.join("services");
    remove(&scratch)?;
    let (staged, service, fetched) =
        (scratch.join("staged"), scratch.join("service"), scratch.join("fetched"));
    for directory in [&staged, &service, &fetched] {
        fs::create_dir_all(directory)?;
    }
    let hashes = stage(&staged)?;
    let server = Server::start(&scratch, DELAY)?;
    let config = scratch.join("config.toml");
    let table =
        |name: &str, url: &str| format!("[[cache.service]]\nname = \"{name}\"\nurl = \"{url}\"\n");
    let near = table("near", &format!("file://{}", service.display()));
    let far = table("far", &format!("http://{}/service", server.address));
    fs::write(&config, near + &far)?;
    let larder = |arguments: &[&str]| {
        let mut command = bench.larder();
        command.env("LARDER_CONFIG", &config).current_dir(&scratch).args(["--quiet", "cache"]);
        command.args(arguments).args(["--rev", "v1", "--scope", "bench"]);
        command
    };
    time(&mut larder(&["put-staged", &staged.display().to_string(), "--service", "near"]))?;
    let list = scratch.join("list");
    let lines = hashes.iter().map(|hash| {
        let (address, target) = (server.address, fetched.join(hash.to_string()));
        format!("url = \"http://{address}/staged/{hash}\"\noutput = \"{}\"\n", target.display())
    });
    fs::write(&list, lines.collect::<String>())?;

    let (mut our_requests, mut their_requests) = (0, 0);
    let medians = alternate(
        bench.runs,
        |_| {
            bench.clear_store()?;
            remove(&fetched)?;
            fs::create_dir(&fetched).context("cannot make a directory")
        },
        || {
            server.requests();
            let took = time(&mut larder(&["get", "--service", "far"]))?;
            our_requests = server.requests();
            Ok(took)
        },
        || {
            server.requests();
            let mut curl = Command::new("curl");
            curl.args(["--parallel", "--silent", "--show-error", "--fail", "--config"]);
            let took = time(curl.arg(&list))?;
            their_requests = server.requests();
            Ok(took)
        },
    )?;
    // Verified as they came; all of them did, or the command had failed.
    let work = format!("fetching {ARTIFACTS} artifacts of 14 KiB, {} ms away", DELAY.as_millis());
    let rows = vec![
        medians.row(name, &work, "curl --parallel", 0.2),
        Row {
            name: format!("{name}-requests"),
            work: format!("{work}: requests"),
            yardstick: "curl --parallel".to_owned(),
            unit: Unit::Requests,
            ours: our_requests as f64,
            theirs: their_requests as f64,
            limit: 1.0 / 20.0,
        },
    ];
    remove(&scratch)?;
    Ok(rows)
}

/// Makes a staging directory of many small artifacts, each the output of a target of its own.
fn stage(directory: &Path) -> Result<Vec<ContentHash>> {
    let mut mappings = Mappings::default();
    let mut hashes = Vec::with_capacity(ARTIFACTS);
    for number in 0..ARTIFACTS {
        let content = content(number);
        let hash = ContentHash::of_bytes(&content);
        fs::write(directory.join(hash.to_string()), &content)?;
        let path = format!("object{number}");
        let file = OutputFile { path, hash, size: content.len() as u64, executable: false };
        let outputs = Outputs { outputs: vec![file], ..Outputs::default() };
        mappings.insert(ContentHash::of_bytes(&number.to_le_bytes()), outputs);
        hashes.push(hash);
    }
    mappings.write(&directory.join(MAPPINGS_NAME))?;
    Ok(hashes)
}

/// Content that compresses to about half, as object code does; different for each number.
pub fn content(number: usize) -> Vec<u8> {
    let mut state = number as u64 + 1;
    let mut content = Vec::with_capacity(SIZE + 4);
    while content.len() < SIZE {
        // Knuth's generator: its upper bits are random enough.
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let [byte, run, ..] = state.to_be_bytes();
        content.extend(std::iter::repeat_n(byte, 1 + usize::from(run % 3)));
    }
    content.truncate(SIZE);
    content
}

/// A web server for a directory that answers every request late, and counts them.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    requests: Arc<AtomicU64>,
}

impl Server {
    /// Serves `root` until the process ends, and answers each request after `delay`.
    pub fn start(root: &Path, delay: Duration) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot listen")?;
        let address = listener.local_addr()?;
        let requests = Arc::new(AtomicU64::new(0));
        let (root, count) = (root.to_owned(), Arc::clone(&requests));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (root, count) = (root.clone(), Arc::clone(&count));
                thread::spawn(move || _ = serve(&root, &count, delay, client));
            }
        });
        Ok(Self { address, requests })
    }

    /// Requests since the last call.
    pub fn requests(&self) -> u64 {
        self.requests.swap(0, Ordering::Relaxed)
    }
}

/// Answers `GET` and `HEAD`, with one range or without, `PUT` and `DELETE`, until the client hangs up.
fn serve(root: &Path, count: &AtomicU64, delay: Duration, mut client: TcpStream) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut reader = BufReader::new(client.try_clone()?);
    while let Some(request) = reader.by_ref().lines().next().transpose()? {
        let (mut range, mut sent) = (None, 0);
        for line in reader.by_ref().lines() {
            let line = line?.to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            let length = line.strip_prefix("content-length: ");
            sent = length.and_then(|length| length.parse().ok()).unwrap_or(sent);
            range = line.strip_prefix("range: bytes=").map(str::to_owned).or(range);
        }
        let mut body = vec![0; sent];
        reader.read_exact(&mut body)?;
        count.fetch_add(1, Ordering::Relaxed);
        thread::sleep(delay);
        let mut words = request.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if matches!(method, "PUT" | "DELETE") {
            let path = PathBuf::from(format!("{}{path}", root.display()));
            if method == "PUT" {
                fs::create_dir_all(path.parent().unwrap_or(root))?;
                fs::write(path, body)?;
            } else {
                _ = fs::remove_file(path);
            }
            client.write_all(b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n")?;
            continue;
        }
        let is_head = method == "HEAD";
        let file = match File::open(PathBuf::from(format!("{}{path}", root.display()))) {
            Ok(file) => file,
            Err(_) => {
                client.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")?;
                continue;
            }
        };
        let length = file.metadata()?.len();
        let parsed = range.as_deref().and_then(|range| range.split_once('-'));
        let (start, end) = match parsed {
            Some((from, to)) => {
                (from.parse().unwrap_or(0), to.parse().map_or(length, |to: u64| to + 1).min(length))
            }
            None => (0, length),
        };
        let mut response = match parsed {
            Some(_) => format!(
                "HTTP/1.1 206 Partial Content\r\ncontent-range: bytes {start}-{}/{length}\r\n",
                end.saturating_sub(1)
            ),
            None => "HTTP/1.1 200 OK\r\n".to_owned(),
        };
        let body = end.saturating_sub(start);
        response += &format!("content-length: {body}\r\n");
        response += "last-modified: Wed, 21 Oct 2015 07:28:00 GMT\r\netag: \"1\"\r\n\r\n";
        let mut response = response.into_bytes();
        if !is_head {
            let head = response.len();
            response.resize(head + body as usize, 0);
            file.read_exact_at(&mut response[head..], start)?;
        }
        client.write_all(&response)?;
    }
    Ok(())
}
