//! What shared libraries offer.

use std::fs;

use larder_project::{
    diagnostic::Located,
    manifest::Exports,
    path::BuildPath,
    plan::{Declared, Form, Kind, TargetId},
};
use larder_trace::{BuildTrace, describe_io};

use super::Maker;
use crate::{
    action::{Piece, text},
    artifact::Artifact,
    builds::{Owner, TracedArgument, build_file_after_deps},
    job::Job,
    step::{Work, Workplace},
};

/// The job of a version script, and the arguments that have the linker read it.
type Script = (Job<Artifact>, [TracedArgument; 2]);

impl Maker<'_> {
    /// The script that is made of the symbols which a shared library offers, where its manifest lists them. A
    /// script that the manifest names must be there.
    #[allow(clippy::option_option, reason = "the outer one says that something is wrong")]
    pub(super) fn exports(&mut self, id: TargetId, owner: &Owner) -> Option<Option<Script>> {
        let target = self.plan.target(id);
        let (Kind::Linked(linked), Declared::Library(index)) = (&target.kind, target.declared)
        else {
            return Some(None);
        };
        let Kind::Objects(objects) = &self.plan.target(linked.objects).kind else {
            return Some(None);
        };
        let package = self.package(target.package);
        let exports = package.manifest.libraries[index].shared.exports.as_ref();
        let symbols = match exports.filter(|_| linked.form == Form::SharedLibrary) {
            None => return Some(None),
            Some(Exports::Script(script)) => {
                if let Some(path) = script.as_literal() {
                    let path = Located { value: path.to_owned(), span: script.span.clone() };
                    self.expand(target.package, &path)?;
                }
                return Some(None);
            }
            Some(Exports::Symbols(symbols)) => symbols,
        };
        let symbols: Vec<&str> = symbols.iter().map(|symbol| symbol.as_str()).collect();
        let file = BuildPath::new(&format!("{}/exports.map", objects.directory)).ok()?;
        let portable = owner.place.portable(&owner.place, true, file.as_str());
        let arguments = [
            TracedArgument::from("-Xlinker"),
            TracedArgument {
                argument: [text("--version-script="), vec![Piece::Path(portable)]].concat(),
                traced: "--version-script={exports}".to_owned(),
            },
        ];
        let traced = BuildTrace::list("exports", &symbols);
        let names: String = symbols.iter().map(|symbol| format!("        {symbol};\n")).collect();
        let script = format!("{{\n    global:\n{names}    local:\n        *;\n}};\n");
        let write = move |place: &Workplace| {
            let path = &place.outputs[0];
            let failed =
                |error| format!("cannot write {}: {}", path.display(), describe_io(&error));
            fs::write(path, &script).map_err(failed)
        };
        let work = Work::Function(Box::new(write));
        let made = build_file_after_deps(owner.clone(), file, [], || traced, work, false);
        Some(Some((made, arguments)))
    }
}
