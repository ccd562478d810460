//! Nothing but a pack is accepted, and nothing it claims costs more than it may.

use larder_store::pack::{Error, HEADER_LEN, Limits, MAX_BLOCK, Options, Pack, Refusal};
use larder_trace::ContentHash;

use super::support::*;

fn small() -> Vec<u8> {
    pack(
        &contents([&b"int f(void);"[..], b"int g(void);", b""]),
        Some(b"\"1\"\n"),
        &Options::default(),
    )
}

#[test]
fn every_flipped_bit_is_refused() {
    let (right, place) = (small(), Place::new());
    assert_eq!(place.refusal(&right), None);
    for bit in 0..right.len() * 8 {
        let mut wrong = right.clone();
        wrong[bit / 8] ^= 1 << (bit % 8);
        assert!(place.refusal(&wrong).is_some(), "bit {bit} of {}", right.len() * 8);
    }
}

#[test]
fn every_truncation_and_extension_is_refused() {
    let (right, place) = (small(), Place::new());
    for length in 0..right.len() {
        assert!(place.refusal(&right[..length]).is_some(), "the first {length} bytes");
        assert!(place.refusal(&right[right.len() - length..]).is_some(), "the last {length} bytes");
    }
    for garbage in [&b"\0"[..], b"\n", &right] {
        assert!(place.refusal(&[&right, garbage].concat()).is_some());
        assert!(place.refusal(&[garbage, &right].concat()).is_some());
    }
}

#[test]
fn what_is_not_a_regular_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    assert!(matches!(Pack::open(directory.path(), &Limits::default()), Err(Error::Io { .. })));
    assert!(matches!(
        Pack::open(&directory.path().join("absent"), &Limits::default()),
        Err(Error::Io { .. })
    ));
}

fn refusal(raw: &Raw) -> Option<Refusal> {
    Place::new().refusal(&raw.bytes())
}

fn hash(content: &[u8]) -> ContentHash {
    ContentHash::of_bytes(content)
}

#[test]
fn the_raw_writer_writes_packs() {
    assert_eq!(refusal(&Raw::of(&[b"one", b"", b"two"])), None);
    assert_eq!(refusal(&Raw::default()), None);
}

#[test]
fn other_versions_are_refused_by_number() {
    let mut bytes = small();
    let version = bytes.len() - 12;
    bytes[version] = 2;
    let place = Place::new();
    assert_eq!(place.refusal(&bytes), Some(Refusal::Version(2)));
    let error = place.open(&bytes).unwrap_err().to_string();
    let reason = "it has pack format version 2, and this larder reads version 1";
    assert_eq!(
        error,
        format!("pack {} refused: {reason}; fetch or make it again", place.path().display())
    );
    bytes[8] = 2;
    assert_eq!(place.refusal(&bytes), Some(Refusal::Version(2)));
    bytes[version] = 1;
    assert_eq!(place.refusal(&bytes), Some(Refusal::Version(2)), "in the header alone");
}

#[test]
fn duplicates_are_refused() {
    assert_eq!(
        refusal(&Raw::of(&[b"same", b"other", b"same"])),
        Some(Refusal::Duplicate(hash(b"same")))
    );
    assert_eq!(refusal(&Raw::of(&[b"", b"x", b""])), Some(Refusal::Duplicate(hash(b""))));
}

#[test]
fn content_under_another_name_is_refused() {
    let mut raw = Raw::of(&[b"good", b"evil"]);
    raw.contents[1].1 = hash(b"fine");
    assert_eq!(refusal(&raw), Some(Refusal::ArtifactHash(hash(b"fine"))));
    let mut raw = Raw::of(&[b"", b"x"]);
    raw.contents[0].1 = hash(b"fine");
    assert_eq!(refusal(&raw), Some(Refusal::ArtifactHash(hash(b"fine"))), "empty, so in no block");
    let mut raw = Raw::of(&[b"good", b"mappings"]);
    raw.counts = Some([1, 1, 1]);
    assert_eq!(refusal(&raw), None);
    raw.contents[1].1 = hash(b"fine");
    assert_eq!(refusal(&raw), Some(Refusal::MappingsHash));
}

