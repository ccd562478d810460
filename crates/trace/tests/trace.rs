//! The hash of a trace.

use larder_trace::{BuildTrace, ContentHash, MTime};

#[test]
fn a_part_of_any_length_is_hashed_as_its_format_says() {
    let before = BuildTrace::text("before", "value");
    let hash = ContentHash::of_bytes(b"part");
    for length in (0..400).chain([70_000]) {
        let name = "n".repeat(length);
        let mut bytes = before.hash().as_bytes().to_vec();
        bytes.extend((length as u64).to_le_bytes());
        bytes.extend(name.as_bytes());
        bytes.extend(hash.as_bytes());
        let expected = ContentHash::of_bytes(&bytes);
        assert_eq!(before.hash_with_leaf(&name, hash), expected, "{length}");
        let mixed = before.clone().mix(BuildTrace::leaf(name, hash, MTime::NONE));
        assert_eq!(mixed.hash(), expected, "{length}");
    }
}
