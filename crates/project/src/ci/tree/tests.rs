//! Whatever a build could see of a tree with links counts, and nothing about where the tree is.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use proptest::{prelude::*, sample::Index};
use tempfile::TempDir;

use crate::{
    ci::key::{Ingredients, Keys, key},
    diagnostic::Located,
    setting::Choices,
};

const MANIFEST: &str = "[package]\nname = \"app\"\n";
const NEAR: &str = "[dependencies]\nnear = { path = \"../near\" }\n";

fn write(root: &Path, path: &str, content: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn link(root: &Path, path: &str, target: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    symlink(target, path).unwrap();
}

fn try_key(app: &Path, inputs: &[&str], exclude: &[&str]) -> Result<String, String> {
    let located = |texts: &[&str]| {
        texts.iter().map(|text| Located { value: (*text).to_owned(), span: 0..0 }).collect()
    };
    let (inputs, exclude) = (located(inputs), located(exclude));
    let ingredients = Ingredients { inputs, exclude, ..Ingredients::default() };
    let keys = Keys::read(app, &Choices::default()).map_err(|error| error.to_string())?;
    key(&keys, &ingredients).map(|keyed| keyed.key).map_err(|error| error.to_string())
}

#[track_caller]
fn key_of(app: &Path, inputs: &[&str]) -> String {
    try_key(app, inputs, &[]).unwrap()
}

/// A package `app`, with whatever `lay` lays into its directory.
fn package(lay: impl Fn(&Path)) -> (TempDir, PathBuf) {
    let temp = TempDir::new().unwrap();
    let app = temp.path().join("app");
    write(&app, "larder.toml", MANIFEST);
    lay(&app);
    (temp, app)
}

/// Files and links of a tree: content and execute permission, or a text.
#[derive(Debug, Clone)]
struct Tree {
    files: BTreeMap<&'static str, (String, bool)>,
    links: BTreeMap<&'static str, &'static str>,
}

const FILES: [&str; 7] = ["src/a", "src/d/a", "src/d/e/a", "inc/a", "inc/b", "inc/s/a", "x/a"];
const LINKS: [&str; 7] = ["src/k", "src/l", "src/d/l", "inc/k", "inc/s/l", "x/l", "y"];
const TARGETS: [&str; 11] =
    ["", "src", "src/d", "inc", "inc/s", "x", "y", "src/a", "inc/a", "gone", "src/l"];

fn trees() -> impl Strategy<Value = Tree> {
    let content = ("[01]{0,2}", any::<bool>());
    let files = prop::collection::btree_map(prop::sample::select(&FILES[..]), content, 1..7);
    let links = prop::collection::btree_map(
        prop::sample::select(&LINKS[..]),
        prop::sample::select(&TARGETS[..]),
        0..7,
    );
    (files, links).prop_map(|(files, links)| Tree { files, links })
}

/// The text of a link at `path` that leads to `target` of the same tree.
fn text(path: &str, target: &str) -> String {
    let up = "../".repeat(path.matches('/').count());
    if up.is_empty() && target.is_empty() { ".".to_owned() } else { format!("{up}{target}") }
}

impl Tree {
    fn lay_out(&self, root: &Path) {
        write(root, "larder.toml", MANIFEST);
        write(root, "src/main", "");
        for (path, (content, executable)) in &self.files {
            write(root, path, content);
            set_executable(&root.join(path), *executable);
        }
        self.links.iter().for_each(|(path, target)| link(root, path, &text(path, target)));
    }
}

fn set_executable(path: &Path, executable: bool) {
    let mode = if executable { 0o755 } else { 0o644 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// All that a process sees that looks at everything from `src` on: by path, the text of a link and
/// the content of a file. Where a link leads back to a directory on the way, it looks no further.
fn view(root: &Path) -> BTreeSet<(PathBuf, String)> {
    let mut seen = BTreeSet::new();
    look(&root.join("src"), &mut Vec::new(), &mut seen);
    let below = |path: PathBuf| path.strip_prefix(root).unwrap().to_owned();
    seen.into_iter().map(|(path, what)| (below(path), what)).collect()
}

fn look(directory: &Path, way: &mut Vec<PathBuf>, seen: &mut BTreeSet<(PathBuf, String)>) {
    let real = directory.canonicalize().unwrap();
    if way.contains(&real) {
        return;
    }
    way.push(real);
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if let Ok(target) = fs::read_link(&path) {
            seen.insert((path.clone(), format!("-> {}", target.display())));
        }
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => look(&path, way, seen),
            Ok(metadata) => {
                // The manifest counts by its values.
                if path.file_name().unwrap() != "larder.toml" {
                    let content = fs::read_to_string(&path).unwrap();
                    let mode = metadata.permissions().mode() & 0o111;
                    seen.insert((path, format!("{mode} {content}")));
                }
            }
            Err(_) => {}
        }
    }
    way.pop();
}

#[derive(Debug, Clone, Copy)]
enum Change {
    Content,
    Mode,
    Remove,
    Rename,
    AddEmpty,
    Retarget,
    RemoveLink,
    /// A link is replaced by what it leads to.
    Materialise,
}

impl Change {
    fn make(self, tree: &Tree, root: &Path, at: Index, other: Index) {
        let file = root.join(at.get(&tree.files.keys().collect::<Vec<_>>()));
        let links: Vec<&str> = tree.links.keys().copied().collect();
        let chosen = (!links.is_empty()).then(|| links[at.index(links.len())]);
        match (self, chosen) {
            (Self::Content, _) => {
                let content = fs::read_to_string(&file).unwrap();
                fs::write(file, format!("{content}2")).unwrap();
            }
            (Self::Mode, _) => {
                let is_executable = file.metadata().unwrap().permissions().mode() & 0o111 != 0;
                set_executable(&file, !is_executable);
            }
            (Self::Remove, _) => fs::remove_file(file).unwrap(),
            (Self::Rename, _) => fs::rename(&file, file.with_file_name("new")).unwrap(),
            (Self::AddEmpty, _) => fs::write(file.with_file_name("new"), "").unwrap(),
            (_, None) => {}
            (Self::Retarget, Some(path)) => {
                fs::remove_file(root.join(path)).unwrap();
                link(root, path, &text(path, TARGETS[other.index(TARGETS.len())]));
            }
            (Self::RemoveLink, Some(path)) => fs::remove_file(root.join(path)).unwrap(),
            (Self::Materialise, Some(path)) => {
                let path = root.join(path);
                let content = fs::read(&path);
                fs::remove_file(&path).unwrap();
                fs::write(path, content.unwrap_or_default()).unwrap();
            }
        }
    }
}

fn changes() -> impl Strategy<Value = Change> {
    prop::sample::select(vec![
        Change::Content,
        Change::Mode,
        Change::Remove,
        Change::Rename,
        Change::AddEmpty,
        Change::Retarget,
        Change::RemoveLink,
        Change::Materialise,
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn whatever_a_build_could_see_counts(
        tree in trees(),
        change in changes(),
        at in any::<Index>(),
        other in any::<Index>(),
        glob in prop::sample::select(vec!["src", "src/**", "s*/**"]),
    ) {
        let (one, two) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let elsewhere = two.path().join("else/where");
        tree.lay_out(one.path());
        tree.lay_out(&elsewhere);
        let before = key_of(one.path(), &[glob]);
        prop_assert_eq!(&key_of(&elsewhere, &[glob]), &before);
        let seen = view(&elsewhere);
        change.make(&tree, &elsewhere, at, other);
        if view(&elsewhere) != seen {
            prop_assert_ne!(key_of(&elsewhere, &[glob]), before);
        }
    }

    #[test]
    fn so_does_all_of_a_path_dependency(
        tree in trees(),
        change in changes(),
        at in any::<Index>(),
        other in any::<Index>(),
    ) {
        let temp = TempDir::new().unwrap();
        let (app, near) = (temp.path().join("app"), temp.path().join("near"));
        write(&app, "larder.toml", &format!("{MANIFEST}{NEAR}"));
        tree.lay_out(&near);
        write(&near, "larder.toml", "[package]\nname = \"near\"\n");
        let before = key_of(&app, &[]);
        let seen = view(&near);
        change.make(&tree, &near, at, other);
        if view(&near) != seen {
            prop_assert_ne!(key_of(&app, &[]), before);
        }
    }
}

#[test]
fn a_header_that_a_linked_directory_leads_to_counts() {
    let (_temp, app) = package(|app| {
        write(app, "src/a.c", "");
        write(app, "inc/deep/v.h", "1");
        write(app, "other", "");
        link(app, "src/tt", "../inc");
    });
    for inputs in [&["src"][..], &["src/**"], &["src/**/*.h"], &["src/tt"], &["src/tt/deep/*"]] {
        write(&app, "inc/deep/v.h", "1");
        let before = key_of(&app, inputs);
        write(&app, "other", "changed");
        assert_eq!(key_of(&app, inputs), before, "{inputs:?}");
        write(&app, "inc/deep/v.h", "2");
        assert_ne!(key_of(&app, inputs), before, "{inputs:?}");
    }
    // What nothing leads to, or what is left out, does not count.
    let without = || try_key(&app, &["src"], &["src/tt"]).unwrap();
    let before = without();
    write(&app, "inc/deep/v.h", "3");
    assert_eq!(
        (without(), try_key(&app, &["src"], &["inc"])),
        (before.clone(), try_key(&app, &["src"], &["inc"]))
    );
    assert_eq!(key_of(&app, &["src/*.c"]), {
        write(&app, "inc/deep/v.h", "4");
        key_of(&app, &["src/*.c"])
    });
}

#[test]
fn links_that_lead_to_where_they_stand_end() {
    let (_temp, app) = package(|app| {
        write(app, "src/a", "1");
        link(app, "src/self", "self");
        link(app, "src/up", "..");
        link(app, "src/here", ".");
        link(app, "src/there", "back");
        link(app, "src/back", "there");
    });
    let before = key_of(&app, &["src"]);
    write(&app, "b", "by way of `up`");
    assert_ne!(key_of(&app, &["src"]), before);
}

#[test]
fn a_thicket_of_links_takes_no_longer_than_its_directories() {
    // 30 directories, of which each leads to the next in two ways: 2^30 paths.
    let (_temp, app) = package(|app| {
        for level in 0..30 {
            write(app, &format!("src/d{level}/f"), "");
            for way in ["a", "b"] {
                link(app, &format!("src/d{level}/{way}"), &format!("../d{}", level + 1));
            }
        }
        write(app, "src/d30/f", "1");
    });
    let before = key_of(&app, &["src/d0"]);
    write(&app, "src/d30/f", "2");
    assert_ne!(key_of(&app, &["src/d0"]), before);
}

#[test]
fn a_link_out_of_the_package_is_refused_or_declared() {
    let (temp, app) = package(|app| {
        write(app, "src/a", "1");
        link(app, "src/out", "../../shared");
        write(app, "../shared/v.h", "1");
        link(app, "../shared/more", "../more");
        write(app, "../more/w.h", "1");
    });
    let refused = try_key(&app, &["src"], &[]).unwrap_err();
    assert!(
        refused.contains("`src/out` is a symbolic link that leads outside the package"),
        "{refused}"
    );
    assert!(refused.contains("[ci] outside"), "{refused}");
    assert_eq!(try_key(&app, &["src"], &["src/out"]), try_key(&app, &["src/a"], &[]));

    let declare = |paths: &str| {
        write(&app, "larder.toml", &format!("{MANIFEST}[ci]\noutside = {paths}\n"));
    };
    declare("[\"../shared\"]");
    let refused = try_key(&app, &["src"], &[]).unwrap_err();
    assert!(refused.contains("more` is a symbolic link"), "{refused}");
    declare("[\"../shared\", \"../more/w.h\", \"../more\"]");
    let before = key_of(&app, &["src"]);
    for file in ["shared/v.h", "more/w.h"] {
        write(temp.path(), file, "2");
        assert_ne!(key_of(&app, &["src"]), before, "{file}");
        write(temp.path(), file, "1");
    }
    write(temp.path(), "more/empty", "");
    assert_ne!(key_of(&app, &["src"]), before);
    for (paths, words) in [
        ("[\"../gone\"]", "cannot find"),
        ("[\"src\"]", "is inside the package"),
        ("[\"..\"]", "holds the package"),
        ("[\"\"]", "an empty path"),
    ] {
        declare(paths);
        let wrong = try_key(&app, &["src/a"], &[]).unwrap_err();
        assert!(wrong.contains(words) && wrong.contains("larder.toml:4:"), "{wrong}");
    }
}

#[test]
fn a_link_into_another_package_counts_by_what_is_there() {
    let (temp, app) = package(|app| {
        write(app, "larder.toml", &format!("{MANIFEST}{NEAR}"));
        write(app, "src/a", "1");
        write(app, "../near/larder.toml", "[package]\nname = \"near\"\n");
        write(app, "../near/.hidden/v.h", "1");
        link(app, "src/near", "../../near/.hidden");
        link(app, "../near/app", "../app/src");
    });
    let before = key_of(&app, &[]);
    write(&app, "src/a", "2");
    assert_ne!(key_of(&app, &[]), before);
    let before = key_of(&app, &["src"]);
    write(temp.path(), "near/.hidden/v.h", "2");
    assert_ne!(key_of(&app, &["src"]), before);
}

#[test]
fn an_absolute_link_inside_the_package_counts_the_same_elsewhere() {
    let lay = |app: &Path| {
        write(app, "inc/v.h", "1");
        link(app, "src/tt", app.join("inc").to_str().unwrap());
    };
    let ((_one, first), (_two, second)) = (package(lay), package(lay));
    assert_eq!(key_of(&first, &["src"]), key_of(&second, &["src"]));
    write(&second, "inc/v.h", "2");
    assert_ne!(key_of(&first, &["src"]), key_of(&second, &["src"]));
}

#[test]
fn what_larder_and_git_keep_does_not_count_where_a_link_leads_there() {
    let (_temp, app) = package(|app| {
        write(app, ".larder/build/a", "1");
        link(app, "src/built", "../.larder/build");
        link(app, "src/a", "../.larder/build/a");
        link(app, "src/b", "../.larder/build/a");
    });
    let before = key_of(&app, &["src"]);
    let spelled = key_of(&app, &["src/a"]);
    write(&app, ".larder/build/a", "2");
    assert_eq!(key_of(&app, &["src"]), before);
    assert_ne!(key_of(&app, &["src/a"]), spelled);
}

#[test]
fn a_comment_in_a_manifest_counts_only_for_who_reads_it_as_a_file() {
    let (temp, app) = package(|app| {
        write(app, "src/a", "1");
        write(app, "../near/larder.toml", "[package]\nname = \"near\"\n");
    });
    let near_reads = "[package]\nname = \"near\"\n[[command]]\nname = \"c\"\nrun = [\"true\"]\n\
                      outputs = [\"o\"]\ninputs = [\"*.toml\"]\n";
    for (near, inputs, counts) in [
        ("[package]\nname = \"near\"\n", &["src"][..], [false, false]),
        ("[package]\nname = \"near\"\n", &["**"], [false, false]),
        ("[package]\nname = \"near\"\n", &["larder.toml"], [true, false]),
        (near_reads, &["src"], [false, true]),
    ] {
        let manifest = format!("{MANIFEST}{NEAR}");
        write(&app, "larder.toml", &manifest);
        write(temp.path(), "near/larder.toml", near);
        let before = key_of(&app, inputs);
        write(&app, "larder.toml", &format!("# note\n{}", manifest.replace(" = ", "=")));
        assert_eq!(key_of(&app, inputs) != before, counts[0], "{inputs:?}");
        write(&app, "larder.toml", &manifest);
        write(temp.path(), "near/larder.toml", &format!("{near}# note\n"));
        assert_eq!(key_of(&app, inputs) != before, counts[1], "{near}");
    }
    let before = key_of(&app, &["src"]);
    write(&app, "larder.toml", &format!("{MANIFEST}version = \"2\"\n{NEAR}"));
    assert_ne!(key_of(&app, &["src"]), before);
}

#[test]
fn hidden_files_of_a_path_dependency_count_where_its_manifest_spells_them_out() {
    let (temp, app) = package(|app| {
        let near = "[package]\nname = \"near\"\n[[library]]\nname = \"l\"\nsources = [\".src/*.c\"]\n\
                    includes = [\"./.inc\"]\n";
        write(app, "larder.toml", &format!("{MANIFEST}{NEAR}"));
        write(app, "../near/larder.toml", near);
        for file in [".src/a.c", ".inc/v.h", ".cache/x"] {
            write(app, &format!("../near/{file}"), "1");
        }
    });
    for (file, counts) in [(".src/a.c", true), (".inc/v.h", true), (".cache/x", false)] {
        let before = key_of(&app, &[]);
        write(&temp.path().join("near"), file, "2");
        assert_eq!(key_of(&app, &[]) != before, counts, "{file}");
    }
}
