//! The assembler that a manifest names for sources that no compiler takes.

use std::{path::Path, sync::Arc};

use larder_project::manifest::{self, KnownBy};
use larder_trace::BuildTrace;

use super::{ToolError, Tools, name, program::Program};
use crate::builds::Dialect;

/// Its key under `[toolchain]`.
pub(super) const KEY: &str = "asm";

/// An assembler found on this machine.
#[derive(Debug, Clone)]
pub struct Assembler {
    /// The program.
    pub program: Program,
    /// The options that it takes.
    pub dialect: Dialect,
}

impl Tools<'_> {
    /// The assembler that a package in `directory` names.
    ///
    /// # Errors
    /// When there is none, it cannot be read, or does not tell which files it reads.
    pub fn assembler(
        &mut self,
        toolchain: &manifest::Toolchain,
        directory: &Path,
    ) -> Result<Arc<Assembler>, ToolError> {
        let words = toolchain.asm.as_ref().map_or(&[][..], |words| words.as_slice());
        let name = words.first().map_or("", String::as_str);
        let name = match name.contains('/') {
            true => directory.join(name).to_string_lossy().into_owned(),
            false => name.to_owned(),
        };
        let key = (name, toolchain.known_by);
        if let Some(assembler) = self.assemblers.get(&key) {
            return Ok(assembler.clone());
        }
        let mut program = Program::find(&key.0, KEY, self.index, &self.environment)?;
        let said = self.confined(&[&program.path], None, || {
            Ok(name::said(&program, self.index, &self.environment))
        })?;
        let dialect = said.as_deref().and_then(dialect_of);
        let unknown = || ToolError::NoAssembler { name: program.name.clone() };
        let (said, dialect) = said.zip(dialect).ok_or_else(unknown)?;
        if toolchain.known_by == KnownBy::Name {
            program.trace = BuildTrace::nil(KEY).mix(BuildTrace::text("name", said));
        }
        let assembler = Arc::new(Assembler { program, dialect });
        self.assemblers.insert(key, assembler.clone());
        Ok(assembler)
    }
}

/// The options that the assembler takes which says `version` of itself.
fn dialect_of(version: &str) -> Option<Dialect> {
    let first = version.lines().next()?;
    if first.starts_with("NASM version") {
        return Some(Dialect::Nasm);
    }
    first.starts_with("GNU assembler").then_some(Dialect::GnuAs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assemblers_by_what_they_say() {
        assert_eq!(dialect_of("NASM version 2.16.01"), Some(Dialect::Nasm));
        let gnu = "GNU assembler (GNU Binutils for Debian) 2.40\nCopyright";
        assert_eq!(dialect_of(gnu), Some(Dialect::GnuAs));
        for other in ["yasm 1.3.0", "gcc (Debian 12.2.0-14) 12.2.0\nNASM version", ""] {
            assert_eq!(dialect_of(other), None, "{other}");
        }
    }
}
