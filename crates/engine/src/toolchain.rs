//! The tools that a package is built with: found, and known by the content of all that they run.
//!
//! A compiler is a driver that runs others. It is asked which, once, and the answers are remembered in
//! the stat index together with the content of every file that decides them, so that a build with
//! nothing to do starts no process.

mod ask;
mod assembler;
mod call;
mod compiler;
mod family;
mod find;
mod identities;
mod lean;
mod libraries;
mod name;
mod pkg_config;
mod program;
mod recall;
mod said;
mod script;
mod side_by_side;
mod system;

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use larder_project::{
    manifest::{self, KnownBy, Module, ToolchainKind},
    setting::Cross,
};
use larder_store::offline;
use larder_trace::{BuildTrace, MTime, StatIndex};

use self::{
    ask::{Answers, Driver},
    compiler::{Remembered, note_key},
    find::hash_tool,
    lean::Lean,
    recall::SeenCompiler,
};
pub use self::{
    assembler::Assembler,
    compiler::{Compiler, IncludeDirectories, LinkerAbilities, deciding},
    family::{Families, families, tools_of_sides},
    find::{ToolError, find_tool},
    identities::machine,
    pkg_config::Uses,
    program::Program,
    recall::Recall,
};
use crate::{
    environment::Environment,
    flags::{Flags, rooted},
    sandbox::Sandbox,
};
pub use libraries::of as libraries_of;
pub(crate) use libraries::{
    LIST as LIST_LIBRARIES, is_dynamic, is_static, listed as listed_libraries,
};

/// Something a tool is for: also its key under `[toolchain]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

    /// The tool on `PATH` when none is named.
    fn usual(self) -> &'static str {
        match self {
            Self::Cc => "cc",
            Self::Cxx => "c++",
            Self::Ar => "ar",
        }
    }
}

/// One use of a compiler: its name or path, its role, how it counts, and the arguments that decide what it
/// runs, with the directory they count from.
type Use = (String, Role, KnownBy, Vec<String>, PathBuf);

/// Tools by their use; each is looked for once, when it is first needed.
pub struct Tools<'i> {
    index: &'i StatIndex,
    sandbox: Option<&'i Sandbox>,
    /// What the store has seen of tools, where that counts.
    recall: Option<Recall<'i>>,
    environment: Environment,
    /// The tools that the environment asks for, and the root package's directory.
    flags: Arc<Flags>,
    root: PathBuf,
    /// The machine that they are for, if that is another.
    cross: Option<Arc<Cross>>,
    /// By name and role: whether a tool works for every machine.
    of_all_machines: HashMap<(String, Role), bool>,
    compilers: HashMap<Use, Arc<Compiler>>,
    /// By their names and how they count, with the directory that decides which Lean it is.
    archivers: HashMap<(String, KnownBy, PathBuf), Arc<Program>>,
    programs: HashMap<(String, KnownBy, PathBuf), Arc<Program>>,
    /// By their names and how they count.
    assemblers: HashMap<(String, KnownBy), Arc<Assembler>>,
    modules: HashMap<Module, Arc<Uses>>,
}

impl<'i> Tools<'i> {
    /// Nothing found yet. Compilers are asked who they are with the `PATH` and `HOME` of
    /// `environment`, as commands get them, and in the sandbox where there is one: a manifest may name
    /// any program as its compiler.
    pub fn new(
        index: &'i StatIndex,
        sandbox: Option<&'i Sandbox>,
        environment: Environment,
    ) -> Self {
        Self {
            index,
            sandbox,
            recall: None,
            environment,
            flags: Arc::default(),
            root: PathBuf::new(),
            cross: None,
            of_all_machines: HashMap::new(),
            compilers: HashMap::new(),
            archivers: HashMap::new(),
            programs: HashMap::new(),
            assemblers: HashMap::new(),
            modules: HashMap::new(),
        }
    }

    /// The same with the tools that `flags` ask for in the place of those that manifests name. A path
    /// among them starts in `root`, the root package's directory.
    #[must_use]
    pub fn asked_for(self, flags: Arc<Flags>, root: &Path) -> Self {
        Self { flags, root: root.to_owned(), ..self }
    }

