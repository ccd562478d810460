//! Compiler and linker arguments, as keys of a manifest.

use std::path::Path;

use super::{Flags, inside};
use crate::{
    manifest::{refused_argument, refused_link_argument},
    plan::Language,
};

/// Where arguments were given.
pub struct Given<'a> {
    /// The package's directory, canonical.
    pub package: &'a Path,
    /// The directory that relative paths count from.
    pub base: &'a Path,
    /// The build directory, where it is known.
    pub build: Option<&'a Path>,
}

/// Arguments whose value is the next one.
const WITH_VALUE: &[&str] = &[
    "-I",
    "-isystem",
    "-iquote",
    "-idirafter",
    "-D",
    "-U",
    "-include",
    "-o",
    "-MF",
    "-MT",
    "-MQ",
    "-arch",
    "-Xclang",
];

/// What larder or its profiles say themselves, and what is of one build only.
fn is_dropped(argument: &str) -> bool {
    let exact =
        ["-fPIC", "-fPIE", "-fpic", "-fpie", "-pie", "-c", "-MD", "-MMD", "-MP", "-pipe", "-w"];
    let starts =
        ["-fdiagnostics-color", "-ffile-prefix-map", "-fdebug-prefix-map", "-Winvalid-pch"];
    exact.contains(&argument) || starts.iter().any(|start| argument.starts_with(start))
}

/// The flags that the arguments of a compiler mean for sources of a language.
pub fn of_compiler(arguments: &[String], language: Language, given: &Given<'_>) -> Flags {
    let mut flags = Flags::default();
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let (key, value) = match WITH_VALUE.iter().find(|key| word == **key) {
            Some(key) => (*key, words.next().cloned().unwrap_or_default()),
            None => {
                let joined = ["-isystem", "-iquote", "-I", "-D", "-std="];
                let key = joined.into_iter().find(|key| word.starts_with(key)).unwrap_or("");
                (key, word[key.len()..].to_owned())
            }
        };
        match key {
            "-I" | "-iquote" => add(&mut flags.includes, directory(&value, given)),
            "-isystem" | "-idirafter" => {
                add(&mut flags.system_includes, directory(&value, given));
            }
            "-D" => add(&mut flags.defines, Some(value)),
            "-std=" if language == Language::Cxx => flags.cxx_std = Some(value),
            "-std=" => flags.c_std = Some(value),
            "-U" => other(&mut flags, language, format!("-U{value}")),
            "" if is_dropped(word) || refused_argument(word).is_some() => {}
            "" if Language::of(word).is_some() && !word.starts_with('-') => {}
            "" => match word.strip_prefix("-W").filter(|rest| is_warning(rest)) {
                Some(warning) => add(&mut flags.warnings, Some(warning.to_owned())),
                None if word.starts_with('-') => other(&mut flags, language, word.clone()),
                None => {}
            },
            _ => {}
        }
    }
    flags
}

/// Whether what follows `-W` is a warning, and no argument for the preprocessor, assembler or linker.
fn is_warning(rest: &str) -> bool {
    !rest.is_empty() && !["p,", "a,", "l,"].iter().any(|start| rest.starts_with(start))
}

fn other(flags: &mut Flags, language: Language, argument: String) {
    let list = match language {
        Language::Cxx => &mut flags.cxx_args,
        _ => &mut flags.c_args,
    };
    add(list, Some(argument));
}

fn add(list: &mut Vec<String>, entry: Option<String>) {
    if let Some(entry) = entry
        && !list.contains(&entry)
    {
        list.push(entry);
    }
}

/// A directory of headers that is part of the package, or of the build: `{build}/…`.
fn directory(path: &str, given: &Given<'_>) -> Option<String> {
    let build = given.build.and_then(|build| inside(path, given.base, build));
    if let Some(below) = build {
        return Some(match &*below {
            "." => "{build}".to_owned(),
            below => format!("{{build}}/{below}"),
        });
    }
    let found = inside(path, given.base, given.package)?;
    given.package.join(&found).is_dir().then_some(found)
}

/// Has `words`, the arguments that a build system gives for a release of its own accord, optimise as a first manifest does,
/// unless the project says otherwise.
pub fn optimise(words: &mut Vec<String>) {
    words.retain(|word| word != "-DNDEBUG" && word != "-O3");
    if !words.iter().any(|word| word.starts_with("-O")) {
        words.push("-O2".to_owned());
    }
}

