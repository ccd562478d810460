//! Commands of which all is known that they read and write: compilers, archivers and linkers.
//!
//! Nobody knows what any other command reads or writes besides what the build file says. Its outputs are good for this
//! build directory, as Ninja takes them; they are not for others.

use std::collections::HashSet;

use super::{
    tools::is_compiler,
    words::{Simple, is_cache, simple},
};
use crate::search::{IncludeArguments, LinkArguments};

/// What a known command does, and where it looks for inputs.
#[derive(Debug, Default)]
pub struct Known {
    /// Where headers are looked for, in a compile.
    pub includes: Option<IncludeArguments>,
    /// Where libraries are looked for, and where in the command's text the linker can be told to list what it reads.
    pub link: Option<(LinkArguments, usize)>,
    /// Whether its outputs may tell of the places of this machine in a way that is not seen in their bytes.
    pub hides_places: bool,
}

/// The names that a build file has for what a command reads and writes.
pub struct Named<'a> {
    pub outputs: HashSet<&'a str>,
    pub inputs: HashSet<&'a str>,
    /// The file that the compiler is to list what it read in.
    pub depfile: Option<&'a str>,
    /// A response file, and what stands in it.
    pub response_file: Option<(&'a str, &'a str)>,
}

/// Returns what `command` does, if all of it is known.
pub fn known(command: &str, named: &Named<'_>) -> Option<Known> {
    let mut known = Known::default();
    let mut removed: HashSet<&str> = HashSet::new();
    let commands = simple(command)?;
    let mut made: HashSet<&str> = HashSet::new();
    for Simple { words, end } in &commands {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (mut program, mut arguments) = words.split_first()?;
        if is_cache(program) {
            (program, arguments) = arguments.split_first().filter(|(it, _)| is_compiler(it))?;
        }
        let file = program.rsplit('/').next().unwrap_or(program);
        match (file, arguments) {
            (":" | "true", []) => {}
            ("rm", ["-f", paths @ ..]) | ("cmake", ["-E", "rm", "-f", paths @ ..]) => {
                paths.iter().all(|path| named.outputs.contains(path)).then_some(())?;
                removed.extend(paths);
            }
            _ if is_named(file, "ar") => {
                made.insert(archive(arguments, named, &removed)?);
            }
            _ if is_named(file, "ranlib") => {
                arguments.iter().all(|path| made.contains(path)).then_some(())?;
            }
            _ if is_compiler(program) => {
                let of = expanded(arguments, named)?;
                let arguments: Vec<&str> = of.iter().map(String::as_str).collect();
                made.insert(compile_or_link(&arguments, named, *end, &mut known)?);
            }
            _ => return None,
        }
    }
    (made.len() == named.outputs.len()).then_some(known)
}

/// Whether a program is `name`, perhaps of some toolchain: `gcc-ar`, `llvm-ar-15`.
pub(super) fn is_named(file: &str, name: &str) -> bool {
    let version = |end: &str| end.chars().all(|c| c.is_ascii_digit() || c == '.');
    let file = match file.rsplit_once('-') {
        Some((file, end)) if version(end) => file,
        _ => file,
    };
    file.rsplit('-').next() == Some(name)
}

/// Returns arguments with those in the response file in its place.
fn expanded(arguments: &[&str], named: &Named<'_>) -> Option<Vec<String>> {
    let mut all = Vec::with_capacity(arguments.len());
    for argument in arguments {
        match (argument.strip_prefix('@'), named.response_file) {
            (None, _) => all.push((*argument).to_owned()),
            (Some(file), Some((path, content))) if file == path => {
                let content = content.replace('\n', " ");
                let [Simple { words, .. }] = &simple(&content)?[..] else { return None };
                all.extend(words.iter().cloned());
            }
            (Some(_), _) => return None,
        }
    }
    Some(all)
}

/// Returns the archive that is made from members among the inputs, if it is made anew.
fn archive<'a>(
    arguments: &[&'a str],
    named: &Named<'a>,
    removed: &HashSet<&str>,
) -> Option<&'a str> {
    let [mode, archive, members @ ..] = arguments else { return None };
    let mode = mode.strip_prefix('-').unwrap_or(mode);
    // Not `T`: a thin archive names its members.
    let plain = mode.contains(['q', 'r']) && mode.chars().all(|c| "qrcsSDuv".contains(c));
    let members = expanded(members, named)?;
    let all_named = members.iter().all(|member| named.inputs.contains(&**member));
    let output = named.outputs.get(archive).copied()?;
    (plain && all_named && removed.contains(archive)).then_some(output)
}

/// Beginnings of arguments with which a compiler writes more than its output, or reads what it does not tell of.
const MORE: &[&str] = &[
    "@",
    "--coverage",
    "-coverage",
    "-dump",
    "-fcallgraph-info",
    "-fdump",
    "-flto",
    "-fmodule",
    "-fplugin",
    "-fprofile",
    "-foptimization-record",
    "-fsave-optimization-record",
    "-fstack-usage",
    "-fauto-profile",
    "-ftest-coverage",
    "-ftime-trace",
    "-gsplit-dwarf",
    "-MM",
    "-save-temps",
    "--save-temps",
    "-specs",
    "--specs",
    "-Wa,",
    "-Wp,",
    "-wrapper",
    "-Xassembler",
    "-Xclang",
    "-Xpreprocessor",
    "-x",
    "-include-pch",
    "--serialize-diagnostics",
    "-fsyntax-only",
    "-fsanitize-",
    "-index-store-path",
    "--config",
];

