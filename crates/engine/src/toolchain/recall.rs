//! The tools that the store has seen.
//!
//! What compilers answer is kept in the store as any other output is: under a key, as an artifact. So a build directory
//! that is made anew asks no compiler again. And where a tool is not there, what it made can be had all the same: it is
//! taken for the one that was last seen by its name, unless a file of it is there and is another.

use std::{
    io::{ErrorKind, Read},
    path::{Path, PathBuf},
};

use larder_trace::{BuildTrace, Content, ContentHash, OutputFile, Outputs, StatIndex};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    Compiler,
    compiler::Remembered,
    program::{Part, Program},
};
use crate::cache::Cache;

/// Larger answers are nobody's, in bytes.
const LARGEST: u64 = 4 << 20;

/// The memory of tools that a store is.
#[derive(Clone, Copy)]
pub struct Recall<'c> {
    cache: &'c Cache,
    /// The package that outputs are filed under.
    package: &'c str,
    index: &'c StatIndex,
}

/// A compiler as it was seen.
#[derive(Serialize, Deserialize)]
pub struct SeenCompiler {
    pub path: PathBuf,
    pub driver: ContentHash,
    pub answers: Remembered,
}

impl<'c> Recall<'c> {
    /// The memory that the store of `cache` is, under the name of `package`.
    pub fn new(cache: &'c Cache, package: &'c str, index: &'c StatIndex) -> Self {
        Self { cache, package, index }
    }

    /// Returns the answers of a compiler that is remembered under `key`, where they still hold.
    pub fn answers(&self, key: &str) -> Option<Remembered> {
        self.newest(&BuildTrace::text("answers", key), |found: &Remembered| found.holds(self.index))
    }

    /// Remembers what a compiler answered to the question `key`, and that it is who goes by `name`.
    pub fn keep(&self, key: &str, name: &str, arguments: &[String], seen: &SeenCompiler) {
        self.put(&BuildTrace::text("answers", key), &seen.answers);
        self.put(&of_name(name, arguments), seen);
    }

    /// Returns the compiler that last went by `name`, where there is none now.
    pub fn last(&self, name: &str, arguments: &[String]) -> Option<SeenCompiler> {
        self.newest(&of_name(name, arguments), |seen: &SeenCompiler| {
            !self.is_another(&seen.path, seen.driver) && self.holds_where_it_is(seen)
        })
    }

    /// Returns the compiler that last went by `name`, where it is the same `driver`, and lacks something `now` that it
    /// had.
    pub fn whole(
        &self,
        name: &str,
        arguments: &[String],
        driver: ContentHash,
        now: &Remembered,
    ) -> Option<SeenCompiler> {
        self.newest(&of_name(name, arguments), |seen: &SeenCompiler| {
            seen.driver == driver && now.lacks(&seen.answers) && self.holds_where_it_is(seen)
        })
    }

    /// Whether each file of a compiler that is there is what it was.
    fn holds_where_it_is(&self, seen: &SeenCompiler) -> bool {
        seen.answers.files().all(|(path, hash)| !self.is_another(path, hash))
    }

    /// Remembers which program goes by `name`.
    pub fn keep_program(&self, name: &str, program: &Program) {
        let (key, seen) = (format!("seen {name}"), program.trace.hash().to_string());
        if self.index.note(&key).as_ref() != Some(&seen) {
            self.put(&BuildTrace::text("program", name), &program.parts);
            self.index.set_note(&key, &seen);
        }
    }

    /// Returns the trace of the program that last went by `name`, where there is none now.
    pub fn last_program(&self, name: &str) -> Option<BuildTrace> {
        let parts = self.newest(&BuildTrace::text("program", name), |parts: &Vec<Part>| {
            parts.iter().all(|(_, path, hash)| !self.is_another(path, *hash))
        })?;
        Some(Program::trace_of(&parts))
    }

    /// Whether a file is there, and is not what it was.
    fn is_another(&self, path: &Path, hash: ContentHash) -> bool {
        match self.index.file(&path.to_string_lossy(), Content::Binary) {
            Ok(found) => found.hash != hash,
            Err(error) => error.kind() != ErrorKind::NotFound,
        }
    }

    fn newest<T: DeserializeOwned>(
        &self,
        question: &BuildTrace,
        mut fits: impl FnMut(&T) -> bool,
    ) -> Option<T> {
        let store = self.cache.store(self.package)?;
        let mut answer = None;
        self.cache.lookup(self.package, &question.hash(), |outputs| {
            let [file] = &outputs.outputs[..] else { return false };
            let mut bytes = Vec::new();
            let read = store.open_artifact(file).ok().filter(|_| file.size <= LARGEST);
            let read = read.and_then(|it| it.take(LARGEST).read_to_end(&mut bytes).ok());
            if read.is_none() || ContentHash::of_bytes(&bytes) != file.hash {
                return false;
            }
            answer = serde_json::from_slice(&bytes).ok().filter(&mut fits);
            answer.is_some()
        })?;
        answer
    }

    fn put<T: Serialize>(&self, question: &BuildTrace, answer: &T) {
        let Some(store) = self.cache.store(self.package) else { return };
        // A path that is not UTF-8 cannot be written down.
        let Ok(bytes) = serde_json::to_vec(answer) else { return };
        let (hash, size) = (ContentHash::of_bytes(&bytes), bytes.len() as u64);
        let file = OutputFile { path: "tool.json".to_owned(), hash, size, executable: false };
        if store.import(&hash, size, false, &bytes[..]).is_ok_and(|taken| taken) {
            let outputs = Outputs { outputs: vec![file], ..Outputs::default() };
            self.cache.record(self.package, &question.hash(), &outputs);
        }
    }
}

fn of_name(name: &str, arguments: &[String]) -> BuildTrace {
    BuildTrace::text("compiler", name).mix(BuildTrace::list("arguments", arguments))
}

impl SeenCompiler {
    /// Returns the compiler that was called `name`, as the tool for `key`.
    pub fn compiler(self, name: &str, key: &'static str) -> Compiler {
        let compiler = self.answers.compiler(name, self.path, key, self.driver);
        Compiler { believed: true, ..compiler }
    }
}
