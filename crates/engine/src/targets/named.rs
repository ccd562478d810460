//! Files that arguments name for a tool to read behind its depfile's back, and the files that those name in turn.

use std::{collections::BTreeSet, fs, path::Path};

use larder_project::path::PackagePath;

/// Beginnings of arguments that name a file with further arguments, which may name others.
const ARGUMENTS: [&str; 4] = ["@", "-specs=", "--specs=", "--config="];
/// Beginnings of arguments that name a file which counts for its content alone.
const CONTENT: [&str; 14] = [
    "-fauto-profile=",
    "-fplugin=",
    "-fprofile-instr-use=",
    "-fprofile-list=",
    "-fprofile-remapping-file=",
    "-fprofile-sample-use=",
    "-fprofile-use=",
    "-frandomize-layout-seed-file=",
    "-fsanitize-coverage-allowlist=",
    "-fsanitize-coverage-ignorelist=",
    "-fsanitize-ignorelist=",
    "-fxray-always-instrument=",
    "-fxray-attr-list=",
    "-fxray-never-instrument=",
];
/// The file that Clang reads where a directory is named as the profile.
const PROFILE: &str = "default.profdata";
/// Arguments whose next one names a file with further arguments.
const SEPARATE: [&str; 3] = ["--config", "-specs", "--specs"];

/// A file has no more arguments than fit in so many bytes.
const LONGEST: u64 = 1 << 20;

/// A file that is named.
struct Named {
    name: String,
    /// Whether there may be further arguments in it.
    has_arguments: bool,
    /// The directory of the file that names it, with a `/` at its end; empty for the package's own.
    from: String,
}

/// Returns the files below `directory` that arguments name, and those that are named in these, sorted. Where the tool
/// tells of nothing at all, `every` file that is named counts.
pub(super) fn named(directory: &Path, arguments: &[String], every: bool) -> Vec<PackagePath> {
    let mut found = BTreeSet::new();
    let mut open = names(arguments.iter().map(String::as_str), every, "");
    while let Some(Named { name, has_arguments, from }) = open.pop() {
        // Some tools look from where they run, some from where the file is that says it: what is there may be read.
        for path in BTreeSet::from([name.clone(), format!("{from}{name}")]) {
            let is_directory = directory.join(&path).is_dir();
            let path = if is_directory { format!("{path}/{PROFILE}") } else { path };
            let Ok(path) = PackagePath::new(&path) else { continue };
            let file = directory.join(path.as_str());
            if !file.is_file() || found.contains(&path) {
                continue;
            }
            if has_arguments {
                let from = path.as_str().rsplit_once('/').map(|(parents, _)| format!("{parents}/"));
                let words = words(&file);
                let words = words.iter().map(String::as_str);
                open.extend(names(words, every, &from.unwrap_or_default()));
            }
            found.insert(path);
        }
    }
    found.into_iter().collect()
}

/// The files that arguments of a file in the directory `from` name.
fn names<'a>(arguments: impl Iterator<Item = &'a str>, every: bool, from: &str) -> Vec<Named> {
    let mut found = Vec::new();
    let mut add = |name: &str, has_arguments| {
        let name = name.trim_start_matches("./").to_owned();
        found.push(Named { name, has_arguments, from: from.to_owned() });
    };
    let mut before = "";
    for argument in arguments {
        // `%include <FILE>` in a file of specs.
        if before.starts_with("%include") {
            add(argument.trim_matches(['<', '>']), true);
        } else if SEPARATE.contains(&before) {
            add(argument, true);
        }
        before = argument;
        for part in argument.split(',') {
            let of = |starts: &[&str]| starts.iter().find_map(|start| part.strip_prefix(start));
            match (of(&ARGUMENTS), of(&CONTENT), part.split_once('=')) {
                (Some(name), ..) => add(name, true),
                (None, Some(name), _) => add(name, false),
                (None, None, Some((_, value))) if every => add(value, false),
                (None, None, None) if every && !part.starts_with('-') => add(part, false),
                _ => {}
            }
        }
    }
    found
}

/// The words of a file of arguments. Tools differ in what quotes and `#` mean, so the words count as a shell would read them and
/// as they stand.
fn words(file: &Path) -> Vec<String> {
    let is_short = fs::metadata(file).is_ok_and(|it| it.len() <= LONGEST);
    let text = is_short.then(|| fs::read_to_string(file).ok()).flatten().unwrap_or_default();
    let mut words = shlex::split(&text).unwrap_or_default();
    words.extend(text.split_whitespace().map(|word| word.trim_matches(['"', '\'']).to_owned()));
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_files_name_are_found() {
        let root = tempfile::tempdir().unwrap();
        let file = |path: &str, text: &str| {
            fs::create_dir_all(root.path().join(path).parent().unwrap()).unwrap();
            fs::write(root.path().join(path), text).unwrap();
        };
        file("a.rsp", "-DA '@b c.rsp' # no comment here\n@d/e.rsp");
        file("b c.rsp", "-fprofile-use=p.prof @a.rsp");
        file("p.prof", "\u{0}@not.rsp");
        file("profiles/default.profdata", "");
        file("not.rsp", "");
        file("d/e.rsp", "@f.rsp");
        file("d/f.rsp", "");
        file("s.specs", "%include <./t.specs>\n*cpp:\n+ -DX\n");
        file("t.specs", "");
        file("x.cfg", "@y.cfg");
        file("y.cfg", "");
        let names = |arguments: &[&str], every| -> Vec<String> {
            let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
            let found = named(root.path(), &arguments, every);
            found.iter().map(ToString::to_string).collect()
        };
        let all = ["a.rsp", "b c.rsp", "d/e.rsp", "d/f.rsp", "p.prof"];
        assert_eq!(names(&["-O2", "@a.rsp"], false), all);
        assert_eq!(names(&["-Wl,@d/e.rsp"], false), ["d/e.rsp", "d/f.rsp"]);
        assert_eq!(names(&["-specs=s.specs"], false), ["s.specs", "t.specs"]);
        assert_eq!(names(&["--config", "./x.cfg"], false), ["x.cfg", "y.cfg"]);
        let profile = ["profiles/default.profdata"];
        assert_eq!(names(&["-fprofile-use=./profiles"], false), profile);
        assert_eq!(names(&["not.rsp", "@none.rsp"], false), [""; 0]);
        assert_eq!(names(&["not.rsp", "--x=t.specs"], true), ["not.rsp", "t.specs"]);
    }
}
