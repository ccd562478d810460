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
