//! Running larder to its end.

use std::{
    borrow::BorrowMut,
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::machine::KEY;

/// How long one run may take.
const LIMIT: Duration = Duration::from_secs(120);

/// The larder that was built with the test that asks: beside the directory that the test itself is in.
pub fn binary() -> PathBuf {
    let test = env::current_exe().unwrap();
    let larder = test.ancestors().nth(2).unwrap().join("larder");
    assert!(larder.is_file(), "there is no {}: build the crate `larder` first", larder.display());
    larder
}

/// larder in `directory`, with the store `cache`, no configuration, and nothing of the caller's
/// environment that could change what it does.
pub fn larder(directory: &Path, cache: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(arguments).current_dir(directory).stdin(Stdio::null()).env_clear();
    for name in ["PATH", "HOME", "TMPDIR"] {
        command.envs(env::var_os(name).map(|value| (name, value)));
    }
    command.env("LARDER_CACHE_DIR", cache).env("LARDER_CONFIG", cache.with_extension("toml"));
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    command
}

/// larder in `directory`, with a store below it.
pub fn larder_in(directory: &Path) -> Command {
    larder(directory, &directory.join(".cache"), &[])
}

/// `inner` run by another program, which comes with its arguments and takes a command after them.
pub fn under(program: &[&str], inner: &Command) -> Command {
    let mut outer = Command::new(program[0]);
    outer.args(&program[1..]).arg(inner.get_program());
    like(inner, outer)
}

/// `inner` with a copy of its program, which is made where it is not there yet: where cargo builds may be
/// closed to others.
pub fn from_copy(copy: &Path, inner: &Command) -> Command {
    if !copy.exists() {
        fs::copy(inner.get_program(), copy).unwrap();
    }
    like(inner, Command::new(copy))
}

/// `outer` with the arguments, the environment and the directory of `inner`.
fn like(inner: &Command, mut outer: Command) -> Command {
    outer.args(inner.get_args()).stdin(Stdio::null());
    outer.env_clear().envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    outer.current_dir(inner.get_current_dir().unwrap());
    outer
}

/// Runs a command to its end; one that takes two minutes hangs.
#[track_caller]
pub fn run(mut command: impl BorrowMut<Command>) -> Run {
    let started = Instant::now();
    let output = command.borrow_mut().output().unwrap();
    assert!(started.elapsed() < LIMIT, "{:?} took too long", command.borrow_mut());
    Run::of(output)
}

/// How a run of larder ended and what it printed.
#[derive(Debug)]
pub struct Run {
    /// The exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Run {
    /// Reads the outcome of a process. A secret is never shown.
    #[track_caller]
    pub fn of(output: Output) -> Self {
        let Output { status, stdout, stderr } = output;
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let run = Self { code: status.code(), stdout: text(stdout), stderr: text(stderr) };
        for text in [&run.stdout, &run.stderr] {
            assert!(!text.contains(KEY.1), "the key shows: {text}");
        }
        run
    }

    /// The exit code, standard output and standard error of a process that no signal ended.
    #[track_caller]
    pub fn parts(self) -> (i32, String, String) {
        (self.code.expect("a signal ended it"), self.stdout, self.stderr)
    }

    /// It must have ended with this exit code, and not have panicked.
    #[track_caller]
    pub fn ends_with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        for panicked in ["panicked at", "RUST_BACKTRACE"] {
            assert!(!self.stderr.contains(panicked), "{}", self.stderr);
        }
        self
    }

    /// It must have succeeded.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.ends_with(0)
    }

    /// It must have said this on standard error.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "`{text}` is not in:\n{}", self.stderr);
        self
    }

    /// It must have said all of these, on standard output or standard error.
    #[track_caller]
    pub fn mentions(self, words: &[&str]) -> Self {
        for word in words {
            let said = self.stderr.contains(word) || self.stdout.contains(word);
            assert!(said, "no {word:?} in {self:?}");
        }
        self
    }

    /// The events of `--json`.
    #[track_caller]
    pub fn events(&self) -> Vec<Value> {
        self.stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .collect()
    }
}
