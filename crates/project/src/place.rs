//! Where a package is, and names for its files that mean the same on every machine.

use std::path::{Path, PathBuf};

use crate::{
    manifest::FILE_NAME,
    path::{
        BuildPath, ELSEWHERE, PackagePath, PathError, PortablePath, RootPath, as_opened, concat,
    },
    setting::{BuiltFor, Choices},
};

/// A package's directories. Paths "from the root" are relative to the root package's directory where
/// they are inside it, else absolute: the form that the stat index keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The package's name.
    pub name: String,
    /// Its directory, absolute.
    pub directory: PathBuf,
    /// What it is built for, in its build directory.
    pub built_for: BuiltFor,
    /// Its directory from the root: empty, or ending in `/`.
    prefix: String,
    /// Its build directory from the root, ending in `/`; empty where that is the root.
    build_prefix: String,
    /// The directory of its trace files from the root, ending in `/`.
    trace_prefix: String,
    /// Its manifest from the root.
    manifest: RootPath,
}

/// Stands for a package's build directory in a portable path.
const BUILD: &str = "<build>/";

/// Stands for the build directory of what is built for the host, where a record of what is built for the
/// target names it.
const HOST: &str = "<host>/";

/// Where trace files are kept that do not lie beside outputs.
const TRACES: &str = ".larder/traces/";

impl Place {
    /// The package `name` in `directory`, of a workspace at `root`. The root package builds into
    /// `.larder/build`, any other into `.larder/build/@NAME` of the root package.
    pub fn new(root: &Path, name: &str, directory: &Path) -> Self {
        let prefix = match from_root(root, &directory.to_string_lossy()) {
            inside if inside.is_empty() => inside,
            inside => format!("{inside}/"),
        };
        let manifest = RootPath(concat(&[&prefix, FILE_NAME]));
        let (name, directory) = (name.to_owned(), directory.to_owned());
        let (build_prefix, trace_prefix) = (String::new(), String::new());
        let built_for = BuiltFor::Target;
        let place =
            Self { name, directory, built_for, prefix, build_prefix, trace_prefix, manifest };
        place.built(&Choices::default(), built_for)
    }

    /// The same place of a package that is built with `choices`, for one side.
    #[must_use]
    pub fn built(self, choices: &Choices, built_for: BuiltFor) -> Self {
        let directory = choices.build_directory(built_for);
        let build_prefix = match self.prefix.is_empty() {
            true => format!(".larder/{directory}/"),
            false => format!(".larder/{directory}/@{}/", self.name),
        };
        let trace_prefix = build_prefix.clone();
        Self { built_for, build_prefix, trace_prefix, ..self }
    }

    /// A directory `name` in which commands write where they like: its outputs lie in `directory` itself, which
    /// is the root, and their trace files are kept apart.
    pub fn in_place(name: &str, directory: &Path) -> Self {
        Self {
            name: name.to_owned(),
            directory: directory.to_owned(),
            built_for: BuiltFor::Target,
            prefix: String::new(),
            build_prefix: String::new(),
            trace_prefix: TRACES.to_owned(),
            manifest: RootPath(FILE_NAME.into()),
        }
    }

    /// The same place of a package whose manifest is at `path`, an absolute one, in another package.
    #[must_use]
    pub fn with_manifest(self, root: &Path, path: &Path) -> Self {
        Self { manifest: RootPath(from_root(root, &path.to_string_lossy()).into()), ..self }
    }

    /// Returns the path from the root of a file of the package.
    pub fn package_path(&self, path: &PackagePath) -> RootPath {
        match self.prefix.is_empty() {
            true => RootPath(path.0.clone()),
            false => RootPath(concat(&[&self.prefix, &path.0])),
        }
    }

    /// Returns the path from the root of the package's manifest.
    pub fn manifest(&self) -> &RootPath {
        &self.manifest
    }

    /// Returns the path from the root of a directory of the package, without a final `/`.
    pub fn package_directory(&self, path: &PackagePath) -> RootPath {
        RootPath([&self.prefix, path.as_str()].concat().trim_end_matches('/').into())
    }

    /// Returns the path from the root of a file in its build directory.
    pub fn build_path(&self, path: &BuildPath) -> RootPath {
        match path.0.strip_prefix(ELSEWHERE).filter(|_| self.build_prefix.is_empty()) {
            Some(absolute) => RootPath(concat(&["/", absolute])),
            None => RootPath(concat(&[&self.build_prefix, &path.0])),
        }
    }

    /// Returns the name as an output of the file that a command in this directory, which writes where it likes,
    /// writes as `path`.
    pub fn written(&self, path: &str) -> BuildPath {
        if !path.starts_with(['/', '.']) {
            return BuildPath(path.into());
        }
        let absolute = as_opened(&self.directory, path);
        match absolute.strip_prefix(&self.directory) {
            Ok(inside) => BuildPath(inside.to_string_lossy().into()),
            Err(_) => {
                let absolute = absolute.to_string_lossy();
                BuildPath(concat(&[ELSEWHERE, absolute.trim_start_matches('/')]))
            }
        }
    }

