//! `--since`: what a change can affect, and nothing else.

use std::collections::BTreeMap;

use larder_testkit::{git::Repository, run::Run};

use super::support::{Package, Set, of_kind};

fn chain() -> Vec<Package> {
    vec![
        Package::new("zlib.1.2"),
        Package::new("zlib.1.3"),
        Package::new("png.1.6").needs("zlib", "1"),
        Package::new("old.1.0").needs("zlib", "<1.3"),
        Package::new("view.2.0").needs("png", "1"),
        Package::new("alone.1.0"),
        Package::new("never.1.0").needs("zlib", "9"),
    ]
}

/// The packages that have changed, as a run says.
fn changed(run: &Run) -> Vec<String> {
    let events = of_kind(&run.events(), "changed");
    let packages = events[0]["packages"].as_array().unwrap();
    packages.iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

/// The build hashes of the packages that a run about everything would build.
fn hashes(set: &Set) -> BTreeMap<String, String> {
    let said = set.larder(&["batch", "-n", "--json", "--data-dir", "elsewhere"]).ok();
    let builds = of_kind(&said.events(), "outlook");
    let text = |build: &serde_json::Value, key: &str| build[key].as_str().unwrap().to_owned();
    builds.iter().map(|build| (text(build, "package"), text(build, "buildHash"))).collect()
}

#[test]
fn exactly_what_a_change_can_affect_is_built() {
    let set = Set::new(&chain());
    set.commit();
    let before = hashes(&set);
    set.file("sources/zlib.1.3/README", "other");
    let run = set.larder(&["batch", "--since", "HEAD", "--json"]).ok();
    assert_eq!(changed(&run), ["png.1.6", "view.2.0", "zlib.1.3"]);
    let after = hashes(&set);
    let differ: Vec<&String> =
        after.iter().filter(|(name, hash)| before[*name] != **hash).map(|(name, _)| name).collect();
    assert_eq!(changed(&run).iter().collect::<Vec<_>>(), differ, "what is left out is as it was");
    assert_eq!(set.layers().len(), 3);
    let shown = set.larder(&["runs", "show", "latest", "--json"]).ok().events();
    assert_eq!(shown[0]["info"]["kind"], "since");
    assert!(shown[0]["info"]["setRevision"].as_str().unwrap().ends_with("+changes"));

    let commit = set.commit();
    set.larder(&["batch", "--since", "HEAD"]).ok().says("nothing has changed since HEAD");
    set.larder(&["batch"]).ends_with(1);
    let shown = set.larder(&["runs", "show", "latest", "--json"]).ok().events();
    assert_eq!(shown[0]["info"]["setRevision"], commit.as_str());
}

#[test]
fn the_same_content_by_other_means_is_no_change() {
    let set = Set::new(&chain());
    set.commit();
    set.file("sources/png.1.6/README", "other");
    set.commit();
    set.file("sources/png.1.6/README", "png.1.6");
    set.commit();
    set.larder(&["batch", "--since", "HEAD~1", "-n"]).ok().says("2 packages have changed");
    set.larder(&["batch", "--since", "HEAD~2"]).ok().says("nothing has changed since HEAD~2");
    assert!(set.layers().is_empty());
    assert!(set.larder(&["runs", "--json"]).ok().events().is_empty(), "there was no run");
}

#[test]
fn a_version_that_comes_or_goes_changes_those_that_choose_it() {
    let set = Set::new(&chain());
    set.commit();
    let mut packages = chain();
    packages.remove(1);
    packages.push(Package::new("zlib.9.0"));
    set.write(&packages);
    let run = set.larder(&["batch", "--since", "main", "--json"]).ok();
    assert_eq!(changed(&run), ["never.1.0", "png.1.6", "view.2.0", "zlib.9.0"]);
    // What has no solution any more is news as well.
    set.commit();
    set.write(&chain());
    let run = set.larder(&["batch", "--since", "main", "--json"]).ends_with(1);
    assert_eq!(changed(&run), ["never.1.0", "png.1.6", "view.2.0", "zlib.1.3"]);
    assert_eq!(set.last("never.1.0"), "no_solution built");
}

#[test]
fn packages_that_are_asked_for_narrow_it_down() {
    let set = Set::new(&chain());
    set.commit();
    set.file("sources/zlib.1.3/README", "other");
    let run = set.larder(&["batch", "--since", "HEAD", "png", "alone", "--json"]).ok();
    assert_eq!(changed(&run), ["png.1.6"]);
    assert_eq!(set.layers().len(), 2, "it and what it needs");
    set.larder(&["batch", "--since", "HEAD", "alone"]).ok().says("nothing has changed");
    // A package that the revision did not have is new.
    set.commit();
    let mut packages = chain();
    packages.push(Package::new("new.1.0"));
    set.write(&packages);
    let run = set.larder(&["batch", "--since", "HEAD", "new", "--json"]).ok();
    assert_eq!(changed(&run), ["new.1.0"]);
}

#[test]
fn what_is_no_revision_is_wrong_usage() {
    let set = Set::new(&chain());
    set.larder(&["batch", "--since", "HEAD"]).ends_with(2).says("is in no Git repository");
    set.commit();
    set.larder(&["batch", "--since", "v9"]).ends_with(2).says("there is no revision `v9`");
    assert!(set.layers().is_empty());
}

#[test]
fn sources_from_elsewhere_are_those_that_a_revision_pins() {
    let set = Set::new(&[Package::new("alone.1.0")]);
    let library = Repository::new(set.outside(), "lib", "");
    set.append(
        "[package.\"lib.1.0\"]\nsource = { git = \"../lib\", rev = \"main\" }\n\
         build = [\"mkdir {prefix}/share\", \"cp lib.c {prefix}/share\"]\n",
    );
    set.larder(&["batch"]).ok();
    set.commit();
    // The branch has moved on, and what is pinned has not.
    library.commit(2);
    set.larder(&["batch", "--since", "HEAD"]).ok().says("nothing has changed since HEAD");
    std::fs::remove_file(set.root.join("larder.lock")).unwrap();
    let run = set.larder(&["batch", "--since", "HEAD", "--json"]).ok();
    assert_eq!(changed(&run), ["lib.1.0"]);
}

#[test]
fn a_dry_run_builds_nothing() {
    let set = Set::new(&chain());
    set.commit();
    set.file("sources/png.1.6/README", "other");
    let said = set.larder(&["batch", "-n", "--since", "HEAD"]).ok();
    insta::assert_snapshot!(said.stdout);
    set.commit();
    let said = set.larder(&["batch", "-n", "--compare", "HEAD~1", "HEAD", "png"]).ok();
    let said = said.says("1 of 1 package may differ");
    insta::assert_snapshot!(said.stdout);
    let made: Vec<String> = std::fs::read_dir(set.data.root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(made, ["revisions"]);
}
