//! A commit that changes one object of many: the bytes it leaves on a service, and the requests that it
//! takes to put and to get it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use larder_store::{Mappings, staging::MAPPINGS_NAME};
use larder_trace::{ContentHash, OutputFile, Outputs};

use super::{
    harness::{Bench, Row, Unit, remove, time},
    services::{Server, content},
};

const OBJECTS: usize = 4_000;
const COMMITS: usize = 36;
const SIZE: usize = 3 << 10;
/// The most that a commit may leave on the service, in bytes.
const BYTES: f64 = (64 << 10) as f64;
/// The most requests that a commit may take, each way.
const REQUESTS: f64 = 12.0;

/// Puts one commit after another, each with one object changed, and gets each elsewhere. What counts
/// is the commit that took most.
pub fn commits(bench: &Bench, name: &str) -> Result<Vec<Row>> {
    let scratch = bench.directory.join("commits");
    remove(&scratch)?;
    let (staged, service) = (scratch.join("staged"), scratch.join("service"));
    fs::create_dir_all(&staged)?;
    fs::create_dir_all(&service)?;
    let server = Server::start(&scratch, std::time::Duration::ZERO)?;
    let config = scratch.join("config.toml");
    let url = format!("http://{}/service", server.address);
    fs::write(&config, format!("[[cache.service]]\nname = \"near\"\nurl = \"{url}\"\n"))?;
    bench.clear_store()?;
    let larder = |arguments: &[&str], rev: &str| -> Command {
        let mut command = bench.larder();
        command.env("LARDER_CONFIG", &config).current_dir(&scratch).args(["--quiet", "cache"]);
        command.args(arguments).args(["--rev", rev, "--scope", "bench"]);
        command
    };
    let staged_name = staged.display().to_string();
    let mut outputs: Vec<Outputs> =
        (0..OBJECTS).map(|number| object(&staged, number, 0)).collect::<Result<_>>()?;
    let (mut bytes, mut puts, mut gets) = (0, 0, 0);
    for commit in 0..=COMMITS {
        if commit > 0 {
            let changed = commit * (OBJECTS / COMMITS) % OBJECTS;
            fs::remove_file(staged.join(outputs[changed].outputs[0].hash.to_string()))?;
            outputs[changed] = object(&staged, changed, commit)?;
        }
        let mappings: Mappings = outputs
            .iter()
            .map(|outputs| (dep_hash(&outputs.outputs[0]), outputs.clone()))
            .collect();
        mappings.write(&staged.join(MAPPINGS_NAME))?;
        let (rev, before) = (format!("v{commit}"), size(&service)?);
        server.requests();
        time(&mut larder(&["put-staged", &staged_name], &rev))?;
        let put = server.requests();
        time(&mut larder(&["get"], &rev))?;
        let get = server.requests();
        if commit > 0 {
            bytes = bytes.max(size(&service)?.saturating_sub(before));
            (puts, gets) = (puts.max(put), gets.max(get));
        }
    }
    let row = |ending: &str, what: &str, unit: Unit, ours: f64, theirs: f64| Row {
        name: format!("{name}-{ending}"),
        work: format!("{COMMITS} commits of one changed object among {OBJECTS}: {what}"),
        yardstick: "at most".to_owned(),
        unit,
        ours,
        theirs,
        limit: 1.0,
    };
    remove(&scratch)?;
    Ok(vec![
        row("bytes", "most bytes of one on the service", Unit::Bytes, bytes as f64, BYTES),
        row("puts", "most requests to put one", Unit::Requests, puts as f64, REQUESTS),
        row("gets", "most requests to get one", Unit::Requests, gets as f64, REQUESTS),
    ])
}

/// Writes an object as it is after a commit. Returns its description.
fn object(staged: &Path, number: usize, commit: usize) -> Result<Outputs> {
    let mut content = content(number + commit * OBJECTS);
    content.truncate(SIZE);
    let hash = ContentHash::of_bytes(&content);
    let path = staged.join(hash.to_string());
    fs::write(&path, &content).with_context(|| format!("cannot write {}", path.display()))?;
    let size = content.len() as u64;
    let path = format!("lib{}/object{number}.o", number % 40);
    let file = OutputFile { path, hash, size, executable: false };
    Ok(Outputs { outputs: vec![file], ..Outputs::default() })
}

fn dep_hash(file: &OutputFile) -> ContentHash {
    ContentHash::of_bytes(format!("{} {}", file.path, file.hash).as_bytes())
}

/// Bytes of all files below `directory`.
fn size(directory: &PathBuf) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { size(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}
