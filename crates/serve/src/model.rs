//! The content of each page, as plain data: HTML is made from it, and the JSON of the API is what it is.

pub mod changed;
pub mod compare;
pub mod docs;
pub mod listed;
pub mod live;
pub mod locks;
pub mod maintainers;
pub mod overview;
pub mod package;
pub mod packages;
pub mod run;
pub mod store;
pub mod verdicts;

use std::cmp::Reverse;

use larder_runs::result::{Entry, Outcome};

/// Of the results of several builds of a stage of a package with a compiler, the one that decides how it stands with that: the stage fails where one of
/// them does.
pub fn deciding<'e>(results: impl IntoIterator<Item = &'e Entry>) -> Option<&'e Entry> {
    let rank = |entry: &&Entry| match entry.result.outcome() {
        Outcome::Failed | Outcome::Unsolved => 0,
        Outcome::Blocked => 1,
        Outcome::Worked => 2,
    };
    // The last keys only make the choice the same each time.
    results.into_iter().min_by_key(|entry| {
        let result = &entry.result;
        (rank(entry), Reverse(result.blessed), result.universe.as_ref(), result.build_hash.as_ref())
    })
}

/// Why there is no such page.
#[derive(Debug, thiserror::Error)]
pub enum NoPage {
    /// What it would be about is not there.
    #[error("{0}")]
    Missing(String),
    /// Run data could not be read.
    #[error(transparent)]
    Data(#[from] larder_runs::Error),
}

/// The result of making a page.
pub type Result<T> = std::result::Result<T, NoPage>;
