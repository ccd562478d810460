//! The tools that a package is built with.

use std::{
    collections::{BTreeMap, HashMap},
    env, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use crate::tool::{ToolError, Toolchain, find_tool};
use larder_project::{
    diagnostic::{Diagnostic, Diagnostics},
    manifest::{self, Manifest, ToolchainKind},
    workspace::{LARDER_DIR, Package},
};
use larder_store::offline::Tool;
use larder_trace::{BuildTrace, Content, StatIndex, describe_io};

use crate::sandbox::Sandbox;

/// Tools by what they are needed for; each is looked for once, when it is first needed.
pub struct Tools<'i> {
    index: &'i StatIndex,
    sandbox: Option<&'i Sandbox>,
    found: HashMap<(String, &'static str), Arc<Toolchain>>,
}

/// What a tool is for: also its key under `[toolchain]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Compiles C and assembly, and links.
    Cc,
    /// Compiles C++, and links what has any.
    Cxx,
    /// Makes static libraries.
    Ar,
}

impl Role {
    /// The manifest's key for it.
    pub fn key(self) -> &'static str {
        match self {
            Self::Cc => "cc",
            Self::Cxx => "cxx",
            Self::Ar => "ar",
        }
    }

    /// The tool that `toolchain` names for it.
    pub fn named(self, toolchain: &manifest::Toolchain) -> Option<&str> {
        match self {
            Self::Cc => toolchain.cc.as_deref(),
            Self::Cxx => toolchain.cxx.as_deref(),
            Self::Ar => toolchain.ar.as_deref(),
        }
    }
}

impl<'i> Tools<'i> {
    /// Nothing found yet. Compilers are asked who they are, in the sandbox where there is one.
    pub fn new(index: &'i StatIndex, sandbox: Option<&'i Sandbox>) -> Self {
        Self { index, sandbox, found: HashMap::new() }
    }

    /// Does `work`, which runs tools: a manifest may name any program as its compiler.
    fn confined<T: Send>(
        &self,
        visible: &[&Path],
        work: impl FnOnce() -> Result<T, ToolError> + Send,
    ) -> Result<T, ToolError> {
        let Some(sandbox) = self.sandbox else { return work() };
        let view = sandbox.view_of_tools(visible);
        let done = sandbox.confined(&view, work).map_err(|error| ToolError::Io {
            path: visible.first().copied().unwrap_or(Path::new("")).to_owned(),
            source: io::Error::other(error),
        });
        done?
    }

    /// The tool that a package in `directory` uses as `role`.
    ///
    /// # Errors
    /// When there is none; says where it was looked for.
    pub fn get(
        &mut self,
        toolchain: &manifest::Toolchain,
        role: Role,
        directory: &Path,
    ) -> Result<Arc<Toolchain>, ToolError> {
        let named = role.named(toolchain);
        let lean = toolchain.kind == ToolchainKind::Lean;
        let name = match (named, lean) {
            // A path is relative to the package.
            (Some(name), _) if name.contains('/') => {
                directory.join(name).to_string_lossy().into_owned()
            }
            (Some(name), _) => name.to_owned(),
            (None, true) if role != Role::Cxx => {
                let selected = directory.join("lean-toolchain");
                let sysroot =
                    self.confined(&[&selected], || lean_sysroot(self.index, directory))?;
                lean_tool(&sysroot, role).to_string_lossy().into_owned()
            }
            (None, _) => match role {
                Role::Cc => "cc",
                Role::Cxx => "c++",
                Role::Ar => "ar",
            }
            .to_owned(),
        };
        let key = role.key();
        if let Some(tool) = self.found.get(&(name.clone(), key)) {
            return Ok(tool.clone());
        }
        let selected = directory.join("lean-toolchain");
        let tool = self.confined(&[Path::new(&name), &selected], || {
            let mut tool = match role {
                Role::Ar => Toolchain::tool(&name, key, self.index)?,
                Role::Cc | Role::Cxx => Toolchain::compiler(&name, key, self.index)?,
            };
            if lean {
                tool.trace = tool.trace.mix(lean_trace(self.index, directory)?);
            }
            Ok(tool)
        });
        let tool = Arc::new(tool?);
        self.found.insert((name, key), tool.clone());
        Ok(tool)
    }

