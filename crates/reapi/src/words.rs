//! Arguments and variables as they are on the other machine.

use larder_engine::{
    action::{Action, Argument, Output, Piece},
    executor::Bench,
};
use larder_project::path::PortablePath;

use crate::layout::{BESIDE, FILES, HERE, Layout, OUTPUTS, Where};

/// A word of a command line: pieces, some of which begin with the directory that the action runs in, as an absolute path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Word(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    /// The variable `H`, which holds that directory for the package's own files.
    Here,
    /// The variable `R`, which holds it for those below `.larder`.
    Beside,
}

impl Word {
    /// A word that stands for itself.
    pub fn text(text: impl Into<String>) -> Self {
        Self(vec![Part::Text(text.into())])
    }

    /// The absolute path of what lies at `path` from the directory that the action runs in.
    pub fn absolute(path: &str) -> Self {
        let root = if path.starts_with(".larder/") { Part::Beside } else { Part::Here };
        let slash = if path.is_empty() { "" } else { "/" };
        Self(vec![root, Part::Text(format!("{slash}{path}"))])
    }

    /// Returns the word as a shell takes it.
    pub fn quoted(&self) -> String {
        let parts = self.0.iter().map(|part| match part {
            Part::Text(text) => format!("'{}'", text.replace('\'', r"'\''")),
            Part::Here => r#""$H""#.to_owned(),
            Part::Beside => r#""$R""#.to_owned(),
        });
        parts.collect()
    }

    /// Returns the word of a process that stays in that directory.
    pub fn staying(&self) -> String {
        let parts = self.0.iter().map(|part| match part {
            Part::Text(text) => text.as_str(),
            Part::Here => HERE,
            Part::Beside => BESIDE,
        });
        parts.collect()
    }

    fn push(&mut self, other: Self) {
        self.0.extend(other.0);
    }
}

/// Renders the arguments of an action.
pub struct Renderer<'a> {
    /// The action.
    pub action: &'a Action,
    /// Where it is to run here.
    pub bench: &'a Bench<'a>,
    /// Where its files lie.
    pub layout: Layout<'a>,
    /// Files that arguments name: where they lie, and what is in them.
    pub files: Vec<(String, String)>,
}

impl Renderer<'_> {
    /// Returns a path as an argument: as it is called in the package if it is the package's own, else absolute.
    pub fn path(&self, path: &PortablePath) -> Word {
        match self.layout.place(path) {
            Where::System(path) => Word::text(path.trim_end_matches('/')),
            Where::Inside(own) if own.is_empty() => Word::text("."),
            Where::Inside(own) if !path.as_str().starts_with(['@', '<']) => Word::text(own),
            Where::Inside(other) => Word::absolute(&other),
        }
    }

    fn absolute(&self, path: &PortablePath) -> Word {
        match self.layout.place(path) {
            Where::System(path) => Word::text(path.trim_end_matches('/')),
            Where::Inside(path) => Word::absolute(&path),
        }
    }

    /// Returns where an output is written, from the directory that the action runs in.
    pub fn output(&self, output: &Output) -> String {
        format!("{OUTPUTS}/{}", self.bench.staged_name(output))
    }

    /// Returns what is written, as tools get it: they stay where they are, and others may go elsewhere.
    fn written(&self, path: &str) -> Word {
        if self.bench.flat { Word::text(path) } else { Word::absolute(path) }
    }

    /// Returns an argument.
    pub fn argument(&mut self, pieces: &Argument) -> Word {
        let mut word = Word::default();
        for piece in pieces {
            word.push(match piece {
                Piece::Text(text) => Word::text(text),
                Piece::Path(path) => self.path(path),
                Piece::Absolute(path) => self.absolute(path),
                Piece::Output(position) => match self.action.outputs.get(*position) {
                    Some(output) => self.written(&self.output(output)),
                    None => Word::default(),
                },
                Piece::OutputDirectory => Word::absolute(OUTPUTS),
                Piece::Depfile => self.written(&format!("{OUTPUTS}/{DEPFILE}")),
                Piece::LinkerDepfile => self.written(&format!("{OUTPUTS}/{LINKER_DEPFILE}")),
                Piece::List(files) => {
                    let lines = files.iter().map(|file| self.path(file).staying() + "\n");
                    let (name, text) =
                        (format!("{FILES}/inputs.{}.list", self.files.len()), lines.collect());
                    self.files.push((name.clone(), text));
                    Word::absolute(&name)
                }
                Piece::File { name, text } => {
                    let name = format!("{FILES}/{name}");
                    self.files.push((name.clone(), text.clone()));
                    self.written(&name)
                }
            });
        }
        word
    }
}

/// The depfile that the command writes, and that of the linker which it calls, among the outputs.
pub const DEPFILE: &str = ".larder.d";
pub const LINKER_DEPFILE: &str = ".larder.link.d";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted() {
        let mut word = Word::text("-I");
        word.push(Word::absolute("it's"));
        assert_eq!(word.quoted(), r#"'-I'"$H"'/it'\''s'"#);
        assert_eq!(word.staying(), "-I/proc/self/cwd/it's");
        assert_eq!(Word::absolute("").quoted(), r#""$H"''"#);
        assert_eq!(Word::absolute(".larder/d/z").quoted(), r#""$R"'/.larder/d/z'"#);
    }
}
