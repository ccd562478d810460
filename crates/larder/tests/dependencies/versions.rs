//! Dependencies by version.

use std::fs;

use larder_testkit::{
    files::write_all,
    git::app,
    run::{larder_in, run},
};
use tempfile::TempDir;

use super::built;

const MANIFEST: &str = "[package]\nname = \"foo\"\nversion = \"VERSION\"\n[[library]]\nname = \"foo\"\nsources = [\"foo.c\"]\nincludes = [\".\"]\n";

#[test]
fn what_is_there_has_to_satisfy_them() {
    let temp = TempDir::new().unwrap();
    let directory = temp.path().join("app");
    app(&directory, &[("foo", "\"1.2\"")]);
    let build = || run(larder_in(&directory).arg("build"));
    build()
        .ends_with(2)
        .says("larder.toml:4:1: the dependency `foo` 1.2 is not there: no ")
        .says("/.larder/packages/foo")
        .says("by path, git or url");
    let place = directory.join(".larder/packages/foo");
    fs::create_dir_all(&place).unwrap();
    write_all(&place, &[("foo.c", "int foo(void) { return 3; }\n"), ("foo.h", "int foo(void);\n")]);
    for (required, version, words) in [
        ("\"1.2\"", "1.3", ""),
        ("\">=1, <2\"", "1.9.9", ""),
        ("{ version = \"=1.3\" }", "1.3.0", ""),
        ("\"*\"", "yesterday", ""),
        ("\"1.2\"", "1.1", "`app` needs `foo` 1.2, but "),
        ("\"1.2\"", "1.1", "foo/larder.toml says that it is 1.1"),
        ("{ version = \">=2\" }", "1.9", "`app` needs `foo` >=2, but "),
        ("\"1\"", "1.0.2k", "1.0.2k, which is no version that could be compared"),
        ("\"1\"", "", "gives it no version"),
        ("\"latest\"", "1", "larder.toml:4:7: `latest` is no version requirement"),
        ("\"\"", "1", "larder.toml:4:7: `` is no version requirement"),
        ("{ version = \">= 1 < 2\" }", "1", "larder.toml:4:19: `>= 1 < 2` is no version"),
        ("{ version = 1 }", "1", "expected a string"),
        ("{ version = \"1\", rev = \"x\" }", "1", "unknown key `rev`"),
    ] {
        app(&directory, &[("foo", required)]);
        write_all(&place, &[("larder.toml", &MANIFEST.replace("VERSION", version))]);
        match words {
            "" => assert_eq!(built(&directory), "3", "{required} {version}"),
            words => _ = build().ends_with(2).says(words),
        }
    }
}
