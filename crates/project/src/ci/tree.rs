//! The files of a package that count, with all that symbolic links among them lead to.
//!
//! A link counts by where it leads and by what is there. A directory that links lead to is listed
//! once, under its own name, however many links lead to it and whatever is on the way: so a link that
//! leads to where it stands ends, and a thicket of links is no more work than what is in it.

use std::{
    collections::{BTreeMap, HashSet},
    ffi::OsString,
    fs, io,
    path::{Component, Path, PathBuf},
};

use larder_trace::describe_io;
use rustix::io::Errno;

use super::{
    files::{Entry, Kind},
    territory::Territory,
};
use crate::{
    diagnostic::{Diagnostic, Diagnostics, Located, SourceText},
    glob::{is_inside, is_pattern},
};

/// The files that `inputs` match and `exclude` does not, and what links among them lead to. Names
/// that start with a dot count only where they are spelled out.
///
/// # Errors
/// The error for a pattern that matches nothing: it would make a key that never changes. Links that
/// lead out of `territory`.
pub fn select(
    territory: &Territory,
    inputs: &[Located<String>],
    exclude: &[Located<String>],
    source: Option<&SourceText>,
) -> Result<Vec<Entry>, Diagnostics> {
    let mut walk = Walk::new(territory, exclude);
    for input in inputs {
        let before = walk.matched;
        let at = |diagnostic: Diagnostic| match source {
            Some(source) => diagnostic.at(source, input.span.clone()),
            None => diagnostic,
        };
        let known = walk.errors.len();
        if !is_inside(input) {
            let message = format!("`{}` is outside the package", **input);
            walk.errors.push(Diagnostic::new(message));
        } else {
            walk.add(input);
        }
        if walk.errors.len() == known && walk.matched == before {
            let message = format!("the input `{}` matches no file", **input);
            let help = "names that start with a dot are matched only when spelled out";
            walk.errors.push(Diagnostic::new(message).help(help));
        }
        walk.errors[known..].iter_mut().for_each(|error| *error = at(error.clone()));
    }
    walk.finish()
}

/// All files of the package, and those that `spelled`, paths and globs, match although their names
/// start with a dot.
///
/// # Errors
/// Files that cannot be listed, and links that lead out of `territory`.
pub fn whole<'s>(
    territory: &Territory,
    spelled: impl Iterator<Item = &'s str>,
) -> Result<Vec<Entry>, Diagnostics> {
    let mut walk = Walk::new(territory, &[]);
    walk.add(".");
    let hidden = |path: &&str| path.split('/').any(|part| part.starts_with('.') && part != ".");
    spelled.filter(hidden).filter(|path| is_inside(path)).for_each(|path| walk.add(path));
    walk.finish()
}

/// Everything at `path`, a canonical path in `territory` outside the package.
///
/// # Errors
/// Files that cannot be listed, and links that lead out of `territory`.
pub fn outside(territory: &Territory, path: &Path) -> Result<Vec<Entry>, Diagnostics> {
    let mut walk = Walk::new(territory, &[]);
    match path.is_dir() {
        true => walk.follow(path),
        false => walk.file(&territory.name(path).unwrap_or_default(), path, Kind::File),
    }
    walk.finish()
}

struct Walk<'t> {
    territory: &'t Territory,
    exclude: &'t [Located<String>],
    found: BTreeMap<String, Entry>,
    /// How often something was found.
    matched: usize,
    /// Directories that links lead to, by their canonical paths, and those in them.
    followed: HashSet<PathBuf>,
    errors: Vec<Diagnostic>,
}

/// What a link leads to.
enum Target {
    Directory(PathBuf),
    File,
    Nothing,
}

impl<'t> Walk<'t> {
    fn new(territory: &'t Territory, exclude: &'t [Located<String>]) -> Self {
        let (found, followed, errors) = Default::default();
        Self { territory, exclude, found, matched: 0, followed, errors }
    }

    fn finish(self) -> Result<Vec<Entry>, Diagnostics> {
        match self.errors.is_empty() {
            true => Ok(self.found.into_values().collect()),
            false => Err(Diagnostics(self.errors)),
        }
    }

