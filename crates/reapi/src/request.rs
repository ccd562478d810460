//! An action as a server takes it: a command, the files that it reads, and what it writes.
//!
//! The digest of all that is the key: the same wherever the build directory lies.

use std::{collections::BTreeMap, fs, path::Path};

use larder_engine::{
    action::{Action, Discovery, MayRead, Program, Variable},
    executor::{Bench, ExecuteError},
    process::response_text,
};
use larder_project::path::PortablePath;
use prost::Message as _;

use crate::{
    blobs::Blob,
    digest::Digest,
    files::Files,
    layout::{FILES, Layout, OUTPUTS, PACKAGE, TEMPORARY, Where},
    script::{Script, first, script},
    toolchain::System,
    tree::{File, Tree},
    wire::{protobuf, re},
    words::{DEPFILE, LINKER_DEPFILE, Renderer, Word},
};

/// The exit code of a command that found another system there than here.
pub const OTHER_SYSTEM: i32 = 121;

/// Longer command lines are files: systems take 128 KiB in one argument.
const LONGEST: usize = 96 << 10;

/// What programs are looked for in, besides where those of the action are.
const PROGRAMS: &[&str] = &["/usr/local/bin", "/usr/bin", "/bin"];

/// An action as a server takes it.
#[derive(Debug)]
pub struct Request {
    /// Its key.
    pub digest: Digest,
    /// All contents that it needs there, the messages among them.
    pub blobs: Vec<Blob>,
    /// What it writes, from the directory that it runs in: files first, then directories.
    pub outputs: Vec<Written>,
    /// The system's files that it may read, which are seen to be the same there: none where it tells of them.
    pub system: Option<BTreeMap<String, Digest>>,
    /// The programs that it runs: absolute paths.
    pub programs: Vec<String>,
}

/// Something that an action writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// The output at this position.
    Output(usize, String),
    /// The depfile of a compiler.
    Depfile(String),
    /// The depfile of a linker.
    LinkerDepfile(String),
}

impl Written {
    /// Where it is, from the directory that the action runs in.
    pub fn path(&self) -> &str {
        let (Self::Output(_, path) | Self::Depfile(path) | Self::LinkerDepfile(path)) = self;
        path
    }
}

/// Why an action is not for another machine.
fn declined(reason: impl Into<String>) -> ExecuteError {
    ExecuteError::Declined(reason.into())
}

impl Request {
    /// Returns `action` as a server takes it, for a worker with these properties, and with the tools of this machine;
    /// where these are `sent`, they and all of the system that it may read are among its inputs.
    ///
    /// # Errors
    /// Declines one that another machine cannot run, or whose files cannot be read.
    pub fn new(
        action: &Action,
        bench: &Bench<'_>,
        files: &Files,
        platform: &BTreeMap<String, String>,
        sent: Option<&System>,
    ) -> Result<Self, ExecuteError> {
        if action.in_place.is_some() {
            return Err(declined("it writes where it likes"));
        }
        if let MayRead::Unknown(reason) = &action.may_read {
            return Err(declined(reason.clone()));
        }
        // Tools stay in the directory that they begin in, and others may leave it.
        let stays = bench.flat;
        let layout = Layout { package: &action.package, root: bench.places.root_name() };
        let mut renderer = Renderer { action, bench, layout, files: Vec::new() };
        let (tree, system) = (Tree::default(), BTreeMap::new());
        let mut gathered = Gathered { action, bench, layout, files, tree, system };
        gathered.all()?;
        let mut words = vec![program(bench, &renderer, &action.program)?];
        words.extend(action.arguments.iter().map(|argument| renderer.argument(argument)));
        respond(action, &mut renderer, &mut words);
        let outputs = written(action, &renderer);
        let tells = action.may_read == MayRead::Told && action.discovery != Discovery::None;
        if tells && sent.is_some() {
            return Err(declined("nobody knows before what it reads of the system"));
        }
        let system = (!tells).then_some(gathered.system);
        let programs = programs(action, bench)?;
        let environment = environment(action, &programs, &mut renderer)?;
        let mut tree = gathered.tree;
        let package = tree.directory(PACKAGE);
        let sums = system.as_ref().filter(|system| !system.is_empty()).map(sums);
        let checks = sums.is_some();
        sums.into_iter().for_each(|sums| _ = put(package, SUMS, sums));
        renderer.files.into_iter().for_each(|(path, text)| _ = put(package, &path, text));
        // Servers hand out what has been damaged on their disks: a worker looks at all that it was given.
        let inputs = package.sums().ok_or_else(|| declined("it reads a file with an odd name"))?;
        let inputs = put(package, INPUTS, inputs);
        let script = script(&Script {
            action,
            stays,
            words: &words,
            environment: &environment,
            outputs: &outputs,
            inputs,
            checks,
            tells,
        });
        let script = put(package, SCRIPT, script);
        let arguments = ["/bin/sh".to_owned(), "-c".to_owned(), first(script)].to_vec();
        let command = command(arguments, &outputs, platform);
        if let Some(sent) = sent {
            send(sent, system.iter().flat_map(BTreeMap::keys), files, &mut tree)?;
        }
        let mut blobs = Vec::new();
        let input_root = tree.finish(&mut blobs);
        let command = Blob::of_bytes(command.encode_to_vec());
        let timeout = action.limits.wall.map(|wall| protobuf::Duration {
            seconds: i64::try_from(wall.as_secs()).unwrap_or(i64::MAX),
            nanos: wall.subsec_nanos() as i32,
        });
        let whole = Blob::of_bytes(
            re::Action {
                command_digest: Some(command.digest.to_wire()),
                input_root_digest: Some(input_root.to_wire()),
                timeout,
                platform: Some(properties(platform)),
                ..Default::default()
            }
            .encode_to_vec(),
        );
        let digest = whole.digest;
        blobs.extend([command, whole]);
        Ok(Self { digest, blobs, outputs, system, programs })
    }
}

