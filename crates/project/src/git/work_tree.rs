//! Repositories of people's own, in which a directory of theirs is.

use std::path::{Path, PathBuf};

use super::{Commit, GitError, failed, run};
use crate::repository::Repository;

/// The work tree of a repository: where people change files and commit them.
#[derive(Debug, Clone)]
pub struct WorkTree {
    root: PathBuf,
}

impl WorkTree {
    /// Returns the one that `directory`, absolute, is in.
    pub fn around(directory: &Path) -> Option<Self> {
        let root = directory.ancestors().find(|above| above.join(".git").exists())?;
        Some(Self { root: root.to_owned() })
    }

    /// Returns its uppermost directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns its repository, to be fetched from.
    ///
    /// # Errors
    /// When no other Git can be told of its path.
    pub fn repository(&self) -> Result<Repository, GitError> {
        let path = self.name();
        Repository::parse(&path, &self.root)
            .map_err(|error| failed("use", &path, &error.to_string()))
    }

    /// Returns the commit that `revision` means here, in any of Git's spellings: `main`, `HEAD~3`, `v1.2`. `None` where it
    /// means none.
    ///
    /// # Errors
    /// When Git cannot be run.
    pub fn commit(&self, revision: &str) -> Result<Option<Commit>, GitError> {
        let wanted = format!("{revision}^{{commit}}");
        let arguments = ["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted];
        match run("look into", &self.name(), Some(&self.root), &arguments) {
            Ok(said) => Ok(said.trim().parse().ok()),
            Err(GitError::Failed { said, .. }) if said.starts_with("git ended with") => Ok(None),
            Err(GitError::Failed { said, .. }) if is_no_revision(&said) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether `commit` has a file at `path`, a path from the root.
    pub fn has(&self, commit: &Commit, path: &Path) -> bool {
        let object = format!("{commit}:{}", path.display());
        run("look into", &self.name(), Some(&self.root), &["cat-file", "-e", &object]).is_ok()
    }

    /// Returns the first file below `directory`, a path from the root, that is not as it was committed last. Files that Git
    /// ignores count as little as those that Git and larder keep; so do those below `except`, absolute.
    ///
    /// # Errors
    /// When Git cannot tell.
    pub fn first_change(
        &self,
        directory: &Path,
        except: &Path,
    ) -> Result<Option<String>, GitError> {
        let mut arguments = vec![
            "--no-optional-locks".to_owned(),
            "status".to_owned(),
            "--porcelain".to_owned(),
            "--untracked-files=normal".to_owned(),
            "--".to_owned(),
            format!(":(top,literal){}", directory.display()),
            ":(top,exclude,glob)**/.larder".to_owned(),
            ":(top,exclude,glob)**/.larder/**".to_owned(),
        ];
        if let Ok(below) = except.strip_prefix(&self.root) {
            arguments.push(format!(":(top,exclude,literal){}", below.display()));
        }
        let said = run("look into", &self.name(), Some(&self.root), &arguments)?;
        Ok(said.lines().next().and_then(|line| line.get(3..)).map(str::to_owned))
    }

    fn name(&self) -> String {
        self.root.to_string_lossy().into_owned()
    }
}

/// Whether Git says that there is no such revision, though it was told to be quiet.
fn is_no_revision(said: &str) -> bool {
    [
        "unknown revision",
        "Needed a single revision",
        "bad revision",
        "ambiguous",
        "Not a valid object",
    ]
    .iter()
    .any(|words| said.contains(words))
}
