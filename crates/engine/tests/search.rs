//! Headers and libraries that appear, compared with what real compilers do.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
    time::Instant,
};

use larder_engine::{
    depfile,
    search::{
        Asked, IncludeArguments, LinkArguments, Listings, Search, Typed, check, includers, names_of,
    },
};
use larder_trace::Searched;
use proptest::{prelude::*, sample::select, test_runner::TestRunner};

/// Directories in which headers are, each with files of the same names.
const DIRECTORIES: &[&str] =
    &["src", "src/sub", "one", "one/sub", "two", "two/sub", "system", "after", "quoted", "."];
const NAMES: &[&str] = &["a.h", "b.h", "c.h"];
const FLAGS: &[&[&str]] = &[
    &["-Ione"],
    &["-I", "two"],
    &["-isystem", "system"],
    &["-idirafter", "after"],
    &["-iquote", "quoted"],
    &["-Ilink"],
    &["-Imissing"],
    &["-I."],
    &["-isystemone"],
];

/// A tree of headers and how the source in it is compiled.
#[derive(Debug, Clone)]
struct Tree {
    /// By file: the lines of its text.
    files: Vec<(String, Vec<String>)>,
    arguments: Vec<String>,
    /// Whether discovered headers are known by where links and `..` lead.
    resolved: bool,
}

#[derive(Debug, Clone)]
enum Change {
    Add(String),
    Link(String, String),
    Remove(usize),
}

fn header() -> impl Strategy<Value = String> {
    (select(DIRECTORIES), select(NAMES)).prop_map(|(directory, name)| match directory {
        "." => name.to_owned(),
        directory => format!("{directory}/{name}"),
    })
}

fn line() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        4 => select(NAMES).prop_map(str::to_owned),
        2 => select(NAMES).prop_map(|name| format!("sub/{name}")),
        1 => select(NAMES).prop_map(|name| format!("../one/{name}")),
    ];
    (name, 0..7).prop_map(|(name, form)| match form {
        0 | 1 => format!("#include \"{name}\""),
        2 | 3 => format!("#include <{name}>"),
        4 => format!("#if __has_include(<{name}>)\nint angle;\n#endif"),
        5 => format!("#if __has_include(\"{name}\")\nint quote;\n#include \"{name}\"\n#endif"),
        _ => format!("#define N <{name}>\n#if __has_include(N)\nint computed;\n#endif\n#undef N"),
    })
}

fn tree() -> impl Strategy<Value = Tree> {
    let file = (header(), prop::collection::vec(line(), 0..3));
    let files = prop::collection::vec(file, 3..10);
    let main = prop::collection::vec(line(), 3..8);
    let flags = prop::collection::vec(select(FLAGS), 3..8);
    (files, main, flags, any::<bool>()).prop_map(|(mut files, main, flags, resolved)| {
        files.sort();
        files.dedup_by(|a, b| a.0 == b.0);
        files.push(("src/main.c".to_owned(), main));
        // There every header is found in the end.
        let flags = [flags.concat(), vec!["-idirafter", "last"]].concat();
        let arguments = flags.into_iter().map(str::to_owned).collect();
        Tree { files, arguments, resolved }
    })
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => header().prop_map(Change::Add),
        1 => select(NAMES).prop_map(|name| Change::Add(format!("missing/{name}"))),
        1 => (header(), header()).prop_map(|(at, to)| Change::Link(at, to)),
        2 => any::<usize>().prop_map(Change::Remove),
    ]
}

impl Change {
    /// Makes the change, where it is one to files that were not read; gives back how to undo it.
    fn make(
        &self,
        root: &Path,
        tree: &Tree,
        read: &BTreeSet<PathBuf>,
    ) -> Option<Box<dyn FnOnce()>> {
        let at = match self {
            Self::Add(at) | Self::Link(at, _) => root.join(at),
            Self::Remove(number) => root.join(&tree.files[number % tree.files.len()].0),
        };
        match self {
            Self::Remove(_) => {
                // A file that was read is an input, whose absence is noticed as such.
                if at.ends_with("main.c") || read.contains(&at.canonicalize().ok()?) {
                    return None;
                }
                let text = fs::read(&at).unwrap();
                fs::remove_file(&at).unwrap();
                return Some(Box::new(move || fs::write(at, text).unwrap()));
            }
            _ if at.symlink_metadata().is_ok() => return None,
            Self::Add(path) => write(root, path, "int added;\n"),
            Self::Link(_, to) => symlink(root.join(to), &at).unwrap(),
        }
        let directory = root.join("missing");
        Some(Box::new(move || {
            fs::remove_file(at).unwrap();
            let _ = fs::remove_dir(directory);
        }))
    }
}

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

