//! The parts that every row of the table shares: timing two commands alternately, and the row itself.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde::Serialize;
use wait4::Wait4;

use crate::cargo::shown;

/// The things that a row needs to know.
pub struct Bench {
    /// The release build of larder.
    pub larder: PathBuf,
    /// How often each side is run.
    pub runs: usize,
    /// Where generated projects are kept between runs.
    pub directory: PathBuf,
}

impl Bench {
    /// larder's command line, with a store of the benchmarks' own.
    pub fn larder(&self) -> Command {
        let mut command = Command::new(&self.larder);
        command.env("LARDER_CACHE_DIR", self.store());
        command
    }

    /// Empties the store that [`Self::larder`] uses.
    ///
    /// # Errors
    /// When something in it stays.
    pub fn clear_store(&self) -> Result<()> {
        remove(&self.store())
    }

    fn store(&self) -> PathBuf {
        self.directory.join("store")
    }
}

/// The unit of a row's figures.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Unit {
    /// Wall time.
    Seconds,
    /// Sizes and memory.
    Bytes,
    /// Requests to a service.
    Requests,
}

/// One line of the table.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// As it is asked for on the command line, with a suffix where one gives several lines.
    pub name: String,
    /// The work that was done.
    pub work: String,
    /// The program that it is measured against.
    pub yardstick: String,
    /// The unit of the figures.
    pub unit: Unit,
    /// larder's figure: the median, where it was run several times.
    pub ours: f64,
    /// The yardstick's.
    pub theirs: f64,
    /// The most that `ours / theirs` may be.
    pub limit: f64,
}

impl Row {
    /// larder's figure in terms of the yardstick's.
    pub fn ratio(&self) -> f64 {
        self.ours / self.theirs
    }

    /// Whether the limit is held.
    pub fn holds(&self) -> bool {
        self.ratio() <= self.limit
    }
}

/// Medians of both sides, in seconds.
pub struct Medians {
    /// larder's.
    pub ours: f64,
    /// The yardstick's.
    pub theirs: f64,
}

impl Medians {
    /// The row that they make.
    pub fn row(&self, name: &str, work: &str, yardstick: &str, limit: f64) -> Row {
        Row {
            name: name.to_owned(),
            work: work.to_owned(),
            yardstick: yardstick.to_owned(),
            unit: Unit::Seconds,
            ours: self.ours,
            theirs: self.theirs,
            limit,
        }
    }
}

/// Runs both sides `runs` times, one after the other, each first in half of the rounds. `prepare` is
/// called before each round with its number, and is not timed.
///
/// # Errors
/// The first that any of the three has.
pub fn alternate(
    runs: usize,
    prepare: impl FnMut(usize) -> Result<()>,
    ours: impl FnMut() -> Result<Duration>,
    theirs: impl FnMut() -> Result<Duration>,
) -> Result<Medians> {
    let (ours, theirs) = rounds(runs, prepare, ours, theirs)?;
    Ok(Medians { ours: median(ours), theirs: median(theirs) })
}

/// Runs both sides as [`alternate`] does. Gives the medians of wall time, and those of CPU time.
///
/// # Errors
/// The first that any of the three has.
pub fn alternate_costs(
    runs: usize,
    prepare: impl FnMut(usize) -> Result<()>,
    ours: impl FnMut() -> Result<Cost>,
    theirs: impl FnMut() -> Result<Cost>,
) -> Result<(Medians, Medians)> {
    let (ours, theirs) = rounds(runs, prepare, ours, theirs)?;
    let of = |part: fn(&Cost) -> Duration| Medians {
        ours: median(ours.iter().map(part).collect()),
        theirs: median(theirs.iter().map(part).collect()),
    };
    Ok((of(|cost| cost.wall), of(|cost| cost.cpu)))
}

