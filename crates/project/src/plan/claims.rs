//! Which target makes which file: no two make one.

use std::{borrow::Cow, collections::HashMap, ops::Range};

use super::{Declared, Kind, Linked, Made, Plan, Target, TargetId, Wrong};
use crate::{
    diagnostic::Diagnostic,
    name::Facet,
    path::{BuildPath, RootPath},
};

impl Plan {
    /// Finds out which target makes which output.
    pub(super) fn claim_outputs(&mut self, errors: &mut Wrong) {
        let mut claims = Claims::default();
        for id in self.ids() {
            let target = &self.targets[id.index()];
            let package = self.package_of(target).clone();
            let at = |diagnostic: Diagnostic, span: &Range<usize>| {
                diagnostic.at(&package.manifest.source, span.clone())
            };
            for (position, (output, span)) in self.outputs_of(target).into_iter().enumerate() {
                if let Some((other, theirs)) = claims.claim(package.place.build_path(&output), id) {
                    let other = self.target(other);
                    let theirs = package.place.in_build_directory(theirs.as_str());
                    let theirs = theirs.unwrap_or(output.as_str());
                    let diagnostic = clash(target, other, output.as_str(), theirs);
                    errors.of_mut(package.place.built_for).push(at(diagnostic, &span));
                    continue;
                }
                let answers = position > 0 && matches!(target.kind, Kind::Config(_));
                if target.facet() != Some(Facet::O) && !answers {
                    let made = Made { target: id, position };
                    self.by_output[target.package.index()].insert(output, made);
                }
            }
        }
    }

    /// The outputs of a target in its package's build directory, and where each is declared. Objects
    /// and answers of checks count as the directory they are in.
    pub fn outputs_of(&self, target: &Target) -> Vec<(BuildPath, Range<usize>)> {
        let file = match &target.kind {
            Kind::Objects(objects) => &objects.directory,
            Kind::Headers(_) => return Vec::new(),
            Kind::Archive(archive) => &archive.file,
            Kind::Linked(linked) => &linked.file,
            Kind::Config(config) => config.file(),
            Kind::Command(_) => {
                let Declared::Command(index) = target.declared else { return Vec::new() };
                let declared = self.package_of(target).manifest.commands[index].outputs.iter();
                return declared.map(|output| (output.path.clone(), output.span.clone())).collect();
            }
        };
        let mut outputs = vec![(file.clone(), self.span_of(target))];
        if let Kind::Linked(Linked { import: Some(import), .. }) = &target.kind {
            outputs.push((import.clone(), self.span_of(target)));
        }
        if let Kind::Config(config) = &target.kind
            && !config.declared.checks.is_empty()
        {
            outputs.push((config.checks.directory.clone(), self.span_of(target)));
        }
        outputs
    }
}

/// Which path from the root belongs to which target.
#[derive(Default)]
struct Claims {
    owners: HashMap<RootPath, TargetId>,
    /// Every directory that something claimed is in, with one of these things.
    parents: HashMap<String, RootPath>,
}

impl Claims {
    /// Gives `path` to `id`, unless another has it, has something in it, or has what it is in: then
    /// tells who that is and what it has.
    fn claim(&mut self, path: RootPath, id: TargetId) -> Option<(TargetId, RootPath)> {
        let text = path.as_str();
        let around = text.match_indices('/').map(|(at, _)| &text[..at]);
        // What larder keeps beside outputs.
        let beside = [".trace", ".hash"].into_iter().flat_map(|extension| {
            let stem = text.strip_suffix(extension).map(Cow::Borrowed);
            stem.into_iter().chain([Cow::Owned([text, extension].concat())])
        });
        let near = around.clone().chain([text]).map(Cow::Borrowed);
        let taken = near.chain(beside).find_map(|near| Some(self.owners.get_key_value(&*near)?.0));
        if let Some(taken) = taken.or_else(|| self.parents.get(text)) {
            return Some((self.owners[taken], taken.clone()));
        }
        for parent in around {
            if !self.parents.contains_key(parent) {
                self.parents.insert(parent.to_owned(), path.clone());
            }
        }
        self.owners.insert(path, id);
        None
    }
}

/// Two targets cannot both have what they make.
fn clash(target: &Target, other: &Target, output: &str, theirs: &str) -> Diagnostic {
    let (mine, other) = (&target.label, &other.label);
    let (short, long) =
        if output.len() < theirs.len() { (output, theirs) } else { (theirs, output) };
    let (message, help) = if short == long {
        (format!("`{other}` and `{mine}` have one output, `{output}`"), "rename one of them")
    } else if long[short.len()..].starts_with('.') {
        let message = format!(
            "the output `{output}` of `{mine}` and `{theirs}` of `{other}`: in `{long}` larder keeps its own record of `{short}`"
        );
        (message, "rename one of them")
    } else {
        let message = format!(
            "the output `{long}` is inside `{short}`, and `{other}` and `{mine}` each make one of them"
        );
        (message, "a directory belongs to one target with everything in it: rename one of them")
    };
    Diagnostic::new(message).help(help)
}
