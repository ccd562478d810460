//! Logs: as pages, whose lines come as they are read and while they are written, and as they are.

use std::{
    fs::File,
    io::{self, Read},
    time::Duration,
};

use axum::{
    body::Body,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::stream;
use larder_runs::{
    name::RunId,
    run_log::{self, Log, RunState},
};
use tokio::{task, time};

use super::{App, blocking, headers, no_page, problem};
use crate::{
    html::{Frame, Links, LogLines, log_head, log_tail},
    model::NoPage,
};

/// How much of a file is read at once, in bytes.
const PIECE: usize = 256 << 10;

/// How often one looks whether a log has grown.
const BEAT: Duration = Duration::from_millis(200);

/// A log of a run: `….log` as it is, `….log.html` as a page.
pub async fn log(State(app): State<App>, Path((run, path)): Path<(String, String)>) -> Response {
    let missing = |app: &App| {
        problem(app, StatusCode::NOT_FOUND, "there is no such log: logs go with their runs", false)
    };
    let (path, is_page) = match path.strip_suffix(".html") {
        Some(path) => (path.to_owned(), true),
        None => (path, false),
    };
    let Ok(run) = run.parse::<RunId>() else { return missing(&app) };
    let runs = app.site.ecosystem().data.runs();
    let opened = blocking(move || Ok(open(&runs, &run, &path)?)).await;
    match opened {
        Ok(Some(opened)) if is_page => page(&app, opened),
        Ok(Some(opened)) => {
            let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
            (headers, body(opened.file)).into_response()
        }
        Ok(None) => missing(&app),
        Err(error) => no_page(&app, &error, false),
    }
}

/// A log that is there.
pub struct Opened {
    log: Log,
    file: File,
    /// The line that says what went wrong.
    error: Option<u64>,
}

/// Opens the log of a run by its path, where it is one of those that the run has.
fn open(runs: &std::path::Path, run: &RunId, path: &str) -> larder_runs::Result<Option<Opened>> {
    let Some(package) = package_of(path) else { return Ok(None) };
    let logs = run_log::find_logs(runs, run, &package)?;
    let Some(log) = logs.into_iter().find(|log| log.path == path) else { return Ok(None) };
    let Ok(file) = run_log::open_log(runs, &log) else { return Ok(None) };
    let result = run_log::recorded_result(runs, &log)?;
    let error = result.and_then(|entry| entry.result.log?.line);
    Ok(Some(Opened { log, file, error }))
}

/// Whether a log has no result, and its run is over. The first version kept no results beside its logs.
fn is_cut_short(runs: &std::path::Path, log: &Log) -> bool {
    let is_over = || {
        let run = run_log::read_run(runs, &log.run);
        matches!(run, Ok(Some(run)) if run.state != RunState::Running)
    };
    // Asked in this order: a run that is over writes no more results.
    log.path.starts_with("logs/")
        && is_over()
        && matches!(run_log::recorded_result(runs, log), Ok(None))
}

/// The package whose log is at a path.
fn package_of(path: &str) -> Option<larder_runs::name::PackageName> {
    let parts: Vec<&str> = path.split('/').collect();
    match parts[..] {
        ["logs", package, _] => package.parse().ok(),
        ["build" | "docs", file] => file.strip_suffix(".log")?.parse().ok(),
        _ => None,
    }
}

/// The bytes of a file.
pub fn body(file: File) -> Body {
    Body::from_stream(stream::try_unfold(file, |file| async move {
        let read = task::spawn_blocking(move || read(file)).await.map_err(io::Error::other)?;
        let (file, bytes) = read?;
        Ok::<_, io::Error>((!bytes.is_empty()).then_some((Bytes::from(bytes), file)))
    }))
}

fn read(mut file: File) -> io::Result<(File, Vec<u8>)> {
    let mut bytes = Vec::with_capacity(PIECE);
    file.by_ref().take(PIECE as u64).read_to_end(&mut bytes)?;
    Ok((file, bytes))
}

/// What is still to be sent of a log's page.
enum Left {
    Head,
    Lines { file: File, lines: Box<LogLines> },
    Tail,
    Nothing,
}

/// A log as a page. One that grows is followed until it is complete, its run has ended, or the server ends.
fn page(app: &App, opened: Opened) -> Response {
    let Opened { log, file, error } = opened;
    let (app, mut file) = (app.clone(), Some(file));
    let pieces = stream::unfold(Left::Head, move |left| {
        let (app, log) = (app.clone(), log.clone());
        let file = file.take();
        async move { piece(&app, &log, left, file, error).await }
    });
    let kind =
        [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")];
    headers::piece_by_piece((kind, Body::from_stream(pieces)).into_response())
}

/// The next piece of a page, and what is left then.
async fn piece(
    app: &App,
    log: &Log,
    left: Left,
    file: Option<File>,
    error: Option<u64>,
) -> Option<(io::Result<Bytes>, Left)> {
    let name = app.site.ecosystem().name.as_deref();
    let frame = Frame { name, links: &Links::Server, kept: None };
    match left {
        Left::Head => {
            let raw = format!("/runs/{}/{}", log.run, log.path);
            let head = log_head(&frame, &log.name.to_string(), log.run.as_str(), Some(&raw), error);
            let lines = Box::new(LogLines::new(error));
            let left = Left::Lines { file: file?, lines };
            Some((Ok(head.into_string().into()), left))
        }
        Left::Lines { file, lines } => {
            let next = lines_of(app, log, file, lines).await;
            Some(match next {
                Ok((page, left)) => (Ok(page.into()), left),
                Err(error) => (Err(error), Left::Nothing),
            })
        }
        Left::Tail => {
            let (runs, log) = (app.site.ecosystem().data.runs(), log.clone());
            // Where it cannot be known, nothing is said.
            let cut_short = task::spawn_blocking(move || is_cut_short(&runs, &log)).await;
            let tail = log_tail(&frame, cut_short.unwrap_or(false));
            Some((Ok(tail.into_string().into()), Left::Nothing))
        }
        Left::Nothing => None,
    }
}

/// The next lines of a log, which is waited for where it grows.
async fn lines_of(
    app: &App,
    log: &Log,
    mut file: File,
    mut lines: Box<LogLines>,
) -> io::Result<(String, Left)> {
    let mut page = String::new();
    loop {
        let runs = app.site.ecosystem().data.runs();
        let run = log.run.clone();
        let work = move || {
            // Asked before the log is read: what it says then is all.
            let is_running = || {
                let record = run_log::read_run(&runs, &run);
                matches!(record, Ok(Some(record)) if record.state == RunState::Running)
            };
            let growing = run_log::is_growing(&file) && is_running();
            let (file, bytes) = read(file)?;
            Ok::<_, io::Error>((file, bytes, growing))
        };
        let (same, bytes, growing) =
            task::spawn_blocking(work).await.map_err(io::Error::other)??;
        file = same;
        if !bytes.is_empty() {
            page.reserve(bytes.len() * 2);
            lines.push(&bytes, &mut page);
            return Ok((page, Left::Lines { file, lines }));
        }
        if !growing || *app.ending.borrow() {
            lines.finish(&mut page);
            return Ok((page, Left::Tail));
        }
        time::sleep(BEAT).await;
    }
}

/// A whole page of a log that grows no more, for an export.
///
/// # Errors
/// Where it cannot be read.
pub fn whole(
    frame: &Frame<'_>,
    runs: &std::path::Path,
    run: &RunId,
    path: &str,
) -> Result<Option<Vec<u8>>, NoPage> {
    let Some(Opened { log, mut file, error }) = open(runs, run, path)? else { return Ok(None) };
    let head = log_head(frame, &log.name.to_string(), run.as_str(), None, error);
    let mut page = head.into_string();
    let mut lines = LogLines::new(error);
    loop {
        let (same, bytes) = match read(file) {
            Ok(read) => read,
            Err(_) => return Ok(None),
        };
        if bytes.is_empty() {
            break;
        }
        file = same;
        lines.push(&bytes, &mut page);
    }
    lines.finish(&mut page);
    page.push_str(&log_tail(frame, is_cut_short(runs, &log)).into_string());
    Ok(Some(page.into_bytes()))
}
