//! Asking a compiler driver who it is, as a command of the build would run it.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{
    find::{is_executable, on_path},
    libraries,
    said::Said,
    script,
    side_by_side::side_by_side,
};
use crate::environment::Environment;

/// A compiler driver, and how the build runs it.
pub struct Driver<'a> {
    /// Where it is: an absolute path.
    pub path: &'a Path,
    /// Arguments of the build that decide which programs and directories it uses.
    pub arguments: &'a [String],
    /// How many of these come before all others of any call: one may be the program behind a wrapper.
    pub first: usize,
    /// The directory that commands run in.
    pub directory: &'a Path,
    /// An empty directory that it may write to.
    pub temporary: &'a Path,
    /// Where commands get their environment from.
    pub environment: &'a Environment,
}

/// The answers of a driver.
#[derive(Debug, Default)]
pub struct Answers {
    /// The target that it compiles for (`-dumpmachine`).
    pub triple: Option<String>,
    /// The line that says its version.
    pub version: Option<String>,
    /// Its version, configuration and commands, free of paths: see [`Said::identity`].
    pub identity: String,
    /// The files that it runs and reads by itself, sorted: programs, what their scripts may run,
    /// plugins, specs.
    pub files: BTreeSet<PathBuf>,
    /// Files and directories that are not there and would be used in the place of others if they were.
    pub absent: BTreeSet<PathBuf>,
    /// Where it looks for system headers, for C and for C++.
    pub include_directories: [Vec<PathBuf>; 2],
    /// Where its linker looks for libraries by itself, in order.
    pub library_directories: Vec<PathBuf>,
    /// Whether its linker knows `--dependency-file`.
    pub dependency_file: bool,
    /// What its linker and its assembler say of their versions, where they say it.
    pub versions: [Option<String>; 2],
}

/// The programs that a driver may run, as `-print-prog-name` knows them.
const PROGRAMS: &[&str] = &["cc1", "cc1plus", "as", "collect2", "ld", "lto1", "lto-wrapper"];

/// The programs that a driver, or `collect2`, looks for in its own directories and then on `PATH`; the
/// last two come before `ld`.
const LOOKED_FOR: &[&str] = &["as", "ld", "real-ld", "collect-ld"];

