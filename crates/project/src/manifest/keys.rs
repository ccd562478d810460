//! The keys that say how sources are compiled and what is linked, in whichever table they stand.

use super::{
    Input, Linking, Precompiled, Template, arguments,
    condition::{Condition, Names},
    flags::{self, Flags},
    linking,
};
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
    /// Compiler arguments of single sources, traced; they come after all others.
    pub source_args: Vec<SourceArgs>,
    /// The compiler arguments, traced or not, that have placeholders or doubled braces in them.
    pub filled_args: Vec<Located<Template>>,
    /// Arguments for the linker, and libraries of the system.
    pub linking: Linking,
    /// Libraries it is linked with: of this package, or `PACKAGE/LIBRARY`.
    pub libraries: Vec<Located<String>>,
    /// Headers that are included before everything else.
    pub precompiled: Precompiled,
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
        self.source_args.extend(later.source_args);
        self.filled_args.extend(later.filled_args);
        self.linking.append(later.linking);
        self.libraries.extend(later.libraries);
        self.precompiled.append(later.precompiled);
    }
}

/// An entry of `source-args`.
#[derive(Debug, Clone)]
pub struct SourceArgs {
    /// A glob of sources, or `{build}/PATH` for one that a command makes.
    pub pattern: Located<String>,
    /// The compiler's arguments for these.
    pub arguments: Vec<Located<String>>,
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
const OF_TARGETS: [&str; 17] = [
    "precompiled-header",
    "source-args",
    "name",
    "kind",
    "sources",
    "exclude",
    "inputs",
    "libraries",
    "system",
    "headers",
    "soversion",
    "file-version",
    "exports",
    "public-defines",
    "test",
    "test-args",
    "install",
];

/// The keys that no condition can change.
const OF_WHOLE_TARGETS: [&str; 11] = [
    "name",
    "kind",
    "headers",
    "soversion",
    "file-version",
    "exports",
    "host",
    "install",
    "test",
    "test-args",
    "timeout",
];

impl Keys {
    /// What arguments for the compiler and for the linker come to.
    pub(super) fn of_arguments(compile: &[&str], link: &[&str]) -> Self {
        let link_args = unplaced(link)
            .into_iter()
            .map(|text| Located { value: Template::parse(&text), span: text.span });
        let linking = Linking { link_args: link_args.collect(), ..Linking::default() };
        let lists = Lists { linking, ..Lists::default() };
        Self { lists, flags: Flags::of_arguments(unplaced(compile)) }
    }

    /// Leaves out the directories and whatever names targets, which are those of one package.
    pub(super) fn for_any_package(mut self) -> Self {
        let plain = |argument: &Located<Template>| argument.as_literal().is_some();
        self.lists.linking.link_args.retain(plain);
        self.lists.linking.private_link_args.retain(plain);
        self.lists.linking.weak_link_args.retain(plain);
        self.lists.filled_args.retain(plain);
        let is_plain =
            |argument: &Located<String>| Template::parse(argument).as_literal().is_some();
        self.lists.weak_args.retain(is_plain);
        self.flags.retain(is_plain);
        self.lists.includes.clear();
        self.lists.private_includes.clear();
        self.lists.system_includes.clear();
        self
    }

    /// Takes the keys that may stand in `[defaults]` and in everything that inherits from it.
    pub(super) fn common(fields: &mut Fields<'_, '_>) -> Self {
        let flags = Flags::decode(fields);
        let weak_args = fields.strings("weak-args").unwrap_or_default();
        let lists = Lists {
            includes: fields.templates("includes"),
            private_includes: fields.templates("private-includes"),
            system_includes: fields.templates("system-includes"),
            filled_args: flags.as_written().chain(&weak_args).filter_map(to_fill).collect(),
            weak_args,
            linking: Linking::common(fields),
            ..Lists::default()
        };
        arguments::check(fields, &lists.weak_args);
        Self { lists, flags }
    }

    fn of_target(fields: &mut Fields<'_, '_>) -> Self {
        let sources = fields.templates("sources");
        let exclude = fields.strings("exclude").unwrap_or_default();
        let inputs = fields.inputs("inputs");
        let libraries = fields.strings("libraries").unwrap_or_default();
        let system = linking::modules(fields);
        let mut keys = Self::common(fields);
        keys.lists.linking.system = system;
        let source_args = fields.table("source-args").map(source_args).unwrap_or_default();
        let of_sources = source_args.iter().flat_map(|entry| &entry.arguments);
        keys.lists.filled_args.extend(of_sources.filter_map(to_fill));
        let precompiled = Precompiled::decode(fields);
        keys.lists =
            Lists { sources, exclude, inputs, libraries, source_args, precompiled, ..keys.lists };
        keys
    }

    /// Takes the keys of a library.
    pub(super) fn of_library(fields: &mut Fields<'_, '_>) -> Self {
        let mut keys = Self::of_target(fields);
        keys.lists.public_defines = flags::defines(fields, "public-defines");
        keys
    }

    /// Takes the keys of `[defaults]`.
    fn of_defaults(fields: &mut Fields<'_, '_>) -> Self {
        let inputs = fields.inputs("inputs");
        let mut keys = Self::common(fields);
        keys.lists.inputs = inputs;
        refuse_of_targets(fields);
        keys
    }

