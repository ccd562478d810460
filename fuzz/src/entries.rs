//! What fuzzers call: one function for each thing that comes from outside. Each accepts any bytes,
//! and panics only where larder is wrong.

use std::path::{Path, PathBuf};

use larder_project::{
    diagnostic::{Diagnostics, SourceText},
    lockfile::Lockfile,
    manifest::Document,
    ninja::{Dyndep, Graph},
};
use larder_store::{
    Mappings,
    pack::{HEADER_LEN, Index, Limits, TRAILER_LEN, Trailer},
};
use larder_trace::ContentHash;

/// No pack that a fuzzer makes needs more.
const LIMITS: Limits =
    Limits { index: 1 << 20, artifact: 1 << 20, mappings: 1 << 20, total: 4 << 20 };

/// A pack, as it is, and again with an index that fits its checksum, so that what lies behind that is
/// reached too. Whatever is accepted holds what it says.
pub fn pack(bytes: &[u8]) {
    read_pack(bytes);
    if let Some(sealed) = seal(bytes) {
        read_pack(&sealed);
    }
}

fn read_pack(bytes: &[u8]) {
    let Some(trailer) = bytes.last_chunk::<TRAILER_LEN>() else { return };
    let Ok(trailer) = Trailer::parse(trailer, bytes.len() as u64, &LIMITS) else { return };
    let at = |range: std::ops::Range<u64>| &bytes[range.start as usize..range.end as usize];
    let Ok(index) = Index::parse(at(trailer.index.clone()), &trailer, &LIMITS) else { return };
    let mut end = HEADER_LEN as u64;
    for block in index.blocks() {
        assert_eq!(block.stored.start, end, "blocks lie side by side");
        end = block.stored.end;
        let mut content = Vec::new();
        if block.decode(at(block.stored.clone()), &mut content).is_ok() {
            assert_eq!(content.len() as u64, block.content.end - block.content.start);
        }
    }
    assert_eq!(end, trailer.index.start, "and fill the file");
    for artifact in index.artifacts().iter().chain(index.mappings()) {
        let stored = at(index.stored_range(index.blocks_of(artifact)));
        if let Ok(content) = index.extract(artifact, stored) {
            assert_eq!(content.len() as u64, artifact.size());
            assert_eq!(ContentHash::of_bytes(&content), artifact.hash, "only what is right");
        }
    }
}

/// The same bytes with the checksum that their index would have.
fn seal(bytes: &[u8]) -> Option<Vec<u8>> {
    let trailer_at = bytes.len().checked_sub(TRAILER_LEN)?;
    let declared = bytes.get(trailer_at..trailer_at + 8)?.try_into().ok()?;
    let length = usize::try_from(u64::from_le_bytes(declared)).ok()?;
    let index = bytes.get(trailer_at.checked_sub(length)?..trailer_at)?;
    let checksum = blake3::hash(index);
    let mut sealed = bytes.to_vec();
    sealed[trailer_at + 8..trailer_at + 40].copy_from_slice(checksum.as_bytes());
    Some(sealed)
}

/// A mappings file. What is accepted comes back from its own text, and names nothing outside.
pub fn mappings(bytes: &[u8]) {
    let Ok(mappings) = Mappings::parse(bytes) else { return };
    assert_eq!(Mappings::parse(&mappings.to_text()).as_ref(), Ok(&mappings));
    for (_, outputs) in mappings.iter() {
        for file in &outputs.outputs {
            let mut parts = file.path.split('/');
            assert!(parts.all(|part| !matches!(part, "" | "." | "..")), "{:?}", file.path);
        }
    }
    for artifact in mappings.artifacts().values() {
        assert!(artifact.name.to_string().parse() == Ok(artifact.name.clone()));
    }
}

/// `larder.lock`. What is accepted comes back from its own text.
pub fn lock(bytes: &[u8]) {
    let Some(source) = source("larder.lock", bytes) else { return };
    match Lockfile::parse(&source) {
        Ok(lock) => {
            let text = SourceText { text: lock.to_string().into(), ..source };
            match Lockfile::parse(&text) {
                Ok(again) => assert_eq!(again, lock),
                Err(error) => panic!("its own text is refused: {error}\n{}", text.text),
            }
        }
        Err(diagnostics) => can_be_said(&diagnostics),
    }
}

/// `larder.toml`.
pub fn manifest(bytes: &[u8]) {
    let Some(source) = source("larder.toml", bytes) else { return };
    match Document::parse(source).map(Document::with_all_parts) {
        Ok(manifest) => assert!(!manifest.package.name.value.is_empty()),
        Err(diagnostics) => can_be_said(&diagnostics),
    }
}

/// `build.ninja`, and a file that tells of an edge's inputs. What is accepted has an order, or a cycle that can be
/// said, and commands.
pub fn ninja(bytes: &[u8]) {
    let Some(source) = source("build.ninja", bytes) else { return };
    if let Err(diagnostic) = Dyndep::parse(&source) {
        can_be_said(&diagnostic.into());
    }
    match Graph::of_text(Path::new("/fuzz"), &source.text) {
        Ok(graph) => {
            let targets = graph.default_targets();
            if let Err(diagnostic) = targets.and_then(|targets| graph.closure(&targets)) {
                can_be_said(&diagnostic.into());
            }
            graph.edges().for_each(|id| drop(graph.command(id)));
        }
        Err(diagnostic) => can_be_said(&diagnostic.into()),
    }
}

fn source(name: &str, bytes: &[u8]) -> Option<SourceText> {
    let text = std::str::from_utf8(bytes).ok()?;
    Some(SourceText { path: PathBuf::from("/fuzz").join(name), text: text.into() })
}

/// There is something to say, and it points into the file.
fn can_be_said(diagnostics: &Diagnostics) {
    assert!(!diagnostics.0.is_empty());
    assert!(!diagnostics.to_string().is_empty());
    for diagnostic in &diagnostics.0 {
        if let Some((source, span)) = &diagnostic.place {
            assert!(span.start <= span.end && span.end <= source.text.len(), "{diagnostic}");
        }
    }
}
