//! Who the compilers of a set are.

use std::path::Path;

use larder_engine::{
    environment::Environment,
    toolchain::{Role, ToolError, Tools},
};
use larder_runs::name::{HashName, PackageName};
use larder_trace::{BuildTrace, StatIndex, describe_io};

use crate::{catalogue::Catalogue, hashes};

/// The file in `DATA` with what compilers have answered.
const INDEX: &str = "compilers.index";

/// Why a compiler is unknown.
#[derive(Debug, thiserror::Error)]
#[error("the compiler {compiler}: {reason}")]
pub struct UnknownCompiler {
    /// The compiler.
    pub compiler: PackageName,
    /// What is wrong.
    pub reason: String,
}

/// Returns the identity of each compiler of a set, in the catalogue's order: the hash of all that its tools consist
/// of. A compiler for C++ alone, or for C alone, is whole without the other one; it needs one of them. What they
/// answered before is in `data`; whether what they answer now is kept there, `remember` says.
///
/// # Errors
/// The first that is not there.
pub fn identities(
    catalogue: &Catalogue,
    root: &Path,
    environment: &Environment,
    data: &Path,
    remember: bool,
) -> Result<Vec<HashName>, UnknownCompiler> {
    let mut found = Vec::new();
    let file = data.join(INDEX);
    let mut opened = None;
    for (_, compiler) in catalogue.compilers() {
        let unknown = |reason| UnknownCompiler { compiler: compiler.name.clone(), reason };
        let index = match &opened {
            Some(index) => index,
            None => {
                let index = StatIndex::open(root, &file, false);
                &*opened.insert(index.map_err(|error| unknown(describe_io(&error)))?)
            }
        };
        let mut tools = Tools::new(index, None, environment.clone());
        let toolchain = &compiler.toolchain;
        let mut trace = BuildTrace::nil("compiler");
        let mut missing = None;
        for role in [Role::Cc, Role::Cxx] {
            match tools.compiler(toolchain, role, root, &[]) {
                Ok(compiler) => trace = trace.mix(compiler.trace.clone()),
                Err(error @ ToolError::NotFound { .. }) if missing.is_none() => {
                    missing = Some(error);
                    trace = trace.mix(BuildTrace::nil("none"));
                }
                Err(error) => return Err(unknown(error.to_string())),
            }
        }
        match tools.archiver(toolchain, root) {
            Ok(archiver) => trace = trace.mix(archiver.trace.clone()),
            Err(error) => return Err(unknown(error.to_string())),
        }
        found.push(hashes::name(&trace.hash()));
    }
    if remember && let Some(Err(error)) = opened.map(|index| index.save()) {
        tracing::info!("cannot write {}: {error}", file.display());
    }
    Ok(found)
}
