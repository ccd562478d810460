//! Arguments as the tool of a package is given them, whoever says them.
//!
//! Relative paths start in the directory of the package that says an argument: of the manifest, or the
//! root for what the environment asks for. A tool runs in the directory of the package that it works
//! for, so those of other packages are made absolute, and are traced by where they lie in their package.

use std::ops::Range;

use larder_project::{
    diagnostic::Diagnostic,
    path::PortablePath,
    plan::{BuiltIn, Kind, PackageId, Part, TargetId, ToolArgument},
    workspace::Package,
};
use larder_trace::BuildTrace;

use super::Maker;
use crate::{
    action::{Argument, Piece},
    flags::{Words, escaped, path_below},
    search::relative_paths,
    toolchain::Role,
};

/// An argument for a tool.
#[derive(Debug, Clone, Default)]
pub(super) struct Said {
    /// For the action.
    pub argument: Argument,
    /// For the trace: the same wherever the packages lie.
    pub traced: String,
    /// With paths as records of the package have them.
    pub portable: String,
    /// With paths as the tool opens them on this machine.
    pub here: String,
}

/// The arguments that some variables ask for.
#[derive(Default)]
pub(super) struct AllSaid {
    /// The arguments, in order.
    pub arguments: Vec<Said>,
    /// One part a variable.
    pub traces: Vec<BuildTrace>,
}

impl AllSaid {
    pub fn portable(&self) -> impl Iterator<Item = String> {
        self.arguments.iter().map(|said| said.portable.clone())
    }

    pub fn here(&self) -> impl Iterator<Item = String> {
        self.arguments.iter().map(|said| said.here.clone())
    }

    pub fn arguments(&self) -> impl Iterator<Item = Argument> {
        self.arguments.iter().map(|said| said.argument.clone())
    }
}

/// A path in an argument.
struct Named {
    /// Where it stands in the text.
    at: Range<usize>,
    piece: Piece,
    portable: PortablePath,
    here: String,
}

/// Stands for a path in a text that is looked through for others: no relative one, and in no text.
const HOLE: &str = "/\0";

