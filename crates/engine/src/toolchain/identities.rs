//! Who all the tools of some packages are, as part of a CI job's key.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use larder_project::{
    ci::key::{Keys, Machine},
    diagnostic::{Diagnostic, Diagnostics},
    manifest::{KnownBy, Manifest, Module, Toolchain},
    workspace::{LARDER_DIR, Package},
};
use larder_trace::{BuildTrace, StatIndex, describe_io};

use super::{Role, ToolError, Tools, assembler, program::Program};
use crate::{
    environment::Environment,
    flags::{self, Flags, Words},
};

/// Returns what counts of this machine for `keys`: the identities of the tools and, of `environment`,
/// the variables that the packages' commands take and those that hold tools and arguments for all.
///
/// # Errors
/// When the root package cannot be entered, a tool that is there cannot be read, or a variable holds what
/// cannot be an argument.
pub fn machine(keys: &Keys, environment: &Environment) -> Result<Machine, Diagnostics> {
    let set = |name: &str| Some((name.to_owned(), environment.get(name)?.to_owned()));
    let flags = Arc::new(Flags::of(environment).map_err(Diagnostics)?);
    Ok(Machine {
        flags: flags.traces(keys.root()),
        tools: identities(keys.root(), keys.packages(), environment, &flags)?,
        variables: keys.variables().into_iter().filter_map(set).collect(),
    })
}

/// Identifies the tools of `packages`: compilers and archivers, as each package names them, and the
/// programs that commands run.
fn identities(
    root: &Path,
    packages: &BTreeMap<String, Arc<Package>>,
    environment: &Environment,
    flags: &Arc<Flags>,
) -> Result<BuildTrace, Diagnostics> {
    let index = root.join(LARDER_DIR).join("index");
    // The answers of compilers are taken from the index; hashes of files are not.
    let index = StatIndex::open(root, &index, true).map_err(|error| {
        Diagnostic::new(format!("cannot enter {}: {}", root.display(), describe_io(&error)))
            .failed()
    })?;
    let mut tools = Tools::new(&index, None, environment.clone()).asked_for(flags.clone(), root);
    let mut trace = BuildTrace::nil("toolchain");
    for (name, package) in packages {
        let mut of_package = BuildTrace::nil(name.clone());
        let (toolchain, directory) = (&package.manifest.toolchain, &package.place.directory);
        let by_content = Toolchain { known_by: KnownBy::Content, ..toolchain.clone() };
        for role in [Role::Cc, Role::Cxx, Role::Ar] {
            let asked = flags.tool(toolchain, role);
            let path = tools.path_of(toolchain, role, directory);
            let arguments = flags.deciding(role);
            let tool = match path {
                // It may be a file of the package, which nobody vouches for: it is read and not run.
                Some(path)
                    if toolchain.known_by == KnownBy::Content && asked.is_none()
                        || is_inside(toolchain, role, asked, &path, packages) =>
                {
                    let behind = asked.map_or(&[][..], |asked| &asked.words[1..]);
                    read(&path, behind, role, &index, environment)
                        .map(|trace| trace.mix_all(asked.map(|asked| asked.tool_trace(root))))
                }
                _ => match counted(&mut tools, toolchain, role, directory, &arguments) {
                    // A build that uses it is told; a package may have one on its PATH and not use it.
                    Err(ToolError::NoName { .. }) => {
                        counted(&mut tools, &by_content, role, directory, &arguments)
                    }
                    found => found,
                },
            };
            of_package = of_package.mix(identity(role.key(), tool)?);
        }
        if let Some(words) = &toolchain.asm {
            let program = match words[0].contains('/') {
                // A file of the package, as far as anybody knows: it is not run.
                true => Program::find(
                    &directory.join(&words[0]).to_string_lossy(),
                    assembler::KEY,
                    &index,
                    environment,
                )
                .map(|program| program.trace),
                false => tools.assembler(toolchain, directory).map(|it| it.program.trace.clone()),
            };
            of_package = of_package.mix(identity(assembler::KEY, program)?);
        }
        for module in modules(&package.manifest) {
            let uses = tools.system(module).map(|uses| {
                let words = [&uses.compile[..], &uses.link].concat();
                let words: Vec<String> =
                    words.iter().map(|word| flags::shown(word, root)).collect();
                BuildTrace::list("uses", &words)
            });
            of_package = of_package.mix(identity(&format!("system {module}"), uses)?);
        }
        for program in programs(&package.manifest) {
            let tool = tools.program_of(toolchain, directory, &program);
            let tool = tool.map(|tool| tool.trace.clone());
            of_package = of_package.mix(identity(&program, tool)?);
        }
        trace = trace.mix(of_package);
    }
    Ok(trace)
}

