//! What came of an action on the other machine, taken over as if it had run here: outputs where they are staged, and what
//! it printed, read and cost.

use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    time::Duration,
};

use bytes::Bytes;
use larder_engine::{
    action::{Action, MayRead},
    depfile,
    executor::{Bench, Execution, Ran, command_line},
    process::{Cost, Exit},
};
use larder_project::path::RootPath;
use prost::Message;

use crate::{
    client::Client,
    digest::Digest,
    error::Error,
    fetch::{Contents, verified},
    files::Files,
    layout::Names,
    request::{Request, Written},
    times::Times,
    wire::{protobuf, re},
};

/// Larger outputs are written into their files as they come.
const IN_MEMORY: u64 = 2 << 20;

/// Why a result is of no use.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// Its contents cannot be had.
    #[error(transparent)]
    Server(#[from] Error),
    /// It is not what the action makes.
    #[error("{0}")]
    Wrong(String),
}

fn wrong<T>(reason: impl Into<String>) -> Result<T, Unusable> {
    Err(Unusable::Wrong(reason.into()))
}

/// A result that has all that the action writes.
struct Complete {
    /// Files by where they are staged below the staging directory.
    files: Vec<(String, Digest, bool)>,
    /// The depfiles.
    depfiles: Vec<(Written, Digest)>,
}

/// Takes over what came of `request`.
pub struct Taking<'a> {
    /// The server.
    pub client: &'a Client,
    /// Digests of files here.
    pub files: &'a Files,
    /// What was asked for.
    pub action: &'a Action,
    /// Where its outputs go.
    pub bench: &'a Bench<'a>,
    /// How it was asked for.
    pub request: &'a Request,
}

