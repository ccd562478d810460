//! What the text of `meson.build` says, where Meson itself is not asked.

mod functions;
mod keywords;
mod lexer;
mod methods;
mod run;
mod syntax;
mod value;

use std::{collections::BTreeMap, path::Path};

use self::{run::Reader, value::Value};
use super::{
    Kind, Package, Tree,
    declared::{self, Declared},
};

/// What the text of `meson.build` says that Meson does not tell.
#[derive(Debug, Default)]
pub struct Said {
    /// The directories of headers for users of each library, by `declare_dependency`.
    pub public: BTreeMap<String, Vec<String>>,
    /// Whether `default_options` choose how it is optimised.
    pub is_optimised: bool,
}

impl Said {
    /// Reads the `meson.build` of `directory`, as far as that is possible.
    pub fn read(directory: &Path) -> Self {
        let tree = Tree::default();
        let Ok(reader) = Reader::read(directory, &tree) else { return Self::default() };
        let chosen = ["buildtype", "optimization"];
        Self {
            is_optimised: chosen.iter().any(|it| reader.options.contains_key(*it)),
            public: reader.public,
        }
    }
}

/// Describes the package `name` in `directory` from the text of its `meson.build`.
///
/// # Errors
/// Why it cannot be read.
pub fn describe(directory: &Path, name: &str, tree: &Tree) -> Result<Package, String> {
    let mut reader = Reader::read(directory, tree)?;
    let mut package = Package {
        name: name.to_owned(),
        version: std::mem::take(&mut reader.version),
        from: "the text of meson.build".to_owned(),
        ..Package::default()
    };
    package.rename(&reader.project);
    for (target, why) in &reader.refused {
        package.leave_out(format!("the target {target}"), why);
    }
    for target in reader.targets.values() {
        match target.sources.is_empty() && target.kind != Kind::Headers {
            true => package.leave_out(
                format!("the target {}", target.name),
                "none of its sources is a file of the package",
            ),
            false => package.targets.push(target.clone()),
        }
    }
    for target in package.targets.iter_mut().filter(|target| target.kind.is_library()) {
        target.flags.keep_public(reader.public.get(&target.name).map_or(&[], Vec::as_slice));
    }
    let kept: Vec<String> = package.targets.iter().map(|target| target.name.clone()).collect();
    for target in &mut package.targets {
        target.libraries.retain(|library| kept.contains(library));
        let mut seen = Vec::new();
        for list in [&mut target.libraries, &mut target.link_args, &mut target.system] {
            list.retain(|entry| {
                let is_new = !seen.contains(entry);
                seen.push(entry.clone());
                is_new
            });
        }
    }
    let root = directory.to_string_lossy();
    let word = |value: &Value| match value {
        Value::File(path) => format!("{root}/{path}"),
        Value::Target(name) => format!("/{{build}}/{name}"),
        value => value.text().unwrap_or("/{build}/?").to_owned(),
    };
    let declared: Vec<Declared> = reader
        .tests
        .iter()
        .map(|(name, program, arguments)| {
            let words = std::iter::once(program).chain(arguments).map(word).collect();
            Declared { name: name.clone(), words, directory: None }
        })
        .collect();
    let program = |word: &str| word.strip_prefix("/{build}/").map(str::to_owned);
    declared::mark(&mut package, &declared, directory, Path::new("/{build}"), program);
    package.give_headers(std::mem::take(&mut reader.headers));
    for (what, why) in &reader.left_out {
        package.leave_out(what, why);
    }
    package.targets.sort_by_key(|target| (!target.kind.is_library(), target.name.clone()));
    package.inherit_includes();
    Ok(package)
}
