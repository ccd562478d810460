//! Running a step's commands, and taking over what they wrote.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Instant,
};

use larder_trace::{
    BuildLog, BuildMetadata, BuildTrace, Content, ContentHash, DiscoveredInput, Level, LogEntry,
    MTime, OutputFile, Outputs, begin_trace_file, clear_file_hash, clear_trace_file,
    compute_file_hash, describe_io, hash_file_path, save_file_hash, write_trace_file,
};
use rustix::fs::{FileType, RawMode};

use crate::{
    artifact::{Artifact, Made, Output},
    context::Context,
    event::{Ended, Event, Status},
    job::Failed,
    process::{self, ProcessError, Spec},
    reason::Reason,
    sandbox::{self, Sandbox, View},
    staged::Staged,
    step::{Inputs, Step, materialize},
};
use larder_project::diagnostic::Diagnostic;

/// A step's commands while they run.
pub struct Action<'a> {
    /// The build.
    pub cx: &'a Context,
    /// The step.
    pub step: &'a Step,
    /// Its inputs, on disk.
    pub inputs: &'a [Artifact],
    /// Where to write the outputs: absolute; each output at its own path below.
    pub staging: &'a Path,
    /// What the commands printed.
    pub log: BuildLog,
    /// Inputs the commands told of, as they call them.
    pub discovered: Vec<String>,
    /// What the commands may read besides the inputs, as a sandbox is to know: absolute.
    pub visible: Vec<PathBuf>,
    /// Directories whose names the commands may list, as a sandbox is to know: absolute.
    pub listed: Vec<PathBuf>,
    command: Option<String>,
}

/// Why a step's commands did not make its outputs.
#[derive(Debug)]
pub enum ActionError {
    /// The build is being ended; nothing more is to be said.
    Interrupted,
    /// What went wrong.
    Failed(String),
}

impl ActionError {
    pub(crate) fn io(path: &Path, error: &io::Error) -> Self {
        Self::Failed(format!("{}: {}", path.display(), describe_io(error)))
    }
}

impl<'a> Action<'a> {
    /// An action that has not run anything yet.
    pub(crate) fn new(
        cx: &'a Context,
        step: &'a Step,
        inputs: &'a [Artifact],
        staging: &'a Path,
    ) -> Self {
        Self {
            cx,
            step,
            inputs,
            staging,
            log: BuildLog::default(),
            discovered: Vec::new(),
            visible: Vec::new(),
            listed: Vec::new(),
            command: None,
        }
    }

    /// The path of an output in the staging directory; its directory is made.
    pub fn staged(&self, output: &Output) -> Result<PathBuf, ActionError> {
        let path = self.staging.join(&output.path);
        let parent = if output.directory { &path } else { path.parent().unwrap_or(&path) };
        if parent != self.staging {
            fs::create_dir_all(parent).map_err(|error| ActionError::io(parent, &error))?;
        }
        Ok(path)
    }

    /// A path as an argument of a command that runs in the package's directory.
    pub fn argument(&self, path: &Path) -> String {
        process::argument_path(path, &self.step.place.directory)
    }

    /// An artifact's path as an argument.
    pub fn artifact(&self, artifact: &Artifact) -> String {
        self.argument(&self.cx.absolute(&artifact.path))
    }

    /// Runs a compiler, linker or archiver, as [`Self::run`] does. Arguments that are too many for a
    /// command line reach it through a response file.
    pub fn run_tool(&mut self, program: &Path, arguments: Vec<String>) -> Result<(), ActionError> {
        self.start(program, arguments, &[], Some(self.staging.join("arguments.rsp")))
    }

    /// Runs a command in the package's directory with a minimal environment and `environment` besides.
    /// What it prints goes into the log.
    pub fn run(
        &mut self,
        program: &Path,
        arguments: Vec<String>,
        environment: &[(String, OsString)],
    ) -> Result<(), ActionError> {
        self.start(program, arguments, environment, None)
    }

