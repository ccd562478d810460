//! Objects that an assembler of its own makes.

use super::{Compile, Dialect};
use crate::{
    action::{Action, Argument, Discovery, Piece, text},
    context::Context,
    step::{Inputs, Step},
};

impl Compile {
    /// Returns the action that assembles, with arguments that say `what` is made of what.
    pub(super) fn assembling(
        &self,
        step: &Step,
        cx: &Context,
        inputs: Inputs<'_>,
        what: impl Iterator<Item = Argument>,
    ) -> Action {
        let mut arguments: Vec<Argument> = self.given().collect();
        let tells = self.dialect == Dialect::GnuAs;
        if tells {
            arguments.extend([text("--MD"), vec![Piece::Depfile]]);
        }
        arguments.extend(what);
        let discovery = if tells { Discovery::Compiler } else { Discovery::None };
        let action = step.action(cx, inputs, &self.compiler, arguments);
        Action { searched: self.search.own.clone(), discovery, ..action }
    }

    /// Returns the action that lists what was read, where that takes one of its own.
    pub(crate) fn listing(&self, step: &Step, cx: &Context, inputs: Inputs<'_>) -> Option<Action> {
        if self.dialect != Dialect::Nasm {
            return None;
        }
        let source =
            inputs.artifacts.iter().map(|source| vec![Piece::Path(step.portable(cx, source))]);
        let list = [text("-M"), text("-MF"), vec![Piece::Depfile]];
        let arguments = self.given().chain(list).chain(source).collect();
        let action = step.action(cx, inputs, &self.compiler, arguments);
        let searched = self.search.own.clone();
        Some(Action { searched, discovery: Discovery::Compiler, outputs: Vec::new(), ..action })
    }
}
