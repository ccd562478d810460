//! The dashboard over a large ecosystem: how long a page takes, what the server holds, what an export takes.

use std::{
    fs,
    io::Write,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use larder_runs::{
    DataDir,
    result::RunKind,
    run_log::{Ending, LogName},
};
use larder_testkit::server::Server;

use super::{
    client::Client,
    harness::{Bench, Medians, Row, Unit, remove, time},
    runs,
};

/// How many clients ask at once, and how often each.
const CLIENTS: usize = 50;
const REQUESTS: usize = 40;

/// The size of a long log, and how much of its page is the first screen, in bytes.
const LOG: usize = 50 << 20;
const SCREEN: usize = 16 << 10;

/// The most that each may take: a page in 99 of 100 requests, the first page after the start, the first screen of a long
/// log, an export, in seconds; and the server, in bytes.
const PAGE: f64 = 0.05;
const FIRST: f64 = 1.0;
const FIRST_SCREEN: f64 = 0.1;
const EXPORT: f64 = 10.0;
const MEMORY: f64 = 300.0 * 1024.0 * 1024.0;

/// Pages of an ecosystem of 5,000 packages with 40 results each.
pub fn dashboard(bench: &Bench, name: &str) -> Result<Vec<Row>> {
    let data = DataDir::new(bench.directory.join("dashboard"));
    remove(data.root())?;
    runs::generate(&data.packages())?;
    let log = long_log(&data)?;
    // As after any run.
    larder_runs::status_index::update(&data)?;
    let row = |suffix: &str, work: &str, ours: f64, most: f64| {
        let work = format!("dashboard of 5,000 packages with 40 results each: {work}");
        let limited = Medians { ours, theirs: most };
        limited.row(&format!("{name}-{suffix}"), &work, &format!("{most} s"), 1.0)
    };
    let start = Instant::now();
    let mut command = bench.larder();
    command.args(["serve", "--data-dir"]).arg(data.root());
    let server = Server::larder(command);
    get(&server, "/")?;
    let first = start.elapsed().as_secs_f64();
    let mut rows = vec![row("first", "start to first page", first, FIRST)];
    let work = format!("{CLIENTS} clients, 99th percentile");
    for (page, path) in
        [("overview", "/"), ("packages", "/packages"), ("package", "/packages/package-7.1.0")]
    {
        let slowest = percentile(&server, path)?;
        rows.push(row(page, &format!("{page}, {work}"), slowest, PAGE));
    }
    let screen = Instant::now();
    Client::new(server.address)?.begin(&log, SCREEN)?;
    let screen = screen.elapsed().as_secs_f64();
    rows.push(row("log", "first screen of a log of 50 MiB", screen, FIRST_SCREEN));
    rows.push(Row {
        name: format!("{name}-memory"),
        work: "dashboard of 5,000 packages with 40 results each: peak memory".to_owned(),
        yardstick: "300 MiB".to_owned(),
        unit: Unit::Bytes,
        ours: peak_memory(&server)?,
        theirs: MEMORY,
        limit: 1.0,
    });
    drop(server);
    let site = bench.directory.join("dashboard-site");
    remove(&site)?;
    let export = || {
        let mut command = bench.larder();
        command.args(["--quiet", "serve", "--export"]).arg(&site);
        time(command.arg("--data-dir").arg(data.root()))
    };
    rows.push(row("export", "export", export()?.as_secs_f64(), EXPORT));
    rows.push(row("export-again", "export of the same once more", export()?.as_secs_f64(), EXPORT));
    remove(&site)?;
    remove(data.root())?;
    Ok(rows)
}

/// Writes a run with a long log. Returns the address of its page.
fn long_log(data: &DataDir) -> Result<String> {
    let run = runs::start(data, "2026-05-01T12:00:00Z", RunKind::Rerun)?;
    let mut result = runs::result(0, 0, "2026-05-01T12:00:00Z")?;
    let mut log = run.log_writer(&LogName::of(&result))?;
    let line = "\u{1b}[1mcc -O2 -c\u{1b}[0m src/a.c: warning: <unused> parameter & variable\n";
    log.write_all(line.repeat(LOG / line.len()).as_bytes())?;
    let file = log.finish();
    let address = format!("/runs/{}/{}.html", run.id(), file.path);
    result.log = Some(file);
    run.record(result)?;
    run.finish(Ending::Complete)?;
    Ok(address)
}

/// Gets a page.
fn get(server: &Server, path: &str) -> Result<()> {
    Client::new(server.address)?.get(path).map(|_| ())
}

/// Returns what 99 of 100 requests take at most when many clients ask, in seconds.
fn percentile(server: &Server, path: &str) -> Result<f64> {
    get(server, path)?;
    let client = || -> Result<Vec<Duration>> {
        let mut client = Client::new(server.address)?;
        let timed = |_| {
            let start = Instant::now();
            client.get(path)?;
            Ok(start.elapsed())
        };
        (0..REQUESTS).map(timed).collect()
    };
    let mut times = thread::scope(|scope| -> Result<Vec<Duration>> {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        let mut times = Vec::new();
        for client in clients {
            let Ok(own) = client.join() else { bail!("a client panicked") };
            times.extend(own?);
        }
        Ok(times)
    })?;
    times.sort_unstable();
    let at = times.len() * 99 / 100;
    Ok(times.get(at).context("nobody asked")?.as_secs_f64())
}

/// Returns the most memory that a server has held, in bytes.
fn peak_memory(server: &Server) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{}/status", server.id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    Ok(kilobytes.context("the kernel does not say what it held")? * 1024.0)
}
