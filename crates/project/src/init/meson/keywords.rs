//! What keywords and options of Meson stand for.

use super::{run::Arguments, value::Value};

/// The version in the name of a shared library: as it is said, or the first part of that of the library.
pub fn soversion(arguments: &Arguments) -> Option<String> {
    match arguments.named("soversion") {
        Some(Value::Number(number)) => Some(number.to_string()),
        Some(value) => value.text().map(str::to_owned),
        None => file_version(arguments)?.split('.').next().map(str::to_owned),
    }
}

/// The version in the name of its file.
pub fn file_version(arguments: &Arguments) -> Option<String> {
    arguments.named("version")?.text().map(str::to_owned)
}

/// The arguments that `buildtype` and `optimization` of a project stand for. Without either, those of a first manifest.
pub fn optimising(buildtype: Option<&str>, level: Option<&str>) -> Vec<String> {
    let (usual, debug) = match buildtype {
        Some("debug") => (Some("0"), true),
        Some("debugoptimized") => (Some("2"), true),
        Some("minsize") => (Some("s"), true),
        Some("release") => (Some("3"), false),
        Some(_) => (None, false),
        None => (Some("2"), false),
    };
    let level = level.filter(|it| *it != "plain").or(usual).map(|level| format!("-O{level}"));
    level.into_iter().chain(debug.then(|| "-g".to_owned())).collect()
}
