//! `[maintainers]`: who hears of which package.

use std::collections::BTreeMap;

use toml::de::DeValue;

use super::names::is_package;
use crate::table::Fields;

/// Addresses by package.
pub(super) fn maintainers(mut fields: Fields<'_, '_>) -> BTreeMap<String, Vec<String>> {
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
