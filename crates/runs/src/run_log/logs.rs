//! The logs of a run's packages.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::{Run, RunState, read_run};
use crate::error::{Context, Result};
use crate::file::{self, Durability};
use crate::name::{HashName, PackageName, RunId};

/// Which kind of log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogKind {
    /// Of building a package.
    Build,
    /// Of building its documentation.
    Docs,
}

impl LogKind {
    fn directory(self) -> &'static str {
        match self {
            LogKind::Build => "build",
            LogKind::Docs => "docs",
        }
    }
}

impl Run {
    /// Copies a package's build log into the run, with the hash of the layer that the build made.
    ///
    /// # Errors
    /// [`crate::Error::NotAFile`] when the log is a link or no regular file; [`crate::Error::Io`] when it
    /// cannot be read or copied.
    pub fn add_build_log(
        &self,
        package: &PackageName,
        source_log: &Path,
        layer_hash: &HashName,
    ) -> Result<()> {
        self.add_log(LogKind::Build, package, source_log, layer_hash)
    }

    /// Copies a package's documentation log into the run, with the hash of its layer.
    ///
    /// # Errors
    /// As [`Run::add_build_log`].
    pub fn add_doc_log(
        &self,
        package: &PackageName,
        source_log: &Path,
        layer_hash: &HashName,
    ) -> Result<()> {
        self.add_log(LogKind::Docs, package, source_log, layer_hash)
    }

    fn add_log(
        &self,
        kind: LogKind,
        package: &PackageName,
        source: &Path,
        layer: &HashName,
    ) -> Result<()> {
        let log = log_path(&self.dir, kind, package);
        file::create_dirs(log.parent().unwrap_or(&self.dir))?;
        file::copy_log(source, &log)?;
        // The log first: one that has its layer is complete.
        let layer_path = layer_path(&self.dir, kind, package);
        file::write_atomic(&layer_path, format!("{layer}\n").as_bytes(), Durability::Process)
    }
}

/// Where a package's log is in a run's directory, if it has one.
pub fn log_path(run_dir: &Path, kind: LogKind, package: &PackageName) -> PathBuf {
    run_dir.join(kind.directory()).join(format!("{package}.log"))
}

fn layer_path(run_dir: &Path, kind: LogKind, package: &PackageName) -> PathBuf {
    run_dir.join(kind.directory()).join(format!("{package}.layer"))
}

/// The hash of the layer that came with a package's log; `None` when there is no such log.
pub fn read_layer(run_dir: &Path, kind: LogKind, package: &PackageName) -> Option<HashName> {
    fs::read_to_string(layer_path(run_dir, kind, package)).ok()?.trim_end().parse().ok()
}

/// Writes a package's log to `output` as it grows, until it is complete or the run has ended. Waits for
/// a log that is not there yet; looks five times a second.
///
/// # Errors
/// [`crate::Error::Io`] when the log cannot be read or `output` not written.
pub fn follow_log(
    runs_dir: &Path,
    id: &RunId,
    kind: LogKind,
    package: &PackageName,
    output: &mut impl Write,
) -> Result<()> {
    let run_dir = runs_dir.join(id.as_str());
    let log = log_path(&run_dir, kind, package);
    let mut shown = 0;
    loop {
        // Asked before the log is read: what it says then is all.
        let running = read_run(runs_dir, id)?.is_some_and(|run| run.state == RunState::Running);
        let complete = read_layer(&run_dir, kind, package).is_some();
        match File::open(&log) {
            Ok(mut file) => {
                // A finished log takes the place of the growing one, and continues it.
                if file.metadata().context("read", &log)?.len() < shown {
                    shown = 0;
                }
                file.seek(SeekFrom::Start(shown)).context("read", &log)?;
                shown += io::copy(&mut file, output).context("show", &log)?;
                output.flush().context("show", &log)?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && running => {}
            Err(error) => return Err(error).context("read", &log),
        }
        if complete || !running {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(200));
    }
}

/// The packages that have a log of this kind in a run, sorted.
///
/// # Errors
/// [`crate::Error::Io`] when the directory cannot be listed.
pub fn logged_packages(run_dir: &Path, kind: LogKind) -> Result<Vec<PackageName>> {
    let names = file::names(&run_dir.join(kind.directory()))?;
    Ok(names.iter().filter_map(|name| name.strip_suffix(".log")?.parse().ok()).collect())
}
