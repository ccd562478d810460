//! `--what-if`: the set with a checkout in the place of a package.

use std::{fs, path::Path};

use super::{
    compare::{adds_up, outcome, verdicts},
    support::{Package, Set, of_kind},
};

/// A library whose content its users look at.
fn library() -> Set {
    let set = Set::new(&[
        Package::new("zlib.1.2").line("cp README {prefix}/share/it"),
        Package::new("zlib.1.3").line("cp README {prefix}/share/it"),
        Package::new("png.1.6").needs("zlib", "1").line("! grep -q bad {prefix:zlib}/share/it"),
        Package::new("old.1.0").needs("zlib", "<1.3"),
        Package::new("alone.1.0"),
    ]);
    set.file("packages/hi/larder.toml", "[package]\nname = \"hi\"\nversion = \"2.0\"\n\n[[library]]\nname = \"hi\"\nsources = [\"hi.c\"]\n");
    set.file("packages/hi/hi.c", "int hi(void) { return 1; }\n");
    let file = fs::read_to_string(set.root.join("larder-set.toml")).unwrap();
    set.file("larder-set.toml", &format!("set.packages = [\"packages/*\"]\n{file}"));
    set
}

/// A checkout outside the set.
fn checkout(set: &Set, name: &str, files: &[(&str, &str)]) -> String {
    let path = set.outside().join(name);
    larder_testkit::files::write_all(&path, files);
    path.to_str().unwrap().to_owned()
}

#[test]
fn what_a_checkout_would_do_is_found_out() {
    let set = library();
    let bad = checkout(&set, "bad", &[("README", "bad")]);
    let run = set.larder(&["batch", "--json", "--what-if", &format!("zlib={bad}")]).ends_with(1);
    let outcome = outcome(&set, &run);
    adds_up(&set, &outcome);
    let verdicts = verdicts(&outcome);
    assert_eq!(verdicts["png.1.6"], "regressed");
    assert_eq!(verdicts["zlib.1.3"], "same");
    assert_eq!(outcome["candidate"]["replaced"][0]["package"], "zlib.1.3");
    // Nothing else is tried.
    let tried = of_kind(&run.events(), "result");
    let tried = |name: &str| tried.iter().any(|it| it["package"] == name);
    assert!(tried("png.1.6") && !tried("old.1.0") && !tried("alone.1.0") && !tried("hi.2.0"));

    let old = format!("zlib.1.2={bad}");
    set.larder(&["batch", "--what-if", &old]).ok().says("6 the same of 6 packages");
    let same = set.root.join("sources/zlib.1.3");
    let same = format!("zlib={}", same.display());
    set.larder(&["batch", "--what-if", &same]).ok().says("0 of 6 packages may differ");
}

#[test]
fn a_checkout_of_a_larder_package_takes_its_place() {
    let set = library();
    let manifest = fs::read_to_string(set.root.join("packages/hi/larder.toml")).unwrap();
    let next = manifest.replace("2.0", "3.0-dev");
    let next = checkout(
        &set,
        "next",
        &[("larder.toml", &next), ("hi.c", "int hi(void) { return no; }\n")],
    );
    let run = set.larder(&["batch", "--json", "--what-if", &format!("hi={next}")]).ends_with(1);
    let outcome = outcome(&set, &run);
    assert_eq!(verdicts(&outcome)["hi.2.0"], "regressed");
    let error = outcome["packages"][0]["candidate"]["error"].as_str().unwrap();
    assert!(error.contains("hi.c"), "{error}");
}

#[test]
fn what_is_no_checkout_of_a_package_is_wrong_usage() {
    let set = library();
    let checkout = checkout(&set, "checkout", &[("README", "x"), ("file", "")]);
    let wrong = |what: &str| set.larder(&["batch", "--what-if", what]).ends_with(2);
    wrong("zlib").says("NAME=PATH");
    wrong("zlib=").says("the path is empty");
    wrong(&format!("zlob={checkout}"))
        .says("there is no zlob in the set")
        .says("did you mean zlib");
    wrong(&format!("zlib.9={checkout}")).says("the set has zlib 1.3, 1.2");
    wrong("zlib=nowhere").says("cannot enter nowhere");
    wrong(&format!("zlib={checkout}/file")).says("is no directory");
    wrong(&format!("hi={checkout}")).says("there is no larder.toml in");
    let of_hi = set.root.join("packages/hi");
    larder_testkit::files::write(
        &Path::new(&checkout).join("larder.toml"),
        "[package]\nname = \"hello\"\nversion = \"1\"\n",
    );
    wrong(&format!("hi={checkout}")).says("is a checkout of hello, not of hi");
    let twice = format!("hi={}", of_hi.display());
    set.larder(&["batch", "--what-if", &twice, "--what-if", &twice])
        .ends_with(2)
        .says("hi.2.0 is replaced twice");
    assert!(!set.data.runs().exists());
}

