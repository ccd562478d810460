//! Which program is called as which tool, and with which arguments before all others: for this machine, or
//! for the target.

use std::path::{Path, PathBuf};

use larder_project::{
    manifest::{self, ToolchainKind},
    setting::{Cross, Family, Platform},
    triple::Triple,
};
use larder_trace::BuildTrace;

use super::{
    Compiler, Role, Tools,
    find::{ToolError, on_path},
};
use crate::flags::{self, Words};

/// How a tool is called.
#[derive(Debug, Clone, Default)]
pub(super) struct Call {
    /// Its name on `PATH`, or its path.
    pub name: String,
    /// Its arguments before all others. Relative paths start in the root package's directory.
    pub first: Vec<String>,
    /// The variable that asks for it.
    variable: Option<Words>,
    /// Whether `first` has arguments of the target.
    of_target: bool,
}

impl Call {
    /// Adds an argument that is for the target.
    pub fn add(&mut self, option: String) {
        self.first.push(option);
        self.of_target = true;
    }

    /// Returns the parts of the tool's identity that say how it is called.
    pub fn traces(&self, root: &Path) -> Vec<BuildTrace> {
        let mut traces: Vec<BuildTrace> =
            self.variable.iter().map(|words| words.tool_trace(root)).collect();
        if self.of_target {
            let shown: Vec<String> =
                self.first.iter().map(|word| flags::shown(word, root)).collect();
            traces.push(BuildTrace::list("target", &shown));
        }
        traces
    }
}

impl Role {
    /// The tool that is declared for it of a target.
    pub(super) fn declared(self, cross: &Cross) -> Option<&str> {
        match self {
            Self::Cc => cross.toolchain.cc.as_deref(),
            Self::Cxx => cross.toolchain.cxx.as_deref(),
            Self::Ar => cross.toolchain.ar.as_deref(),
        }
    }

    /// What follows `TRIPLE-` in the names of tools for it.
    fn suffixes(self) -> &'static [&'static str] {
        match self {
            Self::Cc => &["gcc", "clang"],
            Self::Cxx => &["g++", "clang++"],
            Self::Ar => &["ar"],
        }
    }
}

