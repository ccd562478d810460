//! The tools and arguments that whoever builds asks for, in the variables that `make` knows.

use std::{ffi::OsStr, path::Path};

use larder_project::{
    diagnostic::Diagnostic,
    manifest::{self, ToolchainKind, refused_argument, refused_link_argument},
    plan::Language,
    setting::{BuiltFor, Cross, Sides},
};
use larder_trace::BuildTrace;

use crate::{environment::Environment, search::relative_paths, toolchain::Role};

/// A variable, and the one that holds the same for the host where something is built for a target.
type Names = Sides<&'static str>;

/// The variables that name tools, with what they name.
const TOOLS: [(Names, Role); 3] = [
    (Names { target: "CC", host: "CC_FOR_BUILD" }, Role::Cc),
    (Names { target: "CXX", host: "CXX_FOR_BUILD" }, Role::Cxx),
    (Names { target: "AR", host: "AR_FOR_BUILD" }, Role::Ar),
];

/// The variables that hold arguments: for the preprocessor, for C, for C++, for linking.
const ARGUMENTS: [Names; 4] = [
    Names { target: "CPPFLAGS", host: "CPPFLAGS_FOR_BUILD" },
    Names { target: "CFLAGS", host: "CFLAGS_FOR_BUILD" },
    Names { target: "CXXFLAGS", host: "CXXFLAGS_FOR_BUILD" },
    Names { target: "LDFLAGS", host: "LDFLAGS_FOR_BUILD" },
];

/// The variable that names the program which knows the libraries of the system.
const PKG_CONFIG: Names = Names { target: "PKG_CONFIG", host: "PKG_CONFIG_FOR_BUILD" };

/// Whether the variable `name` may decide by which commands sources are compiled.
pub(crate) fn decides_commands(name: &OsStr) -> bool {
    const OTHERS: [&str; 4] = ["PATH", "HOME", "LEAN_SYSROOT", "ELAN_TOOLCHAIN"];
    let names = TOOLS.iter().map(|(names, _)| names).chain(&ARGUMENTS);
    let known = names.flat_map(|names| [names.target, names.host]).chain(OTHERS);
    known.into_iter().any(|it| name == it) || name.as_encoded_bytes().starts_with(b"PKG_CONFIG")
}

/// The value of one variable, as the words that a shell makes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// The variable, as traces call it on both sides.
    pub variable: &'static str,
    /// The variable that was read.
    pub read_from: &'static str,
    /// The words; there is at least one.
    pub words: Vec<String>,
}

/// Tools and arguments from `CC`, `CXX`, `AR`, `PKG_CONFIG`, `CPPFLAGS`, `CFLAGS`, `CXXFLAGS` and `LDFLAGS`. A variable
/// without a word in it counts as one that is not set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags {
    tools: [Option<Words>; 3],
    arguments: [Option<Words>; 4],
    pkg_config: Option<Words>,
    /// What is declared of the target.
    target_link_args: Option<Words>,
}

impl Flags {
    /// Reads the variables of `environment` that are for `side`.
    ///
    /// # Errors
    /// The variables that are no words of a shell, and the arguments that larder gives itself.
    pub fn of(environment: &Environment, side: BuiltFor) -> Result<Self, Vec<Diagnostic>> {
        let mut wrong = Vec::new();
        let mut read = |names: Names| {
            let words = words(names, side, environment).unwrap_or_else(|diagnostic| {
                wrong.push(diagnostic);
                None
            })?;
            wrong.extend(refused(&words));
            Some(words)
        };
        let tools = TOOLS.map(|(names, _)| read(names));
        let arguments = ARGUMENTS.map(&mut read);
        let pkg_config = read(PKG_CONFIG);
        if wrong.is_empty() {
            Ok(Self { tools, arguments, pkg_config, target_link_args: None })
        } else {
            Err(wrong)
        }
    }

    /// Returns the same with the arguments for linking that are declared of a target, before all others.
    #[must_use]
    pub fn with(self, cross: Option<&Cross>) -> Self {
        let declared = cross.and_then(|cross| cross.toolchain.link_args.clone());
        let words = declared.filter(|words| !words.is_empty());
        let name = "target link-args";
        let target_link_args = words.map(|words| Words { variable: name, read_from: name, words });
        Self { target_link_args, ..self }
    }