#[test]
fn versions_that_no_longer_fit_together_are_a_regression() {
    let set = Set::new(&[Package::new("other.1.0")]);
    let manifest = |name: &str, needs: &str| {
        format!(
            "[package]\nname = \"{name}\"\nversion = \"2.0\"\n\n[dependencies]\n{needs}\n\n\
             [[library]]\nname = \"{name}\"\nsources = [\"it.c\"]\n"
        )
    };
    let source = |name: &str| format!("int {name}(void) {{ return 1; }}\n");
    let none = "other = \"9\"";
    let (hi, lo) = ("hi = \"2\"", "lo = \"2\"");
    for (name, needs) in [("hi", ""), ("lo", none), ("user", hi), ("broken", hi), ("waiting", lo)] {
        let source = if name == "broken" { "#error no".to_owned() } else { source(name) };
        set.file(&format!("packages/{name}/larder.toml"), &manifest(name, needs));
        set.file(&format!("packages/{name}/it.c"), &source);
    }
    let file = fs::read_to_string(set.root.join("larder-set.toml")).unwrap();
    set.file("larder-set.toml", &format!("set.packages = [\"packages/*\"]\n{file}"));
    let next = |name: &str, needs: &str| {
        let files = [("larder.toml", &*manifest(name, needs)), ("it.c", &*source(name))];
        format!("{name}={}", checkout(&set, name, &files))
    };
    let (hi, lo) = (next("hi", none), next("lo", ""));
    let arguments = ["batch", "--json", "--what-if", &hi, "--what-if", &lo];
    let dry = ["batch", "--dry-run", "--what-if", &hi, "--what-if", &lo];
    set.larder(&dry).ok().says("5 of 6 packages may differ");
    let run = set.larder(&arguments).ends_with(1);
    let outcome = outcome(&set, &run);
    adds_up(&set, &outcome);
    let expected = [
        ("broken.2.0", "broken-before"),
        ("hi.2.0", "regressed"),
        ("lo.2.0", "fixed"),
        ("other.1.0", "same"),
        ("user.2.0", "regressed"),
        ("waiting.2.0", "fixed"),
    ];
    assert_eq!(verdicts(&outcome), expected.into(), "{outcome:#}");
    let of = |name: &str| {
        let packages = outcome["packages"].as_array().unwrap();
        packages.iter().find(|it| it["package"] == name).unwrap().clone()
    };
    let user = of("user.2.0");
    assert_eq!((&user["base"]["worked"], &user["candidate"]["worked"]), (&1.into(), &0.into()));
    assert_eq!(user["candidate"]["category"], "no_solution");
    assert!(user["candidate"]["error"].as_str().unwrap().contains("other"), "{user}");
    assert_eq!(of("waiting.2.0")["candidate"]["worked"], 1);
}

/// A package may be needed with other dependencies than it has for itself; what breaks then is said of it, too.
#[test]
fn what_breaks_only_beside_another_package_is_a_regression() {
    let set = Set::new(&[
        Package::new("base.1").line("cp README {prefix}/share/it"),
        Package::new("base.2").line("cp README {prefix}/share/it"),
        Package::new("mid.1").needs("base", ">=1").line("! grep -q bad {prefix:base}/share/it"),
        Package::new("app.1").needs("base", "1").needs("mid", "1"),
    ]);
    let bad = checkout(&set, "bad", &[("README", "bad")]);
    let arguments = ["batch", "--json", "--what-if", &format!("base.1={bad}")];
    let run = set.larder(&arguments).ends_with(1);
    let outcome = outcome(&set, &run);
    adds_up(&set, &outcome);
    let verdicts = verdicts(&outcome);
    assert_eq!(verdicts["mid.1"], "regressed");
    assert_eq!(verdicts["app.1"], "unknown");
    // Where that alone is asked for, it is said as well.
    let run = set.larder(&[&arguments[..], &["app"]].concat()).ends_with(1);
    run.mentions(&["\"regressed\":1"]);
}
