//! Running `git` to fetch one commit of a repository that nobody vouches for.
//!
//! Git is run with nothing of the surrounding repository, without hooks, prompts and submodules,
//! over https, ssh, git and file only. What is checked out are the commit's files byte for byte:
//! no attribute of the repository and no setting of the user changes line endings or runs a filter.

mod commit;
mod links;
mod run;

use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

use larder_trace::describe_io;

pub use self::commit::{Commit, ParseCommitError, is_revision};
use self::{
    links::check_links,
    run::{failed, run},
};
use crate::repository::Repository;

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