/// All measurements of both sides.
fn rounds<T>(
    runs: usize,
    mut prepare: impl FnMut(usize) -> Result<()>,
    mut ours: impl FnMut() -> Result<T>,
    mut theirs: impl FnMut() -> Result<T>,
) -> Result<(Vec<T>, Vec<T>)> {
    let (mut our_times, mut their_times) = (Vec::new(), Vec::new());
    for round in 0..runs.max(1) {
        prepare(round)?;
        if round % 2 == 0 {
            our_times.push(ours()?);
            their_times.push(theirs()?);
        } else {
            their_times.push(theirs()?);
            our_times.push(ours()?);
        }
    }
    Ok((our_times, their_times))
}

/// The median in seconds; of an even number, the mean of the middle two; of none, zero.
pub fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    let middle = times.len() / 2;
    match (times.get(middle.wrapping_sub(1)), times.get(middle)) {
        (Some(low), Some(high)) if times.len().is_multiple_of(2) => {
            (*low + *high).as_secs_f64() / 2.0
        }
        (_, Some(middle)) => middle.as_secs_f64(),
        _ => 0.0,
    }
}

/// Runs a command to its end without showing what it prints, and gives its wall time.
///
/// # Errors
/// When it cannot be run or does not succeed, with what it said.
pub fn time(command: &mut Command) -> Result<Duration> {
    cost(command).map(|cost| cost.wall)
}

/// The time that a command takes.
#[derive(Clone, Copy)]
pub struct Cost {
    /// From its start to its end.
    pub wall: Duration,
    /// User and system time of its process and of the children that it waited for.
    pub cpu: Duration,
}

/// As [`time`], with the CPU time.
///
/// # Errors
/// As [`time`].
pub fn cost(command: &mut Command) -> Result<Cost> {
    let cannot_run = |command: &Command| format!("cannot run {}", shown(command));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let start = Instant::now();
    let mut child = command.spawn().with_context(|| cannot_run(command))?;
    let mut said = Vec::new();
    if let Some(mut stderr) = child.stderr.take() {
        stderr.read_to_end(&mut said).with_context(|| cannot_run(command))?;
    }
    let used = child.wait4().with_context(|| cannot_run(command))?;
    let wall = start.elapsed();
    if !used.status.success() {
        let said = String::from_utf8_lossy(&said);
        bail!("`{}` failed ({}): {}", shown(command), used.status, said.trim());
    }
    Ok(Cost { wall, cpu: used.rusage.utime + used.rusage.stime })
}

/// The most memory that a command held at one time, in bytes; its children do not count. Measured
/// by GNU time.
///
/// # Errors
/// As [`time`].
pub fn peak_memory(command: &Command) -> Result<f64> {
    let mut timed = Command::new("/usr/bin/time");
    timed.args(["--quiet", "--format", "%M"]).arg(command.get_program()).args(command.get_args());
    if let Some(directory) = command.get_current_dir() {
        timed.current_dir(directory);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => timed.env(name, value),
            None => timed.env_remove(name),
        };
    }
    let output = timed.stdin(Stdio::null()).output().context("cannot run /usr/bin/time")?;
    let said = String::from_utf8_lossy(&output.stderr);
    let kibibytes = said.lines().last().and_then(|line| line.trim().parse::<f64>().ok());
    match (output.status.success(), kibibytes) {
        (true, Some(kibibytes)) => Ok(kibibytes * 1024.0),
        _ => bail!("`{}` failed: {}", shown(command), said.trim()),
    }
}

/// Removes a directory and all that is in it, or nothing when it is not there.
///
/// # Errors
/// When it is there and stays.
pub fn remove(directory: &Path) -> Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", directory.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        let seconds =
            |times: &[u64]| median(times.iter().map(|&s| Duration::from_secs(s)).collect());
        assert_eq!(seconds(&[]), 0.0);
        assert_eq!(seconds(&[3]), 3.0);
        assert_eq!(seconds(&[1, 9, 2]), 2.0);
        assert_eq!(seconds(&[4, 1, 9, 2]), 3.0);
    }

    #[test]
    fn sides_take_turns() {
        let order = std::cell::RefCell::new(String::new());
        let side = |name: char| {
            order.borrow_mut().push(name);
            Ok(Duration::ZERO)
        };
        alternate(3, |_| Ok(()), || side('a'), || side('b')).unwrap();
        assert_eq!(*order.borrow(), "abbaab");
    }
}