    /// Returns the tool that is asked for as `role` in a package with `toolchain`. Lean's tools belong to
    /// Lean, and no variable stands for them.
    pub fn tool(&self, toolchain: &manifest::Toolchain, role: Role) -> Option<&Words> {
        if toolchain.kind == ToolchainKind::Lean {
            return None;
        }
        let position = TOOLS.iter().position(|(_, named)| *named == role)?;
        self.tools[position].as_ref()
    }

    /// Returns the arguments for sources of `language`, in order. Assembly that is not preprocessed has
    /// no use for those of the preprocessor.
    pub fn compiling(&self, language: Language) -> impl Iterator<Item = &Words> {
        let [preprocessor, c, cxx, _] = &self.arguments;
        let preprocessor = preprocessor.as_ref().filter(|_| language != Language::Plain);
        preprocessor.into_iter().chain(if language == Language::Cxx { cxx } else { c })
    }

    /// Returns the arguments with which the compiler for `role` links, in order: as `make` and CMake have it, those
    /// for compiling come before those for linking.
    pub fn linking_as(&self, role: Role) -> impl Iterator<Item = &Words> {
        let [_, c, cxx, _] = &self.arguments;
        let compiling = if role == Role::Cxx { cxx } else { c };
        self.target_link_args.iter().chain(compiling).chain(&self.arguments[3])
    }

    /// Returns the arguments that are for linking only, in order.
    pub fn linking(&self) -> impl Iterator<Item = &Words> {
        self.target_link_args.iter().chain(&self.arguments[3])
    }

    /// Returns the program that knows the libraries of the system, where one is asked for.
    pub fn pkg_config(&self) -> Option<&Words> {
        self.pkg_config.as_ref()
    }

    /// Returns the arguments that decide who the tool for `role` is.
    pub fn deciding(&self, role: Role) -> Vec<String> {
        let compiling = match role {
            Role::Cc => self.compiling(Language::C).collect(),
            Role::Cxx => self.compiling(Language::Cxx).collect(),
            Role::Ar => Vec::new(),
        };
        let linking = self.linking().filter(move |_| role != Role::Ar);
        let all = compiling.into_iter().chain(linking);
        all.flat_map(|words| words.words.iter().cloned()).collect()
    }

    /// Returns the trace of each variable that holds arguments, for whoever is told nothing of the
    /// commands that they go to. `root` is the root package's directory, which counts as that.
    pub fn traces(&self, root: &Path) -> Vec<BuildTrace> {
        let shown = |words: &Words| {
            let texts: Vec<String> = words.words.iter().map(|word| shown(word, root)).collect();
            BuildTrace::list(words.variable, &texts)
        };
        self.arguments.iter().flatten().map(shown).collect()
    }
}

/// Returns `environment` as it is for what is built for the host where something is built for a target: of the
/// variables that `pkg-config` goes by, those that end in `_FOR_BUILD` count, without that.
pub(crate) fn for_build(environment: &Environment) -> Environment {
    const END: &str = "_FOR_BUILD";
    let of_pkg_config = |name: &OsStr| {
        let name = name.to_str().filter(|name| name.starts_with(PKG_CONFIG.target))?;
        Some(name.strip_suffix(END).map(str::to_owned))
    };
    let kept = environment.iter().filter_map(|(name, value)| match of_pkg_config(name) {
        None => Some((name.to_owned(), value.to_owned())),
        Some(meant) => meant.map(|name| (name.into(), value.to_owned())),
    });
    kept.collect()
}

/// Returns `environment` with the directory `from` called `to` in the variables that hold tools and
/// arguments, for a copy of the root package there.
pub(crate) fn moved(environment: &Environment, from: &Path, to: &Path) -> Environment {
    let ours = |name: &OsStr| {
        let mut all = TOOLS.iter().map(|(names, _)| names).chain(&ARGUMENTS);
        all.any(|names| name == names.target || name == names.host)
    };
    let value = |name: &OsStr, value: &OsStr| match value.to_str().filter(|_| ours(name)) {
        Some(text) => replaced(text, from, &to.to_string_lossy(), str::to_owned).into(),
        None => value.to_owned(),
    };
    environment.iter().map(|(name, text)| (name.to_owned(), value(name, text))).collect()
}

