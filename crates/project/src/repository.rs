//! Where a Git repository is, and when two spellings of that mean the same one.

use std::path::{Component, Path, PathBuf};

/// A Git repository: what `git` is told to fetch from, and which repository that is.
///
/// Two spellings are one repository when their host (in any case) and path are equal, with or
/// without `.git` and a final slash: `https://Example.org/a/b`, `ssh://git@example.org/a/b.git/` and
/// `git@example.org:a/b`. The scheme does not count: what is fetched is known by its commit, so that
/// no other repository can take its place. A port counts when it is not its scheme's own, and a user
/// when it is not `git`. Paths and `file://` URLs are one when they lead to the same directory.
#[derive(Debug, Clone)]
pub struct Repository {
    url: String,
    identity: String,
}

/// Why a text names no repository that larder fetches from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RepositoryError {
    /// It is empty or has characters that no URL has.
    #[error("{0:?} is no URL of a repository: it is empty, or has control characters in it")]
    Characters(String),
    /// There is a password in it, which is not repeated here.
    #[error(
        "the URL holds a password, which would be readable for everybody; leave it out and let \
         Git's credential helper know it"
    )]
    Password,
    /// `git` would take it for an option or a command.
    #[error("`{0}` is no URL of a repository, but something for Git to run")]
    Command(String),
    /// Its scheme is none of those allowed.
    #[error("`{url}` has the scheme `{scheme}`; larder fetches by https, ssh, git and file")]
    Scheme {
        /// The URL.
        url: String,
        /// Its scheme.
        scheme: String,
    },
    /// Its host or its user is not one.
    #[error("`{0}` names no host that larder would ask")]
    Host(String),
    /// It names no repository on its host.
    #[error("`{0}` has no plain path: a name is missing, or there is `..`, `?` or `#` in it")]
    Path(String),
}

impl Repository {
    /// The repository that `text` means in a file in `base`: a URL, `user@host:path`, or a path,
    /// which is relative to `base`.
    ///
    /// # Errors
    /// When it is none of these, has a password in it or might make `git` run something.
    pub fn parse(text: &str, base: &Path) -> Result<Self, RepositoryError> {
        let text = text.trim();
        if text.is_empty() || text.contains(char::is_control) {
            return Err(RepositoryError::Characters(shown(text)));
        }
        if text.starts_with('-') || is_helper(text) {
            return Err(RepositoryError::Command(shown(text)));
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            let scheme = scheme.to_ascii_lowercase();
            let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
            let user = percent_decoded(authority.rsplit_once('@').map_or("", |(user, _)| user));
            if user.contains(':') {
                return Err(RepositoryError::Password);
            }
            let port = match scheme.as_str() {
                "file" => return Self::local(text, Path::new(&percent_decoded(rest)), None),
                "https" => "443",
                "ssh" => "22",
                "git" => "9418",
                _ => return Err(RepositoryError::Scheme { url: shown(text), scheme }),
            };
            return Self::remote(text, authority, port, path);
        }
        // As Git reads it: with a colon before any slash, it is HOST:PATH.
        match text.split_once(':') {
            // Meant as USER:PASSWORD@HOST:PATH, or as a URL that lacks a slash.
            Some((user, rest)) if !user.contains(['/', '@']) && is_login(rest) => {
                Err(RepositoryError::Password)
            }
            Some((authority, path)) if !authority.contains('/') => {
                Self::remote(text, authority, "", path)
            }
            _ => Self::local(text, Path::new(text), Some(base)),
        }
    }

