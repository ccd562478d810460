//! `larder-set.toml`: what a package set says of itself.
//!
//! ```toml
//! [maintainers]                                  # who hears of which package
//! fmt = ["Ana <ana@example.org>", "bo@example.org"]
//! "fmt.0.9.0" = ["cy@example.org"]               # of one version, instead of those
//! ```

use std::{collections::BTreeMap, fs, path::Path};

use larder_trace::describe_io;
use toml::de::DeValue;

use crate::{
    diagnostic::{Diagnostic, Diagnostics, SourceText},
    table::{Errors, Fields, parse},
};

/// The file's name.
pub const FILE_NAME: &str = "larder-set.toml";

/// A package set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PackageSet {
    /// Addresses of those who keep a package, by `<name>` or by `<name>.<version>`, which counts first.
    pub maintainers: BTreeMap<String, Vec<String>>,
}

impl PackageSet {
    /// Reads and checks a set file.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with its line.
    pub fn read(path: &Path) -> Result<Self, Diagnostics> {
        let text = fs::read(path).map_err(|error| {
            Diagnostic::new(format!("cannot read {}: {}", path.display(), describe_io(&error)))
        })?;
        Self::parse(SourceText::new(path.to_owned(), text)?)
    }

    /// Checks the text of a set file.
    ///
    /// # Errors
    /// As [`PackageSet::read`].
    pub fn parse(source: SourceText) -> Result<Self, Diagnostics> {
        let text = source.text.clone();
        let parsed = parse(&text, &source)?;
        let mut errors = Errors::new(&source);
        let mut top = Fields::new(&mut errors, FILE_NAME, parsed.span(), parsed.into_inner());
        let maintainers = top.table("maintainers").map(maintainers).unwrap_or_default();
        top.finish();
        errors.found.sort_by_key(|found| found.place.as_ref().map(|(_, span)| span.start));
        match errors.found.is_empty() {
            true => Ok(Self { maintainers }),
            false => Err(Diagnostics(errors.found)),
        }
    }
}

fn maintainers(mut fields: Fields<'_, '_>) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    for (package, value) in std::mem::take(&mut fields.entries) {
        let (span, package) = (package.span(), package.into_inner().into_owned());
        if !is_package(&package) {
            let message = format!("{package:?} is neither a package nor a version of one");
            let help = "a package is named `<name>` or `<name>.<version>`, such as \"zlib.1.3.1\"";
            fields.errors.push(span, message, Some(help.into()));
            continue;
        }
        match value.get_ref() {
            DeValue::Array(_) => {}
            DeValue::Table(_) => {
                let message =
                    format!("expected an array of addresses for {package:?}, found table");
                let help = "a name with dots stands in quotes: \"fmt.0.9.0\" = [\"…\"]";
                fields.errors.push(value.span(), message, Some(help.into()));
                continue;
            }
            _ => {
                fields.wrong(&value, "an array of addresses");
                continue;
            }
        }
        let DeValue::Array(array) = value.into_inner() else { continue };
        let mut people = Vec::new();
        for text in array {
            let Some(text) = fields.expect_string(text) else { continue };
            if is_address(&text) {
                people.push(text.value);
                continue;
            }
            let message = format!("{:?} is not an address", *text);
            let help = "an address is \"ana@example.org\" or \"Ana <ana@example.org>\"";
            fields.errors.push(text.span, message, Some(help.into()));
        }
        found.insert(package, people);
    }
    found
}

/// Whether a text names a package, or one version of it, as run data do.
fn is_package(text: &str) -> bool {
    let (name, version) = text.split_once('.').unwrap_or((text, "0"));
    let first = |part: &str| part.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    let of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '-');
    text.len() <= 200
        && first(name)
        && first(version)
        && name.chars().all(of_name)
        && version.chars().all(|c| of_name(c) || matches!(c, '.' | '~'))
        && !version.contains("..")
        && !version.ends_with('.')
}

/// Whether a text is `local@domain`, alone or in angle brackets behind a name. A mail server knows better.
fn is_address(text: &str) -> bool {
    let bare = match text.split_once('<') {
        Some((_, rest)) => rest.strip_suffix('>'),
        None => Some(text),
    };
    let odd = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '<' | '>' | ',');
    !text.contains(char::is_control)
        && bare.and_then(|bare| bare.split_once('@')).is_some_and(|(local, domain)| {
            let good = |part: &str| !part.is_empty() && !part.contains(odd);
            good(local) && good(domain) && !domain.contains('@')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<PackageSet, String> {
        let source = SourceText { path: FILE_NAME.into(), text: text.into() };
        PackageSet::parse(source).map_err(|error| error.to_string())
    }

    #[test]
    fn maintainers_are_named_by_package_or_by_version() {
        let set = parsed(
            "[maintainers]\nfmt = [\"Ana <ana@x.org>\", \"bo@x.org\"]\n\"fmt.0.9.0\" = []\n",
        );
        let maintainers = set.unwrap().maintainers;
        assert_eq!(maintainers["fmt"], ["Ana <ana@x.org>", "bo@x.org"]);
        assert!(maintainers["fmt.0.9.0"].is_empty());
        assert_eq!(parsed(""), Ok(PackageSet::default()));
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
}
