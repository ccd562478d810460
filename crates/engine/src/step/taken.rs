//! The files of outputs, as they are taken over.

use std::{fs, io, os::unix::fs::PermissionsExt, path::Path};

use larder_store::{Store, StoreError};
use larder_trace::{Content, OutputFile, compute_file_hash};

use crate::executor::ExecuteError;

/// The files of outputs that are taken over.
#[derive(Default)]
pub(super) struct Taken<'s> {
    /// Where they are kept, besides in the build directory.
    pub store: Option<&'s Store>,
    pub files: Vec<OutputFile>,
    /// Output directories, and empty ones below them.
    pub directories: Vec<String>,
    /// Why the store did not take one of them.
    pub refused: Option<StoreError>,
}

impl Taken<'_> {
    /// Adds the file at `file`, which the record calls `path`.
    pub fn file(&mut self, file: &Path, path: String) -> Result<(), ExecuteError> {
        let failed = |error: io::Error| ExecuteError::io(file, &error);
        let (hash, size, executable) = match self.store.filter(|_| self.refused.is_none()) {
            Some(store) => {
                let taken = store.take_in(file).map_err(failed)?;
                self.refused = taken.kept.err();
                (taken.hash, taken.size, taken.executable)
            }
            None => {
                let metadata = fs::metadata(file).map_err(failed)?;
                let hash = compute_file_hash(file, Content::Binary).map_err(failed)?;
                (hash, metadata.len(), metadata.permissions().mode() & 0o111 != 0)
            }
        };
        self.files.push(OutputFile { path, hash, size, executable });
        Ok(())
    }

    /// Adds all files below `directory`, sorted, and the directories below it that are empty.
    pub fn tree(&mut self, directory: &Path, path: &str) -> Result<(), ExecuteError> {
        let failed = |error: io::Error| ExecuteError::io(directory, &error);
        let mut entries = Vec::new();
        for entry in fs::read_dir(directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().into_string().map_err(|name| {
                ExecuteError::Failed(format!(
                    "its output {path}/{} has a name that is not UTF-8",
                    name.display()
                ))
            })?;
            entries.push((name, entry.file_type().map_err(failed)?));
        }
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        for (name, kind) in entries {
            let (inner, inner_path) = (directory.join(&name), format!("{path}/{name}"));
            if kind.is_file() {
                self.file(&inner, inner_path)?;
            } else if kind.is_dir() {
                let before = (self.files.len(), self.directories.len());
                self.tree(&inner, &inner_path)?;
                if before == (self.files.len(), self.directories.len()) {
                    self.directories.push(inner_path);
                }
            } else {
                let message = format!("its output {inner_path} is neither a file nor a directory");
                return Err(ExecuteError::Failed(message));
            }
        }
        Ok(())
    }
}
