//! The rules of the up-to-date check, over files that are plain data.

use std::{collections::BTreeMap, io};

use larder_trace::*;
use proptest::prelude::*;

/// Files by path: their text, their time, and whether they can be executed.
#[derive(Debug, Clone, Default)]
struct Disk {
    files: BTreeMap<&'static str, (&'static str, i64, bool)>,
    directories: Vec<&'static str>,
    /// A header that would be found before the one that was.
    shadowed: bool,
}

impl Disk {
    fn hashed(&self, path: &str) -> Option<Hashed> {
        let &(text, mtime, executable) = self.files.get(path)?;
        let hash = ContentHash::of_bytes(text.as_bytes());
        let size = text.len() as u64;
        Some(Hashed {
            hash,
            stat: FileStat { size, mtime: MTime(mtime), executable, ..FileStat::ABSENT },
        })
    }
}

impl Files for Disk {
    fn output(&self, path: &str) -> io::Result<Hashed> {
        self.hashed(path).ok_or(io::ErrorKind::NotFound.into())
    }

    fn is_directory(&self, path: &str) -> bool {
        self.directories.contains(&path)
    }

    fn discovered(&self, path: &str) -> Option<Hashed> {
        self.hashed(path)
    }

    fn finds_the_same(&self, _: &Searched, _: &Outputs) -> bool {
        !self.shadowed
    }
}

const OUTPUTS: [Expected<'static>; 2] = [Expected::File("out"), Expected::Directory("tree")];

/// Inputs of time 10, outputs of time 20, a trace file of time 21.
fn disk() -> Disk {
    Disk {
        files: [("a.h", ("h", 10, false)), ("out", ("o", 20, true)), ("tree/x", ("x", 20, false))]
            .into(),
        directories: vec!["tree"],
        shadowed: false,
    }
}

fn dep(text: &'static str) -> BuildTrace {
    BuildTrace::nil("dep").mix(BuildTrace::text("text", text))
}

fn wanted(times: Times) -> Wanted<'static> {
    Wanted {
        dep_hash: dep("one").hash(),
        newest: MTime(10),
        unrecorded: MTime(10),
        outputs: &OUTPUTS,
        times,
    }
}

fn record(disk: &Disk) -> BuildMetadata {
    let output = |path: &str| {
        let Hashed { hash, stat } = disk.hashed(path).unwrap();
        OutputFile { path: path.into(), hash, size: stat.size, executable: stat.executable }
    };
    let header = disk.hashed("a.h").unwrap().hash;
    let outputs = Outputs {
        outputs: vec![output("out"), output("tree/x")],
        directories: vec!["tree".into()],
        discovered: vec![DiscoveredInput { path: "a.h".into(), hash: header }],
        searched: Some(Box::new(Searched {
            directories: vec![".".into()],
            names: vec![],
            found: header,
        })),
        log: vec![LogEntry::text(Level::Warning, "careful")],
        milliseconds: Some(7),
    };
    BuildMetadata { written: MTime(21), ..BuildMetadata::new(&dep("one"), outputs, false) }
}

fn finished(record: &BuildMetadata) -> TraceFile {
    TraceFile::Finished(Box::new(record.clone()))
}

/// The outcome in short: a reason, or how it is known and whether it is on disk.
fn outcome(trace: TraceFile, wanted: &Wanted<'_>, disk: &Disk) -> String {
    match check(trace, wanted, disk) {
        Ok(fresh) => format!("{:?} {} {}", fresh.proof, fresh.on_disk, fresh.record.log.len()),
        Err(OutOfDate::Inputs(parts)) => format!("Inputs {}", parts[0].name()),
        Err(reason) => format!("{reason:?}"),
    }
}

/// Something that may have happened since the build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    DepHash,
    Header,
    HeaderGone,
    Shadow,
    Output,
    Mode,
    Inner,
    InnerGone,
    Directory,
}

