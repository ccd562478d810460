//! The dashboard in a real browser, over the data of real runs.

mod browser;
mod export;
mod live;
mod pages;
mod pictures;
mod scene;
mod search;
mod seeing;
