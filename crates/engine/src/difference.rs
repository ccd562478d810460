//! Where two results of the same inputs differ first, in words that help to find out why.

use std::{fmt, io::Read};

use larder_store::Store;
use larder_trace::{OutputFile, Outputs};
use object::{Object, ObjectSection, read::archive::ArchiveFile};

/// Larger files are compared by their hashes only, in bytes.
const LARGEST: u64 = 256 << 20;

/// The first difference between two results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The output, as a path in the build directory.
    pub output: String,
    /// The kind of the difference.
    pub kind: Kind,
}

/// How an output of two results differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Only one of them has it.
    Missing,
    /// Only one of them may be executed.
    Executable,
    /// Its content differs, here first, as far as that can be told.
    Content(Option<Place>),
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In a section of an object file, library or program, so many bytes from its beginning.
    Section {
        /// The section.
        name: String,
        /// Bytes.
        offset: u64,
    },
    /// In a member of an archive.
    Member {
        /// The member.
        name: String,
        /// Where in it.
        inside: Box<Place>,
    },
    /// In a line of a text, counted from 1.
    Line(u64),
    /// So many bytes from the beginning.
    Byte(u64),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let output = self.output.escape_debug();
        match &self.kind {
            Kind::Missing => write!(f, "{output} was made only once"),
            Kind::Executable => write!(f, "{output} is executable only once"),
            Kind::Content(None) => write!(f, "{output} differs"),
            Kind::Content(Some(place)) => write!(f, "{output} differs in {place}"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Section { name, offset } => {
                write!(f, "section {}, byte {offset}", name.escape_debug())
            }
            Self::Member { name, inside } => {
                write!(f, "member {}, {inside}", name.escape_debug())
            }
            Self::Line(line) => write!(f, "line {line}"),
            Self::Byte(offset) => write!(f, "byte {offset}"),
        }
    }
}

/// One result, with the store that has its files.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    /// The outputs.
    pub outputs: &'a Outputs,
    /// Where their content is, if anywhere.
    pub store: Option<&'a Store>,
}

/// Returns where two results differ first, in the order of the outputs of the first; `None` when they
/// are the same.
pub fn first_difference(one: Side<'_>, other: Side<'_>) -> Option<Difference> {
    let at = |path: &str, kind| Some(Difference { output: path.to_owned(), kind });
    for file in &one.outputs.outputs {
        let same_path = |it: &&OutputFile| it.path == file.path;
        match other.outputs.outputs.iter().find(same_path) {
            None => return at(&file.path, Kind::Missing),
            Some(there) if there.hash != file.hash => {
                let contents = read(one.store, file).zip(read(other.store, there));
                let place = contents.and_then(|(here, there)| place(&here, &there));
                return at(&file.path, Kind::Content(place));
            }
            Some(there) if there.executable != file.executable => {
                return at(&file.path, Kind::Executable);
            }
            Some(_) => {}
        }
    }
    let (ours, theirs) = (one.outputs, other.outputs);
    let files = |it: &Outputs| it.outputs.iter().map(|file| file.path.clone()).collect::<Vec<_>>();
    let names = |it: &Outputs| [files(it), it.directories.clone()].concat();
    let (ours, theirs) = (names(ours), names(theirs));
    let only = |these: &[String], those: &[String]| {
        these.iter().find(|path| !those.contains(path)).cloned()
    };
    let missing = only(&ours, &theirs).or_else(|| only(&theirs, &ours))?;
    at(&missing, Kind::Missing)
}

/// The content of an artifact, if it is to be had and not too large.
fn read(store: Option<&Store>, file: &OutputFile) -> Option<Vec<u8>> {
    let opened = (file.size <= LARGEST).then(|| store?.open_artifact(file).ok()).flatten()?;
    let mut content = Vec::new();
    opened.take(LARGEST).read_to_end(&mut content).ok()?;
    Some(content)
}