/// The identity of the tool that a package in `directory` uses as `role`.
fn counted(
    tools: &mut Tools<'_>,
    toolchain: &Toolchain,
    role: Role,
    directory: &Path,
    arguments: &[String],
) -> Result<BuildTrace, ToolError> {
    match role {
        Role::Ar => tools.archiver(toolchain, directory).map(|ar| ar.trace.clone()),
        Role::Cc | Role::Cxx => {
            tools.compiler(toolchain, role, directory, arguments).map(|cc| cc.trace.clone())
        }
    }
}

/// The identity of the tool at `path`, and of the programs on `PATH` among the words `behind` it, as their
/// files have it.
fn read(
    path: &Path,
    behind: &[String],
    role: Role,
    index: &StatIndex,
    environment: &Environment,
) -> Result<BuildTrace, ToolError> {
    let find = |name: &str| Program::find(name, role.key(), index, environment);
    let mut trace = find(&path.to_string_lossy())?.trace;
    for word in behind.iter().filter(|word| !word.starts_with('-')) {
        match find(word) {
            Ok(program) => trace = trace.mix(program.trace.named("behind")),
            Err(ToolError::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(trace)
}

/// Whether the tool at `path` may be a file that a package brings along: only one outside of all
/// packages by an absolute path, links followed, is none.
fn is_inside(
    toolchain: &Toolchain,
    role: Role,
    asked: Option<&Words>,
    path: &Path,
    packages: &BTreeMap<String, Arc<Package>>,
) -> bool {
    let Ok(real) = path.canonicalize() else { return true };
    let written = match asked {
        Some(asked) => asked.words.first().map(String::as_str),
        None => role.named(toolchain),
    };
    !written.is_some_and(|written| written.starts_with('/'))
        || packages.values().any(|package| {
            let directory = package.place.directory.canonicalize();
            directory.is_ok_and(|directory| real.starts_with(directory))
        })
}

/// The libraries of the system that a package uses or checks with, each once.
fn modules(manifest: &Manifest) -> Vec<&Module> {
    let libraries = manifest.libraries.iter().map(|library| &library.compiled);
    let executables = manifest.executables.iter().map(|executable| &executable.compiled);
    let configs = manifest.configs.iter().map(|config| &config.compiled);
    let all = libraries
        .chain(executables)
        .chain(configs)
        .flat_map(|compiled| &compiled.lists.linking.system);
    let mut found: Vec<&Module> = Vec::new();
    for module in all {
        if !found.contains(&&module.value) {
            found.push(module);
        }
    }
    found
}

/// The programs that a package's commands find on `PATH`, sorted.
fn programs(manifest: &Manifest) -> BTreeSet<String> {
    let first = manifest.commands.iter().filter_map(|command| command.run.first()?.as_literal());
    first.filter(|name| !name.contains('/')).map(str::to_owned).collect()
}

/// A tool's identity; one that is not there is known by that.
fn identity(name: &str, tool: Result<BuildTrace, ToolError>) -> Result<BuildTrace, Diagnostic> {
    match tool {
        Ok(trace) => Ok(trace.named(name.to_owned())),
        Err(
            ToolError::NotFound { .. }
            | ToolError::NotAsNamed { .. }
            | ToolError::NoAssembler { .. }
            | ToolError::NoLean
            | ToolError::NoModule { .. }
            | ToolError::NoPkgConfig
            | ToolError::NoProgram(_),
        ) => Ok(BuildTrace::text(name.to_owned(), "absent")),
        Err(error) => Err(Diagnostic::new(error.to_string()).failed()),
    }
}
