//! The Lean installation whose compiler and archiver a package uses.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use larder_trace::{BuildTrace, Content, StatIndex};

use super::{
    Role,
    find::{ToolError, find_tool},
    program::Program,
};
use crate::environment::Environment;

/// Lean as a package sees it: under elan, the package's `lean-toolchain` selects one of many.
pub struct Lean<'a> {
    pub index: &'a StatIndex,
    pub environment: &'a Environment,
    /// The package's directory, absolute.
    pub directory: &'a Path,
}

impl Lean<'_> {
    /// Where Lean is installed: `LEAN_SYSROOT`, else what the `lean` on `PATH` says.
    pub fn sysroot(&self) -> Result<PathBuf, ToolError> {
        if let Some(sysroot) = self.environment.get("LEAN_SYSROOT").filter(|root| !root.is_empty())
        {
            return Ok(sysroot.into());
        }
        let lean = find_tool("lean", "lean", self.environment).map_err(|_| ToolError::NoLean)?;
        Ok(self.ask(&lean, "--print-prefix").ok_or(ToolError::NoLean)?.into())
    }

    /// The tool for `role`. `LEAN_SYSROOT/bin/leanc` compiles and links.
    pub fn tool(&self, role: Role) -> Result<PathBuf, ToolError> {
        let bin = self.sysroot()?.join("bin");
        Ok(match role {
            Role::Cc | Role::Cxx => bin.join("leanc"),
            // The archiver that comes with Lean; installations for systems with one of their own have none.
            Role::Ar if bin.join("llvm-ar").exists() => bin.join("llvm-ar"),
            Role::Ar => "ar".into(),
        })
    }

    /// Lean's identity: the content of its compiler and what that says of its version.
    pub fn trace(&self) -> Result<BuildTrace, ToolError> {
        let lean = self.sysroot()?.join("bin").join("lean");
        let tool = Program::find(&lean.to_string_lossy(), "lean", self.index, self.environment)
            .map_err(|_| ToolError::NoLean)?;
        let version = self.ask(&lean, "--version").unwrap_or_default();
        Ok(BuildTrace::nil("lean").mix(tool.trace).mix(BuildTrace::text("version", version)))
    }

    /// Lean by name: what `lean-toolchain` calls it, where there is one, and the version that it says.
    /// The platform is not part of it: that counts by itself, or not, as the package says.
    pub fn name(&self) -> Result<BuildTrace, ToolError> {
        let lean = self.sysroot()?.join("bin").join("lean");
        let said = self.ask(&lean, "--version").ok_or_else(|| ToolError::NoName {
            name: lean.display().to_string(),
            lacks: "its version (`--version`)",
            key: "cc".to_owned(),
        })?;
        // `Lean (version 4.9.0, x86_64-unknown-linux-gnu, commit 8f9843a4a5fe, Release)`
        let version = said.split(',').next().unwrap_or(&said);
        let trace = BuildTrace::nil("lean").mix(BuildTrace::text("version", version));
        let selected = fs::read_to_string(self.directory.join("lean-toolchain"));
        Ok(match selected {
            Ok(selected) => trace.mix(BuildTrace::text("name", selected.trim())),
            Err(_) => trace,
        })
    }

    /// The answer of `lean`, remembered for as long as it and the toolchain file that selects it are
    /// the same.
    fn ask(&self, lean: &Path, argument: &str) -> Option<String> {
        let hash = |path: &Path| {
            self.index.file(&path.to_string_lossy(), Content::Text).ok().map(|hashed| hashed.hash)
        };
        let program = hash(lean)?;
        let selected = hash(&self.directory.join("lean-toolchain"));
        let elan = self.environment.get("ELAN_TOOLCHAIN").unwrap_or_default().to_string_lossy();
        let key = format!("lean {argument} {} {program} {selected:?} {elan}", lean.display());
        if let Some(said) = self.index.note(&key) {
            return Some(said);
        }
        // Not the rest of the environment: which Lean this is may be for the package to say.
        let kept = |name: &str| {
            matches!(name, "PATH" | "HOME")
                || name.starts_with("ELAN_")
                || name.starts_with("LEAN_")
        };
        let environment = self.environment.iter();
        let environment = environment.filter(|(name, _)| name.to_str().is_some_and(kept));
        let mut command = Command::new(lean);
        command.env_clear().envs(environment).arg(argument).current_dir(self.directory);
        let output = command.stdin(Stdio::null()).output().ok()?;
        let said = String::from_utf8(output.stdout).ok()?.trim().to_owned();
        if !output.status.success() || said.is_empty() {
            return None;
        }
        self.index.set_note(&key, &said);
        Some(said)
    }
}
