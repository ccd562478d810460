//! The trailer, the index and the blocks: parsing and checking without I/O.

use std::ops::Range;

use larder_trace::ContentHash;

use super::{HEADER_LEN, Limits, MAX_BLOCK, Refusal, SIGNATURE, TRAILER_LEN, VERSION, header};

/// Length of the counts at the front of the index.
const COUNTS_LEN: usize = 12;
/// Length of one block or artifact in the index.
const RECORD_LEN: usize = 40;

/// The last [`TRAILER_LEN`] bytes of a pack, which say where the index is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trailer {
    /// Where the index is in the file.
    pub index: Range<u64>,
    checksum: [u8; 32],
}

/// One separately compressed run of content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Where its stored bytes are in the file.
    pub stored: Range<u64>,
    /// Where its content is in the pack's content.
    pub content: Range<u64>,
    checksum: [u8; 32],
}

/// One artifact of a pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The hash of its content, which is its name.
    pub hash: ContentHash,
    /// Where it is in the pack's content.
    pub content: Range<u64>,
}

impl Member {
    /// Length in bytes.
    pub fn size(&self) -> u64 {
        self.content.end - self.content.start
    }
}

/// A part of an artifact that one block holds: all of it, unless the artifact is larger than a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece<'a> {
    /// The artifact, or the mappings file.
    pub artifact: &'a Member,
    /// Where the piece begins in the artifact.
    pub at: u64,
    /// Where it is in the decoded block.
    pub range: Range<usize>,
}

impl Piece<'_> {
    /// Whether the artifact ends with this piece.
    pub fn is_last(&self) -> bool {
        self.at + self.range.len() as u64 == self.artifact.size()
    }
}

/// The index of a pack: which artifacts it holds, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    blocks: Vec<Block>,
    /// In content order; the mappings file, if there is one, comes last.
    contents: Vec<Member>,
    /// Positions in `contents` of the artifacts, by hash.
    by_hash: Vec<u32>,
    has_mappings: bool,
}

impl Trailer {
    /// Parses the trailer of a file of `file_len` bytes.
    ///
    /// # Errors
    /// When it is not a pack's trailer, has another version, or puts the index outside the file
    /// or above its limit.
    pub fn parse(
        bytes: &[u8; TRAILER_LEN],
        file_len: u64,
        limits: &Limits,
    ) -> Result<Self, Refusal> {
        let mut fields = Fields(bytes);
        let (declared, checksum) = (fields.u64(), fields.hash());
        let (version, signature) = (fields.u32(), fields.0);
        if signature != SIGNATURE {
            return Err(Refusal::Signature("end"));
        }
        if version != VERSION {
            return Err(Refusal::Version(version));
        }
        let room = file_len.saturating_sub((HEADER_LEN + TRAILER_LEN) as u64);
        if declared > room {
            let actual = format!("the file has room for {room}");
            return Err(Refusal::IndexLength { declared, actual });
        }
        within("its index", declared, limits.index)?;
        let end = file_len - TRAILER_LEN as u64;
        Ok(Self { index: end - declared..end, checksum })
    }
}

impl Index {
    /// Parses the bytes that stand at [`Trailer::index`].
    ///
    /// # Errors
    /// When the bytes are not those the trailer's checksum was made of, when they describe anything
    /// but a file of exactly the right length, or when a declared size is above its limit.
    pub fn parse(bytes: &[u8], trailer: &Trailer, limits: &Limits) -> Result<Self, Refusal> {
        if *blake3::hash(bytes).as_bytes() != trailer.checksum {
            return Err(Refusal::IndexChecksum);
        }
        let declared = bytes.len() as u64;
        let counts = bytes.get(..COUNTS_LEN).ok_or_else(|| Refusal::IndexLength {
            declared,
            actual: format!("its counts alone take {COUNTS_LEN}"),
        })?;
        let mut counts = Fields(counts);
        let (blocks, artifacts, mappings) = (counts.u32(), counts.u32(), counts.u32());
        let records = u64::from(blocks) + u64::from(artifacts) + u64::from(mappings);
        let needed = COUNTS_LEN as u64 + RECORD_LEN as u64 * records;
        if needed != declared || mappings > 1 {
            let actual = format!(
                "{blocks} blocks, {artifacts} artifacts and {mappings} mappings files take {needed}"
            );
            return Err(Refusal::IndexLength { declared, actual });
        }
        let mut records = bytes[COUNTS_LEN..].chunks_exact(RECORD_LEN).map(Fields);
        let blocks = parse_blocks(records.by_ref().take(blocks as usize), trailer.index.start)?;
        let contents = parse_contents(records, mappings == 1, limits)?;
        let (held, needed) = (
            blocks.last().map_or(0, |block: &Block| block.content.end),
            contents.last().map_or(0, |artifact: &Member| artifact.content.end),
        );
        if held != needed {
            return Err(Refusal::ContentLength { artifacts: needed, blocks: held });
        }
        let mut by_hash: Vec<u32> = (0..artifacts).collect();
        by_hash.sort_unstable_by_key(|&at| contents[at as usize].hash);
        if let Some(pair) = by_hash
            .windows(2)
            .find(|pair| contents[pair[0] as usize].hash == contents[pair[1] as usize].hash)
        {
            return Err(Refusal::Duplicate(contents[pair[0] as usize].hash));
        }
        Ok(Self { blocks, contents, by_hash, has_mappings: mappings == 1 })
    }

