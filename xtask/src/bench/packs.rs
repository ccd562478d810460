//! Packs against `tar` piped to `zstd -3`: time, size, and reading one artifact.

use std::{
    error::Error,
    fs::{self, File},
    num::NonZeroUsize,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use larder_store::pack::{self, Entry, Limits, Options, Pack};
use larder_trace::ContentHash;

/// Each row is the median of this many rounds, larder and the yardstick taking turns.
const ROUNDS: usize = 7;
/// How many objects are packed.
const OBJECTS: usize = 2_000;
/// How many different artifacts are read, one by one, from the pack just opened.
const READS: usize = 50;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Prints the pack rows: packing, unpacking, size, one artifact. Packs the object files found under
/// `objects`, or the members of the system's static libraries when none is given. `scratch` is an
/// empty directory on a real disk. Needs `tar`, `zstd` and `ar`.
pub fn run(objects: Option<&Path>, scratch: &Path) -> Result<()> {
    let inputs = scratch.join("objects");
    fs::create_dir(&inputs)?;
    let found = match objects {
        Some(directory) => files_under(directory)?,
        None => system_objects(&scratch.join("libraries"))?,
    };
    let mut entries = Vec::new();
    for from in found {
        let content = fs::read(&from)?;
        // Under their own names, as the yardstick's users have them.
        let name =
            format!("{:04}-{}", entries.len(), from.file_name().unwrap_or_default().display());
        let hash = ContentHash::of_bytes(&content);
        if entries.len() < OBJECTS && !entries.iter().any(|entry: &Entry| entry.hash == hash) {
            fs::write(inputs.join(&name), &content)?;
            entries.push(Entry { hash, size: content.len() as u64, hint: name });
        }
    }
    let total: u64 = entries.iter().map(|entry| entry.size).sum();
    println!("packs: {} objects, {:.1} MB", entries.len(), total as f64 / 1e6);

    let (archive, packed) = (scratch.join("objects.tar.zst"), scratch.join("objects.pack"));
    let threads = NonZeroUsize::new(2).ok_or("two is not zero")?;
    let options = Options { threads, ..Options::default() };
    let (mut tar, mut untar, mut pack, mut unpack, mut read) =
        (vec![], vec![], vec![], vec![], vec![]);
    for round in 0..ROUNDS {
        // Deleted only at the end: ext4 is slow to create files just after it has deleted as many.
        let (untarred, unpacked) =
            (scratch.join(format!("untarred-{round}")), scratch.join(format!("unpacked-{round}")));
        fs::create_dir(&untarred)?;
        fs::create_dir(&unpacked)?;
        for first in 0..=u8::MAX {
            fs::create_dir(unpacked.join(format!("{first:02x}")))?;
        }
        tar.push(timed(|| {
            shell("tar -C \"$1\" --sort=name -cf - . | zstd -3 -q -f -o \"$2\"", &inputs, &archive)
        })?);
        pack.push(timed(|| {
            let open = |entry: &Entry| File::open(inputs.join(&entry.hint));
            pack::create(&packed, entries.clone(), open, None, &options, |_| {})?;
            Ok(())
        })?);
        untar.push(timed(|| shell("zstd -dc \"$1\" | tar -C \"$2\" -xf -", &archive, &untarred))?);
        unpack.push(timed(|| unpack_into(&packed, &unpacked, threads))?);
        if files_under(&unpacked)?.len() != entries.len() {
            return Err("not every artifact came out of the pack".into());
        }
        for entry in entries.iter().step_by(entries.len().div_ceil(READS)) {
            read.push(timed(|| {
                let pack = Pack::open(&packed, &Limits::default())?;
                pack.read(&entry.hash)?.ok_or("an artifact is missing from the pack")?;
                Ok(())
            })?);
        }
    }
    let (tar, untar, pack, unpack) = (median(tar), median(untar), median(pack), median(unpack));
    row("pack: time", "ms", millis(pack), millis(tar), 1.0);
    row("unpack: time", "ms", millis(unpack), millis(untar), 1.0);
    row("pack: size", "MB", megabytes(&packed)?, megabytes(&archive)?, 1.0);
    row(
        "one artifact, against unpacking all",
        "ms",
        millis(median(read)),
        millis(unpack),
        1.0 / 50.0,
    );
    Ok(())
}

/// As the store does it: every artifact under a temporary name in its directory, all renamed when all
/// are verified.
fn unpack_into(packed: &Path, out: &Path, threads: NonZeroUsize) -> Result<()> {
    let pack = Pack::open(packed, &Limits::default())?;
    let path = |hash: &ContentHash, prefix: &str| {
        let name = hash.to_string();
        out.join(&name[..2]).join(format!("{prefix}{name}"))
    };
    let place = |artifact: &pack::Artifact| File::create_new(path(&artifact.hash, ".")).map(Some);
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
            let directory = scratch.join(library.file_name().ok_or("a library without a name")?);
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

fn shell(script: &str, first: &Path, second: &Path) -> Result<()> {
    let status = Command::new("sh").args(["-c", script, "sh"]).arg(first).arg(second).status()?;
    if status.success() { Ok(()) } else { Err(format!("`{script}` failed: {status}").into()) }
}

fn timed(work: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn megabytes(file: &Path) -> Result<f64> {
    Ok(fs::metadata(file)?.len() as f64 / 1e6)
}

fn row(work: &str, unit: &str, ours: f64, yardstick: f64, limit: f64) {
    let ratio = ours / yardstick;
    let verdict = if ratio <= limit { "met" } else { "MISSED" };
    println!(
        "{work:<36} {ours:>8.2} {unit}  {yardstick:>8.2} {unit}  {ratio:>6.3} of {limit:<5} {verdict}"
    );
}
