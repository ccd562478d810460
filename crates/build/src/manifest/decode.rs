//! From TOML to [`Manifest`], with every mistake found in one go.

use std::{collections::BTreeMap, ops::Range};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    Command, Compiled, Dependency, DependencySource, Executable, Library, Manifest, Package,
    Template, Toolchain, ToolchainKind,
};
use crate::{
    diagnostic::{Diagnostic, Diagnostics, Located, SourceText, suggest},
    name::{TargetName, is_name},
};

pub(super) fn manifest(source: SourceText) -> Result<Manifest, Diagnostics> {
    let text = source.text.clone();
    let parsed = DeTable::parse(&text).map_err(|error| {
        let span = error.span().unwrap_or(0..0);
        Diagnostic::new(error.message().to_owned()).at(&source, span)
    })?;
    let mut errors = Errors { source: &source, found: Vec::new() };
    let mut top = Fields::new(&mut errors, "the manifest", parsed.span(), parsed.into_inner());
    let package = match top.table("package") {
        Some(fields) => package(fields),
        None => {
            let message = "the manifest has no [package] table";
            let help = "every package has a name: [package] name = \"…\"";
            top.errors.found.push(Diagnostic::new(message).help(help).at(&source, 0..0));
            None
        }
    };
    let toolchain = top.table("toolchain").map(toolchain).unwrap_or_default();
    let dependencies = top.table("dependencies").map(dependencies).unwrap_or_default();
    let libraries = top.tables("library", library);
    let executables = top.tables("executable", executable);
    let commands = top.tables("command", command);
    top.finish();
    errors.found.sort_by_key(|found| found.place.as_ref().map(|(_, span)| span.start));
    match package {
        Some(package) if errors.found.is_empty() => Ok(Manifest {
            package,
            toolchain,
            dependencies,
            libraries,
            executables,
            commands,
            source,
        }),
        _ => Err(Diagnostics(errors.found)),
    }
}

fn package(mut fields: Fields<'_, '_>) -> Option<Package> {
    let package = Package {
        name: fields.name()?,
        version: fields.string("version").map(|version| version.value).unwrap_or_default(),
        default_targets: fields.parsed("default-targets"),
        platform_independent: fields.boolean("platform-independent").unwrap_or(false),
        restore_all_artifacts: fields.boolean("restore-all-artifacts").unwrap_or(false),
        artifact_cache: fields.boolean("artifact-cache"),
    };
    fields.finish();
    Some(package)
}

fn toolchain(mut fields: Fields<'_, '_>) -> Toolchain {
    let kind = match fields.string("kind") {
        None => ToolchainKind::C,
        Some(kind) if *kind == "c" => ToolchainKind::C,
        Some(kind) if *kind == "lean" => ToolchainKind::Lean,
        Some(kind) => {
            let message = format!("`{}` is no kind of toolchain", *kind);
            fields.errors.push(kind.span, message, Some("the kinds are \"c\" and \"lean\"".into()));
            ToolchainKind::C
        }
    };
    let mut tool = |key| fields.string(key).map(|name| name.value).filter(|name| !name.is_empty());
    let toolchain = Toolchain { kind, cc: tool("cc"), cxx: tool("cxx"), ar: tool("ar") };
    fields.finish();
    toolchain
}

fn dependencies(mut fields: Fields<'_, '_>) -> BTreeMap<String, Dependency> {
    let mut found = BTreeMap::new();
    for (name, value) in std::mem::take(&mut fields.entries) {
        let span = name.span();
        let name = name.into_inner().into_owned();
        if !is_name(&name) {
            fields.errors.push(span, format!("`{name}` cannot name a package"), None);
            continue;
        }
        let from = match value.get_ref() {
            DeValue::String(version) => Some(DependencySource::Version(version.to_string())),
            DeValue::Table(_) => {
                let span = value.span();
                let DeValue::Table(table) = value.into_inner() else { continue };
                dependency(Fields::new(fields.errors, &format!("dependency `{name}`"), span, table))
            }
            _ => {
                let help = "write NAME = { path = \"…\" } or { git = \"…\", rev = \"…\" }";
                fields.errors.push(
                    value.span(),
                    "a dependency is a table or a version",
                    Some(help.into()),
                );
                None
            }
        };
        if let Some(from) = from {
            found.insert(name, Dependency { span, from });
        }
    }
    found
}

fn dependency(mut fields: Fields<'_, '_>) -> Option<DependencySource> {
    let path = fields.string("path").map(|path| path.value);
    let git = fields.string("git").map(|url| url.value);
    let rev = fields.string("rev").map(|rev| rev.value);
    let version = fields.string("version").map(|version| version.value);
    let span = fields.span.clone();
    let from = match (path, git, version) {
        (Some(path), None, None) if rev.is_none() => Some(DependencySource::Path(path)),
        (None, Some(url), None) => Some(DependencySource::Git { url, rev }),
        (None, None, Some(version)) if rev.is_none() => Some(DependencySource::Version(version)),
        _ => {
            let message = format!("{} needs exactly one of path, git and version", fields.what);
            fields.errors.push(span, message, Some("`rev` goes with `git`".into()));
            None
        }
    };
    fields.finish();
    from
}