const CHANGES: [(Change, &str); 9] = [
    (Change::DepHash, "Inputs text"),
    (Change::Header, "Discovered([\"a.h\"])"),
    (Change::HeaderGone, "Discovered([\"a.h\"])"),
    (Change::Shadow, "Searched"),
    (Change::Output, "OutputChanged(\"out\")"),
    (Change::Mode, "OutputChanged(\"out\")"),
    (Change::Inner, "OutputChanged(\"tree/x\")"),
    (Change::InnerGone, "OutputMissing(\"tree/x\")"),
    (Change::Directory, "OutputMissing(\"tree\")"),
];

/// Applies changes of inputs with the time of `newest`.
fn change(change: Change, newest: i64, wanted: &mut Wanted<'_>, disk: &mut Disk) {
    match change {
        Change::DepHash => {
            wanted.dep_hash = dep("two").hash();
            wanted.newest = MTime(newest);
        }
        Change::Header => *disk.files.get_mut("a.h").unwrap() = ("H", newest, false),
        Change::HeaderGone => drop(disk.files.remove("a.h")),
        Change::Shadow => disk.shadowed = true,
        Change::Output => disk.files.get_mut("out").unwrap().0 = "O",
        Change::Mode => disk.files.get_mut("out").unwrap().2 = false,
        Change::Inner => disk.files.get_mut("tree/x").unwrap().0 = "X",
        Change::InnerGone => drop(disk.files.remove("tree/x")),
        Change::Directory => disk.directories.clear(),
    }
}

#[test]
fn each_change_is_a_reason() {
    let record = record(&disk());
    for (what, reason) in CHANGES {
        let (mut wanted, mut disk) = (wanted(Times::Never), disk());
        change(what, 30, &mut wanted, &mut disk);
        assert_eq!(outcome(finished(&record), &wanted, &disk), reason, "{what:?}");
    }
}

proptest! {
    /// With a record, nothing but what it says counts, and all of it does, whatever the times are.
    #[test]
    fn up_to_date_exactly_when_nothing_changed(
        changes in prop::collection::btree_set(prop::sample::select(&CHANGES[..]), 0..3),
        untraced in any::<bool>(),
        newest in 0i64..40,
        synthetic in any::<bool>(),
    ) {
        let record = BuildMetadata { synthetic, ..record(&disk()) };
        let times = if untraced { Times::Untraced } else { Times::Never };
        let (mut wanted, mut disk) = (wanted(times), disk());
        wanted.newest = MTime(newest);
        let all = [Change::Header, Change::HeaderGone, Change::Inner, Change::InnerGone];
        prop_assume!(changes.iter().filter(|(what, _)| all.contains(what)).count() < 2);
        for (what, _) in &changes {
            change(*what, newest, &mut wanted, &mut disk);
        }
        let fresh = check(finished(&record), &wanted, &disk);
        prop_assert_eq!(fresh.is_ok(), changes.is_empty());
        if let Ok(fresh) = fresh {
            prop_assert_eq!(fresh.proof, Proof::Record);
            prop_assert_eq!(fresh.record, record.outputs);
            prop_assert_eq!(fresh.mtimes, [MTime(20); 2]);
        }
    }

    /// `--old` excuses inputs while every output is newer than all of them, and nothing else.
    #[test]
    fn old_mode_takes_what_is_newer_than_all_inputs(
        what in prop::sample::select(vec![Change::DepHash, Change::Header, Change::Shadow]),
        output in prop::option::of(prop::sample::select(&CHANGES[4..])),
        newest in 15i64..25,
        synthetic in any::<bool>(),
    ) {
        let record = BuildMetadata { synthetic, ..record(&disk()) };
        let (mut wanted, mut disk) = (wanted(Times::Old), disk());
        change(what, newest, &mut wanted, &mut disk);
        if let Some((what, _)) = output {
            change(what, newest, &mut wanted, &mut disk);
        }
        // What was restored is as new as its trace file.
        let made = if synthetic { 21 } else { 20 };
        let newer = what == Change::Shadow || made > newest;
        let expected = newer && output.is_none();
        let fresh = check(finished(&record), &wanted, &disk);
        prop_assert_eq!(fresh.is_ok(), expected, "{:?}", fresh);
        if let Ok(fresh) = fresh {
            prop_assert_eq!((fresh.proof, fresh.record), (Proof::Times, record.outputs));
        }
    }
}

