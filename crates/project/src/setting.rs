//! What decides which parts of manifests hold: choices, the platform, compilers.

use std::{collections::BTreeMap, fmt, str::FromStr};

use larder_trace::BuildTrace;

use crate::{manifest::OptionValue, name::is_name};

/// The directory in `.larder` that is built into without a profile; the names of all others begin with
/// this and `-`.
const BUILD_DIRECTORY: &str = "build";

/// Whether `name` is that of a directory in `.larder` that is built into, with whatever choices.
pub fn is_build_directory(name: &str) -> bool {
    let rest = name.strip_prefix(BUILD_DIRECTORY);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// The choices of whoever builds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choices {
    /// Values of options. Of several for one option, the last counts.
    pub options: Vec<Choice>,
    /// The profile, if one was chosen.
    pub profile: Option<String>,
}

/// A value that somebody chooses for an option: `[PACKAGE/]NAME=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Choice {
    /// The package that has the option; the root package, when absent.
    pub package: Option<String>,
    /// The option.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// All that decides which parts of the manifests of a workspace hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Setting {
    /// The choices of whoever builds.
    pub choices: Choices,
    /// The platform that is built for.
    pub platform: Platform,
    /// The compilers' families, by package, where a condition asks for them.
    pub compilers: BTreeMap<String, Family>,
}

/// A platform, as conditions know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// The operating system, such as `linux`.
    pub os: String,
    /// The processor, such as `x86_64`.
    pub arch: String,
}

/// A family of compilers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// GCC.
    Gcc,
    /// Clang.
    Clang,
}

/// All that decides which parts of one manifest hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The values of its options.
    pub options: BTreeMap<String, OptionValue>,
    /// The platform that is built for.
    pub platform: Platform,
    /// The family of its compiler, where it is known.
    pub compiler: Option<Family>,
    /// The profile, if one was chosen.
    pub profile: Option<String>,
}

impl Choices {
    /// Returns the trace of what was chosen; none where nothing was.
    pub fn trace(&self) -> Option<BuildTrace> {
        let mut last = BTreeMap::new();
        for Choice { package, name, value } in &self.options {
            last.insert((package, name), value);
        }
        let options = last.into_iter().map(|((package, name), value)| {
            let package = package.as_deref().map_or(String::new(), |package| format!("{package}/"));
            BuildTrace::text(format!("{package}{name}"), value.as_str())
        });
        let options =
            (!self.options.is_empty()).then(|| BuildTrace::nil("options").mix_all(options));
        let profile = self.profile.as_deref().map(|profile| BuildTrace::text("profile", profile));
        let chosen: Vec<BuildTrace> = options.into_iter().chain(profile).collect();
        (!chosen.is_empty()).then(|| BuildTrace::nil("choices").mix_all(chosen))
    }

    /// Returns the name of the directory in `.larder` that is built into.
    pub fn build_directory(&self) -> String {
        match &self.profile {
            Some(profile) => format!("{BUILD_DIRECTORY}-{profile}"),
            None => BUILD_DIRECTORY.to_owned(),
        }
    }
}

impl Default for Platform {
    /// This machine.
    fn default() -> Self {
        Self { os: std::env::consts::OS.to_owned(), arch: std::env::consts::ARCH.to_owned() }
    }
}

impl Family {
    /// The families' names.
    pub const WORDS: &[&'static str] = &["gcc", "clang"];

    /// Returns the family of a name.
    pub fn named(word: &str) -> Option<Self> {
        match word {
            "gcc" => Some(Self::Gcc),
            "clang" => Some(Self::Clang),
            _ => None,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gcc => "gcc",
            Self::Clang => "clang",
        })
    }
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("`{text}` is not [PACKAGE/]NAME=VALUE");
        let (option, value) = text.split_once('=').ok_or_else(wrong)?;
        let (package, name) = match option.split_once('/') {
            Some((package, name)) => (Some(package.strip_prefix('@').unwrap_or(package)), name),
            None => (None, option),
        };
        if !is_name(name) || package.is_some_and(|package| !is_name(package)) {
            return Err(wrong());
        }
        let package = package.map(str::to_owned);
        Ok(Self { package, name: name.to_owned(), value: value.to_owned() })
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { package, name, value } = self;
        match package {
            Some(package) => write!(f, "{package}/{name}={value}"),
            None => write!(f, "{name}={value}"),
        }
    }
}
