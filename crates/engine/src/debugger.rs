//! Files that tell a debugger where the sources are of what was built.
//!
//! Debug information calls a package's files `@NAME/…`, so that it is the same on every machine. These files say
//! which directory of this machine each such name stands for, in the words of GDB and of LLDB.

use std::{io, path::Path};

use larder_project::{place::Place, plan::Plan, workspace::Package};
use larder_trace::atomic;

/// The directory in `.larder` that has the files: two for each build directory.
pub const DIRECTORY: &str = "debugger";

/// Writes `DIRECTORY/NAME.gdb` and `DIRECTORY/NAME.lldb`, where `NAME` is the name of the plan's build directory. Files
/// that would not change are left alone.
///
/// # Errors
/// When they cannot be written.
pub fn write(plan: &Plan) -> io::Result<()> {
    let workspace = &plan.workspace;
    let mut maps: Vec<(String, String)> = workspace
        .packages
        .iter()
        .flat_map(|package| maps(&workspace.root, package))
        // A debugger reads a command up to the end of its line.
        .filter(|(_, directory)| !directory.contains(char::is_control))
        .collect();
    // A debugger takes the first that fits. What is built for the target comes before what is built for the host.
    maps.sort_by(|a, b| (b.0.len(), &a.0).cmp(&(a.0.len(), &b.0)));
    maps.dedup_by(|again, first| again.0 == first.0);
    let lines = |command: &str| -> String {
        let line = |(name, directory): &(String, String)| {
            format!("{command} {} {}\n", quoted(name), quoted(directory))
        };
        maps.iter().map(line).collect()
    };
    let built = workspace.packages[0].place.build_directory();
    let name = built.as_str().rsplit('/').next().unwrap_or_default();
    let directory = workspace.larder_dir().join(DIRECTORY);
    for (extension, command) in
        [("gdb", "set substitute-path"), ("lldb", "settings append target.source-map")]
    {
        let file = directory.join(format!("{name}.{extension}"));
        atomic::write_if_changed(&file, lines(command).as_bytes())?;
    }
    Ok(())
}

/// The names in debug information of a package's files, with the directories that they stand for.
fn maps(root: &Path, package: &Package) -> [(String, String); 2] {
    let Place { name, directory, .. } = &*package.place;
    let built = root.join(package.place.build_directory().as_str());
    [
        (format!("@{name}/.larder/build"), built.to_string_lossy().into_owned()),
        (format!("@{name}"), directory.to_string_lossy().into_owned()),
    ]
}

/// A word of a debugger's command, as it is.
fn quoted(word: &str) -> String {
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
}
