//! A package, as far as its sources or another build system tell.

use std::collections::BTreeSet;

use super::config::Config;
use crate::name::is_name;

/// A package without a manifest.
#[derive(Debug, Clone, Default)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What this was read from, for people.
    pub from: String,
    /// Its libraries and executables.
    pub targets: Vec<Target>,
    /// Files that are made from answers and values.
    pub configs: Vec<Config>,
    /// Text files that are made as they are.
    pub texts: Vec<Text>,
    /// The assembler of `.asm` files, if there are any.
    pub assembler: Option<String>,
    /// What is in none of them.
    pub left_out: Vec<LeftOut>,
    /// All sources that are there, by which patterns are found that match some of them.
    pub sources: BTreeSet<String>,
    /// All headers that are there, for the same.
    pub headers: BTreeSet<String>,
    /// What whoever reads the manifest, or makes it, has to know: what is not certain in it.
    pub cautions: Vec<String>,
    /// Remarks for whoever reads the manifest.
    pub notes: Vec<String>,
}

/// A text file that is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// The target's name.
    pub name: String,
    /// The file, below the build directory.
    pub output: String,
    /// Its lines.
    pub lines: Vec<String>,
}

/// Something that is in no target.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeftOut {
    /// The file, directory, or whatever it is.
    pub what: String,
    /// The reason.
    pub why: String,
}

/// A library or an executable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Paths of its sources in the package.
    pub sources: Vec<String>,
    /// How they are compiled.
    pub flags: Flags,
    /// Names of libraries of the package that it is linked with.
    pub libraries: Vec<String>,
    /// Arguments for the linker.
    pub link_args: Vec<String>,
    /// The same, for its own link alone.
    pub private_link_args: Vec<String>,
    /// Libraries of the system, by their names for `pkg-config`.
    pub system: Vec<String>,
    /// What has to be there before it is compiled.
    pub inputs: Vec<String>,
    /// Patterns of headers that are for its users; of a library.
    pub headers: Vec<String>,
    /// The version in the name of a shared library.
    pub soversion: Option<String>,
    /// The version in the name of its file, which may be longer.
    pub file_version: Option<String>,
    /// Whether the other build system installs it, where that is known.
    pub is_installed: Option<bool>,
}

/// What a target is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Kind {
    /// A static library.
    #[default]
    Static,
    /// A library of headers only.
    Headers,
    /// A shared library.
    Shared,
    /// An executable.
    Program,
    /// An executable that is a test, with its arguments, in which there may be placeholders.
    Test(Vec<String>),
}

impl Kind {
    /// Whether it is a library.
    pub fn is_library(&self) -> bool {
        matches!(self, Self::Static | Self::Headers | Self::Shared)
    }
}

/// How sources are compiled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags {
    /// The standard of C sources.
    pub c_std: Option<String>,
    /// The standard of C++ sources.
    pub cxx_std: Option<String>,
    /// What follows `-W`.
    pub warnings: Vec<String>,
    /// Macros.
    pub defines: Vec<String>,
    /// Macros for whoever is linked with it, too.
    pub public_defines: Vec<String>,
    /// Directories of headers.
    pub includes: Vec<String>,
    /// Directories of headers for its own sources alone.
    pub private_includes: Vec<String>,
    /// Directories of others' headers.
    pub system_includes: Vec<String>,
    /// More arguments for C.
    pub c_args: Vec<String>,
    /// More arguments for C++.
    pub cxx_args: Vec<String>,
    /// Arguments for the assembler.
    pub asm_args: Vec<String>,
}

impl Target {
    /// Keeps for a shared library's own link what its users have no need of: arguments that are for the linker itself.
    pub fn keep_link_args(&mut self) {
        if self.kind == Kind::Shared {
            let own = self.link_args.extract_if(.., |argument| argument.starts_with("-Wl,"));
            self.private_link_args.extend(own);
        }
    }
}

impl Flags {
    /// Adds what `other` has and this one does not.
    pub fn merge(&mut self, other: &Self) {
        self.c_std = self.c_std.take().or_else(|| other.c_std.clone());
        self.cxx_std = self.cxx_std.take().or_else(|| other.cxx_std.clone());
        for (list, more) in self.lists().into_iter().zip(other.clone().lists()) {
            list.extend(more.drain(..).filter(|new| !list.contains(new)).collect::<Vec<_>>());
        }
    }

