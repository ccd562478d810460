//! Running `git` to fetch one commit of a repository that nobody vouches for.
//!
//! Git is run with nothing of the surrounding repository, without hooks, prompts and submodules,
//! over https, ssh, git and file only. What is checked out are the commit's files byte for byte:
//! no attribute of the repository and no setting of the user changes line endings or runs a filter.

use std::{
    ffi::OsStr,
    fmt, fs, io,
    path::{Component, Path, PathBuf},
    process::{Command, Stdio},
    str::FromStr,
};

use larder_trace::describe_io;

use crate::repository::{Repository, without_password};

/// A commit's name: 40 lowercase hex digits (SHA-1) or 64 (SHA-256).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Commit(String);

impl Commit {
    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first of the digits, for people.
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

/// The digits.
impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is no commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a commit is 40 or 64 lowercase hex digits")]
pub struct ParseCommitError;

impl FromStr for Commit {
    type Err = ParseCommitError;

    fn from_str(text: &str) -> Result<Self, ParseCommitError> {
        let hex = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let whole = matches!(text.len(), 40 | 64);
        (hex && whole).then(|| Self(text.to_owned())).ok_or(ParseCommitError)
    }
}

/// Whether `text` can name a commit, tag or branch (the rules of `git check-ref-format`).
pub fn is_revision(text: &str) -> bool {
    let bad = |c: char| c.is_control() || c.is_whitespace() || "~^:?*[\\".contains(c);
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with(['.', '-'])
            && !part.ends_with(['.'])
            && !part.ends_with(".lock")
    };
    text.len() <= 255
        && text != "@"
        && !text.contains("..")
        && !text.contains("@{")
        && !text.contains(bad)
        && text.split('/').all(part)
}

/// Why Git did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// It cannot be run.
    #[error("cannot run `git`: {}; Git dependencies need it on PATH", describe_io(.0))]
    Run(io::Error),
    /// It failed.
    #[error("cannot {action} {url}: {said}")]
    Failed {
        /// The operation, such as "fetch".
        action: &'static str,
        /// The repository.
        url: String,
        /// The message from Git.
        said: String,
    },
    /// The repository has no such revision.
    #[error("{url} has no {what}")]
    NoRevision {
        /// The repository.
        url: String,
        /// The revision that is missing.
        what: String,
    },
    /// A symbolic link of the commit leads out of it.
    #[error("{url} has a symbolic link that leads out of it: {link} -> {target}")]
    LinkOutside {
        /// The repository.
        url: String,
        /// The link.
        link: String,
        /// Where it leads.
        target: String,
    },
    /// A file could not be read or written.
    #[error("{}: {}", path.display(), describe_io(source))]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

/// The commit that `rev` is in `repository` now: a commit itself, a tag, a branch or the beginning
/// of a commit, in this order; the default branch, when absent.
///
/// # Errors
/// When the repository cannot be asked, or has no such revision.
pub fn resolve(repository: &Repository, rev: Option<&str>) -> Result<Commit, GitError> {
    if let Some(commit) = rev.and_then(|rev| rev.parse().ok()) {
        return Ok(commit);
    }
    let url = repository.url();
    let names = match rev {
        None | Some("HEAD") => vec!["HEAD".to_owned()],
        Some(full) if full.starts_with("refs/") => vec![format!("{full}^{{}}"), full.to_owned()],
        Some(rev) => vec![
            format!("refs/tags/{rev}^{{}}"),
            format!("refs/tags/{rev}"),
            format!("refs/heads/{rev}"),
        ],
    };
    let mut arguments = vec!["ls-remote", "--", url];
    arguments.extend(names.iter().map(String::as_str));
    let listed = run("list", repository, None, &arguments)?;
    let line = |name: &String| {
        listed.lines().filter_map(|line| line.split_once('\t')).find(|(_, found)| found == name)
    };
    if let Some((commit, _)) = names.iter().find_map(line) {
        return commit.parse().map_err(|_| failed("list", repository, "its answer is no commit"));
    }
    match rev {
        Some(rev) if is_beginning(rev) => complete(repository, rev),
        Some(rev) => Err(no_revision(repository, format!("tag, branch or commit `{rev}`"))),
        None => Err(no_revision(repository, "commit on a default branch".to_owned())),
    }
}

