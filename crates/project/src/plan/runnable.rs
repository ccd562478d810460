//! The executable that is run where none is named.

use super::{PackageId, Plan, Target};
use crate::{
    diagnostic::{Diagnostic, Diagnostics},
    name::{Facet, TargetName},
    setting::BuiltFor,
};

impl Plan {
    /// Returns the name of the executable among the root package's default targets. Where there are
    /// several, tests do not count.
    ///
    /// # Errors
    /// There is none, or there are several.
    pub fn only_executable(&self) -> Result<TargetName, Diagnostics> {
        let defaults = self.defaults(PackageId::ROOT);
        let mut found: Vec<&Target> = defaults
            .iter()
            .map(|&id| self.target(id))
            .filter(|target| {
                target.facet() == Some(Facet::Exe) && self.side(target.package) == BuiltFor::Target
            })
            .collect();
        if found.len() > 1 {
            found.retain(|target| !target.is_test());
        }
        if let [only] = found[..] {
            return only.label.parse().map_err(|error: String| Diagnostic::new(error).into());
        }
        let names: Vec<&str> = found.iter().map(|target| target.name.as_str()).collect();
        let diagnostic = match names.is_empty() {
            true => Diagnostic::new("the package has no executable to run")
                .help("write an [[executable]], or name a test"),
            false => Diagnostic::new("the package has several executables")
                .help(format!("name one of {}", names.join(", "))),
        };
        Err(diagnostic.into())
    }
}
