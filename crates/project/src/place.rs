//! Where a package is, and names for its files that mean the same on every machine.

use std::path::{Path, PathBuf};

/// A package's directories. Paths "from the root" are relative to the root package's directory where
/// they are inside it, else absolute: the form that the stat index keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The package's name.
    pub name: String,
    /// Its directory, absolute.
    pub directory: PathBuf,
    /// Its directory from the root: empty, or ending in `/`.
    pub prefix: String,
    /// Its build directory from the root, ending in `/`.
    pub build_prefix: String,
}

/// What stands for a package's build directory in a portable path.
const BUILD: &str = "<build>/";

impl Place {
    /// The package `name` in `directory`, of a workspace at `root`. The root package builds into
    /// `.larder/build`, any other into `.larder/build/@NAME` of the root package.
    pub fn new(root: &Path, name: &str, directory: &Path) -> Self {
        let prefix = match from_root(root, &directory.to_string_lossy()) {
            inside if inside.is_empty() => inside,
            inside => format!("{inside}/"),
        };
        let build_prefix = match prefix.is_empty() {
            true => ".larder/build/".to_owned(),
            false => format!(".larder/build/@{name}/"),
        };
        Self { name: name.to_owned(), directory: directory.to_owned(), prefix, build_prefix }
    }

    /// A file of the package, from the root.
    pub fn input(&self, local: &str) -> String {
        if local.starts_with('/') { local.to_owned() } else { [&self.prefix, local].concat() }
    }

    /// A file in its build directory, from the root.
    pub fn output(&self, local: &str) -> String {
        [&self.build_prefix, local].concat()
    }
}

/// `path`, absolute or relative to `root`, as seen from `root`.
fn from_root(root: &Path, path: &str) -> String {
    match Path::new(path).strip_prefix(root) {
        Ok(inside) => inside.to_string_lossy().into_owned(),
        Err(_) => path.to_owned(),
    }
}

/// The places of a workspace.
#[derive(Debug, Default)]
pub struct Places {
    root: PathBuf,
    places: Vec<Place>,
}

impl Places {
    /// The packages of the workspace at `root`.
    pub fn new(root: PathBuf, places: Vec<Place>) -> Self {
        Self { root, places }
    }

    /// The absolute path of what is at `from_root`.
    pub fn absolute(&self, from_root: &str) -> PathBuf {
        self.root.join(from_root)
    }

    /// The path from the root of a file that a command running in `place` calls `path`.
    pub fn from_root(&self, place: &Place, path: &str) -> String {
        let normal = normalize(path);
        let absolute_or_inside =
            if normal.starts_with('/') { normal } else { normalize(&place.input(&normal)) };
        from_root(&self.root, &absolute_or_inside)
    }

    /// The portable name of a file, as records of `place` write it: `src/a.h` in the package itself,
    /// `@zlib/zlib.h` in another, `<build>/gen.h` in its build directory, else the absolute path.
    pub fn portable(&self, place: &Place, from_root: &str) -> String {
        let prefixes = self
            .places
            .iter()
            .flat_map(|other| [(other, &other.prefix, ""), (other, &other.build_prefix, BUILD)]);
        let best = prefixes
            .filter(|(_, prefix, _)| {
                from_root.starts_with(prefix.as_str())
                    && (!prefix.is_empty() || !from_root.starts_with(['/', '.']))
            })
            .max_by_key(|(_, prefix, _)| prefix.len());
        match best {
            Some((owner, prefix, mark)) => {
                let local = &from_root[prefix.len()..];
                if owner.name == place.name {
                    format!("{mark}{local}")
                } else {
                    format!("@{}/{mark}{local}", owner.name)
                }
            }
            None => from_root.to_owned(),
        }
    }

    /// The path from the root of what [`Self::portable`] named; `None` for a package not here.
    pub fn locate(&self, place: &Place, portable: &str) -> Option<String> {
        let (owner, local) = match portable.strip_prefix('@').and_then(|rest| rest.split_once('/'))
        {
            Some((name, local)) => (self.places.iter().find(|other| other.name == name)?, local),
            None => (place, portable),
        };
        Some(match local.strip_prefix(BUILD) {
            Some(local) => owner.output(local),
            None => owner.input(local),
        })
    }
}

/// `path` without `.` parts and without a `..` that follows a name.
fn normalize(path: &str) -> String {
    if !path.contains("./") && !path.contains("//") {
        return path.to_owned();
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|part| !matches!(*part, "" | ".")) {
        match parts.last() {
            Some(&last) if part == ".." && last != ".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    format!("{}{}", if path.starts_with('/') { "/" } else { "" }, parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Places {
        let root = PathBuf::from("/w/lua");
        let place = |name: &str, directory: &str| Place::new(&root, name, Path::new(directory));
        let all = vec![
            place("lua", "/w/lua"),
            place("inner", "/w/lua/deps/inner"),
            place("zlib", "/w/zlib"),
        ];
        Places::new(root, all)
    }

    #[test]
    fn portable_names_come_back() {
        let places = places();
        let [lua, inner, zlib] = &places.places[..] else { unreachable!() };
        for (place, said, root_path, portable) in [
            (lua, "src/a.h", "src/a.h", "src/a.h"),
            (lua, "src/../b.h", "b.h", "b.h"),
            (lua, ".larder/build/gen.h", ".larder/build/gen.h", "<build>/gen.h"),
            (lua, "/w/zlib/zlib.h", "/w/zlib/zlib.h", "@zlib/zlib.h"),
            (lua, "../zlib/zlib.h", "../zlib/zlib.h", "../zlib/zlib.h"),
            (lua, "/usr/include/stdio.h", "/usr/include/stdio.h", "/usr/include/stdio.h"),
            (inner, "x.h", "deps/inner/x.h", "x.h"),
            (inner, "../../top.h", "top.h", "@lua/top.h"),
            (zlib, "zlib.h", "/w/zlib/zlib.h", "zlib.h"),
            (
                zlib,
                "/w/lua/.larder/build/@zlib/gen.h",
                ".larder/build/@zlib/gen.h",
                "<build>/gen.h",
            ),
            (lua, ".larder/build/@zlib/gen.h", ".larder/build/@zlib/gen.h", "@zlib/<build>/gen.h"),
        ] {
            assert_eq!(places.from_root(place, said), root_path, "{said}");
            assert_eq!(places.portable(place, root_path), portable, "{root_path}");
            assert_eq!(places.locate(place, portable).as_deref(), Some(root_path), "{portable}");
        }
        assert_eq!(places.locate(lua, "@gone/x.h"), None);
    }
}
