//! The environment that a session was started in: captured once, at the top.

use std::{
    collections::BTreeMap,
    env,
    ffi::{OsStr, OsString},
};

/// Environment variables by name.
#[derive(Debug, Clone, Default)]
pub struct Environment(BTreeMap<String, OsString>);

impl Environment {
    /// Captures the environment of this process. Variables whose names are not UTF-8 are left out.
    pub fn of_process() -> Self {
        let named = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value));
        Self(env::vars_os().filter_map(named).collect())
    }

    /// Returns the variable `name`, unless it is not set.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.get(name).map(OsString::as_os_str)
    }

    /// Returns the directories that programs are looked for in, as `PATH` lists them.
    pub fn path(&self) -> &OsStr {
        self.get("PATH").unwrap_or_default()
    }
}
