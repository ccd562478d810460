//! The laws of packs: all that goes in comes out, and equal content makes equal bytes.

use std::{
    fs::{self, File},
    io::{self, Read},
    num::NonZeroUsize,
    sync::atomic::{AtomicU64, Ordering},
};

use larder_store::pack::{
    self, Entry, Error, Index, Limits, MAX_BLOCK, Options, Pack, TRAILER_LEN, Trailer,
};
use larder_trace::ContentHash;
use proptest::prelude::*;

use super::support::*;

const MIB: usize = 1 << 20;

fn some_contents() -> impl Strategy<Value = Contents> {
    let content =
        (any::<u64>(), prop_oneof![0..64_usize, 0..6_000_usize, 0..200_000_usize], any::<bool>());
    prop::collection::vec(content, 0..30).prop_map(|all| {
        contents(all.into_iter().map(|(seed, length, random)| match random {
            true => noise(seed, length),
            false => code(seed, length),
        }))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_goes_in_comes_out(
        contents in some_contents(),
        mappings in prop::option::of(".{0,200}"),
        level in 1..=7,
        threads in 1..4_usize,
    ) {
        let mappings = mappings.map(String::into_bytes);
        let bytes = pack(&contents, mappings.as_deref(), &options(level, threads));
        let place = Place::new();
        let (unpacked, its_mappings) = place.unpack(&bytes, threads).unwrap();
        prop_assert_eq!(&unpacked, &contents);
        prop_assert_eq!(its_mappings, mappings);
        let pack = place.open(&bytes).unwrap();
        for (hash, content) in &contents {
            prop_assert_eq!(&pack.read(hash).unwrap(), &Some(content.clone()));
        }
        prop_assert_eq!(pack.read(&ContentHash::of_bytes(b"not there")).unwrap(), None);
    }

    #[test]
    fn order_repetition_and_threads_leave_the_bytes_alone(
        contents in some_contents(),
        level in prop_oneof![Just(1), Just(3), Just(5), Just(7)],
        shuffle in any::<u64>(),
    ) {
        let first = pack(&contents, Some(b"mappings"), &options(level, 1));
        let mut shuffled = entries(&contents);
        shuffled.extend(entries(&contents).into_iter().step_by(3));
        shuffled.sort_by_cached_key(|entry| noise(shuffle ^ entry.size, 8));
        for threads in [2, 5] {
            let again = pack_in_order(&contents, shuffled.clone(), Some(b"mappings"), &options(level, threads));
            prop_assert!(first == again);
        }
    }
}

/// Contexts used again would make the bytes depend on which thread took which block; see `compress`.
#[test]
fn many_blocks_make_the_same_bytes_on_any_number_of_threads() {
    let contents = contents((0..60).map(|seed| code(seed, 150_000 + 1000 * seed as usize)));
    for level in [3, 5, 9] {
        let first = pack(&contents, None, &options(level, 1));
        for threads in [2, 3, 8] {
            assert!(
                first == pack(&contents, None, &options(level, threads)),
                "level {level}, {threads} threads"
            );
        }
    }
}

/// The bytes of this pack may change only together with the version of the format or of zstd.
#[test]
fn the_bytes_stay_what_they_are() {
    let contents =
        contents([b"".to_vec(), b"int main;".to_vec(), code(1, 5_000), code(2, 2_000_000)]);
    let bytes = pack(&contents, Some(b"\"1\"\n"), &Options::default());
    let hash = ContentHash::of_bytes(&bytes).to_string();
    assert_eq!(hash, "277470119fbfd27e6b85251b47a6175e8e1f5092081e86a9e0ccb7369cd10a4e");
}

#[test]
fn an_empty_pack_is_a_pack() {
    for mappings in [None, Some(b"".as_slice())] {
        let bytes = pack(&Contents::new(), mappings, &Options::default());
        let (unpacked, its_mappings) = Place::new().unpack(&bytes, 2).unwrap();
        assert_eq!((unpacked.len(), its_mappings.as_deref()), (0, mappings));
    }
}

#[test]
fn artifacts_larger_than_blocks_are_split_and_come_back() {
    let sizes = [5 * MIB + 3, 10, MIB, 3 * MIB, 20_000, MIB + 1, 0, 2 * MIB - 1];
    let contents = contents(sizes.iter().enumerate().map(|(seed, &size)| code(seed as u64, size)));
    let bytes = pack(&contents, Some(&code(99, 3 * MIB)), &options(1, 2));
    let place = Place::new();
    for threads in [1, 2, 4] {
        let (unpacked, mappings) = place.unpack(&bytes, threads).unwrap();
        assert!(unpacked == contents);
        assert!(mappings == Some(code(99, 3 * MIB)));
    }
    let pack = place.open(&bytes).unwrap();
    for (hash, content) in &contents {
        assert!(pack.read(hash).unwrap().as_ref() == Some(content));
    }
}

/// Content that is never in memory as a whole: a reader that makes it up, and a sink.
#[test]
fn large_artifacts_are_streamed() {
    const SIZE: u64 = 200 << 20;
    let make = || io::repeat(b'x').take(SIZE);
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(make()).unwrap();
    let entry = Entry { hash: hasher.finalize().into(), size: SIZE, hint: String::new() };
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("large.pack");
    let largest = AtomicU64::new(0);
    let note = |done: pack::Handled| {
        largest.fetch_max(done.bytes, Ordering::Relaxed);
    };
    pack::create(&path, vec![entry], |_| Ok(make()), None, &options(1, 2), note).unwrap();
    let pack = Pack::open(&path, &Limits::default()).unwrap();
    pack.verify(NonZeroUsize::new(2).unwrap(), note).unwrap();
    assert!(largest.into_inner() <= MAX_BLOCK as u64);
    assert!(
        pack.index()
            .blocks()
            .iter()
            .all(|block| block.content.end - block.content.start <= 2 * MIB as u64)
    );
}

#[test]
fn one_artifact_is_readable_over_ranges() {
    let contents = contents((0..200).map(|seed| code(seed, 30_000)));
    let bytes = pack(&contents, None, &Options::default());
    let limits = Limits::default();
    let trailer =
        Trailer::parse(bytes.last_chunk::<TRAILER_LEN>().unwrap(), bytes.len() as u64, &limits)
            .unwrap();
    let index = &bytes[trailer.index.start as usize..trailer.index.end as usize];
    let index = Index::parse(index, &trailer, &limits).unwrap();
    for (hash, content) in contents.iter().step_by(17) {
        let artifact = index.find(hash).unwrap();
        let range = index.stored_range(index.blocks_of(artifact));
        assert!(range.end - range.start < bytes.len() as u64 / 3);
        let stored = &bytes[range.start as usize..range.end as usize];
        assert_eq!(index.extract(artifact, stored).as_ref(), Ok(content));
        assert!(index.extract(artifact, &stored[1..]).is_err());
    }
}

#[test]
fn what_is_at_hand_is_verified_but_not_placed() {
    let contents = contents([code(1, 100), code(2, 200), Vec::new()]);
    let bytes = pack(&contents, None, &Options::default());
    let pack = Place::new().open(&bytes).unwrap();
    let done = AtomicU64::new(0);
    let nowhere = |_: &pack::Member| Ok(None::<File>);
    pack.unpack(NonZeroUsize::MIN, nowhere, |it| {
        done.fetch_add(it.artifacts, Ordering::Relaxed);
    })
    .unwrap();
    assert_eq!(done.into_inner(), 3);
}

#[test]
fn what_is_not_what_its_name_says_is_not_packed() {
    let right = code(1, 3_000);
    let (hash, size) = (ContentHash::of_bytes(&right), right.len() as u64);
    let wrong: [(&str, &[u8], u64); 4] = [
        ("flipped", &[&right[1..], b"x"].concat(), size),
        ("short", &right[1..], size),
        ("long", &[&right[..], b"x"].concat(), size),
        ("another size", &right, size - 1),
    ];
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.pack");
    fs::write(&path, "what was there").unwrap();
    for (name, content, size) in wrong {
        let entry = Entry { hash, size, hint: String::new() };
        let result =
            pack::create(&path, vec![entry], |_| Ok(content), None, &Options::default(), |_| {});
        assert!(
            matches!(result, Err(Error::Artifact { hash: named, .. }) if named == hash),
            "{name}: {result:?}"
        );
    }
    assert_eq!(fs::read(&path).unwrap(), b"what was there");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "no temporary file is left");
}
