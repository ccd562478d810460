//! Keys of packages whose toolchain counts by name: the same rule as in a build.

use std::path::Path;

use larder_engine::{environment::Environment, toolchain::machine};
use larder_project::{
    ci::key::{Ingredients, Keys, key},
    setting::Choices,
};
use larder_testkit::{
    files::{script, write},
    tools::path_with,
};
use tempfile::TempDir;

/// A directory with the package `app` and machines that each have a `cc`.
struct Place(TempDir);

impl Place {
    fn new(head: &str) -> Self {
        let place = Self(TempDir::new().unwrap());
        place.manifest(head);
        place
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.0.path().canonicalize().unwrap().join(path)
    }

    fn manifest(&self, head: &str) {
        write(&self.path("app/larder.toml"), format!("[package]\nname = \"app\"\n{head}"));
    }

    /// A compiler of other bytes than any other, whose version `sed` changes.
    fn compiler(&self, path: &str, sed: &str) {
        let text = format!(
            "# {path}\ntouch {}\ncase $1 in\n-v) {{ gcc \"$@\" 2>&1 >&3 | sed -e '{sed}' >&2; }} 3>&1;;\n\
             *) exec gcc \"$@\";;\nesac\n",
            self.path(path).with_extension("ran").display()
        );
        script(&self.path(path), &text);
    }

    fn key(&self, machine_path: &str) -> String {
        let home = self.path("");
        let path = path_with(&self.path(machine_path));
        let variables = [("PATH", path.as_str()), ("HOME", home.to_str().unwrap())];
        let environment: Environment = variables.into_iter().collect();
        let keys = Keys::read(&self.path("app"), &Choices::default()).unwrap();
        let here = machine(&keys, &environment, Path::new("/nonexistent")).unwrap();
        let ingredients = Ingredients { toolchain: true, ..Ingredients::default() };
        key(&keys.on(here), &ingredients).unwrap().key
    }
}

const OTHER: &str = "s/gcc version [0-9.]*/gcc version 99.1.0/";
const FIXED: &str = "fixed-toolchain = true\n";

#[test]
fn a_compiler_on_path_counts_by_its_name_where_the_package_says_so() {
    for (head, same) in [(FIXED, true), ("", false)] {
        let place = Place::new(head);
        place.compiler("one/cc", "");
        place.compiler("two/cc", "");
        place.compiler("three/cc", OTHER);
        let key = place.key("one");
        assert_eq!(place.key("two") == key, same, "{head}");
        assert_ne!(place.key("three"), key);
        // What cannot say who it is counts by what it is.
        script(&place.path("four/cc"), "# four\nexit 1\n");
        script(&place.path("five/cc"), "# five\nexit 1\n");
        assert_ne!(place.key("four"), place.key("five"));
    }
}

#[test]
fn a_compiler_by_its_path_is_asked_unless_a_package_brings_it() {
    let place = Place::new("");
    let tool = |path: &str| {
        let path = place.path(path);
        format!("{FIXED}[toolchain]\ncc = \"{}\"\n", path.display())
    };
    let ran = |path: &str| Path::exists(&place.path(path).with_extension("ran"));
    place.compiler("tools/cc", "");
    place.manifest(&tool("tools/cc"));
    let key = place.key("none");
    assert!(ran("tools/cc"));
    place.compiler("tools/cc", "s/^Configured with:.*/Configured with: --other/");
    assert_eq!(place.key("none"), key);
    place.compiler("tools/cc", OTHER);
    assert_ne!(place.key("none"), key);
    // Nothing of a package is run to make a key.
    for path in ["app/cc", "app/bin/cc"] {
        place.compiler(path, "");
        place.manifest(&tool(path));
        let key = place.key("none");
        place.compiler(path, "s/^Configured with:.*/Configured with: --other/");
        assert_ne!(place.key("none"), key);
        assert!(!ran(path), "{path}");
    }
}
