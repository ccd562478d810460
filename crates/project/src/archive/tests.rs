use std::{
    io::{Cursor, Write},
    os::unix::fs::PermissionsExt,
};

use tempfile::TempDir;

use super::*;

/// An entry: a kind, a raw name, what it links to, and content.
type Entry<'a> = (tar::EntryType, &'a [u8], &'a [u8], &'a [u8]);

/// A tar file of entries.
fn tar_of(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (kind, name, target, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        let raw = header.as_gnu_mut().unwrap();
        raw.name[..name.len()].copy_from_slice(name);
        raw.linkname[..target.len()].copy_from_slice(target);
        header.set_cksum();
        builder.append(&header, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

fn unpacked(bytes: &[u8], strip: Option<u32>) -> Result<(TempDir, PathBuf), String> {
    within(bytes, strip, Limits::default())
}

fn within(bytes: &[u8], strip: Option<u32>, limits: Limits) -> Result<(TempDir, PathBuf), String> {
    let place = TempDir::new().unwrap();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    let made = unpack_within(&file, &place.path().join("to"), strip, limits);
    made.map(|directory| (place, directory)).map_err(|error| error.to_string())
}

use tar::EntryType as T;

const PLAIN: &[Entry<'_>] = &[
    (T::XGlobalHeader, b"pax_global_header", b"", b""),
    (T::Directory, b"top/", b"", b""),
    (T::Regular, b"top/a.c", b"", b"int a;"),
    (T::Regular, b"./top//sub/./b.c", b"", b"int b;"),
    (T::Symlink, b"top/sub/l.c", b"../a.c", b""),
    (T::Link, b"top/h.c", b"top/a.c", b""),
    (T::Directory, b"top/sub", b"", b""),
];

#[test]
fn every_format_gives_the_same_files() {
    let plain = tar_of(PLAIN);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    gzip.write_all(&plain).unwrap();
    bzip2.write_all(&plain).unwrap();
    for bytes in [
        plain.clone(),
        gzip.finish().unwrap(),
        bzip2.finish().unwrap(),
        zstd::encode_all(&*plain, 1).unwrap(),
    ] {
        let (_place, directory) = unpacked(&bytes, None).unwrap();
        assert!(directory.ends_with("to/top"));
        let read = |name: &str| fs::read_to_string(directory.join(name)).unwrap();
        assert_eq!([read("a.c"), read("h.c"), read("sub/l.c")], ["int a;"; 3]);
        assert_eq!(read("sub/b.c"), "int b;");
        // Cut short, it is damaged, and says so.
        let cut = &bytes[..bytes.len().min(1500) - 40];
        let said = unpacked(cut, None).unwrap_err();
        assert!(said.contains("it is damaged"), "{said}");
    }
}

/// A zip file of entries: a name, its mode, content.
fn zip_of(entries: &[(&str, u32, &str)]) -> Vec<u8> {
    // The crate's writer refuses what is to be refused here.
    let (mut bytes, mut central) = (Vec::new(), Vec::new());
    for (name, mode, content) in entries {
        let offset = bytes.len() as u32;
        let mut crc = flate2::Crc::new();
        crc.update(content.as_bytes());
        let mut common = Vec::new();
        for field in [20u16, 0, 0, 0, 0] {
            common.extend(field.to_le_bytes());
        }
        common.extend(crc.sum().to_le_bytes());
        common.extend([content.len() as u32; 2].map(u32::to_le_bytes).concat());
        common.extend([name.len() as u16, 0].map(u16::to_le_bytes).concat());
        bytes.extend(b"PK\x03\x04");
        bytes.extend(&common);
        bytes.extend([name.as_bytes(), content.as_bytes()].concat());
        central.extend(b"PK\x01\x02\x14\x03");
        central.extend(&common);
        central.extend([0u8; 6]);
        central.extend((mode << 16).to_le_bytes());
        central.extend(offset.to_le_bytes());
        central.extend(name.as_bytes());
    }
    let (start, length) = (bytes.len() as u32, central.len() as u32);
    bytes.extend(central);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend([entries.len() as u16; 2].map(u16::to_le_bytes).concat());
    bytes.extend([length, start].map(u32::to_le_bytes).concat());
    bytes.extend([0, 0]);
    bytes
}

#[test]
fn zip_files_have_modes_and_links() {
    let entries = [
        ("top/", 0o040_755, ""),
        ("top/a.c", 0o100_644, "int a;"),
        ("top/run.sh", 0o100_755, "x"),
        ("top/l.c", 0o120_777, "a.c"),
        ("top/plain.c", 0, "y"),
    ];
    let (_place, directory) = unpacked(&zip_of(&entries), None).unwrap();
    assert_eq!(fs::read_to_string(directory.join("l.c")).unwrap(), "int a;");
    let mode = |name: &str| fs::metadata(directory.join(name)).unwrap().permissions().mode();
    assert_eq!(
        [mode("run.sh") & 0o100, mode("a.c") & 0o100, mode("plain.c") & 0o100],
        [0o100, 0, 0]
    );
    let mut written = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Deflated);
    written.start_file("a.c", options).unwrap();
    written.write_all(&[b'x'; 5000]).unwrap();
    let bytes = written.finish().unwrap().into_inner();
    let (_place, directory) = unpacked(&bytes, None).unwrap();
    assert_eq!(fs::read(directory.join("a.c")).unwrap(), [b'x'; 5000]);
    for (entries, words) in [
        (&[("a", 0o100_644, "1"), ("a", 0o100_644, "2")][..], "it lists 2 entries and has 1"),
        (&[("a", 0o100_644, "1"), ("./a", 0o100_644, "2")], "it is there twice"),
        (&[("../a", 0o100_644, "1")], "`..`"),
        (&[("/a", 0o100_644, "1")], "absolute"),
        (&[("a", 0o020_644, "")], "neither a file nor a directory nor a link"),
        (&[("a", 0o120_777, "/etc"), ("a/passwd", 0o100_644, "x")], "is no directory"),
        (&[("a", 0o120_777, "/etc")], "leads out of it"),
    ] {
        let said = unpacked(&zip_of(entries), None).unwrap_err();
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[test]
fn what_is_hostile_is_refused() {
    let file = |name: &'static [u8]| (T::Regular, name, &b""[..], &b"x"[..]);
    let link = |name: &'static [u8], to: &'static [u8]| (T::Symlink, name, to, &b""[..]);
    let of = |kind: T| (kind, &b"a"[..], &b"b"[..], &b""[..]);
    for (entries, words) in [
        (vec![file(b"../a")], "there is `..` in its path"),
        (vec![file(b"a/../../b")], "there is `..` in its path"),
        (vec![file(b"/etc/a")], "its path is absolute"),
        (vec![file(b"a\x1b[2Jb")], "control characters"),
        (vec![file(b"a\nb")], "control characters"),
        (vec![file(b"a\xff")], "is not UTF-8"),
        (vec![file(b"x/.git/HEAD")], "what Git and larder keep"),
        (vec![file(b".Larder/build/x")], "what Git and larder keep"),
        (vec![file(b".larder-archive")], "what Git and larder keep"),
        (vec![file(b"a"), file(b"a")], "it is there twice"),
        (vec![file(b"a"), file(b"./a")], "it is there twice"),
        (vec![file(b"a"), file(b"a/b")], "what is above it is no directory"),
        (vec![file(b"a/b"), file(b"a")], "it is there twice"),
        (vec![link(b"a", b"/tmp"), file(b"a/b")], "what is above it is no directory"),
        (vec![link(b"a", b"/etc/passwd")], "leads out of it, to \"/etc/passwd\""),
        (vec![file(b"t/x"), link(b"t/a", b"../../x")], "leads out of it"),
        // What is stripped is outside.
        (vec![file(b"t/x"), link(b"t/a", b"../t/x")], "leads out of it"),
        (vec![link(b"a", b"")], "to nothing"),
        (vec![of(T::Link)], "a hard link to something that is no file before it"),
        (vec![link(b"b", b"/etc/passwd"), of(T::Link)], "a hard link to something"),
        (vec![of(T::Char)], "neither a file nor a directory nor a link"),
        (vec![of(T::Block)], "neither a file nor a directory nor a link"),
        (vec![of(T::Fifo)], "neither a file nor a directory nor a link"),
    ] {
        let said = unpacked(&tar_of(&entries), None).unwrap_err();
        assert!(said.contains(words) && !said.contains('\x1b'), "{words}: {said}");
    }
    for bytes in [&b""[..], b"text", b"PK\x03\x04", &[0x1f, 0x8b], &[0x28, 0xb5, 0x2f, 0xfd, 9]] {
        assert!(unpacked(bytes, None).is_err(), "{bytes:?}");
    }
}

#[test]
fn bombs_are_bounded() {
    let limits = Limits { bytes: 1000, entries: 3 };
    let zeros = vec![0; 600];
    let two = [(T::Regular, &b"a"[..], &b""[..], &*zeros), (T::Regular, b"b", b"", &zeros)];
    let said = within(&tar_of(&two), None, limits).unwrap_err();
    assert!(said.contains("more than 1000 bytes"), "{said}");
    let copies = [two[0], (T::Link, b"b", b"a", b"")];
    let said = within(&tar_of(&copies), None, limits).unwrap_err();
    assert!(said.contains("more than 1000 bytes"), "{said}");
    let many = [(T::Regular, &b"a/b/c/d"[..], &b""[..], &b""[..])];
    let said = within(&tar_of(&many), None, limits).unwrap_err();
    assert!(said.contains("more than 3 files"), "{said}");
    let long = "x".repeat(600);
    let entries = [("a", 0o100_644, &*long), ("b", 0o100_644, &*long)];
    let said = within(&zip_of(&entries), None, limits).unwrap_err();
    assert!(said.contains("more than 1000 bytes"), "{said}");
    assert!(within(&tar_of(&two[..1]), None, limits).is_ok());
}

#[test]
fn directories_are_stripped_as_asked_for() {
    let bytes = tar_of(&[(T::Regular, b"a/b/c/d", b"", b"x"), (T::Regular, b"a/b/e", b"", b"x")]);
    for (strip, end) in [(None, "to/a"), (Some(0), "to"), (Some(1), "to/a"), (Some(2), "to/a/b")] {
        let (_place, directory) = unpacked(&bytes, strip).unwrap();
        assert!(directory.ends_with(end), "{strip:?}");
    }
    let said = unpacked(&bytes, Some(3)).unwrap_err();
    assert_eq!(said, "`strip = 3` does not fit: only 2 have all of it below them");
    let flat = tar_of(&[(T::Regular, b"a", b"", b"x")]);
    assert!(unpacked(&flat, None).unwrap().1.ends_with("to"));
    let said = unpacked(&flat, Some(1)).unwrap_err();
    assert_eq!(said, "`strip = 1` does not fit: not all of it is in one directory");
}
