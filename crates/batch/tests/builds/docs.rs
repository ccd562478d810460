//! Documentation of packages that were built.

use std::{
    fs,
    sync::{Arc, Mutex},
};

use larder_batch::{
    build::{BuildTask, Documentation, Kind, Log, Pages, StageEnd, dep_hash},
    catalogue::Docs,
    docs::publish,
    layer::Layer,
};
use larder_runs::Category;

use crate::support::*;

const BUILD: &[&str] = &["echo 'echo hello' > {prefix}/run"];

/// A package with lines that make its documentation, and its layer.
fn documented(set: &Set, id: &'static str, docs: &[&str]) -> (BuildTask, Layer) {
    let files = &[("README", "read me\n")];
    let task = set.task(&Package { id, recipe: commands(BUILD), files }, Vec::new());
    let (layer, _) = set.layer(&task);
    let lines = docs.iter().map(|line| (*line).to_owned()).collect();
    (BuildTask { docs: Docs { lines, system: None }, ..task }, layer)
}

/// Publishes documentation that is made with other pages.
fn published(
    set: &Set,
    (task, layer): &(BuildTask, Layer),
    place: &str,
    reads: Vec<Pages>,
) -> StageEnd {
    let log: Log = Arc::new(Mutex::new(Vec::new()));
    let docs = Documentation { place: place.to_owned(), reads };
    let staged = publish(&set.shop, task, layer, &docs, &log);
    assert_eq!(staged.dep_hash, dep_hash(&set.shop.platform, task, layer, Kind::Docs(&docs)));
    set.assert_clean();
    staged.ended
}

fn page(set: &Set, path: &str) -> String {
    fs::read_to_string(set.root.join("data/html").join(path)).unwrap()
}