fn compiled(fields: &mut Fields<'_, '_>) -> Option<Compiled> {
    let name = fields.name()?;
    fields.what = format!("{} `{}`", fields.what, *name);
    let has_sources = fields.entries.contains_key("sources");
    let compiled = Compiled {
        name,
        sources: fields.templates("sources"),
        exclude: fields.strings("exclude").unwrap_or_default(),
        includes: fields.templates("includes"),
        inputs: fields.templates("inputs"),
        weak_args: fields.plain_strings("weak-args"),
        trace_args: fields.plain_strings("trace-args"),
        link_args: fields.plain_strings("link-args"),
        libraries: fields.strings("libraries").unwrap_or_default(),
    };
    if !has_sources {
        let message = format!("{} has no sources", fields.what);
        let help = "add sources = [\"src/*.c\"]".to_owned();
        fields.errors.push(fields.span.clone(), message, Some(help));
    }
    Some(compiled)
}

fn library(mut fields: Fields<'_, '_>) -> Option<Library> {
    let compiled = compiled(&mut fields)?;
    let kinds = fields.strings("kind");
    let (mut is_static, mut is_shared) = (kinds.is_none(), false);
    for kind in kinds.into_iter().flatten() {
        match kind.as_str() {
            "static" => is_static = true,
            "shared" => is_shared = true,
            other => {
                let message = format!("`{other}` is no kind of library");
                let help = "the kinds are \"static\" and \"shared\"".to_owned();
                fields.errors.push(kind.span.clone(), message, Some(help));
            }
        }
    }
    fields.finish();
    Some(Library { compiled, is_static: is_static || !is_shared, is_shared })
}

fn executable(mut fields: Fields<'_, '_>) -> Option<Executable> {
    let executable = Executable {
        compiled: compiled(&mut fields)?,
        test: fields.boolean("test").unwrap_or(false),
        test_args: fields.templates("test-args"),
    };
    fields.finish();
    Some(executable)
}

fn command(mut fields: Fields<'_, '_>) -> Option<Command> {
    let name = fields.name()?;
    fields.what = format!("command `{}`", *name);
    let command = Command {
        name,
        inputs: fields.templates("inputs"),
        text: fields.boolean("text").unwrap_or(false),
        outputs: fields.strings("outputs").unwrap_or_default(),
        run: fields.templates("run"),
        env: fields.table("env").map(environment).unwrap_or_default(),
        pass_env: fields.plain_strings("pass-env"),
        test: fields.boolean("test").unwrap_or(false),
    };
    let (span, what) = (fields.span.clone(), fields.what.clone());
    if command.run.is_empty() {
        let help = "add run = [\"PROGRAM\", \"ARGUMENT\", …]".to_owned();
        fields.errors.push(span.clone(), format!("{what} has nothing to run"), Some(help));
    }
    if command.outputs.is_empty() && !command.test {
        let help = "add outputs = [\"FILE\"], relative to the build directory".to_owned();
        fields.errors.push(span, format!("{what} has no outputs"), Some(help));
    }
    fields.finish();
    Some(command)
}

fn environment(mut fields: Fields<'_, '_>) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (name, value) in std::mem::take(&mut fields.entries) {
        let (span, name) = (name.span(), name.into_inner().into_owned());
        if name.is_empty() || name.contains(['=', '\0']) {
            fields.errors.push(span, format!("`{name}` cannot name an environment variable"), None);
        } else if let Some(value) = fields.expect_string(value) {
            found.insert(name, value.value);
        }
    }
    found
}

/// What was found wrong so far.
struct Errors<'s> {
    source: &'s SourceText,
    found: Vec<Diagnostic>,
}

impl Errors<'_> {
    fn push(&mut self, span: Range<usize>, message: impl Into<String>, help: Option<String>) {
        let mut diagnostic = Diagnostic::new(message).at(self.source, span);
        diagnostic.help = help;
        self.found.push(diagnostic);
    }
}

/// A table whose keys are taken out one by one; what is left at the end is unknown.
struct Fields<'e, 's> {
    errors: &'e mut Errors<'s>,
    what: String,
    span: Range<usize>,
    entries: DeTable<'e>,
    known: Vec<&'static str>,
}

impl<'e, 's> Fields<'e, 's> {
    fn new(
        errors: &'e mut Errors<'s>,
        what: &str,
        span: Range<usize>,
        entries: DeTable<'e>,
    ) -> Self {
        Self { errors, what: what.to_owned(), span, entries, known: Vec::new() }
    }