impl Maker<'_> {
    /// The arguments of some variables, for a tool that runs in `package`.
    pub(super) fn flags<'w>(
        &self,
        package: &Package,
        variables: impl IntoIterator<Item = &'w Words>,
    ) -> AllSaid {
        let mut all = AllSaid::default();
        for Words { variable, words, .. } in variables {
            let said = self.of_environment(package, words);
            let traced: Vec<&str> = said.iter().map(|said| said.traced.as_str()).collect();
            all.traces.push(BuildTrace::list(*variable, &traced));
            all.arguments.extend(said);
        }
        all
    }

    /// The arguments that the environment has the archiver called with before all others.
    pub(super) fn first_of_archiver(&self, package: &Package) -> AllSaid {
        let flags = self.flags_of(package);
        let words = flags.tool(&package.manifest.toolchain, Role::Ar);
        self.first(package, words.map_or(&[][..], Words::arguments))
    }

    /// Arguments that a tool is given before all others. They are part of who it is.
    pub(super) fn first(&self, package: &Package, words: &[String]) -> AllSaid {
        AllSaid { arguments: self.of_environment(package, words), traces: Vec::new() }
    }

    /// Words of the environment, or of what the system says. What lies below the root package's directory is
    /// traced by where it lies there.
    pub(super) fn of_environment(&self, package: &Package, words: &[String]) -> Vec<Said> {
        let root = self.package(PackageId::ROOT);
        let directory = &root.place.directory;
        let mut named: Vec<Vec<Named>> = words.iter().map(|_| Vec::new()).collect();
        for (word, named) in words.iter().zip(&mut named) {
            let mut start = 0;
            while let Some(found) = path_below(&word[start..], directory) {
                let at = start + found.start..start + found.end;
                start = at.end;
                named.push(self.opened(&root, package, word, at, true));
            }
        }
        self.relative(&root, package, words, &mut named);
        let said = words.iter().zip(named).map(|(word, named)| Said::new(word, named));
        said.collect()
    }

    /// Arguments of manifests, for a tool that runs in `package`. What is wrong with them is said.
    pub(super) fn said(&mut self, package: &Package, arguments: &[ToolArgument]) -> Vec<Said> {
        let mut all = Vec::with_capacity(arguments.len());
        for of_one in arguments.chunk_by(|one, next| one.package == next.package) {
            let owner = self.package(of_one[0].package);
            let mut texts: Vec<String> = Vec::with_capacity(of_one.len());
            let mut named: Vec<Vec<Named>> = Vec::with_capacity(of_one.len());
            let mut written: Vec<&str> = Vec::with_capacity(of_one.len());
            for argument in of_one {
                for (text, paths) in self.filled(&owner, package, argument) {
                    texts.push(text);
                    named.push(paths);
                    written.push(&argument.text);
                }
            }
            self.relative(&owner, package, &texts, &mut named);
            for ((text, named), written) in texts.iter().zip(named).zip(written) {
                let named_none = named.is_empty();
                // What its own package says is traced as it is written; what names no path, as it is given.
                let mut said = Said::new(text, named);
                if named_none {
                    said.traced.clone_from(text);
                } else if owner.place.name == package.place.name {
                    said.traced = written.to_owned();
                }
                all.push(said);
            }
        }
        all
    }

    /// An argument with its placeholders filled in, as a text and the paths in it: as many as it stands
    /// for; none where that is wrong, which is said.
    fn filled(
        &mut self,
        owner: &Package,
        package: &Package,
        argument: &ToolArgument,
    ) -> Vec<(String, Vec<Named>)> {
        let parts = &argument.argument.parts;
        if let [Part::Made(targets)] = &parts[..] {
            let files = targets.iter().flat_map(|&id| self.files_of(package, id));
            let files: Vec<PortablePath> = files.collect();
            if files.is_empty() {
                self.wrong_number(argument, 0);
            }
            let named = |path| (HOLE.to_owned(), vec![self.named(package, path, 0..HOLE.len())]);
            return files.into_iter().map(named).collect();
        }
        let (mut text, mut all) = (String::new(), Vec::new());
        for part in parts {
            let path = match part {
                Part::Text(literal) => {
                    text.push_str(literal);
                    continue;
                }
                Part::BuiltIn(built_in) => {
                    let built = *built_in == BuiltIn::Build;
                    owner.place.portable(&package.place, built, "")
                }
                Part::Made(targets) => {
                    let files = targets.iter().flat_map(|&id| self.files_of(package, id));
                    let mut files: Vec<PortablePath> = files.collect();
                    if files.len() != 1 {
                        self.wrong_number(argument, files.len());
                        return Vec::new();
                    }
                    files.remove(0)
                }
            };
            let at = text.len()..text.len() + HOLE.len();
            all.push(self.named(package, path, at));
            text.push_str(HOLE);
        }
        vec![(text, all)]
    }

    fn wrong_number(&mut self, argument: &ToolArgument, files: usize) {
        let text = &argument.text;
        let wrong = match files {
            0 => Diagnostic::new(format!("`{text}` names no file"))
                .help("objects are named by the library or executable that they are for"),
            _ => Diagnostic::new(format!("`{text}` puts {files} files into one argument")).help(
                "a placeholder that is an argument by itself stands for as many as it has files",
            ),
        };
        let package = self.package(argument.package);
        self.errors.push(wrong.at(&package.manifest.source, argument.argument.span.clone()));
    }

    /// The files that a target makes, as records of `package` have them; none for objects.
    fn files_of(&self, package: &Package, id: TargetId) -> Vec<PortablePath> {
        let target = self.plan.target(id);
        let place = self.package(target.package).place.clone();
        let portable = |path: &str| place.portable(&package.place, true, path);
        match &target.kind {
            Kind::Command(command) => {
                command.outputs.iter().map(|output| portable(output.path.as_str())).collect()
            }
            _ => target.file().map(|file| portable(file.as_str())).into_iter().collect(),
        }
    }

    /// Adds the relative paths in what `owner` says to a tool that runs elsewhere.
    fn relative(
        &self,
        owner: &Package,
        package: &Package,
        texts: &[String],
        named: &mut [Vec<Named>],
    ) {
        if owner.place.name == package.place.name {
            return;
        }
        for (of, at) in relative_paths(texts) {
            let path = self.opened(owner, package, &texts[of], at, false);
            named[of].push(path);
            named[of].sort_by_key(|named| named.at.start);
        }
    }

    /// The path that stands in a text of `owner`.
    fn opened(
        &self,
        owner: &Package,
        package: &Package,
        text: &str,
        at: Range<usize>,
        absolute: bool,
    ) -> Named {
        let path = &text[at.clone()];
        let opened = self.cx.places.opened(&owner.place, path);
        let portable = self.cx.places.portable(&package.place, &opened);
        let here = owner.place.directory.join(path).to_string_lossy().into_owned();
        let piece = match absolute {
            true => Piece::Absolute(portable.clone()),
            false => Piece::Path(portable.clone()),
        };
        Named { at, piece, portable, here }
    }

    /// A path in place of a placeholder.
    fn named(&self, package: &Package, portable: PortablePath, at: Range<usize>) -> Named {
        let found = self.cx.places.find(&package.place, &portable);
        let here = found.map(|path| self.cx.places.absolute(&path));
        let here = here.map(|path| path.to_string_lossy().trim_end_matches('/').to_owned());
        let here = here.unwrap_or_default();
        Named { at, piece: Piece::Path(portable.clone()), portable, here }
    }
}

impl Said {
    /// An argument that stands for itself.
    pub fn literal(text: &str) -> Self {
        let mut said = Self::new(text, Vec::new());
        said.traced = text.to_owned();
        said
    }

    fn new(text: &str, named: Vec<Named>) -> Self {
        let mut said = Self::default();
        let mut end = 0;
        for Named { at, piece, portable, here } in named {
            said.text(&text[end..at.start]);
            end = at.end;
            let (path, whole) = match portable.as_str().trim_end_matches('/') {
                "" => (".", "package"),
                path => (path, path),
            };
            said.traced.push_str(&format!("{{{whole}}}"));
            said.portable.push_str(path);
            said.here.push_str(&here);
            said.argument.push(piece);
        }
        said.text(&text[end..]);
        said
    }

    fn text(&mut self, text: &str) {
        if text.is_empty() && !self.argument.is_empty() {
            return;
        }
        self.traced.push_str(&escaped(text));
        self.portable.push_str(text);
        self.here.push_str(text);
        if !text.is_empty() || self.argument.is_empty() {
            self.argument.push(Piece::Text(text.to_owned()));
        }
    }
}
