//! Manifests that a package keeps for its dependencies.

use std::{fs, os::unix::fs::symlink, path::Path};

use larder_testkit::{
    files::write_all,
    git::{Repository, app, git},
    run::{Run, larder_in, run},
};
use tempfile::TempDir;

use super::built;

const MANIFEST: &str = "[package]\nname = \"foo\"\n[[library]]\nname = \"foo\"\nsources = [\"code/*.c\"]\nincludes = [\"code\"]\n";

/// A repository without a manifest, whose function returns `VALUE`.
fn plain(directory: &Path) -> Repository {
    let upstream = Repository::new(directory, "foo", "");
    for file in ["larder.toml", "foo.c", "foo.h"] {
        fs::remove_file(upstream.path.join(file)).unwrap();
    }
    let source = "#ifndef VALUE\n#define VALUE 1\n#endif\nint foo(void) { return VALUE; }\n";
    write_all(&upstream.path, &[("code/foo.c", source), ("code/foo.h", "int foo(void);\n")]);
    upstream.commit_all();
    upstream
}

/// A package that needs `foo` as `table` says, with `manifest` for it.
fn user(directory: &Path, table: &str, manifest: &str) {
    app(directory, &[("foo", table)]);
    write_all(directory, &[("deps/foo.toml", manifest)]);
}

fn build(directory: &Path) -> Run {
    run(larder_in(directory).arg("build"))
}

fn key(directory: &Path) -> String {
    let arguments = ["ci", "key", "--no-toolchain"];
    run(larder_in(directory).args(arguments)).ok().stdout
}

#[test]
fn a_package_without_a_manifest_is_built_by_one_that_is_kept_here() {
    let temp = TempDir::new().unwrap();
    let foo = plain(temp.path());
    let directory = temp.path().join("app");
    let bare = format!("{{ git = \"{}\" }}", foo.url());
    user(&directory, &bare, MANIFEST);
    build(&directory)
        .ends_with(2)
        .says("larder.toml:4:1: the dependency `foo` has no manifest")
        .says("foo = { …, manifest = \"deps/foo.toml\" }");
    assert!(!directory.join("larder.lock").exists());

    let table = format!("{{ git = \"{}\", manifest = \"deps/foo.toml\" }}", foo.url());
    user(&directory, &table, MANIFEST);
    run(larder_in(&directory).args(["build", "--locked"])).ends_with(2).says("does not pin `foo`");
    assert_eq!(built(&directory), "1");
    run(larder_in(&directory).args(["build", "--locked", "--offline", "--no-build"])).ok();
    run(larder_in(&directory).arg("graph")).ok().mentions(&["@foo/foo"]);

    // What it says decides, and is said where it stands.
    let with_args = format!("{MANIFEST}trace-args = [\"-DVALUE=2\"]\n");
    user(&directory, &table, &with_args);
    run(larder_in(&directory).args(["why", "@foo/foo"])).mentions(&["-DVALUE=2"]);
    assert_eq!(built(&directory), "2");
    user(&directory, &table, &MANIFEST.replace("code/*.c", "none/*.c"));
    build(&directory).ends_with(2).says("/app/deps/foo.toml:5:12: ");
    user(&directory, &table, &MANIFEST.replace("sources", "source"));
    build(&directory).ends_with(2).says("/app/deps/foo.toml:5:1: unknown key `source`");
    user(&directory, &table, &MANIFEST.replacen("foo", "bar", 1));
    build(&directory).ends_with(2).says("`foo` is called `bar` by the manifest");
}

#[test]
fn it_stands_in_for_the_packages_own() {
    let temp = TempDir::new().unwrap();
    let near = temp.path().join("near");
    let foo = plain(&near);
    write_all(&foo.path, &[("larder.toml", "this is no manifest")]);
    let directory = temp.path().join("app");
    user(&directory, "{ path = \"../near/foo\", manifest = \"deps/foo.toml\" }", MANIFEST);
    assert_eq!(built(&directory), "1");
    user(&directory, "{ path = \"../near/foo\" }", MANIFEST);
    build(&directory).ends_with(2).says("near/foo/larder.toml:1:");
}

#[test]
fn keys_are_made_from_what_it_says() {
    let temp = TempDir::new().unwrap();
    let foo = plain(temp.path());
    let tables = [
        format!("{{ git = \"{}\", manifest = \"deps/foo.toml\" }}", foo.url()),
        "{ path = \"../foo\", manifest = \"deps/foo.toml\" }".to_owned(),
    ];
    for (count, table) in tables.iter().enumerate() {
        let directory = temp.path().join(format!("app{count}"));
        user(&directory, table, MANIFEST);
        assert_eq!(built(&directory), "1");
        let first = key(&directory);
        user(&directory, table, &format!("# {table}\n{MANIFEST}"));
        assert_eq!(key(&directory), first, "a comment");
        let nested = "[dependencies]\nbar = { path = \"code\", manifest = \"bar.toml\" }\n";
        let bar = "[package]\nname = \"bar\"\n";
        user(&directory, table, &format!("{MANIFEST}{nested}"));
        write_all(&directory, &[("deps/bar.toml", bar)]);
        let second = key(&directory);
        assert_ne!(second, first);
        write_all(&directory, &[("deps/bar.toml", &format!("{bar}version = \"2\"\n"))]);
        assert_ne!(key(&directory), second, "what a manifest kept here names is kept here, too");
        fs::remove_file(directory.join("deps/bar.toml")).unwrap();
        run(larder_in(&directory).args(["ci", "key"]))
            .ends_with(2)
            .says("cannot find the manifest")
            .says("deps/foo.toml:8:");
    }
}