    /// Everything found so far, sorted, by file name: where tools are is no part of what they make.
    pub fn list(&self) -> Vec<Tool> {
        let tool = |((name, role), tool): (&(String, &'static str), &Arc<Toolchain>)| Tool {
            role: (*role).to_owned(),
            name: name.rsplit('/').next().unwrap_or(name).to_owned(),
            target: tool.triple.clone(),
            identity: tool.trace.hash(),
        };
        let mut tools: Vec<Tool> = self.found.iter().map(tool).collect();
        tools.sort();
        tools.dedup();
        tools
    }

    /// The program `name` that a command runs, found on `PATH`.
    pub fn program(&mut self, name: &str) -> Result<Arc<Toolchain>, ToolError> {
        if let Some(tool) = self.found.get(&(name.to_owned(), "program")) {
            return Ok(tool.clone());
        }
        let tool = Toolchain::tool(name, "program", self.index).map_err(|error| match error {
            ToolError::NotFound { name, .. } => ToolError::NoProgram(name),
            error => error,
        })?;
        let tool = Arc::new(tool);
        self.found.insert((name.to_owned(), "program"), tool.clone());
        Ok(tool)
    }
}

/// Where Lean is installed: `LEAN_SYSROOT`, else what the `lean` on `PATH` says.
fn lean_sysroot(index: &StatIndex, directory: &Path) -> Result<PathBuf, ToolError> {
    if let Some(sysroot) = env::var_os("LEAN_SYSROOT").filter(|sysroot| !sysroot.is_empty()) {
        return Ok(sysroot.into());
    }
    let missing = || ToolError::NoLean;
    let lean = find_tool("lean", "lean").map_err(|_| missing())?;
    let said = ask_lean(index, &lean, "--print-prefix", directory).ok_or_else(missing)?;
    Ok(said.into())
}

/// What `lean` answers, remembered for as long as it and the toolchain file that selects it are the
/// same: under elan, `lean` is one program for many versions.
fn ask_lean(index: &StatIndex, lean: &Path, argument: &str, directory: &Path) -> Option<String> {
    let hash =
        |path: &Path| index.file(&path.to_string_lossy(), Content::Text).ok().map(|h| h.hash);
    let program = hash(lean)?;
    let selected = hash(&directory.join("lean-toolchain"));
    let elan = env::var("ELAN_TOOLCHAIN").unwrap_or_default();
    let key = format!("lean {argument} {} {program} {selected:?} {elan}", lean.display());
    if let Some(said) = index.note(&key) {
        return Some(said);
    }
    let mut command = Command::new(lean);
    // Not the rest of the environment: which Lean this is may be for the package to say.
    let kept = |name: &str| {
        matches!(name, "PATH" | "HOME") || name.starts_with("ELAN_") || name.starts_with("LEAN_")
    };
    let environment = env::vars_os().filter(|(name, _)| name.to_str().is_some_and(kept));
    command.env_clear().envs(environment);
    let output = command.arg(argument).current_dir(directory).stdin(Stdio::null()).output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    if !output.status.success() || said.is_empty() {
        return None;
    }
    index.set_note(&key, &said);
    Some(said)
}

fn lean_tool(sysroot: &Path, role: Role) -> PathBuf {
    let bin = sysroot.join("bin");
    match role {
        Role::Cc | Role::Cxx => bin.join("leanc"),
        // The archiver that comes with Lean; installations for systems with one of their own have none.
        Role::Ar if bin.join("llvm-ar").exists() => bin.join("llvm-ar"),
        Role::Ar => "ar".into(),
    }
}

/// Lean's identity: the content of its compiler and what that says of its version.
fn lean_trace(index: &StatIndex, directory: &Path) -> Result<BuildTrace, ToolError> {
    let lean = lean_sysroot(index, directory)?.join("bin").join("lean");
    let tool =
        Toolchain::tool(&lean.to_string_lossy(), "lean", index).map_err(|_| ToolError::NoLean)?;
    let version = ask_lean(index, &lean, "--version", directory).unwrap_or_default();
    Ok(BuildTrace::nil("lean").mix(tool.trace).mix(BuildTrace::text("version", version)))
}

/// Identifies the tools of `packages`, for keys of CI jobs: compilers and archivers, as each package names them, and the programs that commands run.
pub fn identities(
    root: &Path,
    packages: &BTreeMap<String, Package>,
) -> Result<BuildTrace, Diagnostics> {
    let index = root.join(LARDER_DIR).join("index");
    // What compilers said of themselves is taken from the index; hashes of files are not.
    let index = StatIndex::open(root, &index, true).map_err(|error| {
        Diagnostic::new(format!("cannot enter {}: {}", root.display(), describe_io(&error)))
            .failed()
    })?;
    let mut tools = Tools::new(&index, None);
    let mut trace = BuildTrace::nil("toolchain");
    for (name, package) in packages {
        let mut of_package = BuildTrace::nil(name.clone());
        let (toolchain, directory) = (&package.manifest.toolchain, &package.place.directory);
        for role in [Role::Cc, Role::Cxx, Role::Ar] {
            let tool = match role.named(toolchain) {
                // It may be a file of the package, which nobody vouches for: it is read and not run.
                Some(path) if path.contains('/') => {
                    let path = directory.join(path);
                    Toolchain::tool(&path.to_string_lossy(), role.key(), &index).map(Arc::new)
                }
                _ => tools.get(toolchain, role, directory),
            };
            of_package = of_package.mix(identity(role.key(), tool)?);
        }
        for program in programs(&package.manifest) {
            of_package = of_package.mix(identity(&program, tools.program(&program))?);
        }
        trace = trace.mix(of_package);
    }
    Ok(trace)
}

/// The programs that a package's commands find on `PATH`, sorted.
fn programs(manifest: &Manifest) -> std::collections::BTreeSet<String> {
    let first = manifest.commands.iter().filter_map(|command| command.run.first()?.as_literal());
    first.filter(|name| !name.contains('/')).map(str::to_owned).collect()
}

/// A tool's identity; one that is not there is known by that.
fn identity(name: &str, tool: Result<Arc<Toolchain>, ToolError>) -> Result<BuildTrace, Diagnostic> {
    match tool {
        Ok(tool) => Ok(tool.trace.clone().named(name.to_owned())),
        Err(ToolError::NotFound { .. } | ToolError::NoLean) => {
            Ok(BuildTrace::text(name.to_owned(), "absent"))
        }
        Err(error) => Err(Diagnostic::new(error.to_string()).failed()),
    }
}
