//! `examples/ecosystem` as it is, but for the sources, which `cargo xtask examples ecosystem` brings and builds.

use std::{collections::BTreeMap, fs, path::Path};

use larder_project::{manifest::DependencySource, set::PackageSet};
use larder_testkit::files;

use super::support::{Set, of_kind};

/// The example with a file for each package's sources.
fn example() -> Set {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/ecosystem");
    let set = Set::with_file("");
    files::walk(&here, &mut |path, file| {
        let kept = ["manifests/", "packages/", "larder-set.toml"];
        if kept.iter().any(|kept| path.starts_with(kept)) {
            set.file(path, &fs::read_to_string(file).unwrap());
        }
    });
    let read = PackageSet::read(&set.root.join("larder-set.toml")).unwrap();
    for (name, entry) in &read.entries {
        let DependencySource::Path(path) = &entry.source else {
            panic!("{name} is from elsewhere")
        };
        set.file(&format!("{path}/README"), name);
    }
    set
}

#[test]
fn the_example_is_a_set_that_can_be_solved() {
    let set = example();
    let said = set.larder(&["batch", "--dry-run", "--json"]).ok();
    let mut builds: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for build in of_kind(&said.events(), "outlook") {
        let text = |key: &str| build[key].as_str().unwrap().to_owned();
        builds.entry(text("package")).or_default().push(text("compiler"));
    }
    // Each with both compilers, and libpng with either zlib. lua-cjson needs a Lua that is not there.
    assert_eq!(builds.len(), 30, "{builds:#?}");
    for (package, compilers) in &builds {
        let times = if package == "libpng.1.6.39" { 4 } else { 2 };
        assert_eq!(compilers.len(), times, "{package}: {compilers:?}");
    }
    assert!(builds.contains_key("zlib.1.2.13") && builds.contains_key("zlib.1.3.1"));
    assert!(!builds.contains_key("lua-cjson.2.1.0"));
    let unsolved = of_kind(&said.events(), "unsolved");
    let names: Vec<&str> = unsolved.iter().map(|it| it["package"].as_str().unwrap()).collect();
    assert_eq!(names, ["lua-cjson.2.1.0"; 2], "with either compiler");
    assert!(unsolved[0]["because"].as_str().unwrap().contains("lua"), "{unsolved:?}");
    assert!(!set.data.root().exists());
}
