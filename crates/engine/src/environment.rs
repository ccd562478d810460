//! The environment that a build was started in, taken once.

use std::{
    collections::BTreeMap,
    env,
    ffi::{OsStr, OsString},
    path::PathBuf,
};

/// Environment variables by name, as they were at one moment. Nothing reads the process's own
/// environment while a build runs, so a build sees one state of it, and tests need not change it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    variables: BTreeMap<OsString, OsString>,
}

impl Environment {
    /// The variables of this process, as they are now: for the command line, which asks once.
    pub fn of_process() -> Self {
        env::vars_os().collect()
    }

    /// A variable's value; none when it is not set.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    /// The value of `PATH`, empty when it is not set.
    pub fn path(&self) -> &OsStr {
        self.get("PATH").unwrap_or_default()
    }

    /// The directories of `PATH`, in order.
    pub fn directories(&self) -> impl Iterator<Item = PathBuf> {
        env::split_paths(self.path())
    }

    /// The directory for temporary files: `TMPDIR`, else the system's.
    pub fn temporary_directory(&self) -> PathBuf {
        self.get("TMPDIR").filter(|path| !path.is_empty()).unwrap_or(OsStr::new("/tmp")).into()
    }

    /// Every variable, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.variables.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }
}

impl<N: Into<OsString>, V: Into<OsString>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        let variables = variables.into_iter();
        Self { variables: variables.map(|(name, value)| (name.into(), value.into())).collect() }
    }
}
