//! Paths as build files name files: text, made the same where it means the same.

use std::borrow::Cow;

/// Returns `path` without `.`, doubled slashes, and `..` after a directory. No file is looked at: `a/..` is
/// nothing, also where `a` is a link.
pub fn canonical(path: &str) -> Cow<'_, str> {
    if is_canonical(path) {
        return Cow::Borrowed(path);
    }
    let mut parts: Vec<&str> = Vec::new();
    let absolute = path.starts_with('/');
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.last() {
                Some(&last) if last != ".." => drop(parts.pop()),
                None if absolute => {}
                _ => parts.push(".."),
            },
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    Cow::Owned(match (absolute, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    })
}

/// Whether nothing is to be done. Leading `..` are left to the long way.
fn is_canonical(path: &str) -> bool {
    let bytes = path.as_bytes();
    // Nearly all are. All bytes are looked at in any case, so that they are many at a time.
    let begins = |before: u8, byte: u8| (before == b'/') & ((byte == b'/') | (byte == b'.'));
    let pairs = bytes.windows(2).fold(false, |found, pair| found | begins(pair[0], pair[1]));
    match bytes {
        [] | [b'.', ..] | [.., b'/'] => {}
        _ if pairs => {}
        _ => return true,
    }
    let mut begin = true;
    for (at, &byte) in bytes.iter().enumerate() {
        match byte {
            b'/' if begin && at > 0 => return false,
            b'/' => begin = true,
            b'.' if begin => match bytes.get(at + 1) {
                None | Some(b'/' | b'.') => return false,
                Some(_) => begin = false,
            },
            _ => begin = false,
        }
    }
    !bytes.is_empty() && (!begin || path == "/")
}
