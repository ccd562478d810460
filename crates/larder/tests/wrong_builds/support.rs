//! Edits, waiting commands and damage, as these tests need them.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::common::{Project, wait_until};

/// Shell text that waits until the test lets it go on. It ends with the package's directory.
pub const WAITS: &str =
    ": > started; until [ -e go ]; do [ -e larder.toml ] || exit 1; sleep 0.01; done;";

/// Starts larder in the package; its output is kept for whoever waits for it.
pub fn start(project: &Project, arguments: &[&str]) -> Child {
    spawn(project.command(arguments))
}

/// Starts a command whose output is kept.
pub fn spawn(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Builds while `edit` is done, in the middle of a command that has [`WAITS`].
#[track_caller]
pub fn build_while(project: &Project, edit: impl FnOnce()) {
    let larder = start(project, &["build"]);
    wait_until("the command runs", || project.path("started").exists());
    edit();
    project.file("go", "");
    let output = larder.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// Puts a file aside, to be [put back](back) as it was: the same inode and modification time.
pub fn aside(project: &Project, path: &str) {
    fs::rename(project.path(path), project.path(path).with_extension("aside")).unwrap();
}

/// Undoes whatever was done to a file since it was put [aside].
pub fn back(project: &Project, path: &str) {
    fs::rename(project.path(path).with_extension("aside"), project.path(path)).unwrap();
}

/// Writes a file in place, and then gives it the modification time it had.
pub fn write_keeping_time(path: &Path, content: &[u8]) {
    let modified = fs::metadata(path).unwrap().modified().unwrap();
    fs::write(path, content).unwrap();
    fs::File::options().append(true).open(path).unwrap().set_modified(modified).unwrap();
}

/// Puts another file in the place of one, with the same modification time, as `cp -p` and `tar` do.
pub fn replace_keeping_time(path: &Path, content: &[u8]) {
    let modified = fs::metadata(path).unwrap().modified().unwrap();
    let other = path.with_extension("other");
    fs::write(&other, content).unwrap();
    fs::File::options().append(true).open(&other).unwrap().set_modified(modified).unwrap();
    fs::rename(other, path).unwrap();
}

/// Builds until larder has reason to trust the times of all files that are there now.
pub fn build_and_settle(project: &Project) {
    let written = fs::metadata(project.path("larder.toml")).unwrap().modified().unwrap();
    project.build();
    let settled = || written.elapsed().unwrap() > Duration::from_millis(200);
    wait_until("the files are old enough", settled);
    project.build();
}

/// Builds the executable `x` of the package. Returns what it prints.
#[track_caller]
pub fn printed(project: &Project) -> String {
    project.larder(&["exec", "x"]).ok().stdout
}

/// Builds the package. Returns what its output `path` says.
#[track_caller]
pub fn made(project: &Project, path: &str) -> String {
    project.build();
    fs::read_to_string(project.output(path)).unwrap()
}

/// A tool's standard output; it must succeed.
#[track_caller]
pub fn said(program: &str, arguments: &[&str], file: &Path) -> String {
    let output = Command::new(program).args(arguments).arg(file).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Whether a program is on `PATH`.
pub fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

/// The same; where it is not, the test is to end, and fails where `CI` is set.
#[track_caller]
pub fn require(program: &str) -> bool {
    let there = has(program);
    assert!(there || std::env::var_os("CI").is_none(), "{program} is not installed");
    if !there {
        eprintln!("not tested: {program} is not installed");
    }
    there
}

/// `PATH` with a directory of the package in front.
pub fn path_with(project: &Project, directory: &str) -> String {
    format!("{}:{}", project.path(directory).display(), std::env::var("PATH").unwrap())
}

/// A C program that prints an integer expression.
pub fn prints(before: &str, expression: &str) -> String {
    format!(
        "#include <stdio.h>\n{before}\nint main(void) {{ printf(\"%d\\n\", {expression}); return 0; }}\n"
    )
}