    /// The artifacts, in the order of their content.
    pub fn artifacts(&self) -> &[Member] {
        &self.contents[..self.by_hash.len()]
    }

    /// The mappings file, if the pack carries one.
    pub fn mappings(&self) -> Option<&Member> {
        self.contents.last().filter(|_| self.has_mappings)
    }

    /// The blocks, in file order.
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// The artifact named `hash`.
    pub fn find(&self, hash: &ContentHash) -> Option<&Member> {
        let found = self.by_hash.binary_search_by_key(hash, |&at| self.contents[at as usize].hash);
        found.ok().map(|at| &self.contents[self.by_hash[at] as usize])
    }

    /// The numbers of the blocks that hold an artifact of this pack. None for an empty artifact.
    pub fn blocks_of(&self, artifact: &Member) -> Range<usize> {
        if artifact.size() == 0 {
            return 0..0;
        }
        let first =
            self.blocks.partition_point(|block| block.content.end <= artifact.content.start);
        let end = self.blocks.partition_point(|block| block.content.start < artifact.content.end);
        first..end.max(first)
    }

    /// Where a run of blocks is stored in the file: one range to ask for.
    pub fn stored_range(&self, blocks: Range<usize>) -> Range<u64> {
        match self.blocks.get(blocks) {
            Some([first, .., last]) => first.stored.start..last.stored.end,
            Some([only]) => only.stored.clone(),
            _ => HEADER_LEN as u64..HEADER_LEN as u64,
        }
    }

    /// The pieces of `block`, in order; empty artifacts are in no block.
    pub fn pieces<'a>(&'a self, block: &'a Block) -> impl Iterator<Item = Piece<'a>> + 'a {
        let first =
            self.contents.partition_point(|artifact| artifact.content.end <= block.content.start);
        self.contents[first..]
            .iter()
            .take_while(|artifact| artifact.content.start < block.content.end)
            .filter(|artifact| artifact.size() > 0)
            .map(|artifact| {
                let start = artifact.content.start.max(block.content.start);
                let end = artifact.content.end.min(block.content.end);
                // A block's content is at most MAX_BLOCK long, so these fit any usize.
                let range =
                    (start - block.content.start) as usize..(end - block.content.start) as usize;
                Piece { artifact, at: start - artifact.content.start, range }
            })
    }

    /// Decodes and verifies one artifact from `stored`, the bytes at [`Self::stored_range`] of
    /// [`Self::blocks_of`]. The whole artifact is held in memory.
    ///
    /// # Errors
    /// When `stored` is not those bytes, or they do not hold that artifact.
    pub fn extract(&self, artifact: &Member, mut stored: &[u8]) -> Result<Vec<u8>, Refusal> {
        let mut content = Vec::new();
        let mut decoded = Vec::new();
        for block in &self.blocks[self.blocks_of(artifact)] {
            let (this, rest) = stored
                .split_at_checked(block.stored_len())
                .ok_or(Refusal::BlockChecksum(block.stored.start))?;
            stored = rest;
            block.decode(this, &mut decoded)?;
            for piece in
                self.pieces(block).filter(|piece| piece.artifact.content == artifact.content)
            {
                content.extend_from_slice(&decoded[piece.range]);
            }
        }
        self.check(artifact, ContentHash::of_bytes(&content))?;
        Ok(content)
    }

    /// Refuses content whose hash is not the one `artifact` is listed under.
    pub(super) fn check(&self, artifact: &Member, hash: ContentHash) -> Result<(), Refusal> {
        if hash == artifact.hash {
            return Ok(());
        }
        match self.mappings() {
            Some(mappings) if std::ptr::eq(mappings, artifact) => Err(Refusal::MappingsHash),
            _ => Err(Refusal::ArtifactHash(artifact.hash)),
        }
    }
}

impl Block {
    /// Length of its stored bytes.
    pub fn stored_len(&self) -> usize {
        // At most MAX_STORED: parsed from 32 bits and bounded there.
        (self.stored.end - self.stored.start) as usize
    }

    /// Decompresses `stored`, the block's bytes in the file, into `content`, which is overwritten.
    /// Needs as much memory as the block declares, at most [`MAX_BLOCK`].
    ///
    /// # Errors
    /// When `stored` does not match the checksum or decompresses to another length than declared.
    pub fn decode(&self, stored: &[u8], content: &mut Vec<u8>) -> Result<(), Refusal> {
        if *blake3::hash(stored).as_bytes() != self.checksum {
            return Err(Refusal::BlockChecksum(self.stored.start));
        }
        let declared = (self.content.end - self.content.start) as u32;
        content.resize(declared as usize, 0);
        // Into a slice: zstd can write no byte more than was declared.
        match zstd::bulk::decompress_to_buffer(stored, content.as_mut_slice()) {
            Ok(length) if length == content.len() => Ok(()),
            _ => Err(Refusal::BlockContent { offset: self.stored.start, declared }),
        }
    }
}

