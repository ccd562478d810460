//! Linkers: the files that they read, and how they call libraries.

use std::path::Path;

use crate::{depfile, toolchain::LinkerAbilities};

/// Arguments for a compiler driver that links, with which its linker writes every file that it reads
/// to `file`, for [`read_files`]. None for a linker that cannot.
pub fn dependency_file_arguments(linker: LinkerAbilities, file: &str) -> Option<[String; 2]> {
    // Not `-Wl,…`, where a comma in the path would end it.
    linker.dependency_file.then(|| ["-Xlinker".to_owned(), format!("--dependency-file={file}")])
}

/// The files that a linker read, from the text of its dependency file: objects, libraries, members of
/// thin archives where the linker names them, linker scripts, version scripts, and what those name.
/// Without those below `temporary`, where the objects of link-time optimisation come and go.
pub fn read_files(text: &str, temporary: &Path) -> Vec<String> {
    let mut files = depfile::parse_linker(text);
    files.retain(|file| !Path::new(file).starts_with(temporary));
    files
}

/// The name of the shared library at `path` as `-l` takes it: `foo-1.2` of `libfoo-1.2.so`, `foo` of
/// `libfoo.so.1.2`. None where `-l` cannot find it, because its file name does not begin with `lib` or
/// has no name in it.
pub fn dynlib_name(path: &str) -> Option<&str> {
    let file = path.rsplit('/').next().unwrap_or(path);
    let name = file.strip_prefix("lib")?;
    // The version that follows the extension is no part of the name.
    let is_version = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    let versioned =
        name.match_indices(".so.").find(|(at, dot)| is_version(&name[at + dot.len()..]));
    let name = match versioned {
        Some((at, _)) => &name[..at],
        None => {
            let extensions = [".so", ".dylib", ".dll"].into_iter();
            extensions.filter_map(|extension| name.strip_suffix(extension)).next()?
        }
    };
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_shared_libraries() {
        for (path, name) in [
            ("lib/libfoo.so", Some("foo")),
            ("libfoo-1.2.so", Some("foo-1.2")),
            ("/usr/lib/libfoo.so.1.2", Some("foo")),
            ("libfoo-1.2.so.3", Some("foo-1.2")),
            ("libpy.so.d.so", Some("py.so.d")),
            ("libfoo.1.dylib", Some("foo.1")),
            ("lib.so", None),
            ("foo.so", None),
            ("libfoo.a", None),
            ("libfoo", None),
        ] {
            assert_eq!(dynlib_name(path), name, "{path}");
        }
    }

    #[test]
    fn a_path_with_a_comma_reaches_the_linker() {
        let able = LinkerAbilities { dependency_file: true };
        let arguments = dependency_file_arguments(able, "a,b.d").unwrap();
        assert_eq!(arguments, ["-Xlinker", "--dependency-file=a,b.d"]);
        assert_eq!(dependency_file_arguments(LinkerAbilities::default(), "a.d"), None);
    }
}