/// The same of arguments for a linker.
const MORE_OF_LINKER: &[&str] = &[
    "-Map",
    "implib",
    "dependency-file",
    "--out",
    "-o,",
    "trace",
    "plugin",
    "retain-symbols-file",
    "orderfile",
    "symbol-ordering-file",
    "print-map",
    "-M",
];

fn compile_or_link<'a>(
    arguments: &[&str],
    named: &Named<'a>,
    end: usize,
    known: &mut Known,
) -> Option<&'a str> {
    let has = |argument: &str| arguments.contains(&argument);
    let value = |flag: &str| {
        let at = arguments.iter().position(|argument| *argument == flag)?;
        arguments.get(at + 1).copied()
    };
    let starts = |begins: &[&str]| {
        arguments.iter().any(|argument| begins.iter().any(|begin| argument.starts_with(begin)))
    };
    let more = |argument: &&str| {
        // GCC and CMake projects pass this on for assembly; it says something of the stack only.
        *argument != "-Wa,--noexecstack" && MORE.iter().any(|begin| argument.starts_with(begin))
    };
    if arguments.iter().any(more) || has("-S") || has("-E") || has("-M") || arguments.is_empty() {
        return None;
    }
    let output = named.outputs.get(value("-o")?).copied()?;
    known.hides_places |= starts(&["-gz", "-Wl,--compress"]);
    if has("-c") {
        // It tells of all that it reads, those of the system too.
        let tells = has("-MD") && value("-MF").is_some_and(|file| Some(file) == named.depfile);
        known.includes = tells.then(|| IncludeArguments::parse(arguments));
        return known.includes.is_some().then_some(output);
    }
    let to_linker = arguments.iter().filter(|it| it.starts_with("-Wl,") || !it.starts_with('-'));
    let mut more = to_linker.filter(|it| it.starts_with("-Wl,"));
    if more.any(|it| MORE_OF_LINKER.iter().any(|begin| it.contains(begin))) || has("-Xlinker") {
        return None;
    }
    if named.depfile.is_some() || known.link.is_some() {
        return None;
    }
    known.link = Some((LinkArguments::parse(arguments), end));
    Some(output)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_known(command: &str) -> bool {
        let named = Named {
            outputs: ["x.o", "l.a", "e"]
                .into_iter()
                .filter(|path| command.contains(path))
                .take(1)
                .collect(),
            inputs: ["a.c", "a.o", "b.o"].into(),
            depfile: Some("x.o.d").filter(|_| command.contains("-c ")),
            response_file: Some(("e.rsp", "a.o\nb.o")),
        };
        known(command, &named).is_some()
    }

    #[test]
    fn compilers_archivers_and_linkers_are_known() {
        for command in [
            "/usr/bin/cc -DX='\"a b\"' -O2 -g -MD -MT x.o -MF x.o.d -o x.o -c a.c",
            "clang++-15 -Iinc -Wa,--noexecstack -MD -MQ x.o -MF x.o.d -o x.o -c a.c",
            ": && /usr/bin/cmake -E rm -f l.a && /usr/bin/ar qc l.a  a.o b.o && /usr/bin/ranlib l.a && :",
            "rm -f l.a && gcc-ar csrD l.a a.o",
            "ccache cc -MD -MF x.o.d -o x.o -c a.c",
            ": && cc -rdynamic @e.rsp -o e -Wl,-rpath,/b -lm && :",
        ] {
            assert!(is_known(command), "{command}");
        }
    }

    #[test]
    fn what_may_read_or_write_more_is_not() {
        for command in [
            "cc -Wa,-al=list -MD -MF x.o.d -o x.o -c a.c",
            "cc -MMD -MF x.o.d -o x.o -c a.c",
            "cc -MD -MF other.d -o x.o -c a.c",
            "cc -o x.o -c a.c",
            "cc -MD -MF x.o.d -o x.o -c a.c > log",
            "cc -MD -MF x.o.d -o x.o -c a.c; true",
            "cc --coverage -MD -MF x.o.d -o x.o -c a.c",
            "cc -gsplit-dwarf -MD -MF x.o.d -o x.o -c a.c",
            "cc @flags -MD -MF x.o.d -o x.o -c a.c",
            "ccache -s",
            "ar qc l.a a.o",
            "rm -f l.a && ar csrDT l.a a.o",
            "rm -f l.a && ar qc l.a c.o",
            "rm -f /etc/passwd && cc a.o -o e",
            "cc a.o -o e -Wl,-Map,e.map",
            "cc a.o -o e && strip e",
            "python3 gen.py",
            "cc a.o -o e -flto",
        ] {
            assert!(!is_known(command), "{command}");
        }
    }
}
