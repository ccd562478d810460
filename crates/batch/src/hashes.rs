//! Names made from content: source digest, universe, build hash, solution.
//!
//! Each is the hash of a list of fields with their lengths, so that no two lists run together, and begins with
//! its kind and a version of the format. No path of this machine and no time is in any of them: the same set in
//! another directory has the same hashes.

use larder_engine::process::Allowance;
use larder_runs::name::HashName;
use larder_trace::ContentHash;

/// The version of what is hashed: a layer made by another is not looked for.
const FORMAT: u32 = 1;

/// A hash in the making, of fields one after the other.
#[derive(Debug)]
pub struct Fields(Vec<u8>);

impl Fields {
    /// Begins a hash of this kind.
    pub fn of(kind: &str) -> Self {
        let mut fields = Self(Vec::with_capacity(256));
        fields.text(kind).number(FORMAT.into());
        fields
    }

    /// Adds a text.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    /// Adds bytes.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    /// Adds a number.
    pub fn number(&mut self, number: u64) -> &mut Self {
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    /// Adds a hash.
    pub fn hash(&mut self, hash: &ContentHash) -> &mut Self {
        self.0.extend_from_slice(hash.as_bytes());
        self
    }

    /// Adds texts with their count.
    pub fn texts<'t>(&mut self, texts: impl ExactSizeIterator<Item = &'t str>) -> &mut Self {
        self.number(texts.len() as u64);
        for text in texts {
            self.text(text);
        }
        self
    }

    /// The hash.
    pub fn finish(&self) -> ContentHash {
        ContentHash::of_bytes(&self.0)
    }
}

/// A hash as a name: its 64 hex digits.
pub fn name(hash: &ContentHash) -> HashName {
    match hash.to_string().parse() {
        Ok(name) => name,
        // 64 hex digits are a name.
        Err(_) => unreachable!(),
    }
}

/// The universe of a build: its dependency closure without itself, as package versions with their source digests,
/// in the order of the catalogue. The empty one has a hash, too.
pub fn universe<'c>(closure: impl ExactSizeIterator<Item = (&'c str, &'c str)>) -> ContentHash {
    let mut fields = Fields::of("universe");
    fields.number(closure.len() as u64);
    for (package, digest) in closure {
        fields.text(package).text(digest);
    }
    fields.finish()
}

/// The parts of a build hash.
#[derive(Debug, Clone, Copy)]
pub struct BuildParts<'p> {
    /// `<name>.<version>`
    pub package: &'p str,
    /// Its source digest.
    pub digest: &'p str,
    /// Its universe.
    pub universe: &'p ContentHash,
    /// The compiler's name.
    pub compiler: &'p str,
    /// The identity of the compiler's tools, as the engine traces them.
    pub identity: &'p str,
    /// The platform that is built on and for.
    pub platform: &'p str,
}

/// The hash that names a build and its layer for ever.
pub fn build(parts: &BuildParts<'_>) -> ContentHash {
    let BuildParts { package, digest, universe, compiler, identity, platform } = *parts;
    let mut fields = Fields::of("build");
    fields.text(package).text(digest).hash(universe);
    fields.text(compiler).text(identity).text(platform).finish()
}

/// The hash of all that a result depends on which a limit decided: where there is more now, it may be another.
pub fn limited(dep_hash: &HashName, allowance: &Allowance) -> HashName {
    let Allowance { time, memory, processes, disk, log } = *allowance;
    let mut fields = Fields::of("limited");
    fields.text(dep_hash.as_str());
    let time = time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    for limit in [time, memory, processes, disk, log] {
        fields.number(u64::from(limit.is_some())).number(limit.unwrap_or_default());
    }
    name(&fields.finish())
}

/// The hashes that results may have of what depends on all that `dep_hash` says: that a limit decided, and others.
pub fn of_results(dep_hash: &HashName, allowance: &Allowance) -> [HashName; 2] {
    [limited(dep_hash, allowance), dep_hash.clone()]
}

/// The hash of a solution: the versions chosen, in the order of the catalogue, and the compiler's name.
pub fn solution<'c>(
    target: &str,
    compiler: &str,
    chosen: impl ExactSizeIterator<Item = &'c str>,
) -> ContentHash {
    Fields::of("solution").text(target).text(compiler).texts(chosen).finish()
}