impl Words {
    /// Returns the words after the first: the arguments of a tool.
    pub fn arguments(&self) -> &[String] {
        &self.words[1..]
    }

    /// Returns the trace of the value as that of a tool: where the program lies does not count.
    pub fn tool_trace(&self, root: &Path) -> BuildTrace {
        let mut texts: Vec<String> = self.words.iter().map(|word| shown(word, root)).collect();
        if let Some(program) = self.words.first() {
            texts[0] = program.rsplit('/').next().unwrap_or(program).to_owned();
        }
        BuildTrace::list(self.variable, &texts)
    }
}

/// Returns arguments whose relative paths start in `root`, the root package's directory, as they are read in
/// `directory`: absolute where that is another.
pub(crate) fn rooted(words: &[String], root: &Path, directory: &Path) -> Vec<String> {
    let mut arguments = words.to_vec();
    if root != directory {
        for (at, range) in relative_paths(words).into_iter().rev() {
            let start = format!("{}/", root.display());
            arguments[at].insert_str(range.start, &start);
        }
    }
    arguments
}

/// A word with the root package's directory called `{package}`, wherever that is.
pub(crate) fn shown(word: &str, root: &Path) -> String {
    replaced(word, root, "{package}", escaped)
}

/// `text` with the directory `from` called `to`, and all else as `other` has it.
fn replaced(text: &str, from: &Path, to: &str, other: impl Fn(&str) -> String) -> String {
    let mut found = String::new();
    let mut rest = text;
    while let Some(range) = path_below(rest, from) {
        let inside = range.start + from.as_os_str().len();
        found = found + &other(&rest[..range.start]) + to + &other(&rest[inside..range.end]);
        rest = &rest[range.end..];
    }
    found + &other(rest)
}

/// A text with its braces doubled, so that none is taken for those around a name.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('{', "{{").replace('}', "}}")
}

/// Finds the first path in `word` that is the directory `root` or lies below it.
pub(crate) fn path_below(word: &str, root: &Path) -> Option<std::ops::Range<usize>> {
    let root = root.to_str().filter(|root| root.len() > 1)?;
    let ends = |c: char| matches!(c, ',' | '=' | ':' | ';' | '"' | '\'') || c.is_whitespace();
    word.match_indices(root).find_map(|(start, _)| {
        let after = &word[start + root.len()..];
        let whole = after.is_empty() || after.starts_with('/') || after.starts_with(ends);
        // What has a `/` before it is the end of a longer path.
        let begins = !word[..start].rsplit(ends).next().is_some_and(|run| run.contains('/'));
        let end = after.find(ends).map_or(word.len(), |end| start + root.len() + end);
        (whole && begins).then_some(start..end)
    })
}

/// The words of a variable, if it has any.
fn words(
    names: Names,
    side: BuiltFor,
    environment: &Environment,
) -> Result<Option<Words>, Diagnostic> {
    let (variable, read_from) = (names.target, *names.of(side));
    let Some(value) = environment.get(read_from) else { return Ok(None) };
    let wrong = |what: &str, help: &str| {
        Diagnostic::new(format!("the environment variable {read_from} {what}")).help(help)
    };
    let value = value.to_str().ok_or_else(|| {
        wrong("is not UTF-8", "unset it, or use names that can be written in UTF-8")
    })?;
    let words = shlex::split(value).ok_or_else(|| {
        wrong(
            &format!("has a quote without an end: {value}"),
            "it is split into words as a shell does; a quote ends, and a backslash comes before something",
        )
    })?;
    Ok((!words.is_empty()).then_some(Words { variable, read_from, words }))
}