    fn start(
        &mut self,
        program: &Path,
        arguments: Vec<String>,
        environment: &[(String, OsString)],
        response_file: Option<PathBuf>,
    ) -> Result<(), ActionError> {
        let mut all = process::minimal_environment(self.staging);
        if self.cx.sandbox.is_some() {
            sandbox::without_home(&mut all, self.staging);
        }
        all.extend_from_slice(environment);
        let spec = Spec {
            program: program.to_owned(),
            arguments,
            directory: self.step.place.directory.clone(),
            environment: all,
            response_file,
        };
        self.command = Some(spec.to_string());
        let view = self.view(program)?;
        let confined = self.cx.sandbox.as_ref().zip(view.as_ref());
        match self.cx.processes.run(&spec, confined) {
            Ok(ended) => {
                let text = ended.output.trim_end();
                let refusals = confined.map(|confined| self.refusals(confined, text));
                let refusals = refusals.unwrap_or_default();
                if ended.status.success() {
                    self.log.push(level_of(text), text);
                    for refusal in refusals {
                        // Not for the log, which is kept: another build may not be sandboxed.
                        let message = format!("`{}` was built, but {refusal}", self.step.target);
                        self.cx.report(&Event::Note { level: Level::Warning, message: &message });
                    }
                    Ok(())
                } else {
                    self.log.push(Level::Error, text);
                    let mut message = process::describe_failure(ended.status);
                    refusals.iter().for_each(|refusal| message += &format!("\n{refusal}"));
                    Err(ActionError::Failed(message))
                }
            }
            Err(ProcessError::Interrupted) => Err(ActionError::Interrupted),
            Err(error) => Err(ActionError::Failed(error.to_string())),
        }
    }

    /// What a command may see in a sandbox, where there is one.
    fn view(&self, program: &Path) -> Result<Option<View>, ActionError> {
        let Some(sandbox) = &self.cx.sandbox else { return Ok(None) };
        let inputs: Vec<PathBuf> =
            self.inputs.iter().map(|input| self.cx.absolute(&input.path)).collect();
        let read = inputs.iter().chain(&self.visible).map(PathBuf::as_path);
        let listed = self.listed.iter().map(PathBuf::as_path);
        let view = sandbox.view(program, read, listed, self.staging);
        view.map(Some).map_err(|error| ActionError::io(self.staging, &error))
    }

    fn refusals(&self, (sandbox, view): (&Sandbox, &View), output: &str) -> Vec<Diagnostic> {
        let place = &self.step.place;
        sandbox.refusals(view, &self.step.target, &place.directory, &self.visible, output)
    }
}

/// How much the output of a command that succeeded matters. Compilers and linkers of every make write
/// `warning:` before what they warn of, some after a colour.
fn level_of(text: &str) -> Level {
    let warns =
        text.lines().any(|line| line.contains("warning: ") || line.contains("warning:\u{1b}"));
    if warns { Level::Warning } else { Level::Info }
}

impl Step {
    /// Runs the commands and takes over their outputs, whatever is there already.
    pub(crate) fn build(
        &self,
        cx: &Context,
        inputs: Inputs<'_>,
        reason: Option<&Reason>,
    ) -> Result<Vec<Artifact>, Failed> {
        if cx.stopped() {
            return Err(Failed);
        }
        let inputs = materialize(cx, inputs)?;
        let trace = self.trace(&inputs.trace);
        cx.started(self.name());
        let started = Instant::now();
        let staging = match cx.staging_directory() {
            Ok(staging) => staging,
            Err(error) => {
                let error = describe_io(&error);
                let message = format!("cannot make a directory to build in: {error}");
                self.fail(cx, &[], &message, None, started);
                return Err(Failed);
            }
        };
        let mut action = Action::new(cx, self, &inputs.value, staging.path());
        let result = self.begin(cx).and_then(|()| {
            let begun = MTime::now();
            (self.work)(&mut action)?;
            self.finish(&action, &trace, begun)
        });
        let (log, command) = (action.log, action.command);
        match result {
            Ok(artifacts) => {
                let took = started.elapsed();
                let ended = Ended {
                    status: Status::Built,
                    log: &log.0,
                    reason,
                    error: None,
                    command: command.as_deref(),
                    took,
                };
                cx.ended(self.name(), &ended);
                Ok(artifacts)
            }
            Err(error) => {
                self.discard(cx);
                if let ActionError::Failed(message) = error {
                    self.fail(cx, &log.0, &message, command.as_deref(), started);
                }
                Err(Failed)
            }
        }
    }

    fn fail(
        &self,
        cx: &Context,
        log: &[LogEntry],
        error: &str,
        command: Option<&str>,
        started: Instant,
    ) {
        let took = started.elapsed();
        let ended =
            Ended { status: Status::Failed, log, reason: None, error: Some(error), command, took };
        cx.ended(self.name(), &ended);
    }

    /// Marks the step unfinished, then removes what an earlier build made.
    fn begin(&self, cx: &Context) -> Result<(), ActionError> {
        self.refuse_links(cx)?;
        let trace_path = cx.absolute(&self.trace_path());
        with_parent(&trace_path, || begin_trace_file(&trace_path))
            .map_err(|error| ActionError::io(&trace_path, &error))?;
        self.remove_outputs(cx)
    }