impl Tree {
    fn lay_out(&self, root: &Path) {
        for directory in DIRECTORIES {
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        for name in NAMES {
            write(root, &format!("last/{name}"), "int last;\n");
            write(root, &format!("last/sub/{name}"), "int last_sub;\n");
        }
        symlink("two/sub", root.join("link")).unwrap();
        for (number, (path, lines)) in self.files.iter().enumerate() {
            let body = lines.join("\n");
            // A header that includes itself by a long way round must come to an end.
            let text =
                format!("#ifndef F{number}\n#define F{number}\nint f{number};\n{body}\n#endif\n");
            write(root, path, &text);
        }
    }

    /// The preprocessed source and the headers it read; none when it does not compile.
    fn preprocess(&self, root: &Path) -> Option<(String, Vec<String>)> {
        let mut command = Command::new("gcc");
        command.current_dir(root).args(["-E", "-MD", "-MF", "dep.d", "-nostdinc"]);
        let output = command.args(&self.arguments).arg("src/main.c").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let files = depfile::parse(&fs::read_to_string(root.join("dep.d")).unwrap_or_default());
        let headers = files.into_iter().filter(|path| path != "src/main.c");
        let root = root.canonicalize().unwrap();
        let headers = headers.map(|path| match self.resolved {
            true => {
                let real = root.join(&path).canonicalize().unwrap();
                real.strip_prefix(&root).unwrap().to_str().unwrap().to_owned()
            }
            false => path,
        });
        output.status.success().then(|| (text, headers.collect()))
    }

    /// The record of a compile that read `headers`.
    fn search(&self, root: &Path, headers: &[String], listings: &Listings) -> Searched {
        let parsed = IncludeArguments::parse(&self.arguments);
        let directories = parsed.in_order(&Typed::default(), &[]);
        let mut asked = Asked::default();
        for path in headers.iter().map(String::as_str).chain(["src/main.c"]) {
            asked.scan(&fs::read(root.join(path)).unwrap());
        }
        let discovered: Vec<&str> = headers.iter().map(String::as_str).collect();
        let includers = includers("", "src/main.c", &discovered, &[]);
        let mut search = Search {
            directories: &directories,
            includers: &includers,
            names: &[],
            discovered: &discovered,
        };
        let names =
            names_of(&asked, &search, "src/main.c", &[], listings, &|path| Some(root.join(path)));
        search.names = &names;
        let found = search.look(listings, &|path| Some(root.join(path)), &[]).found;
        Searched { directories: directories.clone(), names: names.clone(), found }
    }
}

fn holds(root: &Path, searched: &Searched, headers: &[String]) -> bool {
    let discovered: Vec<&str> = headers.iter().map(String::as_str).collect();
    let includers = includers("", "src/main.c", &discovered, &[]);
    let locate = |path: &str| Some(root.join(path));
    check(searched, &includers, &discovered, &Listings::new(), &locate)
}

/// A record must not hold when the compiler reads something else, no matter what appeared or went away;
/// and it must hold often enough to be of use.
#[test]
fn a_record_holds_only_while_the_compiler_finds_the_same() {
    let (changed, kept, spared) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 50,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let strategy = (tree(), prop::collection::vec(change(), 6));
    let result = runner.run(&strategy, |(tree, changes)| {
        let place = tempfile::tempdir().unwrap();
        let root = place.path();
        tree.lay_out(root);
        let Some((before, headers)) = tree.preprocess(root) else { return Ok(()) };
        let searched = tree.search(root, &headers, &Listings::new());
        prop_assert!(holds(root, &searched, &headers), "nothing changed");
        let read: BTreeSet<PathBuf> =
            headers.iter().map(|path| root.join(path).canonicalize().unwrap()).collect();
        for change in changes {
            let Some(undo) = change.make(root, &tree, &read) else { continue };
            let after = tree.preprocess(root);
            let same = after.as_ref().is_some_and(|(text, _)| *text == before);
            let held = holds(root, &searched, &headers);
            prop_assert!(
                same || !held,
                "{change:?}: the compiler reads something else\n{searched:?}\n{headers:?}"
            );
            match (same, held) {
                (false, _) => &changed,
                (true, true) => &spared,
                (true, false) => &kept,
            }
            .fetch_add(1, Ordering::Relaxed);
            undo();
        }
        Ok(())
    });
    result.unwrap();
    let [changed, kept, spared] = [changed, kept, spared].map(AtomicUsize::into_inner);
    println!("{changed} changes mattered, {spared} did not, {kept} were taken for one that does");
    assert!(changed > 5, "only {changed} changes mattered");
    assert!(spared > kept / 2, "{kept} of {} records were given up for nothing", kept + spared);
}

#[test]
fn names_that_nobody_asked_for_do_not_count() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path();
    let lines = ["#include \"a.h\"", "#include <b.h>", "#if __has_include(<c.h>)", "#endif"];
    let tree = Tree {
        files: vec![
            ("src/main.c".into(), lines.map(str::to_owned).to_vec()),
            ("two/a.h".into(), vec![]),
            ("two/b.h".into(), vec!["#include \"sub/a.h\"".into()]),
            ("two/sub/a.h".into(), vec![]),
        ],
        arguments: vec!["-Ione".into(), "-Itwo".into(), "-Imissing".into()],
        resolved: false,
    };
    tree.lay_out(root);
    let (_, headers) = tree.preprocess(root).unwrap();
    let searched = tree.search(root, &headers, &Listings::new());
    assert_eq!(searched.names, ["c.h"]);
    let unrelated = ["unrelated.c", "d.h", "a.c", "sub/d.h", "a.h.orig"];
    for directory in DIRECTORIES {
        for name in unrelated {
            let path = format!("{directory}/{name}");
            write(root, &path, "");
            assert!(holds(root, &searched, &headers), "{path} appeared");
        }
    }
    for path in ["one/a.h", "src/b.h", "one/sub/a.h", "missing/c.h"] {
        write(root, path, "");
        assert!(!holds(root, &searched, &headers), "{path} appeared");
        fs::remove_file(root.join(path)).unwrap();
        assert!(holds(root, &searched, &headers), "{path} went away");
    }
}