#[test]
fn sizes_that_reach_outside_are_refused() {
    let shift = |by: i64| {
        let mut raw = Raw::of(&[b"good", b"evil"]);
        raw.contents[1].0 = raw.contents[1].0.wrapping_add_signed(by);
        refusal(&raw)
    };
    assert_eq!(shift(1), Some(Refusal::ContentLength { artifacts: 9, blocks: 8 }));
    assert_eq!(shift(-1), Some(Refusal::ContentLength { artifacts: 7, blocks: 8 }));
    // What would be overlapping entries, if offsets were written down: the sum is right.
    let mut raw = Raw::of(&[b"good", b"evil"]);
    (raw.contents[0].0, raw.contents[1].0) = (3, 5);
    assert_eq!(refusal(&raw), Some(Refusal::ArtifactHash(hash(b"good"))));
    let mut raw = Raw::of(&[b"good", b"evil"]);
    raw.contents.pop();
    assert_eq!(refusal(&raw), Some(Refusal::ContentLength { artifacts: 4, blocks: 8 }));
}

#[test]
fn sums_that_overflow_are_refused() {
    let limits = Limits { artifact: u64::MAX, total: u64::MAX, ..Limits::default() };
    let mut raw = Raw::of(&[b"good", b"evil", b"more"]);
    raw.contents[0].0 = u64::MAX - 1;
    raw.contents[1].0 = 14;
    let place = Place { limits, ..Place::new() };
    assert_eq!(
        place.refusal(&raw.bytes()),
        Some(Refusal::ContentLength { artifacts: u64::MAX, blocks: 12 })
    );
}

#[test]
fn counts_that_disagree_with_the_index_are_refused() {
    for counts in
        [[2, 1, 0], [0, 1, 0], [1, 1, 2], [u32::MAX; 3], [1, u32::MAX, 1], [0, 0, 0], [0, 0, 2]]
    {
        let raw = Raw { counts: Some(counts), ..Raw::of(&[b"good"]) };
        assert!(matches!(refusal(&raw), Some(Refusal::IndexLength { .. })), "{counts:?}");
    }
    let (front, index) = unseal(&small());
    for length in [0, 11, 12, index.len() - 40] {
        let refusal = Place::new().refusal(&seal(front.clone(), &index[..length]));
        assert!(matches!(refusal, Some(Refusal::IndexLength { .. })), "{length}: {refusal:?}");
    }
}

#[test]
fn gaps_between_blocks_and_index_are_refused() {
    let (mut front, index) = unseal(&small());
    front.push(0);
    let end = front.len() as u64;
    let refusal = Place::new().refusal(&seal(front, &index));
    assert_eq!(refusal, Some(Refusal::BlocksLength { blocks: end - 1, index: end }));
}

#[test]
fn empty_blocks_are_refused() {
    let mut raw = Raw::of(&[b"good"]);
    raw.blocks.push((zstd::bulk::compress(b"", 3).unwrap(), 0));
    assert!(matches!(refusal(&raw), Some(Refusal::EmptyBlock(_))));
    raw.blocks[1] = (Vec::new(), 5);
    assert!(matches!(refusal(&raw), Some(Refusal::EmptyBlock(_))));
}

