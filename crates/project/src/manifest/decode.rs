//! From TOML to [`Document`], with every mistake found in one go.

use std::{collections::BTreeMap, time::Duration};

use toml::de::DeValue;

use super::{
    Arguments, Command, Compiled, Document, Executable, KnownBy, Library, Lists, Output, Package,
    Template, Toolchain, ToolchainKind, arguments,
    condition::{Condition, Names},
    cross,
    document::{Part, Written},
    keys::{self, Cases, Keys},
    options, profile,
    shared::{self, Shared},
};
use crate::{
    age::Age,
    diagnostic::{Diagnostic, Diagnostics, Located, SourceText},
    path::{BuildPath, RootPath},
    table::{Errors, Fields, parse},
};

pub(super) fn document(source: SourceText) -> Result<Document, Diagnostics> {
    let text = source.text.clone();
    let parsed = parse(&text, &source)?;
    let mut errors = Errors::new(&source);
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
    let tools = top.table("toolchain").map(toolchain).unwrap_or_default();
    let dependencies =
        top.table("dependencies").map(super::dependencies::dependencies).unwrap_or_default();
    let options = top.table("options").map(options::options).unwrap_or_default();
    let profiles = top.table("profile").map(profile::profiles).unwrap_or_default();
    let toolchains = top.table("target").map(cross::toolchains).unwrap_or_default();
    let names = Names { options: &options, profiles: &profiles };
    let defaults = top.table("defaults").map(|fields| keys::defaults(fields, &names));
    let libraries = top.tables("library", |fields| library(fields, &names));
    let executables = top.tables("executable", |fields| executable(fields, &names));
    let commands = top.tables("command", |fields| command(fields, &names));
    let configs = top.tables("config", |fields| super::config::config(fields, &names));
    let ci = top.table("ci").map(super::ci::ci).unwrap_or_default();
    top.finish();
    errors.found.sort_by_key(|found| found.place.as_ref().map(|(_, span)| span.start));
    match package {
        Some((package, known_by)) if errors.found.is_empty() => Ok(Document {
            package,
            toolchain: Toolchain { known_by, ..tools },
            dependencies,
            defaults: defaults.unwrap_or_default(),
            options,
            profiles,
            toolchains,
            libraries,
            executables,
            commands,
            configs,
            ci,
            source,
        }),
        _ => Err(Diagnostics(errors.found)),
    }
}

/// `[package]`, and how the tools of its toolchain count.
fn package(mut fields: Fields<'_, '_>) -> Option<(Package, KnownBy)> {
    let package = Package {
        name: fields.name()?,
        version: fields.string("version").map(|version| version.value).unwrap_or_default(),
        default_targets: fields.parsed("default-targets"),
        platform_independent: fields.boolean("platform-independent").unwrap_or(false),
        restore_all_artifacts: fields.boolean("restore-all-artifacts").unwrap_or(false),
        artifact_cache: fields.boolean("artifact-cache"),
    };
    let known_by = match fields.boolean("fixed-toolchain") {
        Some(true) => KnownBy::Name,
        _ => KnownBy::Content,
    };
    fields.finish();
    Some((package, known_by))
}

/// `[toolchain]`, or what has the same keys elsewhere.
pub(crate) fn toolchain(mut fields: Fields<'_, '_>) -> Toolchain {
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
    let (cc, cxx, ar) = (tool("cc"), tool("cxx"), tool("ar"));
    let asm = assembler(&mut fields);
    let parts = fields.strings("parts").unwrap_or_default();
    for part in parts.iter().filter(|part| part.is_empty()) {
        let help = "name a program on PATH, a path from the package, or an absolute path";
        fields.errors.push(part.span.clone(), "an empty name of a tool", Some(help.to_owned()));
    }
    let toolchain = Toolchain { kind, cc, cxx, ar, asm, parts, ..Toolchain::default() };
    fields.finish();
    toolchain
}

/// The key `asm`: a program, or a program and its arguments.
fn assembler(fields: &mut Fields<'_, '_>) -> Option<Located<Vec<String>>> {
    let span = fields.entries.get("asm").map_or(0..0, |value| value.span());
    let words = match fields.entries.get("asm").map(|value| value.get_ref()) {
        Some(DeValue::Array(_)) => fields.strings("asm")?,
        _ => vec![fields.string("asm")?],
    };
    let help = "write asm = \"nasm\", or asm = [\"nasm\", \"-f\", \"elf64\"]";
    if words.first().is_none_or(|program| program.is_empty()) {
        fields.errors.push(span, "`asm` names no program", Some(help.to_owned()));
        return None;
    }
    let refused = words.iter().skip(1).find(|word| arguments::refused_of_assembler(word));
    if let Some(word) = refused {
        let message = format!("`{}` cannot be an argument of the assembler here", **word);
        let help = "larder itself says what is assembled to which file, and asks for the files that are read";
        fields.errors.push(word.span.clone(), message, Some(help.to_owned()));
    }
    Some(Located { value: words.into_iter().map(|word| word.value).collect(), span })
}

