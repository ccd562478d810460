//! Commands as people are shown them: to be run again in a shell, as they stand.
//!
//! Outputs are written to a staging directory, which is gone by then, so the places that they are moved to
//! stand for it. What larder asks for itself, such as a depfile, goes nowhere.

use std::path::{MAIN_SEPARATOR, Path};

use super::{
    Bench, ExecuteError,
    render::{absolute, path, program},
};
use crate::{
    action::{Action, Argument, Piece, RunsIn, Variable},
    process::shell_word,
};

/// Returns the command line of an action, from any directory. Values that may be secrets are left out.
pub fn command_line(action: &Action, bench: &Bench<'_>) -> Result<String, ExecuteError> {
    let directory = bench.place.directory.to_string_lossy();
    let mut line = match action.runs_in {
        RunsIn::Package => format!("cd {} && ", shell_word(&directory)),
        // Any directory does.
        RunsIn::Scratch => String::new(),
    };
    for (name, value) in &action.environment {
        if let Variable::Text(value) = value {
            line += &format!("{name}={} ", shell_word(value));
        }
    }
    line += &shell_word(&program(action, bench)?.to_string_lossy());
    for argument in &action.arguments {
        line.push(' ');
        line += &shell_word(&shown(action, argument, bench)?);
    }
    Ok(line)
}

fn shown(action: &Action, argument: &Argument, bench: &Bench<'_>) -> Result<String, ExecuteError> {
    let mut text = String::new();
    for piece in argument {
        match piece {
            Piece::Text(literal) => text.push_str(literal),
            Piece::Path(portable) => text.push_str(&path(bench, portable)?),
            Piece::Absolute(portable) => {
                text.push_str(without_slash(&absolute(bench, portable)?.to_string_lossy()));
            }
            Piece::Output(position) => {
                if let Some(output) = action.outputs.get(*position) {
                    let place = bench.places.absolute(&bench.place.build_path(&output.path));
                    text.push_str(&short(&place, bench).to_string_lossy());
                }
            }
            Piece::OutputDirectory if action.outputs.is_empty() => {
                text.push_str(&bench.staging.to_string_lossy());
            }
            Piece::OutputDirectory => {
                let place = bench.places.absolute(&bench.place.build_directory());
                text.push_str(without_slash(&place.to_string_lossy()));
            }
            Piece::Depfile | Piece::LinkerDepfile => text.push_str("/dev/null"),
            Piece::File { name, .. } => text.push_str(&bench.staging.join(name).to_string_lossy()),
            Piece::List(_) => text.push_str(&bench.staging.join("inputs.0.list").to_string_lossy()),
        }
    }
    Ok(text)
}

/// A path as tools get it: relative where it is inside the package.
fn short<'p>(path: &'p Path, bench: &Bench<'_>) -> &'p Path {
    let inside = path.strip_prefix(&bench.place.directory).ok().filter(|_| bench.flat);
    inside.unwrap_or(path)
}

fn without_slash(path: &str) -> &str {
    path.trim_end_matches(MAIN_SEPARATOR)
}