/// Where two contents differ first.
fn place(here: &[u8], there: &[u8]) -> Option<Place> {
    let offset = first_byte(here, there)?;
    Some(
        in_member(here, there)
            .or_else(|| in_section(here, there))
            .or_else(|| in_line(here, there, offset))
            .unwrap_or(Place::Byte(offset)),
    )
}

fn first_byte(here: &[u8], there: &[u8]) -> Option<u64> {
    let same = here.iter().zip(there).take_while(|(a, b)| a == b).count();
    (same < here.len().max(there.len())).then_some(same as u64)
}

/// The first member of two archives that differs, where both have the same members.
fn in_member(here: &[u8], there: &[u8]) -> Option<Place> {
    let (here, there) = (members(here)?, members(there)?);
    let pairs = here.iter().zip(&there);
    let (ours, theirs) = pairs.clone().find(|(ours, theirs)| ours != theirs)?;
    if ours.0 != theirs.0 {
        return None;
    }
    let name = String::from_utf8_lossy(&ours.0).into_owned();
    Some(Place::Member { name, inside: Box::new(place(ours.1, theirs.1)?) })
}

/// Names and contents of the members of an archive.
fn members(content: &[u8]) -> Option<Vec<(Vec<u8>, &[u8])>> {
    let archive = ArchiveFile::parse(content).ok().filter(|archive| !archive.is_thin())?;
    let each = archive.members().map(|member| {
        let member = member.ok()?;
        Some((member.name().to_vec(), member.data(content).ok()?))
    });
    each.collect()
}

/// The first section of two object files that differs, where both have the same sections.
fn in_section(here: &[u8], there: &[u8]) -> Option<Place> {
    let (here, there) = (object::File::parse(here).ok()?, object::File::parse(there).ok()?);
    here.sections().zip(there.sections()).find_map(|(ours, theirs)| {
        let name = ours.name().ok()?;
        if theirs.name().ok()? != name {
            return None;
        }
        let offset = first_byte(ours.data().ok()?, theirs.data().ok()?)?;
        Some(Place::Section { name: name.to_owned(), offset })
    })
}

/// The line of two texts that has the byte at `offset`.
fn in_line(here: &[u8], there: &[u8], offset: u64) -> Option<Place> {
    let is_text = |content: &[u8]| !content.contains(&0) && std::str::from_utf8(content).is_ok();
    let before = here.get(..usize::try_from(offset).ok()?)?;
    let lines = before.iter().filter(|byte| **byte == b'\n').count() as u64;
    (is_text(here) && is_text(there)).then_some(Place::Line(lines + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn said(here: &[u8], there: &[u8]) -> String {
        place(here, there).map_or_else(String::new, |place| place.to_string())
    }

    #[test]
    fn texts_differ_in_a_line_and_others_in_a_byte() {
        assert_eq!(said(b"a\nb\nc\n", b"a\nb\nd\n"), "line 3");
        assert_eq!(said(b"a\n", b"a\nb\n"), "line 2");
        assert_eq!(said(b"a\0b", b"a\0c"), "byte 2");
        assert_eq!(said(b"", b"\0"), "byte 0");
        assert_eq!(said(b"same", b"same"), "");
    }

    #[test]
    fn archives_differ_in_a_member() {
        let archive = |content: &str| {
            let size = content.len();
            let head = format!("{:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n", "b.txt/", 0, 0, 0, 644);
            let padding = if size % 2 == 1 { "\n" } else { "" };
            format!("!<arch>\n{head}{content}{padding}").into_bytes()
        };
        assert_eq!(said(&archive("one\ntwo\n"), &archive("one\nten\n")), "member b.txt, line 2");
    }

    proptest! {
        #[test]
        fn a_difference_is_found_exactly_where_there_is_one(
            here in prop::collection::vec(any::<u8>(), 0..60),
            there in prop::collection::vec(any::<u8>(), 0..60),
            head in prop::sample::select(vec![&b""[..], b"\x7fELF\x02\x01\x01", b"!<arch>\n"]),
        ) {
            let (here, there) = ([head, &here].concat(), [head, &there].concat());
            prop_assert_eq!(place(&here, &there).is_some(), here != there);
        }
    }
}
