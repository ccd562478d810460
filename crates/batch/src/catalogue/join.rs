//! Two catalogues as one: those of two sides of a comparison.

use super::{Catalogue, CompilerId, VersionId};

/// The places of a second catalogue's package versions and compilers in the one that both make.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shift {
    versions: u32,
    compilers: u32,
}

impl Shift {
    /// Returns where a package version of the second one is.
    pub fn version(self, id: VersionId) -> VersionId {
        VersionId(id.0 + self.versions)
    }

    /// Returns where a compiler of the second one is.
    pub fn compiler(self, id: CompilerId) -> CompilerId {
        CompilerId(id.0 + self.compilers)
    }
}

impl Catalogue {
    /// Adds another catalogue's package versions and compilers after its own. They are found by their ids only: names are
    /// those of this one.
    pub(crate) fn join(&mut self, other: Catalogue) -> Shift {
        let shift =
            Shift { versions: self.versions.len() as u32, compilers: self.compilers.len() as u32 };
        self.versions.extend(other.versions);
        self.compilers.extend(other.compilers);
        shift
    }
}
