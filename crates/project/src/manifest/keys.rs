//! The keys that say how sources are compiled and what is linked, in whichever table they stand.

use super::{Input, Template, arguments, flags::Flags};
use crate::{diagnostic::Located, table::Fields};

/// The lists of a library or an executable. Of several tables that hold for it, the lists of the later
/// ones follow those of the earlier ones.
#[derive(Debug, Clone, Default)]
pub struct Lists {
    /// Globs of C, C++ and assembly files, or `{TARGET}` for what a command generates.
    pub sources: Vec<Located<Template>>,
    /// Globs of files that `sources` matches and that are left out.
    pub exclude: Vec<Located<String>>,
    /// Directories given to the compiler as `-I`, for its own sources and its users'; may start with
    /// `{build}`.
    pub includes: Vec<Located<Template>>,
    /// The same, for its own sources only.
    pub private_includes: Vec<Located<Template>>,
    /// Directories given to the compiler as `-isystem`, for its own sources and its users'.
    pub system_includes: Vec<Located<Template>>,
    /// Macros defined for its own sources and its users', as the compiler's `-D` takes them.
    pub public_defines: Vec<Located<String>>,
    /// Files or targets that must be there before anything is compiled or linked, such as generated
    /// headers.
    pub inputs: Vec<Input>,
    /// Compiler arguments that are not traced.
    pub weak_args: Vec<Located<String>>,
    /// Arguments for the linker, traced.
    pub link_args: Vec<Located<String>>,
    /// Libraries it is linked with: of this package, or `PACKAGE/LIBRARY`.
    pub libraries: Vec<Located<String>>,
}

impl Lists {
    /// Adds the lists of a table that comes later.
    pub(super) fn append(&mut self, later: Self) {
        self.sources.extend(later.sources);
        self.exclude.extend(later.exclude);
        self.includes.extend(later.includes);
        self.private_includes.extend(later.private_includes);
        self.system_includes.extend(later.system_includes);
        self.public_defines.extend(later.public_defines);
        self.inputs.extend(later.inputs);
        self.weak_args.extend(later.weak_args);
        self.link_args.extend(later.link_args);
        self.libraries.extend(later.libraries);
    }
}

/// What one table says.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    /// Its lists.
    pub(super) lists: Lists,
    /// What becomes traced arguments of the compiler.
    pub(super) flags: Flags,
}

/// The keys that are of one target, each with its kind: these cannot be defaults.
const OF_TARGETS: [&str; 9] = [
    "name",
    "kind",
    "sources",
    "exclude",
    "inputs",
    "libraries",
    "public-defines",
    "test",
    "test-args",
];

impl Keys {
    /// Takes the keys that may stand in `[defaults]` and in everything that inherits from it.
    pub(super) fn common(fields: &mut Fields<'_, '_>) -> Self {
        let flags = Flags::decode(fields);
        let lists = Lists {
            includes: fields.templates("includes"),
            private_includes: fields.templates("private-includes"),
            system_includes: fields.templates("system-includes"),
            weak_args: fields.strings("weak-args").unwrap_or_default(),
            link_args: fields.strings("link-args").unwrap_or_default(),
            ..Lists::default()
        };
        arguments::check(fields, &lists.weak_args);
        arguments::check_link(fields, &lists.link_args);
        Self { lists, flags }
    }

    /// Takes the keys of a library or an executable.
    pub(super) fn of_target(fields: &mut Fields<'_, '_>) -> Self {
        let sources = fields.templates("sources");
        let exclude = fields.strings("exclude").unwrap_or_default();
        let inputs = fields.inputs("inputs");
        let libraries = fields.strings("libraries").unwrap_or_default();
        let mut keys = Self::common(fields);
        keys.lists = Lists { sources, exclude, inputs, libraries, ..keys.lists };
        keys
    }

    /// Adds what a table says that comes later.
    pub(super) fn append(&mut self, later: Self) {
        self.lists.append(later.lists);
        self.flags.append(later.flags);
    }
}

/// `[defaults]`
pub(super) fn defaults(mut fields: Fields<'_, '_>) -> Keys {
    let keys = Keys::common(&mut fields);
    for key in OF_TARGETS {
        if let Some(value) = fields.entries.remove(key) {
            let message = format!("`{key}` cannot stand in {}", fields.what);
            let help = "it belongs to one target: write it in a [[library]] or an [[executable]]";
            fields.errors.push(value.span(), message, Some(help.to_owned()));
        }
    }
    fields.finish();
    keys
}