/// Puts a text into a directory, and returns its digest.
fn put(directory: &mut Tree, path: &str, text: String) -> Digest {
    let blob = Blob::of_bytes(text.into());
    let digest = blob.digest;
    directory.insert(path, File { blob, executable: false });
    digest
}

/// Adds tools, and the system's files at these paths, to the inputs.
fn send<'a>(
    tools: &System,
    paths: impl Iterator<Item = &'a String>,
    files: &Files,
    tree: &mut Tree,
) -> Result<(), ExecuteError> {
    let mut system = System::default();
    for path in paths {
        let added = system.add(Path::new(path), files);
        added.map_err(|error| declined(format!("{path}: {error}")))?;
    }
    tools.put_into(tree);
    system.put_into(tree);
    Ok(())
}

/// The list of the system's files, that of all inputs, and the script.
pub const SUMS: &str = ".larder/f/system";
pub const INPUTS: &str = ".larder/f/inputs";
pub const SCRIPT: &str = ".larder/f/run";

/// Returns a command that runs `arguments` and writes `outputs`.
pub fn command(
    arguments: Vec<String>,
    outputs: &[Written],
    platform: &BTreeMap<String, String>,
) -> re::Command {
    let mut output_paths: Vec<String> = outputs.iter().map(|it| it.path().to_owned()).collect();
    output_paths.sort_unstable();
    #[allow(
        deprecated,
        reason = "servers before version 2.2 of the API look here, and not at the action"
    )]
    re::Command {
        arguments,
        output_paths,
        working_directory: PACKAGE.to_owned(),
        platform: Some(properties(platform)),
        ..Default::default()
    }
}

/// Returns the properties that a worker must have.
pub fn properties(platform: &BTreeMap<String, String>) -> re::Platform {
    let properties = platform.iter().map(|(name, value)| {
        let (name, value) = (name.clone(), value.clone());
        re::platform::Property { name, value }
    });
    re::Platform { properties: properties.collect() }
}

/// Returns files and their digests as `sha256sum -c` reads them.
pub fn sums(files: &BTreeMap<String, Digest>) -> String {
    files.iter().map(|(path, digest)| format!("{}  {path}\n", digest.hex())).collect()
}

/// The files of an action, as they are put together.
struct Gathered<'a> {
    action: &'a Action,
    bench: &'a Bench<'a>,
    layout: Layout<'a>,
    files: &'a Files,
    tree: Tree,
    system: BTreeMap<String, Digest>,
}

impl Gathered<'_> {
    fn all(&mut self) -> Result<(), ExecuteError> {
        for path in self.action.inputs.keys() {
            self.add(path)?;
        }
        if let MayRead::These(paths) = &self.action.may_read {
            paths.iter().try_for_each(|path| self.add(path))?;
        }
        for path in &self.action.searched {
            // A directory that is searched is there, whatever is found in it.
            if let Where::Inside(inside) = self.layout.place(path) {
                self.tree.directory(PACKAGE).directory(&inside);
            }
        }
        self.tree.directory(PACKAGE).directory(OUTPUTS);
        self.tree.directory(PACKAGE).directory(FILES);
        Ok(())
    }

    fn add(&mut self, path: &PortablePath) -> Result<(), ExecuteError> {
        let found = self.bench.places.find(self.bench.place, path)?;
        let here = self.bench.places.absolute(&found);
        match self.layout.place(path) {
            Where::System(path) => {
                let file = self.file(&here)?;
                if path.contains(['\n', '\\']) {
                    return Err(declined(format!("{path:?} is no name for a list")));
                }
                self.system.insert(path, file.blob.digest);
            }
            Where::Inside(inside) => self.add_inside(&inside, &here)?,
        }
        Ok(())
    }

    /// Adds a file, or all that is in a directory.
    fn add_inside(&mut self, inside: &str, here: &Path) -> Result<(), ExecuteError> {
        let metadata = here.symlink_metadata();
        let metadata =
            metadata.map_err(|error| declined(format!("{}: {error}", here.display())))?;
        if metadata.is_dir() {
            self.tree.directory(PACKAGE).directory(inside);
            let entries = fs::read_dir(here);
            let entries =
                entries.map_err(|error| declined(format!("{}: {error}", here.display())))?;
            for entry in entries.flatten() {
                let name = entry.file_name();
                let Some(name) = name.to_str() else {
                    return Err(declined(format!(
                        "{} has no name in UTF-8",
                        entry.path().display()
                    )));
                };
                self.add_inside(&format!("{inside}/{name}"), &entry.path())?;
            }
            return Ok(());
        }
        let file = self.file(here)?;
        self.tree.directory(PACKAGE).insert(inside, file);
        Ok(())
    }

    fn file(&self, here: &Path) -> Result<File, ExecuteError> {
        self.files.file(here).map_err(|error| declined(format!("{}: {error}", here.display())))
    }
}

