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
    setting::Cross,
    workspace::{LARDER_DIR, Package},
};
use larder_trace::{BuildTrace, StatIndex, describe_io};

use super::{Role, ToolError, Tools, assembler, program::Program, tools_of_sides};
use crate::{
    build::cross,
    environment::Environment,
    flags::{self, Words},
};

/// Returns what counts of this machine for `keys`: the identities of the tools and, of `environment`,
/// the variables that the packages' commands take and those that hold tools and arguments for all. Tools for
/// a target may be declared in the user's `configuration`.
///
/// # Errors
/// When the root package cannot be entered, a tool that is there cannot be read, or a variable or the
/// configuration holds what cannot be used.
pub fn machine(
    keys: &Keys,
    environment: &Environment,
    configuration: &Path,
) -> Result<Machine, Diagnostics> {
    let set = |name: &str| Some((name.to_owned(), environment.get(name)?.to_owned()));
    let cross = cross(keys.choices(), Some(configuration), keys.toolchains())?;
    let root = keys.root();
    let index = root.join(LARDER_DIR).join("index");
    // The answers of compilers are taken from the index; hashes of files are not.
    let index = StatIndex::open(root, &index, true).map_err(|error| {
        Diagnostic::new(format!("cannot enter {}: {}", root.display(), describe_io(&error)))
            .failed()
    })?;
    let tools = tools_of_sides(&index, None, environment, root, cross.as_ref());
    let mut tools = tools.map_err(Diagnostics)?;
    let mut flags = tools.target.flags().traces(root);
    let mut trace = identities(keys, &mut tools.target, &index, environment, cross.as_ref())?;
    if cross.is_some() {
        // What is built for this machine, too, is told apart by its name.
        let of_host = |trace: BuildTrace| BuildTrace::nil("host").mix(trace);
        flags.extend(tools.host.flags().traces(root).into_iter().map(of_host));
        let host = identities(keys, &mut tools.host, &index, environment, None)?;
        trace = trace.mix(of_host(host));
    }
    Ok(Machine {
        flags,
        tools: trace,
        variables: keys.variables().into_iter().filter_map(set).collect(),
    })
}

/// Identifies the tools of all packages, for one side: compilers and archivers, as each package names them, and
/// the programs that commands run.
fn identities(
    keys: &Keys,
    tools: &mut Tools<'_>,
    index: &StatIndex,
    environment: &Environment,
    cross: Option<&Cross>,
) -> Result<BuildTrace, Diagnostics> {
    let (root, packages, flags) = (keys.root(), keys.packages(), tools.flags().clone());
    let mut trace = BuildTrace::nil("toolchain");
    for (name, package) in packages {
        let mut of_package = BuildTrace::nil(name.clone());
        let (toolchain, directory) = (&package.manifest.toolchain, &package.place.directory);
        let by_content = Toolchain { known_by: KnownBy::Content, ..toolchain.clone() };
        for role in [Role::Cc, Role::Cxx, Role::Ar] {
            let asked = flags.tool(toolchain, role);
            let declared = cross.and_then(|cross| role.declared(cross)).filter(|_| asked.is_none());
            let path = match declared {
                Some(name) => name.contains('/').then(|| root.join(name)),
                None => tools.path_of(toolchain, role, directory),
            };
            let written = match (asked, declared) {
                (Some(asked), _) => asked.words.first().map(String::as_str),
                (None, Some(declared)) => Some(declared),
                (None, None) => role.named(toolchain),
            };
            let arguments = flags.deciding(role);
            let tool = match path {
                // It may be a file of the package, which nobody vouches for: it is read and not run.
                Some(path)
                    if toolchain.known_by == KnownBy::Content && asked.is_none()
                        || is_inside(written, &path, packages) =>
                {
                    let behind = asked.map_or(&[][..], Words::arguments);
                    read(&path, behind, role, index, environment)
                        .map(|trace| trace.mix_all(asked.map(|asked| asked.tool_trace(root))))
                }
                _ => match counted(tools, toolchain, role, directory, &arguments) {
                    // A build that uses it is told; a package may have one on its PATH and not use it.
                    Err(ToolError::NoName { .. }) => {
                        counted(tools, &by_content, role, directory, &arguments)
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
                    index,
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
    if let Some(cross) = cross {
        trace = trace.mix(declared_trace(cross));
    }
    Ok(trace)
}

/// The trace of what is declared of a target besides its tools.
fn declared_trace(cross: &Cross) -> BuildTrace {
    let toolchain = &cross.toolchain;
    let lists = [
        ("trace-args", &toolchain.trace_args),
        ("link-args", &toolchain.link_args),
        ("parts", &toolchain.parts),
        ("runner", &toolchain.runner),
        ("pkg-config-libdir", &toolchain.pkg_config_libdir),
    ];
    let lists = lists.into_iter().filter_map(|(name, list)| Some((name, list.as_ref()?)));
    let lists = lists.map(|(name, list)| BuildTrace::list(name, list));
    let texts = [("sysroot", &toolchain.sysroot), ("pkg-config", &toolchain.pkg_config)];
    let texts = texts.into_iter().filter_map(|(name, text)| Some((name, text.clone()?)));
    let texts = texts.map(|(name, text)| BuildTrace::text(name, text));
    BuildTrace::nil("target").mix_all(lists).mix_all(texts)
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
    written: Option<&str>,
    path: &Path,
    packages: &BTreeMap<String, Arc<Package>>,
) -> bool {
    let Ok(real) = path.canonicalize() else { return true };
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
            | ToolError::NotForTarget { .. }
            | ToolError::NoneForTarget { .. }
            | ToolError::OtherMachine { .. }
            | ToolError::LeanForTarget(_)
            | ToolError::NoPkgConfigForTarget { .. }
            | ToolError::NoAssembler { .. }
            | ToolError::NoLean
            | ToolError::NoModule { .. }
            | ToolError::NoPkgConfig
            | ToolError::NoProgram(_),
        ) => Ok(BuildTrace::text(name.to_owned(), "absent")),
        Err(error) => Err(Diagnostic::new(error.to_string()).failed()),
    }
}
