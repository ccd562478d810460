//! From TOML to [`PackageSet`], with every mistake found in one go.

use std::{collections::BTreeMap, path::Path};

use super::{
    Compiler, FILE_NAME, PackageSet, Retention, entry,
    limits::{OwnLimits, limits},
    maintainers::maintainers,
    names::is_package_version,
    recipe,
};
use crate::{
    diagnostic::{Diagnostics, Located, SourceText, suggest},
    glob::is_inside,
    manifest::toolchain,
    table::{Errors, Fields, parse},
};

pub(super) fn set(source: SourceText) -> Result<PackageSet, Diagnostics> {
    let text = source.text.clone();
    let parsed = parse(&text, &source)?;
    let mut errors = Errors::new(&source);
    let mut top = Fields::new(&mut errors, FILE_NAME, parsed.span(), parsed.into_inner());
    let General { name, packages, system } = top.table("set").map(general).unwrap_or_default();
    let compilers = top.table("compiler").map(compilers).unwrap_or_default();
    let recipes = top.table("recipe").map(recipe::recipes).unwrap_or_default();
    let entries = top.table("package").map(|all| entry::entries(all, &recipes));
    let entries = entries.unwrap_or_default();
    let limits = top.table("limits").map(limits).unwrap_or_default();
    let retention = top.table("retention").map(retention).unwrap_or_default();
    let channels = top.table("notify").map(channels).unwrap_or_default();
    let maintainers = top.table("maintainers").map(maintainers).unwrap_or_default();
    top.finish();
    let set = PackageSet {
        source: source.clone(),
        name,
        packages,
        system,
        compilers,
        entries,
        limits: OwnLimits::over(&limits, Default::default()),
        retention,
        channels,
        maintainers,
    };
    check_compilers(&set, &mut errors);
    errors.found.sort_by_key(|found| found.place.as_ref().map(|(_, span)| span.start));
    match errors.found.is_empty() {
        true => Ok(set),
        false => Err(Diagnostics(errors.found)),
    }
}

/// `[set]`
#[derive(Default)]
struct General {
    name: Option<String>,
    packages: Vec<Located<String>>,
    system: Vec<Located<String>>,
}

/// `[set]`: its name, where packages are, and what they depend on besides.
fn general(mut fields: Fields<'_, '_>) -> General {
    let name = fields.string("name").map(|name| name.value);
    let packages = each_once(&mut fields, "packages", wrong_glob);
    let system = each_once(&mut fields, "system", wrong_system_file);
    fields.finish();
    General { name, packages, system }
}

