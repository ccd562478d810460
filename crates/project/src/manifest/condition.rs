//! Conditions: when a part of a manifest holds.

use std::fmt;

use toml::de::DeValue;

use super::{
    options::{OptionValue, Options},
    profile::Profiles,
};
use crate::{
    diagnostic::{Located, suggest},
    setting::{Facts, Family},
    table::Fields,
    triple::Triple,
};

/// When a part of a manifest holds. Each list means "one of these".
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Condition {
    /// All of them hold.
    All(Vec<Condition>),
    /// One of them holds.
    Any(Vec<Condition>),
    /// It does not hold.
    Not(Box<Condition>),
    /// The operating system that is built for.
    Os(Vec<String>),
    /// The processor that is built for.
    Arch(Vec<String>),
    /// The target that was chosen to build for.
    Target(Vec<Triple>),
    /// The family of the package's compiler.
    Compiler(Vec<Family>),
    /// It is built with this profile, or with one that inherits from it.
    Profile(Vec<String>),
    /// An option of the package has one of the values.
    Option(String, Vec<OptionValue>),
}

/// The names of one manifest that conditions may have.
#[derive(Clone, Copy)]
pub(super) struct Names<'m> {
    pub options: &'m Options,
    pub profiles: &'m Profiles,
}

/// Operating systems, as Rust calls them.
const SYSTEMS: &[&str] = &[
    "aix",
    "android",
    "dragonfly",
    "freebsd",
    "haiku",
    "illumos",
    "ios",
    "linux",
    "macos",
    "netbsd",
    "openbsd",
    "solaris",
    "windows",
];
/// Processors, as Rust calls them.
const PROCESSORS: &[&str] = &[
    "aarch64",
    "arm",
    "loongarch64",
    "m68k",
    "mips",
    "mips64",
    "powerpc",
    "powerpc64",
    "riscv32",
    "riscv64",
    "s390x",
    "sparc64",
    "wasm32",
    "x86",
    "x86_64",
];
/// Other names of these.
const OTHER_NAMES: &[(&str, &str)] = &[
    ("darwin", "macos"),
    ("osx", "macos"),
    ("win32", "windows"),
    ("mingw", "windows"),
    ("amd64", "x86_64"),
    ("x64", "x86_64"),
    ("arm64", "aarch64"),
    ("i386", "x86"),
    ("i686", "x86"),
    ("ppc64le", "powerpc64"),
];

impl Condition {
    /// Whether it holds. `profiles` are the profile and those that it inherits from.
    pub fn holds(&self, facts: &Facts, profiles: &[String]) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(facts, profiles)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(facts, profiles)),
            Self::Not(part) => !part.holds(facts, profiles),
            Self::Os(names) => names.contains(&facts.platform.os),
            Self::Arch(names) => names.contains(&facts.platform.arch),
            Self::Target(triples) => {
                facts.target.as_ref().is_some_and(|target| triples.contains(target))
            }
            Self::Compiler(families) => facts.compiler.is_some_and(|one| families.contains(&one)),
            Self::Profile(names) => profiles.iter().any(|name| names.contains(name)),
            Self::Option(name, values) => {
                facts.options.get(name).is_some_and(|value| values.contains(value))
            }
        }
    }

    /// Whether the family of a compiler is part of it.
    pub fn asks_for_compiler(&self) -> bool {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().any(Self::asks_for_compiler),
            Self::Not(part) => part.asks_for_compiler(),
            Self::Compiler(_) => true,
            Self::Os(_) | Self::Arch(_) | Self::Target(_) | Self::Profile(_) | Self::Option(..) => {
                false
            }
        }
    }

    /// The key `when`.
    pub fn when(fields: &mut Fields<'_, '_>, names: &Names<'_>) -> Option<Self> {
        let table = fields.table("when")?;
        Self::decode(table, names)
    }

    fn decode(mut fields: Fields<'_, '_>, names: &Names<'_>) -> Option<Self> {
        "a condition".clone_into(&mut fields.what);
        let known = fields.errors.found.len();
        let mut parts = Vec::new();
        if fields.entries.is_empty() {
            let help = "write when = { os = \"linux\" }, or leave it out";
            fields.errors.push(fields.span.clone(), "an empty condition", Some(help.to_owned()));
        }
        parts.extend(words(&mut fields, "os", SYSTEMS).map(Self::Os));
        parts.extend(words(&mut fields, "arch", PROCESSORS).map(Self::Arch));
        if fields.entries.contains_key("target") {
            parts.extend(target_part(&mut fields));
        }
        parts.extend(words(&mut fields, "compiler", Family::WORDS).map(|words| {
            Self::Compiler(words.iter().filter_map(|word| Family::named(word)).collect())
        }));
        if fields.entries.contains_key("profile") {
            parts.extend(profile_part(&mut fields, names.profiles));
        }
        if let Some(values) = fields.table_like("option", "option = { NAME = true }") {
            parts.extend(option_parts(values, names.options));
        }
        if let Some(not) = fields.table("not") {
            parts.extend(Self::decode(not, names).map(|part| Self::Not(Box::new(part))));
        }
        if fields.entries.contains_key("any") {
            let span = fields.span.clone();
            let any = fields.tables("any", |one| Self::decode(one, names));
            if any.is_empty() && fields.errors.found.len() == known {
                let help = "write any = [{ … }, { … }]".to_owned();
                fields.errors.push(span, "`any` has no conditions", Some(help));
            }
            parts.push(Self::Any(any));
        }
        let fine = fields.errors.found.len() == known;
        fields.finish();
        match parts.len() {
            _ if !fine => None,
            1 => parts.pop(),
            _ => Some(Self::All(parts)),
        }
    }
}

