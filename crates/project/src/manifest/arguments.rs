//! Compiler arguments that larder gives itself, and that a manifest may not give.

use std::fmt;

use super::Template;
use crate::{diagnostic::Located, table::Fields};

const DEPENDENCIES: &str = "larder itself asks the compiler which headers it reads, and with this it would no longer learn of them; leave it out";
const READ: &str = "larder itself asks the linker which files it reads, and with this it would no longer learn of them; leave it out";
const OUTPUT: &str = "larder itself says what is compiled to which file; leave it out";

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
    chooses_output(argument).then_some(OUTPUT)
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
        || ["-MF", "-MT", "-MQ", "-MJ"].iter().any(|option| argument.starts_with(option))
        || matches!(argument, "--dependencies" | "--user-dependencies" | "-dependency-file")
        || argument.starts_with("--write-dependencies")
        || argument.starts_with("--write-user-dependencies")
        || argument == "--print-missing-file-dependencies"
}

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
            "-save-temps",
            "-Xpreprocessor",
            "",
        ] {
            assert_eq!(refused_argument(argument), None, "{argument}");
        }
    }
}