/// What is wrong with the words of a variable.
fn refused(words: &Words) -> Vec<Diagnostic> {
    let reason = |word: &String| match words.variable {
        "AR" | "PKG_CONFIG" => None,
        "LDFLAGS" => refused_link_argument(word),
        // The compiler links with them, too.
        "CFLAGS" | "CXXFLAGS" => refused_argument(word).or_else(|| refused_link_argument(word)),
        _ => refused_argument(word),
    };
    let arguments = match TOOLS.iter().any(|(tool, _)| tool.target == words.variable) {
        true => &words.words[1..],
        false => &words.words[..],
    };
    let refused = arguments.iter().filter_map(|word| Some((word, reason(word)?)));
    let variable = words.read_from;
    refused
        .map(|(word, reason)| {
            let message = format!(
                "`{word}` in the environment variable {variable} cannot be an argument here"
            );
            Diagnostic::new(message).help(reason)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Result<Flags, Vec<Diagnostic>> {
        Flags::of(&variables.iter().copied().collect(), BuiltFor::Target)
    }

    #[test]
    fn values_are_words_of_a_shell() {
        let flags = of(&[
            ("CC", "ccache gcc -m32"),
            ("CPPFLAGS", "-DNAME='a b' -DTEXT=\\\"x\\\""),
            ("CFLAGS", ""),
            ("CXXFLAGS", "  "),
        ])
        .unwrap();
        let toolchain = manifest::Toolchain::default();
        assert_eq!(flags.tool(&toolchain, Role::Cc).unwrap().words, ["ccache", "gcc", "-m32"]);
        assert_eq!(flags.tool(&toolchain, Role::Cxx), None);
        let all: Vec<_> = flags.compiling(Language::C).collect();
        assert_eq!(all[0].words, ["-DNAME=a b", "-DTEXT=\"x\""]);
        assert_eq!(all.len(), 1, "what is empty is not set");
        assert_eq!(flags.compiling(Language::Plain).count(), 0);
        assert_eq!(of(&[("AR", ""), ("LDFLAGS", " ")]).unwrap(), Flags::default());
    }

    #[test]
    fn every_mistake_is_said_with_its_variable() {
        let wrong =
            of(&[("CC", "cc -o x"), ("CFLAGS", "-O2 'a"), ("LDFLAGS", "-o y")]).unwrap_err();
        let said: Vec<String> = wrong.iter().map(|one| one.to_string()).collect();
        assert_eq!(said.len(), 3, "{said:?}");
        for (said, variable) in said.iter().zip(["CC", "CFLAGS", "LDFLAGS"]) {
            assert!(said.contains(variable), "{said}");
        }
    }

    #[test]
    fn each_side_has_its_variables() {
        let variables = [("CC", "one"), ("CFLAGS_FOR_BUILD", "-O1"), ("CC_FOR_BUILD", "two 'x")];
        let environment: Environment = variables.into_iter().collect();
        let target = Flags::of(&environment, BuiltFor::Target).unwrap();
        let toolchain = manifest::Toolchain::default();
        assert_eq!(target.tool(&toolchain, Role::Cc).unwrap().words, ["one"]);
        assert_eq!(target.compiling(Language::C).count(), 0);
        let wrong = Flags::of(&environment, BuiltFor::Host).unwrap_err();
        assert!(wrong[0].to_string().contains("CC_FOR_BUILD"), "{}", wrong[0]);
        let environment: Environment = variables[..2].iter().copied().collect();
        let host = Flags::of(&environment, BuiltFor::Host).unwrap();
        assert_eq!(host.tool(&toolchain, Role::Cc), None);
        assert_eq!(host.compiling(Language::C).next().unwrap().variable, "CFLAGS");
    }

    #[test]
    fn the_root_is_found_as_a_whole_path() {
        let root = Path::new("/w/p");
        for (word, expected) in [
            ("-ffile-prefix-map=/w/p=.", "-ffile-prefix-map={package}=."),
            ("-I/w/p/include", "-I{package}/include"),
            ("-Wl,-L/w/p/a,-L/w/p", "-Wl,-L{package}/a,-L{package}"),
            ("-I/w/p2", "-I/w/p2"),
            ("-I/x/w/p", "-I/x/w/p"),
            ("-DX={package}", "-DX={{package}}"),
        ] {
            assert_eq!(shown(word, root), expected, "{word}");
        }
    }
}
