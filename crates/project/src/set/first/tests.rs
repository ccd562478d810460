use std::fs;

use super::*;
use crate::{diagnostic::SourceText, set::PackageSet};

fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    root
}

fn gcc() -> InstalledCompiler {
    InstalledCompiler {
        family: "gcc".to_owned(),
        version: 12,
        cc: "gcc-12".to_owned(),
        cxx: Some("g++-12".to_owned()),
    }
}

const PACKAGE: &str = "[package]\nname = \"NAME\"\nversion = \"1.0\"\n";

#[test]
fn what_is_there_becomes_a_set_that_can_be_read() {
    let package = |name: &str| PACKAGE.replace("NAME", name);
    let root = tree(&[
        ("libs/a/larder.toml", &package("a")),
        ("libs/a/inner/larder.toml", &package("inner")),
        ("libs/b/larder.toml", &package("b")),
        ("one/c/larder.toml", &package("c")),
        ("mixed/d/larder.toml", &package("d")),
        ("mixed/e/larder.toml", "[package]\nname = \"e\"\n"),
        ("mixed/f/larder.toml", "[package\n"),
        ("mixed/g/larder.toml", &package("a")),
        ("mixed/h/larder.toml", &package("h.h")),
        (".hidden/larder.toml", &package("hidden")),
        ("odd[1]/x/larder.toml", &package("odd")),
        ("vendor/zlib-1.3.1/configure", "#!/bin/sh\n"),
        ("vendor/libpng-1.6.40/CMakeLists.txt", "project(libpng)\nfind_package(ZLIB REQUIRED)\n"),
        ("vendor/libpng-1.6.40/zlib/CMakeLists.txt", "project(zlib)"),
        ("vendor/app/meson.build", "project('app', 'c', version : '0.3')\ndependency('libpng')\n"),
        ("vendor/sub/auto/configure.ac", "AC_INIT([auto], [2.4.6])\nAC_CHECK_LIB(z, inflate)\n"),
        ("vendor/plain/Makefile", "all:\n"),
        ("vendor/again/zlib-1.3.1/Makefile", "all:\n"),
        ("vendor/b-1.0/CMakeLists.txt", "PROJECT(b VERSION 7.7)\n"),
        ("vendor/docs/readme.txt", "nothing\n"),
        ("a/b/c/d/e/larder.toml", &package("deep")),
    ]);
    let mut set = survey(root.path(), "here \"and\" there").unwrap();
    set.compilers = vec![gcc(), InstalledCompiler { version: 11, cxx: None, ..gcc() }];
    let text = set.text();
    insta::assert_snapshot!(text);
    let source = SourceText { path: FILE_NAME.into(), text: text.as_str().into() };
    let read = PackageSet::parse(source).unwrap();
    assert_eq!(read.entries.len(), set.trees.len());
    assert_eq!(read.packages.len(), set.packages.len());
    let path = set.write(root.path()).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    let again = set.write(root.path()).unwrap_err();
    assert!(
        matches!(again, ScaffoldError::Exists(there) if there == path),
        "nothing is overwritten"
    );
}

#[test]
fn nothing_at_all_is_said_as_remarks() {
    let root = tree(&[]);
    let text = survey(root.path(), "empty").unwrap().text();
    let source = SourceText { path: FILE_NAME.into(), text: text.as_str().into() };
    let read = PackageSet::parse(source).unwrap();
    assert!(read.packages.is_empty() && read.entries.is_empty() && read.compilers.is_empty());
    assert!(text.contains("# packages = ") && text.contains("# [compiler."), "{text}");
    assert!(survey(&root.path().join("none"), "none").is_err());
}

#[test]
fn a_package_may_be_a_set_by_itself() {
    let root = tree(&[("larder.toml", &PACKAGE.replace("NAME", "a")), ("b/CMakeLists.txt", "")]);
    let set = survey(root.path(), "a").unwrap();
    assert_eq!((set.packages.as_slice(), set.trees.len()), ([".".to_owned()].as_slice(), 0));
}

#[test]
fn names_and_versions_are_guessed() {
    for (called, system, text, id) in [
        ("libpng-1.6.40", BuildSystem::Make, "", "libpng.1.6.40"),
        ("c-ares", BuildSystem::Make, "", "c-ares.0"),
        ("7z.20", BuildSystem::Make, "", "7z-20.0"),
        ("x-1..2", BuildSystem::Cmake, "project(x VERSION 3.1 LANGUAGES C)", "x.3.1"),
        ("ü", BuildSystem::Make, "", "package.0"),
        ("x", BuildSystem::Cmake, "project(x LANGUAGES C)\nset(VERSION 3)", "x.0"),
        ("x", BuildSystem::Configure, "PACKAGE_NAME='x'\nPACKAGE_VERSION='1.2'\n", "x.1.2"),
        ("x", BuildSystem::Autoconf, "AC_INIT([x],[1.2],[a@b])", "x.1.2"),
        ("x", BuildSystem::Meson, "project('x', ['c'],\n  version: '1.2')", "x.1.2"),
    ] {
        assert_eq!(tree::id(called, system, text), id, "{called}");
    }
}