/// The strings of a list of which `wrong` has nothing to say and that stand there once: what is wrong with the others is told with help.
fn each_once(
    fields: &mut Fields<'_, '_>,
    key: &'static str,
    wrong: impl Fn(&str) -> Option<(String, &'static str)>,
) -> Vec<Located<String>> {
    let mut kept: Vec<Located<String>> = Vec::new();
    for item in fields.strings(key).unwrap_or_default() {
        let twice = kept.iter().any(|other| *other.value == *item.value);
        let wrong = wrong(&item).or_else(|| {
            twice.then(|| (format!("`{}` is listed twice", *item), "leave one of them out"))
        });
        match wrong {
            None => kept.push(item),
            Some((message, help)) => {
                fields.errors.push(item.span, message, Some(help.to_owned()));
            }
        }
    }
    kept
}

/// What is wrong with a file that says which state the machine is in, and what to do.
fn wrong_system_file(path: &str) -> Option<(String, &'static str)> {
    let help = "name a file of the machine, such as \"/var/lib/dpkg/status\"";
    match Path::new(path).is_absolute() && !path.contains('\0') {
        true => None,
        false => Some((format!("`{path}` is no absolute path"), help)),
    }
}

/// What is wrong with a glob of directories, and what to do.
fn wrong_glob(pattern: &str) -> Option<(String, &'static str)> {
    const HERE: &str = "packages are below the directory of larder-set.toml: write a relative path without `..`, \
                        or add a [package.\"NAME.VERSION\"] with a git or url source";
    let closed = |open: char, close: char| {
        let mut inside = false;
        pattern.chars().all(|c| {
            let nested = inside && c == open;
            inside = (inside || c == open) && c != close;
            !nested
        }) && !inside
    };
    if pattern.trim().is_empty() {
        return Some(("an empty glob".to_owned(), "name directories, such as \"packages/*\""));
    }
    if !is_inside(pattern) {
        return Some((format!("`{pattern}` is outside the set"), HERE));
    }
    if !closed('[', ']') || !closed('{', '}') {
        let message = format!("`{pattern}` is no glob: a bracket is not closed");
        return Some((
            message,
            "`*` and `?` stand for part of a name, `{a,b}` and `[ab]` for one of several",
        ));
    }
    None
}

/// `[compiler."NAME.VERSION"]`
fn compilers(mut fields: Fields<'_, '_>) -> BTreeMap<String, Compiler> {
    let found = fields.for_each_table("[compiler]", |name, mut fields| {
        if !is_package_version(&name) {
            let message = format!("`{}` names no version of a compiler", *name);
            let help = "a compiler is named `<name>.<version>`, in quotes: [compiler.\"gcc.12\"]";
            fields.errors.push(name.span, message, Some(help.to_owned()));
            return None;
        }
        fields.what = format!("[compiler.\"{}\"]", *name);
        Some((name.value, Compiler { span: name.span, toolchain: toolchain(fields) }))
    });
    found.into_iter().collect()
}

/// `[retention]`
fn retention(mut fields: Fields<'_, '_>) -> Retention {
    let mut number = |key: &'static str| {
        let span = fields.entries.get(key)?.span();
        let number = fields.number(key, u32::MAX)?;
        if number == 0 {
            let help = format!("write {key} = 1 or more, or leave it out to keep all");
            fields.errors.push(span, "nothing at all would be kept", Some(help));
        }
        Some(number)
    };
    let retention = Retention { runs: number("runs"), history_days: number("history-days") };
    fields.finish();
    retention
}

/// `[notify]`: the names of channels.
fn channels(mut fields: Fields<'_, '_>) -> Vec<String> {
    let mut channels: Vec<String> = Vec::new();
    for channel in fields.strings("channels").unwrap_or_default() {
        let named = channel.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
        let message = match (named && !channel.is_empty(), channels.contains(&channel)) {
            (true, false) => {
                channels.push(channel.value);
                continue;
            }
            (true, true) => format!("`{}` is listed twice", *channel),
            (false, _) => format!("`{}` names no channel", *channel),
        };
        let help = "channels are those of notify.toml, such as \"zulip\"";
        fields.errors.push(channel.span, message, Some(help.to_owned()));
    }
    fields.finish();
    channels
}

/// Makes sure that there is a compiler where there are packages, and that packages ask for known ones.
fn check_compilers(set: &PackageSet, errors: &mut Errors<'_>) {
    let first_entry = set.entries.values().map(|entry| &entry.span).min_by_key(|span| span.start);
    let first = set.packages.first().map(|pattern| &pattern.span).or(first_entry);
    if let Some(first) = first
        && set.compilers.is_empty()
        // What is wrong with one has been said.
        && errors.found.is_empty()
    {
        let message = "there are packages, and no compiler to build them with";
        let help = "add [compiler.\"gcc.12\"] with cc = \"gcc-12\" and cxx = \"g++-12\"";
        errors.push(first.clone(), message, Some(help.to_owned()));
    }
    for compiler in set.entries.values().flat_map(|entry| entry.compilers.iter().flatten()) {
        if set.compilers.contains_key(&compiler.value) || set.compilers.is_empty() {
            continue;
        }
        let known = set.compilers.keys().map(String::as_str);
        let help = match suggest(compiler, known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                let known: Vec<&str> = set.compilers.keys().map(String::as_str).collect();
                format!("the compilers of the set are {}", known.join(", "))
            }
        };
        let message = format!("the set has no compiler `{}`", **compiler);
        errors.push(compiler.span.clone(), message, Some(help));
    }
}
