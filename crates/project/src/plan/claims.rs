//! Which target makes which file: no two make one.

use std::{collections::HashMap, ops::Range};

use super::{Declared, Kind, Made, Plan, Target, TargetId};
use crate::{diagnostic::Diagnostic, glob::is_inside, name::Facet};

impl Plan {
    /// Finds out which target makes which output.
    pub(super) fn claim_outputs(&mut self, errors: &mut Vec<Diagnostic>) {
        let mut claims = Claims::default();
        for id in self.ids() {
            let target = &self.targets[id.index()];
            let package = self.package_of(target).clone();
            let at = |diagnostic: Diagnostic, span: &Range<usize>| {
                diagnostic.at(&package.manifest.source, span.clone())
            };
            for (position, (output, span)) in self.outputs_of(target).into_iter().enumerate() {
                let plain = is_inside(&output)
                    && output.split('/').all(|part| !part.is_empty() && part != ".");
                if !plain {
                    let message = format!("the output `{output}` is outside the build directory");
                    let help = "outputs are paths below it, without `.` and `..`";
                    errors.push(at(Diagnostic::new(message).help(help), &span));
                    continue;
                }
                if let Some((other, theirs)) = claims.claim(package.place.output(&output), id) {
                    let other = self.target(other);
                    let theirs = theirs.strip_prefix(&package.place.build_prefix);
                    let diagnostic = clash(target, other, &output, theirs.unwrap_or(&output));
                    errors.push(at(diagnostic, &span));
                    continue;
                }
                if target.facet() != Some(Facet::O) {
                    let made = Made { target: id, position };
                    self.by_output[target.package.index()].insert(output, made);
                }
            }
        }
    }

    /// The outputs of a target in its package's build directory, and where each is declared. Objects
    /// count as the directory they are in.
    fn outputs_of(&self, target: &Target) -> Vec<(String, Range<usize>)> {
        let file = match &target.kind {
            Kind::Objects(objects) => &objects.directory,
            Kind::Archive(archive) => &archive.file,
            Kind::Linked(linked) => &linked.file,
            Kind::Command(command) => {
                let declared = match target.declared {
                    Declared::Command(index) => {
                        &self.package_of(target).manifest.commands[index].outputs[..]
                    }
                    _ => &[],
                };
                let outputs = command.outputs.iter().zip(declared);
                return outputs.map(|(o, at)| (o.path.clone(), at.span.clone())).collect();
            }
        };
        vec![(file.clone(), self.span_of(target))]
    }
}

/// Which path from the root belongs to which target.
#[derive(Default)]
struct Claims {
    owners: HashMap<String, TargetId>,
    /// Every directory that something claimed is in, with one of these things.
    parents: HashMap<String, String>,
}

impl Claims {
    /// Gives `path` to `id`, unless another has it, has something in it, or has what it is in: then
    /// tells who that is and what it has.
    fn claim(&mut self, path: String, id: TargetId) -> Option<(TargetId, String)> {
        let around = path.match_indices('/').map(|(at, _)| &path[..at]);
        let above = around.clone().find(|parent| self.owners.contains_key(*parent));
        let taken = match above {
            Some(parent) => Some(parent.to_owned()),
            None if self.owners.contains_key(&path) => Some(path.clone()),
            // What larder keeps beside outputs.
            None => [".trace", ".hash"].into_iter().find_map(|extension| {
                let stem = path.strip_suffix(extension).map(str::to_owned);
                let beside = [&path, extension].concat();
                stem.into_iter().chain([beside]).find(|other| self.owners.contains_key(other))
            }),
        };
        let taken = taken.or_else(|| self.parents.get(&path).cloned());
        if let Some(taken) = taken {
            return Some((self.owners[&taken], taken));
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
