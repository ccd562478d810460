//! Compiler arguments that larder gives itself, and that a manifest may not give.

use crate::{diagnostic::Located, table::Fields};

const DEPENDENCIES: &str = "larder itself asks the compiler which headers it reads, and with this it would no longer learn of them; leave it out";
const OUTPUT: &str = "larder itself says what is compiled to which file; leave it out";

/// Says which of `arguments` are refused, and why.
pub(super) fn check(fields: &mut Fields<'_, '_>, arguments: &[Located<String>]) {
    for argument in arguments {
        if let Some(reason) = reason(argument) {
            let message = format!("`{}` cannot be a compiler argument here", **argument);
            fields.errors.push(argument.span.clone(), message, Some(reason.to_owned()));
        }
    }
}

fn reason(argument: &str) -> Option<&'static str> {
    if asks_for_dependencies(argument) {
        return Some(DEPENDENCIES);
    }
    // What follows `-Xpreprocessor` is an argument of its own and is looked at by itself.
    if let Some(passed_on) = argument.strip_prefix("-Wp,") {
        return passed_on.split(',').any(asks_for_dependencies).then_some(DEPENDENCIES);
    }
    let chooses_output = matches!(argument, "-c" | "-E" | "-S")
        || matches!(argument, "--compile" | "--preprocess" | "--assemble" | "--output")
        || argument.starts_with("--output=")
        || (argument.starts_with("-o") && !argument.starts_with("-objc"));
    chooses_output.then_some(OUTPUT)
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
            assert!(reason(argument).is_some(), "{argument}");
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
            assert_eq!(reason(argument), None, "{argument}");
        }
    }
}
