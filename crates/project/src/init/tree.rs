//! The files of a package that has no manifest.

use std::{collections::BTreeSet, fs, io, path::Path};

use larder_trace::describe_io;

use super::LeftOut;
use crate::{manifest::FILE_NAME, plan::Language};

/// The files of a package.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    /// Sources that may be built.
    pub sources: BTreeSet<String>,
    /// Headers, everywhere.
    pub headers: BTreeSet<String>,
    /// All sources, those that are left out, too.
    pub all_sources: BTreeSet<String>,
    /// Assembly that no compiler takes, everywhere.
    pub assembly: BTreeSet<String>,
    /// What is not looked into, and sources that are not for here.
    pub left_out: Vec<LeftOut>,
}

const HEADERS: &[&str] = &["h", "hh", "hpp", "hxx", "h++", "H", "inc", "inl", "ipp", "tpp", "def"];

/// Languages that larder compiles by a command only.
const OTHER: &[&str] = &["cu", "f", "f90", "l", "ll", "m", "mm", "y", "yy"];

const BUILD: &[&str] = &["build", "builds", "_build", "out", "dist", "target", "node_modules"];

const OF_OTHERS: &[&str] = &[
    "third_party",
    "third-party",
    "thirdparty",
    "3rdparty",
    "external",
    "externals",
    "extern",
    "vendor",
    "vendored",
    "subprojects",
    "deps",
    "contrib",
];

const BESIDES: &[&str] = &[
    "example",
    "examples",
    "demo",
    "demos",
    "sample",
    "samples",
    "doc",
    "docs",
    "documentation",
    "bench",
    "benchmark",
    "benchmarks",
    "fuzz",
    "ossfuzz",
    "fuzzing",
    "fuzzer",
    "fuzzers",
    "perf",
];

/// More directories in each other than this are none of a package.
const DEEPEST: usize = 32;

impl Tree {
    /// Looks through the package in `directory`.
    ///
    /// # Errors
    /// When the directory cannot be listed; one in it that cannot be is left out.
    pub fn read(directory: &Path) -> io::Result<Self> {
        let mut tree = Self::default();
        tree.walk(directory, "", None, 0)?;
        Ok(tree)
    }

    /// Whether a path is that of a header, by its name.
    pub fn is_header(path: &str) -> bool {
        path.rsplit_once('.').is_some_and(|(_, extension)| HEADERS.contains(&extension))
    }

    /// Whether there is nothing to build.
    pub fn is_empty(&self) -> bool {
        self.all_sources.is_empty() && self.headers.is_empty()
    }

    /// Adds what is in `directory`, which is `name`/ from the package. `why` says that it is left out.
    fn walk(
        &mut self,
        directory: &Path,
        name: &str,
        why: Option<&'static str>,
        depth: usize,
    ) -> io::Result<()> {
        let mut entries: Vec<_> = fs::read_dir(directory)?.collect::<io::Result<_>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let kind = entry.file_type()?;
            let file = match entry.file_name().into_string() {
                Ok(file) => file,
                Err(odd) => {
                    let shown = odd.to_string_lossy().into_owned();
                    if why.is_none()
                        && (kind.is_dir()
                            || Language::of(&shown).is_some()
                            || Self::is_header(&shown))
                    {
                        self.leave_out(
                            format!("{name}{shown}"),
                            "its name is no UTF-8, and a manifest is",
                        );
                    }
                    continue;
                }
            };
            if file.starts_with('.') {
                continue;
            }
            let path = format!("{name}{file}");
            if kind.is_dir() && depth < DEEPEST {
                let below = why.or_else(|| reason(&entry.path(), &file));
                let before = self.all_sources.len();
                if let Err(error) = self.walk(&entry.path(), &format!("{path}/"), below, depth + 1)
                {
                    let why = format!("it cannot be read: {}", describe_io(&error));
                    self.left_out.push(LeftOut { what: format!("{path}/"), why });
                    continue;
                }
                if let (None, Some(reason)) = (why, below)
                    && self.all_sources.len() > before
                {
                    self.leave_out(format!("{path}/"), reason);
                }
            } else if kind.is_file() || (kind.is_symlink() && entry.path().is_file()) {
                self.file(path, &file, why.is_none());
            }
        }
        Ok(())
    }

    fn file(&mut self, path: String, name: &str, counts: bool) {
        let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
        if HEADERS.contains(&extension) {
            self.headers.insert(path);
        } else if Language::of(name).is_some() {
            self.all_sources.insert(path.clone());
            if !counts {
                return;
            }
            match unusual(&path, name) {
                Some(why) => self.leave_out(path, why),
                None => _ = self.sources.insert(path),
            }
        } else if Language::is_asm(name) {
            self.assembly.insert(path.clone());
            if counts {
                self.leave_out(
                    path,
                    "an assembler has to be named for it, `[toolchain] asm = \"nasm\"`, and it in `sources`",
                );
            }
        } else if counts && OTHER.contains(&extension) {
            self.leave_out(
                path,
                "larder compiles C, C++ and assembly by itself; others by a [[command]]",
            );
        }
    }

    fn leave_out(&mut self, what: String, why: &str) {
        self.left_out.push(LeftOut { what, why: why.to_owned() });
    }
}

/// Why a source is left out by its name alone.
fn unusual(path: &str, name: &str) -> Option<&'static str> {
    let special = |c: char| c.is_control() || "*?[]{}\"\\,!".contains(c);
    if path.contains(special) {
        return Some("its name has characters that mean something in patterns");
    }
    is_other_platform(name).then_some("by its name, it is for another platform")
}

/// Whether a file is for a platform that is not this one, by its name.
pub fn is_other_platform(name: &str) -> bool {
    let others: &[&str] = match std::env::consts::OS {
        "macos" => &["win", "win32", "windows", "linux"],
        _ => &["win", "win32", "windows", "darwin", "macos", "osx", "apple"],
    };
    let old = ["msvc", "mingw", "cygwin", "msdos", "dos", "os2", "amiga", "vms", "wince", "beos"];
    let stem = name.split('.').next().unwrap_or(name).to_ascii_lowercase();
    let mut words = stem.split(['_', '-']);
    words.any(|word| others.contains(&word) || old.contains(&word))
}

/// Why a directory is left out.
fn reason(directory: &Path, name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    let has = |file: &str| directory.join(file).exists();
    if has(FILE_NAME) {
        Some("it is a package of its own")
    } else if has("CMakeCache.txt") || has("build.ninja") || has("meson-private") {
        Some("something was built in it")
    } else if BUILD.contains(&&*name) || name.starts_with("cmake-build") {
        Some("by its name, it is for what is built")
    } else if OF_OTHERS.contains(&&*name) {
        Some("by its name, it is of others: make it a dependency")
    } else if BESIDES.contains(&&*name) {
        Some("by its name, nothing needs it")
    } else {
        None
    }
}
