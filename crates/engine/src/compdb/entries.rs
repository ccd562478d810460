//! Entries of sources, rendered for this machine.

use std::{collections::HashSet, path::PathBuf};

use larder_project::{path::PortablePath, place::Place, plan::Language, setting::BuiltFor};
use serde::Serialize;

use super::{Commands, Noted, Unit, headers};
use crate::{
    action::{Argument, Piece},
    context::Context,
};

/// An entry of the file, with the keys that the format has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The directory that the compiler runs in.
    pub directory: PathBuf,
    /// The file.
    pub file: PathBuf,
    /// The compiler and its arguments.
    pub arguments: Vec<String>,
    /// The object; none of a header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<PathBuf>,
}

/// Returns the entries of sources and of the headers that these or their users may include.
pub(crate) fn entries(cx: &Context, noted: &Noted) -> Commands {
    // What is built for the target and for the host is shown as for the target.
    let key = |unit: &Unit| (unit.place.name.clone(), unit.source.clone());
    let (target, host): (Vec<&Unit>, Vec<&Unit>) =
        noted.units.iter().partition(|unit| unit.place.built_for == BuiltFor::Target);
    let known: HashSet<_> = target.iter().map(|unit| key(unit)).collect();
    let only_host = host.into_iter().filter(|unit| !known.contains(&key(unit)));
    let units: Vec<&Unit> = target.iter().copied().chain(only_host).collect();
    let mut entries: Vec<Entry> = units.iter().filter_map(|unit| unit.entry(cx)).collect();
    let mut directories = noted.listed.clone();
    entries.extend(headers::entries(cx, &units, &mut directories));
    Commands { entries, directories }
}

impl Unit {
    /// Returns the absolute path of a file that its package calls `path`.
    pub fn absolute(&self, cx: &Context, path: &PortablePath) -> Option<PathBuf> {
        let path = cx.places.absolute(&cx.places.find(&self.place, path).ok()?);
        Some(PathBuf::from(path.to_string_lossy().trim_end_matches('/')))
    }

    fn entry(&self, cx: &Context) -> Option<Entry> {
        let object = cx.absolute(&self.place.build_path(&self.object));
        let file = self.absolute(cx, &self.source)?;
        let mut arguments = self.flags(cx);
        arguments.extend(["-o".to_owned(), shown(&object), "-c".to_owned(), shown(&file)]);
        let directory = self.place.directory.clone();
        Some(Entry { directory, file, arguments, output: Some(object) })
    }

    /// Returns the entry of a header that is included by this source, with the arguments for what comes `before` it.
    pub fn header_entry(&self, cx: &Context, file: PathBuf, before: Vec<String>) -> Entry {
        let mut arguments = self.flags(cx);
        arguments.extend(before);
        let language = if self.language == Language::Cxx { "c++-header" } else { "c-header" };
        let last = ["-x".to_owned(), language.to_owned(), "-c".to_owned(), shown(&file)];
        arguments.extend(last);
        Entry { directory: self.place.directory.clone(), file, arguments, output: None }
    }

    /// The compiler, and all arguments that do not name the source or the object. Names of directories in
    /// debug information concern nobody who reads the source.
    fn flags(&self, cx: &Context) -> Vec<String> {
        let compile = &self.compile;
        let maps = |argument: &&Argument| !matches!(argument.first(), Some(Piece::Text(text)) if text.starts_with("-ffile-prefix-map="));
        let given: Vec<Argument> = compile.given().collect();
        let all = compile.compiler.arguments.iter().chain(&given).filter(maps);
        let mut words = vec![shown(&compile.compiler.path)];
        words.extend(all.filter_map(|argument| word(cx, &self.place, argument)));
        words
    }
}

fn shown(path: &std::path::Path) -> String {
    path.to_string_lossy().into_owned()
}

/// An argument with absolute paths; none where it names something that only an action has.
fn word(cx: &Context, place: &Place, argument: &Argument) -> Option<String> {
    let mut word = String::new();
    for piece in argument {
        match piece {
            Piece::Text(text) => word.push_str(text),
            Piece::Path(path) | Piece::Absolute(path) => {
                let path = cx.places.absolute(&cx.places.find(place, path).ok()?);
                word.push_str(path.to_string_lossy().trim_end_matches('/'));
            }
            _ => return None,
        }
    }
    Some(word)
}
