//! The text of a first set file.

use std::{collections::BTreeSet, fmt::Write};

use super::{BuildSystem, FirstSet, InstalledCompiler, SourceTree};
use crate::init::quoted;

impl FirstSet {
    /// The text of its set file.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.put(&mut text);
        text
    }

    fn put(&self, text: &mut String) -> std::fmt::Result {
        writeln!(
            text,
            "# A package set: made by `larder init`, and yours to change. `larder batch --dry-run` says what would be\n\
             # built, `larder batch` builds it.\n\n[set]\nname = {}",
            quoted(&self.name)
        )?;
        match self.packages.as_slice() {
            [] => writeln!(text, "# packages = [\"packages/*\"] # directories with a larder.toml")?,
            [one] => writeln!(text, "packages = [{}] # larder packages", quoted(one))?,
            several => {
                writeln!(text, "packages = [ # larder packages")?;
                several.iter().try_for_each(|glob| writeln!(text, "    {},", quoted(glob)))?;
                writeln!(text, "]")?;
            }
        }
        for left_out in &self.left_out {
            let (what, why) = (quoted(&left_out.what), &left_out.why);
            writeln!(text, "# Left out: {what}: {why}.")?;
        }
        self.put_compilers(text)?;
        text.push_str(REST);
        self.put_trees(text)
    }

    /// The newest compiler of each family; others as remarks.
    fn put_compilers(&self, text: &mut String) -> std::fmt::Result {
        writeln!(text, "\n# Everything is built once with each compiler.")?;
        if self.compilers.is_empty() {
            writeln!(text, "# [compiler.\"gcc.12\"]\n# cc = \"gcc-12\"\n# cxx = \"g++-12\"")?;
        }
        let mut families = BTreeSet::new();
        for InstalledCompiler { family, version, cc, cxx } in &self.compilers {
            let remark = if families.insert(family) { "" } else { "# " };
            writeln!(text, "{remark}[compiler.\"{family}.{version}\"]")?;
            writeln!(text, "{remark}cc = {}", quoted(cc))?;
            if let Some(cxx) = cxx {
                writeln!(text, "{remark}cxx = {}", quoted(cxx))?;
            }
        }
        Ok(())
    }

    fn put_trees(&self, text: &mut String) -> std::fmt::Result {
        if self.trees.is_empty() {
            return Ok(());
        }
        text.push_str(ABOUT_TREES);
        let systems: BTreeSet<BuildSystem> = self.trees.iter().map(|tree| tree.system).collect();
        for system in systems {
            writeln!(text, "\n[recipe.{}]\nbuild = [", system.name())?;
            for line in system.lines() {
                match line.contains('"') {
                    true => writeln!(text, "    '{line}',")?,
                    false => writeln!(text, "    {},", quoted(line))?,
                }
            }
            writeln!(text, "]")?;
        }
        self.trees.iter().try_for_each(|tree| tree.put(text))
    }
}

impl SourceTree {
    fn put(&self, text: &mut String) -> std::fmt::Result {
        let (id, directory) = (quoted(&self.id), quoted(&self.directory));
        writeln!(text, "\n[package.{id}]\nsource = {{ path = {directory} }}")?;
        if !self.looks_for.is_empty() {
            let needs: Vec<String> =
                self.looks_for.iter().map(|name| format!("{name} = \"*\"")).collect();
            writeln!(text, "# dependencies = {{ {} }}", needs.join(", "))?;
        }
        writeln!(text, "recipe = {}", quoted(self.system.name()))
    }
}

const REST: &str = r#"
# Of one package's build, all its commands together.
[limits]
time = "30 min"
memory = "4 GiB"

[retention]
runs = 100 # the newest
history-days = 365

# [notify]
# channels = ["stdout"] # told after each run

# [maintainers]
# zlib = ["Ana <ana@example.org>"]
"#;

const ABOUT_TREES: &str = r#"
# Source trees without a larder.toml. How they are built is guessed from the files that they have; `options` of a package
# stand where {options} is. Their scripts find other packages of the set only where `dependencies` names them. Add
# `test` lines, which run what was installed: test = ["{prefix}/bin/NAME --version"].
"#;