#[test]
fn its_paths_are_those_of_the_sources_and_its_manifests_lie_beside_it() {
    let temp = TempDir::new().unwrap();
    let foo = plain(temp.path());
    let base = Repository::new(temp.path(), "base", "");
    fs::rename(base.path.join("larder.toml"), temp.path().join("base.toml")).unwrap();
    base.commit_all();
    write_all(
        &foo.path,
        &[
            (
                "sub/larder.toml",
                "[package]\nname = \"sub\"\n[[library]]\nname = \"sub\"\nsources = [\"sub.c\"]\n",
            ),
            ("sub/sub.c", "int sub(void) { return 10; }\n"),
            (
                "code/foo.c",
                "int sub(void); int base(void);\nint foo(void) { return sub() + base(); }\n",
            ),
        ],
    );
    foo.commit_all();
    let directory = temp.path().join("app");
    let table = format!("{{ git = \"{}\", manifest = \"deps/foo.toml\" }}", foo.url());
    let manifest = format!(
        "{MANIFEST}libraries = [\"sub/sub\", \"base/base\"]\n[dependencies]\nsub = {{ path = \"sub\" }}\nbase = {{ git = \"../../base\", manifest = \"more/base.toml\" }}\n"
    );
    user(&directory, &table, &manifest);
    let text = fs::read_to_string(temp.path().join("base.toml")).unwrap();
    write_all(&directory, &[("deps/more/base.toml", &text)]);
    assert_eq!(built(&directory), "11");

    // What lies outside is none of its business.
    for (path, words) in [
        ("../larder.toml", "is outside the package"),
        ("/etc/passwd", "is outside the package"),
        ("", "is outside the package"),
        ("none.toml", "cannot find the manifest"),
        ("more", "is a directory, not a manifest"),
        ("linked.toml", "is outside the package"),
    ] {
        let _ = symlink(temp.path().join("base.toml"), directory.join("deps/linked.toml"));
        user(&directory, &table, &manifest.replace("more/base.toml", path));
        build(&directory).ends_with(2).says("deps/foo.toml:10:").says(words);
    }
    let elsewhere = format!("\"{}\" }}", directory.display());
    user(&directory, &table, &manifest.replace("\"sub\" }", &elsewhere));
    build(&directory).ends_with(2).says("is outside the repository").says("deps/foo.toml:9:");
}

#[test]
fn a_package_has_one_manifest() {
    let temp = TempDir::new().unwrap();
    let foo = plain(temp.path());
    let table = format!("{{ git = \"{}\", manifest = \"deps/foo.toml\" }}", foo.url());
    let near = temp.path().join("near");
    let manifest = format!(
        "[package]\nname = \"near\"\n[dependencies]\nfoo = {table}\n[[library]]\nname = \"near\"\nsources = [\"near.c\"]\nincludes = [\".\"]\nlibraries = [\"foo/foo\"]\n"
    );
    write_all(
        &near,
        &[
            ("larder.toml", &manifest),
            ("deps/foo.toml", MANIFEST),
            ("near.c", "int near(void) { return 5; }\n"),
            ("near.h", "int near(void);\n"),
        ],
    );
    let directory = temp.path().join("app");
    let both = [("foo", &*table), ("near", "{ path = \"../near\" }")];
    app(&directory, &both);
    write_all(&directory, &[("deps/foo.toml", MANIFEST)]);
    assert_eq!(built(&directory), "6", "the same twice is one");

    write_all(&directory, &[("deps/foo.toml", &format!("{MANIFEST}trace-args = [\"-g\"]\n"))]);
    build(&directory)
        .ends_with(2)
        .says("two packages need `foo` with different manifests")
        .says(&format!("`app` with {}", directory.join("deps/foo.toml").display()))
        .says(&format!("`near` with {}", near.join("deps/foo.toml").display()));
    let own = table.replace(", manifest = \"deps/foo.toml\"", "");
    write_all(&foo.path, &[("larder.toml", MANIFEST)]);
    foo.commit_all();
    git(&foo.path, &["tag", "x"]);
    app(&directory, &[("foo", &own), both[1]]);
    run(larder_in(&directory).arg("update")).ends_with(2).says("`app` with its own, and `near`");
}

#[test]
fn what_is_baked_is_built_by_it() {
    let temp = TempDir::new().unwrap();
    let foo = plain(temp.path());
    let directory = temp.path().join("app");
    let table = format!("{{ git = \"{}\", manifest = \"deps/foo.toml\" }}", foo.url());
    user(&directory, &table, MANIFEST);
    assert_eq!(built(&directory), "1");
    let store = temp.path().join("store");
    let bake = ["cache", "bake", store.to_str().unwrap(), "--dependencies", "--locked"];
    run(larder_in(&directory).args(bake)).ok().mentions(&["1 checkout"]);
    for gone in [directory.join(".larder"), directory.join(".cache"), foo.path] {
        fs::remove_dir_all(gone).unwrap();
    }
    let offline = |arguments: &[&str]| {
        let mut command = larder_in(&directory);
        run(command.args(arguments).env("LARDER_OFFLINE_STORE", &store)).ok().stdout
    };
    let built = offline(&["build", "@foo/foo", "--offline", "--locked", "--json"]);
    assert!(built.contains("\"restored\":2") && built.contains("\"built\":0"), "{built}");
    assert_eq!(offline(&["--offline", "--locked", "exec", "app"]).trim(), "1");
}