    /// Refuses outputs whose directories are symbolic links: they would lead out of the build directory.
    pub(crate) fn refuse_links(&self, cx: &Context) -> Result<(), ActionError> {
        for output in &self.outputs {
            for (end, _) in output.path.match_indices('/') {
                let directory = cx.absolute(&self.place.output(&output.path[..end]));
                if directory.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink()) {
                    return Err(ActionError::Failed(format!(
                        "{} is a symbolic link, and outputs stay in the build directory; remove it",
                        directory.display()
                    )));
                }
            }
        }
        Ok(())
    }

    /// Removes outputs and trace, so that nothing is left of a step that failed.
    pub(crate) fn discard(&self, cx: &Context) {
        // What cannot be removed stays marked as unfinished by its trace file.
        if self.refuse_links(cx).is_ok() && self.remove_outputs(cx).is_ok() {
            let _ = clear_trace_file(&cx.absolute(&self.trace_path()));
        }
    }

    pub(crate) fn remove_outputs(&self, cx: &Context) -> Result<(), ActionError> {
        for output in &self.outputs {
            let path = cx.absolute(&self.place.output(&output.path));
            let removed = match fs::remove_file(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                Err(_) if path.is_dir() && output.directory => fs::remove_dir_all(&path),
                Err(_) if path.is_dir() => {
                    let message = format!(
                        "{} is a directory where a file is to be built; remove it",
                        path.display()
                    );
                    return Err(ActionError::Failed(message));
                }
                result => result,
            };
            removed.map_err(|error| ActionError::io(&path, &error))?;
            clear_file_hash(&path)
                .map_err(|error| ActionError::io(&hash_file_path(&path), &error))?;
        }
        Ok(())
    }

    /// Moves the outputs into place and records them.
    fn finish(
        &self,
        action: &Action<'_>,
        trace: &BuildTrace,
        begun: MTime,
    ) -> Result<Vec<Artifact>, ActionError> {
        let cx = action.cx;
        let (discovered, settled) = self.discovered(action, begun)?;
        let mut files = Vec::with_capacity(self.outputs.len());
        let mut directories = Vec::new();
        for output in &self.outputs {
            let target = cx.absolute(&self.place.output(&output.path));
            self.take(action, output, &target)?;
            if output.directory {
                directories.push(output.path.clone());
                list_tree(&target, &output.path, &mut files, &mut directories)?;
            } else {
                files.push(describe(&target, output.path.clone())?);
            }
        }
        let log = action.log.0.iter().map(|entry| LogEntry {
            level: entry.level,
            message: anstream::adapter::strip_str(&entry.message).to_string(),
        });
        let log = log.collect();
        let record = Outputs { outputs: files, directories, discovered, log, searched: None };
        if settled {
            self.keep_in_store(cx, &trace.hash(), &record);
        }
        let mut mtimes = Vec::with_capacity(record.outputs.len());
        for file in &record.outputs {
            let path = self.place.output(&file.path);
            let written = cx.absolute(&path);
            // Inside an output directory there is nothing but what the command put there.
            if self.outputs.iter().any(|output| output.path == file.path) {
                save_file_hash(&written, file.hash)
                    .map_err(|error| ActionError::io(&written, &error))?;
            }
            let hashed = cx.index.record_output(&path, file.hash);
            mtimes.push(hashed.map_err(|error| ActionError::io(&written, &error))?.stat.mtime);
        }
        let made: Vec<Made<'_>> =
            record.outputs.iter().zip(mtimes).map(|(file, mtime)| Made::of(file, mtime)).collect();
        let artifacts = self.artifacts(&made, None);
        let trace_path = cx.absolute(&self.trace_path());
        if !settled {
            // An input changed under the commands: what they made is used, not trusted next time.
            return Ok(artifacts);
        }
        let metadata = BuildMetadata::new(trace, record, false);
        write_trace_file(&trace_path, &metadata)
            .map_err(|error| ActionError::io(&trace_path, &error))?;
        let Outputs { outputs, directories, discovered, log, .. } = &metadata.outputs;
        let has_more = !log.is_empty() || !directories.is_empty();
        self.remember(cx, metadata.dep_hash, outputs, discovered, has_more);
        Ok(artifacts)
    }

    /// Moves an output into place from where the commands were told to write it, unless they wrote it
    /// straight into place.
    fn take(&self, action: &Action<'_>, output: &Output, target: &Path) -> Result<(), ActionError> {
        let failed = |error: io::Error| ActionError::io(target, &error);
        if let Some(staged) = Staged::find(action.staging, &output.path).map_err(failed)? {
            self.check_kind(output, staged.kind)?;
            with_parent(target, || staged.rename(target)).map_err(failed)?;
        }
        // Looked at where no command can change it any more.
        match target.symlink_metadata() {
            Ok(metadata) => {
                let mode = metadata.permissions().mode();
                self.check_kind(output, FileType::from_raw_mode(mode as RawMode))
            }
            Err(_) => Err(ActionError::Failed(format!(
                "it ended well but did not write its output `{}`; commands write outputs to {{out}}, or below {{outdir}}",
                output.path
            ))),
        }
    }

    fn check_kind(&self, output: &Output, kind: FileType) -> Result<(), ActionError> {
        let wrong = match (output.directory, kind.is_dir(), kind.is_file()) {
            (false, true, _) => {
                "a directory, and a file was promised; a directory's name ends in `/`"
            }
            (true, false, _) => "no directory, as its final `/` promises",
            (false, _, false) => "neither a file nor a directory",
            _ => return Ok(()),
        };
        Err(ActionError::Failed(format!("its output `{}` is {wrong}", output.path)))
    }

    /// What the commands found out about their inputs, and whether all of that was unchanged since
    /// they began.
    fn discovered(
        &self,
        action: &Action<'_>,
        begun: MTime,
    ) -> Result<(Vec<DiscoveredInput>, bool), ActionError> {
        let cx = action.cx;
        let declared: Vec<&str> = action.inputs.iter().map(|input| &*input.path).collect();
        let ended = MTime::now();
        let mut settled = true;
        let mut found = Vec::with_capacity(action.discovered.len());
        for said in &action.discovered {
            let mut path = cx.places.from_root(&self.place, said);
            if declared.contains(&path.as_str()) {
                continue;
            }
            let mut hashed = cx.index.file(&path, Content::of_source(&path));
            if hashed.is_err() {
                // The path went through a symbolic link that taking `..` apart has missed.
                path = self.place.input(said);
                hashed = cx.index.file(&path, Content::of_source(&path));
            }
            let hashed = hashed.map_err(|error| ActionError::io(Path::new(said), &error))?;
            // One from the future says nothing: it was not changed just now.
            settled &= !(begun..=ended).contains(&hashed.stat.mtime);
            found.push(DiscoveredInput {
                path: cx.places.portable(&self.place, &path),
                hash: hashed.hash,
            });
        }
        found.sort();
        found.dedup();
        Ok((found, settled))
    }
}

