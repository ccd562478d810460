//! Steps whose outputs are made only when somebody needs them: precompiled headers.

use std::{path::Path, sync::Arc};

use larder_project::path::{BuildPath, PortablePath};
use larder_trace::{
    BuildTrace, Content, DiscoveredInput, Level, LogEntry, MTime, TraceFile, read_trace_file,
};

use super::{
    Inputs, Step, Work,
    execute::{Done, execute},
    in_place::unique,
};
use crate::{
    artifact::{Artifact, Form},
    builds::Compile,
    context::Context,
    event::Event,
    executor::{Bench, ExecuteError},
    job::{Built, Flow},
    reason::Reason,
};

impl Step {
    /// Whether the outputs are made only when somebody needs them.
    pub(super) fn is_deferred(&self) -> bool {
        matches!(self.work, Work::Precompile(_))
    }

    /// Ends with outputs that are not there yet, and how to have them made.
    pub(super) fn defer(
        self: Arc<Self>,
        inputs: Inputs<'_>,
        reason: Option<Reason>,
    ) -> Flow<Vec<Artifact>> {
        let artifact = |output: &crate::action::Output| Artifact {
            path: self.place.build_path(&output.path),
            hash: unique(),
            mtime: MTime::NONE,
            form: Form::File(Content::Binary),
            elided: None,
        };
        let mut artifacts: Vec<Artifact> = self.outputs.iter().map(artifact).collect();
        self.leave_unmade(inputs, &mut artifacts, reason);
        let parts = artifacts.iter().map(|artifact| artifact.trace("not made"));
        let trace = BuildTrace::nil("outputs").mix_all(parts);
        Flow::Ended(Ok(Built { value: artifacts, trace }))
    }

    /// Returns the precompiled header that this step's sources include.
    fn precompiled(&self) -> Option<&Artifact> {
        let Work::Compile(compile) = &self.work else { return None };
        let file = self.place.build_path(&compile.included.as_ref()?.file);
        self.prerequisites.iter().find(|needed| needed.path == file)
    }

    /// Whether `artifact` counts for nothing: what went into it does.
    pub(super) fn only_helps(&self, artifact: &Artifact) -> bool {
        self.precompiled().is_some_and(|header| header.path == artifact.path)
    }

    /// Has an object made, and what was read listed where that takes an action of its own.
    pub(super) fn compile(
        &self,
        cx: &Context,
        compile: &Compile,
        inputs: Inputs<'_>,
        bench: &Bench<'_>,
        done: &mut Done,
    ) -> Result<(), ExecuteError> {
        let mut trouble = None;
        if let Some(header) = self.precompiled() {
            let action = compile.action(self, cx, inputs, Some(header));
            let result = self.run(cx, &action, bench, done);
            let about = done.log.iter().find(|entry| is_about_precompiled(&entry.message));
            trouble = about.map(|entry| entry.message.clone());
            if trouble.is_none() {
                let (behind, log) = self.behind(cx, header);
                done.behind = behind;
                // What it warned of is said of each user, as without it.
                done.log.splice(0..0, log);
                return result;
            }
        }
        let mut action = compile.action(self, cx, inputs, None);
        if cx.session.cluster().is_some() && self.may_run_elsewhere(cx) {
            action.may_read = self.may_read(cx, compile, inputs, bench);
        }
        self.run(cx, &action, bench, done)?;
        if let Some(trouble) = trouble {
            let output = self.name().output;
            let message = format!("{output}: the precompiled header was of no use: {trouble}");
            cx.report(&Event::Note { level: Level::Warning, message: &message });
        }
        if let Some(listing) = compile.listing(self, cx, inputs) {
            let listed = execute(cx, &listing, bench, done)?;
            if !listed.exit.success() {
                let message = format!("it did not list what it read:\n{}", listed.printed);
                return Err(ExecuteError::Failed(message));
            }
            done.discovered = listed.discovered;
        }
        Ok(())
    }

    /// Returns what went into a precompiled header, and what the compiler said of it.
    fn behind(&self, cx: &Context, header: &Artifact) -> (Behind, Vec<LogEntry>) {
        let unknown = (Behind::Unknown, Vec::new());
        let path = self.place.in_build_directory(header.path.as_str()).map(BuildPath::new);
        let Some(Ok(path)) = path else { return unknown };
        let trace_file = cx.absolute(&self.place.trace_path(&path));
        match read_trace_file(&trace_file) {
            TraceFile::Finished(record) => {
                (Behind::Known(record.outputs.discovered), record.outputs.log)
            }
            _ => unknown,
        }
    }

    /// Adds what went into a precompiled header to what was discovered. False when something of it has changed
    /// since, or nobody knows.
    pub(super) fn add_behind(
        &self,
        cx: &Context,
        behind: &Behind,
        found: &mut Vec<DiscoveredInput>,
    ) -> Result<bool, ExecuteError> {
        let behind = match behind {
            Behind::Nothing => return Ok(true),
            Behind::Unknown => return Ok(false),
            Behind::Known(behind) => behind,
        };
        let mut unchanged = true;
        for input in behind {
            let portable = PortablePath::recorded(&input.path);
            let path = cx
                .places
                .find(&self.place, &portable)
                .map_err(|error| ExecuteError::Failed(format!("{}: {error}", input.path)))?;
            let content = Content::of_source(path.as_str());
            let hashed = cx.index.file(path.as_str(), content);
            let hashed =
                hashed.map_err(|error| ExecuteError::io(Path::new(&input.path), &error))?;
            unchanged &= hashed.hash == input.hash;
            found.push(input.clone());
        }
        Ok(unchanged)
    }
}

/// The files behind a precompiled header that a compile read instead.
#[derive(Debug, Default)]
pub(super) enum Behind {
    /// It read none.
    #[default]
    Nothing,
    /// These.
    Known(Vec<DiscoveredInput>),
    /// Some that nobody knows.
    Unknown,
}

/// Whether a compiler says that it cannot use a precompiled header.
fn is_about_precompiled(message: &str) -> bool {
    ["-Winvalid-pch", "PCH file", "precompiled header", "/_precompiled/"]
        .iter()
        .any(|words| message.contains(words))
}
