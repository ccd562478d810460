//! Packs against `tar` piped to `zstd -3`: time, size, and reading one artifact.

use std::{
    cell::Cell,
    fs::{self, File},
    num::NonZeroUsize,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use larder_store::pack::{self, Entry, Limits, Options, Pack};
use larder_trace::ContentHash;

use super::harness::{Bench, Row, Unit, alternate, median, remove, time};

/// How many objects are packed.
const OBJECTS: usize = 2_000;
/// How many different artifacts are read, one by one, each from the pack just opened.
const READS: usize = 50;

/// Packs members of the system's static libraries: objects of many sizes, as real packages have them.
pub fn pack(bench: &Bench, name: &str) -> Result<Vec<Row>> {
    let scratch = bench.directory.join("packs");
    remove(&scratch)?;
    let inputs = scratch.join("objects");
    fs::create_dir_all(&inputs)?;
    let entries = choose(system_objects(&scratch.join("libraries"))?, &inputs)?;
    let (archive, packed) = (scratch.join("objects.tar.zst"), scratch.join("objects.pack"));
    let threads = NonZeroUsize::MIN.saturating_add(1);
    let options = Options { threads, ..Options::default() };

    let packing = alternate(
        bench.runs,
        |_| Ok(()),
        || {
            timed(|| {
                let open = |entry: &Entry| File::open(inputs.join(&entry.hint));
                pack::create(&packed, entries.clone(), open, None, &options, |_| {})?;
                Ok(())
            })
        },
        || shell("tar -C \"$1\" --sort=name -cf - . | zstd -3 -q -f -o \"$2\"", &inputs, &archive),
    )?;
    // Deleted only at the end: ext4 is slow to create files just after it has deleted as many.
    let round = Cell::new(0);
    let directory = |side: &str| scratch.join(format!("{side}-{}", round.get()));
    let unpacking = alternate(
        bench.runs,
        |number| {
            round.set(number);
            fs::create_dir(directory("untarred"))?;
            for first in 0..=u8::MAX {
                fs::create_dir_all(directory("unpacked").join(format!("{first:02x}")))?;
            }
            Ok(())
        },
        || timed(|| unpack_into(&packed, &directory("unpacked"), threads)),
        || shell("zstd -dc \"$1\" | tar -C \"$2\" -xf -", &archive, &directory("untarred")),
    )?;
    if files_under(&directory("unpacked"))?.len() != entries.len() {
        bail!("not every artifact came out of the pack");
    }
    let mut reads = Vec::new();
    for entry in entries.iter().step_by(entries.len().div_ceil(READS)) {
        reads.push(timed(|| {
            let pack = Pack::open(&packed, &Limits::default())?;
            pack.read(&entry.hash)?.context("an artifact is missing from the pack")?;
            Ok(())
        })?);
    }
    let total: u64 = entries.iter().map(|entry| entry.size).sum();
    let what = format!("{} artifacts of {:.1} MiB", entries.len(), total as f64 / 1_048_576.0);
    let rows = vec![
        packing.row(name, &format!("packing {what}"), "tar, zstd -3", 1.0),
        unpacking.row(&format!("un{name}"), &format!("unpacking {what}"), "zstd, tar", 1.0),
        Row {
            name: format!("{name}-size"),
            work: format!("size of {what}"),
            yardstick: "tar, zstd -3".to_owned(),
            unit: Unit::Bytes,
            ours: fs::metadata(&packed)?.len() as f64,
            theirs: fs::metadata(&archive)?.len() as f64,
            limit: 1.0,
        },
        Row {
            name: format!("{name}-read"),
            work: "reading one artifact of the pack".to_owned(),
            yardstick: "unpacking all".to_owned(),
            unit: Unit::Seconds,
            ours: median(reads),
            theirs: unpacking.ours,
            limit: 1.0 / 50.0,
        },
    ];
    remove(&scratch)?;
    Ok(rows)
}

/// Copies different objects to `inputs`, under their own names, as the yardstick's users have them.
fn choose(found: Vec<PathBuf>, inputs: &Path) -> Result<Vec<Entry>> {
    let mut entries: Vec<Entry> = Vec::new();
    for from in found {
        let content = fs::read(&from)?;
        let hint =
            format!("{:04}-{}", entries.len(), from.file_name().unwrap_or_default().display());
        let hash = ContentHash::of_bytes(&content);
        if entries.len() < OBJECTS && !entries.iter().any(|entry| entry.hash == hash) {
            fs::write(inputs.join(&hint), &content)?;
            entries.push(Entry { hash, size: content.len() as u64, hint });
        }
    }
    Ok(entries)
}

/// As the store does it: every artifact under a temporary name in its directory, all renamed when all
/// are verified.
fn unpack_into(packed: &Path, out: &Path, threads: NonZeroUsize) -> Result<()> {
    let pack = Pack::open(packed, &Limits::default())?;
    let path = |hash: &ContentHash, prefix: &str| {
        let name = hash.to_string();
        out.join(&name[..2]).join(format!("{prefix}{name}"))
    };
    let place = |artifact: &pack::Member| File::create_new(path(&artifact.hash, ".")).map(Some);
    pack.unpack(threads, place, |_| {})?;
    for artifact in pack.index().artifacts() {
        fs::rename(path(&artifact.hash, "."), path(&artifact.hash, ""))?;
    }
    Ok(())
}

/// Unpacks the system's static libraries, in order of name, until there are enough objects.
fn system_objects(scratch: &Path) -> Result<Vec<PathBuf>> {
    let mut objects = Vec::new();
    for library in files_under(Path::new("/usr/lib"))? {
        if library.extension().is_some_and(|extension| extension == "a") {
            let directory = scratch.join(library.file_name().unwrap_or_default());
            fs::create_dir_all(&directory)?;
            // Some `.a` files are linker scripts: no objects come out of those.
            Command::new("ar")
                .arg("x")
                .arg(&library)
                .current_dir(&directory)
                .stderr(Stdio::null())
                .status()?;
            objects.extend(files_under(&directory)?);
            if objects.len() > 2 * OBJECTS {
                break;
            }
        }
    }
    Ok(objects)
}

/// Every regular file below `directory`, sorted by path.
fn files_under(directory: &Path) -> Result<Vec<PathBuf>> {
    let (mut files, mut directories) = (Vec::new(), vec![directory.to_owned()]);
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            match entry.file_type()? {
                kind if kind.is_dir() => directories.push(entry.path()),
                kind if kind.is_file() => files.push(entry.path()),
                _ => {}
            }
        }
    }
    files.sort();
    Ok(files)
}

fn shell(script: &str, first: &Path, second: &Path) -> Result<Duration> {
    time(Command::new("sh").args(["-c", script, "sh"]).arg(first).arg(second))
}

fn timed(work: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed())
}
