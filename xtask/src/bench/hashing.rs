//! Hashing many files, against b3sum.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::harness::{Bench, Row, alternate, remove, time};
use crate::cargo;

const FILES: usize = 10_000;
const TOTAL: usize = 1 << 30;

/// 1 GiB in 10,000 files, as inputs of one command, with nothing known of them.
pub fn hash(bench: &Bench, name: &str) -> Result<Vec<Row>> {
    let directory = bench.directory.join("files");
    let files = generate(&directory)?;
    let clean = || remove(&directory.join(".larder"));
    let ours = || {
        let mut command = bench.larder();
        command.current_dir(&directory).args(["--quiet", "build", "-j2"]);
        command
    };
    let theirs = || {
        let mut command = Command::new("b3sum");
        command.current_dir(&directory).args(&files);
        command
    };
    clean()?;
    time(&mut ours())?;
    compare(&directory, &cargo::capture(&mut theirs())?)?;
    let medians = alternate(bench.runs, |_| clean(), || time(&mut ours()), || time(&mut theirs()))?;
    Ok(vec![medians.row(name, "hashing 1 GiB in 10,000 files", "b3sum", 1.1)])
}

fn generate(directory: &Path) -> Result<Vec<PathBuf>> {
    let files: Vec<PathBuf> = (0..FILES)
        .map(|file| PathBuf::from(format!("files/{:02}/{:02}.bin", file / 100, file % 100)))
        .collect();
    let done = directory.join("generated");
    if done.exists() {
        return Ok(files);
    }
    remove(directory)?;
    let mut state = 1_u64;
    for file in &files {
        let path = directory.join(file);
        fs::create_dir_all(path.parent().unwrap_or(directory))?;
        let mut content = Vec::with_capacity(TOTAL / FILES);
        while content.len() < TOTAL / FILES {
            // SplitMix64: bytes that no file system can shrink.
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut word = state;
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            content.extend_from_slice(&(word ^ (word >> 31)).to_le_bytes());
        }
        fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let manifest = "[package]\nname = \"files\"\nversion = \"1.0.0\"\n\n\
         [[command]]\nname = \"hashed\"\ninputs = [\"files/**/*.bin\"]\noutputs = [\"done\"]\n\
         run = [\"touch\", \"{out}\"]\n";
    fs::write(directory.join("larder.toml"), manifest)?;
    fs::write(done, "")?;
    Ok(files)
}

/// Sees that the trace names the hash of every file.
fn compare(directory: &Path, sums: &str) -> Result<()> {
    let path = directory.join(".larder/build/done.trace");
    let trace =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let known: BTreeSet<&str> =
        trace.split(|c: char| !c.is_ascii_hexdigit()).filter(|word| word.len() == 64).collect();
    match sums.lines().find(|line| !known.contains(line.split(' ').next().unwrap_or_default())) {
        Some(line) => bail!("larder's trace does not have what b3sum says: {line}"),
        None => Ok(()),
    }
}
