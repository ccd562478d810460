//! Steps whose work another machine may do.

use std::{collections::BTreeSet, sync::PoisonError};

use larder_project::path::{PortablePath, RootPath};

use super::{Inputs, Step, Work};
use crate::{
    action::{Action, Argument, MayRead, Piece},
    builds::{Compile, Dialect},
    context::Context,
    executor::Bench,
    search::{self, Reach, Unresolved},
};

/// Beginnings of arguments with which a tool reads what nobody lists before, or makes what depends on the machine that
/// it runs on.
const BOUND: &[&str] = &[
    "@",
    "--config",
    "-B",
    "-Wp,",
    "-Xclang",
    "-Xpreprocessor",
    "-fauto-profile",
    "-fmodule",
    "-fplugin",
    "-fprofile-instr-use",
    "-fprofile-sample-use",
    "-fprofile-use",
    "-imultilib",
    "-include-pch",
    "-iprefix",
    "-iwithprefix",
    "-march=native",
    "-mcpu=native",
    "-mtune=native",
    "-specs",
    "--specs",
    "-wrapper",
];

impl Step {
    /// Whether another machine may do the work. What a compiler is asked about this machine is asked here, and so is
    /// whatever a command may find beside what is declared: in a sandbox it finds nothing else.
    pub(super) fn may_run_elsewhere(&self, cx: &Context) -> bool {
        match &self.work {
            Work::Compile(compile) => {
                compile.dialect == Dialect::Gcc
                    && compile.included.as_ref().is_none_or(|it| it.form.is_none())
            }
            Work::Archive(_) => true,
            Work::Link(link) => link.writes_depfile,
            Work::Command(_) | Work::Action(_) => cx.sandbox.is_some(),
            Work::Precompile(_)
            | Work::Shell(_)
            | Work::Check(_)
            | Work::Text(_)
            | Work::Function(_) => false,
        }
    }

    /// Returns the argument by which a tool is bound to this machine, if it has one.
    pub(super) fn bound_by<'a>(&self, action: &'a Action) -> Option<&'a str> {
        let first = action.arguments.iter().filter_map(|argument| match argument.first()? {
            Piece::Text(text) => Some(text.as_str()),
            _ => None,
        });
        let is_bound = |text: &&str| BOUND.iter().any(|begin| text.starts_with(begin));
        first.into_iter().find(is_bound).filter(|_| self.work.is_tidy())
    }

    /// Returns the files that a compile may read besides its inputs.
    pub(super) fn may_read(
        &self,
        cx: &Context,
        compile: &Compile,
        inputs: Inputs<'_>,
        bench: &Bench<'_>,
    ) -> MayRead {
        let Some(source) = inputs.artifacts.first() else { return MayRead::Told };
        let arguments: Option<Vec<String>> =
            compile.given().map(|argument| self.as_written(cx, &argument)).collect();
        let Some(arguments) = arguments else {
            return MayRead::Unknown("it is given the path of something that is made".to_owned());
        };
        let given = search::Given::parse(&arguments);
        let directories = compile.search.directories.iter();
        let directories: Vec<String> = directories
            .filter_map(|name| Some(self.directory(cx, name)?.to_string_lossy().into_owned()))
            .collect();
        let Reach { files, unresolved } = cx.scanner.reach(&search::Compile {
            source: &cx.absolute(&source.path).to_string_lossy(),
            working: &self.place.directory.to_string_lossy(),
            directories: &directories,
            first: &given.first,
            defines: &given.defines,
            predefined: None,
        });
        let listed = match unresolved {
            None => Vec::new(),
            Some(Unresolved::Computed) => match self.listed(cx, compile, inputs, bench) {
                Some(listed) => listed,
                None => return MayRead::Unknown("its headers cannot be listed".to_owned()),
            },
            Some(Unresolved::Unlisted) => {
                return MayRead::Unknown("it reads files that no compiler lists".to_owned());
            }
        };
        let found = files.iter().map(|path| cx.places.of_absolute(path));
        let portable = |path: RootPath| cx.places.portable(&self.place, &path);
        let source = self.portable(cx, source);
        let all: BTreeSet<PortablePath> = found.chain(listed).map(portable).collect();
        MayRead::These(all.into_iter().filter(|path| *path != source).collect())
    }

    /// Returns what the compiler here says that it reads, where a name is put together by macros.
    fn listed(
        &self,
        cx: &Context,
        compile: &Compile,
        inputs: Inputs<'_>,
        bench: &Bench<'_>,
    ) -> Option<Vec<RootPath>> {
        // Such sources are few: one at a time takes no slot of this machine's commands.
        let _one = cx.listing.lock().unwrap_or_else(PoisonError::into_inner);
        let listing = compile.reading(self, cx, inputs);
        let listed = cx.executor.execute(&listing, bench).ok()?;
        listed.exit.success().then_some(listed.discovered)
    }

    /// Returns an argument with absolute paths; none that names something which is made.
    fn as_written(&self, cx: &Context, argument: &Argument) -> Option<String> {
        let absolute = |path: &PortablePath| {
            let found = cx.places.find(&self.place, path).ok()?;
            Some(cx.absolute(&found).to_string_lossy().trim_end_matches('/').to_owned())
        };
        argument
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => Some(text.clone()),
                Piece::Path(path) | Piece::Absolute(path) => absolute(path),
                _ => None,
            })
            .collect()
    }
}