impl Tools<'_> {
    /// The tool that a package in `directory` uses as `role`.
    pub(super) fn call(
        &mut self,
        toolchain: &manifest::Toolchain,
        role: Role,
        directory: &Path,
    ) -> Result<Call, ToolError> {
        let Some(cross) = self.cross.clone() else {
            let name = self.name(toolchain, role, directory)?;
            let variable = self.flags.tool(toolchain, role).cloned();
            let first = variable.as_ref().map(|words| words.arguments().to_vec());
            let first = first.unwrap_or_default();
            return Ok(Call { name, first, variable, of_target: false });
        };
        if toolchain.kind == ToolchainKind::Lean {
            return Err(ToolError::LeanForTarget(cross.triple.to_string()));
        }
        let variable = self.flags.tool(toolchain, role).cloned();
        let (name, mut first) = match &variable {
            Some(words) => (self.name(toolchain, role, directory)?, words.arguments().to_vec()),
            None => (self.name_for(&cross, toolchain, role, directory)?, Vec::new()),
        };
        let before = first.len();
        if role != Role::Ar {
            first.extend(cross.toolchain.trace_args.iter().flatten().cloned());
            first.extend(cross.toolchain.sysroot.iter().map(|path| format!("--sysroot={path}")));
        }
        let of_target = first.len() > before;
        Ok(Call { name, first, variable, of_target })
    }

    /// The option that has a compiler compile for the target, where it does so only then: Clang compiles for
    /// all of them.
    pub(super) fn target_option(
        &self,
        compiler: &Compiler,
        arguments: &[String],
    ) -> Option<String> {
        let cross = self.cross.as_ref()?;
        let chosen = |argument: &String| argument.starts_with("--target=") || argument == "-target";
        let chooses = compiler.family == Some(Family::Clang) && !arguments.iter().any(chosen);
        (chooses && !is_made_for(compiler, &cross.triple, arguments))
            .then(|| format!("--target={}", cross.triple.for_clang()))
    }

    /// Makes sure that a compiler does not compile for another machine than is asked for. One that does not say
    /// for which it does is believed.
    pub(super) fn check_machine(
        &self,
        compiler: &Compiler,
        role: Role,
        arguments: &[String],
    ) -> Result<(), ToolError> {
        let Some(cross) = &self.cross else { return Ok(()) };
        let Some(made) = &compiler.triple else { return Ok(()) };
        if is_made_for(compiler, &cross.triple, arguments) {
            return Ok(());
        }
        let asked = self.flags.tool(&manifest::Toolchain::default(), role);
        let variable = asked.map(|words| {
            format!("; the environment variable {} asks for it, and what is for this machine is asked for by {}_FOR_BUILD", words.read_from, words.variable)
        });
        Err(ToolError::OtherMachine {
            name: compiler.name.rsplit('/').next().unwrap_or_default().to_owned(),
            made: made.clone(),
            triple: cross.triple.to_string(),
            key: role.key(),
            variable: variable.unwrap_or_default(),
        })
    }

    /// The tool for the target where no variable asks for one: that which is declared; the Clang of the
    /// package, which compiles for all machines; else one of the usual names.
    fn name_for(
        &mut self,
        cross: &Cross,
        toolchain: &manifest::Toolchain,
        role: Role,
        directory: &Path,
    ) -> Result<String, ToolError> {
        if let Some(name) = role.declared(cross) {
            return Ok(match name.contains('/') {
                true => self.root.join(name).to_string_lossy().into_owned(),
                false => name.to_owned(),
            });
        }
        if let Some(name) = role.named(toolchain) {
            let name = match name.contains('/') {
                true => directory.join(name).to_string_lossy().into_owned(),
                false => name.to_owned(),
            };
            if self.serves_all_machines(&name, role, directory)? {
                return Ok(name);
            }
        }
        self.usual_for(cross, role)
    }

    /// Whether a tool of a package works for every machine, as those of LLVM do.
    fn serves_all_machines(
        &mut self,
        name: &str,
        role: Role,
        directory: &Path,
    ) -> Result<bool, ToolError> {
        if role == Role::Ar {
            return Ok(name.rsplit('/').next().is_some_and(|file| file.starts_with("llvm-ar")));
        }
        let key = (name.to_owned(), role);
        if let Some(known) = self.of_all_machines.get(&key) {
            return Ok(*known);
        }
        let found = self.identify(name, role, directory, &[], 0)?.family == Some(Family::Clang);
        self.of_all_machines.insert(key, found);
        Ok(found)
    }

    /// The tool on `PATH` with one of the names that tools for a target usually have.
    fn usual_for(&self, cross: &Cross, role: Role) -> Result<String, ToolError> {
        let prefixes = cross.triple.prefixes();
        let mut names: Vec<String> = Vec::new();
        for prefix in &prefixes {
            names.extend(role.suffixes().iter().map(|suffix| format!("{prefix}-{suffix}")));
        }
        if role == Role::Ar {
            names.push("llvm-ar".to_owned());
        }
        // What is built for this machine by its name is built by its tools.
        if cross.triple.platform() == Platform::default() {
            names.push(role.usual().to_owned());
        }
        if let Some(name) = names.iter().find(|name| on_path(name, &self.environment).is_some()) {
            return Ok(name.clone());
        }
        Err(ToolError::NoneForTarget {
            triple: cross.triple.to_string(),
            tried: listed(&names),
            package: package(&cross.triple, role),
            key: role.key(),
            clang: match role {
                Role::Cc => "; cc = \"clang\" there is one for all targets",
                Role::Cxx => "; cxx = \"clang++\" there is one for all targets",
                Role::Ar => "",
            },
        })
    }

    /// The error, where a variable or a target's table names what is not there.
    pub(super) fn of_variable(
        &self,
        error: ToolError,
        toolchain: &manifest::Toolchain,
        role: Role,
    ) -> ToolError {
        match (error, self.flags.tool(toolchain, role), &self.cross) {
            (ToolError::NotFound { name, where_, .. }, Some(words), _) => {
                ToolError::NotAsNamed { name, where_, variable: words.read_from }
            }
            (ToolError::NotFound { name, where_, .. }, None, Some(cross)) => {
                let triple = cross.triple.to_string();
                ToolError::NotForTarget { name, where_, key: role.key(), triple }
            }
            (error, ..) => error,
        }
    }

    /// The path of the tool that a package in `directory` uses as `role`, where a manifest or a variable
    /// names one by its path.
    pub(super) fn path_of(
        &self,
        toolchain: &manifest::Toolchain,
        role: Role,
        directory: &Path,
    ) -> Option<PathBuf> {
        if let Some(asked) = self.flags.tool(toolchain, role) {
            let path = asked.words.first().filter(|name| name.contains('/'))?;
            return Some(self.root.join(path));
        }
        let path = role.named(toolchain).filter(|name| name.contains('/'))?;
        Some(directory.join(path))
    }

    /// The name on `PATH`, or the path, of the tool for this machine that a package in `directory` uses as
    /// `role`, or which a variable asks for.
    fn name(
        &self,
        toolchain: &manifest::Toolchain,
        role: Role,
        directory: &Path,
    ) -> Result<String, ToolError> {
        if let Some(path) = self.path_of(toolchain, role, directory) {
            return Ok(path.to_string_lossy().into_owned());
        }
        let asked = self.flags.tool(toolchain, role).and_then(|asked| asked.words.first());
        Ok(match asked.map(String::as_str).or(role.named(toolchain)) {
            Some(name) => name.to_owned(),
            None if toolchain.kind == ToolchainKind::Lean && role != Role::Cxx => {
                let tool = self.of_lean(directory, |lean| lean.tool(role))?;
                tool.to_string_lossy().into_owned()
            }
            None => role.usual().to_owned(),
        })
    }
}