/// Returns a program as the other machine has it.
fn program(
    bench: &Bench<'_>,
    renderer: &Renderer<'_>,
    program: &Program,
) -> Result<Word, ExecuteError> {
    match program {
        Program::Tool { name, identity } => {
            let path = bench.tools.find(name, *identity);
            let path =
                path.ok_or_else(|| declined(format!("the tool `{name}` is not known here")))?;
            Ok(Word::text(path.to_string_lossy()))
        }
        Program::File(path) => Ok(match renderer.layout.place(path) {
            Where::Inside(inside) => Word::absolute(&inside),
            Where::System(_) => renderer.path(path),
        }),
        Program::Path(_) => Err(declined("its program is put together")),
    }
}

/// Returns the tools that an action runs: absolute paths.
fn programs(action: &Action, bench: &Bench<'_>) -> Result<Vec<String>, ExecuteError> {
    let mut found = Vec::new();
    for tool in std::iter::once(&action.program).chain(&action.tools) {
        if let Program::Tool { name, identity } = tool {
            let path = bench.tools.find(name, *identity);
            let path =
                path.ok_or_else(|| declined(format!("the tool `{name}` is not known here")))?;
            found.push(path.to_string_lossy().into_owned());
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// Puts arguments into a file where they are too long for a command line.
fn respond(action: &Action, renderer: &mut Renderer<'_>, words: &mut Vec<Word>) {
    let rendered: Vec<String> = words.iter().map(Word::staying).collect();
    let length: usize = rendered.iter().map(|word| word.len() + 1).sum();
    let Some(first) = action.response_file.filter(|_| length > LONGEST) else { return };
    let kept = (1 + first).min(words.len());
    let name = format!("{FILES}/arguments.rsp");
    renderer.files.push((name.clone(), response_text(&rendered[kept..])));
    words.truncate(kept);
    words.push(Word::text(format!("@{name}")));
}

fn written(action: &Action, renderer: &Renderer<'_>) -> Vec<Written> {
    let outputs = action.outputs.iter().enumerate();
    let outputs = outputs.map(|(number, output)| Written::Output(number, renderer.output(output)));
    let mut all: Vec<Written> = outputs.collect();
    let depfile = || format!("{OUTPUTS}/{DEPFILE}");
    match action.discovery {
        Discovery::None => {}
        Discovery::Compiler | Discovery::Headers => all.push(Written::Depfile(depfile())),
        Discovery::Linker => all.push(Written::LinkerDepfile(depfile())),
        Discovery::CompilerAndLinker => {
            all.push(Written::Depfile(depfile()));
            all.push(Written::LinkerDepfile(format!("{OUTPUTS}/{LINKER_DEPFILE}")));
        }
    }
    all
}

/// Returns the environment of an action: the same on every machine.
fn environment(
    action: &Action,
    programs: &[String],
    renderer: &mut Renderer<'_>,
) -> Result<Vec<(String, Word)>, ExecuteError> {
    let mut directories: Vec<&str> = PROGRAMS.to_vec();
    for program in programs {
        let directory = program.rsplit_once('/').map_or("", |(directory, _)| directory);
        if !directory.is_empty() && !directories.contains(&directory) {
            directories.push(directory);
        }
    }
    let mut all = vec![
        ("PATH".to_owned(), Word::text(directories.join(":"))),
        ("HOME".to_owned(), Word::absolute(TEMPORARY)),
        ("LC_ALL".to_owned(), Word::text("C.UTF-8")),
        ("TMPDIR".to_owned(), Word::absolute(TEMPORARY)),
        ("PWD".to_owned(), Word::absolute("")),
    ];
    for (name, value) in &action.environment {
        let value = match value {
            Variable::Text(text) => Word::text(text),
            Variable::Pieces(pieces) => renderer.argument(pieces),
            // It may be a secret, and everybody who may ask the server would see it.
            Variable::Passed(_) => {
                return Err(declined(format!("it gets ${name} of this machine")));
            }
        };
        all.push((name.clone(), value));
    }
    Ok(all)
}
