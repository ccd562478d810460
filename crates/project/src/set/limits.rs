//! `[limits]`: how much the build of one package may use, all its commands together.

use std::time::Duration;

use crate::{age::Age, diagnostic::Located, size, table::Fields};

/// The limits of one package's build. Each stage (build, tests, documentation) has them anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Limits {
    /// How long it may take.
    pub time: Duration,
    /// The memory of all its processes together, in bytes.
    pub memory: u64,
    /// How many processes and threads it may have at once.
    pub processes: u32,
    /// How much it may write, in bytes.
    pub disk: u64,
    /// How much of what it prints is kept, in bytes.
    pub log: u64,
}

/// Thirty minutes, 4 GiB of memory, 512 processes, 10 GiB on the disk, a log of 16 MiB.
impl Default for Limits {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(30 * 60),
            memory: 4 << 30,
            processes: 512,
            disk: 10 << 30,
            log: 16 << 20,
        }
    }
}

/// The limits that are said in one place: those that are not are as elsewhere.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct OwnLimits {
    /// As in [`Limits`].
    pub time: Option<Duration>,
    /// As in [`Limits`].
    pub memory: Option<u64>,
    /// As in [`Limits`].
    pub processes: Option<u32>,
    /// As in [`Limits`].
    pub disk: Option<u64>,
    /// As in [`Limits`].
    pub log: Option<u64>,
}

impl OwnLimits {
    /// Returns these limits, and `others` for what they do not say.
    pub fn over(&self, others: Limits) -> Limits {
        Limits {
            time: self.time.unwrap_or(others.time),
            memory: self.memory.unwrap_or(others.memory),
            processes: self.processes.unwrap_or(others.processes),
            disk: self.disk.unwrap_or(others.disk),
            log: self.log.unwrap_or(others.log),
        }
    }
}

/// Limits of a table.
pub(super) fn limits(mut fields: Fields<'_, '_>) -> OwnLimits {
    let limits = OwnLimits {
        time: time(&mut fields),
        memory: bytes(&mut fields, "memory"),
        processes: processes(&mut fields),
        disk: bytes(&mut fields, "disk"),
        log: bytes(&mut fields, "log"),
    };
    fields.finish();
    limits
}

fn time(fields: &mut Fields<'_, '_>) -> Option<Duration> {
    let text = fields.string("time")?;
    let help = "write a number and s, min, h or d, such as time = \"30 min\"";
    match text.parse::<Age>() {
        Ok(age) if !age.duration().is_zero() => Some(age.duration()),
        Ok(_) => refuse(fields, &text, "no time at all is no limit", help),
        Err(_) => refuse(fields, &text, &format!("`{}` is no length of time", *text), help),
    }
}

fn bytes(fields: &mut Fields<'_, '_>, key: &'static str) -> Option<u64> {
    let text = fields.string(key)?;
    let help = format!("write a number and KiB, MiB, GiB or TiB, such as {key} = \"4 GiB\"");
    match size::bytes(&text) {
        Ok(0) => refuse(fields, &text, "no bytes at all are no limit", &help),
        Ok(bytes) => Some(bytes),
        Err(_) => refuse(fields, &text, &format!("`{}` is no size", *text), &help),
    }
}

/// The most processes that a limit can say.
const MOST_PROCESSES: u32 = 1 << 22;

fn processes(fields: &mut Fields<'_, '_>) -> Option<u32> {
    let span = fields.entries.get("processes")?.span();
    match fields.number("processes", MOST_PROCESSES) {
        Some(0) => {
            let help = "a build needs a few: write processes = 512";
            fields.errors.push(span, "no processes at all are no limit", Some(help.to_owned()));
            None
        }
        number => number,
    }
}

fn refuse<T>(
    fields: &mut Fields<'_, '_>,
    text: &Located<String>,
    message: &str,
    help: &str,
) -> Option<T> {
    fields.errors.push(text.span.clone(), message, Some(help.to_owned()));
    None
}