    fn remote(
        text: &str,
        authority: &str,
        own_port: &str,
        path: &str,
    ) -> Result<Self, RepositoryError> {
        let bad_host = || RepositoryError::Host(shown(text));
        let (user, host) = authority.rsplit_once('@').unwrap_or(("git", authority));
        let (host, port) = match host.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port),
            _ => (host, ""),
        };
        let plain = |name: &str| {
            name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
                && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-+%~".contains(c))
        };
        let is_address = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .is_some_and(|host| host.chars().all(|c| c.is_ascii_hexdigit() || ":.".contains(c)));
        let is_port = port.chars().all(|c| c.is_ascii_digit());
        if !(plain(host) || is_address) || !plain(user) || !is_port {
            return Err(bad_host());
        }
        let mut parts: Vec<&str> =
            path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        strip_git(&mut parts);
        let wrong =
            |part: &&str| *part == ".." || part.contains(['?', '#']) || part.starts_with('-');
        if parts.is_empty() || parts.iter().any(wrong) {
            return Err(RepositoryError::Path(shown(text)));
        }
        let user = if user == "git" { "" } else { user };
        let at = if user.is_empty() { "" } else { "@" };
        let port = if port == own_port { "" } else { port };
        let colon = if port.is_empty() { "" } else { ":" };
        let host = host.to_ascii_lowercase();
        let identity = format!("{user}{at}{host}{colon}{port}/{}", parts.join("/"));
        Ok(Self { url: text.to_owned(), identity })
    }

    fn local(text: &str, path: &Path, base: Option<&Path>) -> Result<Self, RepositoryError> {
        let absolute = match base {
            Some(base) => base.join(path),
            None => path.to_owned(),
        };
        if !absolute.is_absolute() {
            return Err(RepositoryError::Host(shown(text)));
        }
        let absolute = lexical(&absolute);
        let text_of = |path: &Path| path.to_string_lossy().into_owned();
        // Git finds `a` where `a.git` is; here it goes both ways.
        let plain = text_of(&absolute);
        let candidates =
            [plain.clone(), format!("{plain}.git"), plain.trim_end_matches(".git").to_owned()];
        let real = candidates.iter().find_map(|path| Path::new(path).canonicalize().ok());
        let url = match (base, candidates.iter().position(|path| Path::new(path).exists())) {
            (_, Some(2)) => candidates[2].clone(),
            (Some(_), _) => plain,
            (None, _) => text.to_owned(),
        };
        let real = text_of(&real.unwrap_or(absolute));
        let mut parts: Vec<&str> = real.split('/').filter(|part| !part.is_empty()).collect();
        strip_git(&mut parts);
        Ok(Self { url, identity: format!("/{}", parts.join("/")) })
    }

    /// The argument for `git`: the URL as it was written, or an absolute path.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether both are the same repository.
    pub fn is(&self, other: &Self) -> bool {
        self.identity == other.identity
    }

    /// Whether it is a directory of this machine rather than something with a host.
    pub fn is_local(&self) -> bool {
        self.identity.starts_with('/')
    }
}

/// Whether Git would start a program of its own for the URL, as for `ext::sh -c …`.
fn is_helper(text: &str) -> bool {
    text.split_once("::").is_some_and(|(name, _)| {
        name.chars().all(|c| c.is_ascii_alphanumeric() || "+-._".contains(c))
    })
}

fn strip_git(parts: &mut Vec<&str>) {
    if let Some(last) = parts.last_mut() {
        *last = last.strip_suffix(".git").unwrap_or(last);
        if last.is_empty() {
            parts.pop();
        }
    }
}

/// `path` without `.` and `..`, as far as its text tells.
pub(crate) fn lexical(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(code) if byte == b'%' => {
                bytes.push(code);
                rest = &after[2..];
            }
            _ => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Whether what follows `USER:` goes on as `PASSWORD@HOST:PATH` or `/USER:PASSWORD@HOST/PATH`.
fn is_login(rest: &str) -> bool {
    let host = rest.split_once('@').map(|(_, host)| host);
    let login = rest.strip_prefix('/').is_some_and(|rest| {
        rest.split_once('@').is_some_and(|(login, _)| login.contains(':') && !login.contains('/'))
    });
    login || host.is_some_and(|host| host.contains(':'))
}

/// A text that was refused, for a message: without what may be a password.
fn shown(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((login, rest)) if login.replacen("://", "", 1).contains(':') => format!("…@{rest}"),
        _ => without_password(text),
    }
}

