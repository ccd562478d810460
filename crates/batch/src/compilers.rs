//! Who the compilers of a set are.

use std::path::Path;

use larder_engine::{
    environment::Environment,
    toolchain::{Role, ToolError, Tools},
};
use larder_project::diagnostic::Diagnostic;
use larder_runs::name::HashName;
use larder_trace::{BuildTrace, StatIndex, describe_io};

use crate::{
    catalogue::{Catalogue, Compiler},
    hashes,
};

/// The file in `DATA` with what compilers have answered.
const INDEX: &str = "compilers.index";

/// Returns the identity of each compiler of a set, in the catalogue's order: the hash of all that its tools consist
/// of. What they answered before is in `data`; whether what they answer now is kept there, `remember` says.
///
/// # Errors
/// The first that is not there.
pub fn identities(
    catalogue: &Catalogue,
    root: &Path,
    environment: &Environment,
    data: &Path,
    remember: bool,
) -> Result<Vec<HashName>, Diagnostic> {
    let file = data.join(INDEX);
    let index = StatIndex::open(root, &file, false).map_err(|error| {
        Diagnostic::new(format!("cannot enter {}: {}", root.display(), describe_io(&error)))
    })?;
    let identity = |compiler: &Compiler| {
        identity(compiler, root, environment, &index).map_err(|error| {
            Diagnostic::new(format!("the compiler {}: {error}", compiler.name))
                .help("install it, or say in larder-set.toml which tools it consists of")
        })
    };
    let found = catalogue.compilers().map(|(_, compiler)| identity(compiler)).collect();
    if remember && let Err(error) = index.save() {
        tracing::info!("cannot write {}: {error}", file.display());
    }
    found
}

/// The identity of a compiler. The tools that the set names must be there. Of those that it does not name, one for C alone, or
/// for C++ alone, is whole without the other one; it needs one of them.
fn identity(
    compiler: &Compiler,
    root: &Path,
    environment: &Environment,
    index: &StatIndex,
) -> Result<HashName, ToolError> {
    let mut tools = Tools::new(index, None, environment.clone());
    let toolchain = &compiler.toolchain;
    let mut trace = BuildTrace::nil("compiler");
    let mut missing = None;
    for (role, named) in [(Role::Cc, &toolchain.cc), (Role::Cxx, &toolchain.cxx)] {
        trace = match tools.compiler(toolchain, role, root, &[]) {
            Ok(compiler) => trace.mix(compiler.trace.clone()),
            Err(error @ ToolError::NotFound { .. }) if missing.is_none() && named.is_none() => {
                missing = Some(error);
                trace.mix(BuildTrace::nil("none"))
            }
            Err(error) => return Err(error),
        };
    }
    let archiver = tools.archiver(toolchain, root)?;
    Ok(hashes::name(&trace.mix(archiver.trace.clone()).hash()))
}
