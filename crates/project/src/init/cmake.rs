//! What the text of `CMakeLists.txt` says, where CMake itself is not asked.
//!
//! Commands are read one by one, variables and lists among them. What only CMake can tell, such as what a check found
//! out, decides nothing: the package is smaller then, and what is missing is said.

mod around;
mod blocks;
mod building;
mod condition;
mod expression;
mod files;
mod run;
mod scope;
mod syntax;
mod targets;
mod variables;

use std::{collections::BTreeMap, path::Path};

use self::{building::Building, run::Reader, scope::Word};
use super::{
    Kind, Package, Target, Tree,
    config::Asks,
    declared::{self, Declared},
    system,
};

/// Describes the package `name` in `directory` from the text of its `CMakeLists.txt`.
///
/// # Errors
/// Why it cannot be read.
pub fn describe(directory: &Path, name: &str, tree: &Tree) -> Result<Package, String> {
    let mut reader = Reader::read(directory, tree)?;
    let mut package = Package {
        name: name.to_owned(),
        version: std::mem::take(&mut reader.version),
        from: "the text of CMakeLists.txt".to_owned(),
        ..Package::default()
    };
    package.rename(&reader.name);
    let buildings: Vec<Building> = reader.targets.by_name.values().cloned().collect();
    for building in buildings {
        let target = settled(building, &reader, &mut package);
        package.targets.extend(target);
    }
    let kept: Vec<String> = package.targets.iter().map(|target| target.name.clone()).collect();
    for target in &mut package.targets {
        target.libraries.retain(|library| kept.contains(library));
    }
    tests(&reader, directory, &mut package);
    for config in &reader.targets.configs {
        let is_header = Tree::is_header(&config.output);
        if is_header && !package.configs.iter().any(|it| it.output == config.output) {
            package.add_config(config.clone());
        }
    }
    package.give_headers(std::mem::take(&mut reader.targets.headers));
    package.drop_empty_includes();
    for (what, why) in &reader.left_out {
        package.leave_out(what, why);
    }
    for (option, (help, value)) in &reader.options {
        package.note_option("CMake", option, help, value);
    }
    for target in &mut package.targets {
        // As CMake is asked, too.
        for list in [&mut target.flags.c_args, &mut target.flags.cxx_args] {
            if !list.iter().any(|it| it.starts_with("-O")) {
                list.push("-O2".to_owned());
            }
        }
    }
    package.targets.sort_by_key(|target| (!target.kind.is_library(), target.name.clone()));
    package.inherit_includes();
    Ok(package)
}

/// The entries of a property such as `INTERFACE_INCLUDE_DIRECTORIES`, as they are for a build.
pub fn words(property: &str) -> Vec<String> {
    let known = Word::known(property);
    let entries = known.entries().filter_map(|it| expression::generated(&it.text));
    entries
        .flat_map(|it| Word::known(&*it).entries().collect::<Vec<_>>())
        .map(|it| it.text)
        .collect()
}

/// What the commands of files of CMake say by themselves. Those with variables in them do not count.
#[derive(Debug, Default)]
pub struct Commands {
    /// What they ask the compiler, by the variables of the answers.
    pub checks: BTreeMap<String, Asks>,
    /// The names of options.
    pub options: Vec<String>,
    /// The macros with which the compiler is asked.
    pub defines: Vec<String>,
}

impl Commands {
    /// Adds what the file with this text says.
    pub fn read(&mut self, text: &str) {
        let commands = syntax::commands(text).unwrap_or_default();
        for command in &commands {
            let words = scope::Scope::default().expand(&command.arguments);
            let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
            match (&*command.name, &*texts) {
                ("option" | "cmake_dependent_option", [name, ..]) => {
                    push(&mut self.options, (*name).to_owned());
                }
                ("set", [name, rest @ ..]) | ("list", ["APPEND", name, rest @ ..])
                    if matches!(*name, "CMAKE_REQUIRED_DEFINITIONS" | "CMAKE_REQUIRED_FLAGS") =>
                {
                    let words = rest.iter().flat_map(|it| it.split([' ', ';']));
                    let macros = words.filter_map(|word| word.strip_prefix("-D"));
                    for name in macros.filter(|it| !it.is_empty() && !it.contains('$')) {
                        push(&mut self.defines, name.to_owned());
                    }
                }
                _ if command.arguments.iter().any(|it| it.text.contains("${")) => {}
                (name, words) => self.checks.extend(Asks::of_cmake(name, words)),
            }
        }
    }
}

