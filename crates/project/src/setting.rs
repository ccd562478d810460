//! What decides which parts of manifests hold: choices, the platform, compilers.

use std::{collections::BTreeMap, fmt, str::FromStr};

use larder_trace::BuildTrace;

use crate::{
    manifest::{CrossToolchain, OptionValue},
    name::is_name,
    triple::Triple,
};

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
    /// The machine to build for; this one, when absent.
    pub target: Option<Triple>,
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
    /// The compilers' families, where a condition asks for them.
    pub compilers: Sides<Compilers>,
    /// The tools for the machine that is built for, where that is chosen.
    pub cross: Option<Cross>,
}

/// The families of compilers by package.
pub type Compilers = BTreeMap<String, Family>;

/// Another machine to build for, and the tools that do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cross {
    /// The machine.
    pub triple: Triple,
    /// What is declared of its tools.
    pub toolchain: CrossToolchain,
}

/// What something is built for. Without a target that is chosen, all is built for the target, and that is
/// this machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BuiltFor {
    /// What is asked for: for the target.
    #[default]
    Target,
    /// The tools that are run to make that: for the host, which is this machine.
    Host,
}

/// A value for each thing that is built for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sides<T> {
    /// What is built for the target.
    pub target: T,
    /// What is built for the host.
    pub host: T,
}

/// A platform, as conditions know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// The operating system, such as `linux`.
    pub os: String,
    /// The processor, such as `x86_64`.
    pub arch: String,
}

/// The format of programs and shared libraries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// Of Linux and most others.
    #[default]
    Elf,
    /// Of macOS.
    MachO,
    /// Of Windows.
    Pe,
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
    /// The target that it is built for, where one was chosen.
    pub target: Option<Triple>,
}

impl<T> Sides<T> {
    /// Returns the value for what is built for `side`.
    pub fn of(&self, side: BuiltFor) -> &T {
        match side {
            BuiltFor::Target => &self.target,
            BuiltFor::Host => &self.host,
        }
    }

    /// The same, to change it.
    pub fn of_mut(&mut self, side: BuiltFor) -> &mut T {
        match side {
            BuiltFor::Target => &mut self.target,
            BuiltFor::Host => &mut self.host,
        }
    }
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
        let target = self.target.as_ref();
        let target = target.map(|target| BuildTrace::text("target", target.to_string()));
        let chosen: Vec<BuildTrace> = options.into_iter().chain(profile).chain(target).collect();
        (!chosen.is_empty()).then(|| BuildTrace::nil("choices").mix_all(chosen))
    }

    /// Returns the name of the directory in `.larder` in which is built what is built for `side`.
    pub fn build_directory(&self, side: BuiltFor) -> String {
        let target = self.target.as_ref().filter(|_| side == BuiltFor::Target);
        let target = target.map(ToString::to_string);
        let parts = [Some(BUILD_DIRECTORY.to_owned()), target, self.profile.clone()];
        parts.into_iter().flatten().collect::<Vec<_>>().join("-")
    }
}

impl Platform {
    /// Returns the format of its programs.
    pub fn format(&self) -> Format {
        match self.os.as_str() {
            "windows" => Format::Pe,
            "macos" | "ios" => Format::MachO,
            _ => Format::Elf,
        }
    }

    /// Returns the file name of an executable.
    pub fn executable(&self, name: &str) -> String {
        match self.format() {
            Format::Pe => format!("{name}.exe"),
            Format::Elf | Format::MachO => name.to_owned(),
        }
    }

    /// Returns the file name of a shared library. Its version comes where the system has it.
    pub fn shared_library(&self, name: &str, version: Option<&str>) -> String {
        match (self.format(), version) {
            (Format::Elf, None) => format!("lib{name}.so"),
            (Format::Elf, Some(version)) => format!("lib{name}.so.{version}"),
            (Format::MachO, None) => format!("lib{name}.dylib"),
            (Format::MachO, Some(version)) => format!("lib{name}.{version}.dylib"),
            (Format::Pe, None) => format!("lib{name}.dll"),
            (Format::Pe, Some(version)) => format!("lib{name}-{version}.dll"),
        }
    }

    /// Returns the file name of what is linked in the place of a shared library, where that is another
    /// file: by it linkers learn what the library offers.
    pub fn import_library(&self, name: &str) -> Option<String> {
        (self.format() == Format::Pe).then(|| format!("lib{name}.dll.a"))
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
