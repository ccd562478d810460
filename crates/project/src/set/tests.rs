use super::*;

fn parsed(text: &str) -> Result<PackageSet, String> {
    let source = SourceText { path: FILE_NAME.into(), text: text.into() };
    PackageSet::parse(source).map_err(|error| error.to_string())
}

#[test]
fn maintainers_are_named_by_package_or_by_version() {
    let set =
        parsed("[maintainers]\nfmt = [\"Ana <ana@x.org>\", \"bo@x.org\"]\n\"fmt.0.9.0\" = []\n");
    let maintainers = set.unwrap().maintainers;
    assert_eq!(maintainers["fmt"], ["Ana <ana@x.org>", "bo@x.org"]);
    assert!(maintainers["fmt.0.9.0"].is_empty());
    assert!(parsed("").unwrap().maintainers.is_empty());
}

#[test]
fn every_mistake_is_told_with_its_line_and_what_to_do() {
    let text = r#"maintaners = {}
[maintainers]
fmt = "ana@x.org"
fmt.0.9 = ["ana@x.org"]
zlib = ["ana@x.org", 3, "ana", "Ana <ana@x.org", "x@y\u001b"]
"../x" = []
lwt.5.9.0 = ["ana@x.org"]
"#;
    let error = parsed(&text.replacen("fmt.0.9 = [\"ana@x.org\"]\n", "", 1)).unwrap_err();
    insta::assert_snapshot!(error, @r##"
        larder-set.toml:1:1: unknown key `maintaners` in larder-set.toml
           |
         1 | maintaners = {}
           | ^^^^^^^^^^
           = help: did you mean `maintainers`?
        larder-set.toml:3:7: expected an array of addresses, found string
           |
         3 | fmt = "ana@x.org"
           |       ^^^^^^^^^^^
        larder-set.toml:4:22: expected a string, found integer
           |
         4 | zlib = ["ana@x.org", 3, "ana", "Ana <ana@x.org", "x@y\u001b"]
           |                      ^
        larder-set.toml:4:25: "ana" is not an address
           |
         4 | zlib = ["ana@x.org", 3, "ana", "Ana <ana@x.org", "x@y\u001b"]
           |                         ^^^^^
           = help: an address is "ana@example.org" or "Ana <ana@example.org>"
        larder-set.toml:4:32: "Ana <ana@x.org" is not an address
           |
         4 | zlib = ["ana@x.org", 3, "ana", "Ana <ana@x.org", "x@y\u001b"]
           |                                ^^^^^^^^^^^^^^^^
           = help: an address is "ana@example.org" or "Ana <ana@example.org>"
        larder-set.toml:4:50: "x@y\u{1b}" is not an address
           |
         4 | zlib = ["ana@x.org", 3, "ana", "Ana <ana@x.org", "x@y\u001b"]
           |                                                  ^^^^^^^^^^^
           = help: an address is "ana@example.org" or "Ana <ana@example.org>"
        larder-set.toml:5:1: "../x" is neither a package nor a version of one
           |
         5 | "../x" = []
           | ^^^^^^
           = help: a package is named `<name>` or `<name>.<version>`, such as "zlib.1.3.1"
        larder-set.toml:6:1: expected an array of addresses for "lwt", found table
           |
         6 | lwt.5.9.0 = ["ana@x.org"]
           | ^^^
           = help: a name with dots stands in quotes: "fmt.0.9.0" = ["…"]
        "##);
    assert!(parsed(text).unwrap_err().contains(":4:1: "), "TOML's own mistakes");
    assert!(parsed("maintainers = 3").unwrap_err().contains("expected a table, found integer"));
}
