//! Compiler arguments that larder gives itself, and that a manifest may not give.

use std::fmt;

use super::Template;
use crate::{diagnostic::Located, table::Fields};

const DEPENDENCIES: &str = "larder itself asks the compiler which headers it reads, and with this it would no longer learn of them; leave it out";
const READ: &str = "larder itself asks the linker which files it reads, and with this it would no longer learn of them; leave it out";
const OUTPUT: &str = "larder itself says what is compiled to which file; leave it out";
const BESIDE: &str = "the compiler would write another file beside the object, and larder keeps the object alone; leave it out";
const COUNTS: &str = "the object would name files beside itself for what it counts, and it is made in a directory that is gone afterwards; use Clang, with -fprofile-instr-generate and, for coverage, -fcoverage-mapping";
const PROFILE: &str = "the compiler would look for a file that nobody names, and larder would not learn of it; name the file, as in `-fprofile-use=FILE`";

/// Says which of `arguments` are refused, and why.
pub(super) fn check(fields: &mut Fields<'_, '_>, arguments: &[Located<String>]) {
    refuse(fields, arguments, "compiler", |argument| refused_argument(argument));
}

/// The same for arguments of the linker.
pub(super) fn check_link(fields: &mut Fields<'_, '_>, arguments: &[Located<Template>]) {
    refuse(fields, arguments, "linker", |argument| refused_link_argument(&argument.text));
}

fn refuse<T: fmt::Display>(
    fields: &mut Fields<'_, '_>,
    arguments: &[Located<T>],
    of: &str,
    reason: impl Fn(&T) -> Option<&'static str>,
) {
    for argument in arguments {
        if let Some(reason) = reason(argument) {
            let message = format!("`{}` cannot be a {of} argument here", argument.value);
            fields.errors.push(argument.span.clone(), message, Some(reason.to_owned()));
        }
    }
}

/// The reason why `argument` cannot be given to a compiler, if it cannot.
pub fn refused_argument(argument: &str) -> Option<&'static str> {
    if asks_for_dependencies(argument) {
        return Some(DEPENDENCIES);
    }
    // What follows `-Xpreprocessor` is an argument of its own and is looked at by itself.
    if let Some(passed_on) = argument.strip_prefix("-Wp,") {
        return passed_on.split(',').any(asks_for_dependencies).then_some(DEPENDENCIES);
    }
    if chooses_output(argument) {
        return Some(OUTPUT);
    }
    let reads_unnamed = UNNAMED_PROFILES.contains(&argument).then_some(PROFILE);
    let counts = starts_with(argument, &COUNTING).then_some(COUNTS);
    reads_unnamed.or(counts).or(writes_beside(argument).then_some(BESIDE))
}

/// Arguments that have a compiler read a profile whose name it makes up.
const UNNAMED_PROFILES: [&str; 5] = [
    "-fprofile-use",
    "-fprofile-instr-use",
    "-fprofile-sample-use",
    "-fauto-profile",
    "-fbranch-probabilities",
];

/// Beginnings of arguments that have programs count what they do, in files that are named after objects.
const COUNTING: [&str; 5] =
    ["--coverage", "-coverage", "-ftest-coverage", "-fprofile-arcs", "-fprofile-generate"];

/// Beginnings of arguments that have a compiler write more than an object.
const BESIDE_OBJECTS: [&str; 17] = [
    "-aux-info",
    "-dump",
    "-fcallgraph-info",
    "-fdiagnostics-format=json-file",
    "-fdiagnostics-format=sarif-file",
    "-fdump-",
    "-fmodules-ts",
    "-foptimization-record-file",
    "-fproc-stat-report=",
    "-fsave-optimization-record",
    "-fstack-usage",
    "-ftime-trace",
    "-gsplit-dwarf",
    "-index-store-path",
    "-save-temps",
    "--save-temps",
    "--serialize-diagnostics",
];

fn writes_beside(argument: &str) -> bool {
    let is_report = argument.starts_with("-fopt-info") && argument.contains('=');
    is_report || starts_with(argument, &BESIDE_OBJECTS)
}

fn starts_with(argument: &str, beginnings: &[&str]) -> bool {
    beginnings.iter().any(|beginning| argument.starts_with(beginning))
}

