//! Compilers: who they are, by the content of everything that is executed.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use larder_project::setting::Family;
use larder_trace::{BuildTrace, ContentHash, Hashed, MTime, StatIndex};
use serde::{Deserialize, Serialize};

use super::{
    ask::Answers,
    find::{ToolError, hash_tool},
    side_by_side::side_by_side,
};
use crate::environment::Environment;

/// A compiler driver found on this machine, which also links.
#[derive(Debug, Clone)]
pub struct Compiler {
    /// The compiler as it was asked for, such as `cc`.
    pub name: String,
    /// Where it was found: an absolute path.
    pub path: PathBuf,
    /// The target that it compiles for, as it says itself. None for one that does not understand the questions
    /// that GCC and Clang answer.
    pub triple: Option<String>,
    /// The family that it says it is of.
    pub family: Option<Family>,
    /// The arguments that it is given before all others, in every call. Relative paths among them start in the
    /// root package's directory.
    pub first: Vec<String>,
    /// Its identity: the content of the driver and of all that it runs, and what it says of itself.
    /// Where they are is no part of it.
    pub trace: BuildTrace,
    /// Its identity by name: what it and the linker and assembler that it runs say of their versions and of
    /// what they do by themselves. None for one that does not say it.
    pub by_name: Option<BuildTrace>,
    /// The files that it runs and reads by itself, headers and libraries apart.
    pub behind: Arc<[PathBuf]>,
    /// Where it looks for system headers.
    pub include_directories: IncludeDirectories,
    /// Where its linker looks for libraries by itself, in order: absolute paths.
    pub library_directories: Vec<PathBuf>,
    /// The abilities of its linker.
    pub linker: LinkerAbilities,
    /// Whether it is not all here, and is taken for the one that was last seen.
    pub believed: bool,
}

/// The directories of system headers by language, in the order in which they are searched: absolute
/// paths, empty for a compiler that does not tell.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncludeDirectories {
    /// For C and preprocessed assembly.
    pub c: Vec<PathBuf>,
    /// For C++.
    pub cxx: Vec<PathBuf>,
}

/// A linker's abilities.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkerAbilities {
    /// It writes down every file that it reads (`--dependency-file`).
    pub dependency_file: bool,
}

/// A compiler's answers, as the index keeps them, with everything that decides them: they hold for as
/// long as every file is the same and nothing absent has appeared.
#[derive(Clone, Serialize, Deserialize)]
pub struct Remembered {
    triple: Option<String>,
    version: Option<String>,
    identity: ContentHash,
    /// Of this the part that does not depend on how it was built.
    options: ContentHash,
    /// What its linker and its assembler say.
    versions: [Option<String>; 2],
    decides: Watched,
    include_directories: IncludeDirectories,
    library_directories: Vec<PathBuf>,
    linker: LinkerAbilities,
}

/// Everything that decides an answer: it holds for as long as every file is the same and nothing absent has
/// appeared.
#[derive(Clone, Serialize, Deserialize)]
pub struct Watched {
    files: Vec<ToolFile>,
    absent: Vec<PathBuf>,
}