#[test]
fn the_directories_that_decided_are_named() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path();
    write(root, "two/sub/a.h", "");
    write(root, "one/other.h", "");
    fs::create_dir_all(root.join("three/sub")).unwrap();
    let directories = ["missing/deep", "one", "three", "two", "later"].map(str::to_owned).to_vec();
    let search = Search {
        directories: &directories,
        includers: &[],
        names: &[],
        discovered: &["two/sub/a.h"],
    };
    let listings = Listings::new();
    let outcome = || search.look(&listings, &|path| Some(root.join(path)), &[]);
    let expected = ["", "one", "three", "three/sub"].map(|path| {
        let path = root.join(path);
        path.to_str().unwrap().trim_end_matches('/').to_owned()
    });
    let first = outcome();
    assert_eq!(first.watched, expected.into_iter().collect());

    write(root, "three/sub/a.h", "");
    assert_eq!(outcome(), first, "a directory is listed once");
    listings.forget(&root.join("three/sub/a.h"));
    assert_ne!(outcome(), first);
    fs::remove_dir_all(root.join("three/sub")).unwrap();
    listings.forget(&root.join("three/sub"));
    assert_eq!(outcome().found, first.found);
    write(root, "missing/deep/sub/a.h", "");
    listings.forget(&root.join("missing/deep/sub/a.h"));
    assert_ne!(outcome().found, first.found);
}

#[test]
fn a_library_that_appears_earlier_counts() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path();
    write(root, "second/libx.a", "");
    fs::create_dir(root.join("first")).unwrap();
    let arguments = LinkArguments::parse(&["-Lfirst", "-Lsecond", "-lx", "-lm"]);
    let names = arguments.names();
    let found = || {
        let directories = &arguments.directories;
        let search = Search { directories, includers: &[], names: &names, discovered: &[] };
        search.look(&Listings::new(), &|path| Some(root.join(path)), &[]).found
    };
    let before = found();
    write(root, "first/liby.so", "");
    assert_eq!(found(), before);
    for appears in ["first/libx.a", "second/libx.so", "first/libm.so"] {
        write(root, appears, "");
        assert_ne!(found(), before, "{appears}");
        fs::remove_file(root.join(appears)).unwrap();
    }
    assert_eq!(found(), before);
}

/// 300 headers in ten directories, as a C++ source has them. Prints how long a check takes.
#[test]
fn a_check_is_cheap() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path();
    let directories: Vec<String> = (0..10).map(|number| format!("d{number}")).collect();
    directories.iter().for_each(|directory| fs::create_dir(root.join(directory)).unwrap());
    let headers: Vec<String> = (0..300)
        .map(|number| match number % 3 {
            0 => format!("d9/header{number}.h"),
            1 => format!("d{}/header{number}.h", number % 10),
            _ => format!("d9/bits/header{number}.h"),
        })
        .collect();
    headers.iter().for_each(|path| write(root, path, ""));
    let discovered: Vec<&str> = headers.iter().map(String::as_str).collect();
    let includers = includers("", "src/a.cc", &discovered, &directories);
    let search = Search {
        directories: &directories,
        includers: &includers,
        names: &[],
        discovered: &discovered,
    };
    let listings = Listings::new();
    let locate = |path: &str| Some(root.join(path));
    let first = search.look(&listings, &locate, &[]);
    let best = (0..100).map(|_| {
        let started = Instant::now();
        assert_eq!(search.look(&listings, &locate, &[]).found, first.found);
        started.elapsed()
    });
    println!("a check takes {:?}", best.min().unwrap());
}
