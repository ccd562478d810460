//! Rendering actions for this machine.

use std::{
    fs,
    path::{Path, PathBuf},
};

use larder_project::path::PortablePath;

use super::{Bench, ExecuteError};
use crate::action::{Action, Argument, Piece, Program, Variable};
use crate::environment::Environment;

/// Returns the absolute path of what an action names.
pub(super) fn absolute(bench: &Bench<'_>, path: &PortablePath) -> Result<PathBuf, ExecuteError> {
    Ok(bench.places.absolute(&bench.places.find(bench.place, path)?))
}

/// Returns a path as an argument: as it is called in the package if it is the package's own.
pub(super) fn path(bench: &Bench<'_>, path: &PortablePath) -> Result<String, ExecuteError> {
    if path.as_str().starts_with(['@', '<', '/']) {
        return Ok(absolute(bench, path)?.to_string_lossy().trim_end_matches('/').to_owned());
    }
    Ok(match path.as_str().trim_end_matches('/') {
        "" => ".".to_owned(),
        own => own.to_owned(),
    })
}

/// Returns a path in the staging directory as an argument: absolute, so that a command may change its
/// directory; for tools, which do not, as short as it can be.
fn staged(bench: &Bench<'_>, path: &Path) -> String {
    let inside = path.strip_prefix(&bench.place.directory).ok().filter(|_| bench.flat);
    inside.unwrap_or(path).to_string_lossy().into_owned()
}

/// Returns the program of an action: absolute.
pub(super) fn program(action: &Action, bench: &Bench<'_>) -> Result<PathBuf, ExecuteError> {
    find(action, &action.program, bench)
}

/// Returns the further programs that an action may run: absolute.
pub(super) fn tools(action: &Action, bench: &Bench<'_>) -> Result<Vec<PathBuf>, ExecuteError> {
    action.tools.iter().map(|tool| find(action, tool, bench)).collect()
}

fn find(action: &Action, program: &Program, bench: &Bench<'_>) -> Result<PathBuf, ExecuteError> {
    match program {
        Program::File(path) => absolute(bench, path),
        Program::Path(pieces) => {
            Ok(bench.place.directory.join(argument(action, pieces, bench, &mut 0)?))
        }
        Program::Tool { name, identity } => bench.tools.find(name, *identity).ok_or_else(|| {
            ExecuteError::Failed(format!("the tool `{name}` of this build is not known here"))
        }),
    }
}

/// Returns the arguments of an action, and writes the files that some of them name.
pub(super) fn arguments(action: &Action, bench: &Bench<'_>) -> Result<Vec<String>, ExecuteError> {
    let mut lists = 0;
    action.arguments.iter().map(|words| argument(action, words, bench, &mut lists)).collect()
}

pub(super) fn argument(
    action: &Action,
    pieces: &Argument,
    bench: &Bench<'_>,
    lists: &mut usize,
) -> Result<String, ExecuteError> {
    let mut rendered = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => rendered.push_str(text),
            Piece::Path(portable) => rendered.push_str(&path(bench, portable)?),
            Piece::Absolute(portable) => {
                let path = absolute(bench, portable)?;
                rendered.push_str(path.to_string_lossy().trim_end_matches('/'));
            }
            Piece::Output(position) => {
                let output = action.outputs.get(*position).ok_or_else(|| {
                    ExecuteError::Failed(format!("there is no output {position}"))
                })?;
                rendered.push_str(&staged(bench, &bench.staged(output)));
            }
            Piece::OutputDirectory => rendered.push_str(&bench.staging.to_string_lossy()),
            Piece::Depfile => rendered.push_str(&staged(bench, &bench.depfile())),
            Piece::LinkerDepfile => rendered.push_str(&staged(bench, &bench.linker_depfile())),
            Piece::File { name, text } => {
                let file = bench.staging.join(name);
                fs::write(&file, text).map_err(|error| ExecuteError::io(&file, &error))?;
                rendered.push_str(&staged(bench, &file));
            }
            Piece::List(files) => {
                let mut text = String::new();
                for file in files {
                    text.push_str(&path(bench, file)?);
                    text.push('\n');
                }
                let list = bench.staging.join(format!("inputs.{lists}.list"));
                *lists += 1;
                fs::write(&list, text).map_err(|error| ExecuteError::io(&list, &error))?;
                rendered.push_str(&list.to_string_lossy());
            }
        }
    }
    Ok(rendered)
}

/// Returns the whole environment of an action: where programs and the user's files are, a locale that
/// is the same everywhere, a directory for temporary files that goes away with the command, and what
/// the action asks for.
pub(super) fn environment(
    action: &Action,
    bench: &Bench<'_>,
    session: &Environment,
) -> Result<Vec<(String, std::ffi::OsString)>, ExecuteError> {
    let inherited = ["PATH", "HOME"].into_iter();
    let mut all: Vec<(String, std::ffi::OsString)> = inherited
        .filter_map(|name| Some((name.to_owned(), session.get(name)?.to_owned())))
        .collect();
    all.push(("LC_ALL".into(), "C.UTF-8".into()));
    all.push(("TMPDIR".into(), bench.staging.into()));
    // Lists that arguments name come before these.
    let mut lists = action.arguments.iter().flatten().filter(is_list).count();
    for (name, value) in &action.environment {
        let value = match value {
            Variable::Text(text) => Some(text.into()),
            Variable::Pieces(pieces) => Some(argument(action, pieces, bench, &mut lists)?.into()),
            Variable::Passed(_) => session.get(name).map(Into::into),
        };
        all.extend(value.map(|value| (name.clone(), value)));
    }
    Ok(all)
}

fn is_list(piece: &&Piece) -> bool {
    matches!(piece, Piece::List(_))
}
