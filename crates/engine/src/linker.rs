//! How linkers call libraries.

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
}
