//! Libraries of the system by their names for `pkg-config`, where that knows them.

use std::path::Path;

use larder_project::init::Package;

use super::tools::run;
use crate::environment::Environment;

/// Libraries that are called otherwise for `pkg-config` than for the linker.
const NAMES: &[(&str, &[&str])] = &[
    ("z", &["zlib"]),
    ("ssl", &["openssl", "libssl"]),
    ("crypto", &["libcrypto", "openssl"]),
    ("png", &["libpng"]),
    ("ncurses", &["ncurses"]),
    ("event", &["libevent"]),
    ("pcre", &["libpcre"]),
    ("xml2", &["libxml-2.0"]),
    ("glib-2.0", &["glib-2.0"]),
];

/// Libraries that come with the compiler.
const OF_COMPILER: &[&str] =
    &["m", "dl", "rt", "c", "pthread", "stdc++", "gcc", "gcc_s", "util", "resolv", "atomic"];

/// Names libraries of the system in `package` as `pkg-config` does, where it knows them. The others stay arguments for
/// the linker.
pub fn name(package: &mut Package, directory: &Path, environment: &Environment) {
    let mut known: Vec<(String, Option<Module>)> = Vec::new();
    for target in &mut package.targets {
        let mut given: Vec<String> = Vec::new();
        for argument in std::mem::take(&mut target.link_args) {
            let library = argument.strip_prefix("-l").filter(|name| !OF_COMPILER.contains(name));
            let Some(library) = library else {
                target.link_args.push(argument);
                continue;
            };
            // A module may stand for several libraries.
            if given.contains(&argument) {
                continue;
            }
            let asked =
                known.iter().find(|(name, _)| name == library).map(|(_, module)| module.clone());
            let module = asked.unwrap_or_else(|| {
                let module = Module::of(library, directory, environment);
                known.push((library.to_owned(), module.clone()));
                module
            });
            match module {
                Some(module) => {
                    given.extend(module.libraries);
                    if !target.system.contains(&module.name) {
                        target.system.push(module.name);
                    }
                }
                None => target.link_args.push(argument),
            }
        }
    }
}

/// A module of `pkg-config`.
#[derive(Debug, Clone)]
struct Module {
    name: String,
    /// `-l…` for each of its libraries.
    libraries: Vec<String>,
}

impl Module {
    /// The module that stands for a library.
    fn of(library: &str, directory: &Path, environment: &Environment) -> Option<Self> {
        let names = NAMES.iter().find(|(name, _)| *name == library).map(|(_, names)| *names);
        let mut names: Vec<String> =
            names.unwrap_or_default().iter().map(|it| (*it).to_owned()).collect();
        names.extend([library.to_owned(), format!("lib{library}")]);
        let wanted = format!("-l{library}");
        names.into_iter().find_map(|name| {
            let said = run("pkg-config", &["--libs-only-l", &name], directory, environment).ok()?;
            let libraries: Vec<String> = said.split_whitespace().map(str::to_owned).collect();
            libraries.contains(&wanted).then_some(Self { name, libraries })
        })
    }
}
