//! A manifest as part of a key: by its values, however it is written.

use std::collections::BTreeMap;

use larder_trace::{BuildTrace, ContentHash, MTime};
use toml::de::DeValue;

use crate::{
    diagnostic::{Diagnostics, SourceText},
    manifest,
    table::parse,
};

/// The trace of all values in a manifest. Comments, blanks, the order of keys and tables, and how a
/// string is quoted do not count. The values are not shown: an address may hold a secret.
///
/// # Errors
/// Where it is no TOML.
pub fn trace(source: &SourceText) -> Result<BuildTrace, Diagnostics> {
    let table = parse(&source.text, source)?;
    let mut text = String::new();
    write(&DeValue::Table(table.into_inner()), &mut text);
    let hash = ContentHash::of_bytes(text.as_bytes());
    Ok(BuildTrace::leaf(manifest::FILE_NAME, hash, MTime::NONE))
}

/// Writes a value so that two are written alike exactly when they are the same.
fn write(value: &DeValue<'_>, text: &mut String) {
    match value {
        DeValue::String(string) => text.push_str(&quoted(string)),
        DeValue::Boolean(boolean) => text.push_str(&boolean.to_string()),
        DeValue::Integer(number) => {
            text.push_str(&format!("integer {} {}", number.radix(), number.as_str()));
        }
        DeValue::Float(number) => text.push_str(&format!("float {}", number.as_str())),
        DeValue::Datetime(time) => text.push_str(&format!("time {time}")),
        DeValue::Array(array) => {
            text.push('[');
            for value in array {
                write(value.get_ref(), text);
                text.push(',');
            }
            text.push(']');
        }
        DeValue::Table(table) => {
            let entries = table.iter().map(|(key, value)| (&**key.get_ref(), value.get_ref()));
            text.push('{');
            for (key, value) in entries.collect::<BTreeMap<&str, &DeValue<'_>>>() {
                text.push_str(&format!("{}=", quoted(key)));
                write(value, text);
                text.push(',');
            }
            text.push('}');
        }
    }
}

/// A string of JSON: what could end it is escaped.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(text: &str) -> ContentHash {
        let source = SourceText { path: "larder.toml".into(), text: text.into() };
        trace(&source).unwrap().hash()
    }

    #[test]
    fn the_way_a_manifest_is_written_does_not_count() {
        let plain = "[package]\nname = \"a\"\n[ci.jobs.x]\ninputs = [\"b\", \"c\"]\n";
        for same in [
            "# a comment\n[package] # another\n  name='a'\n\n[ci.jobs.x]\ninputs=[\n\"b\",\n'c',\n]",
            "[ci.jobs.x]\r\ninputs = [\"b\", \"\\u0063\"]\r\n[package]\r\nname = \"a\"\r\n",
            "package.name = \"a\"\nci.jobs = { x = { inputs = [\"b\", \"c\"] } }\n",
        ] {
            assert_eq!(hash(same), hash(plain), "{same}");
        }
    }

    #[test]
    fn every_value_counts() {
        let texts = [
            "a = \"1\"",
            "a = 1",
            "a = 2",
            "a = 1.0",
            "a = true",
            "a = false",
            "a = []",
            "a = {}",
            "a = [\"1\"]",
            "a = [\"1\", \"\"]",
            "a = [\"1,\"]",
            "a = [[\"1\"]]",
            "a = [\"1\", \"2\"]",
            "a = [\"2\", \"1\"]",
            "a = { b = \"1\" }",
            "a = { b = \"1\", c = \"2\" }",
            "a = { b = \"1\\\",\\\"c\\\"=\\\"2\" }",
            "a = { b = {}, c = {} }",
            "a = { b = { c = {} } }",
            "b = \"1\"",
            "",
        ];
        let hashes = texts.map(hash);
        for (at, one) in hashes.iter().enumerate() {
            for (other, text) in hashes.iter().zip(texts).skip(at + 1) {
                assert_ne!(one, other, "{} {text}", texts[at]);
            }
        }
    }
}
