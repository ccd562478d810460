//! The families of compilers, where conditions of manifests ask for them.

use std::collections::BTreeMap;

use larder_project::{
    diagnostic::{Diagnostic, Diagnostics},
    manifest::Document,
    setting::Family,
    workspace::{Package, Workspace},
};
use larder_trace::{StatIndex, describe_io};

use super::{Role, ToolError, Tools};
use crate::{
    build::EngineError,
    environment::Environment,
    sandbox::{Sandbox, SandboxError},
};

/// Returns the families of the compilers of those packages whose manifests ask for it, by package. No
/// compiler is looked for where none does.
///
/// # Errors
/// Compilers that are not there, and packages whose compilers are of two families.
pub fn families(
    workspace: &Workspace<Document>,
    environment: &Environment,
    sandbox: impl FnOnce() -> Result<Option<Sandbox>, SandboxError>,
) -> Result<BTreeMap<String, Family>, EngineError> {
    let asking = workspace.packages.iter().filter(|package| package.manifest.asks_for_compiler());
    let asking: Vec<&Package<Document>> = asking.map(|package| &**package).collect();
    if asking.is_empty() {
        return Ok(BTreeMap::new());
    }
    let sandbox = sandbox()?;
    let file = workspace.larder_dir().join("index");
    let index = StatIndex::open(&workspace.root, &file, false).map_err(|error| {
        let root = workspace.root.display();
        Diagnostic::new(format!("cannot enter {root}: {}", describe_io(&error))).failed()
    });
    let index = index.map_err(Diagnostics::from)?;
    let mut tools = Tools::new(&index, sandbox.as_ref(), environment.clone());
    let mut found = BTreeMap::new();
    let mut errors = Vec::new();
    for package in asking {
        match family(&mut tools, package) {
            Ok(family) => found.extend(family.map(|family| (package.place.name.clone(), family))),
            Err(wrong) => errors.push(wrong),
        }
    }
    if errors.is_empty() { Ok(found) } else { Err(Diagnostics(errors).into()) }
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
            Err(ToolError::NotFound { .. }) if role == Role::Cxx => Ok(None),
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
