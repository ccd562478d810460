//! The files that a compile may read, compared with what real compilers read.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
};

use larder_engine::{
    depfile,
    search::{Compile, IncludeArguments, Reach, Scanner, Typed, Unresolved},
};
use proptest::{prelude::*, sample::select, test_runner::TestRunner};

const DIRECTORIES: &[&str] = &["src", "src/sub", "one", "one/sub", "two", "last"];
const NAMES: &[&str] = &["a.h", "b.h", "c.h"];
const FLAGS: &[&[&str]] = &[
    &["-Ione"],
    &["-I", "two"],
    &["-isystem", "one"],
    &["-iquote", "two"],
    &["-Imissing"],
    &["-DM=<a.h>"],
    &["-DC"],
    &["-include", "b.h"],
];

fn line() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        4 => select(NAMES).prop_map(str::to_owned),
        1 => select(NAMES).prop_map(|name| format!("sub/{name}")),
        1 => select(NAMES).prop_map(|name| format!("../one/{name}")),
        1 => select(NAMES).prop_map(|name| format!("sub/../sub/./{name}")),
    ];
    (name, 0..24).prop_map(|(name, form)| match form {
        0 | 1 => format!("#include \"{name}\""),
        2 => format!("# /* so */ include <{name}>"),
        3 => format!("#if __has_include(<{name}>)\nint angled;\n#endif"),
        4 => format!(
            "#if defined(C) && __has_include(\"{name}\")\nint quoted;\n#include \"{name}\"\n#endif"
        ),
        5 => format!("#define M <{name}>"),
        6 => format!("#undef M\n#define N \"{name}\"\n#define M N"),
        7 => "#ifdef M\n#include M\n#endif\n#ifdef NEVER\n#include NEVER\n#endif".to_owned(),
        8 => "#if defined(M) && __has_include(M)\nint macro;\n#endif".to_owned(),
        9 => format!("#define HAS(x) __has_include(x)\n#if HAS(<{name}>)\nint has;\n#endif"),
        10 => format!("#ifdef C\n#include_next <{name}>\n#endif"),
        11 => format!("#ifndef C\n#inc\\\nlude \"{name}\"\n#endif"),
        12 => format!(
            "#define STR(x) #x\n#define AGAIN(x) STR(x)\n#ifdef C\n#include AGAIN({name})\n#endif"
        ),
        _ => "#undef M\n#define C".to_owned(),
    })
}

/// Texts by their paths, and the arguments with which the first is compiled.
fn tree() -> impl Strategy<Value = (Vec<(String, String)>, Vec<String>)> {
    let at = (select(DIRECTORIES), select(NAMES)).prop_map(|(at, name)| format!("{at}/{name}"));
    let text = prop::collection::vec(line(), 0..4).prop_map(|lines| lines.join("\n"));
    let files = prop::collection::vec((at, text), 3..12);
    let main = prop::collection::vec(line(), 2..7).prop_map(|lines| lines.join("\n"));
    let flags = prop::collection::vec(select(FLAGS), 1..6);
    (files, main, flags).prop_map(|(mut files, main, flags)| {
        files.insert(0, ("src/main.c".to_owned(), main));
        let flags = flags.concat().into_iter().chain(["-idirafter", "last"]);
        (files, flags.map(str::to_owned).collect())
    })
}

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// The preprocessed source, and the files that the compiler read: absolute. None where it does not compile.
fn preprocess(
    root: &Path,
    compiler: &str,
    arguments: &[String],
) -> Option<(String, BTreeSet<String>)> {
    let mut command = Command::new(compiler);
    command.current_dir(root).args(["-E", "-P", "-MD", "-MF", "dep.d", "-nostdinc"]);
    let output = command.args(arguments).arg("src/main.c").output().unwrap();
    let listed = depfile::parse(&fs::read_to_string(root.join("dep.d")).unwrap_or_default());
    let _ = fs::remove_file(root.join("dep.d"));
    let real = |path: &String| root.join(path).canonicalize().unwrap().to_str().unwrap().to_owned();
    let files = listed.iter().map(real).collect();
    output.status.success().then(|| (String::from_utf8(output.stdout).unwrap(), files))
}

/// The macros that a compiler defines by itself.
fn predefined(compiler: &str) -> Vec<String> {
    let output = Command::new(compiler).args(["-dM", "-E", "-xc", "/dev/null"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| line.split(' ').nth(1)).map(str::to_owned).collect()
}

fn reach(root: &Path, arguments: &[String], predefined: &[String]) -> Reach {
    let parsed = IncludeArguments::parse(arguments);
    let absolute = |path: &String| root.join(path).to_str().unwrap().to_owned();
    let directories: Vec<String> =
        parsed.in_order(&Typed::default(), &[]).iter().map(absolute).collect();
    let after = |flag: &str| -> Vec<String> {
        let pairs = arguments.windows(2).filter(|pair| pair[0] == flag);
        pairs.map(|pair| pair[1].clone()).collect()
    };
    let defines = arguments.iter().filter_map(|argument| argument.strip_prefix("-D"));
    Scanner::new().reach(&Compile {
        source: root.join("src/main.c").to_str().unwrap(),
        working: root.to_str().unwrap(),
        directories: &directories,
        first: &after("-include"),
        defines: &defines.map(str::to_owned).collect::<Vec<_>>(),
        predefined: Some(predefined),
    })
}

/// With nothing but the files that were found, a compiler makes the same of a source as with all there are.
#[test]
fn what_a_compiler_reads_is_found() {
    let (compared, computed, unlisted) =
        (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 150,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let result =
        runner.run(&(tree(), select(&["gcc", "clang"][..])), |((files, arguments), compiler)| {
            let place = tempfile::tempdir().unwrap();
            let root = place.path().canonicalize().unwrap();
            for (number, (path, text)) in files.iter().enumerate() {
                let guard = format!(
                    "#ifndef F{number}\n#define F{number}\nint f{number};\n{text}\n#endif\n"
                );
                write(&root, path, &guard);
            }
            let Some((text, read)) = preprocess(&root, compiler, &arguments) else { return Ok(()) };
            let found = reach(&root, &arguments, &predefined(compiler));
            let mut needed = found.files.clone();
            match found.unresolved {
                Some(Unresolved::Unlisted) => {
                    unlisted.fetch_add(1, Ordering::Relaxed);
                    return Ok(());
                }
                Some(Unresolved::Computed) => {
                    computed.fetch_add(1, Ordering::Relaxed);
                    needed.extend(read.iter().cloned());
                }
                None => {
                    let missing: Vec<_> = read.difference(&found.files).collect();
                    prop_assert!(missing.is_empty(), "{arguments:?} {files:#?} {missing:?}");
                }
            }
            for (path, _) in &files {
                let path = root.join(path);
                if !needed.contains(path.to_str().unwrap()) {
                    let _ = fs::remove_file(path);
                }
            }
            let alone = preprocess(&root, compiler, &arguments).map(|(text, _)| text);
            prop_assert_eq!(alone, Some(text), "{:?} {:#?}", arguments, files);
            compared.fetch_add(1, Ordering::Relaxed);
            Ok(())
        });
    result.unwrap();
    let [compared, computed, unlisted] =
        [compared, computed, unlisted].map(AtomicUsize::into_inner);
    println!(
        "{compared} compared, {computed} with the compiler's help; {unlisted} were left to it"
    );
    assert!(compared > 20, "only {compared} were compared");
    assert!(unlisted * 4 < compared, "{unlisted} were left to the compiler");
}
