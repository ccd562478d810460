//! Arguments for single sources.

use larder_project::{
    diagnostic::Diagnostic, glob::matches, manifest::SourceArgs, path::PortablePath,
    workspace::Package,
};

use super::Maker;

/// The arguments of one source: numbers of entries of `source-args`, in order.
pub(super) type Chosen = Vec<usize>;

impl Maker<'_> {
    /// Returns which entries of `all` are for each of the sources `names`. A pattern that is for none is
    /// an error.
    pub(super) fn source_args<'n>(
        &mut self,
        package: &Package,
        all: &[SourceArgs],
        names: impl Iterator<Item = &'n PortablePath>,
    ) -> Option<Vec<Chosen>> {
        let mut used = vec![false; all.len()];
        let mut of = |name: &PortablePath| -> Chosen {
            let entries = all.iter().enumerate().filter(|(_, entry)| is_for(entry, name.as_str()));
            entries.map(|(number, _)| number).inspect(|&number| used[number] = true).collect()
        };
        let chosen = names.map(&mut of).collect();
        let known = self.errors.len();
        for (entry, _) in all.iter().zip(used).filter(|(_, used)| !used) {
            let message = format!("`{}` matches no source of this target", *entry.pattern);
            let help =
                "write a path or pattern as in `sources`, or {build}/PATH for what a command makes";
            let at = (&package.manifest.source, entry.pattern.span.clone());
            self.errors.push(Diagnostic::new(message).help(help).at(at.0, at.1));
        }
        (self.errors.len() == known).then_some(chosen)
    }
}

/// Whether an entry is for the source that records call `name`.
fn is_for(entry: &SourceArgs, name: &str) -> bool {
    let pattern = entry.pattern.trim_start_matches("./");
    let pattern = match pattern.strip_prefix("{build}/") {
        Some(built) => format!("<build>/{built}"),
        None => pattern.to_owned(),
    };
    // A name that is spelled out may start with a dot.
    pattern == name || matches(&pattern, name)
}
