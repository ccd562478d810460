//! `larder init --template set`: a set of what is there, which can be built.

use std::fs;

use larder_testkit::{files, git::git, run::run};

use super::support::{Package, Set};

const CMAKE: &str = "cmake_minimum_required(VERSION 3.13)\nproject(NAME VERSION 2.1 LANGUAGES NONE)\n\
                     file(WRITE ${CMAKE_BINARY_DIR}/NAME.txt NAME)\n\
                     install(FILES ${CMAKE_BINARY_DIR}/NAME.txt DESTINATION share)\n";

const MAKE: &str =
    "all:\n\ninstall:\n\tmkdir -p $(PREFIX)/share\n\techo plain > $(PREFIX)/share/plain.txt\n";

const CONFIGURE: &str = "#!/bin/sh\nprintf 'all:\\ninstall:\\n\\tmkdir -p %s\\n\\tcp configure %s\\n' \
                         ${1#--prefix=} ${1#--prefix=} > Makefile\n";

fn empty() -> Set {
    let set = Set::with_file("");
    fs::remove_file(set.root.join("larder-set.toml")).unwrap();
    set
}

#[test]
fn a_first_set_is_built_as_it_is() {
    let set = empty();
    let package = "[package]\nname = \"own\"\nversion = \"1.0\"\n[[executable]]\nname = \"own\"\nsources = [\"own.c\"]\n";
    set.file("packages/own/larder.toml", package);
    set.file("packages/own/own.c", "int main(void) { return 0; }\n");
    set.file("packages/old/larder.toml", &package.replace("version = \"1.0\"\n", ""));
    set.file("trees/made/CMakeLists.txt", &CMAKE.replace("NAME", "made"));
    set.file("trees/plain-1.2/Makefile", MAKE);
    files::script(&set.root.join("trees/script-3.0/configure"), CONFIGURE);

    let dry = set.larder(&["init", "--template", "set", "--dry-run"]).ok();
    assert!(!set.root.join("larder-set.toml").exists());
    let said = set.larder(&["init", "--template", "set", "--name", "mine"]).ok();
    said.says("left out packages/old: its larder.toml has no version").says("wrote ");
    let text = fs::read_to_string(set.root.join("larder-set.toml")).unwrap();
    assert!(text.contains("name = \"mine\"") && text.contains("[compiler.\"gcc."), "{text}");
    assert_eq!(dry.stdout.trim_end().replace("name = \"set\"", "name = \"mine\""), text.trim_end());

    // With one compiler: each is whole by itself.
    let at = text.find("[compiler.\"clang").unwrap_or(text.len());
    let end = text[at..].find("\n# Of one").map_or(text.len(), |end| at + end);
    fs::write(set.root.join("larder-set.toml"), text[..at].to_owned() + &text[end..]).unwrap();
    set.larder(&["batch", "--dry-run"]).ok().mentions(&[
        "made.2.1",
        "plain.1.2",
        "script.3.0",
        "own.1.0",
    ]);
    assert!(!set.data.root().exists());
    set.larder(&["batch"]).ok().says("4 of 4 packages work");
}

#[test]
fn nothing_is_overwritten_and_mistakes_are_told() {
    let set = Set::new(&[Package::new("zlib.1.3")]);
    let before = fs::read_to_string(set.root.join("larder-set.toml")).unwrap();
    let said = set.larder(&["init", "--template", "set"]);
    said.ends_with(2).says("larder-set.toml is there already");
    assert_eq!(fs::read_to_string(set.root.join("larder-set.toml")).unwrap(), before);
    set.larder(&["init", "--template", "sets"]).ends_with(2).says("possible values: package, set");
    let both = set.larder(&["init", "--template", "set", "--from", "cmake"]);
    both.ends_with(2).says("--from is about the manifest of a package");
    set.larder(&["init", "--template", "set", "nowhere"]).ends_with(1).says("nowhere");

    let set = empty();
    let said = set.larder(&["init", "--template", "set"]).ok();
    said.says("there are no packages here");
    set.larder(&["batch", "--dry-run"]).ends_with(2).says("larder-set.toml has no packages");
    let mut without = set.command(&["init", "--template", "set", "--dry-run"]);
    let said = run(without.env("PATH", "/nonexistent")).ok();
    said.says("there is no compiler on PATH").mentions(&["# [compiler.\"gcc.12\"]"]);
}

#[test]
fn a_compiler_that_is_not_there_is_said_before_anything_is_built() {
    let set = Set::new(&[Package::new("a.1")]);
    let file = fs::read_to_string(set.root.join("larder-set.toml")).unwrap();
    for (named, missing) in [("\"cc\"", "no-such-cc"), ("\"c++\"", "no-such-cxx")] {
        set.file("larder-set.toml", &file.replace(named, &format!("\"{missing}\"")));
        let run = set.larder(&["batch"]).ends_with(2);
        run.mentions(&["the compiler cc.1", missing, "say in larder-set.toml which tools"]);
        assert!(!set.data.runs().exists(), "no run began");
    }
}

#[test]
fn a_dry_run_fetches_and_writes_nothing() {
    let set = Set::with_file("");
    let upstream = set.outside().join("upstream");
    files::write(&upstream.join("README"), "z");
    git(&upstream, &["init", "--quiet", "--initial-branch=main"]);
    git(&upstream, &["add", "README"]);
    git(&upstream, &["commit", "--quiet", "--message", "z"]);
    set.append(&format!(
        "[package.\"z.1\"]\nsource = {{ git = \"{}\", rev = \"main\" }}\nbuild = [\"cp README {{prefix}}/it\"]\n",
        upstream.display()
    ));
    let before = files::contents(&set.root);
    set.larder(&["batch", "--dry-run"]).ok().mentions(&["a run fetches them first"]);
    assert_eq!(files::contents(&set.root), before);
    set.larder(&["batch"]).ok();
    set.larder(&["batch", "--dry-run"]).ok().mentions(&["nothing is to be done"]);
}
