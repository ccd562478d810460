//! Making packs, right ones through the library and wrong ones byte by byte.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    num::NonZeroUsize,
    path::PathBuf,
    sync::Mutex,
};

use larder_store::pack::{
    self, Compression, Entry, Error, HEADER_LEN, Limits, Options, Pack, Refusal,
};
use larder_trace::ContentHash;
use tempfile::TempDir;

pub type Contents = BTreeMap<ContentHash, Vec<u8>>;

pub fn contents<T: AsRef<[u8]>>(contents: impl IntoIterator<Item = T>) -> Contents {
    contents
        .into_iter()
        .map(|it| (ContentHash::of_bytes(it.as_ref()), it.as_ref().to_vec()))
        .collect()
}

pub fn entries(contents: &Contents) -> Vec<Entry> {
    let entry = |(hash, content): (&ContentHash, &Vec<u8>)| Entry {
        hash: *hash,
        size: content.len() as u64,
        hint: format!("lib/{}.o", content.first().unwrap_or(&0)),
    };
    contents.iter().map(entry).collect()
}

pub fn options(level: i32, threads: usize) -> Options {
    Options {
        level: Compression::new(level).unwrap(),
        threads: NonZeroUsize::new(threads).unwrap(),
    }
}

pub fn pack(contents: &Contents, mappings: Option<&[u8]>, options: &Options) -> Vec<u8> {
    pack_in_order(contents, entries(contents), mappings, options)
}

pub fn pack_in_order(
    contents: &Contents,
    entries: Vec<Entry>,
    mappings: Option<&[u8]>,
    options: &Options,
) -> Vec<u8> {
    let mut out = Vec::new();
    let open = |entry: &Entry| Ok(contents[&entry.hash].as_slice());
    let length = pack::write(&mut out, entries, open, mappings, options, |_| {}).unwrap();
    assert_eq!(length, out.len() as u64);
    out
}

/// A file that packs are put in, one after the other.
pub struct Place {
    pub directory: TempDir,
    pub limits: Limits,
}

impl Place {
    pub fn new() -> Self {
        Self { directory: TempDir::new().unwrap(), limits: Limits::default() }
    }

    pub fn path(&self) -> PathBuf {
        self.directory.path().join("a.pack")
    }

    pub fn open(&self, bytes: &[u8]) -> Result<Pack, Error> {
        fs::write(self.path(), bytes).unwrap();
        Pack::open(&self.path(), &self.limits)
    }

    /// Opens and unpacks everything, mappings included. Each artifact may be placed once only.
    pub fn unpack(
        &self,
        bytes: &[u8],
        threads: usize,
    ) -> Result<(Contents, Option<Vec<u8>>), Error> {
        let pack = self.open(bytes)?;
        let placed = Mutex::new(Vec::new());
        let place = |artifact: &pack::Member| {
            let slot = Slot { hash: artifact.hash, content: Vec::new(), placed: &placed };
            Ok(Some(slot))
        };
        let result = pack.unpack(NonZeroUsize::new(threads).unwrap(), place, |_| {});
        let mappings = pack.mappings();
        let placed = placed.into_inner().unwrap();
        let count = placed.len();
        let contents: Contents = placed.into_iter().collect();
        assert_eq!(contents.len(), count, "placed once each");
        result?;
        Ok((contents, mappings?))
    }

    pub fn refusal(&self, bytes: &[u8]) -> Option<Refusal> {
        match self.unpack(bytes, 1) {
            Ok(_) => None,
            Err(Error::Refused { reason, .. }) => Some(reason),
            Err(error) => panic!("not refused, but: {error}"),
        }
    }
}

struct Slot<'a> {
    hash: ContentHash,
    content: Vec<u8>,
    placed: &'a Mutex<Vec<(ContentHash, Vec<u8>)>>,
}

impl Write for Slot<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.content.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.placed.lock().unwrap().push((self.hash, std::mem::take(&mut self.content)));
    }
}

/// A pack spelled out, with the checksums that make it pass for a real one.
#[derive(Clone, Default)]
pub struct Raw {
    /// Stored bytes and declared content length.
    pub blocks: Vec<(Vec<u8>, u32)>,
    /// Declared size and hash.
    pub contents: Vec<(u64, ContentHash)>,
    /// The counts of the index, where they are not to be those of the above.
    pub counts: Option<[u32; 3]>,
}

impl Raw {
    /// One block that holds `contents`.
    pub fn of(contents: &[&[u8]]) -> Self {
        let content = contents.concat();
        Self {
            blocks: vec![(zstd::bulk::compress(&content, 3).unwrap(), content.len() as u32)],
            contents: contents
                .iter()
                .map(|it| (it.len() as u64, ContentHash::of_bytes(it)))
                .collect(),
            counts: None,
        }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut index = Vec::new();
        let counts = [self.blocks.len() as u32, self.contents.len() as u32, 0];
        for count in self.counts.unwrap_or(counts) {
            index.extend(count.to_le_bytes());
        }
        let mut bytes = b"\x89LARDER\n\x01\0\0\0".to_vec();
        for (stored, content) in &self.blocks {
            bytes.extend(stored);
            index.extend((stored.len() as u32).to_le_bytes());
            index.extend(content.to_le_bytes());
            index.extend(ContentHash::of_bytes(stored).as_bytes());
        }
        for (size, hash) in &self.contents {
            index.extend(size.to_le_bytes());
            index.extend(hash.as_bytes());
        }
        seal(bytes, &index)
    }
}

/// A pack's front, given an index and the trailer that goes with it.
pub fn seal(mut front: Vec<u8>, index: &[u8]) -> Vec<u8> {
    front.extend(index);
    front.extend((index.len() as u64).to_le_bytes());
    front.extend(ContentHash::of_bytes(index).as_bytes());
    front.extend(b"\x01\0\0\0\x89LARDER\n");
    front
}

/// Takes a pack apart into its front (header and blocks) and its index.
pub fn unseal(bytes: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let trailer = bytes.len() - pack::TRAILER_LEN;
    let length = u64::from_le_bytes(bytes[trailer..trailer + 8].try_into().unwrap()) as usize;
    assert!(trailer - length >= HEADER_LEN);
    (bytes[..trailer - length].to_vec(), bytes[trailer - length..trailer].to_vec())
}

/// Bytes that look random and are the same every time.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// Bytes that compress as object files do: words repeated in an order that looks random.
pub fn code(seed: u64, length: usize) -> Vec<u8> {
    let words = noise(0, 4096);
    let mut bytes: Vec<u8> = Vec::with_capacity(length + 16);
    for pick in noise(seed, length / 4).chunks_exact(2) {
        let at = usize::from(u16::from_le_bytes([pick[0], pick[1]]) % 4080);
        bytes.extend(&words[at..at + 4 + at % 12]);
        if bytes.len() >= length {
            break;
        }
    }
    bytes.resize(length, 7);
    bytes
}