impl Driver<'_> {
    /// Asks it everything. Questions that it does not understand have no answer; a program that
    /// answers none is not a compiler driver as GCC and Clang are.
    pub fn ask(&self) -> Answers {
        let mut answers = Answers::default();
        let mut names: BTreeSet<String> = LOOKED_FOR.iter().map(|&name| name.into()).collect();
        let mut directories = Vec::new();
        let output = self.temporary.join("output");
        let output = output.to_string_lossy();
        let object = self.temporary.join("object");
        let object = object.to_string_lossy();
        // What goes through to the linker tells its path and its abilities as those of a link.
        let questions: [&[&str]; 7] = [
            &["-v", "-E", "-x", "c", "/dev/null"],
            &["-v", "-E", "-x", "c++", "/dev/null"],
            &["-v", "-Wl,--help", "-o", &output],
            &["-nostdlib", "-Wl,--verbose", "-o", &output],
            &["-Wl,--version", "-o", &output],
            &["-Wa,--version", "-x", "assembler", "-c", "/dev/null", "-o", &object],
            &["-dumpmachine"],
        ];
        let mut answered = side_by_side(&questions, |question| self.run(question)).into_iter();
        let mut next = || answered.next().flatten();
        let verbose = [next(), next(), next()];
        let (script, linker, assembler, machine) = (next(), next(), next(), next());
        answers.triple = machine.and_then(word);
        for (number, said) in verbose.into_iter().enumerate() {
            let Some((stdout, text)) = said else { continue };
            let said = Said { text: &text, directory: self.directory, temporary: self.temporary };
            answers.identity.push_str(&said.identity());
            answers.files.extend(said.files());
            answers.absent.extend(said.missing_directories().into_iter().map(PathBuf::from));
            answers.version = answers.version.take().or(said.version().map(str::to_owned));
            names.extend(said.driver().filter(|name| !name.contains('/')).map(str::to_owned));
            for directory in said.program_directories().into_iter().map(PathBuf::from) {
                if !directories.contains(&directory) {
                    directories.push(directory);
                }
            }
            match answers.include_directories.get_mut(number) {
                Some(list) => {
                    *list = said.include_directories().into_iter().map(PathBuf::from).collect();
                }
                None => {
                    answers.dependency_file = stdout.contains("--dependency-file");
                    let script = script.as_ref().map_or("", |(stdout, _)| stdout);
                    answers.library_directories = said.library_directories(script);
                }
            }
        }
        answers.versions = [linker, assembler].map(|said| {
            let (stdout, _) = said?;
            Some(stdout.trim().to_owned()).filter(|version| !version.is_empty())
        });
        let named = |program: &&str| self.run(&[&format!("-print-prog-name={program}")]);
        for said in side_by_side(PROGRAMS, named) {
            match said.and_then(word) {
                // A bare name means that it is looked for on `PATH`.
                Some(name) if !name.contains('/') => _ = names.insert(name),
                Some(path) => _ = answers.files.insert(path.into()),
                None => {}
            }
        }
        directories.extend(self.environment.directories());
        for name in &names {
            self.look_for(name, &directories, &mut answers);
        }
        for word in self.arguments.iter().take(self.first).filter(|word| !word.starts_with('-')) {
            if let Some(program) = on_path(word, self.environment) {
                self.guard(&program, &mut answers);
                answers.files.insert(program);
            }
        }
        answers.files.insert(self.path.to_owned());
        self.follow_scripts(&mut answers);
        let programs: Vec<&PathBuf> = answers.files.iter().collect();
        let libraries = side_by_side(&programs, |program| self.libraries(program));
        answers.files.extend(libraries.into_iter().flatten());
        answers.files.remove(self.path);
        answers.files.retain(|path| path.is_file());
        answers
    }

    /// Notes which program a name leads to, and every place before it where another would win.
    fn look_for(&self, name: &str, directories: &[PathBuf], answers: &mut Answers) {
        let mut absent = Vec::new();
        for candidate in directories.iter().map(|directory| directory.join(name)) {
            if is_executable(&candidate) {
                answers.files.insert(candidate);
                answers.absent.extend(absent);
                return;
            }
            absent.push(candidate);
        }
        // Not there at all: what must not appear counts for those that would be taken first.
        if LOOKED_FOR.contains(&name) {
            answers.absent.extend(absent);
        }
    }

    /// Adds what the scripts among the files may run, and what that may run.
    fn follow_scripts(&self, answers: &mut Answers) {
        let mut new: Vec<PathBuf> = answers.files.iter().cloned().collect();
        while let Some(path) = new.pop() {
            let Some(text) = script::text_of(&path) else { continue };
            let named = script::interpreters(&text).into_iter();
            let interpreters = named.filter_map(|name| match name.contains('/') {
                true => Some(PathBuf::from(name)),
                false => on_path(name, self.environment),
            });
            for found in interpreters.chain(script::mentioned(&text, self.environment)) {
                self.guard(&found, answers);
                if answers.files.insert(found.clone()) {
                    new.push(found);
                }
            }
        }
    }

    /// The shared libraries that a program loads: a compiler may be little else.
    fn libraries(&self, program: &Path) -> Vec<PathBuf> {
        if !is_executable(program) || !libraries::is_dynamic(program) {
            return Vec::new();
        }
        let mut command = self.command(program);
        command.env(libraries::LIST.0, libraries::LIST.1);
        let Ok(output) = command.output() else { return Vec::new() };
        libraries::listed(&String::from_utf8_lossy(&output.stdout)).collect()
    }

    /// Notes every place on `PATH` before `found` where a program of the same name would win.
    fn guard(&self, found: &Path, answers: &mut Answers) {
        let Some(name) = found.file_name() else { return };
        let candidates = self.environment.directories().map(|directory| directory.join(name));
        let candidates: Vec<PathBuf> = candidates.collect();
        if let Some(at) = candidates.iter().position(|candidate| candidate == found) {
            answers.absent.extend(candidates.into_iter().take(at));
        }
    }

    /// Runs it; standard output and standard error when it succeeds.
    fn run(&self, question: &[&str]) -> Option<(String, String)> {
        let mut command = self.command(self.path);
        let output = command.args(self.arguments).args(question).output().ok()?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        output.status.success().then(|| (text(output.stdout), text(output.stderr)))
    }

    /// `program`, to be run as commands of the build are.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.directory).stdin(Stdio::null());
        command.env_clear().env("LC_ALL", "C.UTF-8").env("TMPDIR", self.temporary);
        for name in ["PATH", "HOME"] {
            command.envs(self.environment.get(name).map(|value| (name, value)));
        }
        command
    }
}

/// The one word that a driver has said.
fn word((stdout, _): (String, String)) -> Option<String> {
    let word = stdout.trim();
    (!word.is_empty() && !word.contains('\n')).then(|| word.to_owned())
}
