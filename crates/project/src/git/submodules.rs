//! Submodules: the commits of other repositories that a commit records.

use std::path::{Path, PathBuf};

use super::{Commit, GitError, run::run};
use crate::{glob::is_inside, repository::Repository};

/// A submodule that a commit records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submodule {
    /// Where it is, from the top of the commit.
    pub path: String,
    /// Its commit.
    pub commit: Commit,
}

/// The submodules that `commit`, which is checked out in `directory`, records, sorted by path.
///
/// # Errors
/// When Git cannot tell, or a path is none that larder would write to.
pub fn submodules(
    name: &str,
    directory: &Path,
    commit: &Commit,
) -> Result<Vec<Submodule>, GitError> {
    let list = ["ls-tree", "-r", "-z", "--full-tree", commit.as_str()];
    let listed = run("look into", name, Some(directory), &list)?;
    let mut found = Vec::new();
    for line in listed.split('\0') {
        let Some((about, path)) = line.split_once('\t') else { continue };
        let Some(commit) = about.strip_prefix("160000 commit ") else { continue };
        let is_odd = |part: &str| part.is_empty() || part.eq_ignore_ascii_case(".git");
        let odd = !is_inside(path) || path.split('/').any(is_odd);
        let (false, Ok(commit)) = (odd, commit.parse()) else {
            return Err(wrong(name, path, "larder writes nothing there"));
        };
        found.push(Submodule { path: path.to_owned(), commit });
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// All submodules of the checkout of `commit` in `directory`, and those of these: where each is, and its
/// commit.
///
/// # Errors
/// As [`submodules`].
pub fn all_submodules(
    name: &str,
    directory: &Path,
    commit: &Commit,
) -> Result<Vec<(PathBuf, Commit)>, GitError> {
    let mut found = vec![(directory.to_owned(), commit.clone())];
    let mut next = 0;
    while let Some((directory, commit)) = found.get(next).cloned() {
        let below = submodules(name, &directory, &commit)?.into_iter();
        found.extend(below.map(|submodule| (directory.join(submodule.path), submodule.commit)));
        next += 1;
    }
    found.remove(0);
    Ok(found)
}

/// The repository of `submodule`, as `.gitmodules` of `commit` in `directory` says, whose own is `parent`.
///
/// # Errors
/// When it does not say, or says something that larder does not fetch from.
pub fn repository_of(
    name: &str,
    directory: &Path,
    commit: &Commit,
    submodule: &Submodule,
    parent: &Repository,
) -> Result<Repository, GitError> {
    let file = format!("--blob={commit}:.gitmodules");
    let read = ["config", "--no-includes", "-z", &file, "--list"];
    let path = &submodule.path;
    let text = run("look into", name, Some(directory), &read)
        .map_err(|_| wrong(name, path, "there is no .gitmodules that names its repository"))?;
    let entries: Vec<(&str, &str)> =
        text.split('\0').filter_map(|entry| entry.split_once('\n')).collect();
    let section = entries.iter().find_map(|(key, value)| {
        let section = key.strip_prefix("submodule.")?.strip_suffix(".path")?;
        (value == path).then_some(section)
    });
    let url = section.and_then(|section| {
        let key = format!("submodule.{section}.url");
        entries.iter().find(|(known, _)| *known == key).map(|(_, url)| *url)
    });
    let url = url.ok_or_else(|| wrong(name, path, ".gitmodules does not name its repository"))?;
    let whole = resolved(parent.url(), url);
    // Whatever is relative still is nothing that a repository may say.
    Repository::parse(&whole, Path::new("/nowhere"))
        .map_err(|error| wrong(name, path, &error.to_string()))
}

/// `url` as it is meant in the repository at `parent`: `./` and `../` count from there.
fn resolved(parent: &str, url: &str) -> String {
    if !url.starts_with("./") && !url.starts_with("../") {
        return url.to_owned();
    }
    let (mut base, mut rest, mut joint) = (parent.trim_end_matches('/'), url, "/");
    loop {
        if let Some(below) = rest.strip_prefix("./") {
            rest = below;
        } else if let Some(above) = rest.strip_prefix("../") {
            rest = above;
            let (shorter, with) = match (base.rfind('/'), base.rfind(':')) {
                (Some(at), _) => (&base[..at], "/"),
                (None, Some(at)) => (&base[..at], ":"),
                (None, None) => ("", ""),
            };
            (base, joint) = (shorter, with);
        } else {
            return format!("{base}{joint}{rest}");
        }
    }
}

fn wrong(name: &str, path: &str, reason: &str) -> GitError {
    GitError::Submodule { url: name.to_owned(), path: path.to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_urls_count_from_the_repository() {
        for (parent, url, whole) in [
            ("https://a.org/x/b.git", "../c.git", "https://a.org/x/c.git"),
            ("https://a.org/x/b/", "../../y/c", "https://a.org/y/c"),
            ("https://a.org/x/b", "./c", "https://a.org/x/b/c"),
            ("git@a.org:x/b", "../c", "git@a.org:x/c"),
            ("git@a.org:b", "../c", "git@a.org:c"),
            ("/srv/b", "../c", "/srv/c"),
            ("file:///srv/b", "../c", "file:///srv/c"),
            ("/srv/b", "https://a.org/c", "https://a.org/c"),
        ] {
            assert_eq!(resolved(parent, url), whole, "{parent} {url}");
        }
        // More steps than there are lead to nothing that could be fetched.
        for url in ["../../../../c", "../../../../../c", "../../../../../../c"] {
            let whole = resolved("https://a.org/b", url);
            assert!(Repository::parse(&whole, Path::new("/nowhere")).is_err(), "{whole}");
        }
    }
}