    fn take(&mut self, key: &'static str) -> Option<Spanned<DeValue<'e>>> {
        self.known.push(key);
        self.entries.remove(key)
    }

    fn wrong(&mut self, value: &Spanned<DeValue<'_>>, expected: &str) {
        let found = value.get_ref().type_str();
        self.errors.push(value.span(), format!("expected {expected}, found {found}"), None);
    }

    fn expect_string(&mut self, value: Spanned<DeValue<'_>>) -> Option<Located<String>> {
        match value.get_ref() {
            DeValue::String(text) if text.contains('\0') => {
                self.errors.push(value.span(), "a NUL byte cannot stand in a string here", None);
                None
            }
            DeValue::String(text) => Some(Located { value: text.to_string(), span: value.span() }),
            _ => {
                self.wrong(&value, "a string");
                None
            }
        }
    }

    fn string(&mut self, key: &'static str) -> Option<Located<String>> {
        let value = self.take(key)?;
        self.expect_string(value)
    }

    fn boolean(&mut self, key: &'static str) -> Option<bool> {
        let value = self.take(key)?;
        let boolean = value.get_ref().as_bool();
        if boolean.is_none() {
            self.wrong(&value, "true or false");
        }
        boolean
    }

    /// An array of strings.
    fn strings(&mut self, key: &'static str) -> Option<Vec<Located<String>>> {
        let value = self.take(key)?;
        if !matches!(value.get_ref(), DeValue::Array(_)) {
            self.wrong(&value, "an array of strings");
            return None;
        }
        let DeValue::Array(array) = value.into_inner() else { return None };
        Some(array.into_iter().filter_map(|value| self.expect_string(value)).collect())
    }

    fn plain_strings(&mut self, key: &'static str) -> Vec<String> {
        self.strings(key).into_iter().flatten().map(|text| text.value).collect()
    }

    fn templates(&mut self, key: &'static str) -> Vec<Located<Template>> {
        let strings = self.strings(key).into_iter().flatten();
        strings.map(|text| Located { value: Template::parse(&text), span: text.span }).collect()
    }

    fn parsed(&mut self, key: &'static str) -> Option<Vec<Located<TargetName>>> {
        let strings = self.strings(key)?;
        let parse = |text: Located<String>| match text.parse() {
            Ok(value) => Some(Located { value, span: text.span }),
            Err(error) => {
                self.errors.push(text.span, error, None);
                None
            }
        };
        Some(strings.into_iter().filter_map(parse).collect())
    }

    /// The required key `name`.
    fn name(&mut self) -> Option<Located<String>> {
        if !self.entries.contains_key("name") {
            let message = format!("{} has no name", self.what);
            self.errors.push(self.span.clone(), message, Some("add name = \"…\"".into()));
            return None;
        }
        let name = self.string("name")?;
        if is_name(&name) {
            return Some(name);
        }
        let message = format!("`{}` is not a name", *name);
        let help =
            "names are letters, digits, `_`, `-`, `+` and `.`, starting with a letter or digit";
        self.errors.push(name.span, message, Some(help.into()));
        None
    }

    fn table(&mut self, key: &'static str) -> Option<Fields<'_, 's>> {
        let value = self.take(key)?;
        if !matches!(value.get_ref(), DeValue::Table(_)) {
            self.wrong(&value, "a table");
            return None;
        }
        let span = value.span();
        let DeValue::Table(table) = value.into_inner() else { return None };
        // The entries borrow from the manifest's text, which outlives every table.
        Some(Fields::new(self.errors, &format!("[{key}]"), span, table))
    }

    fn tables<T>(
        &mut self,
        key: &'static str,
        mut decode: impl FnMut(Fields<'_, 's>) -> Option<T>,
    ) -> Vec<T> {
        let Some(value) = self.take(key) else { return Vec::new() };
        if !matches!(value.get_ref(), DeValue::Array(_)) {
            self.wrong(&value, &format!("[[{key}]] tables"));
            return Vec::new();
        }
        let DeValue::Array(array) = value.into_inner() else { return Vec::new() };
        let mut found = Vec::new();
        for value in array {
            if !matches!(value.get_ref(), DeValue::Table(_)) {
                self.wrong(&value, &format!("a [[{key}]] table"));
                continue;
            }
            let span = value.span();
            let DeValue::Table(table) = value.into_inner() else { continue };
            found.extend(decode(Fields::new(self.errors, key, span, table)));
        }
        found
    }

    fn finish(self) {
        for (key, _) in &self.entries {
            let name = key.get_ref();
            let message = format!("unknown key `{name}` in {}", self.what);
            let help = match suggest(name, self.known.iter().copied()) {
                Some(known) => format!("did you mean `{known}`?"),
                None => format!("the keys are {}", self.known.join(", ")),
            };
            self.errors.push(key.span(), message, Some(help));
        }
    }
}
