//! Running `git` to fetch one commit of a repository that nobody vouches for.
//!
//! Git is run with nothing of the surrounding repository, without hooks, prompts and submodules,
//! over https, ssh, git and file only. What is checked out are the commit's files byte for byte:
//! no attribute of the repository and no setting of the user changes line endings or runs a filter.

mod commit;
mod log;
mod objects;
mod run;
mod submodules;
mod work_tree;

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use larder_trace::describe_io;

use self::run::{failed, run};
pub use self::{
    commit::{Commit, ParseCommitError, is_revision},
    log::Entry,
    objects::{check_objects, take_objects},
    submodules::{Submodule, all_submodules, repository_of, submodules},
    work_tree::WorkTree,
};
use crate::{links, repository::Repository};

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
    /// A submodule cannot be had.
    #[error("the submodule {path} of {url}: {reason}")]
    Submodule {
        /// The repository or package.
        url: String,
        /// The submodule.
        path: String,
        /// The reason.
        reason: String,
    },
    /// A checkout is not what was checked out.
    #[error(
        "{file} is not as it was checked out in {}; move your work elsewhere and remove the directory, \
         which larder makes anew",
        path.display()
    )]
    Changed {
        /// The checkout.
        path: PathBuf,
        /// The first file that differs.
        file: String,
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
    let listed = run("list", url, None, &arguments)?;
    let line = |name: &String| {
        listed.lines().filter_map(|line| line.split_once('\t')).find(|(_, found)| found == name)
    };
    if let Some((commit, _)) = names.iter().find_map(line) {
        return commit.parse().map_err(|_| failed("list", url, "its answer is no commit"));
    }
    match rev {
        Some(rev) if is_beginning(rev) => complete(repository, rev),
        Some(rev) => Err(no_revision(url, format!("tag, branch or commit `{rev}`"))),
        None => Err(no_revision(url, "commit on a default branch".to_owned())),
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
    let url = repository.url();
    let init = ["init", "--quiet", "--bare", "--template=", "--"].map(OsStr::new);
    run("prepare for", url, None, &[&init[..], &[scratch.path().as_os_str()]].concat())?;
    fetch_all(repository, scratch.path())?;
    let wanted = format!("{rev}^{{commit}}");
    let arguments = ["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted];
    run("look into", url, Some(scratch.path()), &arguments)
        .ok()
        .and_then(|said| said.lines().last()?.trim().parse().ok())
        .ok_or_else(|| no_revision(url, format!("tag, branch or single commit `{rev}`")))
}

/// Where the objects of a commit come from.
#[derive(Debug, Clone, Copy)]
pub enum Origin<'a> {
    /// The repository itself.
    Repository(&'a Repository),
    /// A file that [`take_objects`] has written.
    Objects {
        /// The file.
        file: &'a File,
        /// The repository or package whose they are, for people.
        name: &'a str,
    },
}

impl<'a> Origin<'a> {
    fn name(self) -> &'a str {
        match self {
            Self::Repository(repository) => repository.url(),
            Self::Objects { name, .. } => name,
        }
    }
}

/// Checks the files of `commit` out into `directory`, which is made. Wherever they come from, they are the
/// commit's: Git names every object by the hash of its content, from the commit down to each file.
///
/// # Errors
/// When the objects cannot be had or are not those of the commit, or it has a symbolic link that leads
/// out of it. `directory` is then left half made.
pub fn check_out(origin: Origin<'_>, commit: &Commit, directory: &Path) -> Result<(), GitError> {
    prepare(origin.name(), commit, directory)?;
    match origin {
        Origin::Repository(repository) => fetch(repository, commit, directory)?,
        Origin::Objects { file, name } => objects::unpack(file, name, commit, directory)?,
    }
    finish(origin.name(), commit, directory)
}

/// Makes an empty repository for `commit`.
fn prepare(subject: &str, commit: &Commit, directory: &Path) -> Result<(), GitError> {
    let format = if commit.as_str().len() == 64 { "sha256" } else { "sha1" };
    let format = format!("--object-format={format}");
    let init = ["init", "--quiet", "--template=", &format, "--"].map(OsStr::new);
    run("prepare for", subject, None, &[&init[..], &[directory.as_os_str()]].concat())?;
    // These attributes come before any that the repository brings.
    let info = directory.join(".git/info");
    fs::create_dir_all(&info)
        .and_then(|()| fs::write(info.join("attributes"), PLAIN_ATTRIBUTES))
        .map_err(|source| GitError::Io { path: info, source })
}

fn fetch(repository: &Repository, commit: &Commit, directory: &Path) -> Result<(), GitError> {
    let url = repository.url();
    let one = ["fetch", "--quiet", "--no-tags", "--depth=1", "--", url, commit.as_str()];
    match run("fetch", url, Some(directory), &one) {
        // Some servers give commits only by the branches and tags that lead to them.
        Err(GitError::Failed { said, .. }) if wants_names(&said) => {
            fetch_all(repository, directory)
        }
        fetched => fetched.map(drop),
    }
}

/// Checks out what the repository in `directory` has of `commit`, which is everything.
fn finish(subject: &str, commit: &Commit, directory: &Path) -> Result<(), GitError> {
    let gone = || no_revision(subject, format!("commit {commit}: it may have been removed"));
    let object = format!("{commit}^{{commit}}");
    run("look into", subject, Some(directory), &["cat-file", "-e", &object]).map_err(|_| gone())?;
    // `checkout` leaves out a file whose content is missing, and succeeds.
    let all = ["rev-list", "--objects", "--no-walk", "--quiet", commit.as_str(), "--"];
    run("look into", subject, Some(directory), &all)?;
    let checkout = ["checkout", "--quiet", "--detach", "--force", commit.as_str(), "--"];
    run("check out", subject, Some(directory), &checkout)?;
    if head(directory).as_ref() != Some(commit) {
        return Err(gone());
    }
    check_links(subject, directory)
}

/// Refuses links that lead out of `root`.
fn check_links(subject: &str, root: &Path) -> Result<(), GitError> {
    match links::leading_out(root) {
        Ok(None) => Ok(()),
        Ok(Some((link, target))) => {
            Err(GitError::LinkOutside { url: subject.to_owned(), link, target })
        }
        Err((path, source)) => Err(GitError::Io { path, source }),
    }
}

const PLAIN_ATTRIBUTES: &str = "* -text -eol -ident -filter -working-tree-encoding\n";

/// The commit that is checked out in `directory`, unless a branch is, or nothing.
pub fn head(directory: &Path) -> Option<Commit> {
    fs::read_to_string(directory.join(".git/HEAD")).ok()?.trim_end().parse().ok()
}

/// The first file of the checkout of the package `name` in `directory` that is not as it was checked out.
///
/// # Errors
/// When Git cannot tell.
pub fn first_change(name: &str, directory: &Path) -> Result<Option<String>, GitError> {
    difference(name, directory, &directory.join(".git"))
}

/// The first file in `directory` that is not as the repository in `git` checked it out elsewhere.
fn difference(subject: &str, directory: &Path, git: &Path) -> Result<Option<String>, GitError> {
    let (mut git_dir, mut work_tree) =
        (OsString::from("--git-dir="), OsString::from("--work-tree="));
    git_dir.push(git);
    work_tree.push(directory);
    let status = ["status", "--porcelain", "--untracked-files=normal", "--ignore-submodules=all"];
    let arguments = [&[&*git_dir, &*work_tree], &status.map(OsStr::new)[..]].concat();
    let said = run("look into", subject, Some(directory), &arguments)?;
    Ok(said.lines().next().and_then(|line| line.get(3..)).map(str::to_owned))
}

fn fetch_all(repository: &Repository, directory: &Path) -> Result<(), GitError> {
    let url = repository.url();
    let branches = "+refs/heads/*:refs/remotes/origin/*";
    let fetch = [
        "fetch",
        "--quiet",
        "--no-tags",
        "--force",
        "--",
        url,
        branches,
        "+refs/tags/*:refs/tags/*",
    ];
    run("fetch", url, Some(directory), &fetch).map(drop)
}

fn wants_names(said: &str) -> bool {
    ["not our ref", "unadvertised", "shallow", "remote ref"]
        .iter()
        .any(|words| said.contains(words))
}

fn no_revision(subject: &str, what: String) -> GitError {
    GitError::NoRevision { url: subject.to_owned(), what }
}