impl Taking<'_> {
    /// Returns how the action went: with success, or this is no result.
    ///
    /// # Errors
    /// The action failed, something is missing, is not what its name says, or leads out of where it belongs; or what
    /// it read there is other than here.
    pub async fn take(&self, result: &re::ActionResult, ran: Ran) -> Result<Execution, Unusable> {
        if result.exit_code != 0 {
            return wrong(format!("it ended with exit code {} there", result.exit_code));
        }
        let mut wanted = Vec::new();
        let printed = said(&result.stdout_raw, result.stdout_digest.as_ref(), &mut wanted)?;
        let told = said(&result.stderr_raw, result.stderr_digest.as_ref(), &mut wanted)?;
        let complete = self.complete(result).await?;
        let (small, large): (Vec<_>, Vec<_>) =
            complete.files.iter().partition(|(_, digest, _)| digest.size <= IN_MEMORY);
        wanted.extend(small.iter().map(|(_, digest, _)| *digest));
        wanted.extend(complete.depfiles.iter().map(|(_, digest)| *digest));
        let mut contents = inlined(result);
        wanted.retain(|digest| !contents.contains_key(digest));
        contents.extend(self.client.fetch(&wanted).await?);
        let text = |said: Said| -> Result<String, Unusable> {
            let bytes = match said {
                Said::Raw(bytes) => bytes,
                Said::Content(digest) => found(&contents, digest)?.to_vec(),
            };
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        let (printed, told) = (text(printed)?, text(told)?);
        if printed.len() > self.action.limits.output {
            return wrong("it printed more than is kept");
        }
        let root = told.lines().find_map(|line| line.strip_prefix("R="));
        let names = Names::new(self.bench, &self.action.package, root);
        let mut discovered = Vec::new();
        for (depfile, digest) in &complete.depfiles {
            let bytes = found(&contents, *digest)?;
            let Ok(text) = std::str::from_utf8(&bytes) else {
                return wrong("it read a file whose name is not UTF-8");
            };
            let parse = match depfile {
                Written::LinkerDepfile(_) => depfile::parse_linker,
                _ => depfile::parse,
            };
            let read = parse(text);
            self.check_system(&read, &told)?;
            for name in &read {
                let Some(file) = names.file(name) else { continue };
                let leads_out = file.as_str().starts_with('/')
                    && self
                        .bench
                        .places
                        .portable(self.bench.place, &file)
                        .as_str()
                        .starts_with('/');
                if leads_out && (!name.starts_with('/') || name.starts_with("/proc/")) {
                    return wrong(format!("it says that it read {name}, which it was not given"));
                }
                discovered.push(file);
            }
        }
        self.check_discovered(&discovered, &complete)?;
        for (path, digest, executable) in small {
            let bytes = found(&contents, *digest)?;
            self.create(path, *executable)
                .and_then(|mut file| file.write_all(&bytes))
                .map_err(|error| self.unwritten(path, &error))?;
        }
        for (path, digest, executable) in large {
            let file = self.create(path, *executable);
            let file = file.map_err(|error| self.unwritten(path, &error))?;
            let fetched = self.client.fetch_into(*digest, file).await?;
            fetched.map_err(|error| self.unwritten(path, &error))?;
        }
        Ok(Execution {
            ran,
            exit: Exit::Code(0),
            printed: names.text(&printed),
            discovered,
            silent: false,
            refusals: Vec::new(),
            cost: cost(result, &told),
            command_line: command_line(self.action, self.bench)
                .map_err(|error| Unusable::Wrong(error.to_string()))?,
        })
    }

    /// Returns where all is that the action writes.
    async fn complete(&self, result: &re::ActionResult) -> Result<Complete, Unusable> {
        let by_path: HashMap<&str, &re::OutputFile> =
            result.output_files.iter().map(|file| (file.path.as_str(), file)).collect();
        let trees: HashMap<&str, &re::OutputDirectory> =
            result.output_directories.iter().map(|tree| (tree.path.as_str(), tree)).collect();
        let mut complete = Complete { files: Vec::new(), depfiles: Vec::new() };
        for written in &self.request.outputs {
            let path = written.path();
            let Written::Output(number, _) = written else {
                let Some(file) = by_path.get(path) else { return wrong("it has no depfile") };
                complete.depfiles.push((written.clone(), digest(file.digest.as_ref())?));
                continue;
            };
            let output = &self.action.outputs[*number];
            let staged = self.bench.staged_name(output);
            if output.directory {
                let Some(tree) = trees.get(path) else { return wrong("it has not all outputs") };
                self.walk(digest(tree.tree_digest.as_ref())?, staged, &mut complete).await?;
            } else {
                let Some(file) = by_path.get(path) else { return wrong("it has not all outputs") };
                let digest = digest(file.digest.as_ref())?;
                complete.files.push((staged.to_owned(), digest, file.is_executable));
            }
        }
        Ok(complete)
    }

    /// Adds the files of a directory that the action wrote.
    async fn walk(
        &self,
        tree: Digest,
        staged: &str,
        complete: &mut Complete,
    ) -> Result<(), Unusable> {
        let contents = self.client.fetch(&[tree]).await?;
        let bytes = found(&contents, tree)?;
        let Ok(tree) = re::Tree::decode(&*bytes) else { return wrong("its directory is none") };
        let children: HashMap<Digest, &re::Directory> =
            tree.children.iter().map(|child| (Digest::of_message(child).0, child)).collect();
        let root = tree.root.unwrap_or_default();
        let mut open = vec![(staged.to_owned(), &root)];
        while let Some((path, directory)) = open.pop() {
            if !directory.symlinks.is_empty() {
                return wrong("its output has symbolic links");
            }
            make_directory(&self.bench.staging.join(&path))?;
            for file in &directory.files {
                let inside = format!("{path}/{}", name(&file.name)?);
                complete.files.push((inside, digest(file.digest.as_ref())?, file.is_executable));
            }
            for inner in &directory.directories {
                let digest = digest(inner.digest.as_ref())?;
                let Some(child) = children.get(&digest) else {
                    return wrong("its directory lacks another");
                };
                open.push((format!("{path}/{}", name(&inner.name)?), child));
            }
        }
        Ok(())
    }

    /// Sees that the system's files which it read there are those that are here.
    fn check_system(&self, read: &[String], told: &str) -> Result<(), Unusable> {
        let reported: BTreeMap<&str, &str> = told
            .lines()
            .filter_map(|line| line.split_once("  "))
            .filter(|(hash, _)| hash.len() == 64)
            .map(|(hash, path)| (path, hash))
            .collect();
        for path in read.iter().filter(|path| path.starts_with('/') && !path.starts_with("/proc/"))
        {
            let here = match &self.request.system {
                Some(system) if system.contains_key(path.as_str()) => continue,
                // Its directory may be named by a link.
                Some(system) => {
                    let real = fs::canonicalize(Path::new(path).parent().unwrap_or(Path::new("/")));
                    let name = path.rsplit('/').next().unwrap_or_default();
                    let real = real.ok().map(|real| real.join(name));
                    match real.and_then(|real| system.get(&*real.to_string_lossy()).copied()) {
                        Some(_) => continue,
                        None => {
                            return wrong(format!("it read {path} there, which nobody expected"));
                        }
                    }
                }
                None => self.files.file(Path::new(path)).ok().map(|file| file.blob.digest.hex()),
            };
            if here.as_deref() != reported.get(path.as_str()).copied() || here.is_none() {
                return wrong(format!("{path} is another file there"));
            }
        }
        Ok(())
    }

    /// Sees that it read what it was to read, and nothing of the packages that it was not given.
    fn check_discovered(
        &self,
        discovered: &[RootPath],
        complete: &Complete,
    ) -> Result<(), Unusable> {
        let name = |path: &RootPath| self.bench.places.portable(self.bench.place, path);
        let reads_inputs =
            discovered.iter().any(|path| self.action.inputs.contains_key(&name(path)));
        if !complete.depfiles.is_empty() && !self.action.inputs.is_empty() && !reads_inputs {
            return wrong("it says that it read none of its inputs");
        }
        let MayRead::These(may_read) = &self.action.may_read else { return Ok(()) };
        for path in discovered {
            let portable = self.bench.places.portable(self.bench.place, path);
            let known = self.action.inputs.contains_key(&portable)
                || may_read.contains(&portable)
                || portable.as_str().starts_with('/');
            if !known {
                return wrong(format!("it says that it read {portable}, which it was not given"));
            }
        }
        Ok(())
    }

    /// Makes an empty file below the staging directory, as a tool makes it: the mask of this process takes away what it
    /// does not want.
    fn create(&self, path: &str, executable: bool) -> io::Result<File> {
        let target = self.bench.staging.join(path);
        if let Some(parent) = target.parent().filter(|parent| *parent != self.bench.staging) {
            fs::create_dir_all(parent)?;
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(if executable { 0o777 } else { 0o666 });
        options.open(&target).or_else(|error| match error.kind() {
            // Part of an attempt before.
            io::ErrorKind::AlreadyExists => {
                fs::remove_file(&target)?;
                options.open(&target)
            }
            _ => Err(error),
        })
    }

    fn unwritten(&self, path: &str, error: &io::Error) -> Unusable {
        Unusable::Wrong(format!("{}: {error}", self.bench.staging.join(path).display()))
    }
}

fn make_directory(path: &Path) -> Result<(), Unusable> {
    let made = fs::create_dir_all(path);
    made.map_err(|error| Unusable::Wrong(format!("{}: {error}", path.display())))
}

/// Something that was printed.
enum Said {
    Raw(Vec<u8>),
    Content(Digest),
}

fn said(
    raw: &[u8],
    content: Option<&re::Digest>,
    wanted: &mut Vec<Digest>,
) -> Result<Said, Unusable> {
    match content {
        Some(content) if raw.is_empty() && content.size_bytes != 0 => {
            let digest = digest(Some(content))?;
            wanted.push(digest);
            Ok(Said::Content(digest))
        }
        _ => Ok(Said::Raw(raw.to_vec())),
    }
}

fn digest(wire: Option<&re::Digest>) -> Result<Digest, Unusable> {
    let digest = wire.and_then(Digest::parse);
    digest.ok_or_else(|| Unusable::Wrong("it names a content by no digest".to_owned()))
}

/// Returns the contents that came with a result, whose bytes are those of their names.
fn inlined(result: &re::ActionResult) -> Contents {
    let mut contents = Contents::new();
    for file in result.output_files.iter().filter(|file| !file.contents.is_empty()) {
        if let Some(digest) = file.digest.as_ref().and_then(Digest::parse) {
            // Others are fetched as if nothing had come.
            let _ = verified(digest, file.contents.clone().into(), &mut contents);
        }
    }
    contents
}

fn found(contents: &Contents, digest: Digest) -> Result<Bytes, Unusable> {
    let content = contents.get(&digest).cloned();
    content.ok_or_else(|| Unusable::Server(Error::Missing(vec![digest])))
}

/// Returns the name of something in a directory, which leads nowhere else.
fn name(name: &str) -> Result<&str, Unusable> {
    match name {
        "" | "." | ".." => wrong("its directory has a name that leads out of it"),
        name if name.contains(['/', '\0']) => {
            wrong("its directory has a name that leads out of it")
        }
        name => Ok(name),
    }
}

/// Returns what an action cost there, as far as the server and its script say: not how much memory.
fn cost(result: &re::ActionResult, told: &str) -> Cost {
    let metadata = result.execution_metadata.clone().unwrap_or_default();
    let at = |time: &protobuf::Timestamp| {
        Duration::new(
            u64::try_from(time.seconds).unwrap_or(0),
            u32::try_from(time.nanos).unwrap_or(0),
        )
    };
    let begun = metadata.execution_start_timestamp.as_ref().map(at);
    let ended = metadata.execution_completed_timestamp.as_ref().map(at);
    let wall = begun.zip(ended).and_then(|(begun, ended)| ended.checked_sub(begun));
    let Times { user, system } = Times::of(told).unwrap_or_default();
    Cost { wall: wall.unwrap_or_default(), user, system, peak_memory: 0 }
}
