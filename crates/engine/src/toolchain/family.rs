//! The families of compilers, where conditions of manifests ask for them.

use std::{path::Path, sync::Arc};

use larder_project::{
    diagnostic::{Diagnostic, Diagnostics},
    manifest::Document,
    setting::{BuiltFor, Compilers, Cross, Family, Sides},
    workspace::{Package, Workspace},
};
use larder_trace::{StatIndex, describe_io};

use super::{Role, ToolError, Tools};
use crate::{
    build::EngineError,
    environment::Environment,
    flags::{Flags, for_build},
    sandbox::{Sandbox, SandboxError},
};

/// Returns the families of the compilers of those packages whose manifests ask for it, by package. No
/// compiler is looked for where none does.
///
/// # Errors
/// Compilers that are not there, and packages whose compilers are of two families.
pub fn families(
    workspace: &Workspace<Document>,
    cross: Option<&Cross>,
    environment: &Environment,
    sandbox: impl FnOnce() -> Result<Option<Sandbox>, SandboxError>,
) -> Result<Sides<Compilers>, EngineError> {
    let asking = workspace.packages.iter().filter(|package| package.manifest.asks_for_compiler());
    let asking: Vec<&Package<Document>> = asking.map(|package| &**package).collect();
    if asking.is_empty() {
        return Ok(Sides::default());
    }
    let sandbox = sandbox()?;
    let file = workspace.larder_dir().join("index");
    let index = StatIndex::open(&workspace.root, &file, false).map_err(|error| {
        let root = workspace.root.display();
        Diagnostic::new(format!("cannot enter {root}: {}", describe_io(&error))).failed()
    });
    let index = index.map_err(Diagnostics::from)?;
    let mut tools = tools_of_sides(&index, sandbox.as_ref(), environment, &workspace.root, cross)
        .map_err(Diagnostics)?;
    let mut found = Sides::<Compilers>::default();
    let mut errors = Vec::new();
    for package in asking {
        match family(&mut tools.target, package) {
            Ok(family) => {
                _ = family.map(|one| found.target.insert(package.place.name.clone(), one))
            }
            Err(wrong) => errors.push(wrong),
        }
        // Whether any tools are needed that are built for the host is not known yet.
        if cross.is_some()
            && let Ok(Some(family)) = family(&mut tools.host, package)
        {
            found.host.insert(package.place.name.clone(), family);
        }
    }
    if errors.is_empty() { Ok(found) } else { Err(Diagnostics(errors).into()) }
}

/// Returns the tools for what is built for each side, as the environment asks for them. `root` is the root
/// package's directory.
///
/// # Errors
/// Variables that hold what cannot be asked for.
pub fn tools_of_sides<'i>(
    index: &'i StatIndex,
    sandbox: Option<&'i Sandbox>,
    environment: &Environment,
    root: &Path,
    cross: Option<&Cross>,
) -> Result<Sides<Tools<'i>>, Vec<Diagnostic>> {
    let cross = cross.cloned().map(Arc::new);
    let host = match cross {
        Some(_) => for_build(environment),
        None => environment.clone(),
    };
    let tools = |environment: Environment, flags: Flags| {
        Tools::new(index, sandbox, environment).asked_for(Arc::new(flags), root)
    };
    let target = Flags::of(environment, BuiltFor::Target)?;
    let of_host = match cross {
        Some(_) => Flags::of(environment, BuiltFor::Host)?,
        None => target.clone(),
    };
    Ok(Sides {
        target: tools(environment.clone(), target.with(cross.as_deref())).crossing(cross),
        host: tools(host, of_host),
    })
}

/// The family of a package's C compiler and its C++ compiler; `None` where they are of no family that
/// larder knows.
fn family(
    tools: &mut Tools<'_>,
    package: &Package<Document>,
) -> Result<Option<Family>, Diagnostic> {
    let source = package.manifest.source.path.display();
    let mut of = |role| {
        let (toolchain, directory) = (&package.manifest.toolchain, &package.place.directory);
        match tools.compiler(toolchain, role, directory, &[]) {
            Ok(compiler) => Ok(Some(compiler)),
            Err(
                ToolError::NotFound { .. }
                | ToolError::NotForTarget { .. }
                | ToolError::NoneForTarget { .. },
            ) if role == Role::Cxx => Ok(None),
            Err(error) => Err(Diagnostic::new(format!("{source}: {error}"))),
        }
    };
    let c = of(Role::Cc)?;
    let cxx = of(Role::Cxx)?;
    let family = c.as_ref().and_then(|compiler| compiler.family);
    match (c, cxx) {
        (Some(c), Some(cxx)) if c.family != cxx.family => {
            let word = |family: Option<Family>| {
                family.map_or_else(|| "neither gcc nor clang".to_owned(), |one| one.to_string())
            };
            let message = format!(
                "{source}: a condition asks for the compiler, and there are two: `{}` is {}, and `{}` is {}",
                c.name,
                word(c.family),
                cxx.name,
                word(cxx.family)
            );
            let help =
                "name two of one family under [toolchain]: cc = \"clang\", cxx = \"clang++\"";
            Err(Diagnostic::new(message).help(help))
        }
        _ => Ok(family),
    }
}
