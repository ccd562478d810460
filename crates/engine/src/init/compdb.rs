//! What `compile_commands.json` says. It knows of no libraries: whatever has a `main` is a program, and the
//! rest makes one library for each way in which it is compiled.

use std::{collections::BTreeMap, fs, path::Path};

use larder_project::{
    init::{
        Flags, Kind, Package, Place, Tree,
        flags::{Given, of_compiler},
        from_sources, inside,
    },
    plan::Language,
};
use larder_trace::describe_io;
use serde::Deserialize;

const FILE: &str = "compile_commands.json";

#[derive(Deserialize)]
struct Entry {
    directory: String,
    file: String,
    #[serde(default)]
    command: Option<String>,
    #[serde(default)]
    arguments: Option<Vec<String>>,
}

/// Describes the package at `place`.
///
/// # Errors
/// Why the file is of no use.
pub fn describe(place: &Place) -> Result<Package, String> {
    let directory = &place.directory;
    let text = fs::read(directory.join(FILE)).map_err(|error| describe_io(&error))?;
    let entries: Vec<Entry> = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    let mut by_source: BTreeMap<String, Flags> = BTreeMap::new();
    let mut outside = Vec::new();
    for entry in entries {
        let base = Path::new(&entry.directory);
        let source = inside(&entry.file, base, directory);
        let (Some(source), Some(language)) = (source, Language::of(&entry.file)) else {
            outside.push(entry.file);
            continue;
        };
        let words = entry.arguments.or_else(|| shlex::split(&entry.command?));
        let words = words.ok_or_else(|| format!("{source} has no command that can be read"))?;
        let build = (base != directory).then_some(base);
        let given = Given { package: directory, base, build };
        let arguments = words.get(1..).unwrap_or_default();
        let flags = of_compiler(arguments, language, &given);
        by_source.entry(source).or_default().merge(&flags);
    }
    let tree = Tree {
        sources: by_source.keys().cloned().collect(),
        ..Tree::read(directory).map_err(|error| describe_io(&error))?
    };
    // Which of the sources belong together is found out as without the file.
    let mut package = from_sources(directory, &place.name, &Tree { left_out: Vec::new(), ..tree });
    package.from = FILE.to_owned();
    split_by_flags(&mut package, &by_source);
    package.drop_empty_includes();
    for file in outside {
        package.leave_out(file, "it is no source of this package");
    }
    Ok(package)
}

/// Makes of each library as many as there are ways to compile its sources, and gives all targets the flags of their
/// sources.
fn split_by_flags(package: &mut Package, by_source: &BTreeMap<String, Flags>) {
    let targets = std::mem::take(&mut package.targets);
    let mut renamed: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for mut target in targets {
        let mut groups: Vec<(Flags, Vec<String>)> = Vec::new();
        for source in &target.sources {
            let flags = by_source.get(source).cloned().unwrap_or_default();
            match groups.iter_mut().find(|(known, _)| fits(known, &flags)) {
                Some((known, sources)) => {
                    known.merge(&flags);
                    sources.push(source.clone());
                }
                None => groups.push((flags, vec![source.clone()])),
            }
        }
        if target.kind != Kind::Static {
            target.flags = Flags::default();
            groups.iter().for_each(|(flags, _)| target.flags.merge(flags));
            let all = target.libraries.iter().flat_map(|name| match renamed.get(name) {
                Some(names) => names.clone(),
                None => vec![name.clone()],
            });
            target.libraries = all.collect();
            package.targets.push(target);
            continue;
        }
        groups.sort_by_key(|(_, sources)| std::cmp::Reverse(sources.len()));
        let mut names = Vec::new();
        for (flags, sources) in groups {
            let name = package.free_name(&target.name);
            names.push(name.clone());
            let link_args = target.link_args.clone();
            package.targets.push(larder_project::init::Target {
                name,
                flags,
                sources,
                link_args,
                ..target.clone()
            });
        }
        // Each may need any other.
        renamed.insert(target.name, names);
    }
}

/// Whether sources can be compiled with both: they differ by what is of another language only.
fn fits(one: &Flags, other: &Flags) -> bool {
    let same_std = |a: &Option<String>, b: &Option<String>| a.is_none() || b.is_none() || a == b;
    let same_args = |a: &Vec<String>, b: &Vec<String>| a.is_empty() || b.is_empty() || a == b;
    one.defines == other.defines
        && one.includes == other.includes
        && one.system_includes == other.system_includes
        && same_std(&one.c_std, &other.c_std)
        && same_std(&one.cxx_std, &other.cxx_std)
        && same_args(&one.c_args, &other.c_args)
        && same_args(&one.cxx_args, &other.cxx_args)
}
