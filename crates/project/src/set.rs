//! `larder-set.toml`: which packages an ecosystem has, and how they are built.
//!
//! ```toml
//! [set]
//! packages = ["packages/*"]                      # directories with a larder.toml
//! system = ["/var/lib/dpkg/status"]              # files that say what the machine has
//!
//! [compiler."gcc.12"]                            # keys as in [toolchain] of larder.toml
//! cc = "gcc-12"
//!
//! [package."libpng.1.6.40"]                      # a package without a larder.toml
//! source = { path = "vendor/libpng-1.6.40" }
//! dependencies = { zlib = "1.2" }
//! build = ["./configure --prefix={prefix}", "make install"]
//!
//! [maintainers]                                  # who hears of which package
//! fmt = ["Ana <ana@example.org>", "bo@example.org"]
//! "fmt.0.9.0" = ["cy@example.org"]               # of one version, instead of those
//! ```
//!
//! It is text only: no package is looked at here. Each mistake is told with its line.

mod decode;
mod entry;
pub mod first;
mod limits;
mod maintainers;
mod names;
mod recipe;
mod sources;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fs, ops::Range, path::Path};

use larder_trace::describe_io;

pub use entry::{Entry, EntryRecipe};
pub use limits::{Limits, OwnLimits};
pub use sources::{Sources, obtain};

use crate::{
    diagnostic::{Diagnostic, Diagnostics, Located, SourceText},
    manifest::Toolchain,
};

/// The file's name.
pub const FILE_NAME: &str = "larder-set.toml";

/// A package set.
#[derive(Debug, Clone)]
pub struct PackageSet {
    /// The file, to point into.
    pub source: SourceText,
    /// Its name, for people.
    pub name: Option<String>,
    /// Globs of directories with a `larder.toml`, relative to the set's. None of them leads out of that.
    pub packages: Vec<Located<String>>,
    /// Files of the machine, by absolute paths, that say which state it is in: what is built by commands depends on their content.
    pub system: Vec<Located<String>>,
    /// The compilers that packages are built with, by `<name>.<version>`; [`PackageSet::compilers_as_listed`]
    /// has them in the order in which they count.
    pub compilers: BTreeMap<String, Compiler>,
    /// The packages that are described here, by `<name>.<version>`.
    pub entries: BTreeMap<String, Entry>,
    /// The limits of one package's build.
    pub limits: Limits,
    /// How long what happened is remembered.
    pub retention: Retention,
    /// The channels that are told after each run.
    pub channels: Vec<String>,
    /// Addresses of those who keep a package, by `<name>` or by `<name>.<version>`, which counts first.
    pub maintainers: BTreeMap<String, Vec<String>>,
}

/// `[compiler."NAME.VERSION"]`
#[derive(Debug, Clone)]
pub struct Compiler {
    /// Where its name stands.
    pub span: Range<usize>,
    /// The tools. Paths among its parts are relative to the set's directory.
    pub toolchain: Toolchain,
}

/// `[retention]`: `None` keeps all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Retention {
    /// How many runs are kept, the newest.
    pub runs: Option<u32>,
    /// For how many days histories are kept.
    pub history_days: Option<u32>,
}

impl PackageSet {
    /// Reads and checks a set file.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with its line.
    pub fn read(path: &Path) -> Result<Self, Diagnostics> {
        let text = fs::read(path).map_err(|error| {
            Diagnostic::new(format!("cannot read {}: {}", path.display(), describe_io(&error)))
        })?;
        Self::parse(SourceText::new(path.to_owned(), text)?)
    }

    /// Checks the text of a set file.
    ///
    /// # Errors
    /// As [`PackageSet::read`].
    pub fn parse(source: SourceText) -> Result<Self, Diagnostics> {
        decode::set(source)
    }

    /// Returns the compilers with their names in the order in which the file lists them: where two builds are
    /// equally good otherwise, that of the first counts.
    pub fn compilers_as_listed(&self) -> Vec<(&str, &Compiler)> {
        let mut listed: Vec<_> =
            self.compilers.iter().map(|(name, compiler)| (name.as_str(), compiler)).collect();
        listed.sort_by_key(|(_, compiler)| compiler.span.start);
        listed
    }
}