/// Whether a compiler, called with these arguments, compiles for a machine.
fn is_made_for(compiler: &Compiler, triple: &Triple, arguments: &[String]) -> bool {
    let Some(made) = compiler.triple.as_ref().and_then(|made| made.parse::<Triple>().ok()) else {
        return false;
    };
    // With `-m32` GCC compiles for the smaller one of two, and says nothing of it.
    let (here, there) = (made.platform(), triple.platform());
    let narrow = arguments.iter().any(|argument| argument == "-m32")
        && (here.arch.as_str(), there.arch.as_str()) == ("x86_64", "x86")
        && here.os == there.os;
    triple.is_made_by(&made) || narrow
}

/// Names as they stand in a sentence: `a`, `b` and `c` were.
pub(super) fn listed(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match &quoted[..] {
        [only] => format!("{only} was"),
        [first @ .., last] => format!("{} and {last} were", first.join(", ")),
        [] => "nothing was".to_owned(),
    }
}

/// What brings the tools for a target, as far as it is known.
fn package(triple: &Triple, role: Role) -> String {
    let usual = triple.prefixes().pop().unwrap_or_default().replace('_', "-");
    match (triple.platform().os.as_str(), role) {
        ("linux", Role::Cc) => format!("it (on Debian: gcc-{usual})"),
        ("linux", Role::Cxx) => format!("it (on Debian: g++-{usual})"),
        ("linux", Role::Ar) => format!("it (on Debian: binutils-{usual})"),
        ("windows", _) if usual.ends_with("mingw32") => "it (on Debian: mingw-w64)".to_owned(),
        _ => "one".to_owned(),
    }
}
