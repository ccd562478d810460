//! Where compilers and linkers search, as their arguments say.

/// The directories that a compiler searches for headers, each list in order, as they are written in
/// the arguments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IncludeArguments {
    /// `-iquote`: for names in quotes only, before all others.
    pub quote: Vec<String>,
    /// `-I`, and `--embed-dir` for what is embedded.
    pub normal: Vec<String>,
    /// `-isystem`: before the compiler's own.
    pub system: Vec<String>,
    /// `-idirafter`: after the compiler's own.
    pub after: Vec<String>,
    /// `-nostdinc`: the compiler's own are not searched.
    pub no_standard: bool,
    /// Texts that look like names of headers, from `-DCONFIG="config.h"`: what an `#include` of a macro
    /// may ask for.
    pub names: Vec<String>,
}

/// The texts that arguments put before a source, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Given {
    /// The headers that they name: `-include`, `-imacros`.
    pub first: Vec<String>,
    /// The macros that they define: `X`, `X="x.h"`.
    pub defines: Vec<String>,
}

/// The directories that a compiler is given before all arguments.
#[derive(Debug, Clone, Copy, Default)]
pub struct Typed<'a> {
    /// As `-I`.
    pub normal: &'a [String],
    /// As `-isystem`.
    pub system: &'a [String],
}

/// The libraries that a linker searches for, and where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LinkArguments {
    /// `-L`, in order.
    pub directories: Vec<String>,
    /// `-l`, each as the file names that it may mean, the first of them preferred in each directory.
    pub libraries: Vec<[String; 2]>,
}

impl IncludeArguments {
    /// The meaning of `arguments`.
    pub fn parse<S: AsRef<str>>(arguments: &[S]) -> Self {
        let mut found = Self::default();
        let mut rest = flat(arguments, "-Wp,", "-Xpreprocessor");
        while let Some(argument) = rest.next() {
            if argument == "-nostdinc" {
                found.no_standard = true;
                continue;
            }
            if let Some(definition) = argument.strip_prefix("-D") {
                let definition = match definition {
                    "" => rest.next().unwrap_or(""),
                    definition => definition,
                };
                found.names.extend(header_name(definition).map(str::to_owned));
                continue;
            }
            let lists: [(&[&str], &mut Vec<String>); 4] = [
                (&["-iquote"], &mut found.quote),
                (&["-isystem", "-cxx-isystem"], &mut found.system),
                (&["-idirafter", "--include-directory-after="], &mut found.after),
                (
                    &["-I", "--include-directory=", "--embed-dir=", "--embed-directory="],
                    &mut found.normal,
                ),
            ];
            for (flags, list) in lists {
                if let Some(flag) = flags.iter().find(|flag| argument.starts_with(**flag)) {
                    list.extend(value(argument, flag, &mut rest));
                    break;
                }
            }
        }
        found
    }

    /// All directories in the order in which they are searched. `typed` come before others of their
    /// kind; `own` are the compiler's.
    pub fn in_order(&self, typed: &Typed<'_>, own: &[String]) -> Vec<String> {
        let own = if self.no_standard { &[] } else { own };
        let normal = [typed.normal, &self.normal];
        let system = [typed.system, &self.system];
        [&[&self.quote[..]], &normal[..], &system[..], &[own, &self.after]].concat().concat()
    }
}

impl Given {
    /// The meaning of `arguments`.
    pub fn parse<S: AsRef<str>>(arguments: &[S]) -> Self {
        let mut found = Self::default();
        let mut rest = flat(arguments, "-Wp,", "-Xpreprocessor");
        while let Some(argument) = rest.next() {
            let lists: [(&[&str], &mut Vec<String>); 2] = [
                (&["-include", "--include=", "-imacros", "--imacros="], &mut found.first),
                (&["-D", "--define-macro="], &mut found.defines),
            ];
            for (flags, list) in lists {
                if let Some(flag) = flags.iter().find(|flag| argument.starts_with(**flag)) {
                    list.extend(value(argument, flag, &mut rest));
                    break;
                }
            }
        }
        found
    }
}