/// The reason why `argument` cannot be given to the compiler that links, if it cannot.
pub fn refused_link_argument(argument: &str) -> Option<&'static str> {
    // `-E`, `-S` and `-c` are options of linkers, too.
    let Some(passed_on) = argument.strip_prefix("-Wl,") else {
        let reads = asks_for_files_read(argument).then_some(READ);
        return reads.or(names_output(argument).then_some(OUTPUT));
    };
    let names_output = |word| matches!(word, "-o" | "--output") || word.starts_with("--output=");
    let reads = passed_on.split(',').any(asks_for_files_read).then_some(READ);
    reads.or(passed_on.split(',').any(names_output).then_some(OUTPUT))
}

/// Whether `argument` cannot be given to an assembler: it would write something else, or elsewhere.
pub(super) fn refused_of_assembler(argument: &str) -> bool {
    argument.starts_with("-o")
        || argument.starts_with("-M")
        || matches!(argument, "-E" | "-e" | "-a" | "--MD" | "-h" | "-v" | "--version")
        || argument.starts_with("-l")
        || argument.starts_with("-@")
}

fn chooses_output(argument: &str) -> bool {
    matches!(argument, "-c" | "-E" | "-S" | "--compile" | "--preprocess" | "--assemble")
        || names_output(argument)
}

fn names_output(argument: &str) -> bool {
    argument == "--output"
        || argument.starts_with("--output=")
        || (argument.starts_with("-o") && !argument.starts_with("-objc"))
}

fn asks_for_files_read(argument: &str) -> bool {
    argument.trim_start_matches('-').starts_with("dependency-file")
}

fn asks_for_dependencies(argument: &str) -> bool {
    matches!(argument, "-M" | "-MM" | "-MD" | "-MMD" | "-MG" | "-MP" | "-MV")
        || matches!(argument, "--dependencies" | "--user-dependencies" | "-dependency-file")
        || argument == "--print-missing-file-dependencies"
        || starts_with(argument, &ASKING_FOR_DEPENDENCIES)
}

/// Beginnings of arguments that have a compiler list what it reads, or say where or how it does.
const ASKING_FOR_DEPENDENCIES: [&str; 6] =
    ["-MF", "-MT", "-MQ", "-MJ", "--write-dependencies", "--write-user-dependencies"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_that_steal_the_depfile_or_the_object_are_refused() {
        for argument in [
            "-M",
            "-MM",
            "-MD",
            "-MMD",
            "-MFx.d",
            "-MF",
            "-MT",
            "-MTx",
            "-MQx",
            "-MG",
            "-MP",
            "-MJdb.json",
            "-Wp,-M",
            "-Wp,-MD,x.d",
            "-Wp,-DX,-MMD,x.d",
            "-o",
            "-ox.o",
            "-c",
            "-E",
            "-S",
            "--output=x",
        ] {
            assert!(refused_argument(argument).is_some(), "{argument}");
        }
    }

    #[test]
    fn arguments_that_leave_something_beside_the_object_are_refused() {
        for argument in ["--coverage", "-fprofile-arcs", "-ftest-coverage", "-fprofile-generate=x"]
        {
            assert_eq!(refused_argument(argument), Some(COUNTS), "{argument}");
        }
        for argument in ["-gsplit-dwarf", "-save-temps=obj", "-fdump-tree-all", "-fopt-info=x"] {
            assert_eq!(refused_argument(argument), Some(BESIDE), "{argument}");
        }
        for argument in ["-fprofile-use", "-fauto-profile"] {
            assert_eq!(refused_argument(argument), Some(PROFILE), "{argument}");
        }
    }

    #[test]
    fn link_arguments_that_steal_the_output_or_the_list_of_files_are_refused() {
        for argument in
            ["-o", "-ox", "--output=x", "-Wl,-o,x", "-Wl,--dependency-file=x", "--dependency-file"]
        {
            assert!(refused_link_argument(argument).is_some(), "{argument}");
        }
        for argument in ["-Wl,-E", "-S", "-Wl,-z,relro", "-Wl,--omagic", "-lo", "-objc_abi", ""] {
            assert_eq!(refused_link_argument(argument), None, "{argument}");
        }
    }

    #[test]
    fn others_are_not() {
        for argument in [
            "-O2",
            "-DM",
            "-m64",
            "-Wp,-D_FORTIFY_SOURCE=2",
            "-Wp,-U_FORTIFY_SOURCE",
            "-std=c11",
            "-Iinclude",
            "-objcmt-migrate-all",
            "-Xpreprocessor",
            "-fprofile-use=x.prof",
            "-fprofile-instr-generate",
            "-fcoverage-mapping",
            "-fopt-info-vec",
            "-gdwarf-5",
            "",
        ] {
            assert_eq!(refused_argument(argument), None, "{argument}");
        }
    }
}