    /// Returns what the environment asks for, and what is declared of the target.
    pub fn flags(&self) -> &Arc<Flags> {
        &self.flags
    }

    /// The same for another machine, if there is one.
    #[must_use]
    pub fn crossing(self, cross: Option<Arc<Cross>>) -> Self {
        Self { cross, ..self }
    }

    /// The same with the memory that a store has of tools. A compiler that is not all here is taken for the one that was
    /// last seen, and says so ([`Compiler::believed`]).
    #[must_use]
    pub fn recalling(self, recall: Recall<'i>) -> Self {
        Self { recall: Some(recall), ..self }
    }

    /// The compiler that a package in `directory` uses as `role` (not [`Role::Ar`], for which there is
    /// [`Self::archiver`]) with `arguments`. Of those only the ones count that decide what it runs and
    /// where it searches (see [`deciding`]), such as `-fuse-ld=gold` or `-march=native`.
    ///
    /// # Errors
    /// When there is none, or something that it runs cannot be read.
    pub fn compiler(
        &mut self,
        toolchain: &manifest::Toolchain,
        role: Role,
        directory: &Path,
        arguments: &[String],
    ) -> Result<Arc<Compiler>, ToolError> {
        let mut call = self.call(toolchain, role, directory)?;
        let first = rooted(&call.first, &self.root, directory);
        let asked = deciding(arguments.iter().map(String::as_str));
        let mut arguments: Vec<String> =
            first.iter().cloned().chain(asked.into_iter().map(str::to_owned)).collect();
        let place = match arguments.is_empty() {
            true => place_of_name(toolchain, directory),
            false => directory.to_owned(),
        };
        let key = (call.name.clone(), role, toolchain.known_by, arguments.clone(), place);
        if let Some(compiler) = self.compilers.get(&key) {
            return Ok(compiler.clone());
        }
        let mut first = first.len();
        let identified = self.identify(&call.name, role, directory, &arguments, first);
        let mut compiler = identified.map_err(|error| self.of_variable(error, toolchain, role))?;
        if let Some(option) = self.target_option(&compiler, &arguments) {
            arguments.insert(first, option.clone());
            call.add(option);
            first += 1;
            compiler = self.identify(&call.name, role, directory, &arguments, first)?;
        }
        self.check_machine(&compiler, role, &arguments)?;
        if toolchain.known_by == KnownBy::Name {
            compiler.trace = name::of_compiler(&compiler, role.key())?;
        }
        if toolchain.kind == ToolchainKind::Lean {
            let lean = self.lean(toolchain, directory)?;
            compiler.trace = compiler.trace.mix(lean);
        }
        compiler.trace = compiler.trace.mix_all(call.traces(&self.root));
        compiler.first = call.first;
        let compiler = Arc::new(compiler);
        self.compilers.insert(key, compiler.clone());
        Ok(compiler)
    }

