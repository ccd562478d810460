//! Ways on which sources come to headers, and what is said before.

use std::{
    fs,
    path::{Path, PathBuf},
    rc::Rc,
};

use super::{
    Unit,
    includes::{Directive, Include, Includes},
};
use crate::context::Context;

/// A way on which a source comes to a header.
pub struct Way<'u> {
    pub unit: &'u Unit,
    /// Whether the header is of another package.
    pub foreign: bool,
    /// The files on the way, the source first.
    pub files: Vec<Passed>,
}

/// A file on the way to a header, as far as the way goes through it.
#[derive(Clone)]
pub struct Passed {
    pub file: Rc<Path>,
    /// How many of its directives come before.
    pub number: usize,
    /// Whether something is declared before.
    pub late: bool,
}

/// What a source has read, where a build has recorded it.
pub type Read = Option<Rc<[PathBuf]>>;

impl Way<'_> {
    /// How much is said before the header.
    pub fn length(&self) -> usize {
        self.files.iter().map(|passed| passed.number).sum()
    }

    /// The headers on the way.
    pub fn headers(&self) -> impl Iterator<Item = &Passed> {
        self.files.iter().skip(1)
    }

    /// The arguments for all that comes before the header `header`: macros that it or what it includes asks for, and
    /// what is included. Where a build has recorded what it read, what conditions hide is known; else those of
    /// the system are left out.
    pub fn before(
        &self,
        cx: &Context,
        header: &Rc<Path>,
        read: &Read,
        includes: &mut Includes,
    ) -> Vec<String> {
        let directories = self.unit.directories(cx);
        let before = self.directives(header, &directories, includes);
        let defines = before.iter().any(|directive| matches!(directive, Directive::Define(_)));
        let texts: Vec<Vec<u8>> = match defines {
            true => includes
                .all_of(header, &directories)
                .iter()
                .filter_map(|file| fs::read(file).ok())
                .collect(),
            false => Vec::new(),
        };
        let is_asked = |name: &str| texts.iter().any(|text| has_word(text, name));
        let name = |include: &Include| match (&include.file, read) {
            (Some(file), Some(read)) => read
                .iter()
                .any(|path| **path == **file)
                .then(|| file.to_string_lossy().into_owned()),
            (Some(file), None) => Some(file.to_string_lossy().into_owned()),
            (None, Some(read)) => {
                read.iter().any(|path| path.ends_with(&include.name)).then(|| include.name.clone())
            }
            (None, None) => None,
        };
        let mut arguments = Vec::new();
        for directive in &before {
            match directive {
                Directive::Define(definition) => {
                    let asked = definition.split('=').next().is_some_and(is_asked);
                    arguments.extend(asked.then(|| format!("-D{definition}")));
                }
                Directive::Include(include) => {
                    if let Some(name) = name(include) {
                        arguments.extend(["-include".to_owned(), name]);
                    }
                }
            }
        }
        arguments
    }

    /// What comes before the header `header`, whatever conditions hide. A header on the way that declares something
    /// before it is included as a whole, and so is one that it includes and that includes it again: what clangd
    /// looks at it reads but once, and not where another file includes it.
    fn directives(
        &self,
        header: &Rc<Path>,
        directories: &[PathBuf],
        includes: &mut Includes,
    ) -> Vec<Directive> {
        let mut wholes = includes.circles(header, directories);
        let whole = self.headers().find(|passed| passed.late || wholes.contains(&passed.file));
        let is_whole = |file: &Rc<Path>| whole.is_some_and(|whole| whole.file == *file);
        let mut before = Vec::new();
        for passed in self.files.iter().take_while(|passed| !is_whole(&passed.file)) {
            before.extend(includes.of(&passed.file, directories).into_iter().take(passed.number));
        }
        wholes.retain(|file| !is_whole(file));
        let wholes = whole.map(|passed| passed.file.clone()).into_iter().chain(wholes);
        before.extend(wholes.map(|file| Directive::Include(Include::of(file))));
        before
    }
}

/// Whether a name stands in a text, and not as a part of another one.
fn has_word(text: &[u8], name: &str) -> bool {
    let is_part = |c: &u8| c.is_ascii_alphanumeric() || *c == b'_';
    text.split(|c| !is_part(c)).any(|word| word == name.as_bytes())
}
