//! Libraries of the system, for whoever is compiled for them or linked with them.

use larder_project::{diagnostic::Diagnostic, plan::SystemLibrary, workspace::Package};
use larder_trace::BuildTrace;

use super::{Maker, said::AllSaid};
use crate::toolchain::{ToolError, Uses};

impl Maker<'_> {
    /// What those who use libraries of the system are given to compile: for headers of others.
    pub(super) fn uses_for_compiling(
        &mut self,
        package: &Package,
        libraries: &[SystemLibrary],
    ) -> Option<AllSaid> {
        self.uses(package, libraries, |uses| {
            let words = uses.compile.iter().map(String::as_str);
            words.flat_map(as_system).map(str::to_owned).collect()
        })
    }

    /// What they are given to link.
    pub(super) fn uses_for_linking(
        &mut self,
        package: &Package,
        libraries: &[SystemLibrary],
    ) -> Option<AllSaid> {
        self.uses(package, libraries, |uses| uses.link.clone())
    }

    fn uses(
        &mut self,
        package: &Package,
        libraries: &[SystemLibrary],
        words: impl Fn(&Uses) -> Vec<String>,
    ) -> Option<AllSaid> {
        let known = self.errors.len();
        let mut all = AllSaid::default();
        for library in libraries {
            match self.tools_of(package).system(&library.module) {
                Ok(uses) => {
                    let said = self.of_environment(package, &words(&uses));
                    let traced: Vec<&str> = said.iter().map(|said| said.traced.as_str()).collect();
                    let name = format!("system {}", *library.module);
                    all.traces.push(BuildTrace::list(name, &traced));
                    all.arguments.extend(said);
                }
                Err(error) => self.no_library(library, &error),
            }
        }
        (self.errors.len() == known).then_some(all)
    }

    fn no_library(&mut self, library: &SystemLibrary, error: &ToolError) {
        let package = self.package(library.package);
        let name = &library.module.name;
        let wrong = Diagnostic::new(error.to_string());
        let wrong = match error {
            ToolError::NoModule { .. } => wrong.help(format!(
                "install its development files: on Debian a package such as lib{}-dev (`apt-file search /{name}.pc` \
                 names it); or have PKG_CONFIG_PATH name the directory of {name}.pc",
                name.trim_start_matches("lib")
            )),
            _ => wrong,
        };
        self.errors.push(wrong.at(&package.manifest.source, library.module.span.clone()));
    }
}

/// A word for the compiler, with directories of headers as those of others: these come after the package's
/// own, and what they warn of is nobody's here.
fn as_system(word: &str) -> Vec<&str> {
    match word.strip_prefix("-I") {
        Some("") => vec!["-isystem"],
        Some(directory) => vec!["-isystem", directory],
        None => vec![word],
    }
}