#[test]
fn old_mode_asks_after_each_discovered_input() {
    let record = record(&disk());
    let (mut wanted, mut disk) = (wanted(Times::Old), disk());
    wanted.dep_hash = dep("two").hash();
    assert_eq!(outcome(finished(&record), &wanted, &disk), "Times true 1");
    // Newer with the same content: nobody knows what of it the outputs have.
    disk.files.get_mut("a.h").unwrap().1 = 30;
    assert_eq!(outcome(finished(&record), &wanted, &disk), "Discovered([\"a.h\"])");
    disk.files.remove("a.h");
    assert_eq!(outcome(finished(&record), &wanted, &disk), "Discovered([\"a.h\"])");
}

#[test]
fn what_was_restored_may_be_left_in_the_store_as_a_whole() {
    for times in [Times::Never, Times::Old] {
        let mut wanted = wanted(times);
        let mut elided = disk();
        let mut record = record(&elided);
        elided.files.retain(|path, _| *path == "a.h");
        elided.directories.clear();
        assert!(outcome(finished(&record), &wanted, &elided).starts_with("OutputMissing"));
        record.synthetic = true;
        assert_eq!(outcome(finished(&record), &wanted, &elided), "Record false 1");
        let mut half = elided.clone();
        half.files.insert("out", ("o", 20, true));
        assert_eq!(outcome(finished(&record), &wanted, &half), "OutputMissing(\"tree/x\")");
        wanted.dep_hash = dep("two").hash();
        let expected = if times == Times::Old { "Times false 1" } else { "Inputs text" };
        assert_eq!(outcome(finished(&record), &wanted, &elided), expected);
        wanted.newest = MTime(21);
        assert_eq!(outcome(finished(&record), &wanted, &elided), "Inputs text");
    }
}

#[test]
fn without_a_record_times_count_only_where_they_may() {
    let file = [Expected::File("out")];
    let disk = disk();
    let cases = [
        (Times::Never, "NotBuilt", "Damaged"),
        (Times::Untraced, "Times true 0", "Damaged"),
        (Times::Old, "Times true 0", "Times true 0"),
    ];
    for (times, absent, damaged) in cases {
        let newer = Wanted { outputs: &file, ..wanted(times) };
        assert_eq!(outcome(TraceFile::Absent, &newer, &disk), absent);
        assert_eq!(outcome(TraceFile::Damaged, &newer, &disk), damaged);
        assert_eq!(outcome(TraceFile::Unfinished, &newer, &disk), "Interrupted");
        // As old as an input, or as the manifest, is not newer.
        for older in [
            Wanted { newest: MTime(20), ..newer },
            Wanted { unrecorded: MTime(20), ..newer },
            // Nobody knows what belongs into a directory.
            wanted(times),
            Wanted { outputs: &[Expected::File("gone")], ..newer },
        ] {
            assert_eq!(outcome(TraceFile::Absent, &older, &disk), "NotBuilt");
            assert_eq!(outcome(TraceFile::Damaged, &older, &disk), "Damaged");
        }
    }
}

#[test]
fn a_record_of_other_outputs_vouches_for_nothing() {
    let record = record(&disk());
    let others: [&[Expected<'_>]; 4] = [
        &[Expected::File("out")],
        &[Expected::File("out"), Expected::File("tree")],
        &[Expected::Directory("tree")],
        &[Expected::File("out"), Expected::Directory("tree"), Expected::File("more")],
    ];
    for outputs in others {
        for times in [Times::Never, Times::Untraced, Times::Old] {
            let wanted = Wanted { outputs, ..wanted(times) };
            assert_eq!(outcome(finished(&record), &wanted, &disk()), "NotBuilt");
        }
    }
}