    /// Adds what a path or glob of the package matches.
    fn add(&mut self, pattern: &str) {
        let parts: Vec<&str> =
            pattern.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        let fixed = parts.iter().take_while(|part| !is_pattern(part)).count();
        if !self.pass_links(&parts[..fixed]) {
            return;
        }
        let base = parts[..fixed].join("/");
        let path = self.territory.own.join(&base);
        match fs::metadata(&path) {
            Ok(_) if fixed < parts.len() => self.walk(&base, &path, Some(&parts.join("/"))),
            Ok(metadata) if metadata.is_dir() => self.walk(&base, &path, None),
            Ok(_) if self.is_excluded(&base) => self.matched += 1,
            Ok(_) => self.file(&base, &path, Kind::File),
            // A link that leads nowhere is no less of an input.
            Err(_) => {
                self.matched += usize::from(fixed == parts.len() && self.found.contains_key(&base));
            }
        }
    }

    /// Adds the links among the directories and the last part of a path. False when one of them
    /// cannot be gone along.
    fn pass_links(&mut self, parts: &[&str]) -> bool {
        let (errors, matched) = (self.errors.len(), self.matched);
        for end in 1..=parts.len() {
            let name = parts[..end].join("/");
            let path = self.territory.own.join(&name);
            if path.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink()) {
                self.link(&name, &path);
            }
        }
        self.matched = matched;
        self.errors.len() == errors
    }

    /// Adds the files of a directory that match `pattern`, or all. Links to directories are followed
    /// where something in them could match.
    fn walk(&mut self, name: &str, directory: &Path, pattern: Option<&str>) {
        for (file, kind) in self.list(directory) {
            // A name that is not UTF-8 is refused once it matches.
            let name = join(name, &file.to_string_lossy());
            let path = directory.join(&file);
            let may_hold = pattern.is_none_or(|pattern| may_hold(pattern, &name));
            if kind.is_dir() {
                if may_hold {
                    self.walk(&name, &path, pattern);
                }
                continue;
            }
            let matches = match kind.is_symlink() && path.is_dir() {
                true => may_hold,
                false => pattern.is_none_or(|pattern| fast_glob::glob_match(pattern, &name)),
            };
            if !matches || self.is_excluded(&name) || self.territory.counts_by_value(&path) {
                continue;
            }
            if file.to_str().is_none() {
                let message = format!("the file name {path:?} is not UTF-8");
                self.errors.push(Diagnostic::new(message).help("rename it, or exclude it"));
            } else if kind.is_symlink() {
                self.link(&name, &path);
            } else {
                self.file(&name, &path, Kind::File);
            }
        }
    }

    /// Adds all files of the directory at `real`, a canonical path in the territory, once.
    fn follow(&mut self, real: &Path) {
        if let Some(name) = self.territory.name(real)
            && self.followed.insert(real.to_owned())
        {
            self.walk(&name, real, None);
        }
    }

    /// Adds a link, and what it leads to.
    fn link(&mut self, name: &str, path: &Path) {
        let (target, leads_to) = match self.resolve(path) {
            Ok(found) => found,
            Err(error) => {
                let message =
                    format!("cannot follow the link {}: {}", path.display(), describe_io(&error));
                return self.errors.push(Diagnostic::new(message).failed());
            }
        };
        let Some((text, real)) = leads_to else { return self.refuse(name, path) };
        // What larder and Git keep there is never the same twice.
        let is_kept = real.split('/').any(|part| matches!(part, ".git" | ".larder"));
        let leads_to = format!("{text} => {real}");
        match target {
            Target::File if !is_kept => self.file(name, path, Kind::LinkToFile(leads_to)),
            Target::Directory(real) if !is_kept => {
                self.file(name, path, Kind::Link(leads_to));
                self.follow(&real);
            }
            _ => self.file(name, path, Kind::Link(leads_to)),
        }
    }

    /// What a link leads to, and the words for it in keys: its text, and the name of what that is in
    /// the end. No words where that lies outside the territory.
    fn resolve(&self, path: &Path) -> io::Result<(Target, Option<(String, String)>)> {
        let text = fs::read_link(path)?;
        let (target, real) = match path.canonicalize() {
            Ok(real) if real.is_dir() => (Target::Directory(real.clone()), real),
            Ok(real) => (Target::File, real),
            Err(error) if leads_nowhere(&error) => {
                let parent = path.parent().unwrap_or(path).canonicalize()?;
                (Target::Nothing, lexical(&parent.join(&text)))
            }
            Err(error) => return Err(error),
        };
        let Some(name) = self.territory.name(&real) else { return Ok((target, None)) };
        // The text of an absolute link says where the checkout is.
        let text = match text.is_absolute() {
            true => "",
            false => text.to_str().ok_or_else(|| io::Error::other("it is not UTF-8"))?,
        };
        Ok((target, Some((text.to_owned(), name))))
    }

    fn refuse(&mut self, name: &str, path: &Path) {
        let target = path.canonicalize().or_else(|_| fs::read_link(path)).unwrap_or_default();
        let message = format!(
            "`{name}` is a symbolic link that leads outside the package, to {}",
            target.display()
        );
        let help =
            "declare what it leads to in larder.toml: [ci] outside = [\"PATH\"]; or exclude it";
        self.errors.push(Diagnostic::new(message).help(help));
    }

    fn file(&mut self, name: &str, path: &Path, kind: Kind) {
        self.matched += 1;
        let entry = Entry { name: name.to_owned(), path: path.to_owned(), kind };
        match self.found.get_mut(name) {
            None => _ = self.found.insert(name.to_owned(), entry),
            // A link that is spelled out as a file counts as that as well.
            Some(known) => {
                if let (Kind::Link(target), Kind::File) = (&known.kind, &entry.kind) {
                    known.kind = Kind::LinkToFile(target.clone());
                }
            }
        }
    }

    fn is_excluded(&self, name: &str) -> bool {
        self.exclude.iter().any(|pattern| leaves_out(pattern, name))
    }

    /// The entries of a directory but those that start with a dot.
    fn list(&mut self, directory: &Path) -> Vec<(OsString, fs::FileType)> {
        let list = || -> io::Result<Vec<_>> {
            let mut entries = Vec::new();
            for entry in fs::read_dir(directory)? {
                let entry = entry?;
                if !entry.file_name().as_encoded_bytes().starts_with(b".") {
                    entries.push((entry.file_name(), entry.file_type()?));
                }
            }
            Ok(entries)
        };
        list().unwrap_or_else(|error| {
            let message = format!("cannot list {}: {}", directory.display(), describe_io(&error));
            self.errors.push(Diagnostic::new(message).failed());
            Vec::new()
        })
    }
}

