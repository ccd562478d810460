//! Taking over what a step's work made, and writing down what it was made from.

use std::{fs, io, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use larder_project::path::PortablePath;
use larder_trace::{
    BuildMetadata, Content, ContentHash, DiscoveredInput, Level, LogEntry, Outputs,
    clear_trace_file, write_trace_file,
};
use rustix::fs::{FileType, RawMode};

use super::{
    Inputs, Step, Work,
    execute::{Done, is_regular},
    taken::Taken,
};
use crate::{
    action::Output,
    artifact::{Artifact, Made},
    context::Context,
    event::{Ended, Status},
    executor::{Bench, ExecuteError},
    reason::Reason,
    staged::Staged,
};

impl Step {
    /// Moves the outputs into place and records them.
    pub(super) fn finish(
        &self,
        cx: &Context,
        inputs: Inputs<'_>,
        bench: &Bench<'_>,
        done: &Done,
    ) -> Result<Vec<Artifact>, ExecuteError> {
        let (discovered, mut settled) = self.discovered(cx, inputs, done)?;
        if self.work.in_place().is_none() {
            self.refuse_links(cx)?;
        } else if let Some(unfinished) = self.unfinished_in_place(cx) {
            return unfinished;
        }
        // What is recorded was made from what was hashed. An input that has changed under the work, or
        // since it was hashed, makes outputs that are used once.
        let needed = inputs.artifacts.iter().chain(&self.prerequisites);
        let needed = needed.into_iter().filter(|input| !self.only_helps(input));
        settled &= needed.into_iter().all(|input| cx.is_unchanged_since(input, done.begun));
        settled &= !done.silent || self.work.in_place().is_none_or(|shell| !shell.must_tell);
        let shared = self.shared_as(cx, inputs, done);
        let store = cx.cache.store(&self.place.name).filter(|_| settled && shared.is_possible());
        let mut taken = Taken { store, ..Taken::default() };
        for output in &self.outputs {
            let target = cx.absolute(&self.place.build_path(&output.path));
            if self.work.in_place().is_none() {
                self.take(bench, output, &target)?;
            }
            if output.directory {
                taken.directories.push(output.path.to_string());
                taken.tree(&target, output.path.as_str())?;
            } else {
                taken.file(&target, output.path.to_string())?;
            }
        }
        let searched = self.searched(cx, inputs, &discovered, &done.looked_for);
        let Taken { files, directories, refused, .. } = taken;
        let record = Outputs {
            outputs: files,
            directories,
            discovered,
            searched: searched.map(Box::new),
            log: done.log.clone(),
            milliseconds: done.milliseconds,
        };
        let trace = self.trace(inputs.trace);
        if settled && let Some(key) = shared.key(self, cx, trace.hash(), &record) {
            self.file_mapping(cx, &trace, key, &record, refused);
        }
        let mut mtimes = Vec::with_capacity(record.outputs.len());
        for file in &record.outputs {
            let path = self.recorded(&file.path)?;
            let hashed = cx.record_output(&path, file.hash);
            let failed = |error| ExecuteError::io(&cx.absolute(&path), &error);
            mtimes.push(hashed.map_err(failed)?.stat.mtime);
        }
        let made: Vec<Made<'_>> =
            record.outputs.iter().zip(mtimes).map(|(file, mtime)| Made::of(file, mtime)).collect();
        let artifacts = self.artifacts(&made);
        let trace_path = cx.absolute(&self.trace_path());
        if !settled {
            let failed = |error| ExecuteError::io(&trace_path, &error);
            clear_trace_file(&trace_path).map_err(failed)?;
            if self.work.in_place().is_none_or(|shell| !shell.generator) {
                tracing::info!(
                    "{}: an input changed while it was built; it will be built again next time",
                    self.name().output
                );
            }
            return Ok(artifacts);
        }
        let metadata = BuildMetadata::new(&trace, record, false);
        with_parent(&trace_path, || write_trace_file(&trace_path, &metadata))
            .map_err(|error| ExecuteError::io(&trace_path, &error))?;
        self.remember(cx, inputs, metadata.dep_hash, &metadata.outputs, true);
        Ok(artifacts)
    }

    /// Moves an output into place from where the work was told to write it, unless a command wrote it
    /// straight into place.
    fn take(&self, bench: &Bench<'_>, output: &Output, target: &Path) -> Result<(), ExecuteError> {
        let failed = |error: io::Error| ExecuteError::io(target, &error);
        let missing = || {
            Err(ExecuteError::Failed(format!(
                "it succeeded but did not write its output `{}`; commands write outputs to {{out}}, or below {{outdir}}",
                output.path
            )))
        };
        if bench.flat {
            let staged = bench.staged(output);
            if !is_regular(&staged) {
                return missing();
            }
            // What larder makes by itself is not rewritten where it has not changed.
            if matches!(self.work, Work::Text(_)) && same_bytes(&staged, target) {
                return fs::remove_file(&staged).map_err(failed);
            }
            return with_parent(target, || fs::rename(&staged, target)).map_err(|error| {
                if error.kind() == io::ErrorKind::IsADirectory {
                    directory_in_the_way(target)
                } else {
                    failed(error)
                }
            });
        }
        if let Some(staged) = Staged::find(bench.staging, output.path.as_str()).map_err(failed)? {
            self.check_kind(output, staged.kind)?;
            with_parent(target, || staged.rename(target)).map_err(failed)?;
        }
        // Looked at where no command can change it any more.
        match target.symlink_metadata() {
            Ok(metadata) => {
                let mode = metadata.permissions().mode();
                self.check_kind(output, FileType::from_raw_mode(mode as RawMode))
            }
            Err(_) => missing(),
        }
    }

    /// Returns the inputs that the work told of, and whether none of them has changed since it began.
    fn discovered(
        &self,
        cx: &Context,
        inputs: Inputs<'_>,
        done: &Done,
    ) -> Result<(Vec<DiscoveredInput>, bool), ExecuteError> {
        let mut settled = true;
        let mut found = Vec::with_capacity(done.discovered.len());
        for from_root in &done.discovered {
            if inputs.artifacts.iter().any(|input| input.path == *from_root) {
                continue;
            }
            let path = from_root.as_str();
            let content = Content::of_source(path);
            let hashed = match cx.index.file(path, content) {
                // What was read and is gone again, or is no file, cannot be looked at next time.
                Err(_) if self.work.in_place().is_some() => {
                    settled = false;
                    continue;
                }
                hashed => hashed.map_err(|error| ExecuteError::io(Path::new(path), &error))?,
            };
            // What a step has just made was hashed as a file before, and is as a text only now.
            settled &= [content, Content::Binary]
                .into_iter()
                .any(|content| cx.index.unchanged_since(path, content, done.begun));
            found.push(DiscoveredInput {
                path: cx.places.portable(&self.place, from_root).to_string(),
                hash: hashed.hash,
            });
        }
        settled &= self.add_behind(cx, &done.behind, &mut found)?;
        found.sort();
        found.dedup();
        Ok((found, settled))
    }

    /// Tells the index of a finished step whose trace file is written.
    pub(super) fn remember(
        &self,
        cx: &Context,
        inputs: Inputs<'_>,
        dep_hash: ContentHash,
        record: &Outputs,
        on_disk: bool,
    ) {
        let mut outputs: Vec<Box<str>> = Vec::with_capacity(record.outputs.len());
        for file in &record.outputs {
            let Ok(path) = self.recorded(&file.path) else { return };
            outputs.push(path.as_str().into());
        }
        let mut found: Vec<(Box<str>, Content)> = Vec::with_capacity(record.discovered.len());
        for input in &record.discovered {
            let path = PortablePath::recorded(&input.path);
            let Ok(path) = cx.places.find(&self.place, &path) else { return };
            found.push((path.as_str().into(), Content::of_source(path.as_str())));
        }
        // A file that somebody puts into an output directory changes that output.
        for path in directories(record).filter(|_| on_disk) {
            let Ok(path) = self.recorded(path) else { return };
            if cx.index.file(path.as_str(), Content::Names).is_err() {
                return;
            }
            found.push((path.as_str().into(), Content::Names));
        }
        // While no directory has other names, the search for inputs comes to the same.
        if let Some(searched) = &record.searched {
            let Some(now) = self.look_again(cx, inputs, searched, record) else { return };
            for path in now.watched {
                let path = cx.places.of_absolute(&path);
                if cx.index.file(path.as_str(), Content::Names).is_err() {
                    return;
                }
                found.push((path.as_str().into(), Content::Names));
            }
        }
        // What is only of interest to whoever looks closely is read then.
        let shown = record.log.iter().any(|entry| entry.level > Level::Trace);
        let has_more = shown || !record.directories.is_empty();
        cx.index.record_target(self.trace_path().as_str(), dep_hash, outputs, found, has_more);
    }

    /// Reports how the step ended.
    pub(super) fn tell(
        &self,
        cx: &Context,
        status: Status,
        log: &[LogEntry],
        reason: Option<&Reason>,
        took: Duration,
    ) {
        let log = &self.naming(cx).show(log, cx.here());
        let ended = Ended { status, ran: None, log, reason, error: None, command: None, took };
        cx.ended(self.name(), &ended);
    }
}

impl Step {
    /// Refuses outputs whose directories are symbolic links: they would lead out of the build directory.
    pub(super) fn refuse_links(&self, cx: &Context) -> Result<(), ExecuteError> {
        for output in &self.outputs {
            for directory in output.path.parents() {
                let directory = self.place.build_path(&directory);
                if cx.is_link(&directory) {
                    return Err(ExecuteError::Failed(format!(
                        "{} is a symbolic link, and outputs stay in the build directory; remove it",
                        cx.absolute(&directory).display()
                    )));
                }
            }
        }
        Ok(())
    }

    /// Removes outputs and trace, so that nothing is left of a step that failed.
    pub(super) fn discard(&self, cx: &Context) {
        if self.work.in_place().is_some() {
            // The mark stays, and so does what the command left: it may be of use to whoever looks.
            return;
        }
        // What cannot be removed stays marked as unfinished by its trace file.
        if self.refuse_links(cx).is_ok() && self.remove_outputs(cx).is_ok() {
            let _ = clear_trace_file(&cx.absolute(&self.trace_path()));
        }
    }

    pub(super) fn remove_outputs(&self, cx: &Context) -> Result<(), ExecuteError> {
        for output in &self.outputs {
            let path = cx.absolute(&self.place.build_path(&output.path));
            let removed = match fs::remove_file(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                Err(_) if path.is_dir() && output.directory => fs::remove_dir_all(&path),
                Err(_) if path.is_dir() => return Err(directory_in_the_way(&path)),
                result => result,
            };
            removed.map_err(|error| ExecuteError::io(&path, &error))?;
        }
        Ok(())
    }

    fn check_kind(&self, output: &Output, kind: FileType) -> Result<(), ExecuteError> {
        let wrong = match (output.directory, kind.is_dir(), kind.is_file()) {
            (false, true, _) => {
                "a directory, but a file was declared; the names of directories end in `/`"
            }
            (true, false, _) => "not a directory, although its name ends in `/`",
            (false, _, false) => "neither a file nor a directory",
            _ => return Ok(()),
        };
        Err(ExecuteError::Failed(format!("its output `{}` is {wrong}", output.path)))
    }
}

/// Writes to `path`; where its directory is not there yet, makes that and tries again.
pub(super) fn with_parent(path: &Path, write: impl Fn() -> io::Result<()>) -> io::Result<()> {
    match (write(), path.parent()) {
        (Err(error), Some(parent)) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(parent)?;
            write()
        }
        (result, _) => result,
    }
}