    /// Returns the path from the root of the trace file that lies beside an output.
    pub fn trace_path(&self, output: &BuildPath) -> RootPath {
        RootPath(concat(&[&self.trace_prefix, &output.0, ".trace"]))
    }

    /// Returns the path from the root of its build directory.
    pub fn build_directory(&self) -> RootPath {
        RootPath(self.build_prefix.trim_end_matches('/').into())
    }

    /// Returns the path in its build directory of a file, from the root, that is there.
    pub fn in_build_directory<'p>(&self, from_root: &'p str) -> Option<&'p str> {
        from_root.strip_prefix(&self.build_prefix).filter(|path| !path.starts_with('/'))
    }

    /// Returns what records of the package `reader` call `path` of this package, which is `built` if it
    /// is in the build directory. An empty path is the directory that it would be in.
    pub fn portable(&self, reader: &Self, built: bool, path: &str) -> PortablePath {
        self.marked(reader, if built { self.build_mark(reader) } else { "" }, path)
    }

    /// The mark of its build directory in records of the package `reader`.
    fn build_mark(&self, reader: &Self) -> &'static str {
        if self.built_for == reader.built_for { BUILD } else { HOST }
    }

    fn marked(&self, reader: &Self, mark: &str, path: &str) -> PortablePath {
        PortablePath(match self.name == reader.name {
            true => concat(&[mark, path]),
            false => concat(&["@", &self.name, "/", mark, path]),
        })
    }

    /// Returns the path from the root of what a record calls `local` in this package.
    fn find(&self, local: &str) -> RootPath {
        let built = local.strip_prefix(BUILD).or_else(|| local.strip_prefix(HOST));
        RootPath(match (local.strip_prefix("./").unwrap_or(local), built) {
            (_, Some(built)) => concat(&[&self.build_prefix, built]),
            (own, None) if own.starts_with('/') => own.into(),
            (own, None) => concat(&[&self.prefix, own]),
        })
    }
}