/// Whether something in the directory `name` can match `pattern`.
fn may_hold(pattern: &str, name: &str) -> bool {
    let depth = name.split('/').count();
    let parts: Vec<&str> = pattern.split('/').collect();
    let Some(above) = parts.get(..depth) else { return pattern.contains("**") };
    let is_plain = |part: &&str| !part.contains("**") && !part.contains(['{', '}', '[', ']']);
    let is_deeper = parts.len() > depth || pattern.contains("**");
    is_deeper && (!above.iter().all(is_plain) || fast_glob::glob_match(above.join("/"), name))
}

fn leaves_out(pattern: &str, path: &str) -> bool {
    let pattern = pattern.trim_start_matches("./").trim_end_matches('/');
    let below = path.strip_prefix(pattern).is_some_and(|rest| rest.starts_with('/'));
    below || fast_glob::glob_match(pattern, path)
}

/// `name` in `directory`, a name in keys.
fn join(directory: &str, name: &str) -> String {
    match directory.is_empty() || directory.ends_with('/') {
        true => format!("{directory}{name}"),
        false => format!("{directory}/{name}"),
    }
}

/// Whether a link that cannot be followed is one to nothing, or to itself.
fn leads_nowhere(error: &io::Error) -> bool {
    let is_loop = error.raw_os_error() == Some(Errno::LOOP.raw_os_error());
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) || is_loop
}

/// `path` without `.` and `..`, by its text alone.
fn lexical(path: &Path) -> PathBuf {
    let mut found = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => _ = found.pop(),
            part => found.push(part),
        }
    }
    found
}

#[cfg(test)]
mod tests;
