//! Edits, waiting commands and damage, as these tests need them.

use std::{fs, time::Duration};

use larder_testkit::{
    files::modified,
    project::Project,
    run::{Run, run},
    wait::wait_until,
};

/// Shell text that waits until the test lets it go on. It ends with the package's directory.
pub const WAITS: &str =
    ": > started; until [ -e go ]; do [ -e larder.toml ] || exit 1; sleep 0.01; done;";

/// Builds while `edit` is done, in the middle of a command that has [`WAITS`].
#[track_caller]
pub fn build_while(project: &Project, edit: impl FnOnce()) {
    let larder = project.start(&["build"]);
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

/// Builds until larder has reason to trust the times of all files that are there now.
pub fn build_and_settle(project: &Project) {
    let written = modified(&project.path("larder.toml"));
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

/// A C program that prints an integer expression.
pub fn prints(before: &str, expression: &str) -> String {
    format!(
        "#include <stdio.h>\n{before}\nint main(void) {{ printf(\"%d\\n\", {expression}); return 0; }}\n"
    )
}

/// Makes a service in a directory beside `project`. Returns how larder is run with it, in that
/// project or in another.
pub fn with_service(project: &Project) -> impl Fn(&Project, &[&str]) -> Run + use<> {
    let service = project.root.parent().unwrap().join("service");
    fs::create_dir(&service).unwrap();
    let config = service.with_extension("toml");
    let text = format!(
        "[cache]\ndefault-service = \"s\"\n[[cache.service]]\nname = \"s\"\nurl = \"file://{}\"\n",
        service.display()
    );
    fs::write(&config, text).unwrap();
    move |project, arguments| {
        let mut command = project.command(arguments);
        command.env("LARDER_CONFIG", &config);
        run(command).ok()
    }
}
