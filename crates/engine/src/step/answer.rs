//! Asking a compiler by trying, and writing down what came of it.

use std::{fs, io, path::Path};

use larder_trace::{Level, LogEntry};

use super::{
    Inputs, Step,
    execute::{Done, execute},
};
use crate::{
    builds::{Answer, Check, size_in},
    context::Context,
    executor::{Bench, ExecuteError, Execution},
    process::Exit,
};

/// What compilers print when something else is wrong than the program that they were given.
const TROUBLE: &[&str] = &[
    "internal compiler error",
    "terminated program",
    "linker command failed due to signal",
    "frontend command failed",
    "No space left on device",
    "Disk quota exceeded",
    "out of memory",
    "Cannot allocate memory",
    "memory exhausted",
    "Input/output error",
    "Too many open files",
    "cannot execute",
    "posix_spawn",
];

impl Step {
    /// Has the answer to a check written where the step's output is staged.
    pub(super) fn ask(
        &self,
        cx: &Context,
        check: &Check,
        inputs: Inputs<'_>,
        bench: &Bench<'_>,
        done: &mut Done,
    ) -> Result<(), ExecuteError> {
        let tried = execute(cx, &check.action(self, cx, inputs), bench, done)?;
        done.command_line = Some(tried.command_line.clone());
        done.discovered.clone_from(&tried.discovered);
        let said = plain(bench, &tried.printed);
        let answer = match tried.exit.success() {
            true => self.yes(check, bench)?,
            false => {
                if let Some(trouble) = trouble(check, &tried, &said) {
                    done.log.push(LogEntry::text(Level::Error, said));
                    return Err(ExecuteError::Failed(trouble));
                }
                self.trace_no(cx, check, inputs, bench, done)?;
                "no".to_owned()
            }
        };
        let mut message = format!("{}: {answer}", check.what);
        if answer == "no" && !said.is_empty() {
            message += &format!("\n{said}");
        }
        done.log.push(LogEntry::text(Level::Trace, message));
        let path = bench.staged(self.first());
        // It is no program any more.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(ExecuteError::io(&path, &error));
            }
            _ => {}
        }
        fs::write(&path, answer + "\n").map_err(|error| ExecuteError::io(&path, &error))
    }

    fn yes(&self, check: &Check, bench: &Bench<'_>) -> Result<String, ExecuteError> {
        if check.answer != Answer::Size {
            return Ok("yes".to_owned());
        }
        let object = bench.staged(self.first());
        let bytes = fs::read(&object).map_err(|error| ExecuteError::io(&object, &error))?;
        let size = size_in(&bytes).ok_or_else(|| {
            ExecuteError::Failed(
                "its size is not in the object: do the arguments have the compiler write something else?"
                    .to_owned(),
            )
        })?;
        Ok(size.to_string())
    }

    /// Finds out what a `no` depends on: the headers that were read, and those that were looked for.
    fn trace_no(
        &self,
        cx: &Context,
        check: &Check,
        inputs: Inputs<'_>,
        bench: &Bench<'_>,
        done: &mut Done,
    ) -> Result<(), ExecuteError> {
        // Of objects, such as those that every program begins with, only a linker tells.
        let linker_told = done.discovered.iter().any(|path| path.as_str().ends_with(".o"));
        if !linker_told && let Some(action) = check.relinking(self, cx, inputs) {
            let again = execute(cx, &action, bench, done)?;
            done.discovered.extend(again.discovered);
        }
        let listed = execute(cx, &check.listing(self, cx, inputs), bench, done)?;
        for path in listed.discovered {
            // A header that is not there is listed by the name that was asked for, and so is one in a
            // directory of the package.
            let name = cx.places.portable(&self.place, &path);
            if !name.as_str().starts_with(['/', '@', '<']) {
                done.looked_for.push(name.to_string());
            }
            let is_there = cx.absolute(&path).is_file();
            if is_there && !done.discovered.contains(&path) {
                done.discovered.push(path);
            }
        }
        Ok(())
    }
}

/// Why a program that was not compiled is no answer.
fn trouble(check: &Check, tried: &Execution, said: &str) -> Option<String> {
    if !matches!(tried.exit, Exit::Code(_)) {
        return Some(tried.exit.to_string());
    }
    if !tried.refusals.is_empty() {
        return Some(format!(
            "it cannot be answered in the sandbox:\n{}",
            tried.refusals.join("\n")
        ));
    }
    if check.answer == Answer::Must {
        let message = "the compiler makes no program at all with the arguments of this [[config]], so it \
                       cannot be asked anything";
        return Some(message.to_owned());
    }
    let known = TROUBLE.iter().find(|trouble| said.contains(*trouble))?;
    Some(format!("the compiler did not answer ({known})"))
}

/// What a tool printed, without the path of the directory that it wrote into.
fn plain(bench: &Bench<'_>, printed: &str) -> String {
    let text = anstream::adapter::strip_str(printed.trim_end()).to_string();
    let staging = |path: &Path| format!("{}/", path.display());
    let inside = bench.staging.strip_prefix(&bench.place.directory).ok().map(staging);
    let text = text.replace(&staging(bench.staging), "");
    inside.map_or(text.clone(), |inside| text.replace(&inside, ""))
}