impl Watched {
    /// The content of `files`, and which of `absent` are not there.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn new(
        files: impl IntoIterator<Item = PathBuf>,
        absent: impl IntoIterator<Item = PathBuf>,
        index: &StatIndex,
    ) -> Result<Self, ToolError> {
        let absent = absent.into_iter().filter(|path| !path.exists()).collect();
        Ok(Self { files: hash_all(files.into_iter().collect(), index)?, absent })
    }

    /// Whether all is as it was.
    pub fn holds(&self, index: &StatIndex) -> bool {
        let same =
            |file: &ToolFile| hash_tool(&file.path, index).is_ok_and(|h| h.hash == file.hash);
        self.files.iter().all(same)
            && !self.absent.iter().any(|path| path.symlink_metadata().is_ok())
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct ToolFile {
    path: PathBuf,
    hash: ContentHash,
    executable: bool,
}

/// The family of a compiler by the line that says its version, such as `gcc version 12.2.0 (Debian …)` or
/// `Apple clang version 15.0.0`.
fn family(version: &str) -> Option<Family> {
    let (name, _) = version.split_once(" version ")?;
    name.split(' ').find_map(Family::named)
}

impl Remembered {
    /// Answers with the content of the files that they name.
    ///
    /// # Errors
    /// When one of those cannot be read.
    pub fn new(answers: Answers, index: &StatIndex) -> Result<Self, ToolError> {
        let [c, cxx] = answers.include_directories;
        Ok(Self {
            triple: answers.triple,
            version: answers.version,
            identity: ContentHash::of_bytes(answers.identity.as_bytes()),
            options: ContentHash::of_bytes(without_configuration(&answers.identity).as_bytes()),
            versions: answers.versions,
            decides: Watched::new(answers.files, answers.absent, index)?,
            include_directories: IncludeDirectories { c, cxx },
            library_directories: answers.library_directories,
            linker: LinkerAbilities { dependency_file: answers.dependency_file },
        })
    }

    /// The answers that the index remembers under `key`, if they still hold.
    pub fn find(key: &str, index: &StatIndex) -> Option<Self> {
        let remembered: Self = serde_json::from_str(&index.note(key)?).ok()?;
        remembered.holds(index).then_some(remembered)
    }

    /// Whether they would be the same if it was asked again.
    pub fn holds(&self, index: &StatIndex) -> bool {
        self.decides.holds(index)
    }

    /// The files that decide them, by content.
    pub fn files(&self) -> impl Iterator<Item = (&Path, ContentHash)> {
        self.decides.files.iter().map(|file| (file.path.as_path(), file.hash))
    }

    /// Has the index remember it under `key`.
    pub fn keep(&self, key: &str, index: &StatIndex) {
        // A path that is not UTF-8 cannot be written down; then it is asked again the next time.
        if let Ok(text) = serde_json::to_string(self) {
            index.set_note(key, &text);
        }
    }

    /// Whether the compiler understood the questions about itself.
    pub fn complete(&self) -> bool {
        self.triple.is_some() && self.version.is_some()
    }

    /// Whether it can compile and link.
    pub fn is_whole(&self) -> bool {
        self.complete() && self.versions[0].is_some()
    }

    /// Whether it could not answer what it answered in `then`: something that it runs is not where it looks for it.
    pub fn lacks(&self, then: &Self) -> bool {
        let mut versions = self.versions.iter().zip(&then.versions);
        !self.complete() && then.complete()
            || versions.any(|(now, then)| now.is_none() && then.is_some())
    }

    /// The trace of what it says of itself; none without its target, its version and that of its linker. A
    /// compiler may assemble by itself.
    fn by_name(&self, key: &'static str) -> Option<BuildTrace> {
        let [linker, assembler] = &self.versions;
        let trace = BuildTrace::nil(key)
            .mix(BuildTrace::text("triple", self.triple.as_deref()?))
            .mix(BuildTrace::text("version", self.version.as_deref()?))
            .mix(BuildTrace::text("linker", linker.as_deref()?))
            .mix(BuildTrace::text("assembler", assembler.as_deref().unwrap_or("")));
        Some(trace.mix(BuildTrace::leaf("options", self.options, MTime::NONE)))
    }

    /// The compiler that these are the answers of.
    pub fn compiler(
        self,
        name: &str,
        path: PathBuf,
        key: &'static str,
        driver: ContentHash,
    ) -> Compiler {
        let by_name = self.by_name(key);
        let mut trace = BuildTrace::nil(key)
            .mix(BuildTrace::leaf("driver", driver, MTime::NONE))
            .mix(BuildTrace::text("triple", self.triple.as_deref().unwrap_or("")))
            .mix(BuildTrace::text("version", self.version.as_deref().unwrap_or("")))
            .mix(BuildTrace::leaf("options", self.identity, MTime::NONE));
        let mut files: Vec<(&str, ContentHash, bool)> =
            self.decides.files.iter().map(ToolFile::part).collect();
        files.sort_unstable();
        files.dedup();
        let mut others = BuildTrace::nil("files");
        for (name, hash, executable) in files {
            let part = BuildTrace::leaf(name.to_owned(), hash, MTime::NONE);
            // Programs are named one by one; of the rest one hash is enough.
            match executable {
                true => trace = trace.mix(part),
                false => others = others.mix(part),
            }
        }
        let others = BuildTrace::leaf("files", others.hash(), MTime::NONE);
        Compiler {
            family: self.version.as_deref().and_then(family),
            name: name.to_owned(),
            path,
            triple: self.triple,
            first: Vec::new(),
            trace: trace.mix(others),
            by_name,
            behind: self.decides.files.iter().map(|file| file.path.clone()).collect(),
            include_directories: self.include_directories,
            library_directories: self.library_directories,
            linker: self.linker,
            believed: false,
        }
    }
}

/// An identity without how the compiler was configured when it was built.
fn without_configuration(identity: &str) -> String {
    let lines = identity.lines().filter(|line| !line.starts_with("Configured with:"));
    lines.map(|line| format!("{line}\n")).collect()
}

fn hash_all(paths: Vec<PathBuf>, index: &StatIndex) -> Result<Vec<ToolFile>, ToolError> {
    let hashed = side_by_side(&paths, |path| hash_tool(path, index));
    let file = |(path, hashed): (PathBuf, Result<Hashed, ToolError>)| {
        let hashed = hashed?;
        Ok(ToolFile { path, hash: hashed.hash, executable: hashed.stat.executable })
    };
    paths.into_iter().zip(hashed).map(file).collect()
}

impl ToolFile {
    fn part(&self) -> (&str, ContentHash, bool) {
        let name = self.path.file_name().and_then(|name| name.to_str()).unwrap_or("");
        (name, self.hash, self.executable)
    }
}

/// The key under which the answers of `driver` are remembered.
pub fn note_key(
    path: &Path,
    driver: ContentHash,
    arguments: &[String],
    directory: &Path,
    environment: &Environment,
) -> String {
    let mut key = BuildTrace::nil("question")
        .mix(BuildTrace::text("PATH", environment.path().to_string_lossy()))
        .mix(BuildTrace::text(
            "HOME",
            environment.get("HOME").unwrap_or_default().to_string_lossy(),
        ))
        .mix(BuildTrace::list("arguments", arguments));
    if !arguments.is_empty() {
        key = key.mix(BuildTrace::text("directory", directory.to_string_lossy()));
    }
    format!("compiler {} {driver} {}", path.display(), key.hash())
}

/// The arguments that decide which programs a driver runs, how it expands the rest, and where it looks
/// for system headers; a compiler is asked who it is with these.
pub fn deciding<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut found = Vec::new();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        if !may_decide(argument) {
            continue;
        }
        if SEPARATE.contains(&argument) {
            found.push(argument);
            found.extend(arguments.next());
        } else if DECIDING.iter().any(|begin| argument.starts_with(begin)) {
            found.push(argument);
        }
    }
    found
}

