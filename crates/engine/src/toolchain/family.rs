//! The families of compilers, where conditions of manifests ask for them.

use std::{path::Path, sync::Arc};

use larder_project::{
    diagnostic::{Diagnostic, Diagnostics},
    manifest::Document,
    plan::Language,
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

/// The families of compilers, and the index that they were found with.
pub struct Families {
    /// By package.
    pub compilers: Sides<Compilers>,
    /// What was learned of the compilers. It must not be saved, since nobody holds the lock of the build directory
    /// yet: whoever does can learn from it. None where no compiler was asked.
    pub index: Option<StatIndex>,
}

/// Returns the families of the compilers of those packages whose manifests ask for it. No compiler is looked for
/// where none does.
///
/// # Errors
/// Compilers that are not there, and packages whose compilers are of two families.
pub fn families(
    workspace: &Workspace<Document>,
    cross: Option<&Cross>,
    environment: &Environment,
    sandbox: impl FnOnce() -> Result<Option<Sandbox>, SandboxError>,
) -> Result<Families, EngineError> {
    let asked = workspace.packages.iter().map(|one| (&**one, one.manifest.asks_for_compilers()));
    let asked: Vec<_> = asked.filter(|(_, languages)| !languages.is_empty()).collect();
    if asked.is_empty() {
        return Ok(Families { compilers: Sides::default(), index: None });
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
    let mut compilers = Sides::<Compilers>::default();
    let mut errors = Vec::new();
    for (package, languages) in asked {
        match family(&mut tools.target, package, &languages) {
            Ok(family) => {
                _ = family.map(|one| compilers.target.insert(package.place.name.clone(), one))
            }
            Err(wrong) => errors.push(wrong),
        }
        // Whether any tools are needed that are built for the host is not known yet.
        if cross.is_some()
            && let Ok(Some(family)) = family(&mut tools.host, package, &languages)
        {
            compilers.host.insert(package.place.name.clone(), family);
        }
    }
    drop(tools);
    match errors.is_empty() {
        true => Ok(Families { compilers, index: Some(index) }),
        false => Err(Diagnostics(errors).into()),
    }
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

/// The family of a package's compilers for `languages`; `None` where they are of no family that larder knows. The
/// first of them has to be there.
fn family(
    tools: &mut Tools<'_>,
    package: &Package<Document>,
    languages: &[Language],
) -> Result<Option<Family>, Diagnostic> {
    let source = package.manifest.source.path.display();
    let mut found = Vec::new();
    for &language in languages {
        let role = if language == Language::Cxx { Role::Cxx } else { Role::Cc };
        let (toolchain, directory) = (&package.manifest.toolchain, &package.place.directory);
        match tools.compiler(toolchain, role, directory, &[]) {
            Ok(compiler) => found.push(compiler),
            Err(
                ToolError::NotFound { .. }
                | ToolError::NotForTarget { .. }
                | ToolError::NoneForTarget { .. },
            ) if !found.is_empty() => {}
            Err(error) => return Err(Diagnostic::new(format!("{source}: {error}"))),
        }
    }
    match &found[..] {
        [c, cxx] if c.family != cxx.family => {
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
        _ => Ok(found.first().and_then(|compiler| compiler.family)),
    }
}
