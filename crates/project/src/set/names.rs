//! Names in a set file.

/// Whether a text names a package, or one version of it, as run data do.
pub(super) fn is_package(text: &str) -> bool {
    let (name, version) = text.split_once('.').unwrap_or((text, "0"));
    is_version_of(name, version) && text.len() <= LONGEST
}

/// Whether a text names one version of a package, as run data do.
pub(super) fn is_package_version(text: &str) -> bool {
    text.contains('.') && is_package(text)
}

/// The longest name, in bytes.
const LONGEST: usize = 200;

fn is_version_of(name: &str, version: &str) -> bool {
    let first = |part: &str| part.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    let of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '-');
    first(name)
        && first(version)
        && name.chars().all(of_name)
        && version.chars().all(|c| of_name(c) || matches!(c, '.' | '~'))
        && !version.contains("..")
        && !version.ends_with('.')
}