    /// The archiver that a package in `directory` uses.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn archiver(
        &mut self,
        toolchain: &manifest::Toolchain,
        directory: &Path,
    ) -> Result<Arc<Program>, ToolError> {
        let call = self.call(toolchain, Role::Ar, directory)?;
        let key = (call.name.clone(), toolchain.known_by, place_of_name(toolchain, directory));
        if let Some(archiver) = self.archivers.get(&key) {
            return Ok(archiver.clone());
        }
        let found = Program::find(&key.0, Role::Ar.key(), self.index, &self.environment);
        let mut archiver = found.map_err(|error| self.of_variable(error, toolchain, Role::Ar))?;
        if toolchain.known_by == KnownBy::Name {
            archiver.trace = self.confined(&[&archiver.path], None, || {
                name::of_archiver(&archiver, self.index, &self.environment)
            })?;
        }
        if toolchain.kind == ToolchainKind::Lean {
            archiver.trace = archiver.trace.mix(self.lean(toolchain, directory)?);
        }
        archiver.trace = archiver.trace.mix_all(call.traces(&self.root));
        let archiver = Arc::new(archiver);
        self.archivers.insert(key, archiver.clone());
        Ok(archiver)
    }

    /// The program `name` that a command of a package in `directory` runs, found on `PATH`. One of a Lean
    /// toolchain that is known by its name counts so.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn program_of(
        &mut self,
        toolchain: &manifest::Toolchain,
        directory: &Path,
        name: &str,
    ) -> Result<Arc<Program>, ToolError> {
        if !counts_as_lean(toolchain, name) {
            return self.program(name);
        }
        let key = (name.to_owned(), KnownBy::Name, directory.to_owned());
        if let Some(program) = self.programs.get(&key) {
            return Ok(program.clone());
        }
        let mut program = self.find_program(name)?;
        let lean = self.lean(toolchain, directory)?;
        program.trace = BuildTrace::text("program", name).mix(lean);
        let program = Arc::new(program);
        self.programs.insert(key, program.clone());
        Ok(program)
    }

    /// The trace of Lean as a package in `directory` knows it.
    fn lean(
        &self,
        toolchain: &manifest::Toolchain,
        directory: &Path,
    ) -> Result<BuildTrace, ToolError> {
        self.of_lean(directory, |lean| match toolchain.known_by {
            KnownBy::Content => lean.trace(),
            KnownBy::Name => lean.name(),
        })
    }

    /// The program `name` that a command runs, found on `PATH`.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn program(&mut self, name: &str) -> Result<Arc<Program>, ToolError> {
        let key = (name.to_owned(), KnownBy::Content, PathBuf::new());
        if let Some(program) = self.programs.get(&key) {
            return Ok(program.clone());
        }
        let program = Arc::new(self.find_program(name)?);
        self.programs.insert(key, program.clone());
        Ok(program)
    }

    fn find_program(&self, name: &str) -> Result<Program, ToolError> {
        let program = Program::find(name, "program", self.index, &self.environment);
        program.map_err(|error| match error {
            ToolError::NotFound { name, .. } => ToolError::NoProgram(name),
            error => error,
        })
    }

    /// More that belongs to a toolchain, by content: programs on `PATH`, and files by paths with a
    /// `/`, which are relative to `directory`.
    ///
    /// # Errors
    /// When one is not there or cannot be read.
    pub fn more(&mut self, names: &[String], directory: &Path) -> Result<BuildTrace, ToolError> {
        let mut trace = BuildTrace::nil("more");
        for name in names {
            let part = match name.contains('/') {
                true => {
                    let hash = hash_tool(&directory.join(name), self.index)?.hash;
                    BuildTrace::leaf(name.clone(), hash, MTime::NONE)
                }
                false => self.program(name)?.trace.clone().named(name.clone()),
            };
            trace = trace.mix(part);
        }
        Ok(trace)
    }

    /// Every compiler and archiver found so far, and every program of a command, sorted, by file name:
    /// where tools are is no part of what they make.
    pub fn list(&self) -> Vec<offline::Tool> {
        let tool = |role: &str, name: &str, target: Option<&String>, trace: &BuildTrace| {
            let name = name.rsplit('/').next().unwrap_or(name).to_owned();
            let (role, target) = (role.to_owned(), target.cloned());
            offline::Tool { role, name, target, identity: trace.hash() }
        };
        let compilers = self.compilers.iter().map(|((_, role, ..), compiler)| {
            tool(role.key(), &compiler.name, compiler.triple.as_ref(), &compiler.trace)
        });
        let programs = |programs: &HashMap<_, Arc<Program>>, role: &'static str| {
            let programs: Vec<_> =
                programs.values().map(|p| tool(role, &p.name, None, &p.trace)).collect();
            programs
        };
        let mut tools: Vec<offline::Tool> = compilers.collect();
        tools.extend(programs(&self.archivers, Role::Ar.key()));
        let assemblers = self.assemblers.values().map(|assembler| &assembler.program);
        tools.extend(assemblers.map(|p| tool(assembler::KEY, &p.name, None, &p.trace)));
        tools.extend(programs(&self.programs, "program"));
        tools.sort();
        tools.dedup();
        tools
    }

    /// The compiler `name` with its identity, asked with `arguments`, of which the `first` may name
    /// another program; from what is remembered where that still holds.
    fn identify(
        &self,
        name: &str,
        role: Role,
        directory: &Path,
        arguments: &[String],
        first: usize,
    ) -> Result<Compiler, ToolError> {
        let path = match find_tool(name, role.key(), &self.environment) {
            Ok(path) => path,
            Err(error) => {
                let seen = self.recall.and_then(|recall| recall.last(name, arguments));
                return seen.map(|seen| seen.compiler(name, role.key())).ok_or(error);
            }
        };
        let driver = hash_tool(&path, self.index)?.hash;
        let key = note_key(&path, driver, arguments, directory, &self.environment);
        let answers = match Remembered::find(&key, self.index) {
            Some(answers) => answers,
            None => {
                let seen = self.recall.and_then(|recall| recall.answers(&key));
                let answers = match seen {
                    Some(answers) => answers,
                    None => {
                        let answers = self.ask(&path, directory, arguments, first)?;
                        Remembered::new(answers, self.index)?
                    }
                };
                // One that could not answer may have been kept from it by the sandbox.
                if self.sandbox.is_none() || answers.complete() {
                    answers.keep(&key, self.index);
                }
                if let Some(recall) = self.recall.filter(|_| answers.is_whole()) {
                    let (path, answers) = (path.clone(), answers.clone());
                    let seen = SeenCompiler { path, driver, answers };
                    recall.keep(&key, name, arguments, &seen);
                }
                answers
            }
        };
        let recall = self.recall.filter(|_| !answers.is_whole());
        match recall.and_then(|recall| recall.whole(name, arguments, driver, &answers)) {
            Some(seen) => Ok(seen.compiler(name, role.key())),
            None => Ok(answers.compiler(name, path, role.key(), driver)),
        }
    }

    fn ask(
        &self,
        path: &Path,
        directory: &Path,
        arguments: &[String],
        first: usize,
    ) -> Result<Answers, ToolError> {
        let environment = &self.environment;
        let place = environment.temporary_directory();
        let temporary = tempfile::tempdir_in(&place)
            .map_err(|source| ToolError::Scratch { path: place, source })?;
        let temporary = temporary.path();
        let driver = Driver { path, arguments, first, directory, temporary, environment };
        self.confined(&[path], Some(temporary), || Ok(driver.ask()))
    }

    /// Does `work` with Lean as a package in `directory` sees it.
    fn of_lean<T: Send>(
        &self,
        directory: &Path,
        work: impl FnOnce(&Lean<'_>) -> Result<T, ToolError> + Send,
    ) -> Result<T, ToolError> {
        let lean = Lean { index: self.index, environment: &self.environment, directory };
        self.confined(&[&directory.join("lean-toolchain")], None, || work(&lean))
    }

    /// Does `work`, which runs tools, with nothing to see but those, the system and the files
    /// `visible`, and nowhere to write but in `temporary`.
    fn confined<T: Send>(
        &self,
        visible: &[&Path],
        temporary: Option<&Path>,
        work: impl FnOnce() -> Result<T, ToolError> + Send,
    ) -> Result<T, ToolError> {
        let Some(sandbox) = self.sandbox else { return work() };
        let failed = |error: io::Error| ToolError::Io {
            path: visible.first().copied().unwrap_or(Path::new("")).to_owned(),
            source: error,
        };
        let view = sandbox.view_of_tools(visible, temporary).map_err(failed)?;
        sandbox.confined(&view, work).map_err(|error| failed(io::Error::other(error)))?
    }
}

/// The directory that decides what a toolchain is called that is known by its name, where one does.
fn place_of_name(toolchain: &manifest::Toolchain, directory: &Path) -> PathBuf {
    match (toolchain.kind, toolchain.known_by) {
        (ToolchainKind::Lean, KnownBy::Name) => directory.to_owned(),
        _ => PathBuf::new(),
    }
}

/// Whether a command's program is the Lean of a toolchain that is known by its name.
pub(crate) fn counts_as_lean(toolchain: &manifest::Toolchain, program: &str) -> bool {
    (toolchain.kind, toolchain.known_by) == (ToolchainKind::Lean, KnownBy::Name)
        && name::is_of_lean(program)
}