    /// Makes those of a library's macros public that `public` has. Returns those that are not the library's own.
    pub fn make_public(&mut self, public: &[String]) -> Vec<String> {
        let (own, foreign): (Vec<_>, Vec<_>) =
            public.iter().cloned().partition(|it| self.defines.contains(it));
        self.defines.retain(|it| !own.contains(it));
        self.public_defines.extend(own);
        foreign
    }

    /// Keeps what whoever is linked with a library gets.
    pub fn keep_for_users(&mut self) {
        let Self { includes, system_includes, public_defines, .. } = std::mem::take(self);
        *self = Self { includes, system_includes, public_defines, ..Self::default() };
    }

    fn lists(&mut self) -> [&mut Vec<String>; 9] {
        let Self { warnings, defines, public_defines, includes, private_includes, .. } = self;
        let Self { system_includes, c_args, cxx_args, asm_args, .. } = self;
        [
            warnings,
            defines,
            public_defines,
            includes,
            private_includes,
            system_includes,
            c_args,
            cxx_args,
            asm_args,
        ]
    }

    /// Takes out of all of `several` what they have in common.
    pub fn take_common(several: &mut [&mut Self]) -> Self {
        let mut common = Self::default();
        let Some(first) = several.first().map(|first| (*first).clone()) else { return common };
        if several.iter().all(|flags| flags.c_std == first.c_std) {
            common.c_std = first.c_std.clone();
            several.iter_mut().for_each(|flags| flags.c_std = None);
        }
        if several.iter().all(|flags| flags.cxx_std == first.cxx_std) {
            common.cxx_std = first.cxx_std.clone();
            several.iter_mut().for_each(|flags| flags.cxx_std = None);
        }
        let mut first = first;
        for (index, (list, shared)) in first.lists().into_iter().zip(common.lists()).enumerate() {
            for entry in list.iter() {
                if several.iter_mut().all(|flags| flags.lists()[index].contains(entry)) {
                    shared.push(entry.clone());
                }
            }
            for flags in several.iter_mut() {
                flags.lists()[index].retain(|entry| !shared.contains(entry));
            }
        }
        common
    }
}

impl Package {
    /// Calls it as another build system does, if a package can be called so.
    pub fn rename(&mut self, name: &str) {
        if is_name(name) {
            name.clone_into(&mut self.name);
        }
    }

    /// Notes that something is left out.
    pub fn leave_out(&mut self, what: impl Into<String>, why: impl Into<String>) {
        let left_out = LeftOut { what: what.into(), why: why.into() };
        if !self.left_out.contains(&left_out) {
            self.left_out.push(left_out);
        }
    }

    /// Notes an option of the other build system, and for which value of it the package is.
    pub fn note_option(&mut self, by: &str, name: &str, help: &str, value: &str) {
        let help = if help.is_empty() { String::new() } else { format!(" ({help})") };
        self.notes.push(format!("{by} has an option {name}{help}; this is for {value}."));
        self.leave_out(
            format!("the option {name}"),
            "the manifest is for the one value that it names at its top: [options] and `case` make it a choice",
        );
    }

    /// A name for a target as [`Self::free_name`] has it. One that is not as `wanted` is said.
    pub fn target_name(&mut self, wanted: &str) -> String {
        let name = self.free_name(wanted);
        if name != wanted {
            self.cautions.push(format!(
                "The target {wanted} is called {name} here: another one has its name, or no target can have it."
            ));
        }
        name
    }

    /// A name for a target that no other has, near `wanted`.
    pub fn free_name(&self, wanted: &str) -> String {
        let odd = |c: char| !(c.is_ascii_alphanumeric() || "_-+.".contains(c));
        let plain = wanted.replace(odd, "_");
        let plain = match is_name(&plain) {
            true => plain,
            false => format!("x{plain}"),
        };
        let is_taken = |name: &str| {
            let texts = self.texts.iter().map(|text| &text.name);
            self.targets.iter().map(|target| &target.name).chain(texts).any(|taken| taken == name)
        };
        let numbered = (2..).map(|count| format!("{plain}-{count}"));
        let mut names = std::iter::once(plain.clone()).chain(numbered);
        names.find(|name| !is_taken(name)).unwrap_or(plain)
    }