/// `text` with whatever stands between `://` and `@` left out, in every URL in it.
pub(crate) fn without_password(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        plain.push_str(before);
        plain.push_str("://");
        let end = after.find(|c: char| c == '/' || c.is_whitespace()).unwrap_or(after.len());
        let authority = &after[..end];
        plain.push_str(authority.rsplit_once('@').map_or(authority, |(_, host)| host));
        rest = &after[end..];
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<Repository, RepositoryError> {
        Repository::parse(text, Path::new("/work/pkg"))
    }

    #[test]
    fn spellings_of_one_repository() {
        let groups: &[&[&str]] = &[
            &[
                "https://github.com/madler/zlib",
                "https://github.com/madler/zlib.git",
                "https://github.com/madler/zlib/",
                "https://github.com/madler/zlib.git/",
                "https://GitHub.com//madler/./zlib",
                "https://github.com:443/madler/zlib",
                "HTTPS://github.com/madler/zlib",
                "https://git@github.com/madler/zlib",
                "git@github.com:madler/zlib",
                "git@github.com:madler/zlib.git",
                "git@GITHUB.COM:/madler/zlib/",
                "github.com:madler/zlib",
                "ssh://git@github.com/madler/zlib.git",
                "ssh://git@github.com:22/madler/zlib",
                "ssh://github.com/madler/zlib",
                "git://github.com/madler/zlib",
            ],
            &["https://github.com/madler/Zlib"],
            &["https://github.com:8443/madler/zlib"],
            &["ssh://git@github.com:2222/madler/zlib"],
            &[
                "alice@github.com:madler/zlib",
                "alice@GitHub.com:/madler/zlib.git/",
                "ssh://alice@github.com/madler/zlib",
                "https://alice@github.com/madler/zlib",
                "HTTPS://alice@github.com:443/madler/zlib",
            ],
            &["Alice@github.com:madler/zlib"],
            &["git@github.com:madler/zlib@2", "https://github.com/madler/zlib@2"],
            &["https://[2001:db8::1]/a", "ssh://[2001:DB8::1]:22/a.git"],
            &[
                "file:///nowhere/zlib",
                "/nowhere/zlib",
                "/nowhere/zlib.git",
                "/nowhere/x/../zlib/.git",
                "file:///nowhere/z%6Cib/",
                "../../nowhere/zlib",
            ],
            &["../zlib", "/work/zlib", "./../zlib.git/"],
        ];
        let all: Vec<(usize, Repository)> = groups
            .iter()
            .enumerate()
            .flat_map(|(group, texts)| texts.iter().map(move |text| (group, parse(text).unwrap())))
            .collect();
        for (a, left) in &all {
            for (b, right) in &all {
                assert_eq!(left.is(right), a == b, "{left:?} {right:?}");
            }
        }
    }

    #[test]
    fn what_is_no_repository_is_refused() {
        use RepositoryError as E;
        for text in ["", " ", "a\nb", "https://host/a\0b"] {
            assert!(matches!(parse(text), Err(E::Characters(_))), "{text:?}");
        }
        for text in ["-x", "--upload-pack=sh", "ext::sh -c true", "fd::17", "git-remote.x::y"] {
            assert!(matches!(parse(text), Err(E::Command(_))), "{text:?}");
        }
        for text in ["http://host/a", "ftp://host/a", "javascript://host/a"] {
            assert!(matches!(parse(text), Err(E::Scheme { .. })), "{text:?}");
        }
        for text in
            ["ssh://-oProxyCommand=x/a", "-x@host:a", "ssh://a@-b/c", "https:///a", "file://host/a"]
        {
            assert!(matches!(parse(text), Err(E::Host(_) | E::Command(_))), "{text:?}");
        }
        for text in
            ["https://host", "https://host/", "https://host/.git", "host:../a", "https://host/a?b"]
        {
            assert!(matches!(parse(text), Err(E::Path(_))), "{text:?}");
        }
    }

    #[test]
    fn passwords_are_not_repeated() {
        for text in [
            "https://me:secret@host/a",
            "HTTPS://me:secret@host/a",
            "http://me:secret@host/a",
            "ssh://:secret@host/a",
            "file://me:secret@host/a",
            "https://me%3asecret@host/a",
            "me:secret@host:a",
            "https:/me:secret@host/a",
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error, RepositoryError::Password);
            assert!(!error.to_string().contains("secret"));
        }
        for text in [
            "https://me:sec/ret@host/a",
            "ext::https://me:secret@host/a",
            "-https://me:secret@host/a",
            "https://me:secret@host/\0",
            "https:me:secret@host/a?b",
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(!error.contains("sec"), "{error}");
        }
        let said = "fatal: unable to access 'https://x:secret@host/a/': no https://token@b";
        assert_eq!(
            without_password(said),
            "fatal: unable to access 'https://host/a/': no https://b"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_survived_and_keeps_its_secrets(text in "[a-z:/@.%-]{0,12}|.{0,20}") {
            if let Ok(repository) = parse(&text) {
                prop_assert!(repository.is(&parse(repository.url()).unwrap()));
                prop_assert!(!repository.url().starts_with('-'));
            }
            without_password(&text);
        }
    }
}
