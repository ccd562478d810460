//! `offline.json`: what a baked store was made for.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use larder_trace::{ContentHash, atomic};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    Revision, Scope, StoreError,
    pack::{Limits, Pack},
};

/// The name of the index in a baked store.
pub const INDEX_NAME: &str = "offline.json";

/// The schema version of the index.
pub const OFFLINE_SCHEMA: &str = "1";

/// One package, baked for one platform.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bake {
    /// The package whose build it is; its dependencies' outputs are among it.
    pub package: Scope,
    /// Where it can be used, such as `x86_64-linux`; anywhere when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// The targets that were asked for, sorted.
    pub targets: Vec<String>,
    /// The tools that it was made with, sorted: with others, dep hashes are others.
    pub toolchain: Vec<Tool>,
    /// Mapping entries.
    pub mappings: u64,
    /// Artifacts.
    pub artifacts: u64,
    /// The pack's id.
    pub pack: ContentHash,
    /// The pack's length in bytes.
    pub length: u64,
    /// The checkouts of all packages that come from Git, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checkouts: Vec<Checkout>,
}

/// One commit of a package that comes from Git: its objects are the one artifact of a pack of its own,
/// which all bakes that need the commit share.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Checkout {
    /// The package.
    pub package: Scope,
    /// The commit.
    pub commit: Revision,
    /// The pack's id.
    pub pack: ContentHash,
    /// The pack's length in bytes.
    pub length: u64,
}

/// For people.
impl fmt::Display for Checkout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the checkout of {} at {}", self.package, self.commit.as_str())
    }
}

/// A tool, as it is part of traces.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tool {
    /// Its purpose: `cc`, `cxx`, `ar`, `program`.
    pub role: String,
    /// How the manifest or the command names it.
    pub name: String,
    /// The target that it compiles for, if it is a compiler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The hash of its trace.
    pub identity: ContentHash,
}

/// The checksum is of the text of `bakes`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OnDisk<'a> {
    schema_version: &'a str,
    checksum: ContentHash,
    #[serde(borrow)]
    bakes: &'a RawValue,
}

/// Only the part that every version has.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Versioned {
    schema_version: String,
}

/// Parses an index.
///
/// # Errors
/// The reason why it is refused, to be shown to people.
pub(super) fn parse(text: &[u8]) -> Result<Vec<Bake>, String> {
    let Versioned { schema_version } =
        serde_json::from_slice(text).map_err(|error| error.to_string())?;
    if schema_version != OFFLINE_SCHEMA {
        return Err(format!(
            "schema version {schema_version:?} is newer than {OFFLINE_SCHEMA:?}, which this larder \
             reads: use the larder that baked it, or a later one"
        ));
    }
    let file: OnDisk<'_> = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    if ContentHash::of_bytes(file.bakes.get().as_bytes()) != file.checksum {
        return Err("wrong checksum".to_owned());
    }
    serde_json::from_str(file.bakes.get()).map_err(|error| error.to_string())
}

/// Reads the index of the store at `directory`.
///
/// # Errors
/// When it cannot be read or trusted; says why.
pub(super) fn read(directory: &Path) -> Result<Vec<Bake>, StoreError> {
    let path = directory.join(INDEX_NAME);
    let text = fs::read(&path).map_err(StoreError::io("read", &path))?;
    parse(&text).map_err(|reason| StoreError::Offline { path, reason })
}

/// Writes the index of the store at `directory`: the same bytes for the same bakes.
pub(super) fn write(directory: &Path, mut bakes: Vec<Bake>) -> Result<(), StoreError> {
    bakes.sort();
    let path = directory.join(INDEX_NAME);
    let failed = |error: serde_json::Error| StoreError::io("write", &path)(error.into());
    let bakes = serde_json::value::to_raw_value(&bakes).map_err(failed)?;
    let checksum = ContentHash::of_bytes(bakes.get().as_bytes());
    let file = OnDisk { schema_version: OFFLINE_SCHEMA, checksum, bakes: &bakes };
    let mut text = serde_json::to_vec(&file).map_err(failed)?;
    text.push(b'\n');
    atomic::write_if_changed(&path, &text).map(|_| ()).map_err(StoreError::io("write", &path))
}

/// Where the pack `id` of the store at `directory` is.
pub(super) fn pack(directory: &Path, id: &ContentHash) -> PathBuf {
    directory.join("packs").join(format!("{id}.pack"))
}

/// Opens the pack `id` of the store at `directory`: the one that was baked, or nothing.
pub(super) fn open(directory: &Path, id: &ContentHash, length: u64) -> Result<Pack, String> {
    let path = pack(directory, id);
    let pack = Pack::open(&path, &Limits::default()).map_err(|error| error.to_string())?;
    if pack.id() == *id && pack.length() == length {
        Ok(pack)
    } else {
        Err(format!("{} is another pack than was baked", path.display()))
    }
}

impl Bake {
    /// Opens its pack.
    pub(super) fn open(&self, directory: &Path) -> Result<Pack, String> {
        open(directory, &self.pack, self.length)
    }

    /// The ids of all packs that it needs.
    pub(super) fn packs(&self) -> impl Iterator<Item = &ContentHash> {
        std::iter::once(&self.pack).chain(self.checkouts.iter().map(|checkout| &checkout.pack))
    }
}
