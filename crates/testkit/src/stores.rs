//! Stores that hold something, and content for them.

use std::path::PathBuf;

use larder_store::{Mappings, Scope, Store, verify};
use larder_trace::{ContentHash, OutputFile, Outputs};
use tempfile::TempDir;

/// The hash of some content.
pub fn hash(content: impl AsRef<[u8]>) -> ContentHash {
    ContentHash::of_bytes(content.as_ref())
}

/// The scope of everything that [`Stored`] records.
pub fn scope() -> Scope {
    "owner/pkg".parse().unwrap()
}

/// An output that is no program.
pub fn output(path: &str, content: impl AsRef<[u8]>) -> OutputFile {
    let content = content.as_ref();
    let size = content.len() as u64;
    OutputFile { path: path.to_owned(), hash: hash(content), size, executable: false }
}

/// A store with the outputs of some targets.
pub struct Stored {
    /// Where it is, and room for more.
    pub dir: TempDir,
    /// The store.
    pub store: Store,
    /// The mappings of everything in it.
    pub mappings: Mappings,
}

impl Stored {
    /// One that has nothing.
    pub fn empty() -> Self {
        let dir = TempDir::new().unwrap();
        let store = Store::open(dir.path().join("store")).unwrap();
        Self { dir, store, mappings: Mappings::default() }
    }

    /// `count` objects of about `size` bytes, the same for the same `seed`.
    pub fn new(seed: u64, count: usize, size: usize) -> Self {
        let mut stored = Self::empty();
        for n in 0..count {
            stored.add(&format!("o/{seed}-{n}.o"), &object(seed, n, size));
        }
        stored
    }

    /// The output of one more target.
    pub fn add(&mut self, path: &str, content: &[u8]) {
        let dep_hash = hash(format!("dep {path} {}", hash(content)));
        self.add_under(dep_hash, path, content);
    }

    /// The same under this dep hash. What ends in `.sh` is executable.
    pub fn add_under(&mut self, dep_hash: ContentHash, path: &str, content: &[u8]) {
        let file = OutputFile { executable: path.ends_with(".sh"), ..output(path, content) };
        assert!(self.store.import(&file.hash, file.size, file.executable, content).unwrap());
        let outputs = Outputs { outputs: vec![file], ..Outputs::default() };
        self.store.record(&scope(), &dep_hash, &outputs).unwrap();
        self.mappings.insert(dep_hash, outputs);
    }

    /// A path beside the store.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// How many artifacts of `other` are here, all of them right; whatever is here is right.
    pub fn verified(&self, other: &Mappings) -> usize {
        let report = verify::verify(&self.store).unwrap();
        assert!(report.corrupt.is_empty(), "{:?}", report.corrupt);
        other.artifacts().keys().filter(|hash| self.store.holds(hash)).count()
    }
}

/// Content that compresses somewhat, as object code does; the same for the same `seed` and `n`.
pub fn object(seed: u64, n: usize, size: usize) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(seed.wrapping_mul(1_000_003).wrapping_add(n as u64));
    let mut content = format!("object {seed}/{n}\n").into_bytes();
    while content.len() < size {
        let byte = rng.u8(..);
        content.extend(std::iter::repeat_n(byte, rng.usize(1..4)));
    }
    content
}
