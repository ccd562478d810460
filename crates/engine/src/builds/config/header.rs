//! A header of definitions.

use std::fmt::Write;

use larder_project::{manifest::config::Value, path::BuildPath};

/// Returns a header that defines `values`, in this order, once however often it is included.
pub fn header(file: &BuildPath, values: &[(&str, Value)]) -> String {
    let character = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    let guard: String = "LARDER_".chars().chain(file.as_str().chars().map(character)).collect();
    let mut text = format!("/* Made by larder. */\n#ifndef {guard}\n#define {guard}\n\n");
    for (name, value) in values {
        _ = writeln!(text, "{}", defined(name, value));
    }
    text.push_str("\n#endif\n");
    text
}

/// Returns the line that defines `name`, or says that it is not defined.
pub fn defined(name: &str, value: &Value) -> String {
    match value {
        Value::Boolean(true) => format!("#define {name} 1"),
        Value::Boolean(false) => not_defined(name),
        Value::Number(value) => format!("#define {name} {value}"),
        Value::Text(value) if value.is_empty() => format!("#define {name}"),
        Value::Text(value) => format!("#define {name} {value}"),
    }
}

/// Returns the line that says that `name` is not defined.
pub fn not_defined(name: &str) -> String {
    format!("/* #undef {name} */")
}