impl LinkArguments {
    /// The files that the libraries may be, sorted: whichever of them are in one of the directories
    /// decides which are taken.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.libraries.iter().flatten().cloned().collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The meaning of `arguments`.
    pub fn parse<S: AsRef<str>>(arguments: &[S]) -> Self {
        let mut found = Self::default();
        let mut rest = flat(arguments, "-Wl,", "-Xlinker");
        while let Some(argument) = rest.next() {
            let flag = |flags: &[&'static str]| {
                flags.iter().copied().find(|flag| argument.starts_with(flag))
            };
            if let Some(flag) = flag(&["-L", "--library-path="]) {
                found.directories.extend(value(argument, flag, &mut rest));
            } else if let Some(flag) = flag(&["-l", "--library="]) {
                let Some(name) = value(argument, flag, &mut rest) else { continue };
                found.libraries.push(match name.strip_prefix(':') {
                    Some(file) => [file.to_owned(), file.to_owned()],
                    None => [format!("lib{name}.so"), format!("lib{name}.a")],
                });
            }
        }
        found
    }
}

/// Arguments with those taken out that are wrapped to reach another program.
fn flat<'a, S: AsRef<str>>(
    arguments: &'a [S],
    joined: &'a str,
    single: &'a str,
) -> impl Iterator<Item = &'a str> {
    let arguments = arguments.iter().map(AsRef::as_ref);
    arguments.filter(move |argument| *argument != single).flat_map(move |argument| {
        let inner = argument.strip_prefix(joined);
        let separator = if inner.is_some() { ',' } else { '\0' };
        inner.unwrap_or(argument).split(separator)
    })
}

/// The value of a flag that begins `argument`: the rest of it, or the next argument.
fn value<'a>(
    argument: &'a str,
    flag: &str,
    rest: &mut impl Iterator<Item = &'a str>,
) -> Option<String> {
    match argument.strip_prefix(flag)? {
        "" => rest.next().map(str::to_owned),
        joined => Some(joined.to_owned()),
    }
}

/// The name of a header that the value of a definition is: `A="x.h"`, `A=<x.h>`.
fn header_name(definition: &str) -> Option<&str> {
    let (_, value) = definition.split_once('=')?;
    let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    quoted.or_else(|| value.strip_prefix('<')?.strip_suffix('>'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn include_flags() {
        let arguments = [
            "-O2",
            "-Ia",
            "-I",
            "b",
            "-isystem",
            "s",
            "-isystems2",
            "-iquote",
            "q",
            "-idirafterz",
            "-Wp,-I,c",
            "-DX=<x.h>",
            "-D",
            "Y=\"y.h\"",
            "-DZ=1",
            "-nostdinc",
        ];
        let expected = IncludeArguments {
            quote: vec!["q".into()],
            normal: vec!["a".into(), "b".into(), "c".into()],
            system: vec!["s".into(), "s2".into()],
            after: vec!["z".into()],
            no_standard: true,
            names: vec!["x.h".into(), "y.h".into()],
        };
        assert_eq!(IncludeArguments::parse(&arguments), expected);
        assert_eq!(IncludeArguments::parse(&["-I"]), IncludeArguments::default());
        let (normal, system, own) = (["t".to_owned()], ["u".to_owned()], ["o".to_owned()]);
        let typed = Typed { normal: &normal, system: &system };
        let searched = ["q", "t", "a", "b", "c", "u", "s", "s2", "z"];
        assert_eq!(expected.in_order(&typed, &own), searched);
        let standard = IncludeArguments { no_standard: false, ..expected };
        assert_eq!(standard.in_order(&typed, &own)[8..], ["o", "z"]);
    }

    #[test]
    fn what_is_given_first() {
        let arguments = ["-include", "a.h", "-DX=1", "-D", "Y", "-imacrosb.h", "-O2"];
        let found = Given::parse(&arguments);
        assert_eq!(found.first, ["a.h", "b.h"]);
        assert_eq!(found.defines, ["X=1", "Y"]);
    }

    #[test]
    fn link_flags() {
        let found = LinkArguments::parse(&["-La", "-lx", "-L", "b", "-Wl,-L,c,-l:y.so.1", "-O"]);
        assert_eq!(found.directories, ["a", "b", "c"]);
        assert_eq!(
            found.libraries,
            [["libx.so".to_owned(), "libx.a".to_owned()], ["y.so.1".into(), "y.so.1".into()]]
        );
    }
}