fn parse_blocks<'a>(
    records: impl Iterator<Item = Fields<'a>>,
    index_start: u64,
) -> Result<Vec<Block>, Refusal> {
    let mut blocks = Vec::new();
    let (mut stored, mut content) = (HEADER_LEN as u64, 0);
    for mut record in records {
        let (stored_len, content_len) = (u64::from(record.u32()), u64::from(record.u32()));
        if stored_len == 0 || content_len == 0 {
            return Err(Refusal::EmptyBlock(stored));
        }
        within("a block", content_len, MAX_BLOCK as u64)?;
        let bound = zstd::zstd_safe::compress_bound(content_len as usize) as u64;
        within("a compressed block", stored_len, bound)?;
        let block = Block {
            stored: stored..stored + stored_len,
            content: content..content + content_len,
            checksum: record.hash(),
        };
        (stored, content) = (block.stored.end, block.content.end);
        blocks.push(block);
    }
    if stored != index_start {
        return Err(Refusal::BlocksLength { blocks: stored, index: index_start });
    }
    Ok(blocks)
}

fn parse_contents<'a>(
    records: impl ExactSizeIterator<Item = Fields<'a>>,
    has_mappings: bool,
    limits: &Limits,
) -> Result<Vec<Member>, Refusal> {
    let mut contents = Vec::with_capacity(records.len());
    let mut total = 0_u64;
    let last = records.len().checked_sub(1);
    for (at, mut record) in records.enumerate() {
        let (size, hash) = (record.u64(), ContentHash::from_bytes(record.hash()));
        if has_mappings && Some(at) == last {
            within("its mappings file", size, limits.mappings)?;
        } else {
            within("an artifact", size, limits.artifact)?;
        }
        // No block holds what is empty, so this is the only place to find it out.
        if size == 0 && hash != ContentHash::of_bytes(b"") {
            return Err(Refusal::ArtifactHash(hash));
        }
        let end = total.saturating_add(size);
        within("its content", end, limits.total)?;
        contents.push(Member { hash, content: total..end });
        total = end;
    }
    Ok(contents)
}

fn within(what: &str, declared: u64, limit: u64) -> Result<(), Refusal> {
    if declared > limit {
        return Err(Refusal::TooLarge { what: what.to_owned(), declared, limit });
    }
    Ok(())
}

/// Little-endian fields off the front of bytes whose length was checked; zero beyond their end.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn array<const N: usize>(&mut self) -> [u8; N] {
        match self.0.split_first_chunk() {
            Some((field, rest)) => {
                self.0 = rest;
                *field
            }
            None => [0; N],
        }
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }

    fn hash(&mut self) -> [u8; 32] {
        self.array()
    }
}

/// Refuses a pack that does not begin as every pack does.
pub(super) fn check_header(bytes: &[u8; HEADER_LEN]) -> Result<(), Refusal> {
    let version = Fields(&bytes[SIGNATURE.len()..]).u32();
    match *bytes == header() {
        true => Ok(()),
        false if bytes[..SIGNATURE.len()] == SIGNATURE => Err(Refusal::Version(version)),
        false => Err(Refusal::Signature("begin")),
    }
}

/// The index of a pack being written.
#[derive(Default)]
pub(super) struct Draft {
    blocks: Vec<u8>,
    contents: Vec<u8>,
}

impl Draft {
    pub(super) fn push_block(
        &mut self,
        stored_len: u32,
        content_len: u32,
        checksum: &blake3::Hash,
    ) {
        self.blocks.extend_from_slice(&stored_len.to_le_bytes());
        self.blocks.extend_from_slice(&content_len.to_le_bytes());
        self.blocks.extend_from_slice(checksum.as_bytes());
    }

    pub(super) fn push_content(&mut self, size: u64, hash: &ContentHash) {
        self.contents.extend_from_slice(&size.to_le_bytes());
        self.contents.extend_from_slice(hash.as_bytes());
    }

    /// The index and the trailer, or `None` when there are more blocks or artifacts than 32 bits count.
    pub(super) fn finish(self, has_mappings: bool) -> Option<Vec<u8>> {
        let blocks = u32::try_from(self.blocks.len() / RECORD_LEN).ok()?;
        let mappings = u32::from(has_mappings);
        let artifacts =
            u32::try_from(self.contents.len() / RECORD_LEN).ok()?.checked_sub(mappings)?;
        let mut bytes =
            Vec::with_capacity(COUNTS_LEN + self.blocks.len() + self.contents.len() + TRAILER_LEN);
        for count in [blocks, artifacts, mappings] {
            bytes.extend_from_slice(&count.to_le_bytes());
        }
        bytes.extend_from_slice(&self.blocks);
        bytes.extend_from_slice(&self.contents);
        let (length, checksum) = (bytes.len() as u64, blake3::hash(&bytes));
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(checksum.as_bytes());
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&SIGNATURE);
        Some(bytes)
    }
}