/// The name of a library or an executable, with nothing settled yet.
fn named(fields: &mut Fields<'_, '_>) -> Option<Compiled> {
    let name = fields.name()?;
    fields.what = format!("{} `{}`", fields.what, *name);
    Some(Compiled { name, lists: Lists::default(), arguments: Arguments::default() })
}

/// Whether some case of a table has `key`.
fn in_a_case(fields: &Fields<'_, '_>, key: &str) -> bool {
    let Some(DeValue::Array(cases)) = fields.entries.get("case").map(|cases| cases.get_ref())
    else {
        return false;
    };
    let has = |case: &DeValue<'_>| matches!(case, DeValue::Table(table) if table.contains_key(key));
    cases.iter().any(|case| has(case.get_ref()))
}

/// Says so where there are no sources.
fn needs_sources(fields: &mut Fields<'_, '_>, help: &str) {
    if !fields.entries.contains_key("sources") && !fields.entries.contains_key("case") {
        let message = format!("{} has no sources", fields.what);
        fields.errors.push(fields.span.clone(), message, Some(help.to_owned()));
    }
}

/// The keys that are for sources and for linking: a library of headers only has neither.
const OF_SOURCES: [&str; 16] = [
    "precompiled-header",
    "kind",
    "exclude",
    "private-includes",
    "defines",
    "c-std",
    "cxx-std",
    "warnings",
    "trace-args",
    "weak-args",
    "c-args",
    "cxx-args",
    "asm-args",
    "source-args",
    "private-link-args",
    "weak-link-args",
];

fn library(mut fields: Fields<'_, '_>, names: &Names<'_>) -> Option<Part<Written<Library>>> {
    let compiled = named(&mut fields)?;
    let has = |key| fields.entries.contains_key(key);
    let only_headers = !has("sources")
        && !in_a_case(&fields, "sources")
        && ["headers", "includes", "system-includes"].into_iter().any(has);
    if only_headers {
        for key in OF_SOURCES.into_iter().chain(shared::KEYS) {
            if let Some(value) = fields.entries.remove(key) {
                let message = format!("`{key}` has no meaning for {}", fields.what);
                let help =
                    "without `sources` it is a library of headers, of which nothing is compiled";
                fields.errors.push(value.span(), message, Some(help.to_owned()));
            }
        }
    } else {
        let help =
            "add sources = [\"src/*.c\"]; a library of headers only has `headers` or `includes`";
        needs_sources(&mut fields, help);
    }
    let headers = fields.strings("headers").unwrap_or_default();
    let when = Condition::when(&mut fields, names);
    let keys = Keys::of_library(&mut fields);
    let keys = Cases::decode(keys, &mut fields, names, Keys::of_library);
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
    for key in shared::KEYS.into_iter().filter(|_| !is_shared) {
        if let Some(value) = fields.entries.remove(key) {
            let message = format!("`{key}` has no meaning for {}", fields.what);
            let help = "it is for shared libraries: add kind = [\"shared\"]";
            fields.errors.push(value.span(), message, Some(help.to_owned()));
        }
    }
    let shared = Shared::decode(&mut fields);
    let install = fields.boolean("install").unwrap_or(true);
    fields.finish();
    let is_static = !only_headers && (is_static || !is_shared);
    let target = Library { compiled, headers, is_static, is_shared, shared, install };
    Some(Part { when, of: Written { target, keys } })
}

fn executable(mut fields: Fields<'_, '_>, names: &Names<'_>) -> Option<Part<Written<Executable>>> {
    let compiled = named(&mut fields)?;
    needs_sources(&mut fields, "add sources = [\"src/*.c\"]");
    let when = Condition::when(&mut fields, names);
    let keys = Keys::of_executable(&mut fields);
    let keys = Cases::decode(keys, &mut fields, names, Keys::of_executable);
    let test = fields.boolean("test").unwrap_or(false);
    let target = Executable {
        compiled,
        host: fields.boolean("host").unwrap_or(false),
        test,
        test_args: fields.templates("test-args"),
        timeout: timeout(&mut fields, test),
        install: fields.boolean("install").unwrap_or(!test),
    };
    fields.finish();
    Some(Part { when, of: Written { target, keys } })
}

/// The key `timeout`, which only a test has.
fn timeout(fields: &mut Fields<'_, '_>, test: bool) -> Option<Duration> {
    let text = fields.string("timeout")?;
    let help = "write how long the test may run, such as timeout = \"30s\" or \"5m\"";
    let (message, help) = match text.parse::<Age>() {
        Ok(age) if !age.duration().is_zero() && test => return Some(age.duration()),
        Ok(age) if age.duration().is_zero() => ("a timeout of no time at all".to_owned(), help),
        Ok(_) => ("`timeout` is for tests".to_owned(), "add test = true, or leave it out"),
        Err(_) => (format!("`{}` is no length of time", *text), help),
    };
    fields.errors.push(text.span, message, Some(help.to_owned()));
    None
}

