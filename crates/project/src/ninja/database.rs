//! `compile_commands.json`: one entry for each file that a command is for.

use serde_json::json;

use super::{EdgeId, Graph, Quoting};
use crate::diagnostic::Diagnostic;

impl Graph {
    /// Returns a compilation database of the edges of these rules; of all edges, where there are none.
    /// With `expand`, what stands in response files stands in the commands.
    ///
    /// # Errors
    /// Variables of a rule need each other.
    pub fn database(&self, rules: &[String], expand: bool) -> Result<String, Diagnostic> {
        let wanted = |id: &EdgeId| match rules {
            [] => !self.is_phony(*id),
            rules => rules.iter().any(|rule| **rule == *self.rule(*id).name),
        };
        self.entries(self.edges().filter(wanted), expand)
    }

    /// Returns the entries of `edges` that have an input.
    ///
    /// # Errors
    /// As [`Self::database`].
    pub fn entries(
        &self,
        edges: impl Iterator<Item = EdgeId>,
        expand: bool,
    ) -> Result<String, Diagnostic> {
        let directory = self.directory.to_string_lossy();
        let mut entries = Vec::new();
        for id in edges {
            let edge = self.edge(id);
            let Some(input) = edge.inputs.first() else { continue };
            let Some(output) = edge.outputs.first() else { continue };
            let mut command = self.command(id)?;
            if expand && let Some(file) = self.path_variable(id, "rspfile")? {
                let content = self.variable(id, "rspfile_content", Quoting::Shell)?;
                command = command.replacen(&format!("@{file}"), &content.replace('\n', " "), 1);
            }
            let entry = json!({
                "directory": directory,
                "command": command,
                "file": &*self.node(*input).path,
                "output": &*self.node(*output).path,
            });
            entries.push(format!("  {entry}"));
        }
        Ok(match entries.is_empty() {
            true => "[\n]\n".to_owned(),
            false => format!("[\n{}\n]\n", entries.join(",\n")),
        })
    }
}
