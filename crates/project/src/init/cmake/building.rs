//! Targets of CMake as they are put together.

use std::collections::{BTreeMap, BTreeSet};

use super::scope::Word;
use crate::init::{
    Flags, InstalledHeaders, Target,
    config::{Asks, Config},
};

/// A target as far as it is read.
#[derive(Debug, Clone)]
pub struct Building {
    /// What is known of it.
    pub target: Target,
    /// What it is linked with, as it is written.
    pub links: Vec<Word>,
    /// Sources as they are written, that are none of the package.
    pub odd: Vec<String>,
}

/// What counts for all targets of a directory.
#[derive(Debug, Clone, Default)]
pub(super) struct Directory {
    pub(super) flags: Flags,
    pub(super) links: Vec<Word>,
    pub(super) own: BTreeSet<String>,
}

/// A test as it is written.
#[derive(Debug)]
pub struct Test {
    pub name: String,
    pub command: Vec<Word>,
    /// The directory that it runs in.
    pub directory: Option<Word>,
}

/// The targets of a project.
#[derive(Debug, Default)]
pub struct Targets {
    /// By their names.
    pub by_name: BTreeMap<String, Building>,
    /// Other names of targets.
    pub(super) aliases: BTreeMap<String, String>,
    /// Targets of others that the project declares, and what they are linked with is unknown.
    pub(super) imported: BTreeSet<String>,
    pub(super) directories: Vec<Directory>,
    /// What `pkg-config` is asked for, by the prefix of its answers.
    pub modules: BTreeMap<String, Vec<String>>,
    /// Libraries that were looked for, by the variable that says where they are.
    pub searched: BTreeMap<String, String>,
    /// Tests.
    pub tests: Vec<Test>,
    /// Headers that are installed.
    pub headers: Vec<InstalledHeaders>,
    /// Whether something is installed of which nobody knows what it is.
    pub installs_more: bool,
    /// Files that are made from templates.
    pub configs: Vec<Config>,
    /// What the compiler is asked, by the variable of the answer.
    pub checks: BTreeMap<String, Asks>,
}

impl Targets {
    /// A directory begins.
    pub fn enter(&mut self) {
        let above = self.directories.last().cloned().unwrap_or_default();
        self.directories.push(Directory { own: BTreeSet::new(), ..above });
    }

    /// A directory ends: what it says counts for all its targets, wherever it said so.
    pub fn leave(&mut self) {
        let Some(directory) = self.directories.pop() else { return };
        for name in directory.own {
            if let Some(building) = self.by_name.get_mut(&name) {
                building.target.flags.merge(&directory.flags);
                building.links.extend(directory.links.iter().cloned());
            }
        }
    }

    /// Returns the name of the target that `name` stands for.
    pub fn resolve<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        let name = self.aliases.get(name).map_or(name, String::as_str);
        self.by_name.contains_key(name).then_some(name)
    }

    /// Whether it is certain that there is no such target: no package brings it.
    pub fn known_missing(&self, name: &str) -> bool {
        !name.contains("::") && !self.imported.contains(name)
    }

    /// The target that `name` stands for.
    pub(super) fn building(&mut self, name: &str) -> Option<&mut Building> {
        let name = self.aliases.get(name).map_or(name, String::as_str).to_owned();
        self.by_name.get_mut(&name)
    }
}

/// Adds an entry that is not there.
pub(super) fn push(list: &mut Vec<String>, entry: String) {
    if !list.contains(&entry) {
        list.push(entry);
    }
}
