//! Tells what the command of a `build` statement was refused, and what would declare it there.

use std::path::Path;

use larder_project::diagnostic::Diagnostic;

use super::{Refused, Sandbox};

impl Sandbox {
    /// Says what a command of the build in `directory` was refused whose build statement is at `statement`.
    pub fn explain_statement(
        &self,
        statement: &str,
        directory: &Path,
        refused: &Refused,
    ) -> Diagnostic {
        let name = |path: &Path| {
            path.strip_prefix(directory).unwrap_or(path).to_string_lossy().into_owned()
        };
        let (message, help) = match refused {
            Refused::Read(path) if !self.is_of_trees(path) => (
                format!(
                    "it read {}, which is outside of the source and the build directory",
                    path.display()
                ),
                format!("if every command may read it, build with --allow-read {}", path.display()),
            ),
            Refused::Read(path) => {
                let did = if path.is_dir() { "listed" } else { "read" };
                let name = name(path);
                (
                    format!("it {did} {name}, which its build statement does not declare"),
                    format!(
                        "declare it there as an implicit input (`| {name}`), or have the command write a depfile"
                    ),
                )
            }
            Refused::Write(path) => (
                format!("it tried to write {}, where none of its outputs is", name(path)),
                format!("declare that as an implicit output: `| {}` before the colon", name(path)),
            ),
            Refused::Network => return self.explain("", refused),
        };
        Diagnostic::new(format!("{statement}: {message}")).help(help)
    }

    fn is_of_trees(&self, path: &Path) -> bool {
        self.packages.iter().any(|(directory, _)| path.starts_with(directory))
    }
}