    /// Adds a file that is made, under a name that nothing else has. Targets with one of its directories among their
    /// includes, as `{build}` paths, wait for it.
    pub fn add_config(&mut self, mut config: Config) {
        let file = config.output.rsplit('/').next().unwrap_or_default();
        let stem = file.split('.').next().unwrap_or(file).to_owned();
        let is_taken = |name: &str| self.configs.iter().any(|other| other.name == name);
        let base = self.free_name(&stem);
        let numbered = (2..).map(|count| format!("{base}-{count}"));
        let mut names = std::iter::once(base.clone()).chain(numbered);
        config.name = names.find(|name| !is_taken(name)).unwrap_or(base);
        self.give_input(&config.output, &config.name);
        self.configs.push(config);
    }

    /// Adds a text file that is made as it is.
    pub fn add_text(&mut self, output: &str, lines: Vec<String>) {
        let name = self.free_name(output.rsplit('/').next().unwrap_or_default());
        self.give_input(output, &name);
        self.texts.push(Text { name, output: output.to_owned(), lines });
    }

    /// Has targets with a directory of `output` among their includes wait for it.
    fn give_input(&mut self, output: &str, name: &str) {
        let path = format!("{{build}}/{output}");
        let is_above =
            |it: &String| it.starts_with("{build}") && path.starts_with(&format!("{it}/"));
        for target in &mut self.targets {
            let Flags { includes, private_includes, system_includes, .. } = &target.flags;
            if includes.iter().chain(private_includes).chain(system_includes).any(is_above) {
                target.inputs.push(format!("{{{name}}}"));
            }
        }
    }

    /// Takes away directories of the build in which nothing is made.
    pub fn drop_empty_includes(&mut self) {
        let outputs = self.configs.iter().map(|it| &it.output);
        let outputs = outputs.chain(self.texts.iter().map(|it| &it.output));
        let made: Vec<String> = outputs.map(|it| format!("{{build}}/{it}")).collect();
        let is_used = |it: &String| {
            !it.starts_with("{build}")
                || made.iter().any(|made| made.starts_with(&format!("{it}/")))
        };
        for target in &mut self.targets {
            let Flags { includes, private_includes, system_includes, .. } = &mut target.flags;
            for list in [includes, private_includes, system_includes] {
                list.retain(is_used);
            }
        }
        self.drop_empty_libraries();
    }

    /// Takes away libraries of headers that nobody can find.
    fn drop_empty_libraries(&mut self) {
        let is_empty = |target: &mut Target| {
            let Flags { includes, system_includes, .. } = &target.flags;
            target.kind == Kind::Headers
                && includes.is_empty()
                && system_includes.is_empty()
                && target.headers.is_empty()
        };
        let empty: Vec<Target> = self.targets.extract_if(.., is_empty).collect();
        for target in &mut self.targets {
            target.libraries.retain(|name| !empty.iter().any(|it| it.name == *name));
        }
    }

    /// Leaves to libraries what whoever is linked with them gets from them.
    pub fn inherit_includes(&mut self) {
        let inherited: Vec<Flags> = self.targets.iter().map(|it| self.inherited(it)).collect();
        for (target, inherited) in self.targets.iter_mut().zip(inherited) {
            let Flags { includes, private_includes, defines, .. } = &mut target.flags;
            for list in [includes, private_includes] {
                list.retain(|include| !inherited.includes.contains(include));
            }
            defines.retain(|define| !inherited.public_defines.contains(define));
        }
    }

    /// What a target gets from all libraries that it is linked with.
    pub(super) fn inherited(&self, target: &Target) -> Flags {
        let mut reached: Vec<&String> = target.libraries.iter().collect();
        let mut found = Flags::default();
        let mut next = 0;
        while let Some(name) = reached.get(next).copied() {
            let is_it = |it: &&Target| it.kind.is_library() && it.name == *name;
            if let Some(library) = self.targets.iter().find(is_it) {
                let Flags { includes, public_defines, .. } = library.flags.clone();
                found.merge(&Flags { includes, public_defines, ..Flags::default() });
                let new = library.libraries.iter().filter(|it| !reached.contains(it));
                reached.extend(new.collect::<Vec<_>>());
            }
            next += 1;
        }
        found
    }
}
