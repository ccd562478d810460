//! What was committed, and by whom.

use std::path::Path;

use super::{Commit, GitError, WorkTree, run};

/// A commit with what people know it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The commit.
    pub commit: Commit,
    /// Who wrote it.
    pub author: String,
    /// When it was written, in RFC 3339.
    pub date: String,
    /// The first line of its message.
    pub subject: String,
}

/// The form of an entry: one line, with what cannot be in any of its parts between them.
const FORM: &str = "--format=%H%x1f%an%x1f%aI%x1f%s";

impl WorkTree {
    /// Returns the commits that are in the history of `until` and not in that of `after`, oldest first, which changed
    /// something in `directory`, a path from the root. Of what was merged, the merge counts.
    ///
    /// # Errors
    /// When Git cannot tell.
    pub fn log(
        &self,
        after: &Commit,
        until: &Commit,
        directory: &Path,
    ) -> Result<Vec<Entry>, GitError> {
        let range = format!("{after}..{until}");
        let below = format!(":(top,literal){}", directory.display());
        let arguments = [
            "log",
            "--no-show-signature",
            "--first-parent",
            "--reverse",
            FORM,
            &range,
            "--",
            &below,
        ];
        Ok(self.git(&arguments)?.lines().filter_map(entry).collect())
    }

    /// Returns what people know a commit by; nothing where there is no such commit.
    ///
    /// # Errors
    /// When Git cannot tell.
    pub fn entry(&self, commit: &Commit) -> Result<Option<Entry>, GitError> {
        let arguments = ["log", "--no-show-signature", "-1", FORM, commit.as_str(), "--"];
        Ok(self.git(&arguments)?.lines().find_map(entry))
    }

    /// Whether the history of one commit leads to another, or they are the same.
    pub fn leads_to(&self, from: &Commit, to: &Commit) -> bool {
        self.git(&["merge-base", "--is-ancestor", from.as_str(), to.as_str()]).is_ok()
    }

    fn git(&self, arguments: &[&str]) -> Result<String, GitError> {
        run("look into", &self.root().to_string_lossy(), Some(self.root()), arguments)
    }
}

fn entry(line: &str) -> Option<Entry> {
    let mut parts = line.splitn(4, '\u{1f}');
    let mut part = || parts.next().map(str::to_owned);
    Some(Entry { commit: part()?.parse().ok()?, author: part()?, date: part()?, subject: part()? })
}
