//! A source tree without a `larder.toml`.

use std::{fs, path::Path};

use crate::set::names::is_package_version;

/// A source tree that another build system builds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceTree {
    /// Its directory, from the set's.
    pub directory: String,
    /// What it is called in the set: `<name>.<version>`.
    pub id: String,
    /// What builds it.
    pub system: BuildSystem,
    /// The names of other packages that its build system seems to look for.
    pub looks_for: Vec<String>,
}

/// A build system, as a file tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BuildSystem {
    /// CMake.
    Cmake,
    /// Meson.
    Meson,
    /// A `configure` script that is there.
    Configure,
    /// One that `autoreconf` has to make.
    Autoconf,
    /// Make alone.
    Make,
}

impl BuildSystem {
    /// All of them; of several in one directory, the first counts.
    pub const ALL: [Self; 5] =
        [Self::Cmake, Self::Meson, Self::Configure, Self::Autoconf, Self::Make];

    /// What its recipe is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cmake => "cmake",
            Self::Meson => "meson",
            Self::Configure => "configure",
            Self::Autoconf => "autoconf",
            Self::Make => "make",
        }
    }

    /// The files that tell of it.
    fn files(self) -> &'static [&'static str] {
        match self {
            Self::Cmake => &["CMakeLists.txt"],
            Self::Meson => &["meson.build"],
            Self::Configure => &["configure"],
            Self::Autoconf => &["configure.ac", "configure.in"],
            Self::Make => &["GNUmakefile", "makefile", "Makefile"],
        }
    }

    /// Builds and installs a tree, line by line.
    pub fn lines(self) -> &'static [&'static str] {
        const CONFIGURE: &str = "./configure --prefix={prefix} {options}";
        match self {
            Self::Cmake => &[
                "cmake -S {source} -B build -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX={prefix} {options}",
                "cmake --build build --parallel {jobs}",
                "cmake --install build",
            ],
            Self::Meson => &[
                "meson setup build --prefix={prefix} --libdir=lib --buildtype=release {options}",
                "meson compile -C build -j {jobs}",
                "meson install -C build",
            ],
            Self::Configure => &[CONFIGURE, "make -j{jobs}", "make install"],
            Self::Autoconf => &["autoreconf -fi", CONFIGURE, "make -j{jobs}", "make install"],
            Self::Make => &[
                "make -j{jobs} CC=\"$CC\" CXX=\"$CXX\" PREFIX={prefix} {options}",
                "make install CC=\"$CC\" CXX=\"$CXX\" PREFIX={prefix} {options}",
            ],
        }
    }

    /// Returns what builds the sources in a directory, with the text that says how.
    pub fn of(directory: &Path) -> Option<(Self, &'static str)> {
        Self::ALL.into_iter().find_map(|system| {
            let file = system.files().iter().find(|file| directory.join(file).is_file())?;
            Some((system, *file))
        })
    }
}

/// The text of a file, as far as it is one, and its beginning only: generated scripts are long.
pub(super) fn beginning(path: &Path) -> String {
    use std::io::Read;
    const MOST: u64 = 256 << 10;
    let mut bytes = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(MOST).read_to_end(&mut bytes));
    match read {
        Ok(_) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(_) => String::new(),
    }
}

/// Returns `<name>.<version>` for the sources in a directory called `called`, of which `text` says how they are built.
/// The directory's name counts first; what says no version is of version 0.
pub(super) fn id(called: &str, system: BuildSystem, text: &str) -> String {
    let (name, version) = match called.rsplit_once('-') {
        Some((name, version)) if version.starts_with(|c: char| c.is_ascii_digit()) => {
            (name, Some(version.to_owned()))
        }
        _ => (called, None),
    };
    let allowed = |c: char| match c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '-') {
        true => c,
        false => '-',
    };
    let name: String = name.chars().map(allowed).collect();
    let name = name.trim_start_matches(['-', '+']);
    let name = if name.is_empty() { "package" } else { name };
    let ids = [version, said_version(system, text)].into_iter().flatten();
    let mut ids = ids.map(|version| format!("{name}.{version}"));
    ids.find(|id| is_package_version(id)).unwrap_or_else(|| format!("{name}.0"))
}

/// The version that a build system's own text says.
fn said_version(system: BuildSystem, text: &str) -> Option<String> {
    let (call, marker) = match system {
        BuildSystem::Cmake => ("project(", "VERSION"),
        BuildSystem::Meson => ("project(", "version"),
        BuildSystem::Configure => return after(text, "PACKAGE_VERSION="),
        BuildSystem::Autoconf => ("AC_INIT(", ","),
        BuildSystem::Make => return None,
    };
    let at = text.find(call).or_else(|| text.find(&call.to_uppercase()))? + call.len();
    let inside = text[at..].split(')').next()?;
    after(inside, marker)
}

/// The first word with digits at its begin, behind `marker`.
fn after(text: &str, marker: &str) -> Option<String> {
    let rest = &text[text.find(marker)? + marker.len()..];
    let rest = rest.trim_start_matches(|c: char| c.is_whitespace() || "=:['\"".contains(c));
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '.';
    let word: String = rest.chars().take_while(|c| is_part(*c)).collect();
    word.starts_with(|c: char| c.is_ascii_digit()).then(|| word.trim_end_matches('.').to_owned())
}

/// Returns those of `names` that a text of a build system seems to look for.
pub(super) fn looks_for(text: &str, own: &str, names: &[&str]) -> Vec<String> {
    const CALLS: &[&str] = &[
        "find_package(",
        "pkg_check_modules(",
        "pkg_search_module(",
        "dependency(",
        "PKG_CHECK_MODULES(",
        "AC_CHECK_LIB(",
        "AC_SEARCH_LIBS(",
    ];
    let plain = |name: &str| name.to_ascii_lowercase().trim_start_matches("lib").to_owned();
    let calls = CALLS.iter().flat_map(|call| {
        text.split(call).skip(1).filter_map(|rest| rest.split([')', '\n']).next())
    });
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+');
    let words: Vec<String> =
        calls.flat_map(|inside| inside.split(|c| !is_part(c))).map(plain).collect();
    let asked = |name: &&&str| **name != own && words.contains(&plain(name));
    names.iter().filter(asked).map(|name| (*name).to_owned()).collect()
}
