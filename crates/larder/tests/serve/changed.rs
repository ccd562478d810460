//! What changed when a failure began.

use std::fs;

use larder_testkit::{
    server::Server,
    set::{Package, Set},
};
use serde_json::{Value, json};

use super::client::Client;

/// Packages of which `top` works with zlib 1.2 and not with 1.3.
fn packages(now: bool) -> Vec<Package> {
    let mid = Package::new("mid.1.0").needs("base", "1");
    let mut packages = vec![
        Package::new("still.1.0"),
        Package::new("base.1.0").line("cat README"),
        if now { mid.needs("fresh", "1") } else { mid.needs("old", "1") },
        Package::new("far.1.0").needs("base", "1"),
        Package::new("top.1.0").needs("mid", "1").needs("far", "1").needs("zlib", "1").needs("still", "1").line(
            "! grep -q 1.3 {prefix:zlib}/share/it || { e=error; echo \"a.c:1:1: $e: other zlib\"; exit 1; }",
        ),
        Package::new("zlib.1.2"),
        Package::new("old.1.0"),
    ];
    if now {
        packages.pop();
        packages.extend([Package::new("zlib.1.3"), Package::new("fresh.1.0")]);
    }
    packages
}

/// How the failure of a package began.
fn first_failure(server: &Server, package: &str) -> Value {
    let package = server.get(&format!("/api/packages/{package}")).ok().json();
    let all = package["firstFailures"].as_array().unwrap();
    assert_eq!(all.len(), 1, "{package}");
    all[0].clone()
}

#[test]
fn what_a_package_needs_now_and_did_not_is_named() {
    let set = Set::new(&packages(false));
    set.larder(&["batch"]).ok();
    set.write(&packages(true));
    set.file("sources/base.1.0/README", "other sources");
    set.larder(&["batch"]).ends_with(1);
    // A later run that says the same, and one that compares, change nothing of it.
    set.larder(&["batch"]).ends_with(1);
    let server = Server::of(&set);
    let first = first_failure(&server, "top.1.0");
    assert_eq!((&first["otherBuild"], &first["otherUniverse"]), (&true.into(), &true.into()));
    let need = |before: Value, now: Value, itself: bool| json!({ "before": before, "now": now, "itself": itself });
    assert_eq!(
        first["changed"],
        json!({
            "itself": false,
            "tools": false,
            "needs": [
                need("base.1.0".into(), "base.1.0".into(), true),
                need("far.1.0".into(), "far.1.0".into(), false),
                need(Value::Null, "fresh.1.0".into(), false),
                // It requires something else.
                need("mid.1.0".into(), "mid.1.0".into(), true),
                need("old.1.0".into(), Value::Null, false),
                need("zlib.1.2".into(), "zlib.1.3".into(), false),
            ],
        })
    );
    let says = |parts: &[&str]| {
        let page = server.get("/packages/top.1.0").ok();
        let text = page.text().replace("</a>", "");
        for part in parts {
            assert!(text.contains(part), "no {part}: {text}");
        }
    };
    says(&[
        "base.1.0 was built anew: its own sources, or how it is built, are others",
        "far.1.0 was built anew</li>",
        "fresh.1.0 is new",
        "old.1.0 is no longer needed",
        "zlib.1.3 instead of ",
    ]);
}

#[test]
fn what_run_data_have_no_more_is_not_guessed() {
    let set = Set::new(&packages(false));
    set.larder(&["batch"]).ok();
    set.write(&packages(true));
    set.larder(&["batch"]).ends_with(1);
    let first = fs::read_dir(set.data.runs()).unwrap().map(|it| it.unwrap().path()).min().unwrap();
    fs::remove_dir_all(first).unwrap();
    set.larder(&["gc"]).ok();
    let server = Server::of(&set);
    let first = first_failure(&server, "top.1.0");
    assert_eq!((&first["otherBuild"], &first["changed"]), (&true.into(), &Value::Null));
    let page = server.get("/packages/top.1.0").ok();
    assert!(page.text().contains("Run data cannot say"), "{}", page.text());
    assert!(!page.text().contains("instead of"), "{}", page.text());
}

#[test]
fn its_own_sources_are_told_from_the_compiler() {
    let bad = "! grep -q bad README || { e=error; echo \"a.c:1:1: $e: bad\"; exit 1; }";
    let alone = Package::new("alone.1.0").line(bad);
    let changes = |packages: &[Package]| {
        let set = Set::new(packages);
        set.larder(&["batch"]).ok();
        set.file("sources/alone.1.0/README", "bad");
        set.larder(&["batch"]).ends_with(1);
        let server = Server::of(&set);
        let page = server.get("/packages/alone.1.0").ok();
        (first_failure(&server, "alone.1.0")["changed"].clone(), page.text().to_owned())
    };
    // Another build is the same in both runs: the compiler is.
    let (changed, page) = changes(&[alone.clone(), Package::new("still.1.0")]);
    assert_eq!(changed, json!({ "itself": true, "tools": false, "needs": [] }));
    assert!(page.contains("<li>its own sources, or how it is built</li>"), "{page}");
    // Nothing else was built.
    let (changed, _) = changes(&[alone]);
    assert_eq!(changed, json!({ "itself": true, "tools": false, "needs": [] }));
    // It changes together with what it needs, which is built anew for that alone.
    let own = Package::new("alone.1.0").line(bad).needs("mid", "1");
    let mid = Package::new("mid.1.0").needs("base", "1");
    let set = Set::new(&[own, mid, Package::new("base.1.0").line("cat README")]);
    set.larder(&["batch"]).ok();
    set.file("sources/alone.1.0/README", "bad");
    set.file("sources/base.1.0/README", "other");
    set.larder(&["batch"]).ends_with(1);
    let changed = &first_failure(&Server::of(&set), "alone.1.0")["changed"];
    let need = |name: &str, itself: bool| json!({ "before": name, "now": name, "itself": itself });
    let needs = [need("base.1.0", true), need("mid.1.0", false)];
    assert_eq!(*changed, json!({ "itself": true, "tools": false, "needs": needs }));
}

#[test]
fn another_compiler_of_the_same_name_is_told() {
    let set = Set::new(&[]);
    let wrapper = set.outside().join("cc");
    // It fails where the other compiler is there.
    let bad = format!("! test -e {} || exit 1", wrapper.display());
    set.write(&[Package::new("base.1.0"), Package::new("top.1.0").needs("base", "1").line(bad)]);
    set.larder(&["batch", "--no-sandbox"]).ok();
    let script = "#!/bin/sh\ncase \"$1\" in --version|-v) echo other;; esac\nexec cc \"$@\"\n";
    larder_testkit::files::write(&wrapper, script);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&wrapper, mode).unwrap();
    let file = fs::read_to_string(set.root.join("larder-set.toml")).unwrap();
    let cc = format!("cc = {:?}", wrapper.to_str().unwrap());
    set.file("larder-set.toml", &file.replacen("cc = \"cc\"", &cc, 1));
    set.larder(&["batch", "--no-sandbox"]).ends_with(1);
    let first = first_failure(&Server::of(&set), "top.1.0");
    let need = json!({ "before": "base.1.0", "now": "base.1.0", "itself": false });
    assert_eq!(first["changed"], json!({ "itself": false, "tools": true, "needs": [need] }));
}
