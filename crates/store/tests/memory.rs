//! How much memory reading a mappings file takes. A process of its own, whose peak is that.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
};

use larder_store::Mappings;
use larder_testkit::stores::hash;

/// Bytes that reading a million mappings may take.
const MOST: u64 = 300 << 20;

/// A part of a million, which is read sooner and takes as much of [`MOST`]: each takes the same.
const PART: u64 = 4;

/// The most memory that this process has had so far, in bytes. Linux says so.
fn peak() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    peak.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kilobytes| kilobytes << 10)
}

#[test]
fn a_million_mappings_and_a_line_that_is_too_long_take_little_memory() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("outputs.jsonl");
    let long = || {
        let mut file = BufWriter::new(File::create(&path).unwrap());
        file.write_all(b"\"1\"\n[\"").unwrap();
        (0..200).for_each(|_| file.write_all(&[b'0'; 1 << 20]).unwrap());
        file.write_all(b"\n").unwrap();
    };
    long();
    let refused = Mappings::read(&path).unwrap_err().to_string();
    assert!(refused.ends_with("line 2: it is longer than 64 MiB"), "{refused}");

    let count = 1_000_000 / PART;
    let mut file = BufWriter::new(File::create(&path).unwrap());
    writeln!(file, "\"1\"").unwrap();
    for n in 0..count {
        let (key, content) = (hash(n.to_be_bytes()), hash(n.to_le_bytes()));
        let outputs =
            format!("{{\"path\":\"obj/libx/source-{n}.o\",\"hash\":\"{content}\",\"size\":{n}}}");
        writeln!(file, "[\"{key}\",{{\"outputs\":[{outputs}]}}]").unwrap();
    }
    file.into_inner().unwrap();
    let mappings = Mappings::read(&path).unwrap();
    assert_eq!(mappings.len() as u64, count);
    assert!(mappings.iter().is_sorted_by_key(|(dep_hash, _)| *dep_hash));
    if let Some(peak) = peak() {
        assert!(peak < MOST / PART, "{} MiB", peak >> 20);
        println!("{} MiB for {count} mappings", peak >> 20);
    }
}
