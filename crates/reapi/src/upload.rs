//! What a command that ran here left, as a server's action cache keeps it: as if it had run there.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    time::{Duration, SystemTime},
};

use larder_engine::{
    action::Action,
    executor::{Bench, Execution},
};
use prost::Message;

use crate::{
    blobs::Blob,
    digest::Digest,
    files::Files,
    layout::Names,
    request::{Request, Written, sums},
    times::Times,
    tree::{File, Tree},
    wire::{protobuf, re},
};

/// A result, and the contents that it names.
pub struct Kept {
    /// The result.
    pub result: re::ActionResult,
    /// The contents.
    pub blobs: Vec<Blob>,
}

/// Returns the result of an action that succeeded here, whose outputs lie in the bench's staging directory.
///
/// # Errors
/// An output is not there, or is none that a server can keep.
pub fn kept(
    action: &Action,
    bench: &Bench<'_>,
    request: &Request,
    execution: &Execution,
    files: &Files,
) -> Result<Kept, String> {
    let names = Names::new(bench, &action.package, None);
    let mut kept = Kept { result: re::ActionResult::default(), blobs: Vec::new() };
    for written in &request.outputs {
        let path = written.path().to_owned();
        match written {
            Written::Output(number, _) => {
                let output = &action.outputs[*number];
                let staged = bench.staged(output);
                match output.directory {
                    true => kept.directory(path, &staged, files)?,
                    false => kept.file(path, &staged, files)?,
                }
            }
            Written::Depfile(_) | Written::LinkerDepfile(_) => {
                let read = execution.discovered.iter().map(|file| names.there(file));
                kept.text(path, depfile(read));
            }
        }
    }
    let printed = names.text_there(&execution.printed);
    kept.result.stdout_digest = Some(kept.add(printed.into_bytes()).to_wire());
    let mut told = Times::of_cost(&execution.cost).told();
    if request.system.is_none() {
        let mut system = BTreeMap::new();
        for file in &execution.discovered {
            let path = bench.places.absolute(file);
            let name = names.there(file);
            if name.starts_with('/') && !name.starts_with("/proc/") {
                let digest = files.file(&path).map_err(|error| format!("{name}: {error}"))?;
                system.insert(name, digest.blob.digest);
            }
        }
        told += &sums(&system);
    }
    kept.result.stderr_digest = Some(kept.add(told.into_bytes()).to_wire());
    let ended = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    kept.result.execution_metadata = Some(re::ExecutedActionMetadata {
        worker: "larder".to_owned(),
        execution_start_timestamp: Some(timestamp(ended.saturating_sub(execution.cost.wall))),
        execution_completed_timestamp: Some(timestamp(ended)),
        ..Default::default()
    });
    Ok(kept)
}

/// Returns a time since 1970 as messages have it.
fn timestamp(time: Duration) -> protobuf::Timestamp {
    protobuf::Timestamp {
        seconds: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        nanos: time.subsec_nanos().cast_signed(),
    }
}

impl Kept {
    fn add(&mut self, bytes: Vec<u8>) -> Digest {
        let blob = Blob::of_bytes(bytes);
        let digest = blob.digest;
        self.blobs.push(blob);
        digest
    }

    fn text(&mut self, path: String, text: String) {
        let digest = Some(self.add(text.into_bytes()).to_wire());
        self.result.output_files.push(re::OutputFile { path, digest, ..Default::default() });
    }

    /// Adds a file whose bytes are read now: where it is staged it will not stay.
    fn file(&mut self, path: String, staged: &Path, files: &Files) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("{}: {error}", staged.display());
        let metadata = staged.symlink_metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(format!("{} is no file", staged.display()));
        }
        let is_executable = metadata.permissions().mode() & 0o111 != 0;
        let blob = files.file(staged).map_err(failed)?.blob;
        let digest = Some(blob.digest.to_wire());
        self.blobs.push(blob);
        self.result.output_files.push(re::OutputFile {
            path,
            digest,
            is_executable,
            ..Default::default()
        });
        Ok(())
    }

    fn directory(&mut self, path: String, staged: &Path, files: &Files) -> Result<(), String> {
        let mut tree = Tree::default();
        gather(staged, "", &mut tree, files)?;
        let mut blobs = Vec::new();
        let message = tree.message(&mut blobs);
        self.blobs.extend(blobs);
        let tree_digest = Some(self.add(message.encode_to_vec()).to_wire());
        let directory = re::OutputDirectory { path, tree_digest, ..Default::default() };
        self.result.output_directories.push(directory);
        Ok(())
    }
}

fn gather(directory: &Path, inside: &str, tree: &mut Tree, files: &Files) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", directory.display());
    tree.directory(inside);
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let name = name.to_str().ok_or("a name is not UTF-8")?;
        let path = if inside.is_empty() { name.to_owned() } else { format!("{inside}/{name}") };
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() {
            gather(&entry.path(), &path, tree, files)?;
        } else if kind.is_file() {
            let file: File = files.file(&entry.path()).map_err(failed)?;
            tree.insert(&path, file);
        } else {
            return Err(format!("{} is neither a file nor a directory", entry.path().display()));
        }
    }
    Ok(())
}

/// Returns a list of files as compilers and linkers write it: with an empty rule for each, by which names with blanks
/// are told apart.
fn depfile(names: impl Iterator<Item = String>) -> String {
    let names: Vec<String> =
        names.map(|name| name.replace('$', "$$").replace(' ', "\\ ").replace('#', "\\#")).collect();
    let mut text = "output:".to_owned();
    names.iter().for_each(|name| _ = write!(text, " \\\n  {name}"));
    text.push('\n');
    names.iter().for_each(|name| _ = write!(text, "\n{name}:\n"));
    text
}

#[cfg(test)]
mod tests {
    use larder_engine::depfile::{parse, parse_linker};

    #[test]
    fn both_kinds_of_depfiles_are_read_back() {
        let names = ["a b.h", "/usr/x#y", "c$d.o"].map(str::to_owned);
        let text = super::depfile(names.iter().cloned());
        assert_eq!(parse(&text), names);
        assert_eq!(parse_linker(&text), ["/usr/x#y", "a b.h", "c$d.o"]);
    }
}