#[test]
fn bombs_stop_at_what_they_declare() {
    let bomb = zstd::bulk::compress(&vec![0; 4 << 20], 19).unwrap();
    assert!(bomb.len() < 1_000);
    let declare = |content: u32| Raw {
        blocks: vec![(bomb.clone(), content)],
        contents: vec![(u64::from(content), hash(b"whatever"))],
        counts: None,
    };
    for content in [1_000, (4 << 20) - 1, (4 << 20) + 1] {
        let offset = HEADER_LEN as u64;
        let expected = Refusal::BlockContent { offset, declared: content };
        assert_eq!(refusal(&declare(content)), Some(expected));
    }
    assert_eq!(refusal(&declare(4 << 20)), Some(Refusal::ArtifactHash(hash(b"whatever"))));
    assert!(matches!(
        refusal(&declare(u32::MAX)),
        Some(Refusal::TooLarge { declared, limit, .. }) if declared == u64::from(u32::MAX) && limit == MAX_BLOCK as u64
    ));
    // Two frames in one block, and one with something after it.
    let twice = zstd::bulk::compress(b"good", 3).unwrap().repeat(2);
    assert!(matches!(
        refusal(&Raw { blocks: vec![(twice, 4)], ..Raw::of(&[b"good"]) }),
        Some(Refusal::BlockContent { .. })
    ));
    let mut raw = Raw::of(&[b"good"]);
    raw.blocks[0].0.push(0);
    assert!(matches!(refusal(&raw), Some(Refusal::BlockContent { .. })));
    // Far more stored than any content of that length can take.
    raw.blocks[0].0 = vec![0; 100_000];
    assert!(matches!(refusal(&raw), Some(Refusal::TooLarge { declared: 100_000, .. })));
}

#[test]
fn limits_are_held_before_anything_is_read() {
    let bytes = small();
    let tight = [
        Limits { index: 100, ..Limits::default() },
        Limits { artifact: 11, ..Limits::default() },
        Limits { mappings: 3, ..Limits::default() },
        Limits { total: 27, ..Limits::default() },
    ];
    for limits in tight {
        let place = Place { limits, ..Place::new() };
        let error = place.open(&bytes).unwrap_err();
        let too_large = matches!(&error, Error::Refused { reason: Refusal::TooLarge { .. }, .. });
        assert!(too_large, "{limits:?}: {error}");
    }
    let enough = Limits { artifact: 12, mappings: 4, total: 28, ..Limits::default() };
    Place { limits: enough, ..Place::new() }.open(&bytes).unwrap();
}

/// A short fuzz run, the same every time: the index mutated under a checksum that fits, so that the
/// mutations get past it. Whatever happens, it is a refusal or the right content.
#[test]
fn mutated_indexes_are_refused_or_harmless() {
    let contents = contents((0..12).map(|seed| code(seed, 40 * seed as usize)));
    let right = pack(&contents, Some(b"\"1\"\n"), &Options::default());
    let (front, index) = unseal(&right);
    let place = Place::new();
    let mut refused = 0;
    for round in 0..3_000 {
        let dice = noise(round, 32);
        let mut index = index.clone();
        for pick in dice[1..].chunks_exact(6).take(usize::from(dice[0] % 4) + 1) {
            let at = usize::from(u16::from_le_bytes([pick[0], pick[1]])) % index.len();
            match pick[2] % 5 {
                0 => index[at] ^= 1 << (pick[3] % 8),
                1 => index[at] = pick[3],
                2 => index[at] = [0, 1, 0x7f, 0x80, 0xff][usize::from(pick[3] % 5)],
                3 => {
                    // One record in the place of another.
                    let record = |pick: u8| 12 + usize::from(pick) % (index.len() / 40) * 40;
                    let (from, to) = (record(pick[4]), record(pick[5]));
                    index.copy_within(from..from + 40, to);
                }
                _ => index.rotate_left(at - at % 40),
            }
        }
        match place.unpack(&seal(front.clone(), &index), 1) {
            Ok((unpacked, _)) => {
                assert!(unpacked.iter().all(|(hash, content)| contents.get(hash) == Some(content)))
            }
            Err(Error::Refused { .. }) => refused += 1,
            Err(error) => panic!("round {round}: {error}"),
        }
    }
    assert!(refused > 2_000, "{refused}");
}
