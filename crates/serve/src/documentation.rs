//! Published documentation: files that others wrote, below `DATA/html`.
//!
//! None of them may run anything. A server says so in its headers ([`SANDBOX`]); files of an export, of which larder does
//! not know who will serve them, say it themselves ([`passive`]).

use std::{
    fs,
    path::{Path, PathBuf},
};

use larder_runs::{Result, file};

/// The content security policy of documentation on a server: no script runs, and it is in an origin of its own.
pub const SANDBOX: &str = "sandbox allow-popups; default-src 'none'; style-src 'self' 'unsafe-inline'; \
                           img-src 'self' data:; font-src 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The beginning of a page of documentation in an export. By the rules of HTML what follows it, a second `<html>` and
/// `<head>` among it, goes on in the same head: so the policy holds for all of the page.
const POLICY: &str = "<!DOCTYPE html><meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
                      style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; base-uri 'none'; \
                      form-action 'none'\">\n";

/// Whether a file of a kind can run something when a browser opens it as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nature {
    /// A page, which a policy can tame.
    Page,
    /// It runs nothing.
    Passive,
    /// It may run something.
    Active,
}

/// The kinds of files by the ends of their names: a file of another kind is not shown.
const KINDS: [(&str, &str, Nature); 12] = [
    (".html", "text/html; charset=utf-8", Nature::Page),
    (".css", "text/css; charset=utf-8", Nature::Passive),
    (".js", "text/javascript; charset=utf-8", Nature::Active),
    (".json", "application/json", Nature::Passive),
    (".txt", "text/plain; charset=utf-8", Nature::Passive),
    (".md", "text/plain; charset=utf-8", Nature::Passive),
    (".svg", "image/svg+xml", Nature::Active),
    (".png", "image/png", Nature::Passive),
    (".gif", "image/gif", Nature::Passive),
    (".jpg", "image/jpeg", Nature::Passive),
    (".woff2", "font/woff2", Nature::Passive),
    (".ico", "image/x-icon", Nature::Passive),
];

fn kind(path: &str) -> Option<(&'static str, Nature)> {
    let found = KINDS.iter().find(|(end, ..)| path.ends_with(end))?;
    Some((found.1, found.2))
}

/// The type of a file, as a server says it.
pub fn content_type(path: &str) -> &'static str {
    kind(path).map_or("application/octet-stream", |(kind, _)| kind)
}

/// The file that a path stands for: below `p` or `u`, with no part that leads elsewhere or is hidden. A directory
/// stands for its index.
pub fn file_of(path: &str) -> Option<String> {
    let parts: Vec<&str> = path.trim_end_matches('/').split('/').collect();
    if !matches!(parts[..], ["p" | "u", _, ..]) || !parts.iter().all(|part| is_plain(part)) {
        return None;
    }
    let path = parts.join("/");
    Some(if kind(&path).is_some() { path } else { format!("{path}/index.html") })
}

fn is_plain(part: &str) -> bool {
    !part.is_empty() && !part.starts_with('.') && !part.contains(['\0', '\\'])
}

/// Returns all files that an export has, by their paths below `html`, sorted. No link is followed.
///
/// # Errors
/// When a directory cannot be listed.
pub fn files(html: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    let mut open: Vec<String> = ["p", "u"].map(str::to_owned).into();
    while let Some(directory) = open.pop() {
        for name in file::names(&html.join(&directory))?.into_iter().filter(|name| is_plain(name)) {
            let path = format!("{directory}/{name}");
            let at: PathBuf = html.join(&path);
            // It may have gone meanwhile.
            let Ok(found) = fs::symlink_metadata(&at) else { continue };
            let has_place = kind(&path).is_some_and(|(_, nature)| nature != Nature::Active);
            match found.is_dir() {
                true => open.push(path),
                false if found.is_file() && has_place => files.push(path),
                false => {}
            }
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// Returns the content of a file so that nothing in it runs, whoever serves it.
pub fn passive(path: &str, content: Vec<u8>) -> Vec<u8> {
    match kind(path) {
        Some((_, Nature::Page)) => {
            let text = content.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&content);
            [POLICY.as_bytes(), text].concat()
        }
        _ => content,
    }
}
