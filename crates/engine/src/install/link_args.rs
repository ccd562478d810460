//! What whoever uses an installed library is linked with besides.

use std::collections::BTreeSet;

use larder_project::{
    manifest::Template,
    plan::{Kind, Language, Plan, Source, Target},
};

use super::Library;
use crate::search::{relative_paths, takes_next};

/// Returns those of a library's arguments that mean the same to its users, those that belong together as one; and those
/// that lead into the package, where its users have nothing.
pub fn for_users(arguments: &[&Template]) -> (Vec<Vec<String>>, Vec<String>) {
    // What a placeholder stands for is in the package or in its build directory.
    let texts: Vec<&str> =
        arguments.iter().map(|it| it.as_literal().unwrap_or("./placeholder")).collect();
    let local: BTreeSet<usize> = relative_paths(&texts).into_iter().map(|(at, _)| at).collect();
    let (mut given, mut left) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at < texts.len() {
        let end = end(&texts, at);
        match (at..end).any(|at| local.contains(&at) || arguments[at].as_literal().is_none()) {
            true => left.extend(arguments[at..end].iter().map(ToString::to_string)),
            false => given.push(texts[at..end].iter().map(|text| (*text).to_owned()).collect()),
        }
        at = end;
    }
    (given, left)
}

/// The end of those arguments from `at` on that belong together: an option and its value.
fn end(texts: &[&str], mut at: usize) -> usize {
    const WRAPPER: &str = "-Xlinker";
    while let Some(text) = texts.get(at) {
        at += 1;
        let word = if *text == WRAPPER { texts.get(at) } else { Some(text) };
        at += usize::from(*text == WRAPPER && word.is_some());
        if !word.is_some_and(|word| takes_next(word)) {
            break;
        }
        if texts.get(at) != Some(&WRAPPER) {
            return texts.len().min(at + 1);
        }
    }
    at
}

/// Returns the library that C++ needs, where there is C++ in a static library.
pub fn cxx(plan: &Plan, target: &Target, link_args: &[&Template]) -> Option<&'static str> {
    let library = Library::of(target)?;
    let is_cxx = |source: &Source| match source {
        Source::Files { pattern } => Language::of(pattern) == Some(Language::Cxx),
        Source::Output { language, .. } => *language == Language::Cxx,
        Source::Object { .. } => false,
        Source::Directory { language, .. } => language.is_none_or(|it| it == Language::Cxx),
    };
    let is_mixed = plan.targets.iter().any(|other| match &other.kind {
        Kind::Objects(objects) if Library::of(other) == Some(library) => {
            objects.sources.iter().any(|source| is_cxx(source))
        }
        _ => false,
    });
    let is_libcxx = link_args.iter().any(|it| it.text == "-stdlib=libc++");
    is_mixed.then_some(if is_libcxx { "-lc++" } else { "-lstdc++" })
}

#[cfg(test)]
mod tests {
    use larder_project::manifest::Template;

    use super::for_users;

    #[test]
    fn users_get_what_means_the_same_to_them() {
        let arguments = [
            "-lm",
            "-L/opt/x/lib",
            "-Lvendor",
            "-L",
            "/opt/y",
            "-L",
            "lib",
            "-framework",
            "Cocoa",
            "-Xlinker",
            "--no-undefined",
            "-pthread",
            "-l:libz.a",
            "-Wl,--as-needed",
            "-Wl,-rpath,/opt/x/lib",
            "-Wl,--version-script=x.map",
            "-Wl,-rpath,$ORIGIN",
            "-Wl,-z,stack-size=100",
            "vendor/libx.a",
            "/opt/libx.a",
            "{script}",
            "-T",
            "x.ld",
            "-z",
            "defs",
            "-static-libgcc",
            "-Wl,{{x}}",
            "-Xlinker",
            "-rpath-link",
            "-Xlinker",
            "dir",
            "-L",
        ];
        let arguments = arguments.map(Template::parse);
        let (given, local) = for_users(&arguments.iter().collect::<Vec<_>>());
        let given: Vec<String> = given.iter().map(|words| words.join(" ")).collect();
        let wanted = [
            "-lm",
            "-L/opt/x/lib",
            "-L /opt/y",
            "-framework Cocoa",
            "-Xlinker --no-undefined",
            "-pthread",
            "-l:libz.a",
            "-Wl,--as-needed",
            "-Wl,-rpath,/opt/x/lib",
            "-Wl,-rpath,$ORIGIN",
            "-Wl,-z,stack-size=100",
            "/opt/libx.a",
            "-z defs",
            "-static-libgcc",
            "-Wl,{x}",
            "-L",
        ];
        assert_eq!(given, wanted);
        let local = local.join(" ");
        let wanted = "-Lvendor -L lib -Wl,--version-script=x.map vendor/libx.a {script} -T x.ld -Xlinker -rpath-link \
                      -Xlinker dir";
        assert_eq!(local, wanted);
    }
}
