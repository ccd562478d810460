//! The work tree, as Git sees it: which revisions there are, and whether it is clean.

use std::{
    fmt,
    path::Path,
    process::{Command, Stdio},
};

use larder_store::Revision;

/// Why Git could not tell.
#[derive(Debug, thiserror::Error)]
#[error("cannot tell the revision of {directory}: {reason}; name one with --rev")]
pub struct GitError {
    directory: String,
    reason: String,
}

/// The commits of the work tree at `directory`, newest first: at most `most` of them, or all
/// where that is 0.
pub fn history(directory: &Path, most: usize) -> Result<Vec<Revision>, GitError> {
    let count = format!("--max-count={most}");
    let mut arguments = vec!["rev-list"];
    if most > 0 {
        arguments.push(&count);
    }
    arguments.push("HEAD");
    let text = git(directory, &arguments)?;
    Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
}

/// A history that ends where a shallow clone was cut, with commits missing that were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shallow {
    /// How many commits there are.
    pub commits: usize,
}

impl Shallow {
    /// The way to get more of it.
    pub const ADVICE: &str = "fetch more: `git fetch --deepen=100`; in CI, `fetch-depth: 100` of \
                              actions/checkout, or GIT_DEPTH: 100 on GitLab";
}

impl fmt::Display for Shallow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let commits = self.commits;
        let plural = if commits == 1 { "" } else { "s" };
        write!(f, "the clone is shallow: its history ends after {commits} commit{plural}")
    }
}

/// Whether `revisions`, the [`history`] of at most `most` commits at `directory`, ends where a shallow
/// clone was cut.
pub fn shallow(directory: &Path, revisions: &[Revision], most: usize) -> Option<Shallow> {
    let is_short = most == 0 || revisions.len() < most;
    let is_shallow = || git(directory, &["rev-parse", "--is-shallow-repository"]);
    let is_cut = is_short && is_shallow().is_ok_and(|answer| answer.trim() == "true");
    is_cut.then_some(Shallow { commits: revisions.len() })
}

/// The commit that is checked out at `directory`.
pub fn head(directory: &Path) -> Result<Revision, GitError> {
    let failed = || GitError {
        directory: directory.display().to_string(),
        reason: "there is no commit".to_owned(),
    };
    history(directory, 1)?.pop().ok_or_else(failed)
}

/// The branch that is checked out at `directory`, if one is.
pub fn branch(directory: &Path) -> Option<String> {
    let name = git(directory, &["symbolic-ref", "--quiet", "--short", "HEAD"]).ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

/// Whether tracked files below `directory` differ from the commit that is checked out.
pub fn is_dirty(directory: &Path) -> Result<bool, GitError> {
    git(directory, &["status", "--porcelain", "--untracked-files=no"]).map(|text| !text.is_empty())
}

fn git(directory: &Path, arguments: &[&str]) -> Result<String, GitError> {
    let failed = |reason: String| GitError { directory: directory.display().to_string(), reason };
    let output = Command::new("git")
        .arg("-C")
        .arg(directory)
        // Asking must not write: another git may be at work.
        .args(["--no-optional-locks"])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed(format!("git cannot be run: {error}")))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let said = String::from_utf8_lossy(&output.stderr);
        Err(failed(said.lines().next().unwrap_or("git failed").to_owned()))
    }
}
