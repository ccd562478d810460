//! What there is to do around a command that writes its outputs where they belong.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use larder_project::path::RootPath;

use super::{Bench, ExecuteError, Execution, Ran, local, render};
use crate::{
    action::{Action, Discovery, InPlace, Reach, Reading, Telling},
    depfile,
    process::Outcome,
    sandbox::Access,
};

/// Makes the directories of the outputs and of the depfile, and writes the response file.
pub(super) fn prepare(
    action: &Action,
    bench: &Bench<'_>,
    own: &InPlace,
) -> Result<(), ExecuteError> {
    for output in &action.outputs {
        let path = bench.places.absolute(&bench.place.build_path(&output.path));
        make_parent(&path)?;
    }
    if let Telling::Depfile { path, .. } = &own.telling {
        make_parent(&render::absolute(bench, path)?)?;
    }
    let Some((path, content)) = &own.response_file else { return Ok(()) };
    let path = render::absolute(bench, path)?;
    make_parent(&path)?;
    let content = render::argument(action, content, bench, &mut 0)?;
    fs::write(&path, content).map_err(|error| ExecuteError::io(&path, &error))
}

/// Returns what a confined command may write to, and whether it may read there.
pub(super) fn written(
    action: &Action,
    bench: &Bench<'_>,
    reach: &Reach,
) -> Result<Vec<(PathBuf, Access)>, ExecuteError> {
    let access = match reach.reading {
        Reading::Nothing => Access::Make,
        Reading::Written | Reading::Trees => Access::Write,
    };
    let directories = reach.directories.iter().map(|path| render::absolute(bench, path));
    let mut written: Vec<(PathBuf, Access)> =
        directories.map(|path| Ok((path?, access))).collect::<Result<_, ExecuteError>>()?;
    // An output that is there already may be read: a command may go on from it, or leave it as it is.
    let outputs = action.outputs.iter();
    let outputs = outputs.map(|it| bench.places.absolute(&bench.place.build_path(&it.path)));
    written.extend(outputs.map(|path| (path, Access::Write)));
    Ok(written)
}

fn make_parent(path: &Path) -> Result<(), ExecuteError> {
    let Some(parent) = path.parent() else { return Ok(()) };
    fs::create_dir_all(parent).map_err(|error| ExecuteError::io(parent, &error))
}

/// Returns how the command ended, with the inputs that it told of.
pub(super) fn finish(
    action: &Action,
    bench: &Bench<'_>,
    own: &InPlace,
    ended: Outcome,
) -> Result<Execution, ExecuteError> {
    let success = ended.exit.success();
    let mut printed = ended.output;
    let mut names = Some(Vec::new());
    let mut told = None;
    match &own.telling {
        Telling::Nothing => {}
        Telling::Printed(beginning) => names = Some(take_lines(&mut printed, beginning)),
        Telling::Depfile { path, keep } if success => {
            names = read(&render::absolute(bench, path)?, *keep)?;
        }
        Telling::Depfile { .. } => {}
        Telling::Linker if success => {
            let discovered = local::discovered(Discovery::Linker, bench, true)?;
            told = Some(discovered);
        }
        Telling::Linker => {}
    }
    if success
        && let Some((path, _)) = own.response_file.as_ref().filter(|_| !own.keep_response_file)
    {
        // One that the command has removed itself is gone as well.
        let _ = fs::remove_file(render::absolute(bench, path)?);
    }
    let silent = names.is_none();
    let opened = |name: &String| bench.places.opened(bench.place, name);
    let discovered: Vec<RootPath> =
        told.unwrap_or_else(|| names.iter().flatten().map(opened).collect());
    let command = action.arguments.last();
    let command_line = command.map(|text| render::argument(action, text, bench, &mut 0));
    Ok(Execution {
        ran: Ran::Local,
        exit: ended.exit,
        printed,
        discovered,
        silent,
        refusals: Vec::new(),
        cost: ended.cost,
        command_line: command_line.transpose()?.unwrap_or_default(),
    })
}

/// Returns the files that a depfile lists; `None` where there is no such file.
fn read(path: &Path, keep: bool) -> Result<Option<Vec<String>>, ExecuteError> {
    let text = match fs::read(path) {
        Ok(bytes) => String::from_utf8(bytes).map_err(|_| {
            ExecuteError::Failed(format!(
                "{} names a file whose name is not UTF-8; rename that",
                path.display()
            ))
        })?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(ExecuteError::io(path, &error)),
    };
    let names = depfile::parse_rules(&text).ok_or_else(|| {
        let name = path.file_name().unwrap_or(path.as_os_str()).display();
        ExecuteError::Failed(format!(
            "it wrote no depfile: there is no rule (`TARGET: FILES`) in {name}"
        ))
    })?;
    if !keep {
        let _ = fs::remove_file(path);
    }
    Ok(Some(names))
}

/// Takes the lines with this beginning away, and returns what follows in each.
fn take_lines(printed: &mut String, beginning: &str) -> Vec<String> {
    let mut names = Vec::new();
    let kept = printed.split_inclusive('\n').filter(|line| match line.strip_prefix(beginning) {
        Some(name) => {
            names.push(name.trim().to_owned());
            false
        }
        None => true,
    });
    *printed = kept.collect();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_tell_of_inputs_are_no_part_of_what_is_said() {
        let mut printed =
            "a.c\nNote: including file:  b.h\r\nwarning\nNote: including file: c.h".into();
        assert_eq!(take_lines(&mut printed, "Note: including file:"), ["b.h", "c.h"]);
        assert_eq!(printed, "a.c\nwarning\n");
    }
}
