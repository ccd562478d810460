//! What shared libraries offer.

use std::fs;

use larder_project::{
    diagnostic::{Diagnostic, Located},
    manifest::Exports,
    path::BuildPath,
    plan::{Declared, Form, Kind, TargetId},
    setting::Format,
    workspace::Package,
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
type Script = (Job<Artifact>, Vec<TracedArgument>);

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
            Some(Exports::Script(script)) if package.platform.format() == Format::Pe => {
                let wrong = Diagnostic::new("Windows knows no version scripts")
                    .help("list the symbols: exports = [\"NAME\", …]");
                self.errors.push(wrong.at(&package.manifest.source, script.span.clone()));
                return None;
            }
            Some(Exports::Script(script)) => {
                if let Some(path) = script.as_literal() {
                    let path = Located { value: path.to_owned(), span: script.span.clone() };
                    self.expand(target.package, &path)?;
                }
                return Some(None);
            }
            Some(Exports::Symbols(symbols)) => symbols,
        };
        if package.platform.format() == Format::Pe {
            return self.definitions(symbols, &objects.directory, owner, &package).map(Some);
        }
        let file = BuildPath::new(&format!("{}/exports.map", objects.directory)).ok()?;
        let portable = owner.place.portable(&owner.place, true, file.as_str());
        let arguments = [
            TracedArgument::from("-Xlinker"),
            TracedArgument {
                argument: [text("--version-script="), vec![Piece::Path(portable)]].concat(),
                traced: "--version-script={exports}".to_owned(),
            },
        ];
        let names: String =
            symbols.iter().map(|symbol| format!("        {};\n", symbol.as_str())).collect();
        let script = format!("{{\n    global:\n{names}    local:\n        *;\n}};\n");
        let made = written(owner, file, script);
        Some(Some((made, arguments.to_vec())))
    }

    /// The same for Windows: a file that defines the symbols, which it needs one by one.
    fn definitions(
        &mut self,
        symbols: &[Located<String>],
        directory: &BuildPath,
        owner: &Owner,
        package: &Package,
    ) -> Option<Script> {
        let known = self.errors.len();
        for symbol in symbols.iter().filter(|symbol| symbol.contains(['*', '?', '['])) {
            let wrong = Diagnostic::new(format!(
                "`{}` stands for several symbols, and a library for Windows names each",
                **symbol
            ));
            let wrong = wrong.help("write them one by one");
            self.errors.push(wrong.at(&package.manifest.source, symbol.span.clone()));
        }
        if self.errors.len() > known {
            return None;
        }
        let file = BuildPath::new(&format!("{directory}/exports.def")).ok()?;
        let portable = owner.place.portable(&owner.place, true, file.as_str());
        let argument = TracedArgument {
            argument: vec![Piece::Path(portable)],
            traced: "{exports}".to_owned(),
        };
        let names: String =
            symbols.iter().map(|symbol| format!("    {}\n", symbol.as_str())).collect();
        let made = written(owner, file, format!("EXPORTS\n{names}"));
        Some((made, vec![argument]))
    }
}

/// The job of a file with a text in it.
fn written(owner: &Owner, file: BuildPath, text: String) -> Job<Artifact> {
    let traced = BuildTrace::text("exports", &*text);
    let write = move |place: &Workplace| {
        let path = &place.outputs[0];
        let failed = |error| format!("cannot write {}: {}", path.display(), describe_io(&error));
        fs::write(path, &text).map_err(failed)
    };
    let work = Work::Function(Box::new(write));
    build_file_after_deps(owner.clone(), file, [], || traced, work, false)
}