/// A key whose value is one of the words `known`, or a list of them.
fn words(
    fields: &mut Fields<'_, '_>,
    key: &'static str,
    known: &[&'static str],
) -> Option<Vec<String>> {
    let words = one_or_more(fields, key)?;
    for word in words.iter().filter(|word| !known.contains(&word.as_str())) {
        let other = OTHER_NAMES.iter().find(|(other, _)| *other == word.as_str());
        let meant = other.map(|(_, name)| *name).filter(|name| known.contains(name));
        // Of a few words, all can be said.
        let close = || suggest(word, known.iter().copied()).filter(|_| known.len() > 3);
        let help = match meant.or_else(close) {
            Some(meant) => format!("did you mean \"{meant}\"?"),
            None => format!("`{key}` is one of {}", known.join(", ")),
        };
        fields.errors.push(word.span.clone(), format!("unknown {key} `{}`", **word), Some(help));
    }
    Some(words.into_iter().map(|word| word.value).collect())
}

/// The key `profile`.
fn profile_part(fields: &mut Fields<'_, '_>, profiles: &Profiles) -> Option<Condition> {
    let words = one_or_more(fields, "profile")?;
    for word in words.iter().filter(|word| !profiles.names().any(|name| name == word.as_str())) {
        let message = format!("unknown profile `{}`", **word);
        fields.errors.push(word.span.clone(), message, Some(profiles.advice(word)));
    }
    Some(Condition::Profile(words.into_iter().map(|word| word.value).collect()))
}

/// The key `target`.
fn target_part(fields: &mut Fields<'_, '_>) -> Option<Condition> {
    let words = one_or_more(fields, "target")?;
    let mut triples = Vec::new();
    for word in words {
        match word.parse::<Triple>() {
            Ok(triple) => triples.push(triple),
            Err(wrong) => fields.errors.push(word.span, wrong, None),
        }
    }
    Some(Condition::Target(triples))
}

/// A string or a list of at least one.
fn one_or_more(fields: &mut Fields<'_, '_>, key: &'static str) -> Option<Vec<Located<String>>> {
    let value = fields.take(key)?;
    let span = value.span();
    let list = match value.get_ref() {
        DeValue::String(_) => return fields.expect_string(value).map(|word| vec![word]),
        DeValue::Array(list) if !list.is_empty() => list.clone(),
        DeValue::Array(_) => {
            let help = "an empty list holds never: leave it out".to_owned();
            fields.errors.push(span, format!("`{key}` names nothing"), Some(help));
            return None;
        }
        _ => {
            fields.wrong(&value, "a string or an array of strings");
            return None;
        }
    };
    Some(list.into_iter().filter_map(|value| fields.expect_string(value)).collect())
}

/// The key `option` of a condition: values by name.
fn option_parts(mut fields: Fields<'_, '_>, options: &Options) -> Vec<Condition> {
    let mut found = Vec::new();
    for (name, value) in std::mem::take(&mut fields.entries) {
        let (span, name) = (name.span(), name.into_inner().into_owned());
        let Some(declared) = options.get(&name) else {
            let (message, help) = options.unknown(&name);
            fields.errors.push(span, message, Some(help));
            continue;
        };
        let list = match value.get_ref() {
            DeValue::Array(list) => list.iter().cloned().collect(),
            _ => vec![value],
        };
        let mut values = Vec::new();
        for value in list {
            let span = value.span();
            let Some(value) = OptionValue::decode(&mut fields, value) else { continue };
            match declared.check(&value) {
                Ok(()) => values.push(value),
                Err(help) => {
                    let message = format!("the option `{name}` is never `{value}`");
                    fields.errors.push(span, message, Some(help));
                }
            }
        }
        found.push(Condition::Option(name, values));
    }
    found
}

/// In the words of the manifest: `os = linux and not arch = arm or mips`.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one_of = |f: &mut fmt::Formatter<'_>, key: &str, words: Vec<String>| {
            write!(f, "{key} = {}", words.join(" or "))
        };
        let joined = |f: &mut fmt::Formatter<'_>, parts: &[Self], word: &str| {
            for (number, part) in parts.iter().enumerate() {
                let between = if number > 0 { word } else { "" };
                match part {
                    Self::All(_) | Self::Any(_) => write!(f, "{between}({part})")?,
                    _ => write!(f, "{between}{part}")?,
                }
            }
            Ok(())
        };
        match self {
            Self::All(parts) => joined(f, parts, " and "),
            Self::Any(parts) => joined(f, parts, " or "),
            Self::Not(part) => match &**part {
                Self::All(_) | Self::Any(_) => write!(f, "not ({part})"),
                _ => write!(f, "not {part}"),
            },
            Self::Os(names) => one_of(f, "os", names.clone()),
            Self::Arch(names) => one_of(f, "arch", names.clone()),
            Self::Target(triples) => {
                one_of(f, "target", triples.iter().map(ToString::to_string).collect())
            }
            Self::Profile(names) => one_of(f, "profile", names.clone()),
            Self::Compiler(of) => {
                one_of(f, "compiler", of.iter().map(ToString::to_string).collect())
            }
            Self::Option(name, values) => {
                let values = values.iter().map(ToString::to_string).collect();
                one_of(f, &format!("option {name}"), values)
            }
        }
    }
}