    /// Leaves out what must be there before targets are compiled: configs are made before.
    pub(super) fn without_inputs(mut self) -> Self {
        self.lists.inputs.clear();
        self
    }

    /// Takes the keys of a config.
    pub(super) fn of_config(fields: &mut Fields<'_, '_>) -> Self {
        let inputs = fields.inputs("inputs");
        let system = linking::modules(fields);
        let mut keys = Self::common(fields);
        keys.lists.inputs = inputs;
        keys.lists.linking.system = system;
        keys
    }

    /// Takes the keys of an executable.
    pub(super) fn of_executable(fields: &mut Fields<'_, '_>) -> Self {
        if let Some(value) = fields.entries.remove("public-defines") {
            let message = format!("nothing is linked with {}", fields.what);
            let help = "`defines` are for its own sources".to_owned();
            fields.errors.push(value.span(), message, Some(help));
        }
        Self::of_target(fields)
    }

    /// Adds what a table says that comes later.
    pub(super) fn append(&mut self, later: Self) {
        self.lists.append(later.lists);
        self.flags.append(later.flags);
    }
}

/// The key `source-args`, in the order of the manifest.
fn source_args(mut fields: Fields<'_, '_>) -> Vec<SourceArgs> {
    let mut found = Vec::new();
    for (pattern, value) in std::mem::take(&mut fields.entries) {
        let span = pattern.span();
        let pattern = Located { value: pattern.into_inner().into_owned(), span };
        let Some(arguments) = fields.expect_strings(value) else { continue };
        arguments::check(&mut fields, &arguments);
        found.push(SourceArgs { pattern, arguments });
    }
    found.sort_by_key(|entry| entry.pattern.span.start);
    found
}

/// Texts that stand in no manifest.
fn unplaced(texts: &[&str]) -> Vec<Located<String>> {
    texts.iter().map(|text| Located { value: (*text).to_owned(), span: 0..0 }).collect()
}

/// What a table says, and what it says besides where conditions hold.
#[derive(Debug, Clone, Default)]
pub(super) struct Cases {
    pub always: Keys,
    cases: Vec<(Condition, Keys)>,
}

impl Cases {
    /// Takes the key `case` of a table that says `always`; `keys` takes those of one case.
    pub fn decode(
        always: Keys,
        fields: &mut Fields<'_, '_>,
        names: &Names<'_>,
        keys: impl Fn(&mut Fields<'_, '_>) -> Keys,
    ) -> Self {
        let what = format!("a case of {}", fields.what);
        let cases = fields.tables("case", |mut case| {
            what.clone_into(&mut case.what);
            if !case.entries.contains_key("when") {
                let message = format!("{what} has no condition");
                let help = "add when = { os = \"linux\" }".to_owned();
                case.errors.push(case.span.clone(), message, Some(help));
            }
            let when = Condition::when(&mut case, names);
            let keys = keys(&mut case);
            for key in OF_WHOLE_TARGETS {
                if let Some(value) = case.entries.remove(key) {
                    let message =
                        format!("`{key}` is of a whole target, and cannot stand in {what}");
                    let help = "write the target twice, each with a `when` of its own".to_owned();
                    case.errors.push(value.span(), message, Some(help));
                }
            }
            case.finish();
            when.map(|when| (when, keys))
        });
        Self { always, cases }
    }

    /// All conditions.
    pub fn conditions(&self) -> impl Iterator<Item = &Condition> {
        self.cases.iter().map(|(when, _)| when)
    }

    /// The sources of all cases.
    pub fn sources(&self) -> impl Iterator<Item = &Template> {
        let all = [&self.always].into_iter().chain(self.cases.iter().map(|(_, keys)| keys));
        all.flat_map(|keys| keys.lists.sources.iter().map(|source| &source.value))
    }

    /// What the table says where `holds` is true of a condition.
    pub fn holding(&self, holds: &dyn Fn(&Condition) -> bool) -> Keys {
        let mut keys = self.always.clone();
        for (_, more) in self.cases.iter().filter(|(when, _)| holds(when)) {
            keys.append(more.clone());
        }
        keys
    }
}

/// An argument as a template, where it does not stand for itself.
fn to_fill(argument: &Located<String>) -> Option<Located<Template>> {
    let value = Template::parse(argument);
    let stands_for_itself = value.as_literal() == Some(argument.as_str());
    (!stands_for_itself).then(|| Located { value, span: argument.span.clone() })
}

/// `[defaults]`
pub(super) fn defaults(mut fields: Fields<'_, '_>, names: &Names<'_>) -> Cases {
    let keys = Keys::of_defaults(&mut fields);
    let cases = Cases::decode(keys, &mut fields, names, Keys::of_defaults);
    fields.finish();
    cases
}

/// Says of each key that belongs to one target that it does.
pub(super) fn refuse_of_targets(fields: &mut Fields<'_, '_>) {
    for key in OF_TARGETS {
        if let Some(value) = fields.entries.remove(key) {
            let message = format!("`{key}` cannot stand in {}", fields.what);
            let help = "it belongs to one target: write it in a [[library]] or an [[executable]]";
            fields.errors.push(value.span(), message, Some(help.to_owned()));
        }
    }
}