fn write_page(set: &Set, path: &str, text: &str) {
    let path = set.root.join("data/html").join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// The pages of a package `zz.1.0` that is needed.
fn pages(set: &Set) -> Pages {
    Pages::read(&set.root.join("data/html"), &"zz.1.0".parse().unwrap(), "p/zz/1.0".to_owned())
}

#[test]
fn it_is_made_from_the_sources_and_the_layer() {
    let set = Set::new();
    let run = |docs: &[&str], place: &str| {
        published(&set, &documented(&set, "p.1", docs), place, Vec::new())
    };
    let made = run(&["cat README {prefix}/run > {docs}/index.html"], "p/p/1");
    assert!(matches!(made, StageEnd::Worked), "{made:?}");
    assert_eq!(page(&set, "p/p/1/index.html"), "read me\necho hello\n");
    assert!(matches!(run(&[], "none"), StageEnd::Nothing));
    for (lines, said) in [
        (&["true"][..], "its documentation succeeded, but wrote nothing into {docs}"),
        (&["exit 4"], "its documentation failed with exit code 4"),
        (&["ln -s /etc {docs}/etc"], "leads out of"),
        (&["cat {docs:p}/it"], "`{docs:p}`: `p` is none of its dependencies"),
    ] {
        let StageEnd::Failed(failure) = run(lines, "bad") else { panic!("{lines:?}") };
        assert!(failure.error.contains(said), "{failure:?}");
        assert!(!set.root.join("data/html/bad").exists());
    }
}

/// A user of `zz`, whose documentation is made with that of this.
fn user(set: &Set, docs: &[&str]) -> (BuildTask, Layer) {
    let zz = zz(set);
    let (zz_layer, _) = set.layer(&zz);
    let (task, layer) = documented(set, "user.1", docs);
    (BuildTask { needs: vec![need(&zz, &zz_layer, true)], ..task }, layer)
}

#[test]
fn pages_that_are_read_are_a_copy_of_just_those() {
    let set = Set::new();
    write_page(&set, "p/zz/1.0/index.html", "of zz\n");
    write_page(&set, "p/zz/1.0/deep/page.html", "deep\n");
    write_page(&set, "p/other/1.0/index.html", "other\n");
    let published_html = set.root.join("data/html/p");
    let other = format!("! cat {}/other/1.0/index.html", published_html.display());
    let task = user(
        &set,
        &[
            "cat {docs:zz}/index.html {docs:zz}/deep/page.html > {docs}/index.html",
            "realpath --relative-to={docs} {docs:zz} > {docs}/link",
            "echo changed > {docs:zz}/index.html",
            "ls {docs:zz}/../.. > {docs}/beside",
            &other,
        ],
    );
    let made = published(&set, &task, "p/user/1", vec![pages(&set)]);
    assert!(matches!(made, StageEnd::Worked), "{made:?}");
    assert_eq!(page(&set, "p/user/1/index.html"), "of zz\ndeep\n");
    assert_eq!(page(&set, "p/user/1/link"), "../../zz/1.0\n");
    assert_eq!(page(&set, "p/user/1/beside"), "user\nzz\n", "nothing else is there");
    assert_eq!(page(&set, "p/zz/1.0/index.html"), "of zz\n", "nobody writes what is published");
}

#[test]
fn pages_that_are_not_there_are_an_empty_directory() {
    let set = Set::new();
    let task = user(&set, &["test -d {docs:zz}", "ls -A {docs:zz} > {docs}/list"]);
    let made = published(&set, &task, "p/user/1", vec![pages(&set)]);
    assert!(matches!(made, StageEnd::Worked), "{made:?}");
    assert_eq!(page(&set, "p/user/1/list"), "");
}

/// What was hashed is what is read, whoever publishes meanwhile.
#[test]
fn pages_that_changed_meanwhile_are_not_read() {
    let set = Set::new();
    let task = user(&set, &["ls -A {docs:zz} > {docs}/list"]);
    let none = pages(&set);
    write_page(&set, "p/zz/1.0/index.html", "one\n");
    let one = pages(&set);
    let changed = |reads: &Pages| {
        let ended = published(&set, &task, "p/user/1", vec![reads.clone()]);
        let StageEnd::Failed(failure) = ended else { panic!("{ended:?}") };
        assert_eq!(failure.error, "the documentation of zz.1.0 changed during the run");
        assert_eq!(failure.category, Some(Category::TransientFailure), "it is tried again");
        assert!(!set.root.join("data/html/p/user").exists());
    };
    changed(&none);
    write_page(&set, "p/zz/1.0/index.html", "two\n");
    changed(&one);
    fs::remove_dir_all(set.root.join("data/html/p/zz")).unwrap();
    changed(&one);
    write_page(&set, "p/zz/1.0/index.html", "one\n");
    let made = published(&set, &task, "p/user/1", vec![one]);
    assert!(matches!(made, StageEnd::Worked), "{made:?}");
}

#[test]
fn what_is_read_is_in_the_hash_and_nothing_else() {
    let set = Set::new();
    let (task, layer) = user(&set, &["ls {docs:zz} > {docs}/list"]);
    let hash = |reads: Vec<Pages>, place: &str| {
        let docs = Documentation { place: place.to_owned(), reads };
        dep_hash(&set.shop.platform, &task, &layer, Kind::Docs(&docs))
    };
    let empty = hash(vec![pages(&set)], "p/user/1");
    write_page(&set, "p/zz/1.0/index.html", "one\n");
    let one = hash(vec![pages(&set)], "p/user/1");
    assert_ne!(one, empty);
    fs::remove_dir_all(set.root.join("data/html/p/zz")).unwrap();
    write_page(&set, "p/zz/1.0/index.html", "one\n");
    assert_eq!(hash(vec![pages(&set)], "p/user/1"), one, "the same pages, made again");
    write_page(&set, "p/zz/1.0/more.html", "");
    assert_ne!(hash(vec![pages(&set)], "p/user/1"), one);
    // Links between pages say where both are.
    assert_ne!(hash(vec![pages(&set)], "u/0/user/1"), hash(vec![pages(&set)], "p/user/1"));
    assert_eq!(hash(Vec::new(), "u/0/user/1"), hash(Vec::new(), "p/user/1"));
}
