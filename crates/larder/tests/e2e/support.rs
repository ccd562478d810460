//! Work trees of a small C package, and what building it leaves.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use larder_testkit::{
    files::{mode, remove_tree, write},
    git::git,
    machine::Machine,
    stores::hash,
};
use larder_trace::ContentHash;

/// Objects and a static library that nobody asks for by default; an executable, a directory with an
/// executable and an empty file and directory in it, and two files of the same content that are.
const MANIFEST: &str = r#"
[package]
name = "demo"
version = "1.0.0"
default-targets = ["demo", "site"]

[toolchain]
cc = "gcc"

[[library]]
name = "util"
sources = ["src/util/*.c"]
includes = ["include"]

[[executable]]
name = "demo"
sources = ["src/main.c"]
libraries = ["util"]

[[command]]
name = "site"
inputs = ["doc/page.txt", "doc/site.sh"]
outputs = ["site/", "stamp", "twin.txt"]
run = ["sh", "doc/site.sh", "{outdir}"]
"#;

const SITE: &str = r#"set -e
mkdir -p "$1/site/sub" "$1/site/hollow"
cp doc/page.txt "$1/site/page.txt"
cp doc/page.txt "$1/twin.txt"
: > "$1/site/empty"
: > "$1/stamp"
printf '#!/bin/sh\necho run\n' > "$1/site/sub/run.sh"
chmod +x "$1/site/sub/run.sh"
"#;

/// The outputs that a default build of the package leaves, seen from the build directory.
pub const ASKED: [&str; 6] =
    ["demo", "site/empty", "site/page.txt", "site/sub/run.sh", "stamp", "twin.txt"];

/// The warning that one of its sources gives.
pub const WARNING: &str = "mind the gap";

/// Writes the package to `directory`.
fn write_package(directory: &Path) {
    let write = |path: &str, text: &str| write(&directory.join(path), text);
    write("larder.toml", MANIFEST);
    write(".gitignore", ".larder/\n");
    write("doc/page.txt", "a page\n");
    write("doc/site.sh", SITE);
    write("include/util.h", "#define UNIT 1\nint a(void);\nint b(void);\nint c(void);\n");
    for name in ["a", "b", "c"] {
        let warning = if name == "b" { format!("#warning \"{WARNING}\"\n") } else { String::new() };
        let text = format!("#include \"util.h\"\n{warning}int {name}(void) {{ return UNIT; }}\n");
        write(&format!("src/util/{name}.c"), &text);
    }
    let main = "#include <stdio.h>\n#include \"util.h\"\n\
                int main(void) { printf(\"%d\\n\", a() + b() + c()); return 0; }\n";
    write("src/main.c", main);
}

/// A new work tree of the package.
pub fn work_tree(machine: &Machine, name: &str) -> PathBuf {
    let tree = machine.path(name);
    write_package(&tree);
    tree
}

/// Commits all of `tree`; its revision.
pub fn commit(tree: &Path) -> String {
    git(tree, &["init", "-q"]);
    git(tree, &["add", "."]);
    git(tree, &["commit", "-q", "-m", "all"]);
    git(tree, &["rev-parse", "HEAD"])
}

/// The outputs in a build directory: the hash of each, and whether it is executable. Empty directories
/// end in `/`.
pub type Outputs = BTreeMap<String, (ContentHash, bool)>;

pub fn build_directory(tree: &Path) -> PathBuf {
    tree.join(".larder/build")
}

/// Everything in the build directory of `tree` that is an output.
pub fn outputs(tree: &Path) -> Outputs {
    fn visit(root: &Path, directory: &Path, found: &mut Outputs) {
        let mut entries = 0;
        for entry in fs::read_dir(directory).into_iter().flatten() {
            entries += 1;
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                visit(root, &path, found);
            } else if !name.ends_with(".trace") && !name.ends_with(".hash") {
                let executable = mode(&path) & 0o111 != 0;
                found.insert(name, (hash(fs::read(&path).unwrap()), executable));
            }
        }
        if entries == 0 && directory != root {
            let name = directory.strip_prefix(root).unwrap().to_str().unwrap();
            found.insert(format!("{name}/"), (hash(b""), false));
        }
    }
    let (root, mut found) = (build_directory(tree), Outputs::new());
    visit(&root, &root, &mut found);
    found
}

/// Those outputs that a default build was asked for.
pub fn asked(tree: &Path) -> Outputs {
    let mut found = outputs(tree);
    found.retain(|name, _| !name.ends_with(".o") && !name.ends_with(".a"));
    found
}

/// Deletes the build directory, and with `index` all else that larder knows of the tree.
pub fn forget(tree: &Path, index: bool) {
    remove_tree(&if index { tree.join(".larder") } else { build_directory(tree) });
}