/// Whether `rev` may be the first digits of a commit.
fn is_beginning(rev: &str) -> bool {
    rev.len() >= 7 && rev.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Finds the commit that begins with `rev`. No server tells that, so its history is fetched.
fn complete(repository: &Repository, rev: &str) -> Result<Commit, GitError> {
    let scratch = tempfile::tempdir()
        .map_err(|source| GitError::Io { path: std::env::temp_dir(), source })?;
    run(
        "prepare for",
        repository,
        None,
        &[
            OsStr::new("init"),
            OsStr::new("--quiet"),
            OsStr::new("--bare"),
            OsStr::new("--template="),
            OsStr::new("--"),
            scratch.path().as_os_str(),
        ],
    )?;
    fetch_all(repository, scratch.path())?;
    let wanted = format!("{rev}^{{commit}}");
    let arguments = ["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted];
    run("look into", repository, Some(scratch.path()), &arguments)
        .ok()
        .and_then(|said| said.lines().last()?.trim().parse().ok())
        .ok_or_else(|| no_revision(repository, format!("tag, branch or single commit `{rev}`")))
}

/// Checks the files of `commit` out into `directory`, which is made.
///
/// # Errors
/// When the repository cannot be reached, does not have the commit, or the commit has a symbolic
/// link that leads out of it. `directory` is then left half made.
pub fn check_out(
    repository: &Repository,
    commit: &Commit,
    directory: &Path,
) -> Result<(), GitError> {
    let format = if commit.as_str().len() == 64 { "sha256" } else { "sha1" };
    let format = format!("--object-format={format}");
    let init = ["init", "--quiet", "--template=", &format, "--"].map(OsStr::new);
    run("prepare for", repository, None, &[&init[..], &[directory.as_os_str()]].concat())?;
    // These attributes come before any that the repository brings.
    let info = directory.join(".git/info");
    fs::create_dir_all(&info)
        .and_then(|()| fs::write(info.join("attributes"), PLAIN_ATTRIBUTES))
        .map_err(|source| GitError::Io { path: info, source })?;
    let url = repository.url();
    let one = ["fetch", "--quiet", "--no-tags", "--depth=1", "--", url, commit.as_str()];
    match run("fetch", repository, Some(directory), &one) {
        Ok(_) => {}
        // Some servers give commits only by the branches and tags that lead to them.
        Err(GitError::Failed { said, .. }) if wants_names(&said) => {
            fetch_all(repository, directory)?;
        }
        Err(error) => return Err(error),
    }
    let gone = || no_revision(repository, format!("commit {commit}: it may have been removed"));
    let object = format!("{commit}^{{commit}}");
    run("look into", repository, Some(directory), &["cat-file", "-e", &object])
        .map_err(|_| gone())?;
    run(
        "check out",
        repository,
        Some(directory),
        &["checkout", "--quiet", "--detach", "--force", commit.as_str(), "--"],
    )?;
    if head(directory).as_ref() != Some(commit) {
        return Err(gone());
    }
    check_links(repository, directory, &mut PathBuf::new())
}

const PLAIN_ATTRIBUTES: &str = "* -text -eol -ident -filter -working-tree-encoding\n";

/// The commit that is checked out in `directory`, unless a branch is, or nothing.
pub fn head(directory: &Path) -> Option<Commit> {
    fs::read_to_string(directory.join(".git/HEAD")).ok()?.trim_end().parse().ok()
}

/// The first file of the checkout in `directory` that is not as it was checked out.
///
/// # Errors
/// When Git cannot tell.
pub fn first_change(repository: &Repository, directory: &Path) -> Result<Option<String>, GitError> {
    let status = ["status", "--porcelain", "--untracked-files=normal", "--ignore-submodules=all"];
    let said = run("look into", repository, Some(directory), &status)?;
    Ok(said.lines().next().and_then(|line| line.get(3..)).map(str::to_owned))
}

fn fetch_all(repository: &Repository, directory: &Path) -> Result<(), GitError> {
    run(
        "fetch",
        repository,
        Some(directory),
        &[
            "fetch",
            "--quiet",
            "--no-tags",
            "--force",
            "--",
            repository.url(),
            "+refs/heads/*:refs/remotes/origin/*",
            "+refs/tags/*:refs/tags/*",
        ],
    )
    .map(drop)
}

fn wants_names(said: &str) -> bool {
    ["not our ref", "unadvertised", "shallow", "remote ref"]
        .iter()
        .any(|words| said.contains(words))
}

fn no_revision(repository: &Repository, what: String) -> GitError {
    GitError::NoRevision { url: repository.url().to_owned(), what }
}

fn failed(action: &'static str, repository: &Repository, said: &str) -> GitError {
    let url = without_password(repository.url());
    GitError::Failed { action, url, said: said.to_owned() }
}

/// Variables that a surrounding `git` may have set for its own repository (`git rev-parse --local-env-vars`).
const REPOSITORY_VARIABLES: &[&str] = &[
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_NAMESPACE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_TEMPLATE_DIR",
    "GIT_WORK_TREE",
    "GIT_DEFAULT_HASH",
    "GIT_EXTERNAL_DIFF",
    "GIT_CEILING_DIRECTORIES",
    "GIT_ATTR_SOURCE",
];

const SETTINGS: &[&str] = &[
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.symlinks=true",
    "core.fileMode=true",
    "core.sparseCheckout=false",
    "core.protectHFS=true",
    "core.protectNTFS=true",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    // A collection in the background would still be at work when the checkout is moved.
    "gc.auto=0",
    "maintenance.auto=false",
    // A server that sends nothing for a minute is not waited for any longer.
    "http.lowSpeedLimit=1",
    "http.lowSpeedTime=60",
];

fn run<S: AsRef<OsStr>>(
    action: &'static str,
    repository: &Repository,
    directory: Option<&Path>,
    arguments: &[S],
) -> Result<String, GitError> {
    let mut command = Command::new("git");
    for name in REPOSITORY_VARIABLES {
        command.env_remove(name);
    }
    command
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_ALLOW_PROTOCOL", "https:ssh:git:file")
        .env("GIT_LFS_SKIP_SMUDGE", "1")
        .env("LC_ALL", "C");
    if let Some(directory) = directory {
        command.arg("-C").arg(directory);
        // Never a repository further up, should this one be gone.
        command.env("GIT_CEILING_DIRECTORIES", directory.parent().unwrap_or(directory));
    }
    for setting in SETTINGS {
        command.args(["-c", setting]);
    }
    let output = command.args(arguments).stdin(Stdio::null()).output().map_err(GitError::Run)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = without_password(&String::from_utf8_lossy(&output.stderr));
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let said = match lines.is_empty() {
        true => format!("git ended with {}", output.status),
        false => lines.iter().take(6).copied().collect::<Vec<_>>().join("; "),
    };
    Err(failed(action, repository, &said))
}

/// Refuses links that lead out of `root`, whatever they pass through. A link is inside when it
/// first goes up by less than it is deep and then only down: its own directory is a real one, and
/// every link on its way down is inside as well.
fn check_links(repository: &Repository, root: &Path, below: &mut PathBuf) -> Result<(), GitError> {
    let directory = root.join(&below);
    let failed = |source| GitError::Io { path: directory.clone(), source };
    for entry in fs::read_dir(&directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let kind = entry.file_type().map_err(failed)?;
        if below.as_os_str().is_empty() && entry.file_name() == ".git" {
            continue;
        }
        if kind.is_symlink() {
            let target = fs::read_link(entry.path()).map_err(failed)?;
            if !is_inside(&target, below.components().count()) {
                return Err(GitError::LinkOutside {
                    url: repository.url().to_owned(),
                    link: below.join(entry.file_name()).display().to_string(),
                    target: target.display().to_string(),
                });
            }
        } else if kind.is_dir() {
            below.push(entry.file_name());
            check_links(repository, root, below)?;
            below.pop();
        }
    }
    Ok(())
}

fn is_inside(target: &Path, depth: usize) -> bool {
    let mut up = 0;
    let mut down = false;
    for part in target.components() {
        match part {
            Component::ParentDir if !down => up += 1,
            Component::CurDir => {}
            Component::Normal(_) => down = true,
            _ => return false,
        }
    }
    up <= depth
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_and_revisions() {
        assert!("a".repeat(40).parse::<Commit>().is_ok());
        assert!("0".repeat(64).parse::<Commit>().is_ok());
        for bad in ["", "abc", &"A".repeat(40), &"g".repeat(40), &"a".repeat(41)] {
            assert_eq!(bad.parse::<Commit>(), Err(ParseCommitError));
        }
        for good in
            ["main", "v1.3.1", "release/2.x", "refs/tags/a", "user+x@y", "añadir", "1234567"]
        {
            assert!(is_revision(good), "{good}");
        }
        for bad in [
            "",
            "-x",
            "a b",
            "a..b",
            "a~1",
            "a^",
            "a:b",
            "a/",
            "/a",
            "a//b",
            ".a",
            "a/.b",
            "a.lock",
            "a\nb",
            "@",
            "a@{1}",
            "*",
            "a\\b",
            "--upload-pack=x",
        ] {
            assert!(!is_revision(bad), "{bad:?}");
        }
    }

    #[test]
    fn links_inside_and_outside() {
        for (target, depth, inside) in [
            ("a", 0, true),
            ("../a", 1, true),
            ("..", 1, true),
            ("./../a/b", 2, true),
            ("../a", 0, false),
            ("../../a", 1, false),
            ("/etc/passwd", 3, false),
            // Where `a` is a link itself, its parent may be anywhere.
            ("a/../b", 1, false),
        ] {
            assert_eq!(is_inside(Path::new(target), depth), inside, "{target} {depth}");
        }
    }
}