/// The arguments of a linker that are about libraries of the system.
pub fn of_linker(arguments: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for word in arguments {
        if refused_link_argument(word).is_some() || word.starts_with("-Wl,-rpath") {
            continue;
        }
        let kept = word.starts_with("-l")
            || word == "-pthread"
            || word.starts_with("-Wl,")
            || word.starts_with("-fsanitize");
        let grouping = [
            "-Wl,--start-group",
            "-Wl,--end-group",
            "-Wl,--as-needed",
            "-Wl,--no-undefined",
            "-Wl,-soname",
            "-Wl,-O1",
        ];
        if kept && !grouping.iter().any(|start| word.starts_with(start)) {
            add(&mut found, Some(word.clone()));
        } else if let Some(name) = system_library(word) {
            add(&mut found, Some(format!("-l{name}")));
        }
    }
    found
}

/// The version in the name that programs look for a shared library by, as the arguments of its link say.
pub fn soversion(arguments: &[String]) -> Option<String> {
    let name = arguments.iter().find_map(|word| {
        let value = word.strip_prefix("-Wl,-soname")?;
        value.strip_prefix([',', '='])
    })?;
    version_of(name)
}

/// The version in the name of a shared library's file, as the arguments of its link say.
pub fn file_version(arguments: &[String]) -> Option<String> {
    let place = arguments.iter().position(|word| word == "-o")?;
    version_of(arguments.get(place + 1)?)
}

/// The version in the name of a shared library's file.
pub fn version_of(file: &str) -> Option<String> {
    let (_, version) = file.rsplit('/').next()?.split_once(".so.")?;
    (!version.is_empty()).then(|| version.to_owned())
}

/// The name of the library of the system at a path such as `/usr/lib/libz.so`.
fn system_library(path: &str) -> Option<&str> {
    let directory = ["/usr/lib", "/lib", "/usr/local/lib"];
    if !directory.iter().any(|start| path.starts_with(start)) {
        return None;
    }
    let file = path.rsplit('/').next()?.strip_prefix("lib")?;
    let end = file.find(".so").or_else(|| file.find(".a"))?;
    Some(&file[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_become_keys() {
        let temporary = tempfile::tempdir().unwrap();
        let package = temporary.path().canonicalize().unwrap();
        for directory in ["include", "sub", "build/gen"] {
            std::fs::create_dir_all(package.join(directory)).unwrap();
        }
        let build = package.join("build");
        let given = Given { package: &package, base: &build, build: Some(&build) };
        let words = format!(
            "-I{0}/include -I ../sub -I{0}/build/gen -isystem /usr/include -DA -D B=1 -std=gnu11 -Wall \
             -Wno-x -O2 -g -fPIC -c -o x.o -MD -MF x.d -Wp,-DX -pthread ../a.c -UZ -I/nowhere",
            package.display()
        );
        let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
        let flags = of_compiler(&words, Language::C, &given);
        assert_eq!(flags.includes, ["include", "sub", "{build}/gen"]);
        assert_eq!(flags.defines, ["A", "B=1"]);
        assert_eq!(flags.warnings, ["all", "no-x"]);
        assert_eq!(flags.c_std.as_deref(), Some("gnu11"));
        assert_eq!(flags.c_args, ["-O2", "-g", "-Wp,-DX", "-pthread", "-UZ"]);
        assert!(flags.system_includes.is_empty() && flags.cxx_args.is_empty());
        let link = ["-lz", "libx.a", "/usr/lib/x86_64-linux-gnu/libm.so", "-Wl,-rpath,/x", "-o"];
        let link: Vec<String> = link.iter().map(|word| (*word).to_owned()).collect();
        assert_eq!(of_linker(&link), ["-lz", "-lm"]);
        let version = |word: &str| soversion(&["-shared".to_owned(), word.to_owned()]);
        assert_eq!(version("-Wl,-soname,libx.so.1.2").as_deref(), Some("1.2"));
        assert_eq!(version("-Wl,-soname=libx-3.so.4").as_deref(), Some("4"));
        assert_eq!(version("-Wl,-soname,libx.so"), None);
        let version = |file: &str| file_version(&["-o".to_owned(), file.to_owned()]);
        assert_eq!(version("lib.so.d/libx.so.1.2").as_deref(), Some("1.2"));
        assert_eq!(version("libx.so"), None);
    }
}
