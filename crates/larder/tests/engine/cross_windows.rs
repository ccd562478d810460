//! Building for Windows with mingw-w64.

use std::{fs, path::Path};

use larder_testkit::{
    project::Project,
    tools::{require, said},
};

const WINDOWS: &str = "x86_64-w64-mingw32";

const MANIFEST: &str = r#"
[[library]]
name = "low"
kind = ["static", "shared"]
sources = ["low.c"]

[[library]]
name = "high"
kind = ["shared"]
soversion = "2"
sources = ["high.c"]
exports = ["high"]
libraries = ["low"]

[[executable]]
name = "gen"
sources = ["gen.c"]

[[command]]
name = "table"
outputs = ["table.h"]
run = ["{gen}", "{out}"]

[[executable]]
name = "app"
sources = ["app.c"]
includes = ["{build}"]
inputs = ["{table}"]
libraries = ["high"]

[[executable.case]]
when = { os = "windows" }
defines = ["FOR_WINDOWS"]
"#;

fn project() -> Project {
    let project = Project::cached(MANIFEST);
    project.file("low.c", "int low(void) { return 1; }\n");
    project.file(
        "high.c",
        "int low(void);\nint high(void) { return low() + 1; }\nint hidden(void) { return 3; }\n",
    );
    project.file("gen.c", "#include <stdio.h>\nint main(int count, char **words) { FILE *out = fopen(words[1], \"w\"); fputs(\"#define MADE 2\\n\", out); return fclose(out); }\n");
    project.file("app.c", "#include \"table.h\"\n#if defined(FOR_WINDOWS) != defined(_WIN32)\n#error \"another platform\"\n#endif\nint high(void);\nint main(void) { return high() - MADE; }\n");
    project
}

fn dump(path: &Path) -> String {
    said("x86_64-w64-mingw32-objdump", &["-x"], path)
}

#[test]
fn programs_and_libraries_for_windows() {
    if !require("x86_64-w64-mingw32-gcc") {
        return;
    }
    let project = project();
    let built = project.build_with(&["--target", WINDOWS]);
    let at = |file: &str| project.path(".larder/build-x86_64-w64-mingw32").join(file);
    for file in ["liblow.a", "liblow.dll", "liblow.dll.a", "libhigh-2.dll", "libhigh.dll.a"] {
        assert!(at(file).exists(), "{file}: {}", built.all);
    }
    let app = dump(&at("app.exe"));
    assert!(app.contains("pei-x86-64") && app.contains("DLL Name: libhigh-2.dll"), "{app}");
    let high = dump(&at("libhigh-2.dll"));
    assert!(high.contains("pei-x86-64"), "{high}");
    let exported = high.split("[Ordinal/Name Pointer] Table").nth(1).unwrap();
    let exported = exported.split("\n\n").next().unwrap();
    assert!(exported.contains("high") && !exported.contains("hidden"), "{exported}");
    // The generator is for this machine.
    assert!(fs::read(project.output("gen")).unwrap().starts_with(b"\x7fELF"));
    assert!(!built.all.contains("-fPIC") && !built.all.contains("rpath"), "{}", built.all);
    project.build();
    for arguments in [&["--target", WINDOWS][..], &[], &["--target", WINDOWS]] {
        project.build_with(arguments).all("replayed");
    }
}

#[test]
fn who_is_linked_with_a_dll_depends_on_what_it_offers() {
    if !require("x86_64-w64-mingw32-gcc") {
        return;
    }
    let project = project();
    let build = || project.build_with(&["--target", WINDOWS]);
    build();
    project.replace("high.c", "low() + 1", "low() + 2 - 1 + hidden() - 3");
    project.replace("high.c", "int low(void);", "int low(void);\nint hidden(void);");
    let built = build();
    assert_eq!(built.built(), ["libhigh-2.dll", "obj/libhigh/high.c.o"], "{}", built.all);
    project.replace(
        "larder.toml",
        "[\"high\"]\nlibraries = [\"low\"]",
        "[\"high\", \"hidden\"]\nlibraries = [\"low\"]",
    );
    assert!(build().built().contains(&"app.exe"));
}

#[test]
fn what_is_made_for_windows_comes_out_the_same_and_comes_back() {
    if !require("x86_64-w64-mingw32-gcc") {
        return;
    }
    let project = project();
    project.build_with(&["--target", WINDOWS]);
    let files = ["app.exe", "liblow.dll", "liblow.dll.a", "libhigh-2.dll"];
    let read = || {
        let directory = project.path(".larder/build-x86_64-w64-mingw32");
        files.map(|file| fs::read(directory.join(file)).unwrap())
    };
    let bytes = read();
    project.larder(&["clean"]).ok();
    let again = project.build_with(&["--target", WINDOWS]);
    assert!(again.built().is_empty(), "{}", again.all);
    assert!(read() == bytes);
    let audit = ["cache", "audit", "--rebuild", "100%", "--target", WINDOWS];
    project.larder(&audit).ok();
}

#[test]
fn what_windows_does_not_know_is_refused() {
    if !require("x86_64-w64-mingw32-gcc") {
        return;
    }
    let refused = |exports: &str, words: &[&str]| {
        let project = Project::new(&format!(
            "[[library]]\nname = \"a\"\nkind = [\"shared\"]\nsources = [\"a.c\"]\nexports = {exports}\n"
        ));
        project.file("a.c", "int a;\n").file("a.map", "{ global: a; local: *; };\n");
        project.build();
        project.larder(&["build", "--target", WINDOWS]).ends_with(2).mentions(words);
    };
    refused("[\"a*\"]", &["`a*` stands for several symbols", "one by one"]);
    refused("\"a.map\"", &["Windows knows no version scripts"]);
}

#[test]
fn installing_for_windows() {
    if !require("x86_64-w64-mingw32-gcc") {
        return;
    }
    let project = project();
    let prefix = project.path("out");
    project.larder(&["install", "--target", WINDOWS, "--prefix", prefix.to_str().unwrap()]).ok();
    for file in [
        "bin/app.exe",
        "bin/liblow.dll",
        "bin/libhigh-2.dll",
        "lib/libhigh.dll.a",
        "lib/liblow.dll.a",
        "lib/liblow.a",
    ] {
        assert!(prefix.join(file).exists(), "{file}");
    }
    assert!(prefix.join("lib/libhigh.dll").symlink_metadata().is_err());
    let cmake = fs::read_to_string(prefix.join("lib/cmake/p/pConfig.cmake")).unwrap();
    assert!(cmake.contains("IMPORTED_IMPLIB \"${_larder_prefix}/lib/libhigh.dll.a\""), "{cmake}");
    assert!(cmake.contains("IMPORTED_LOCATION \"${_larder_prefix}/bin/libhigh-2.dll\""), "{cmake}");
}

#[test]
fn what_a_library_offers_is_said_in_another_way_than_on_linux() {
    if !require("x86_64-w64-mingw32-gcc") {
        return;
    }
    let project = Project::cached(
        "[[library]]\nname = \"a\"\nkind = [\"shared\"]\nsources = [\"a.c\"]\nexports = [\"a\"]\n",
    );
    project.file("a.c", "int a(void) { return 1; }\n");
    project.larder(&["build"]).ok();
    let run = project.larder(&["build", "--target", WINDOWS]).ok();
    assert!(!run.stderr.contains("different outputs"), "{}", run.stderr);
}
