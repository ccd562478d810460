//! Where compilers look for headers.

use std::path::PathBuf;

use larder_project::{path::PortablePath, plan::Language, workspace::Package};

use super::Maker;
use crate::{
    builds::SearchPath,
    search::{IncludeArguments, Typed},
    toolchain::Compiler,
};

impl Maker<'_> {
    /// The directories of system headers, as records of a package call them: they may lie in a package.
    pub(super) fn standard(
        &self,
        package: &Package,
        compiler: &Compiler,
        language: Language,
    ) -> Vec<String> {
        let standard = &compiler.include_directories;
        let standard = if language == Language::Cxx { &standard.cxx } else { &standard.c };
        let places = &self.cx.places;
        let name = |path: &PathBuf| {
            let path = places.of_absolute(&path.to_string_lossy());
            places.portable(&package.place, &path).as_str().to_owned()
        };
        standard.iter().map(name).collect()
    }
}

/// Where a compiler looks for headers, in order: in the directories that the manifest names for `-I` and
/// for `-isystem`, in those of `arguments`, and in its own, `standard`.
pub(super) fn search_path(
    [includes, system]: [Vec<PortablePath>; 2],
    arguments: &[String],
    standard: Vec<String>,
) -> SearchPath {
    let given = IncludeArguments::parse(arguments);
    let name = |directory: &str| match directory.trim_end_matches('/').trim_start_matches("./") {
        "." => String::new(),
        name => name.to_owned(),
    };
    let names = |directories: &[PortablePath]| -> Vec<String> {
        directories.iter().map(|directory| name(directory.as_str())).collect()
    };
    let typed = Typed { normal: &names(&includes), system: &names(&system) };
    let directories = given.in_order(&typed, &standard).iter().map(|path| name(path)).collect();
    let names = given.names;
    let own = [includes, system].concat();
    let system = if given.no_standard { Vec::new() } else { standard };
    SearchPath { own, directories, system, names }
}