/// Whether two regular files hold the same.
fn same_bytes(one: &Path, other: &Path) -> bool {
    is_regular(other) && fs::read(one).is_ok_and(|one| fs::read(other).is_ok_and(|it| one == it))
}

/// Returns every directory below and including the output directories of a record.
fn directories(record: &Outputs) -> impl Iterator<Item = &str> {
    let inside = |path: &str| record.directories.iter().any(|at| path.starts_with(at.as_str()));
    let mut all: Vec<&str> = record.directories.iter().map(String::as_str).collect();
    for file in &record.outputs {
        let above = file.path.rmatch_indices('/').map(|(at, _)| &file.path[..at]);
        all.extend(above.take_while(|path| inside(path)));
    }
    all.sort_unstable();
    all.dedup();
    all.into_iter()
}

/// Returns the paths of all files below `directory`, which is called `path`.
pub(crate) fn files_below(directory: &Path, path: &str) -> Vec<String> {
    let mut found = tree_names(directory, path);
    found.retain(|found| {
        let inside = found.strip_prefix(path).map_or("", |inside| inside.trim_start_matches('/'));
        !inside.is_empty() && directory.join(inside).is_file()
    });
    found
}

/// Returns the paths of all files and empty directories below `directory`, which is called `path`.
pub(super) fn tree_names(directory: &Path, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut stack = vec![(directory.to_owned(), path.to_owned())];
    while let Some((directory, path)) = stack.pop() {
        let mut entries = fs::read_dir(&directory).into_iter().flatten().flatten().peekable();
        if entries.peek().is_none() {
            found.push(path);
            continue;
        }
        for entry in entries {
            let inner = format!("{path}/{}", entry.file_name().to_string_lossy());
            match entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                true => stack.push((entry.path(), inner)),
                false => found.push(inner),
            }
        }
    }
    found
}

fn directory_in_the_way(path: &Path) -> ExecuteError {
    ExecuteError::Failed(format!(
        "{} is a directory where a file is to be built; remove it",
        path.display()
    ))
}
