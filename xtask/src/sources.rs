//! Where the examples' sources come from: crates that carry C, brought in by cargo itself.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::cargo::{self, cargo};

/// The files that are copied out of one crate.
struct Source {
    /// The example that it is for.
    example: &'static str,
    /// The crate.
    name: &'static str,
    /// Exactly this version.
    version: &'static str,
    /// From a path in the crate to a path in the example's `src`: a file, a directory with all that
    /// is in it, or, ending in `/*`, the files directly in it.
    copies: &'static [(&'static str, &'static str)],
}

const SOURCES: &[Source] = &[
    Source { example: "lua", name: "lua-src", version: "546.0.2", copies: &[("lua-5.4.6", "")] },
    // lua-src leaves out the interpreter; this crate carries it, of the same release.
    Source {
        example: "lua",
        name: "rlua-lua54-sys",
        version: "0.1.6",
        copies: &[("lua-5.4.6/src/lua.c", "lua.c")],
    },
    // The last release whose crate carries zlib's own tests.
    Source {
        example: "zlib",
        name: "libz-sys",
        version: "1.1.16",
        copies: &[("src/zlib/*", ""), ("src/zlib/test", "test")],
    },
    Source {
        example: "sqlite",
        name: "libsqlite3-sys",
        version: "0.33.0",
        copies: &[("sqlite3", "")],
    },
    // libsqlite3-sys leaves out the shell; this crate carries it, of the same release.
    Source {
        example: "sqlite",
        name: "sqlite3-src",
        version: "0.7.1",
        copies: &[("source/shell.c", "shell.c")],
    },
    Source {
        example: "zstd",
        name: "zstd-sys",
        version: "2.1.2",
        copies: &[("zstd/lib", ""), ("zstd/LICENSE", "LICENSE")],
    },
    Source {
        example: "bzip2",
        name: "bzip2-sys",
        version: "0.1.13",
        copies: &[("bzip2-1.0.8", "")],
    },
    Source {
        example: "lz4",
        name: "lz4-sys",
        version: "1.11.1",
        copies: &[("liblz4/lib/*", "lib"), ("liblz4/programs/*", "programs")],
    },
    Source { example: "blake3", name: "blake3", version: "1.8.7", copies: &[("c/*", "")] },
    Source {
        example: "esaxx",
        name: "esaxx-rs",
        version: "0.1.10",
        copies: &[("src", ""), ("LICENSE", "LICENSE")],
    },
];

/// Which sources an example's `src` holds, written as the last file of it.
const STAMP: &str = ".sources";

/// Puts the sources of `example` into its `src`, unless they are there. An example without sources
/// of others has none.
///
/// # Errors
/// When cargo cannot bring them, or a crate does not have what is expected of it.
pub fn fetch(example: &str) -> Result<()> {
    let sources: Vec<&Source> = SOURCES.iter().filter(|source| source.example == example).collect();
    if sources.is_empty() {
        return Ok(());
    }
    let directory = cargo::root().join("examples").join(example);
    let src = directory.join("src");
    let stamp: String = sources.iter().map(|source| format!("{source}\n")).collect();
    if fs::read_to_string(src.join(STAMP)).is_ok_and(|found| found == stamp) {
        return Ok(());
    }
    // Made elsewhere in the same file system, and only then put in place.
    let elsewhere = directory.join(".larder");
    fs::create_dir_all(&elsewhere)
        .with_context(|| format!("cannot create {}", elsewhere.display()))?;
    let fresh = tempfile::tempdir_in(&elsewhere)?;
    for source in &sources {
        let krate = locate(source)?;
        for (from, to) in source.copies {
            copy(&krate, from, &fresh.path().join("src").join(to))
                .with_context(|| format!("cannot copy `{from}` of {source}"))?;
        }
    }
    fs::write(fresh.path().join("src").join(STAMP), stamp)?;
    if src.exists() {
        fs::rename(&src, fresh.path().join("old"))?;
    }
    fs::rename(fresh.path().join("src"), &src)
        .with_context(|| format!("cannot put the sources into {}", src.display()))
}

/// The directory of a crate's sources, which cargo downloads where they are missing.
fn locate(source: &Source) -> Result<PathBuf> {
    // One package a crate: two that stand for one C library exclude each other in one.
    let package = cargo::target().join("examples").join(source.name);
    fs::create_dir_all(&package)?;
    let Source { name, version, .. } = source;
    let manifest = format!(
        "[package]\nname = \"sources\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
         [lib]\npath = \"lib.rs\"\n\n[workspace]\n\n\
         [dependencies]\n{name} = {{ version = \"={version}\", default-features = false }}\n"
    );
    fs::write(package.join("Cargo.toml"), manifest)?;
    fs::write(package.join("lib.rs"), "")?;
    let metadata = cargo::capture(cargo().current_dir(&package).args([
        "metadata",
        "--quiet",
        "--format-version=1",
    ]))?;
    let metadata: Value = serde_json::from_str(&metadata).context("cargo metadata is no JSON")?;
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    packages
        .iter()
        .find(|package| package["name"] == *name)
        .and_then(|package| Path::new(package["manifest_path"].as_str()?).parent())
        .map(Path::to_owned)
        .with_context(|| format!("cargo does not know where {source} is"))
}

fn copy(krate: &Path, from: &str, to: &Path) -> Result<()> {
    if let Some(directory) = from.strip_suffix("/*") {
        return copy_directory(&krate.join(directory), to, false);
    }
    let from = krate.join(from);
    if from.is_dir() {
        return copy_directory(&from, to, true);
    }
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::copy(&from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    Ok(())
}

fn copy_directory(from: &Path, to: &Path, deep: bool) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_file() {
            fs::copy(entry.path(), target)?;
        } else if kind.is_dir() && deep {
            copy_directory(&entry.path(), &target, deep)?;
        } else if !kind.is_dir() {
            bail!("{} is neither a file nor a directory", entry.path().display());
        }
    }
    Ok(())
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.name, self.version)
    }
}
