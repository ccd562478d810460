//! Tools: what a compiler or another program is, as part of a trace.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use larder_trace::{BuildTrace, Content, ContentHash, MTime, StatIndex, describe_io};

/// A tool found on this machine.
#[derive(Debug, Clone)]
pub struct Toolchain {
    /// The tool as it was asked for, such as `cc`.
    pub name: String,
    /// Where it was found: an absolute path.
    pub path: PathBuf,
    /// What it compiles for, as it says itself (`-dumpmachine`), for a compiler.
    pub triple: Option<String>,
    /// Its identity: the content of its executables and its target triple.
    pub trace: BuildTrace,
}

/// Why a tool cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// No such executable.
    #[error(
        "`{name}` was not found{where_}; install it, or name another with `{key}` under [toolchain]"
    )]
    NotFound {
        /// The tool as it was asked for.
        name: String,
        /// Where it was looked for.
        where_: &'static str,
        /// The manifest's key for it.
        key: String,
    },
    /// No such executable for a command.
    #[error(
        "`{0}` was not found on PATH; install it, or name a file of the package by a path with a `/`"
    )]
    NoProgram(String),
    /// There is no Lean.
    #[error(
        "there is no Lean toolchain: LEAN_SYSROOT is not set, and no `lean` on PATH says where it is \
         (`lean --print-prefix`); install Lean, or set LEAN_SYSROOT to where it is"
    )]
    NoLean,
    /// It is there and cannot be read.
    #[error("cannot read `{}`: {}", path.display(), describe_io(source))]
    Io {
        /// The executable.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Finds executable `name`: a path with a `/` as it is, else the first on `PATH`.
pub fn find_tool(name: &str, key: &str) -> Result<PathBuf, ToolError> {
    if name.contains('/') {
        let path = PathBuf::from(name);
        return is_executable(&path).then_some(path).ok_or_else(|| ToolError::NotFound {
            name: name.to_owned(),
            where_: "",
            key: key.to_owned(),
        });
    }
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|p| is_executable(p))
        .ok_or_else(|| ToolError::NotFound {
            name: name.to_owned(),
            where_: " on PATH",
            key: key.to_owned(),
        })
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

impl Toolchain {
    /// The compiler `name` with its identity: the content of the driver, of the programs it runs
    /// (`cc1`, `as`, `ld`, where it tells them) and its target triple.
    ///
    /// What the driver says is remembered in `index` under the hash of its content, so that no
    /// process is started while nothing changed.
    pub fn compiler(name: &str, key: &str, index: &StatIndex) -> Result<Self, ToolError> {
        let path = find_tool(name, key)?;
        let driver = hash_tool(&path, index)?;
        let note = format!("compiler {} {driver}", path.display());
        let said = index.note(&note).unwrap_or_else(|| {
            let said = interrogate(&path);
            // One that could not answer may have been kept from it, by a sandbox for instance.
            if !said.is_empty() {
                index.set_note(&note, &said);
            }
            said
        });
        let mut lines = said.lines();
        let triple = lines.next().filter(|triple| !triple.is_empty()).map(str::to_owned);
        let mut trace = BuildTrace::nil(key.to_owned())
            .mix(BuildTrace::leaf("driver", driver, MTime::NONE))
            .mix(BuildTrace::text("triple", triple.as_deref().unwrap_or("")));
        for line in lines {
            if let Some((program, path)) = line.split_once('\t')
                && let Ok(hash) = hash_tool(Path::new(path), index)
            {
                trace = trace.mix(BuildTrace::leaf(program.to_owned(), hash, MTime::NONE));
            }
        }
        Ok(Self { name: name.to_owned(), path, triple, trace })
    }

    /// Any other tool, such as an archiver, with the content of its executable as identity.
    pub fn tool(name: &str, key: &str, index: &StatIndex) -> Result<Self, ToolError> {
        let path = find_tool(name, key)?;
        let trace = BuildTrace::leaf(key.to_owned(), hash_tool(&path, index)?, MTime::NONE);
        Ok(Self { name: name.to_owned(), path, triple: None, trace })
    }
}

fn hash_tool(path: &Path, index: &StatIndex) -> Result<ContentHash, ToolError> {
    let text = path.to_string_lossy();
    match index.file(&text, Content::Binary) {
        Ok(hashed) => Ok(hashed.hash),
        Err(source) => Err(ToolError::Io { path: path.to_owned(), source }),
    }
}

/// The compiler's target triple on the first line, then `PROGRAM<tab>PATH` for each program it runs.
/// A compiler that does not understand the question has an empty answer and is known by its content.
fn interrogate(compiler: &Path) -> String {
    let ask = |argument: &str| {
        let mut command = Command::new(compiler);
        // As when it compiles: what it says must not depend on the rest of the environment.
        let environment = env::vars_os().filter(|(name, _)| name == "PATH" || name == "HOME");
        command.env_clear().envs(environment).env("LC_ALL", "C.UTF-8");
        let output = command.arg(argument).stdin(Stdio::null()).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
        (output.status.success() && !text.is_empty() && !text.contains('\n')).then_some(text)
    };
    let mut said = ask("-dumpmachine").unwrap_or_default();
    for program in ["cc1", "cc1plus", "as", "collect2", "ld"] {
        let Some(path) = ask(&format!("-print-prog-name={program}")) else { continue };
        // A bare name means: whatever is on PATH.
        let path =
            if path.contains('/') { Some(path.into()) } else { find_tool(&path, program).ok() };
        if let Some(path) = path.filter(|path| is_executable(path)) {
            said.push_str(&format!("\n{program}\t{}", path.display()));
        }
    }
    said
}
