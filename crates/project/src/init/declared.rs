//! The tests of another build system, as tests of executables.

use std::path::Path;

use super::{Kind, Package, inside, literal};

/// A test as it is declared: a program and its arguments.
pub struct Declared {
    /// Its name.
    pub name: String,
    /// The command.
    pub words: Vec<String>,
    /// The directory that it runs in, absolute, where that is said.
    pub directory: Option<String>,
}

/// Makes tests of those executables of `package` that `tests` run. `program` names the target that a program is.
pub fn mark(
    package: &mut Package,
    tests: &[Declared],
    directory: &Path,
    build: &Path,
    program: impl Fn(&str) -> Option<String>,
) {
    for Declared { name, words, directory: runs_in } in tests {
        let Some((file, arguments)) = words.split_first() else { continue };
        let wanted = program(file);
        let target = package.targets.iter_mut().find(|it| Some(&it.name) == wanted.as_ref());
        let arguments: Option<Vec<String>> =
            arguments.iter().map(|word| argument(word, directory, build)).collect();
        let why = match (target, arguments) {
            (None, _) => "it runs no executable of the package: write a [[command]]",
            (Some(_), None) => "it is given files that are built: write a [[command]]",
            (Some(target), Some(arguments)) if target.kind == Kind::Program => {
                target.kind = Kind::Test(arguments);
                let runs_in = runs_in.as_ref();
                if let Some(place) = runs_in.and_then(|it| inside(it, Path::new("/"), directory)) {
                    package.leave_out(
                        format!("the directory {place} in which the test {name} runs"),
                        "tests run in an empty one; a [[command]] with test = true runs in the package's",
                    );
                }
                continue;
            }
            (Some(_), Some(_)) => "a test runs an executable once, with one list of arguments",
        };
        package.leave_out(format!("the test {name}"), why);
    }
}

/// An argument of a test: a file of the package by where that is, anything else as it stands. `None` for a file
/// of the build directory.
fn argument(word: &str, directory: &Path, build: &Path) -> Option<String> {
    if !word.starts_with('/') {
        return Some(literal(word));
    }
    match inside(word, Path::new("/"), directory) {
        Some(path) if path == "." => Some("{package}".to_owned()),
        Some(path) => Some(format!("{{package}}/{}", literal(&path))),
        None => inside(word, Path::new("/"), build).is_none().then(|| literal(word)),
    }
}