/// Whether a path has no `.`, `..` or doubled slash in it; not of one that ends in `.`, which is harmless.
fn is_plain(path: &str) -> bool {
    let ends = |before: u8, byte: u8| (byte == b'/') & ((before == b'.') | (before == b'/'));
    // A build asks of each of its files. All bytes are looked at in any case, so that they are many at a time.
    let pairs = path.as_bytes().windows(2);
    !pairs.fold(false, |found, pair| found | ends(pair[0], pair[1])) && !path.ends_with("..")
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

    /// Returns the root package's directory, absolute.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The directories of all packages, absolute. Build directories are in that of the root.
    pub fn directories(&self) -> impl Iterator<Item = &Path> {
        self.places.iter().map(|place| place.directory.as_path())
    }

    /// Returns the name of the root package; empty where there is none.
    pub fn root_name(&self) -> &str {
        self.places.first().map_or("", |place| &place.name)
    }

    /// The names of all packages, each once.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let places = self.places.iter();
        places.filter(|place| place.built_for == BuiltFor::Target).map(|place| &*place.name)
    }

    /// Returns an absolute path as seen from the root.
    pub fn of_absolute(&self, path: &str) -> RootPath {
        RootPath(from_root(&self.root, path).into())
    }

    /// Returns the file that a command running in `place` opens as `path`, as the kernel finds it.
    pub fn opened(&self, place: &Place, path: &str) -> RootPath {
        match (is_plain(path), path.starts_with('/')) {
            (true, false) => RootPath(concat(&[&place.prefix, path])),
            (true, true) => self.of_absolute(path),
            (false, _) => self.of_absolute(&as_opened(&place.directory, path).to_string_lossy()),
        }
    }

    /// Returns the absolute path of `path`.
    pub fn absolute(&self, path: &RootPath) -> PathBuf {
        self.root.join(path.as_str())
    }

    /// Returns the name of a file in records of `place`.
    pub fn portable(&self, place: &Place, path: &RootPath) -> PortablePath {
        let path = path.as_str();
        // Both sides have the files of packages in common.
        let prefixes = self.places.iter().flat_map(|other| {
            let mark = other.build_mark(place);
            let own = (other.built_for == place.built_for).then_some((other, &other.prefix, ""));
            own.into_iter().chain([(other, &other.build_prefix, mark)])
        });
        let best = prefixes
            .filter(|(_, prefix, _)| {
                path.starts_with(prefix.as_str()) && (!prefix.is_empty() || !path.starts_with('/'))
            })
            .max_by_key(|(_, prefix, _)| prefix.len());
        let Some((owner, prefix, mark)) = best else { return PortablePath(path.into()) };
        let local = &path[prefix.len()..];
        let own = owner.name == place.name;
        let looks_special =
            (own && local.starts_with('@')) || local.starts_with(BUILD) || local.starts_with(HOST);
        owner.marked(place, if mark.is_empty() && looks_special { "./" } else { mark }, local)
    }

    /// Returns the file that a record of `place` names.
    ///
    /// # Errors
    /// It is in a package that the workspace does not have.
    pub fn find(&self, place: &Place, path: &PortablePath) -> Result<RootPath, PathError> {
        let (name, local) = match path.0.strip_prefix('@').and_then(|path| path.split_once('/')) {
            Some((name, local)) => (name, local),
            None if path.0.starts_with(HOST) => (place.name.as_str(), &*path.0),
            None => return Ok(place.find(&path.0)),
        };
        let side = if local.starts_with(HOST) { BuiltFor::Host } else { place.built_for };
        let mut named = self.places.iter().filter(|other| other.name == name);
        let owner = named.find(|other| other.built_for == side);
        owner.map(|owner| owner.find(local)).ok_or_else(|| PathError::NoPackage(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
            (lua, "../zlib/zlib.h", "/w/zlib/zlib.h", "@zlib/zlib.h"),
            (inner, "../../.config/x.h", ".config/x.h", "@lua/.config/x.h"),
            (lua, "@zlib/x.h", "@zlib/x.h", "./@zlib/x.h"),
            (lua, "<build>/x.h", "<build>/x.h", "./<build>/x.h"),
            (lua, "/w/zlib/<build>/x.h", "/w/zlib/<build>/x.h", "@zlib/./<build>/x.h"),
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
            let opened = places.opened(place, said);
            assert_eq!(opened.as_str(), root_path, "{said}");
            assert_eq!(places.portable(place, &opened).as_str(), portable, "{root_path}");
            let found = places.find(place, &PortablePath::recorded(portable)).unwrap();
            assert_eq!(found.as_str(), root_path, "{portable}");
        }
        let gone = places.find(lua, &PortablePath::recorded("@gone/x.h"));
        assert_eq!(gone, Err(PathError::NoPackage("gone".to_owned())));
    }

    /// Both sides have the sources in common, and call what each builds for itself alike.
    #[test]
    fn what_is_built_for_the_host_has_a_name_of_its_own() {
        let root = PathBuf::from("/w/lua");
        let choices = Choices { target: "aarch64-linux-gnu".parse().ok(), ..Choices::default() };
        let place = |name: &str, directory: &str, side| {
            Place::new(&root, name, Path::new(directory)).built(&choices, side)
        };
        let both = |side| [place("lua", "/w/lua", side), place("zlib", "/w/zlib", side)];
        let all = [both(BuiltFor::Target), both(BuiltFor::Host)].concat();
        let places = Places::new(root.clone(), all.clone());
        let [lua, zlib, host_lua, host_zlib] = &all[..] else { unreachable!() };
        for (place, path, portable) in [
            (lua, ".larder/build-aarch64-linux-gnu/gen.h", "<build>/gen.h"),
            (lua, ".larder/build/gen", "<host>/gen"),
            (zlib, ".larder/build/gen", "@lua/<host>/gen"),
            (lua, ".larder/build/@zlib/gen", "@zlib/<host>/gen"),
            (zlib, ".larder/build/@zlib/gen", "<host>/gen"),
            (host_lua, ".larder/build/gen", "<build>/gen"),
            (host_zlib, ".larder/build/gen", "@lua/<build>/gen"),
            (lua, "/w/zlib/zlib.h", "@zlib/zlib.h"),
            (host_lua, "/w/zlib/zlib.h", "@zlib/zlib.h"),
            (lua, "<host>/x.h", "./<host>/x.h"),
            (host_lua, "src/a.c", "src/a.c"),
        ] {
            let path = places.of_absolute(path);
            assert_eq!(places.portable(place, &path).as_str(), portable, "{}", path.as_str());
            let found = places.find(place, &PortablePath::recorded(portable)).unwrap();
            assert_eq!(found, path, "{portable}");
        }
        let plain = super::tests::places();
        let of_host = plain.find(&plain.places[0], &PortablePath::recorded("<host>/gen"));
        assert!(of_host.is_err(), "without a target there is none: {of_host:?}");
    }

    proptest! {
        #[test]
        fn a_record_names_one_file(
            parts in prop::collection::vec("(@zlib|@lua|<build>|[.]larder|build|[.]x|deps|inner|w|a)", 1..6),
            absolute in any::<bool>(),
            of in 0..3_usize,
        ) {
            let places = places();
            let place = &places.places[of];
            let path = parts.join("/");
            let path = if absolute { format!("/{path}") } else { path };
            let path = places.opened(&places.places[0], &path);
            let portable = places.portable(place, &path);
            let found = places.find(place, &portable);
            prop_assert_eq!(found.as_ref(), Ok(&path), "{}", portable);
            prop_assert_eq!(places.portable(place, &path), portable);
        }
    }
}
