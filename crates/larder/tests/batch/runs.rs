//! What is built, and what is not built again.

use super::support::{Package, Set, of_kind};

fn chain() -> Vec<Package> {
    vec![
        Package::new("zlib.1.3"),
        Package::new("png.1.6").needs("zlib", "1"),
        Package::new("view.2.0").needs("png", "1").needs("zlib", "*"),
        Package::new("alone.1.0"),
    ]
}

#[test]
fn a_set_is_built_once() {
    let set = Set::new(&chain());
    let first = set.larder(&["batch", "--json"]).ok();
    let results = of_kind(&first.events(), "result");
    assert_eq!(results.len(), 4, "{results:#?}");
    assert_eq!(set.layers().len(), 4);
    let order: Vec<&str> = results.iter().map(|it| it["package"].as_str().unwrap()).collect();
    let at = |name: &str| order.iter().position(|it| *it == name).unwrap();
    assert!(at("zlib.1.3") < at("png.1.6") && at("png.1.6") < at("view.2.0"), "{order:?}");

    let again = set.larder(&["batch"]).ok().says("4 of 4 packages work");
    assert!(!again.stderr.contains("built"), "{}", again.stderr);
    assert_eq!(set.last("view.2.0"), "success cached");
    set.larder(&["status"]).ok().mentions(&["4 of 4 work"]);
}

#[test]
fn what_is_not_there_is_said_and_nothing_touched() {
    let set = Set::new(&chain());
    let said = set.larder(&["batch", "--dry-run"]).ok();
    insta::assert_snapshot!(said.stdout);
    assert!(!set.data.root().exists());

    set.larder(&["batch"]).ok();
    assert_eq!(set.larder(&["batch", "-n"]).ok().stdout, "");
    set.file("sources/png.1.6/README", "other");
    let said = set.larder(&["batch", "-n"]).ok();
    insta::assert_snapshot!(said.stdout);
}

#[test]
fn a_change_is_built_with_what_needs_it() {
    let set = Set::new(&chain());
    set.larder(&["batch"]).ok();
    set.file("sources/png.1.6/README", "other");
    let second = set.larder(&["batch", "--json"]).ok();
    let mut origins: Vec<String> = of_kind(&second.events(), "result")
        .iter()
        .map(|it| format!("{} {}", it["package"].as_str().unwrap(), it["origin"].as_str().unwrap()))
        .collect();
    origins.sort();
    // What png installs is what it was, so view's layer comes from the store.
    assert_eq!(
        origins,
        ["alone.1.0 cached", "png.1.6 built", "view.2.0 restored", "zlib.1.3 cached"]
    );
    assert_eq!(set.layers().len(), 6, "two more, and the old ones");
}

#[test]
fn some_packages_can_be_asked_for() {
    let set = Set::new(&chain());
    let run = set.larder(&["batch", "png"]).ok();
    run.mentions(&[": 1 package and 1 that it needs", "2 of 2 packages work"]);
    assert_eq!(set.layers().len(), 2, "it and what it needs");
    let run = set.larder(&["runs", "show", "latest", "--json"]).ok();
    assert_eq!(run.events()[0]["info"]["scope"]["packages"][0], "png");
    set.larder(&["batch", "pmg"])
        .ends_with(2)
        .says("there is no pmg in the set")
        .says("did you mean png");
    set.larder(&["batch", "zlib.9"]).ends_with(2).says("the set has zlib 1.3");
}

#[test]
fn without_a_set_there_is_nothing_to_build() {
    let set = Set::new(&[]);
    std::fs::remove_file(set.root.join("larder-set.toml")).unwrap();
    let data = set.outside().join("data");
    let given = ["batch", "--data-dir", data.to_str().unwrap()];
    set.larder(&given).ends_with(2).says("there is no larder-set.toml here or above");
    set.larder(&["batch"]).ends_with(2).says("--data-dir");
}

#[test]
fn the_set_says_who_is_told_and_what_is_kept() {
    let set = Set::new(&[Package::new("only.1.0").line("grep -q good state")]);
    set.file("sources/only.1.0/state", "good");
    set.append("[notify]\nchannels = [\"stdout\"]\n\n[retention]\nruns = 2\n");
    set.larder(&["batch"]).ok();
    set.file("sources/only.1.0/state", "bad");
    let told = set.larder(&["batch"]).ends_with(1);
    assert!(told.stdout.contains("only.1.0: build_failure"), "{}", told.stdout);
    assert_eq!(set.larder(&["batch"]).ends_with(1).stdout, "", "nothing is said twice");
    set.larder(&["batch"]).ends_with(1);
    set.larder(&["batch"]).ends_with(1);
    let runs = set.larder(&["runs", "--json"]).ok().events();
    // The last full run before, and the one that was going on while the others were removed.
    assert!((2..=3).contains(&runs.len()), "{}", runs.len());

    set.write(&[Package::new("only.1.0")]);
    set.append("[notify]\nchannels = [\"pigeon\"]\n");
    set.larder(&["batch"]).ends_with(2).says("the channels are slack");
}