/// Writes to `path`; where its directory is not there yet, makes that and tries again.
pub(crate) fn with_parent(path: &Path, write: impl Fn() -> io::Result<()>) -> io::Result<()> {
    match (write(), path.parent()) {
        (Err(error), Some(parent)) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(parent)?;
            write()
        }
        (result, _) => result,
    }
}

fn describe(file: &Path, path: String) -> Result<OutputFile, ActionError> {
    let metadata = fs::metadata(file).map_err(|error| ActionError::io(file, &error))?;
    let hash: ContentHash =
        compute_file_hash(file, Content::Binary).map_err(|error| ActionError::io(file, &error))?;
    let executable = metadata.permissions().mode() & 0o111 != 0;
    Ok(OutputFile { path, hash, size: metadata.len(), executable })
}

/// Adds all files below `directory`, sorted, and the directories below it that are empty.
fn list_tree(
    directory: &Path,
    path: &str,
    files: &mut Vec<OutputFile>,
    empty: &mut Vec<String>,
) -> Result<(), ActionError> {
    let failed = |error: io::Error| ActionError::io(directory, &error);
    let mut entries = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().into_string().map_err(|name| {
            ActionError::Failed(format!(
                "its output {path}/{} has a name that is not UTF-8",
                name.display()
            ))
        })?;
        entries.push((name, entry.file_type().map_err(failed)?));
    }
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    for (name, kind) in entries {
        let (inner, inner_path) = (directory.join(&name), format!("{path}/{name}"));
        if kind.is_file() {
            files.push(describe(&inner, inner_path)?);
        } else if kind.is_dir() {
            let before = (files.len(), empty.len());
            list_tree(&inner, &inner_path, files, empty)?;
            if before == (files.len(), empty.len()) {
                empty.push(inner_path);
            }
        } else {
            let message = format!("its output {inner_path} is neither a file nor a directory");
            return Err(ActionError::Failed(message));
        }
    }
    Ok(())
}
