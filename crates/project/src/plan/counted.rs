//! What a command names must be known before it runs.

use super::{Argument, Kind, Plan, Source, TargetId};
use crate::diagnostic::Diagnostic;

impl Plan {
    /// Refuses commands and tests that name objects of which nobody knows how many they will be.
    pub(super) fn refuse_uncounted(&self, errors: &mut Vec<Diagnostic>) {
        for id in self.ids() {
            let target = self.target(id);
            let (inputs, arguments) = match &target.kind {
                Kind::Command(command) => (&command.inputs[..], command.words().collect()),
                Kind::Linked(linked) => {
                    let test = linked.test.as_ref();
                    (
                        &linked.inputs[..],
                        test.map_or(Vec::new(), |test| test.arguments.iter().collect()),
                    )
                }
                Kind::Objects(objects) => (&objects.inputs[..], Vec::<&Argument>::new()),
                Kind::Archive(_) | Kind::Headers(_) | Kind::Config(_) => continue,
            };
            let inputs = inputs.iter().filter_map(|input| Some((input.target()?, &input.span)));
            let arguments = arguments
                .iter()
                .flat_map(|argument| argument.targets().map(|id| (id, &argument.span)));
            for (named, span) in
                inputs.chain(arguments).filter(|(named, _)| self.is_uncounted(*named))
            {
                let of = &self.target(named).label;
                let message =
                    format!("how many objects `{of}` has is known only when they are made");
                let help = "name a library of them: it is one file";
                let source = &self.package_of(target).manifest.source;
                errors.push(Diagnostic::new(message).help(help).at(source, span.clone()));
            }
        }
    }

    fn is_uncounted(&self, id: TargetId) -> bool {
        let Kind::Objects(objects) = &self.target(id).kind else { return false };
        objects.sources.iter().any(|source| matches!(source.value, Source::Directory { .. }))
    }
}
