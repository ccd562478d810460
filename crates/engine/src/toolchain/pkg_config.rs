//! Libraries of the system, as `pkg-config` knows them.
//!
//! It is asked once. The answers are remembered in the stat index together with everything that decides
//! them: the program, its variables, the files that it read, and the places where another file would
//! have been found first. So a build with nothing to do starts no process.

use std::{
    collections::{BTreeSet, VecDeque},
    env,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use larder_project::manifest::Module;
use larder_trace::{BuildTrace, StatIndex};
use serde::{Deserialize, Serialize};

use super::{compiler::Watched, find::ToolError};
use crate::environment::Environment;

/// Variables that `pkg-config` goes by begin so.
const VARIABLES: &str = "PKG_CONFIG";

/// The variable that names it.
pub const VARIABLE: &str = "PKG_CONFIG";

/// The arguments for whoever uses a library of the system.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uses {
    /// For compiling (`--cflags`).
    pub compile: Vec<String>,
    /// For linking (`--libs`).
    pub link: Vec<String>,
}

/// An answer about a module, with everything that decides it.
#[derive(Serialize, Deserialize)]
struct Remembered {
    uses: Uses,
    decides: Watched,
}

/// `pkg-config`, and how it is called.
pub(super) struct PkgConfig<'a> {
    /// Where it is: an absolute path.
    pub path: &'a Path,
    /// The arguments that come before all others.
    pub arguments: &'a [String],
    /// Its identity.
    pub trace: &'a BuildTrace,
    /// The root package's directory, in which it runs.
    pub root: &'a Path,
    /// Where commands get their environment from.
    pub environment: &'a Environment,
}

impl PkgConfig<'_> {
    /// Returns what a module's users are given, as it is remembered, if that still holds.
    pub fn remembered(&self, module: &Module, index: &StatIndex) -> Option<Uses> {
        let remembered: Remembered = serde_json::from_str(&index.note(&self.key(module))?).ok()?;
        remembered.decides.holds(index).then_some(remembered.uses)
    }

    /// Asks for what a module's users are given, and has the index remember it.
    ///
    /// # Errors
    /// When there is no such module, in the words of `pkg-config`.
    pub fn ask(&self, module: &Module, index: &StatIndex) -> Result<Uses, ToolError> {
        let named = module.to_string();
        let uses = Uses {
            compile: self.words(&["--print-errors", "--cflags", &named], module)?,
            link: self.words(&["--print-errors", "--libs", &named], module)?,
        };
        let (files, absent) = self.decides(module);
        let decides = Watched::new(files, absent, index)?;
        let remembered = Remembered { uses, decides };
        // A path that is not UTF-8 cannot be written down; then it is asked again the next time.
        if let Ok(text) = serde_json::to_string(&remembered) {
            index.set_note(&self.key(module), &text);
        }
        Ok(remembered.uses)
    }

    /// The directories in which variables have it look for modules.
    pub fn named_directories(&self) -> Vec<PathBuf> {
        let names = ["PKG_CONFIG_PATH", "PKG_CONFIG_LIBDIR"];
        names.into_iter().filter_map(|name| self.named(name)).flatten().collect()
    }

    /// The directories in which it looks for modules, in order.
    fn directories(&self) -> Vec<PathBuf> {
        let usual = || {
            let output = self.run(&["--variable=pc_path", "pkg-config"]).ok()?;
            Some(self.paths(OsStr::new(String::from_utf8(output.stdout).ok()?.trim())))
        };
        let mut directories = self.named("PKG_CONFIG_PATH").unwrap_or_default();
        directories.extend(self.named("PKG_CONFIG_LIBDIR").or_else(usual).unwrap_or_default());
        directories
    }

    fn named(&self, variable: &str) -> Option<Vec<PathBuf>> {
        self.environment.get(variable).map(|text| self.paths(text))
    }

    fn paths(&self, text: &OsStr) -> Vec<PathBuf> {
        let paths = env::split_paths(text).filter(|path| !path.as_os_str().is_empty());
        paths.map(|path| self.root.join(path)).collect()
    }

    /// The files that were read for a module and all that it requires, and the places where others would
    /// have been found first.
    fn decides(&self, module: &Module) -> (Vec<PathBuf>, Vec<PathBuf>) {
        let directories = self.directories();
        let (mut files, mut absent) = (Vec::new(), Vec::new());
        let mut seen = BTreeSet::new();
        let mut left = VecDeque::from([module.name.clone()]);
        while let Some(name) = left.pop_front() {
            if !seen.insert(name.clone()) {
                continue;
            }
            // Both are looked for, in whichever order.
            for file in [format!("{name}-uninstalled.pc"), format!("{name}.pc")] {
                for path in directories.iter().map(|directory| directory.join(&file)) {
                    if path.is_file() {
                        files.push(path);
                        break;
                    }
                    absent.push(path);
                }
            }
            for question in ["--print-requires", "--print-requires-private"] {
                let Ok(output) = self.run(&[question, &name]) else { continue };
                let text = String::from_utf8_lossy(&output.stdout).into_owned();
                let names = text.lines().filter_map(|line| line.split_whitespace().next());
                left.extend(names.map(str::to_owned));
            }
        }
        (files, absent)
    }

    fn words(&self, question: &[&str], module: &Module) -> Result<Vec<String>, ToolError> {
        let failed = |said: String| ToolError::NoModule { module: module.to_string(), said };
        let output = self.run(question).map_err(|error| failed(error.to_string()))?;
        if !output.status.success() {
            return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
        }
        let said = String::from_utf8_lossy(&output.stdout);
        shlex::split(&said).ok_or_else(|| failed(format!("its answer ends within quotes: {said}")))
    }

    fn run(&self, question: &[&str]) -> std::io::Result<Output> {
        let mut command = Command::new(self.path);
        command.args(self.arguments).args(question).current_dir(self.root).stdin(Stdio::null());
        command.env_clear().env("LC_ALL", "C.UTF-8").envs(self.variables());
        for name in ["PATH", "HOME"] {
            command.envs(self.environment.get(name).map(|value| (name, value)));
        }
        command.output()
    }

    fn variables(&self) -> Vec<(OsString, OsString)> {
        let own = |name: &OsStr| {
            name != VARIABLE && name.as_encoded_bytes().starts_with(VARIABLES.as_bytes())
        };
        let set = self.environment.iter().filter(|(name, _)| own(name));
        set.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// The key under which the answers are remembered.
    fn key(&self, module: &Module) -> String {
        let text = |text: &OsStr| text.to_string_lossy().into_owned();
        let variables = self.variables();
        let variables = variables.iter().flat_map(|(name, value)| [text(name), text(value)]);
        let asked = BuildTrace::nil("question")
            .mix(BuildTrace::list("arguments", self.arguments))
            .mix(BuildTrace::list("variables", &variables.collect::<Vec<_>>()))
            .mix(BuildTrace::text("directory", text(self.root.as_os_str())))
            .mix(BuildTrace::text("PATH", text(self.environment.path())))
            .mix(BuildTrace::text("HOME", text(self.environment.get("HOME").unwrap_or_default())))
            .mix(self.trace.clone());
        format!("module {module} {} {}", self.path.display(), asked.hash())
    }
}
