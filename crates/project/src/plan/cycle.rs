//! Cycles: targets that need each other.

use std::path::Path;

use super::{Declared, Plan, Target, TargetId};
use crate::diagnostic::Diagnostic;

impl Plan {
    /// A cycle, when there is one, as the path around it. Libraries that are linked with each other
    /// count, though a static one could be made before those it is linked with.
    pub(super) fn cycle(&self) -> Option<Diagnostic> {
        let needs = |id: TargetId| {
            let target = self.target(id);
            target.needs().into_iter().chain(target.direct_libraries().iter().copied())
        };
        // Kahn: what cannot be ordered is on a cycle or needs one.
        let mut waits: Vec<usize> = self.ids().map(|id| needs(id).count()).collect();
        let mut users = vec![Vec::new(); self.targets.len()];
        for id in self.ids() {
            for need in needs(id) {
                users[need.index()].push(id);
            }
        }
        let mut ready: Vec<TargetId> = self.ids().filter(|id| waits[id.index()] == 0).collect();
        while let Some(id) = ready.pop() {
            for user in &users[id.index()] {
                waits[user.index()] -= 1;
                if waits[user.index()] == 0 {
                    ready.push(*user);
                }
            }
        }
        let mut at = self.ids().find(|id| waits[id.index()] > 0)?;
        let mut path = Vec::new();
        let mut seen = vec![false; self.targets.len()];
        while !std::mem::replace(&mut seen[at.index()], true) {
            path.push(at);
            at = needs(at).find(|need| waits[need.index()] > 0)?;
        }
        let start = path.iter().position(|id| *id == at)?;
        let mut steps = path[start..].to_vec();
        steps.push(steps[0]);
        // A library's objects and the library are one step for people.
        steps.dedup_by_key(|id| (self.target(*id).package, self.target(*id).declared));
        if let [only] = steps[..] {
            steps.push(only);
        }
        let label = |id: &TargetId| self.target(*id).label.split(':').next().unwrap_or_default();
        let labels: Vec<&str> = steps.iter().map(label).collect();
        // Of a cycle as long as a manifest, the ends are enough.
        const SHOWN: usize = 10;
        let way = match labels.len() {
            length if length > 2 * SHOWN + 1 => format!(
                "{} -> ({} more) -> {}",
                labels[..SHOWN].join(" -> "),
                length - 2 * SHOWN,
                labels[length - SHOWN..].join(" -> ")
            ),
            _ => labels.join(" -> "),
        };
        let target = self.target(at);
        let package = self.package_of(target);
        let message = format!("targets need each other in a cycle: {way}");
        let help = "take one of these steps out: what two targets both need can be a third";
        let diagnostic = Diagnostic::new(message).help(help);
        Some(diagnostic.at(&package.manifest.source, self.span_of(target)))
    }

    /// Where a target's name stands in its manifest.
    /// Returns the manifest and the line in it where the target of this label is declared.
    pub fn declared_at(&self, label: &str) -> Option<(&Path, usize)> {
        let target = self.targets.iter().find(|target| &*target.label == label)?;
        let source = &self.package_of(target).manifest.source;
        let before = source.text.get(..self.span_of(target).start)?;
        Some((&source.path, before.matches('\n').count() + 1))
    }

    pub(super) fn span_of(&self, target: &Target) -> std::ops::Range<usize> {
        let name = match target.declared {
            Declared::Command(index) => &self.package_of(target).manifest.commands[index].name,
            Declared::Config(index) => {
                &self.package_of(target).manifest.configs[index].compiled.name
            }
            Declared::Library(_) | Declared::Executable(_) => match self.compiled(target) {
                Some(compiled) => &compiled.name,
                None => return 0..0,
            },
        };
        name.span.clone()
    }
}
