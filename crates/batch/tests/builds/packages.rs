//! Larder packages.

use larder_batch::{build::BuildTask, catalogue::Sources};
use larder_runs::result::Origin;

use crate::support::*;

const MAIN: &str =
    "#include <stdio.h>\n#include <zz.h>\nint main(void) { printf(\"%d\\n\", zz()); return 0; }\n";

#[test]
fn one_that_needs_another_kind_finds_it_by_pkg_config() {
    let set = Set::new();
    let zz = zz(&set);
    let (zz_layer, _) = set.layer(&zz);
    let package = Package {
        id: "tool.0.1",
        recipe: manifest(),
        files: &[
            (
                "larder.toml",
                "[package]\nname = \"tool\"\nversion = \"0.1\"\n[[executable]]\nname = \"tool\"\nsources = [\"main.c\"]\nsystem = [\"zz\"]\n",
            ),
            ("main.c", MAIN),
        ],
    };
    let task = set.task(&package, vec![need(&zz, &zz_layer, true)]);
    let (built, log) = set.build(&task);
    assert_eq!(built.origin, Origin::Built, "{log}");
    assert!(log.contains("built tool"), "{log}");
    let (layer, origin) = set.layer(&task);
    assert_eq!(
        (origin, output(&layer.directory.join("bin/tool"))),
        (Origin::Cached, "42".to_owned())
    );
}

#[test]
fn one_is_built_with_the_sources_of_another_and_installed_for_others() {
    let set = Set::new();
    let base = Package {
        id: "base.1.0",
        recipe: manifest(),
        files: &[
            (
                "larder.toml",
                "[package]\nname = \"base\"\nversion = \"1.0\"\n[[library]]\nname = \"base\"\nsources = [\"src/base.c\"]\nincludes = [\"include\"]\n",
            ),
            ("include/base.h", "int base(void);\n"),
            ("src/base.c", "#include <base.h>\nint base(void) { return 7; }\n"),
        ],
    };
    let base = set.task(&base, Vec::new());
    let (base_layer, _) = set.layer(&base);
    let top = Package {
        id: "top.1.0",
        recipe: manifest(),
        files: &[
            (
                "larder.toml",
                "[package]\nname = \"top\"\nversion = \"1.0\"\n[dependencies]\nbase = \"1\"\n[[executable]]\nname = \"top\"\nsources = [\"main.c\"]\nlibraries = [\"@base/base\"]\n",
            ),
            (
                "main.c",
                "#include <base.h>\n#include <stdio.h>\nint main(void) { printf(\"%d\\n\", base()); return 0; }\n",
            ),
        ],
    };
    let top = set.task(&top, vec![need(&base, &base_layer, true)]);
    let (layer, origin) = set.layer(&top);
    assert_eq!((origin, output(&layer.directory.join("bin/top"))), (Origin::Built, "7".to_owned()));
    // By its prefix, for a package of another kind.
    let other = Package {
        id: "other.1",
        recipe: commands(&[
            "$CC main.c $(pkg-config --cflags --libs base) -o main",
            "install -D main {prefix}/bin/main",
        ]),
        files: &[("main.c", "#include <base.h>\nint main(void) { return base() - 7; }\n")],
    };
    let other = set.task(&other, vec![need(&base, &base_layer, true)]);
    let (layer, _) = set.layer(&other);
    output(&layer.directory.join("bin/main"));
}

#[test]
fn a_broken_one_says_what_is_wrong() {
    let set = Set::new();
    let broken = |id: &'static str, manifest_text: &'static str| {
        let files = [("larder.toml", manifest_text), ("a.c", "int main(void) { return x; }\n")];
        let task = set.task(&Package { id, recipe: manifest(), files: &files }, Vec::new());
        set.failure(&task)
    };
    let (failure, log) = broken(
        "bad.1",
        "[package]\nname = \"bad\"\nversion = \"1\"\n[[executable]]\nname = \"bad\"\nsources = [\"a.c\"]\n",
    );
    assert!(failure.error.starts_with("its build failed: 1 of "), "{failure:?}");
    assert!(log.contains("undeclared"), "{log}");
    let (failure, _) = broken("worse.1", "[package]\nname = 3\n");
    assert!(failure.error.contains("expected a string, found integer"), "{failure:?}");
}

#[test]
fn a_manifest_that_is_kept_elsewhere_stands_in() {
    let set = Set::new();
    let overlay = set.root.join("zz.toml");
    let text = "[package]\nname = \"zz\"\nversion = \"1.2\"\n[[library]]\nname = \"zz\"\nsources = [\"zz.c\"]\nincludes = [\".\"]\n";
    std::fs::write(&overlay, text).unwrap();
    let task = set.task(&ZZ, Vec::new());
    let sources = Sources::read(&task.sources.directory, Some(&overlay)).unwrap();
    assert_ne!(sources.hash, task.sources.hash);
    let task = BuildTask { sources, ..task };
    let (layer, _) = set.layer(&task);
    assert!(layer.directory.join("lib/libzz.a").is_file());
    assert!(!task.sources.directory.join("larder.toml").exists());
}