fn command(mut fields: Fields<'_, '_>, names: &Names<'_>) -> Option<Part<Command>> {
    let name = fields.name()?;
    fields.what = format!("command `{}`", *name);
    let when = Condition::when(&mut fields, names);
    let outputs = fields.strings("outputs").unwrap_or_default();
    let makes_nothing = outputs.is_empty();
    let test = fields.boolean("test").unwrap_or(false);
    let command = Command {
        name,
        inputs: fields.inputs("inputs"),
        exclude: fields.strings("exclude").unwrap_or_default(),
        text: fields.boolean("text").unwrap_or(false),
        outputs: checked_outputs(&mut fields, outputs),
        run: fields.templates("run"),
        env: fields.table("env").map(environment).unwrap_or_default(),
        pass_env: fields.plain_strings("pass-env"),
        tools: tools(&mut fields),
        system_files: system_files(&mut fields),
        probes: probes(&mut fields),
        always: fields.boolean("always").unwrap_or(false),
        stamp: fields.boolean("stamp").unwrap_or(false),
        test,
        timeout: timeout(&mut fields, test),
    };
    let (span, what) = (fields.span.clone(), fields.what.clone());
    if command.run.is_empty() {
        let help = "add run = [\"PROGRAM\", \"ARGUMENT\", …]".to_owned();
        fields.errors.push(span.clone(), format!("{what} has nothing to run"), Some(help));
    }
    if command.stamp && command.test {
        let message = format!("{what} is both a test and a stamp");
        let help = "a stamp makes files for others in each build; a test runs when it is asked for";
        fields.errors.push(span.clone(), message, Some(help.to_owned()));
    }
    if makes_nothing && !command.test {
        let help = "add outputs = [\"FILE\"], relative to the build directory".to_owned();
        fields.errors.push(span, format!("{what} has no outputs"), Some(help));
    }
    fields.finish();
    Some(Part { when, of: command })
}

/// The key `outputs`: paths below the build directory.
fn checked_outputs(
    fields: &mut Fields<'_, '_>,
    texts: Vec<Located<String>>,
) -> Vec<Located<Output>> {
    let output = |text: Located<String>| {
        let path = text.trim_end_matches('/');
        let is_plain = path.split('/').all(|part| !matches!(part, "" | "."));
        match BuildPath::new(path) {
            Ok(path) if is_plain => {
                let value = Output { path, directory: text.ends_with('/') };
                Some(Located { value, span: text.span })
            }
            _ => {
                let message = format!("the output `{path}` is outside the build directory");
                let help = "outputs are paths below it, without `.` and `..`".to_owned();
                fields.errors.push(text.span, message, Some(help));
                None
            }
        }
    };
    texts.into_iter().filter_map(output).collect()
}

/// The key `tools`: names of programs on `PATH`.
fn tools(fields: &mut Fields<'_, '_>) -> Vec<Located<String>> {
    let tools = fields.strings("tools").unwrap_or_default();
    for tool in tools.iter().filter(|tool| tool.is_empty() || tool.contains('/')) {
        let message = format!("`{}` is not the name of a program on PATH", **tool);
        let help = "a file of the package is one of the `inputs`, a file of the system one of the `system-files`";
        fields.errors.push(tool.span.clone(), message, Some(help.to_owned()));
    }
    tools
}

/// The key `system-files`: absolute paths.
fn system_files(fields: &mut Fields<'_, '_>) -> Vec<Located<RootPath>> {
    let texts = fields.strings("system-files").unwrap_or_default();
    let file = |text: Located<String>| {
        let path = RootPath::absolute(&text);
        if path.is_none() {
            let message = format!("`{}` is not an absolute path", *text);
            let help = "a file of the package is one of the `inputs`";
            fields.errors.push(text.span.clone(), message, Some(help.to_owned()));
        }
        Some(Located { value: path?, span: text.span })
    };
    texts.into_iter().filter_map(file).collect()
}

/// The key `probes`: commands with at least a program.
fn probes(fields: &mut Fields<'_, '_>) -> Vec<Located<Vec<String>>> {
    let probes = fields.string_lists("probes");
    for probe in probes.iter().filter(|probe| probe.first().is_none_or(String::is_empty)) {
        let help = "write probes = [[\"PROGRAM\", \"ARGUMENT\", …]]";
        let message = "a probe names a program and its arguments";
        fields.errors.push(probe.span.clone(), message, Some(help.to_owned()));
    }
    probes
}

fn environment(mut fields: Fields<'_, '_>) -> BTreeMap<String, Located<Template>> {
    let mut found = BTreeMap::new();
    for (name, value) in std::mem::take(&mut fields.entries) {
        let (span, name) = (name.span(), name.into_inner().into_owned());
        if name.is_empty() || name.contains(['=', '\0']) {
            fields.errors.push(span, format!("`{name}` cannot name an environment variable"), None);
        } else if let Some(value) = fields.expect_string(value) {
            let text = Located { value: Template::parse(&value), span: value.span };
            found.insert(name, text);
        }
    }
    found
}
