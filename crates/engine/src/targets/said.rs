//! Arguments that the environment asks for, as the tools of each package are given them.

use larder_project::{manifest::Toolchain, plan::PackageId, workspace::Package};
use larder_trace::BuildTrace;

use super::Maker;
use crate::{
    action::{Argument, Piece},
    flags::{Words, escaped, path_below},
    search::relative_paths,
    toolchain::Role,
};

/// An argument that names files by paths from another directory than the one that the tool runs in.
#[derive(Debug, Clone)]
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

impl Maker<'_> {
    /// The arguments of some variables, for a tool that runs in `package`.
    pub(super) fn flags<'w>(
        &self,
        package: &Package,
        variables: impl IntoIterator<Item = &'w Words>,
    ) -> AllSaid {
        let mut all = AllSaid::default();
        for Words { variable, words } in variables {
            let said = self.said(package, words);
            let traced: Vec<&str> = said.iter().map(|said| said.traced.as_str()).collect();
            all.traces.push(BuildTrace::list(*variable, &traced));
            all.arguments.extend(said);
        }
        all
    }

    /// The arguments that the environment has the tool for `role` called with before all others.
    pub(super) fn first_arguments(&self, package: &Package, role: Role) -> AllSaid {
        let toolchain: &Toolchain = &package.manifest.toolchain;
        let words = self.flags.tool(toolchain, role).map_or(&[][..], |asked| &asked.words[1..]);
        AllSaid { arguments: self.said(package, words), traces: Vec::new() }
    }

    /// Words of the environment. Relative paths among them start in the root package's directory, and what
    /// lies below that is traced by where it lies there.
    fn said(&self, package: &Package, words: &[String]) -> Vec<Said> {
        let root = self.package(PackageId::ROOT);
        let directory = root.place.directory.clone();
        let mut relative = Vec::new();
        if !package.is_root {
            relative = relative_paths(words);
        }
        let said = |(at, word): (usize, &String)| {
            let mut paths: Vec<(std::ops::Range<usize>, bool)> = Vec::new();
            let mut start = 0;
            while let Some(found) = path_below(&word[start..], &directory) {
                paths.push((start + found.start..start + found.end, true));
                start += found.end;
            }
            let own = relative.iter().filter(|(of, _)| *of == at);
            paths.extend(own.map(|(_, range)| (range.clone(), false)));
            paths.sort_by_key(|(range, _)| range.start);
            let mut said = Said {
                argument: Vec::new(),
                traced: String::new(),
                portable: String::new(),
                here: String::new(),
            };
            let mut end = 0;
            for (range, absolute) in paths {
                said.text(&word[end..range.start]);
                end = range.end;
                let path = &word[range];
                let opened = self.cx.places.opened(&root.place, path);
                let portable = self.cx.places.portable(&package.place, &opened);
                said.traced.push_str(&match portable.as_str() {
                    "" => "{package}".to_owned(),
                    path => format!("{{{path}}}"),
                });
                said.portable.push_str(match portable.as_str() {
                    "" => ".",
                    path => path,
                });
                said.here.push_str(&directory.join(path).to_string_lossy());
                said.argument.push(match absolute {
                    true => Piece::Absolute(portable),
                    false => Piece::Path(portable),
                });
            }
            said.text(&word[end..]);
            said
        };
        words.iter().enumerate().map(said).collect()
    }
}

impl Said {
    fn text(&mut self, text: &str) {
        if text.is_empty() && !self.argument.is_empty() {
            return;
        }
        self.traced.push_str(&escaped(text));
        self.portable.push_str(text);
        self.here.push_str(text);
        self.argument.push(Piece::Text(text.to_owned()));
    }
}