/// Whether an argument begins as one of these does: most do not, and a build asks of each of them.
fn may_decide(argument: &str) -> bool {
    matches!(
        argument.as_bytes(),
        [b'-', b'-' | b'B' | b'f' | b'i' | b'm' | b'n' | b'r' | b's' | b't' | b'w', ..]
    )
}

const SEPARATE: &[&str] = &[
    "-B",
    "--config",
    "--sysroot",
    "-isysroot",
    "-target",
    "-wrapper",
    "-specs",
    "--specs",
    "-resource-dir",
];

/// Beginnings of such arguments. `-m…` chooses the machine; `-march=native` becomes this machine's.
const DECIDING: &[&str] = &[
    "-B",
    "--config=",
    "-fuse-ld=",
    "--ld-path=",
    "--sysroot=",
    "--target=",
    "-specs=",
    "--specs=",
    "--gcc-toolchain=",
    "--gcc-install-dir=",
    "-stdlib=",
    "-nostdinc",
    "-nostdlibinc",
    "-fplugin=",
    "-fintegrated-as",
    "-fno-integrated-as",
    "-no-integrated-as",
    "-resource-dir=",
    "-m",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_that_decide_are_found() {
        for argument in SEPARATE.iter().chain(DECIDING) {
            assert_eq!(deciding([*argument]), [*argument]);
        }
        let found = deciding("-O2 -B x -m32 -fPIC a.c --sysroot=/s -I y -target".split(' '));
        assert_eq!(found, ["-B", "x", "-m32", "--sysroot=/s", "-target"]);
    }
}
