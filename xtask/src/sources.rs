//! Where the examples' sources come from: crates that carry C, brought in by cargo itself, and Debian's
//! source packages, from the mirror that this machine's own packages come from.

mod ecosystem;
mod table;

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use self::{ecosystem::ECOSYSTEM, table::SOURCES};
use crate::cargo::{self, cargo};

/// The files that are copied out of one crate or archive.
struct Source {
    /// The example that it is for.
    example: &'static str,
    /// Where they come from.
    origin: Origin,
    /// The directory in the example's `src` that they are for; empty for `src` itself.
    into: &'static str,
    /// From a path in the crate or archive to a path in that directory: a file, a directory with
    /// all that is in it, or, ending in `/*`, the files directly in it.
    copies: &'static [(&'static str, &'static str)],
}

/// Where sources come from.
#[derive(Clone, Copy)]
pub enum Origin {
    /// A crate, in exactly this version.
    Crate { name: &'static str, version: &'static str },
    /// The original archive of a Debian source package: its path below the mirror's `pool/main`, and
    /// its SHA-256 in hexadecimal. The archive's only directory is not part of the paths in it.
    Debian { archive: &'static str, sha256: &'static str },
}

const fn krate(name: &'static str, version: &'static str) -> Origin {
    Origin::Crate { name, version }
}

/// The original archive of a Debian source package.
pub const fn debian(archive: &'static str, sha256: &'static str) -> Origin {
    Origin::Debian { archive, sha256 }
}

/// The sources of fmt.
pub const FMT: Origin = debian(
    "f/fmtlib/fmtlib_9.1.0+ds1.orig.tar.gz",
    "84ce1c2d0be3a9863935137969dcec6970125caac032f82474640bfc81463583",
);

/// The sources of curl.
pub const CURL: Origin = debian(
    "c/curl/curl_7.88.1.orig.tar.gz",
    "cdb38b72e36bc5d33d5b8810f8018ece1baa29a8f215b4495e495ded82bbf3c7",
);

/// Which sources an example's `src` holds, written as the last file of it.
const STAMP: &str = ".sources";

/// Puts the sources of `example` into its `src`, unless they are there. An example without sources
/// of others has none.
///
/// # Errors
/// When cargo cannot bring them, or a crate does not have what is expected of it.
pub fn fetch(example: &str) -> Result<()> {
    let all = SOURCES.iter().chain(ECOSYSTEM);
    let sources: Vec<&Source> = all.filter(|source| source.example == example).collect();
    if sources.is_empty() {
        return Ok(());
    }
    let directory = cargo::root().join("examples").join(example);
    let src = directory.join("src");
    let stamp: String = sources
        .iter()
        .map(|source| format!("{source} {} {:?}\n", source.into, source.copies))
        .collect();
    if fs::read_to_string(src.join(STAMP)).is_ok_and(|found| found == stamp) {
        return Ok(());
    }
    // Made elsewhere in the same file system, and only then put in place.
    let elsewhere = directory.join(".larder");
    fs::create_dir_all(&elsewhere)
        .with_context(|| format!("cannot create {}", elsewhere.display()))?;
    let fresh = tempfile::tempdir_in(&elsewhere)?;
    for source in &sources {
        let found = unpack(&source.origin)?;
        for (from, to) in source.copies {
            copy(&found, from, &fresh.path().join("src").join(source.into).join(to))
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

/// The directory of the files that come from `origin`.
///
/// # Errors
/// When they cannot be had.
pub fn unpack(origin: &Origin) -> Result<PathBuf> {
    match *origin {
        Origin::Crate { name, version } => locate(name, version),
        Origin::Debian { archive, sha256 } => unpack_archive(archive, sha256),
    }
}

/// The directory of a crate's sources, which cargo downloads where they are missing.
fn locate(name: &str, version: &str) -> Result<PathBuf> {
    // One package a crate: two that stand for one C library exclude each other in one.
    let package = cargo::target().join("examples").join(name);
    fs::create_dir_all(&package)?;
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
        .find(|package| package["name"] == name)
        .and_then(|package| Path::new(package["manifest_path"].as_str()?).parent())
        .map(Path::to_owned)
        .with_context(|| format!("cargo does not know where {name} {version} is"))
}

/// The directory of an archive's files, which is downloaded and unpacked where it is missing.
fn unpack_archive(archive: &str, sha256: &str) -> Result<PathBuf> {
    let place = cargo::target().join("examples/archives");
    let unpacked = place.join(sha256);
    if unpacked.is_dir() {
        return Ok(unpacked);
    }
    fs::create_dir_all(&place)?;
    let fresh = tempfile::tempdir_in(&place)?;
    let file = fresh.path().join("archive");
    let url = format!("{}/pool/main/{archive}", mirror()?);
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--fail", "--location", "--retry", "3", "--output"]);
    cargo::run(curl.arg(&file).arg(&url))?;
    let found = cargo::capture(Command::new("sha256sum").arg(&file))?;
    if found.split_whitespace().next() != Some(sha256) {
        bail!("{archive} is not the archive that is expected: its hash is another");
    }
    let files = fresh.path().join("files");
    fs::create_dir(&files)?;
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--no-same-owner", "--strip-components=1", "--file"]).arg(&file);
    cargo::run(tar.arg("--directory").arg(&files))?;
    match fs::rename(&files, &unpacked) {
        // Another run has put it there meanwhile.
        Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => Err(error.into()),
        _ => Ok(unpacked),
    }
}

/// The mirror of Debian's main archive that apt uses here, without a final `/`.
fn mirror() -> Result<String> {
    let mut apt = Command::new("apt-get");
    let listed = cargo::capture(apt.args([
        "indextargets",
        "--format",
        "$(REPO_URI)",
        "Created-By: Packages",
        "Component: main",
    ]))?;
    let is_main = |uri: &&str| !uri.contains("security");
    let found = listed.lines().find(is_main).map(|uri| uri.trim_end_matches('/').to_owned());
    found.context("apt has no mirror of Debian's main archive; these examples need one")
}

fn copy(root: &Path, from: &str, to: &Path) -> Result<()> {
    if let Some(directory) = from.strip_suffix("/*") {
        return copy_directory(&root.join(directory), to, false);
    }
    let from = root.join(from);
    if from.is_dir() {
        return copy_directory(&from, to, true);
    }
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::copy(&from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    Ok(())
}

/// Copies the files of a directory. Links are left out: nothing that is built here needs one.
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
        } else if !kind.is_dir() && !kind.is_symlink() {
            bail!("{} is neither a file nor a directory", entry.path().display());
        }
    }
    Ok(())
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.origin {
            Origin::Crate { name, version } => write!(f, "{name} {version}"),
            Origin::Debian { archive, sha256 } => write!(f, "{archive} {sha256}"),
        }
    }
}
