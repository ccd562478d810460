//! Showing a log, or a part of it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use larder_runs::DataDir;
use larder_runs::run_log::{self, Log as Found};
use larder_runs::sanitise::{Colours, Sanitised};
use serde_json::json;

use super::{Lines, Log};
use crate::commands::App;

/// Shows what is asked for of a log: in a pager, on standard output or as events.
pub(super) fn show(
    app: &App,
    data: &DataDir,
    arguments: &Log,
    log: &Found,
) -> larder_runs::Result<()> {
    let runs = data.runs();
    let mut file = run_log::open_log(&runs, log)?;
    let io = |error: io::Error| larder_runs::Error::Io {
        action: "show",
        path: runs.join(log.run.as_str()).join(&log.path),
        source: error,
    };
    let from = match arguments.tail {
        Some(lines) => tail(&mut file, lines).map_err(io)?,
        None => 0,
    };
    file.seek(SeekFrom::Start(from)).map_err(io)?;
    let terminal = io::stdout().is_terminal();
    if app.ui.json() {
        let mut output = Events { app, log, offset: from, held: Vec::new() };
        copy(&runs, arguments, log, file, from, &mut output)?;
        output.emit();
        return Ok(());
    }
    let colours = |shown: bool| if app.ui.color_of(shown) { Colours::Keep } else { Colours::Strip };
    if terminal
        && !arguments.follow
        && let Some(mut pager) = pager()
    {
        if let Some(input) = pager.stdin.take() {
            let mut output = Sanitised::new(input, colours(true));
            // Whoever leaves the pager has seen enough.
            let _ = copy(&runs, arguments, log, file, from, &mut output);
            let _ = output.finish();
        }
        return pager.wait().map(|_| ()).map_err(io);
    }
    let mut output = Sanitised::new(io::stdout(), colours(terminal));
    copy(&runs, arguments, log, file, from, &mut output)?;
    output.finish().map(|_| ()).map_err(io)
}

/// Copies what is asked for of a log.
fn copy(
    runs: &Path,
    arguments: &Log,
    log: &Found,
    file: File,
    from: u64,
    output: &mut impl Write,
) -> larder_runs::Result<()> {
    if arguments.follow {
        return run_log::follow_log(runs, log, from, output);
    }
    let mut reader = BufReader::with_capacity(64 * 1024, file);
    let copied = match arguments.lines {
        Some(lines) => copy_lines(&mut reader, lines, output),
        None => io::copy(&mut reader, output).map(|_| ()),
    };
    copied.and_then(|()| output.flush()).map_err(|error| larder_runs::Error::Io {
        action: "show",
        path: runs.join(log.run.as_str()).join(&log.path),
        source: error,
    })
}

/// Copies a range of lines, however long they are.
fn copy_lines(reader: &mut impl BufRead, lines: Lines, output: &mut impl Write) -> io::Result<()> {
    let mut line = 1;
    while line <= lines.to {
        let piece = reader.fill_buf()?;
        if piece.is_empty() {
            break;
        }
        let end = piece.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
        let length = end.unwrap_or(piece.len());
        if line >= lines.from {
            output.write_all(piece.get(..length).unwrap_or_default())?;
        }
        line += u64::from(end.is_some());
        reader.consume(length);
    }
    Ok(())
}

/// The offset at which the last lines of a file begin.
fn tail(file: &mut File, lines: usize) -> io::Result<u64> {
    const BLOCK: u64 = 64 * 1024;
    let mut end = file.metadata()?.len();
    if lines == 0 {
        return Ok(end);
    }
    let mut left = lines;
    let mut block = Vec::new();
    // The line feed at the very end ends the last line and begins none.
    let mut last = true;
    while end > 0 {
        let start = end.saturating_sub(BLOCK);
        file.seek(SeekFrom::Start(start))?;
        block.clear();
        file.take(end - start).read_to_end(&mut block)?;
        for (index, byte) in block.iter().enumerate().rev() {
            if *byte == b'\n' && !last {
                if left <= 1 {
                    return Ok(start + index as u64 + 1);
                }
                left -= 1;
            }
            last = false;
        }
        end = start;
    }
    Ok(0)
}

/// The program that shows long texts: `$PAGER`, else `less`. `None` where it cannot be started.
fn pager() -> Option<Child> {
    let pager = std::env::var("PAGER").unwrap_or_else(|_| "less -FRX".to_owned());
    let program = pager.split_whitespace().next()?;
    let found = Command::new("sh")
        .args(["-c", "command -v \"$1\"", "sh", program])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !found.is_ok_and(|status| status.success()) {
        return None;
    }
    Command::new("sh").arg("-c").arg(&pager).stdin(Stdio::piped()).spawn().ok()
}

/// Prints a log as events, whole lines together where they fit.
struct Events<'a> {
    app: &'a App,
    log: &'a Found,
    /// Where what is held begins, in bytes.
    offset: u64,
    held: Vec<u8>,
}

/// How many bytes an event of a log has at most, about.
const EVENT: usize = 64 * 1024;

impl Events<'_> {
    fn emit(&mut self) {
        self.emit_first(self.held.len());
    }

    fn emit_first(&mut self, length: usize) {
        let rest = self.held.split_off(length);
        let text = std::mem::replace(&mut self.held, rest);
        if text.is_empty() {
            return;
        }
        let name = &self.log.name;
        self.app.ui.event_json(&json!({
            "event": "log",
            "runId": self.log.run,
            "package": name.package,
            "stage": name.stage,
            "buildHash": name.build_hash,
            "attempt": name.attempt,
            "path": self.log.path,
            "offset": self.offset,
            "text": String::from_utf8_lossy(&text),
        }));
        self.offset += text.len() as u64;
    }
}

impl Write for Events<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.held.extend(bytes);
        if self.held.len() >= EVENT {
            let whole = self.held.iter().rposition(|byte| *byte == b'\n').map(|at| at + 1);
            self.emit_first(whole.unwrap_or(self.held.len()));
        }
        Ok(bytes.len())
    }

    /// Called where a log that is followed has no more for now.
    fn flush(&mut self) -> io::Result<()> {
        if let Some(end) = self.held.iter().rposition(|byte| *byte == b'\n') {
            self.emit_first(end + 1);
        }
        Ok(())
    }
}
