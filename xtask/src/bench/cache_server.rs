//! Reads from the cache server, against nginx serving the same files.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use larder_testkit::{nginx, server::Server};

use super::{
    client::Client,
    harness::{Bench, Cost, Row, alternate_costs, remove, time},
};
use crate::cargo::capture;

/// How many objects there are, and their size in bytes.
const OBJECTS: usize = 64;
const SIZE: usize = 1 << 20;
/// How many connections read at once, and how often each reads every object.
const CONNECTIONS: usize = 8;
const ROUNDS: usize = 8;

/// Whole reads of objects by several connections, against nginx. All of it is in the kernel's memory.
pub fn reads(bench: &Bench, name: &str) -> Result<Vec<Row>> {
    let scratch = bench.directory.join("cache-server");
    remove(&scratch)?;
    fs::create_dir_all(&scratch)?;
    let cache = scratch.join("cache");
    let serve = |argument: &str| {
        let mut command = bench.larder();
        command.args(["--quiet", "serve", argument, "--cache"]).arg(&cache).current_dir(&scratch);
        command
    };
    let key = capture(&mut serve("--init-key"))?;
    let larder = Server::larder(serve("--anonymous-reads"));
    let contents = upload(&scratch, &larder, key.trim())?;
    let served = nginx::start(&scratch, MAIN, |address| http(address, &cache.join("objects")));
    let nginx = served.context("nginx is not installed")?;
    let ours = Side { server: &larder, path: |number| format!("/larder/bench/{number}") };
    let theirs = Side { server: &nginx, path: |number| format!("/bench/{number}.object") };
    for side in [&ours, &theirs] {
        side.verify(&contents)?;
    }
    let (wall, cpu) =
        alternate_costs(bench.runs, |_| Ok(()), || ours.measure(), || theirs.measure())?;
    let gibibytes = (CONNECTIONS * ROUNDS * OBJECTS * SIZE) >> 30;
    let work = format!("reading {gibibytes} GiB in objects of 1 MiB by {CONNECTIONS} connections");
    let rows = vec![
        // 0.8 of its throughput.
        wall.row(name, &work, "nginx", 1.25),
        cpu.row(&format!("{name}-cpu"), &format!("{work}: CPU"), "nginx", 1.5),
    ];
    drop((larder, nginx));
    remove(&scratch)?;
    Ok(rows)
}

/// Uploads objects that have nothing in common. Returns their contents.
fn upload(scratch: &Path, server: &Server, key: &str) -> Result<Vec<Vec<u8>>> {
    let files = scratch.join("files");
    fs::create_dir(&files)?;
    let mut random = fs::File::open("/dev/urandom")?;
    let mut contents = Vec::with_capacity(OBJECTS);
    for number in 0..OBJECTS {
        let mut content = vec![0; SIZE];
        std::io::Read::read_exact(&mut random, &mut content)?;
        fs::write(files.join(number.to_string()), &content)?;
        contents.push(content);
    }
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--fail", "--aws-sigv4", "aws:amz:us-east-1:s3"]);
    curl.args(["--header", "x-amz-content-sha256: UNSIGNED-PAYLOAD", "--user", key]);
    curl.args(["--upload-file", &format!("[0-{}]", OBJECTS - 1)]).arg(server.at("/larder/bench/"));
    time(curl.current_dir(&files))?;
    Ok(contents)
}

/// What nginx is told of processes: that its workers may read what larder wrote is for when root starts it.
const MAIN: &str = "worker_processes auto;\nuser root;";

/// What it is told of files.
fn http(address: SocketAddr, root: &Path) -> String {
    let root = root.display();
    format!("sendfile on;\ntcp_nopush on;\nserver {{\nlisten {address};\nroot {root};\n}}\n")
}

/// A server, and what it calls an object.
struct Side<'a> {
    server: &'a Server,
    path: fn(usize) -> String,
}

impl Side<'_> {
    /// Reads every object once and looks at it. Files have something behind the content.
    fn verify(&self, contents: &[Vec<u8>]) -> Result<()> {
        let mut client = Client::new(self.server.address)?;
        for (number, content) in contents.iter().enumerate() {
            let path = (self.path)(number);
            ensure!(client.get(&path)?.starts_with(content), "{path} is something else");
        }
        Ok(())
    }

    /// The time that all reads take, and the CPU time that the server takes for them.
    fn measure(&self) -> Result<Cost> {
        let before = cpu(self.server.id())?;
        let start = Instant::now();
        thread::scope(|scope| {
            let clients: Vec<_> =
                (0..CONNECTIONS).map(|first| scope.spawn(move || self.read(first))).collect();
            for client in clients {
                let Ok(read) = client.join() else { bail!("a client panicked") };
                read?;
            }
            Ok(())
        })?;
        Ok(Cost { wall: start.elapsed(), cpu: cpu(self.server.id())?.saturating_sub(before) })
    }

    /// Reads all objects a few times by one connection, from the first one on.
    fn read(&self, first: usize) -> Result<()> {
        let mut client = Client::new(self.server.address)?;
        let first = first * OBJECTS / CONNECTIONS;
        for number in 0..ROUNDS * OBJECTS {
            let path = (self.path)((first + number) % OBJECTS);
            let length = client.get(&path)?.len();
            ensure!(length >= SIZE, "{path} has {length} bytes");
        }
        Ok(())
    }
}

/// The CPU time of a process and of its children so far.
fn cpu(process: u32) -> Result<Duration> {
    // Of which Linux shows 100 a second.
    const TICK: Duration = Duration::from_millis(10);
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name stands in brackets; behind it, user and system time are the twelfth and the thirteenth.
    let (_, numbers) = stat.rsplit_once(')').context("the kernel does not say what it used")?;
    let ticks = numbers.split_whitespace().skip(11).take(2).map(str::parse::<u32>);
    let mut sum = TICK * ticks.sum::<Result<u32, _>>()?;
    let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children"))?;
    for child in children.split_whitespace() {
        sum += cpu(child.parse()?)?;
    }
    Ok(sum)
}
