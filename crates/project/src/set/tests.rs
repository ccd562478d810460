use std::time::Duration;

use super::*;
use crate::manifest::DependencySource;

fn parsed(text: &str) -> Result<PackageSet, String> {
    let source = SourceText { path: FILE_NAME.into(), text: text.into() };
    PackageSet::parse(source).map_err(|error| error.to_string())
}

#[test]
fn maintainers_are_named_by_package_or_by_version() {
    let set =
        parsed("[maintainers]\nfmt = [\"Ana <ana@x.org>\", \"bo@x.org\"]\n\"fmt.0.9.0\" = []\n");
    let maintainers = set.unwrap().maintainers;
    assert_eq!(maintainers["fmt"], ["Ana <ana@x.org>", "bo@x.org"]);
    assert!(maintainers["fmt.0.9.0"].is_empty());
    assert!(parsed("").unwrap().maintainers.is_empty());
}

#[test]
fn every_mistake_is_told_with_its_line_and_what_to_do() {
    let text = r#"maintaners = {}
[maintainers]
fmt = "ana@x.org"
fmt.0.9 = ["ana@x.org"]
zlib = ["ana@x.org", 3, "ana", "Ana <ana@x.org", "x@y\u001b"]
"../x" = []
lwt.5.9.0 = ["ana@x.org"]
"#;
    let error = parsed(&text.replacen("fmt.0.9 = [\"ana@x.org\"]\n", "", 1)).unwrap_err();
    insta::assert_snapshot!(error, @r##"
        larder-set.toml:1:1: unknown key `maintaners` in larder-set.toml
           |
         1 | maintaners = {}
           | ^^^^^^^^^^
           = help: did you mean `maintainers`?
        larder-set.toml:3:7: expected an array of addresses, found string
           |
         3 | fmt = "ana@x.org"
           |       ^^^^^^^^^^^
        larder-set.toml:4:22: expected a string, found integer
           |
         4 | zlib = ["ana@x.org", 3, "ana", "Ana <ana@x.org", "x@y\u001b"]
           |                      ^
        larder-set.toml:4:25: "ana" is not an address
           |
         4 | zlib = ["ana@x.org", 3, "ana", "Ana <ana@x.org", "x@y\u001b"]
           |                         ^^^^^
           = help: an address is "ana@example.org" or "Ana <ana@example.org>"
        larder-set.toml:4:32: "Ana <ana@x.org" is not an address
           |
         4 | zlib = ["ana@x.org", 3, "ana", "Ana <ana@x.org", "x@y\u001b"]
           |                                ^^^^^^^^^^^^^^^^
           = help: an address is "ana@example.org" or "Ana <ana@example.org>"
        larder-set.toml:4:50: "x@y\u{1b}" is not an address
           |
         4 | zlib = ["ana@x.org", 3, "ana", "Ana <ana@x.org", "x@y\u001b"]
           |                                                  ^^^^^^^^^^^
           = help: an address is "ana@example.org" or "Ana <ana@example.org>"
        larder-set.toml:5:1: "../x" is neither a package nor a version of one
           |
         5 | "../x" = []
           | ^^^^^^
           = help: a package is named `<name>` or `<name>.<version>`, such as "zlib.1.3.1"
        larder-set.toml:6:1: expected an array of addresses for "lwt", found table
           |
         6 | lwt.5.9.0 = ["ana@x.org"]
           | ^^^
           = help: a name with dots stands in quotes: "fmt.0.9.0" = ["…"]
        "##);
    assert!(parsed(text).unwrap_err().contains(":4:1: "), "TOML's own mistakes");
    assert!(parsed("maintainers = 3").unwrap_err().contains("expected a table, found integer"));
}

const WHOLE: &str = r#"
[set]
name = "c-libraries"
packages = ["packages/*", "vendor/*/*"]

[compiler."gcc.12"]
cc = "gcc-12"
cxx = "g++-12"
[compiler."clang.14"]
cc = "clang"
parts = ["tools/lld"]

[package."libpng.1.6.40"]
source = { path = "vendor/libpng-1.6.40" }
dependencies = { zlib = "1.2" }
build = ["./configure --prefix={prefix}", "make -j{jobs}", "make install"]
test = ["make check"]
docs = ["doxygen"]
compilers = ["gcc.12"]
limits = { time = "1 h", log = "1.5 MiB" }

[package."zlib.1.3.1"]
source = { git = "https://example.org/zlib", rev = "v1.3.1" }
manifest = "manifests/zlib.toml"

[package."lua.5.4"]
source = { url = "https://example.org/lua.tar.gz", sha256 = "0000000000000000000000000000000000000000000000000000000000000000" }
manifest = true
docs = ["ldoc {source}", "mv doc {docs}"]

[limits]
time = "45 min"
memory = "2 GiB"
processes = 100

[retention]
runs = 100
history-days = 365

[notify]
channels = ["zulip", "stdout"]
"#;

#[test]
fn a_whole_set_is_read() {
    let set = parsed(WHOLE).unwrap();
    assert_eq!(set.name.as_deref(), Some("c-libraries"));
    let packages: Vec<&str> = set.packages.iter().map(|pattern| pattern.as_str()).collect();
    assert_eq!(packages, ["packages/*", "vendor/*/*"]);
    let compilers: Vec<&str> = set.compilers_as_listed().iter().map(|(name, _)| *name).collect();
    assert_eq!(compilers, ["gcc.12", "clang.14"]);
    let gcc = &set.compilers["gcc.12"].toolchain;
    assert_eq!((gcc.cc.as_deref(), gcc.cxx.as_deref()), (Some("gcc-12"), Some("g++-12")));
    assert_eq!(*set.compilers["clang.14"].toolchain.parts[0], "tools/lld");
    let limits = Limits {
        time: Duration::from_secs(45 * 60),
        memory: 2 << 30,
        processes: 100,
        ..Limits::default()
    };
    assert_eq!(set.limits, limits);
    let png = &set.entries["libpng.1.6.40"];
    assert_eq!(png.source, DependencySource::Path("vendor/libpng-1.6.40".to_owned()));
    let EntryRecipe::Commands { dependencies, build, test } = &png.recipe else { panic!() };
    assert_eq!(dependencies["zlib"].to_string(), "1.2");
    assert_eq!((build.len(), test.len(), png.docs.len()), (3, 1, 1));
    assert_eq!(*png.compilers.as_ref().unwrap()[0], "gcc.12");
    let own = Limits { time: Duration::from_secs(3_600), log: 3 << 19, ..limits };
    assert_eq!(png.limits.over(set.limits), own);
    let zlib = &set.entries["zlib.1.3.1"].recipe;
    assert_eq!(*zlib, EntryRecipe::Manifest { overlay: Some("manifests/zlib.toml".to_owned()) });
    let lua = &set.entries["lua.5.4"];
    assert_eq!((&lua.recipe, lua.docs.len()), (&EntryRecipe::Manifest { overlay: None }, 2));
    assert_eq!(set.retention, Retention { runs: Some(100), history_days: Some(365) });
    assert_eq!(set.channels, ["zulip", "stdout"]);
    // The order of compilers is that of the file, whatever they are called.
    let turned = parsed("[compiler.\"b.1\"]\n[compiler.\"c.1\"]\n[compiler.\"a.1\"]\n").unwrap();
    let turned: Vec<&str> = turned.compilers_as_listed().iter().map(|(name, _)| *name).collect();
    assert_eq!(turned, ["b.1", "c.1", "a.1"]);
}

#[test]
fn the_example_of_the_documentation_is_a_set() {
    let page = include_str!("../../../../docs/sets.md");
    let example = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let set = parsed(example).unwrap();
    assert_eq!(set.limits, Limits::default(), "the page says that these are what is not said");
    assert_eq!((set.compilers.len(), set.entries.len(), set.maintainers.len()), (2, 2, 2));
}

/// What is said of each of some set files.
fn said(texts: &[&str]) -> String {
    let said = texts.iter().map(|text| match parsed(text) {
        Ok(_) => panic!("nothing is wrong with {text}"),
        Err(error) => error + "\n",
    });
    said.collect()
}

#[test]
fn mistakes_in_packages_and_compilers() {
    let said = said(&[
        "[set]\npackages = [\"p/*\"]",
        "[package.\"a.1\"]\nsource = { path = \"a\" }\nbuild = [\"make\"]",
        r#"
[set]
name = 3
packges = []
packages = ["../p/*", "/abs", "", "a/[bc", "a/{b,c", "p/*", "p/*", 3]
[compiler.gcc.12]
cc = "gcc"
[compiler."gcc"]
[compiler."clang.14"]
cc = 3
ccc = "clang"
kind = "d"
"#,
        "[compiler]\n\"gcc.12\" = \"gcc\"",
        "[compiler.\"gcc.12\"]\n[compiler.\"gcc.12\"]",
        "[package.\"a.1\"]\n[package.\"a.1\"]",
    ]);
    insta::assert_snapshot!(said);
}

#[test]
fn mistakes_in_entries() {
    let said = said(&[r#"
[compiler."gcc.12"]
[package.png.1]
[package.zlib]
[package."a/b.1"]
[package."none.1"]
[package."both.1"]
source = { path = "a" }
build = ["make"]
manifest = "a.toml"
[package."neither.1"]
source = { path = "a" }
test = ["make check"]
[package."where.1"]
source = { path = "a", git = "https://example.org/a" }
build = ["make"]
[package."version.1"]
source = { version = "1" }
build = ["make"]
[package."hash.1"]
source = { url = "https://example.org/a.tar.gz" }
build = ["make"]
[package."out.1"]
source = { path = "../a" }
manifest = "../a.toml"
[package."out.2"]
source = { path = "/a" }
build = []
[package."beside.1"]
source = { path = "a" }
manifest = "a.toml"
dependencies = { zlib = "1" }
docs = "doxygen"
[package."needs.1"]
source = { path = "a" }
build = ["make"]
dependencies = { zlib = "one", "a.b" = "1", png = { version = "1" } }
compilers = ["gcc.21", "msvc.19"]
[package."compilers.1"]
source = { path = "a" }
build = ["make"]
compilers = []
[package."kinds.1"]
source = "a"
build = "make"
manifst = "a"
"#]);
    insta::assert_snapshot!(said);
}

#[test]
fn mistakes_in_limits_and_the_rest() {
    let said = said(&[r#"
[limits]
time = "30 mins"
memory = "-4 GiB"
processes = 0
disk = "0 GiB"
log = "16 MiB of text"
cpus = 4
[retention]
runs = 0
history-days = -1
[notify]
channels = ["zulip", "zulip", "a b", ""]
chanels = 3
[package."a.1"]
source = { path = "a" }
build = ["make"]
limits = { time = "0 s", memory = 4, processes = "many" }
"#]);
    insta::assert_snapshot!(said);
}

#[test]
fn a_recipe_is_as_if_its_lines_stood_in_each_package() {
    let set = parsed(
        r#"
[compiler."gcc.12"]
[package."short.1"]
source = { path = "a" }
dependencies = { zlib = "1" }
recipe = "cmake"
options = ["-DA=ON", "-DB='a b'"]
docs = ["doxygen"]
[package."shortest.1"]
source = { path = "a" }
recipe = "cmake"
test = []
[package."long.1"]
source = { path = "a" }
dependencies = { zlib = "1" }
build = ["cmake -S {source} -DA=ON -DB='a b'", "echo ${options}"]
test = ["ctest -DA=ON -DB='a b' {prefix}"]
docs = ["doxygen"]
[package."longest.1"]
source = { path = "a" }
build = ["cmake -S {source}", "echo ${options}"]
[recipe.cmake]
build = ["cmake -S {source} {options}", "echo ${options}"]
test = ["ctest {options} {prefix}"]
"#,
    )
    .unwrap();
    let recipe = |name: &str| (&set.entries[name].recipe, &set.entries[name].docs);
    assert_eq!(recipe("short.1"), recipe("long.1"));
    assert_eq!(recipe("shortest.1"), recipe("longest.1"));
}

#[test]
fn mistakes_in_recipes() {
    let said = said(&[
        r#"
[compiler."gcc.12"]
[recipe."a b"]
build = ["make"]
[recipe.none]
test = ["make check"]
[recipe.empty]
build = [" "]
[recipe.kinds]
build = "make"
tests = ["make check"]
[recipe.make]
build = ["make {prefix}"]
[package."unknown.1"]
source = { path = "a" }
recipe = "mak"
[package."other.1"]
source = { path = "a" }
recipe = "meson"
options = ["-Da=b"]
[package."useless.1"]
source = { path = "a" }
recipe = "make"
options = ["A=B"]
[package."both.1"]
source = { path = "a" }
recipe = "make"
build = ["make"]
[package."manifest.1"]
source = { path = "a" }
recipe = "make"
manifest = true
[package."options.1"]
source = { path = "a" }
build = ["make"]
options = ["A=B"]
[package."optional.1"]
source = { path = "a" }
manifest = true
options = ["A=B"]
[package."types.1"]
source = { path = "a" }
recipe = ["make"]
options = "A=B"
[package."keys.1"]
source = { path = "a" }
recipe = "make"
option = ["A=B"]
"#,
        "recipe = 3",
        "[recipe]\nmake = \"make\"",
        "[compiler.\"gcc.12\"]\n[package.\"a.1\"]\nsource = { path = \"a\" }\nrecipe = \"make\"",
    ]);
    insta::assert_snapshot!(said);
}

#[test]
fn mistakes_in_many_packages_are_told_in_their_order() {
    let mut text = "[compiler.\"gcc.12\"]\ncc = \"gcc-12\"\ncxx = \"g++-12\"\n".to_owned();
    for number in 0..1_000 {
        let key = if number % 250 == 7 { "bulid" } else { "build" };
        text += &format!(
            "[package.\"p{number:04}.1\"]\nsource = {{ path = \"s\" }}\n{key} = [\"make\"]\n"
        );
    }
    let error = parsed(&text).unwrap_err();
    let wrong: Vec<&str> = error.lines().filter(|line| line.contains("has no `build`")).collect();
    let expected = [7, 257, 507, 757].map(|number| format!("[package.\"p{number:04}.1\"]"));
    assert_eq!(wrong.len(), expected.len(), "{error}");
    for (line, package) in wrong.iter().zip(&expected) {
        assert!(line.contains(package), "{line}");
    }
}
