//! The compilers of a machine, for a first package set.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use larder_project::set::first::InstalledCompiler;

use super::tools;
use crate::environment::Environment;

/// What compilers for C are called, and those for C++ beside them, before a version.
const NAMES: [(&str, &str); 3] = [("gcc", "g++"), ("clang", "clang++"), ("cc", "c++")];

/// Returns the compilers on `PATH`, each asked who it is: GCC before Clang, the newest of a family first. One that
/// has two names goes by that with a version.
pub fn installed(environment: &Environment) -> Vec<InstalledCompiler> {
    let mut programs = BTreeSet::new();
    for directory in environment.directories() {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        programs.extend(entries.filter_map(|entry| entry.file_name().into_string().ok()));
    }
    let mut found: BTreeMap<(bool, u32), InstalledCompiler> = BTreeMap::new();
    // `gcc-12` counts before `gcc`, and that before `cc`.
    for (c, cxx) in NAMES {
        let named = |program: &&String| version_in(program, c).is_some();
        for program in programs.iter().filter(named).rev() {
            let Some((is_clang, version)) = ask(program, environment) else { continue };
            let cxx = format!("{cxx}{}", &program[c.len()..]);
            found.entry((is_clang, version)).or_insert_with(|| InstalledCompiler {
                family: if is_clang { "clang" } else { "gcc" }.to_owned(),
                version,
                cc: program.clone(),
                cxx: programs.contains(&cxx).then_some(cxx),
            });
        }
    }
    let mut found: Vec<((bool, u32), InstalledCompiler)> = found.into_iter().collect();
    found.sort_by_key(|((is_clang, version), _)| (*is_clang, u32::MAX - version));
    found.into_iter().map(|(_, compiler)| compiler).collect()
}

/// The version in the name of a program that is called `name`: empty, or `-` and a number.
fn version_in<'p>(program: &'p str, name: &str) -> Option<&'p str> {
    let rest = program.strip_prefix(name)?;
    let number = rest.strip_prefix('-');
    let is_number = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    (rest.is_empty() || number.is_some_and(is_number)).then_some(rest)
}

/// Asks a compiler whether it is Clang, and for the first number of its version.
fn ask(program: &str, environment: &Environment) -> Option<(bool, u32)> {
    let question = ["-dM", "-E", "-x", "c", "/dev/null"];
    let macros = tools::run(program, &question, Path::new("/"), environment).ok()?;
    let value = |name: &str| {
        let mut lines = macros.lines().filter_map(|line| line.strip_prefix("#define "));
        lines.find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    };
    let clang = value("__clang_major__ ").map(|version| (true, version));
    clang.or_else(|| value("__GNUC__ ").map(|version| (false, version)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_with_other_names_are_no_compilers() {
        for (program, found) in [
            ("gcc", true),
            ("gcc-12", true),
            ("gcc-", false),
            ("gcc-ar-12", false),
            ("gcc-12.2", false),
            ("x86_64-linux-gnu-gcc", false),
        ] {
            assert_eq!(version_in(program, "gcc").is_some(), found, "{program}");
        }
    }
}