/// The target with what it is linked with; `None` where it is better left out.
fn settled(building: Building, reader: &Reader<'_>, package: &mut Package) -> Option<Target> {
    let Building { mut target, links, odd } = building;
    if !reader.targets.installs_more {
        target.is_installed.get_or_insert(false);
    }
    let name = target.name.clone();
    let mut missing = None;
    for word in &links {
        match link(word, reader) {
            Link::Library(library) if library == name => {}
            Link::Library(library) => push(&mut target.libraries, library),
            Link::Arguments(arguments) => {
                arguments.into_iter().for_each(|argument| push(&mut target.link_args, argument));
            }
            Link::Modules(modules) => {
                modules.into_iter().for_each(|module| push(&mut target.system, module));
            }
            Link::Framework(framework) => missing = Some(framework),
            Link::Nothing => {}
            Link::Unknown => package.leave_out(
                format!("what {name} is linked with: {}", word.text),
                "only CMake can tell what that is",
            ),
        }
    }
    if let Some(framework) = missing {
        package.leave_out(format!("the target {name}"), system::advice(framework));
        return None;
    }
    let made = |path: &String| {
        let configs = &reader.targets.configs;
        configs.iter().any(|it| path.strip_prefix("{build}/") == Some(&*it.output))
    };
    for path in odd.into_iter().filter(|path| !made(path)) {
        let why = match path.strip_prefix("{build}/") {
            Some(_) => format!("{name} generates it: write a [[command]] for that"),
            None if path.contains('$') => format!("only CMake can tell what {name} has there"),
            None => format!("{name} has it, and it is not there"),
        };
        package.leave_out(path.trim_start_matches("{build}/"), why);
    }
    let is_empty = target.sources.is_empty() && target.kind != Kind::Headers;
    let says_nothing = target.kind == Kind::Headers && target.flags.includes.is_empty();
    if is_empty {
        package.leave_out(
            format!("the target {name}"),
            "none of its sources is a file of the package",
        );
    }
    (!is_empty && !says_nothing).then_some(target)
}

/// What a target is linked with.
enum Link {
    Library(String),
    Arguments(Vec<String>),
    Modules(Vec<String>),
    Framework(&'static str),
    Nothing,
    Unknown,
}

fn link(word: &Word, reader: &Reader<'_>) -> Link {
    let text = word.text.as_str();
    if let Some(name) = reader.targets.resolve(text) {
        return Link::Library(name.to_owned());
    }
    let own = |words: &[&str]| Link::Arguments(words.iter().map(|it| (*it).to_owned()).collect());
    // A variable of a package that was looked for: `${ZLIB_LIBRARIES}`.
    if let Some(variable) = text.strip_prefix("${").and_then(|it| it.strip_suffix('}')) {
        if let Some(name) = reader.targets.searched.get(variable) {
            return Link::Arguments(vec![format!("-l{name}")]);
        }
        let prefix = variable.split("_LIBRAR").next().unwrap_or(variable);
        let prefix = prefix
            .strip_suffix("_LDFLAGS")
            .or_else(|| prefix.strip_suffix("_LINK"))
            .unwrap_or(prefix);
        return match (reader.targets.modules.get(prefix), system::of_package(prefix)) {
            (Some(modules), _) => Link::Modules(modules.clone()),
            (_, Some(arguments)) => own(arguments),
            _ => Link::Unknown,
        };
    }
    if !word.known {
        return Link::Unknown;
    }
    if let Some(inner) = text.strip_prefix("$<BUILD_INTERFACE:").and_then(|it| it.strip_suffix('>'))
    {
        return link(&Word::known(inner), reader);
    }
    if text.starts_with("$<INSTALL_INTERFACE:") || text.is_empty() {
        return Link::Nothing;
    }
    if let Some(framework) = system::framework_library(text) {
        return Link::Framework(framework);
    }
    if let Some((package, part)) = text.split_once("::") {
        return match (package, reader.targets.modules.get(part)) {
            ("PkgConfig", Some(modules)) => Link::Modules(modules.clone()),
            _ => system::of_package(&format!("{package}_{part}"))
                .or_else(|| system::of_package(package))
                .map_or(Link::Unknown, own),
        };
    }
    let is_name = text.chars().all(|c| c.is_ascii_alphanumeric() || "_-+.".contains(c));
    match text {
        "debug" | "-rdynamic" | "-pthread" => own(&[text]),
        _ if text.starts_with("-l") || text.starts_with("-Wl,") => own(&[text]),
        _ if is_name && !text.starts_with('-') => Link::Arguments(vec![format!("-l{text}")]),
        _ => Link::Unknown,
    }
}

fn tests(reader: &Reader<'_>, directory: &Path, package: &mut Package) {
    let plain = |text: &str| {
        text.strip_prefix("$<TARGET_FILE:")
            .and_then(|it| it.strip_suffix('>'))
            .unwrap_or(text)
            .to_owned()
    };
    let declared: Vec<Declared> = reader
        .targets
        .tests
        .iter()
        .map(|test| Declared {
            name: test.name.clone(),
            words: test.command.iter().map(|it| plain(&it.text)).collect(),
            directory: test.directory.as_ref().filter(|it| it.known).map(|it| it.text.clone()),
        })
        .collect();
    let program = |word: &str| {
        // One that is built may be named by where CMake puts it.
        let name = match word.strip_prefix(run::BUILD) {
            Some(path) => path.rsplit('/').next().unwrap_or(path),
            None => word,
        };
        reader.targets.resolve(name).map(str::to_owned)
    };
    declared::mark(package, &declared, directory, Path::new(run::BUILD), program);
}

fn push(list: &mut Vec<String>, entry: String) {
    if !list.contains(&entry) {
        list.push(entry);
    }
}
